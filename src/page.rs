//! The files of the admin page, `static/`, as `build.rs` compiles them in: compressed. Knows no HTTP; what it holds is
//! public.

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What a gzip member has before and behind the compressed bytes when it has no fields.
const HEAD: usize = 10;
const TAIL: usize = 8;

/// What names the folder of the files: other files have another.
pub const fn version() -> &'static str {
    VERSION
}

/// A file in gzip.
pub fn compressed(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// A file as it is; empty if there is none of this name.
pub fn text(name: &str) -> Vec<u8> {
    let bytes = compressed(name).unwrap_or_default();
    let deflated = bytes.get(HEAD..bytes.len().saturating_sub(TAIL)).unwrap_or_default();
    // They were compressed by us.
    miniz_oxide::inflate::decompress_to_vec(deflated).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> String {
        String::from_utf8(text(name)).unwrap()
    }

    #[test]
    fn all_files_of_the_pages_together_stay_below_160_kilobytes() {
        let all: usize = FILES.iter().map(|(name, _)| text(name).len()).sum();
        assert!(all > 100_000 && all <= 160_000, "{all} bytes");
    }

    #[test]
    fn comments_are_for_readers_of_the_source() {
        let source = include_str!("../static/dom.js");
        assert!(source.contains("// ") && source.contains("\n  "), "or this shows nothing");
        for (name, _) in FILES {
            let text = read(name);
            assert!(!text.contains("\n//") && !text.contains("\n ") && !text.contains("\n\n"), "{name}");
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let texts: Vec<String> = FILES.iter().map(|(name, _)| String::from_utf8(text(name)).unwrap()).collect();
        let folder = format!("static/{VERSION}/");
        let words = texts.iter().flat_map(|text| text.split('"'));
        let named: Vec<&str> =
            words.filter_map(|word| word.strip_prefix(&folder).or(word.strip_prefix("./"))).collect();
        for name in &named {
            assert!(compressed(name).is_some(), "{name} is named, but not there");
        }
        for (name, _) in FILES.iter().filter(|(name, _)| !name.ends_with(".html")) {
            assert!(named.contains(name), "{name} is there, but never loaded");
        }
        assert!(compressed("nothing.js").is_none() && text("nothing.js").is_empty());
    }
}
