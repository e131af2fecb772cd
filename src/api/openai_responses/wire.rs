//! Events as they go out, one after the other.

use crate::api::frame;
use serde::Serialize;
use serde_json::Value;

/// Where events are written, with their numbers.
#[derive(Default)]
pub(super) struct Wire {
    /// Nobody reads events.
    pub is_silent: bool,
    sequence: u64,
}

/// An event about a text that is complete, or begins.
#[derive(Serialize)]
pub(super) struct Piece<'a> {
    pub item_id: &'a str,
    pub output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<&'a [Value]>,
}

impl Wire {
    /// Whether an event is out.
    pub(super) fn has_begun(&self) -> bool {
        self.sequence > 0
    }

    pub(super) fn event<T: Serialize + ?Sized>(&mut self, name: &str, fields: &T, out: &mut Vec<u8>) {
        if self.is_silent {
            return;
        }
        let sequence = self.sequence;
        self.sequence += 1;
        let head =
            format!("event: response.{name}\ndata: {{\"type\":\"response.{name}\",\"sequence_number\":{sequence}");
        out.extend_from_slice(head.as_bytes());
        let start = out.len();
        frame::json(fields, out);
        // All have a field: its brace becomes the comma behind ours.
        out[start] = b',';
        out.extend_from_slice(b"\n\n");
    }

    /// A piece of a text, whose event begins with `head` up to its number.
    pub(super) fn say(&mut self, head: &[u8], text: &str, logprobs: Option<&[Value]>, out: &mut Vec<u8>) {
        if self.is_silent {
            return;
        }
        out.extend_from_slice(head);
        frame::json(&self.sequence, out);
        self.sequence += 1;
        out.extend_from_slice(b",\"delta\":");
        frame::json(text, out);
        if let Some(logprobs) = logprobs {
            out.extend_from_slice(b",\"logprobs\":");
            frame::json(logprobs, out);
        }
        out.extend_from_slice(b"}\n\n");
    }
}
