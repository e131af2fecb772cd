//! Which requests belong to one conversation, so that they go to the same credential while it can serve: Google's
//! implicit caches are per account. The result is a hash: it names nothing a client wrote, and never two clients' talks
//! alike.

use crate::api::{Affinity, Call};
use crate::http::Headers;
use sha2::{Digest, Sha256};

/// Headers in which known clients name the conversation (docs/clients.md "Open WebUI", docs/clients.md "Codex CLI",
/// docs/clients.md "Claude Code"): Open WebUI, Codex, Claude Code, and the spellings that agents built on them use.
const HEADERS: [&str; 9] = [
    "x-openwebui-chat-id",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "x-session-id",
    "conversation_id",
    "conversation-id",
    "x-conversation-id",
    "x-session-affinity",
];

/// The conversation of a call of the client with this key; `None`: any credential is as good as another.
/// [`Call::affinity`] is what the body names.
pub fn of(mode: Affinity, key: &str, headers: &Headers, call: &Call) -> Option<String> {
    let named = || {
        let header = || HEADERS.iter().find_map(|name| headers.get(name));
        let name = call.affinity.as_deref().or_else(header).map(str::trim).filter(|name| !name.is_empty())?;
        Some(hash(key, "name", name.as_bytes()))
    };
    match mode {
        Affinity::Off => None,
        Affinity::Named => named(),
        Affinity::Content => named().or_else(|| by_content(key, call)),
    }
}

/// A conversation keeps its instructions and its first user turn while it grows.
fn by_content(key: &str, call: &Call) -> Option<String> {
    let first = call.request.contents.iter().find(|content| content.role.as_deref() != Some("model"))?;
    let begin = serde_json::to_vec(&(&call.request.system_instruction, first)).ok()?;
    Some(hash(key, "content", &begin))
}

fn hash(key: &str, kind: &str, text: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [key.as_bytes(), kind.as_bytes(), text] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Operation;
    use serde_json::{Value, json};

    fn call(contents: Value, named: Option<&str>) -> Call {
        let request = json!({"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": contents});
        let request = serde_json::from_value(request).unwrap();
        Call { affinity: named.map(str::to_owned), ..Call::new("m", Operation::Generate, request) }
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        fields.iter().for_each(|(name, value)| headers.push(*name, *value));
        headers
    }

    #[test]
    fn a_conversation_is_named_by_its_body_or_a_known_header() {
        let hello = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
        let of = |mode, fields: &[(&str, &str)], named| {
            super::of(mode, "key", &headers(fields), &call(hello.clone(), named))
        };
        for name in HEADERS {
            assert!(of(Affinity::Named, &[(&name.to_uppercase(), "chat-1")], None).is_some(), "{name}");
        }
        let by_body = of(Affinity::Named, &[("session_id", "other")], Some("chat-1"));
        assert_eq!(by_body, of(Affinity::Named, &[("session_id", "chat-1")], None), "the body's name wins");
        assert_eq!(of(Affinity::Named, &[], None), None, "what names nothing rotates");
        assert_eq!(of(Affinity::Named, &[("session_id", " ")], None), None);
        assert_eq!(of(Affinity::Off, &[("session_id", "chat-1")], Some("chat-1")), None);
        assert_eq!(of(Affinity::Content, &[], Some("chat-1")), by_body);
    }

    #[test]
    fn a_growing_conversation_keeps_its_hash_and_clients_do_not_meet() {
        let first = json!({"role": "user", "parts": [{"text": "hello"}]});
        let more =
            json!([first, {"role": "model", "parts": [{"text": "hi"}]}, {"role": "user", "parts": [{"text": "x"}]}]);
        let of =
            |key, contents: &Value| super::of(Affinity::Content, key, &headers(&[]), &call(contents.clone(), None));
        let begun = of("one", &json!([first]));
        assert!(begun.is_some());
        assert_eq!(begun, of("one", &more));
        assert_ne!(begun, of("two", &more), "another client's key");
        assert_ne!(begun, of("one", &json!([{"role": "user", "parts": [{"text": "other"}]}])));
        assert_eq!(of("one", &json!([])), None);
    }
}
