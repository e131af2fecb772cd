//! What Google found in the hops of one answer, as if it had been one: indices of a later hop's metadata count from that
//! hop's beginning (docs/gemini-4.md "Rules for Gemini 4", rule 11).

use serde_json::{Map, Value, json};

const GROUNDING: &str = "groundingMetadata";
const URL_CONTEXT: &str = "urlContextMetadata";

/// Metadata of the earlier hops, and of the present one.
#[derive(Debug, Default)]
pub(super) struct Joined {
    is_later: bool,
    /// Bytes of text and parts in the earlier hops.
    text: usize,
    parts: usize,
    hop_text: usize,
    hop_parts: usize,
    earlier: Map<String, Value>,
    newest: Map<String, Value>,
    /// Bytes, parts and metadata of the present hop when the newest token came.
    marked: Option<(usize, usize, Map<String, Value>)>,
}

impl Joined {
    /// A part of the present hop came.
    pub fn part(&mut self, part: &Value) {
        self.hop_parts += 1;
        if part["thought"] != true {
            self.hop_text += part["text"].as_str().map_or(0, str::len);
        }
    }

    /// A token came: a hop that breaks goes on from here.
    pub fn mark(&mut self) {
        self.marked = Some((self.hop_text, self.hop_parts, self.newest.clone()));
    }

    /// The present hop is over, whole or broken; the next one begins at the newest token.
    pub fn end_hop(&mut self) {
        (self.hop_text, self.hop_parts) = (0, 0);
        if let Some((text, parts, newest)) = self.marked.take() {
            self.is_later = true;
            self.text += text;
            self.parts += parts;
            self.earlier = newest;
        }
    }

    /// Puts what the earlier hops found into the metadata of this candidate; whether it was changed.
    pub fn join(&mut self, candidate: &mut Value) -> bool {
        let mut is_changed = false;
        for name in [GROUNDING, URL_CONTEXT] {
            let Some(metadata) = candidate.get_mut(name).filter(|metadata| metadata.is_object()) else { continue };
            if self.is_later {
                let earlier = self.earlier.get(name);
                self.shift(metadata, earlier.map_or(0, |earlier| list(earlier, "groundingChunks").len()));
                if let Some(earlier) = earlier {
                    put_before(metadata, earlier);
                }
                is_changed = true;
            }
            self.newest.insert(name.to_owned(), metadata.clone());
        }
        is_changed
    }

    fn shift(&self, metadata: &mut Value, chunks: usize) {
        let supports = metadata.get_mut("groundingSupports").and_then(Value::as_array_mut);
        for support in supports.into_iter().flatten() {
            for index in support.get_mut("groundingChunkIndices").and_then(Value::as_array_mut).into_iter().flatten() {
                *index = json!(index.as_u64().unwrap_or(0) + chunks as u64);
            }
            let Some(segment) = support.get_mut("segment").and_then(Value::as_object_mut) else { continue };
            let number = |segment: &Map<String, Value>, name| segment.get(name).and_then(Value::as_u64).unwrap_or(0);
            // Places in a part that Google numbers count from that part; else the text of all parts is one.
            if number(segment, "partIndex") > 0 {
                segment["partIndex"] = json!(number(segment, "partIndex") + self.parts as u64);
                continue;
            }
            for name in ["startIndex", "endIndex"] {
                segment.insert(name.into(), json!(number(segment, name) + self.text as u64));
            }
        }
    }
}

/// Puts the lists of `earlier` before those of `metadata`, and takes over what only `earlier` has.
fn put_before(metadata: &mut Value, earlier: &Value) {
    for (name, value) in earlier.as_object().into_iter().flatten() {
        match (metadata.get_mut(name), value) {
            (Some(Value::Array(later)), Value::Array(earlier)) => drop(later.splice(..0, earlier.iter().cloned())),
            (Some(_), _) => {}
            (None, _) => metadata[name] = value.clone(),
        }
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
