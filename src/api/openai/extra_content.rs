//! Google's own place in OpenAI's dialects for what those have no field for: `extra_content.google` (docs/thinking.md
//! "Signatures in chat").

use crate::api::params::{Object, take_any, take_object};
use crate::conversation::answer::{Ending, Reason, Search};
use crate::gemini::signatures;
use serde::Serialize;
use serde_json::Value;

/// Google's own place for what OpenAI has no field for: `{"google": {"thought_signature": ...}}`.
#[derive(Serialize)]
pub(crate) struct ExtraContent<'a> {
    google: Google<'a>,
}

#[derive(Default, Serialize)]
struct Google<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grounding_metadata: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url_context_metadata: Option<&'a Value>,
    #[serde(flatten)]
    reason: Option<&'a Reason>,
}

impl<'a> ExtraContent<'a> {
    pub(crate) fn new(thought_signature: &'a str) -> ExtraContent<'a> {
        ExtraContent { google: Google { thought_signature: Some(thought_signature), ..Google::default() } }
    }

    /// Why Google ended the answer; it stands beside the finish reason.
    pub(crate) fn reason(ending: &'a Ending) -> Option<ExtraContent<'a>> {
        let reason = ending.reason.as_ref()?;
        Some(ExtraContent { google: Google { reason: Some(reason), ..Google::default() } })
    }

    /// What was found, if anything was, and a signature.
    pub(crate) fn found(search: &'a Search, thought_signature: Option<&'a str>) -> Option<ExtraContent<'a>> {
        let google = Google {
            thought_signature,
            grounding_metadata: search.grounding_metadata.as_deref(),
            url_context_metadata: search.url_context_metadata.as_deref(),
            reason: None,
        };
        let is_there = google.thought_signature.is_some()
            || google.grounding_metadata.is_some()
            || google.url_context_metadata.is_some();
        is_there.then_some(ExtraContent { google })
    }
}

/// The signature in `extra_content`.
pub(crate) fn extra_content(object: &mut Object) -> Option<String> {
    within(&mut take_object(&mut take_object(object, "extra_content")?, "google")?)
}

/// The signature in an object, in either spelling.
pub(crate) fn within(object: &mut Object) -> Option<String> {
    take_any(object, &["thought_signature", "thoughtSignature"]).and_then(plausible)
}

/// A value that can be a signature.
pub(crate) fn plausible(value: Value) -> Option<String> {
    match value {
        Value::String(text) if signatures::plausible(&text) => Some(text),
        _ => None,
    }
}
