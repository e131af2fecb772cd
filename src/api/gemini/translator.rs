//! Upstream events to native answers: the text itself, framed as the client asked.

use super::error::error_body;
use crate::api::{Framing, Translator};
use crate::error::ApiError;
use crate::gemini::{Response, UsageMetadata};
use crate::sse;

/// The native translator.
pub struct Native {
    framing: Framing,
    /// Whether the answer must end with a finish reason (`countTokens` and embeddings have none).
    generates: bool,
    document: Vec<u8>,
    events: usize,
    finished: bool,
    usage: UsageMetadata,
}

impl Native {
    /// For one attempt.
    pub fn new(framing: Framing, generates: bool) -> Native {
        Native { framing, generates, document: Vec::new(), events: 0, finished: false, usage: UsageMetadata::default() }
    }

    fn element(&mut self, json: &str, out: &mut Vec<u8>) {
        match self.framing {
            Framing::Whole | Framing::Bytes => {
                self.document.clear();
                self.document.extend_from_slice(json.as_bytes());
            }
            Framing::Events => sse::frame(json, out),
            Framing::Array => {
                out.extend_from_slice(if self.events == 0 { b"[" } else { b",\r\n" });
                out.extend_from_slice(json.as_bytes());
            }
        }
        self.events += 1;
    }
}

impl Translator for Native {
    fn event(&mut self, json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if let Some(usage) = &event.usage_metadata {
            self.usage.merge(usage);
        }
        self.finished |= event.candidates.iter().any(|candidate| candidate.finish_reason.is_some())
            || event.prompt_feedback.as_ref().is_some_and(|feedback| feedback.word().is_some());
        self.element(json, out);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.events == 0 {
            return Err(ApiError::server(502, "empty_response", "upstream: the answer was empty"));
        }
        if self.generates && !self.finished && self.framing != Framing::Whole {
            return Err(ApiError::server(502, "upstream_incomplete", "upstream: the answer broke off before its end"));
        }
        match self.framing {
            Framing::Whole | Framing::Bytes => out.append(&mut self.document),
            Framing::Events => {}
            Framing::Array => out.extend_from_slice(b"]"),
        }
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let json = error_body(error).to_string();
        self.element(&json, out);
        if self.framing == Framing::Array {
            out.extend_from_slice(b"]");
        }
    }

    fn retryable(&self, error: &ApiError) -> bool {
        error.code() == Some("empty_response")
    }

    fn keeps(&self) -> usize {
        usize::from(self.framing == Framing::Whole)
    }

    fn usage(&self) -> UsageMetadata {
        self.usage.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HI: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"x":1}"#;
    const STOP: &str = r#"{"candidates":[{"finishReason":"STOP"}]}"#;

    fn run(framing: Framing, events: &[&str]) -> (String, Result<(), ApiError>) {
        let mut translator = Native::new(framing, true);
        let mut out = Vec::new();
        for json in events {
            translator.event(json, &serde_json::from_str(json).unwrap(), &mut out).unwrap();
        }
        let end = translator.end(&mut out);
        (String::from_utf8(out).unwrap(), end)
    }

    #[test]
    fn events_and_arrays_carry_the_text_unchanged() {
        assert_eq!(run(Framing::Events, &[HI, STOP]).0, format!("data: {HI}\n\ndata: {STOP}\n\n"));
        assert_eq!(run(Framing::Array, &[HI, STOP]).0, format!("[{HI},\r\n{STOP}]"));
        assert_eq!(run(Framing::Whole, &[HI]), (HI.to_owned(), Ok(())));
    }

    #[test]
    fn a_stream_without_a_finish_reason_is_broken() {
        assert_eq!(run(Framing::Events, &[HI]).1.unwrap_err().code(), Some("upstream_incomplete"));
        assert_eq!(run(Framing::Events, &[]).1.unwrap_err().code(), Some("empty_response"));
        assert!(run(Framing::Events, &[r#"{"promptFeedback":{"blockReason":"OTHER"}}"#]).1.is_ok());
    }

    #[test]
    fn an_error_closes_a_growing_array() {
        let mut translator = Native::new(Framing::Array, true);
        let mut out = Vec::new();
        translator.event(HI, &serde_json::from_str(HI).unwrap(), &mut out).unwrap();
        translator.fail(&ApiError::server(503, "overloaded", "busy"), &mut out);
        let array: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(array[1]["error"]["status"], "UNAVAILABLE");
    }
}
