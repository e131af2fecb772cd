//! Thought signatures on their way to clients and back: the cache for clients that drop them, and the envelope in which
//! dialects carry one apart from the part it signs. Where one goes in a request is decided by [`Signatures::sign`].
//!
//! What Google wants: a signature returns byte by byte on the part it came with, on no second one, and only to the family
//! of models that made it.

use super::Context;
use super::history::{Call, ModelTurn, Said};
use super::shape;
use crate::gemini::Part;
use crate::gemini::signatures::{SignatureCache, family, plausible};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Begins every envelope of ours; what other vendors carry in the same fields is left alone.
const PREFIX: &str = "g1.";
/// Longer arguments are not remembered.
const MAX_ARGS: usize = 32 << 10;
/// Carries a signature in a call id, in histories that other proxies made.
const ID_MARK: &str = "__thought__";

/// The signatures of one client for one family of models.
#[derive(Clone)]
pub struct Signatures {
    cache: Arc<SignatureCache>,
    key_name: String,
    family: String,
    /// Older models do not check signatures; what the client gives back is enough for them.
    is_checked: bool,
    /// The family that the next request is for, where the answer has told that it is another one.
    next: Arc<RwLock<Option<String>>>,
}

/// What a signature belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The call of this id, else the next one behind the carrier.
    Call(Option<String>),
    /// The last text of the turn.
    Text,
}

/// What the parts of Google's own tools stand before.
pub(crate) enum Anchor<'a> {
    /// The call of this id.
    Call(&'a str),
    /// All the text of the turn, and what the user said before it: many answers are the same few words.
    Text { question: &'a str, text: &'a str },
}

impl Anchor<'_> {
    /// The name in the memory, which no id of a call has. Clients trim texts.
    fn key(&self) -> String {
        match self {
            Anchor::Call(id) => format!("invoked before {id}"),
            Anchor::Text { question, text } => format!("invoked for {question:?}: {}", text.trim()),
        }
    }
}

/// A signature as it is carried apart from its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What it belongs to.
    pub signed: Signed,
    /// The family of models it is good for.
    pub family: String,
    /// Google's own text.
    pub signature: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "k")]
    kind: String,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(rename = "f")]
    family: String,
    #[serde(rename = "s")]
    signature: String,
}

impl Carried {
    /// The text to carry it in; clients give it back as it is.
    pub fn write(&self) -> String {
        let (kind, call) = match &self.signed {
            Signed::Call(id) => ("fc", id.clone()),
            Signed::Text => ("text", None),
        };
        let envelope =
            Envelope { kind: kind.into(), call, family: self.family.clone(), signature: self.signature.clone() };
        // Four texts: nothing that could fail.
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&envelope).unwrap_or_default()))
    }

    /// Reads what [`Carried::write`] wrote; `None` for anything else.
    pub fn read(text: &str) -> Option<Carried> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let envelope: Envelope = serde_json::from_slice(&bytes).ok()?;
        let signed = match envelope.kind.as_str() {
            "fc" => Signed::Call(envelope.call),
            "text" => Signed::Text,
            _ => return None,
        };
        plausible(&envelope.signature).then_some(Carried {
            signed,
            family: envelope.family,
            signature: envelope.signature,
        })
    }
}

/// An id and the signature another proxy hid in it.
pub fn split_id(id: String) -> (String, Option<String>) {
    match id.split_once(ID_MARK) {
        Some((id, hidden)) => (id.to_owned(), Some(hidden.to_owned()).filter(|hidden| plausible(hidden))),
        None => (id, None),
    }
}

impl Signatures {
    /// Those of the client in `context` for `model`; `is_checked`: Google refuses calls without theirs.
    pub fn new(context: &Context<'_>, model: &str, is_checked: bool) -> Signatures {
        Signatures {
            cache: Arc::clone(context.signatures),
            key_name: context.key_name.to_owned(),
            family: family(model).to_owned(),
            is_checked,
            next: Arc::default(),
        }
    }

    /// What is remembered and carried of this answer comes back in requests for this model.
    pub(crate) fn made_for(&self, model: &str) {
        *self.next.write() = Some(family(model).to_owned()).filter(|family| *family != self.family);
    }

    fn next_family(&self) -> String {
        self.next.read().clone().unwrap_or_else(|| self.family.clone())
    }

    /// Whether requests for it will be checked. Only newer models are led to.
    fn is_checked_next(&self) -> bool {
        self.is_checked || self.next.read().is_some()
    }

    /// Remembers the signature of a call that is given to the client under `id`, and the arguments it was made for: clients
    /// put defaults in and leave out what they do not know, and Google takes the signature for corrupted then.
    pub(crate) fn remember(&self, id: &str, signature: &str, args: Option<&str>) {
        let family = self.next_family();
        self.cache.put(&self.key_name, id, &family, signature);
        if let Some(args) = args.filter(|args| self.is_checked_next() && args.len() <= MAX_ARGS) {
            self.cache.put_text(&self.key_name, &args_key(id), &family, args);
            if let Some(shape) = serde_json::from_str(args).ok().and_then(|args| shape::of(&args, id)) {
                self.cache.put(&self.key_name, &shape_key(id), &family, &shape);
            }
        }
    }

    /// The arguments as the model wrote them, unless the client says something else.
    fn restore_args(&self, call: &mut Call) {
        let Some(id) = call.id.as_deref() else { return };
        let get = |name: String| self.cache.get(&self.key_name, &name, &self.family);
        let restored = match get(args_key(id)) {
            Some(args) => serde_json::from_str(&args).ok().filter(|args| agree(args, &call.args)),
            // After a restart there is no text any more.
            None => get(shape_key(id)).and_then(|shape| shape::restore(&call.args, &shape, id)),
        };
        if let Some(args) = restored {
            call.args = args;
        }
    }

    /// Remembers what Google's own tools did before something that is given to the client; `parts` is their JSON.
    pub(crate) fn remember_invoked(&self, anchor: &Anchor<'_>, parts: &str) {
        self.cache.put_text(&self.key_name, &anchor.key(), &self.next_family(), parts);
    }

    /// Puts what Google's own tools did back where it was.
    pub(super) fn restore_invoked(&self, question: &str, turn: &mut ModelTurn) {
        let text: String = turn.said.iter().filter_map(Said::text).collect();
        let mut before_text = self.invoked(&Anchor::Text { question, text: &text });
        for said in std::mem::take(&mut turn.said) {
            let parts = match &said {
                Said::Call(Call { id: Some(id), .. }) => self.invoked(&Anchor::Call(id)),
                said if said.text().is_some() => std::mem::take(&mut before_text),
                _ => Vec::new(),
            };
            turn.said.extend(parts.into_iter().map(Said::from));
            turn.said.push(said);
        }
    }

    fn invoked(&self, anchor: &Anchor<'_>) -> Vec<Part> {
        let parts = self.cache.get(&self.key_name, &anchor.key(), &self.family);
        parts.and_then(|parts| serde_json::from_str(&parts).ok()).unwrap_or_default()
    }

    /// A signature of this answer, to be carried apart from what it belongs to.
    pub fn carry(&self, signed: Signed, signature: &str) -> String {
        Carried { signed, family: self.next_family(), signature: signature.to_owned() }.write()
    }

    /// Has those of calls that came without one, wherever they are remembered.
    pub(super) fn fetch<'a>(&self, calls: impl Iterator<Item = &'a Call>) {
        if self.is_checked {
            let ids = calls.filter(|call| call.signature.is_none()).filter_map(|call| call.id.as_deref());
            self.cache.fetch(&self.key_name, ids.flat_map(|id| [id.to_owned(), shape_key(id)]));
        }
    }

    /// Puts every signature of a turn where it belongs: a call's own, then those carried apart, then those of the whole
    /// turn, then those of the cache. None is used twice, because Google takes a second one for corrupted.
    pub(super) fn sign(&self, turn: &mut ModelTurn) {
        let mut used = HashSet::new();
        for call in turn.calls_mut() {
            let id = call.id.as_deref().unwrap_or_default();
            // A name may lead to another model since.
            let is_good = |signature: &str| {
                !self.is_checked || !self.cache.is_of_others(&self.key_name, id, &self.family, signature)
            };
            call.signature =
                call.signature.take().filter(|signature| is_good(signature) && used.insert(signature.clone()));
        }
        self.sign_carried(turn, &mut used);
        let loose = std::mem::take(&mut turn.signatures);
        let mut loose = loose.into_iter().filter(|signature| used.insert(signature.clone()));
        if let Some(first) = turn.calls_mut().next().filter(|first| first.signature.is_none()) {
            first.signature = loose.next();
        }
        for call in turn.calls_mut().filter(|call| self.is_checked && call.signature.is_none()) {
            call.signature = call.id.as_deref().and_then(|id| self.cache.get(&self.key_name, id, &self.family));
        }
        for call in turn.calls_mut().filter(|call| self.is_checked && call.signature.is_some()) {
            self.restore_args(call);
        }
        if let Some(text) = last_text(turn).filter(|text| text.thought_signature.is_none()) {
            text.thought_signature = loose.next();
        }
    }

    /// Whether a signature of `family` is good here: the same one, or all of a generation (`gemini-3`).
    fn is_of(&self, family: &str) -> bool {
        self.family.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    }

    fn sign_carried(&self, turn: &mut ModelTurn, used: &mut HashSet<String>) {
        for place in 0..turn.said.len() {
            let Said::Signature(carried) = &turn.said[place] else { continue };
            if !self.is_of(&carried.family) || !used.insert(carried.signature.clone()) {
                continue;
            }
            let Carried { signed, signature, .. } = carried.clone();
            let slot = match signed {
                Signed::Text => last_text(turn).map(|part| &mut part.thought_signature),
                Signed::Call(id) => signed_call(turn, place, id.as_deref()),
            };
            if let Some(slot) = slot.filter(|slot| slot.is_none()) {
                *slot = Some(signature);
            }
        }
        turn.said.retain(|said| !matches!(said, Said::Signature(_)));
    }
}

/// The name in the memory, which no id of a call has.
fn args_key(id: &str) -> String {
    format!("arguments of {id}")
}

fn shape_key(id: &str) -> String {
    format!("shape of {id}")
}

/// Whether two values say the same where both say something.
fn agree(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(name, value)| other.get(name).is_none_or(|theirs| agree(value, theirs)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| agree(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn last_text(turn: &mut ModelTurn) -> Option<&mut Part> {
    turn.said.iter_mut().rev().find_map(|said| match said {
        Said::Part(part) if part.text.is_some() => Some(&mut **part),
        _ => None,
    })
}

/// The call with this id, else the next one behind `place`.
fn signed_call<'a>(turn: &'a mut ModelTurn, place: usize, id: Option<&str>) -> Option<&'a mut Option<String>> {
    let calls = || turn.said.iter().enumerate().filter(|(_, said)| matches!(said, Said::Call(_)));
    let has_id = |said: &Said| matches!(said, Said::Call(call) if call.id.as_deref() == id);
    let named = id.and_then(|_| calls().find(|(_, said)| has_id(said)));
    let (index, _) = named.or_else(|| calls().find(|(index, _)| *index > place))?;
    match &mut turn.said[index] {
        Said::Call(call) => Some(&mut call.signature),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn signatures() -> Signatures {
        Signatures {
            cache: Arc::new(SignatureCache::new(1 << 20, Duration::from_secs(3600))),
            key_name: "key-1".into(),
            next: Arc::default(),
            family: "gemini-3-flash".into(),
            is_checked: true,
        }
    }

    fn call(id: &str, signature: Option<&str>) -> Said {
        Said::Call(Call { id: Some(id.into()), signature: signature.map(str::to_owned), ..Call::default() })
    }

    fn carried(signed: Signed, family: &str, signature: &str) -> Said {
        let text = Carried { signed, family: family.into(), signature: signature.into() }.write();
        Said::Signature(Carried::read(&text).unwrap())
    }

    /// The signatures of a turn after signing, in its order.
    fn signed(said: Vec<Said>, loose: &[&str], signatures: &Signatures) -> Vec<Option<String>> {
        let loose = loose.iter().map(|signature| signature.to_string()).collect();
        let mut turn = ModelTurn { said, signatures: loose, nameless: Vec::new() };
        signatures.sign(&mut turn);
        let of = |said: &Said| match said {
            Said::Part(part) => part.thought_signature.clone(),
            Said::Call(call) => call.signature.clone(),
            Said::Signature(_) => panic!("a carrier is no part"),
        };
        turn.said.iter().map(of).collect()
    }

    #[test]
    fn an_envelope_comes_back_as_it_was_and_foreign_texts_say_nothing() {
        for signed in [Signed::Call(Some("call_1".into())), Signed::Call(None), Signed::Text] {
            let carried = Carried { signed, family: "gemini-3-flash".into(), signature: "U0lH".into() };
            assert_eq!(Carried::read(&carried.write()), Some(carried));
        }
        for text in ["", "g1.", "g1.e30", "gAAAAABo", "g2.eyJrIjoiZmMifQ"] {
            assert_eq!(Carried::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_carried_signature_finds_its_call_or_text() {
        let signatures = signatures();
        let family = "gemini-3-flash";
        let some = |text: &str| Some(text.to_owned());
        let by_id = Signed::Call(Some("b".into()));
        let said = vec![carried(by_id, family, "QUFB"), call("a", None), call("b", None)];
        assert_eq!(signed(said, &[], &signatures), [None, some("QUFB")]);
        let lost = Signed::Call(Some("renamed".into()));
        let said = vec![call("a", None), carried(lost, family, "QUFB"), call("b", None)];
        assert_eq!(signed(said, &[], &signatures), [None, some("QUFB")]);
        let said = vec![carried(Signed::Text, family, "QUFB"), Part::text("x").into(), call("a", None)];
        assert_eq!(signed(said, &[], &signatures), [some("QUFB"), None]);
        let said = vec![carried(Signed::Call(None), "gemini-2.5-pro", "QUFB"), call("a", None)];
        assert_eq!(signed(said, &[], &signatures), [None], "another family's");
    }

    #[test]
    fn no_signature_is_used_twice() {
        let signatures = signatures();
        let some = |text: &str| Some(text.to_owned());
        let said = vec![Part::text("x").into(), call("a", Some("QUFB")), call("b", Some("QUFB"))];
        assert_eq!(signed(said, &["QUFB", "QkJC"], &signatures), [some("QkJC"), some("QUFB"), None]);
        signatures.remember("b", "Q0ND", None);
        let said = vec![call("a", None), call("b", None)];
        assert_eq!(signed(said, &["QUFB"], &signatures), [some("QUFB"), some("Q0ND")]);
    }
}
