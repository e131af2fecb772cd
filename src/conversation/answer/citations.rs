//! What Google searched and found. Google counts bytes, clients count characters.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

/// A range of the answer's text and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The first character.
    pub start: usize,
    /// The one behind the last.
    pub end: usize,
    /// What is cited.
    pub source: Source,
}

/// A page that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its title, else its domain.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// What Google searched and found for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// What was searched for.
    pub queries: Vec<String>,
    /// All that was found.
    pub sources: Vec<Source>,
    /// What the text says by whom; those of which Google tells no range stand at the end of the text, with no width.
    pub citations: Vec<Citation>,
    /// Google's own words on what it found.
    pub grounding_metadata: Option<Box<Value>>,
    /// The same on the addresses that it opened.
    pub url_context_metadata: Option<Box<Value>>,
}

/// Keeps what citations are made of: the text they are ranges of, and Google's metadata.
#[derive(Debug, Default)]
pub(super) struct Cited {
    /// Bytes of text that are kept.
    limit: usize,
    /// The text given to the client, as long as it is not longer.
    content: String,
    is_cut: bool,
    /// Characters of a text that was not kept.
    not_kept: usize,
    /// Where the parts of the first event begin in `content`.
    part_starts: Vec<usize>,
    events_with_parts: usize,
    grounding: String,
    url_context: String,
    repeated: Vec<Repeated>,
}

impl Cited {
    pub(super) fn new(limit: usize) -> Cited {
        Cited { limit, ..Cited::default() }
    }

    /// An event begins.
    pub(super) fn event(&mut self, has_parts: bool) {
        self.events_with_parts += usize::from(has_parts);
    }

    /// A part begins.
    pub(super) fn part(&mut self) {
        if self.events_with_parts == 1 {
            self.part_starts.push(self.content.len());
        }
    }

    /// A text is given to the client.
    pub(super) fn text(&mut self, text: &str) {
        if !self.is_cut && self.limit - self.content.len() >= text.len() {
            self.content.push_str(text);
        } else {
            // Citations cannot be placed in a part of a text.
            self.is_cut = true;
            self.not_kept += std::mem::take(&mut self.content).chars().chain(text.chars()).count();
        }
    }

    /// The text given to the client, if it was kept.
    pub(super) fn content(&self) -> Option<&str> {
        (!self.is_cut).then_some(self.content.as_str())
    }

    /// Metadata came. The last one counts, but one without citations does not undo one with them.
    pub(super) fn grounding(&mut self, text: &str) {
        let has_citations = |text: &str| text.contains("groundingSupports");
        if has_citations(text) || !has_citations(&self.grounding) {
            self.grounding.clear();
            self.grounding.push_str(text);
        }
    }

    /// The addresses that were opened. The last list counts.
    pub(super) fn url_context(&mut self, text: &str) {
        text.clone_into(&mut self.url_context);
    }

    /// Texts of others that the answer repeats. In a stream each comes with its own event.
    pub(super) fn repeated(&mut self, text: &str) {
        let metadata: CitationMetadata = serde_json::from_str(text).unwrap_or_default();
        self.repeated.extend(metadata.citations.or(metadata.citation_sources).unwrap_or_default());
    }

    /// What was searched and found, at the end.
    pub(super) fn search(&self) -> Search {
        if self.grounding.is_empty() && self.url_context.is_empty() && self.repeated.is_empty() {
            return Search::default();
        }
        let starts = if self.events_with_parts == 1 { &self.part_starts[..] } else { &[] };
        let mut search = search(&self.grounding, self.content(), starts);
        let end = self.not_kept + self.content.chars().count();
        let mut cited: HashSet<String> = search.citations.iter().map(|citation| citation.source.url.clone()).collect();
        // Where Google says which source says what, the others say nothing.
        let mut loose = if cited.is_empty() { search.sources.clone() } else { Vec::new() };
        loose.extend(opened(&self.url_context));
        loose.retain(|source| cited.insert(source.url.clone()));
        search.citations.extend(loose.into_iter().map(|source| Citation { start: end, end, source }));
        search.citations.extend(self.repeated.iter().filter_map(|repeated| {
            let url = repeated.uri.clone().filter(|url| !url.is_empty())?;
            let title = repeated.title.clone().unwrap_or_else(|| url.clone());
            let place = |byte: Option<usize>| match self.content() {
                Some(content) => content[..floor(content, byte.unwrap_or(0))].chars().count(),
                None => end,
            };
            let (start, end) = (place(repeated.start_index), place(repeated.end_index));
            Some(Citation { start, end: end.max(start), source: Source { title, url } })
        }));
        // Read and written anew: a line feed between two fields would break a stream.
        search.grounding_metadata = serde_json::from_str(&self.grounding).ok();
        search.url_context_metadata = serde_json::from_str(&self.url_context).ok();
        search
    }
}

/// The addresses that Google could open.
fn opened(metadata: &str) -> Vec<Source> {
    let metadata: UrlContext = serde_json::from_str(metadata).unwrap_or_default();
    let opened = metadata.url_metadata.unwrap_or_default().into_iter().filter_map(|url| {
        let is_open = url.url_retrieval_status.is_none_or(|status| status.ends_with("SUCCESS"));
        url.retrieved_url.filter(|_| is_open).map(|url| Source { title: url.clone(), url })
    });
    opened.collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CitationMetadata {
    citations: Option<Vec<Repeated>>,
    /// The public API's older name.
    citation_sources: Option<Vec<Repeated>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Repeated {
    start_index: Option<usize>,
    end_index: Option<usize>,
    uri: Option<String>,
    title: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UrlContext {
    url_metadata: Option<Vec<UrlMetadata>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UrlMetadata {
    retrieved_url: Option<String>,
    url_retrieval_status: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Grounding {
    grounding_chunks: Option<Vec<Chunk>>,
    grounding_supports: Option<Vec<Support>>,
    web_search_queries: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Chunk {
    web: Option<Origin>,
    retrieved_context: Option<Origin>,
    maps: Option<Origin>,
    image: Option<Origin>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Origin {
    #[serde(alias = "sourceUri")]
    uri: Option<String>,
    /// Of a file search, which has no address.
    #[serde(alias = "documentName", alias = "fileSearchStore")]
    document: Option<String>,
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

impl Chunk {
    fn source(self) -> Option<Source> {
        let origin = self.web.or(self.retrieved_context).or(self.maps).or(self.image)?;
        Some(Source { url: origin.uri.or(origin.document)?, title: origin.title.or(origin.domain).unwrap_or_default() })
    }
}

/// Reads Google's metadata; a text that is none says nothing. Citations are ranges of `content`. `part_starts`: where in
/// it each part of Google's answer begins, in bytes, when the answer came in one piece.
fn search(grounding: &str, content: Option<&str>, part_starts: &[usize]) -> Search {
    let grounding: Grounding = serde_json::from_str(grounding).unwrap_or_default();
    let chunks = grounding.grounding_chunks.unwrap_or_default();
    let sources: Vec<Option<Source>> = chunks.into_iter().map(Chunk::source).collect();
    let mut citations = Vec::new();
    if let Some(content) = content {
        let mut counter = Counter::new(content);
        for support in grounding.grounding_supports.unwrap_or_default() {
            let (start, end) = range(&support.segment.unwrap_or_default(), content, part_starts);
            let (start, end) = (counter.characters(start), counter.characters(end));
            let indices = support.grounding_chunk_indices.unwrap_or_default();
            let cited = indices.into_iter().filter_map(|index| sources.get(index).cloned().flatten());
            citations.extend(cited.map(|source| Citation { start, end, source }));
        }
    }
    let queries = grounding.web_search_queries.unwrap_or_default();
    Search { queries, sources: sources.into_iter().flatten().collect(), citations, ..Search::default() }
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
        let found = search(&grounding, Some(content), part_starts).citations;
        assert_eq!(found.len(), 1, "a source that is not there gives no citation");
        assert_eq!(found[0].source.title, "d");
        (found[0].start, found[0].end)
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
            assert_eq!(search(text, Some("abc"), &[]), Search::default(), "{text}");
        }
    }
}
