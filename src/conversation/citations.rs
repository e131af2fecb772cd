//! Search sources as OpenAI's `url_citation` annotations: Google counts bytes, OpenAI characters (openai_chat.md 2.5).

use serde::{Deserialize, Serialize};

/// One entry of `annotations`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Annotation {
    #[serde(rename = "type")]
    kind: &'static str,
    url_citation: Citation,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Citation {
    start_index: usize,
    end_index: usize,
    title: String,
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Grounding {
    grounding_chunks: Option<Vec<Chunk>>,
    grounding_supports: Option<Vec<Support>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Chunk {
    web: Option<Source>,
    retrieved_context: Option<Source>,
    maps: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    uri: Option<String>,
    title: Option<String>,
    domain: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Option<Segment>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Segment {
    part_index: Option<usize>,
    start_index: Option<usize>,
    end_index: Option<usize>,
    text: Option<String>,
}

/// The citations of `content`. `part_starts`: where in it each part of Google's answer begins, in bytes, when the answer
/// came in one piece. A text that is no grounding metadata gives none.
pub(crate) fn annotations(grounding: &str, content: &str, part_starts: &[usize]) -> Vec<Annotation> {
    let Ok(grounding) = serde_json::from_str::<Grounding>(grounding) else {
        return Vec::new();
    };
    let chunks = grounding.grounding_chunks.unwrap_or_default();
    let mut counter = Counter::new(content);
    let mut found = Vec::new();
    for support in grounding.grounding_supports.unwrap_or_default() {
        let (start, end) = range(&support.segment.unwrap_or_default(), content, part_starts);
        let (start_index, end_index) = (counter.characters(start), counter.characters(end));
        for index in support.grounding_chunk_indices.unwrap_or_default() {
            let Some(source) =
                chunks.get(index).and_then(|c| c.web.as_ref().or(c.retrieved_context.as_ref()).or(c.maps.as_ref()))
            else {
                continue;
            };
            let Some(url) = source.uri.clone() else { continue };
            let title = source.title.clone().or_else(|| source.domain.clone()).unwrap_or_default();
            found.push(Annotation {
                kind: "url_citation",
                url_citation: Citation { start_index, end_index, title, url },
            });
        }
    }
    found
}

/// Where the segment is in `content`, in bytes, both ends on character boundaries.
fn range(segment: &Segment, content: &str, part_starts: &[usize]) -> (usize, usize) {
    let offset =
        segment.part_index.filter(|index| *index > 0).and_then(|index| part_starts.get(index)).copied().unwrap_or(0);
    let start = segment.start_index.unwrap_or(0);
    let end = segment.end_index.unwrap_or(0).max(start);
    let placed =
        |offset: usize| (floor(content, offset.saturating_add(start)), floor(content, offset.saturating_add(end)));
    let Some(text) = segment.text.as_deref().filter(|text| !text.is_empty()) else {
        return placed(offset);
    };
    // Part borders are lost in a stream, so the text is the better witness.
    for (start, end) in [placed(offset), placed(0)] {
        if &content[start..end] == text {
            return (start, end);
        }
    }
    match content.find(text) {
        Some(start) => (start, start + text.len()),
        None => (content.len(), content.len()),
    }
}

fn floor(content: &str, index: usize) -> usize {
    let index = index.min(content.len());
    (0..=index).rev().find(|index| content.is_char_boundary(*index)).unwrap_or(0)
}

/// Characters before a byte, counted on from the last answer: segments come in order.
struct Counter<'a> {
    content: &'a str,
    bytes: usize,
    characters: usize,
}

impl<'a> Counter<'a> {
    fn new(content: &'a str) -> Counter<'a> {
        Counter { content, bytes: 0, characters: 0 }
    }

    fn characters(&mut self, byte: usize) -> usize {
        if byte < self.bytes {
            (self.bytes, self.characters) = (0, 0);
        }
        self.characters += self.content[self.bytes..byte].chars().count();
        self.bytes = byte;
        self.characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(segment: &str, content: &str, part_starts: &[usize]) -> (usize, usize) {
        let grounding = format!(
            r#"{{"groundingChunks":[{{"web":{{"uri":"u","domain":"d"}}}}],
                "groundingSupports":[{{"segment":{segment},"groundingChunkIndices":[0,7]}}]}}"#
        );
        let found = annotations(&grounding, content, part_starts);
        assert_eq!(found.len(), 1, "a source that is not there gives no annotation");
        assert_eq!(found[0].url_citation.title, "d");
        (found[0].url_citation.start_index, found[0].url_citation.end_index)
    }

    #[test]
    fn bytes_become_characters_and_never_cut_one() {
        for (segment, content, parts, expected) in [
            (r#"{"endIndex":3}"#, "Zürich", &[][..], (0, 2)),
            (r#"{"startIndex":2,"endIndex":3}"#, "Zürich", &[][..], (1, 2)),
            (r#"{"startIndex":900,"endIndex":901}"#, "abc", &[][..], (3, 3)),
            (r#"{"startIndex":3,"endIndex":1}"#, "abcd", &[][..], (3, 3)),
            (r#"{"endIndex":2,"text":"cd"}"#, "abcd", &[][..], (2, 4)),
            (r#"{"endIndex":2,"text":"zz"}"#, "abcd", &[][..], (4, 4)),
            (r#"{"partIndex":1,"endIndex":1,"text":"a"}"#, "aüa", &[0, 3][..], (2, 3)),
            (r#"{"partIndex":1,"endIndex":1}"#, "aüa", &[][..], (0, 1)),
            (r#"null"#, "abc", &[][..], (0, 0)),
        ] {
            assert_eq!(indices(segment, content, parts), expected, "{segment}");
        }
    }

    #[test]
    fn grounding_of_a_strange_shape_is_no_error() {
        for text in ["", "null", "[]", r#"{"groundingSupports":null}"#, r#"{"groundingSupports":[{}]}"#] {
            assert!(annotations(text, "abc", &[]).is_empty(), "{text}");
        }
    }
}
