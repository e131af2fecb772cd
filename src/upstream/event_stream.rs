//! A good answer of Google: its events, one by one, without the envelope the service puts around them.

use super::error::{Fault, Refusal};
use super::round_trip;
use super::{cancel, coding};
use crate::gemini::{self, Tier, surrogates, weight};
use crate::sse::{EventReader, ReadError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use ureq::Body;
use ureq::http::Response;

/// What stands in an event that tells of an error. In a text of the model's the second quote would be escaped.
const ERROR: &str = "\"error\"";

/// Read at once from the HTTP client, which has buffered it already, hands over what has arrived and waits for no more.
const BUFFER: usize = 1 << 10;

/// One event of an answer; an answer that does not stream is one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event as it came; a large one is never copied.
    text: String,
    /// Where in it the public API's response stands.
    inner: Range<usize>,
    /// Code Assist's id of the answer.
    pub trace_id: Option<String>,
    /// The body ended in it.
    is_cut: bool,
}

impl Event {
    /// What it says. Fails for text that is no JSON, or no answer.
    pub fn read(&self) -> Result<gemini::Response<'_>, Fault> {
        serde_json::from_str(self.json()).map_err(|error| match self.is_cut {
            true => cut(),
            false => no_json(&error),
        })
    }

    /// The JSON text in the public API's shape, without envelope. Lone surrogate escapes are marked
    /// ([`surrogates::mark`]).
    pub fn json(&self) -> &str {
        &self.text[self.inner.clone()]
    }

    /// An event of this program's own, in JSON without an envelope.
    pub fn new(text: String) -> Event {
        Event { inner: 0..text.len(), text, trace_id: None, is_cut: false }
    }

    /// The event with another text.
    pub fn with_json(self, text: String) -> Event {
        Event { trace_id: self.trace_id, ..Event::new(text) }
    }
}

/// What the events of an answer are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// Code Assist's `{"response": ..., "traceId": ...}`.
    Envelope,
    /// Nothing.
    Bare,
}

/// An answer whose head was good.
pub struct EventStream {
    events: EventReader<Box<dyn BufRead + Send>>,
    wrapping: Wrapping,
    /// The answer streams: an envelope without a response says nothing.
    streams: bool,
    any: bool,
    /// The capacity that serves it, by the head of the answer.
    tier: Option<Tier>,
    /// What it was made from; it goes with the answer.
    #[cfg(feature = "media")]
    _files: Option<Box<super::files::Files>>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("wrapping", &self.wrapping).field("streams", &self.streams).finish()
    }
}

impl EventStream {
    /// Takes a response, or the failure its head or body says.
    pub(super) fn read(response: Response<Body>, wrapping: Wrapping, streams: bool) -> Result<EventStream, Fault> {
        if response.status() != 200 {
            return Err(round_trip::refusal(response));
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        if header("content-type").starts_with("text/html") {
            return Err(Fault::Invalid("it is an HTML page".into()));
        }
        let tier = Some(header(Tier::HEADER)).filter(|word| !word.is_empty()).map(Tier::read);
        let body = coding::undo(response)?;
        Ok(EventStream {
            tier,
            ..EventStream::new(Box::new(BufReader::with_capacity(BUFFER, body)), wrapping, streams)
        })
    }

    pub(super) fn new(source: Box<dyn BufRead + Send>, wrapping: Wrapping, streams: bool) -> EventStream {
        EventStream {
            events: EventReader::new(source),
            wrapping,
            streams,
            any: false,
            tier: None,
            #[cfg(feature = "media")]
            _files: None,
        }
    }

    /// The same, which takes these files away in the end.
    #[cfg(feature = "media")]
    pub(super) fn holding(self, files: super::files::Files) -> EventStream {
        EventStream { _files: Some(Box::new(files)), ..self }
    }

    /// The capacity that serves it, where the head of the answer says so.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// Waits for the next event. `None` is a proper end of the body; whether the answer was complete shows in its finish
    /// reason only.
    pub fn next_event(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            let text = match self.events.next_event() {
                Ok(Some(text)) => text,
                Ok(None) if self.any => return Ok(None),
                Ok(None) => return Err(Fault::Incomplete("it is empty".into())),
                Err(ReadError::Io(error)) => return Err(round_trip::body_fault(error)),
                Err(ReadError::NoRoom) => return Err(Fault::NoRoom),
                Err(error @ ReadError::TooLong(_)) => return Err(Fault::Invalid(error.to_string())),
            };
            if cancel::cancelled() {
                return Err(Fault::Cancelled);
            }
            if !weight::is_sensible(text.as_bytes()) {
                return Err(Fault::Invalid("an event holds too many JSON values for its size".into()));
            }
            match self.unwrap(text) {
                Ok(Some(event)) => {
                    self.any = true;
                    return Ok(Some(event));
                }
                Ok(None) => self.any = true,
                Err(Fault::Invalid(_)) if self.events.was_cut() => return Err(cut()),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Takes the envelope off. `None`: an event that says nothing. The first event is proved to be JSON, because another
    /// credential may answer instead; of those that follow without an envelope, [`Event::read`] learns it.
    #[inline(never)] // What it needs of the stack would be kept by each stream while it waits.
    fn unwrap(&self, text: String) -> Result<Option<Event>, Fault> {
        if self.any && self.wrapping == Wrapping::Bare && text.starts_with('{') && !text.contains(ERROR) {
            return Ok(Some(self.marked(0..text.len(), text, None)));
        }
        let probe: Probe<'_> = match serde_json::from_str(&text) {
            Ok(probe) => probe,
            // An array or scalar that is JSON, but no event.
            Err(error) if error.is_data() => {
                if let Ok([first]) = serde_json::from_str::<[Probe<'_>; 1]>(&text)
                    && first.error.is_some()
                {
                    return Err(Refusal::within(text.as_bytes()).fault());
                }
                return Err(Fault::Invalid("an event is no object".into()));
            }
            Err(error) => return Err(no_json(&error)),
        };
        if probe.error.is_some_and(|error| error.get() != "null") {
            return Err(Refusal::within(text.as_bytes()).fault());
        }
        let trace_id = probe.trace_id.map(Cow::into_owned);
        let inner = match (self.wrapping, probe.response) {
            (Wrapping::Envelope, Some(response)) => {
                // `response` is a piece of `text`.
                let begin = response.get().as_ptr() as usize - text.as_ptr() as usize;
                begin..begin + response.get().len()
            }
            (Wrapping::Envelope, None) if probe.candidates.is_none() && self.streams => return Ok(None),
            (Wrapping::Envelope, None) if probe.candidates.is_none() => {
                return Ok(Some(Event { trace_id, ..Event::new("{}".into()) }));
            }
            _ => 0..text.len(),
        };
        Ok(Some(self.marked(inner, text, trace_id)))
    }

    /// The event that stands there in `text`, its lone surrogates marked.
    fn marked(&self, inner: Range<usize>, text: String, trace_id: Option<String>) -> Event {
        let is_cut = self.events.was_cut();
        match surrogates::mark(&text[inner.clone()]) {
            Cow::Owned(marked) => Event { trace_id, is_cut, ..Event::new(marked) },
            Cow::Borrowed(_) => Event { text, inner, trace_id, is_cut },
        }
    }
}

fn no_json(error: &serde_json::Error) -> Fault {
    // serde's own words quote nothing of the text; position and category are enough to find the fault.
    Fault::Invalid(format!("an event is not JSON ({:?} at column {})", error.classify(), error.column()))
}

fn cut() -> Fault {
    Fault::Incomplete("its last event is cut".into())
}

/// What must be known of an event before a surface sees it. Reading it also proves that the whole text is JSON.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    #[serde(default, rename = "traceId")]
    trace_id: Option<Cow<'a, str>>,
    candidates: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(body: &str, wrapping: Wrapping, streams: bool) -> (Vec<(String, Option<String>)>, Option<Fault>) {
        let source = Box::new(Cursor::new(body.as_bytes().to_vec()));
        let mut answer = EventStream::new(source, wrapping, streams);
        let mut events = Vec::new();
        loop {
            match answer.next_event() {
                Ok(Some(event)) => match event.read().err() {
                    None => events.push((event.json().to_string(), event.trace_id)),
                    fault => return (events, fault),
                },
                Ok(None) => return (events, None),
                Err(fault) => return (events, Some(fault)),
            }
        }
    }

    #[test]
    fn the_envelope_comes_off() {
        let stream = "data: {\"response\": {\"a\":1},\"traceId\":\"t\"}\r\n\r\ndata: {\"traceId\":\"t\"}\r\n\r\n";
        let (events, fault) = read(stream, Wrapping::Envelope, true);
        assert_eq!(
            events,
            [("{\"a\":1}".to_string(), Some("t".to_string()))],
            "an event without response says nothing"
        );
        assert!(fault.is_none(), "{fault:?}");

        for (body, wrapping, expected) in [
            ("{\n \"response\": {\"a\": [1]}\n}\n", Wrapping::Envelope, "{\"a\": [1]}"),
            ("{\"traceId\":\"x\"}", Wrapping::Envelope, "{}"),
            ("{\"candidates\":[]}", Wrapping::Envelope, "{\"candidates\":[]}"),
            ("{\"totalTokens\":2}", Wrapping::Bare, "{\"totalTokens\":2}"),
            ("{}", Wrapping::Bare, "{}"),
        ] {
            let (events, fault) = read(body, wrapping, false);
            assert!(fault.is_none(), "{body}: {fault:?}");
            assert_eq!(events.iter().map(|(json, _)| json.as_str()).collect::<Vec<_>>(), [expected], "{body}");
        }
    }

    #[test]
    fn an_error_inside_a_200_is_a_refusal() {
        let error = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
        let listed = format!("[{error}]");
        for (body, before) in [
            (format!("data: {{\"a\":1}}\n\ndata: {error}\n\n"), 1),
            (format!("data: {listed}\n\n"), 0),
            (format!("data: {{}}\n\ndata: {listed}\n\n"), 1),
            (error.to_string(), 0),
            (listed, 0),
            (r#"{"error":{"status":"UNAVAILABLE"}}"#.to_string(), 0),
        ] {
            let (events, fault) = read(&body, Wrapping::Bare, true);
            assert_eq!(events.len(), before, "{body}");
            let Some(Fault::Refused(refusal)) = fault else { panic!("{body}: {fault:?}") };
            assert_eq!(refusal.status, 503, "{body}");
        }
    }

    #[test]
    fn broken_bodies_are_told_apart() {
        for (body, invalid) in [
            ("data: {\"a\":\n\n", true),
            ("data: nonsense\n\n", true),
            ("data: \u{FFFD}\n\n", true),
            ("data: 7\n\n", true),
            ("data: [{\"a\":1},{}]\n\n", true),
            ("data: {\"a\":1}\n\ndata: {\"a\":\n\n", true),
            ("data: {\"a\":1}\n\ndata: {\"a\":1}}\n\n", true),
            ("data: {\"a\":1}\n\ndata: {\"a\":", false),
            ("data: {\"a\":", false),
            ("[{\"a\":1},{\"b", false),
            ("", false),
            ("<html>\n</html>\n", false),
        ] {
            let (_, fault) = read(body, Wrapping::Bare, true);
            match fault {
                Some(Fault::Invalid(_)) => assert!(invalid, "{body}"),
                Some(Fault::Incomplete(_)) => assert!(!invalid, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }
}
