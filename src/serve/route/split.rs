//! The one place where a path is split: into decoded segments, with the spellings that users paste folded into one.

use super::google::VERSIONS;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// One segment of a path.
#[derive(Clone, Debug)]
pub(super) struct Segment<'a> {
    /// As the client wrote it.
    pub raw: &'a str,
    /// Decoded; may hold a slash.
    pub word: Cow<'a, str>,
}

/// First words after `/v1` that OpenAI's clients ask for; `/v1` may be missing before them.
const BARE: [&str; 12] = [
    "chat",
    "models",
    "responses",
    "messages",
    "embeddings",
    "completions",
    "dashboard",
    "audio",
    "images",
    "files",
    "assistants",
    "moderations",
];

pub(super) fn split(path: &str) -> Vec<Segment<'_>> {
    let raw = path.split('/').filter(|raw| !raw.is_empty());
    let mut segments: Vec<Segment> =
        raw.map(|raw| Segment { raw, word: percent_decode_str(raw).decode_utf8_lossy() }).collect();
    fold(&mut segments);
    segments
}

fn fold(segments: &mut Vec<Segment>) {
    let is = |segments: &[Segment], at: usize, words: &[&str]| {
        segments.get(at).is_some_and(|segment| words.contains(&segment.word.as_ref()))
    };
    let v1 = Segment { raw: "v1", word: "v1".into() };
    // `/openai/v1/x` and `/v1beta/openai/x` are `/v1/x`.
    if is(segments, 0, &["openai"]) {
        segments.remove(0);
    } else if is(segments, 0, &VERSIONS) && is(segments, 1, &["openai"]) {
        segments.splice(0..2, [v1.clone()]);
    }
    while is(segments, 0, &VERSIONS) && is(segments, 1, &VERSIONS) {
        segments.remove(0);
    }
    // Whoever pastes the whole chat endpoint as a base asks there for the models, too.
    let at = usize::from(is(segments, 0, &["v1"]));
    let is_chat = is(segments, at, &["chat"]) && is(segments, at + 1, &["completions"]);
    if is_chat && (is(segments, at + 2, &["v1"]) || is(segments, at + 2, &BARE)) {
        segments.drain(..at + 2);
    }
    if is(segments, 0, &BARE) {
        segments.insert(0, v1);
    }
}
