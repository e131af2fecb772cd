//! The addresses of media: what a client may name, and where a redirect leads (RFC 3986 5.2, as far as `http` and `https`
//! need it).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ureq::http::Uri;

/// What browsers encode silently in an address.
const NOT_IN_ADDRESS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// Reads an address; the error is a sentence for the client.
pub fn parse(text: &str) -> Result<Uri, String> {
    let text = text.trim();
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let uri: Uri = utf8_percent_encode(text, NOT_IN_ADDRESS)
        .to_string()
        .parse()
        .map_err(|_| "the address is not a valid URL".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("only http and https addresses can be fetched".into());
    }
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err("the address is not a valid URL".into());
    };
    if authority.as_str().contains('@') {
        return Err("an address with a user name cannot be fetched".into());
    }
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("the address is not a valid URL".into());
    }
    Ok(uri)
}

/// Where `location` leads from `base`, an address that [`parse`] has read.
pub fn redirect(base: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.trim();
    let location = location.split_once('#').map_or(location, |(before, _)| before);
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if has_scheme(location) {
        return parse(location);
    }
    if let Some(rest) = location.strip_prefix("//") {
        return parse(&format!("{scheme}://{rest}"));
    }
    let (path, query) = match location.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (location, None),
    };
    let (path, query) = match path {
        "" => (base.path().to_owned(), query.or(base.query())),
        path if path.starts_with('/') => (without_dots(path), query),
        path => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            (without_dots(&format!("{folder}/{path}")), query)
        }
    };
    let mark = if query.is_some() { "?" } else { "" };
    parse(&format!("{scheme}://{authority}{path}{mark}{}", query.unwrap_or("")))
}

/// `scheme:` at the start (RFC 3986 3.1).
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Takes `.` and `..` out of a path that begins with `/` (RFC 3986 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            segment => kept.push(segment),
        }
    }
    // A path that ends in dots is that of a folder.
    let is_folder = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", kept.join("/"), if is_folder && !kept.is_empty() { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_are_read() {
        for text in [
            "http://a.test/x.png",
            " https://a.test:8443/x.png ",
            "HTTP://a.test",
            "http://[::1]:80/",
            "http://2130706433/",
            "http://a.test/x y.png",
            "http://a.test/\u{e9}\u{20ac}.png?q=\"1\"#part",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a.test/x.png",
            "/x.png",
            "ftp://a.test/x.png",
            "file:///etc/passwd",
            "gopher://a.test/",
            "http://",
            "http:///x.png",
            "http://user@a.test/",
            "http://user:password@a.test/",
            "http://a.test\\@b.test/",
            "http://a.test:/",
            "http://a.test:0/",
            "http://a.test:99999/",
            "http://a.test\r\nHost: b/",
            "http://\u{e9}.test/",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("http://a.test/\u{e9} b#c").unwrap().to_string(), "http://a.test/%C3%A9%20b");
    }

    #[test]
    fn redirects_are_resolved_against_their_page() {
        let base = parse("https://a.test:8443/b/c/d?q=1").unwrap();
        for (location, expected) in [
            ("http://other.test/x", "http://other.test/x"),
            ("//other.test/x", "https://other.test/x"),
            ("/x?y=/../z#f", "https://a.test:8443/x?y=/../z"),
            ("x", "https://a.test:8443/b/c/x"),
            ("./x/./y", "https://a.test:8443/b/c/x/y"),
            ("../x", "https://a.test:8443/b/x"),
            ("../../../../x", "https://a.test:8443/x"),
            ("..", "https://a.test:8443/b/"),
            ("/a/../..", "https://a.test:8443/"),
            ("", "https://a.test:8443/b/c/d?q=1"),
            ("?z", "https://a.test:8443/b/c/d?z"),
            ("x y", "https://a.test:8443/b/c/x%20y"),
            ("x:y", ""),
            ("javascript:alert(1)", ""),
            ("http://user@other.test/", ""),
            ("file:///etc/passwd", ""),
        ] {
            let found = redirect(&base, location).map(|uri| uri.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{location}");
        }
        let bare = parse("http://a.test").unwrap();
        assert_eq!(redirect(&bare, "x").unwrap().to_string(), "http://a.test/x");
    }
}
