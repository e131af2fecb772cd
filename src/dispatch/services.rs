//! Which services can serve a call, by what it asks for, and which one a conversation stays on.

use crate::api::{Call, Operation};
use crate::credentials::{Kind, Kinds};
use crate::gemini::{Request, Response, Tool};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Tools that Google runs on Vertex AI only.
const VERTEX_TOOLS: [&str; 4] = ["enterpriseWebSearch", "retrieval", "parallelAiSearch", "exaAiSearch"];
/// Signatures whose service is remembered.
const MOST: usize = 16_384;

/// Code Assist makes no embeddings, pictures and speech; uploaded files and caches exist on the public API only, what lies in Google Cloud is
/// read by Vertex AI only.
pub(super) fn kinds_of(call: &Call) -> Kinds {
    let request = &call.request;
    match call.operation {
        Operation::Embed | Operation::BatchEmbed => Kinds::only(Kind::ApiKey).or(Kind::Vertex),
        _ if names_cloud_cache(request) => Kinds::only(Kind::Vertex),
        _ if request.names_stored() => Kinds::only(Kind::ApiKey),
        _ if names_cloud(request) || request.tools.iter().any(is_vertex_tool) => Kinds::only(Kind::Vertex),
        // Code Assist counts contents only; who asks in Google's dialect gets what there is.
        Operation::CountTokens if call.serves.is_some() => Kinds::only(Kind::ApiKey).or(Kind::Vertex),
        _ if makes_media(request) => Kinds::only(Kind::ApiKey).or(Kind::Vertex),
        Operation::Generate | Operation::Stream | Operation::CountTokens => Kinds::ALL,
    }
}

/// Whether pictures, speech or a transcript of the transcribing model are asked for, and nothing else.
fn makes_media(request: &Request) -> bool {
    let Some(config) = &request.generation_config else { return false };
    let modalities = config.other.get("responseModalities").and_then(Value::as_array);
    let is_media = |kind: &Value| kind == "IMAGE" || kind == "AUDIO";
    config.other.contains_key("audioTranscriptionConfig")
        || modalities.is_some_and(|kinds| !kinds.is_empty() && kinds.iter().all(is_media))
}

/// Whether it names a cache of Vertex AI: `projects/P/locations/L/cachedContents/x`.
fn names_cloud_cache(request: &Request) -> bool {
    request.cached_content.as_ref().is_some_and(|name| name.starts_with("projects/"))
}

fn names_cloud(request: &Request) -> bool {
    request.files().any(|file| file.file_uri.starts_with("gs://"))
}

fn is_vertex_tool(tool: &Tool) -> bool {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    tool.other.keys().any(|name| VERTEX_TOOLS.iter().any(|known| plain(known) == plain(name)))
}

/// Which service gave a signature: another one may refuse it. Bounded, the oldest go first; holds hashes only.
#[derive(Default)]
pub(super) struct Signers {
    hasher: RandomState,
    known: Mutex<(HashMap<u64, Kind>, VecDeque<u64>)>,
}

impl Signers {
    /// Takes note of the signatures in an event of this service.
    pub fn note(&self, kind: Kind, event: &Response<'_>) {
        let parts = event.candidates.iter().filter_map(|candidate| candidate.content.as_ref());
        for signature in parts.flat_map(|content| &content.parts).filter_map(|part| part.thought_signature.as_ref()) {
            let hash = self.hash(signature);
            let (known, order) = &mut *self.known.lock();
            if known.insert(hash, kind).is_none() {
                order.push_back(hash);
                if order.len() > MOST
                    && let Some(oldest) = order.pop_front()
                {
                    known.remove(&oldest);
                }
            }
        }
    }

    /// The service that gave the latest signature of the conversation.
    pub fn of(&self, request: &Request) -> Option<Kind> {
        let known = self.known.lock();
        if known.0.is_empty() {
            return None;
        }
        let parts = request.contents.iter().rev().flat_map(|turn| turn.parts.iter().rev());
        let mut signatures = parts.filter_map(|part| part.thought_signature.as_deref());
        signatures.find_map(|signature| known.0.get(&self.hash(signature)).copied())
    }

    /// The same for both alphabets of base64: Google's SDK for Python gives signatures back in the other one.
    fn hash(&self, signature: &str) -> u64 {
        self.hasher.hash_one(signature.replace('-', "+").replace('_', "/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn call(operation: Operation, request: Value) -> Call {
        let request = serde_json::from_value(request).unwrap();
        Call::new("m", operation, request)
    }

    #[test]
    fn what_a_call_asks_for_decides_who_can_serve_it() {
        let file = |uri: &str| json!({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": uri}}]}]});
        let vertex = Kinds::only(Kind::Vertex);
        for (request, kinds) in [
            (json!({}), Kinds::ALL),
            (file("https://youtu.be/x"), Kinds::ALL),
            (file("gs://bucket/a.png"), vertex),
            (file("https://generativelanguage.googleapis.com/v1beta/files/a"), Kinds::only(Kind::ApiKey)),
            (json!({"cachedContent": "cachedContents/a"}), Kinds::only(Kind::ApiKey)),
            (json!({"cachedContent": "projects/p/locations/us/cachedContents/a"}), vertex),
            (json!({"tools": [{"fileSearch": {}}]}), Kinds::only(Kind::ApiKey)),
            (json!({"tools": [{"googleSearch": {}}]}), Kinds::ALL),
            (json!({"tools": [{"enterpriseWebSearch": {}}]}), vertex),
            (json!({"tools": [{"enterprise_web_search": {}}]}), vertex),
            (json!({"tools": [{"retrieval": {"vertexAiSearch": {}}}]}), vertex),
            (json!({"tools": [{"exaAiSearch": {}}]}), vertex),
        ] {
            assert_eq!(kinds_of(&call(Operation::Stream, request.clone())), kinds, "{request}");
        }
        assert_eq!(kinds_of(&call(Operation::Embed, json!({}))), Kinds::only(Kind::ApiKey).or(Kind::Vertex));
    }

    #[test]
    fn the_latest_known_signature_says_whose_the_conversation_is() {
        let signers = Signers::default();
        let note = |kind, signature: &str| {
            let text = json!({"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": signature}]}}]});
            let text = text.to_string();
            signers.note(kind, &serde_json::from_str(&text).unwrap());
        };
        let of = |signatures: &[&str]| {
            let parts: Vec<Value> = signatures.iter().map(|text| json!({"thoughtSignature": text})).collect();
            signers.of(&call(Operation::Stream, json!({"contents": [{"role": "model", "parts": parts}]})).request)
        };
        note(Kind::Vertex, "one");
        note(Kind::ApiKey, "two");
        assert_eq!(
            [of(&["one"]), of(&["one", "two"]), of(&["two", "one", "?"])].map(Option::unwrap),
            [Kind::Vertex, Kind::ApiKey, Kind::Vertex]
        );
        assert_eq!((of(&[]), of(&["three"])), (None, None));
        note(Kind::Vertex, "a+b/cw==");
        assert_eq!(of(&["a-b_cw=="]), Some(Kind::Vertex), "google-genai for Python spells base64 its own way");
        (0..MOST).for_each(|number| note(Kind::Oauth, &number.to_string()));
        assert_eq!((of(&["one"]), of(&["0"])), (None, Some(Kind::Oauth)), "the oldest is forgotten");
    }
}
