//! Forced answers: what a test makes the fake say, and how badly it says it.

use super::errors::Refusal;
use super::server::{Act, Payload, Reply};
use serde_json::{Value, json};
use std::time::Duration;

/// How a connection ends when an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// TCP reset.
    Reset,
    /// Closed without the last chunk.
    Close,
    /// A correct end of the HTTP body, in the middle of the content.
    Clean,
}

/// Where an answer is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Bytes(usize, End),
    Events(usize, End),
}

#[derive(Clone, Debug)]
enum Kind {
    /// The default answer (with this step's waits, cuts and splits).
    Default,
    Body {
        status: u16,
        content_type: &'static str,
        body: Vec<u8>,
    },
    Refused(Refusal),
    /// Inner answer.
    Unary(Value),
    /// Inner events.
    Events(Vec<Value>),
    /// Body bytes of a 200 event stream, as they are.
    Raw(Vec<u8>),
}

/// One scripted answer. Without [`Step::on`] it is for generations only.
#[derive(Clone, Debug)]
pub struct Step {
    kind: Kind,
    op: Option<String>,
    model: Option<String>,
    headers: Vec<(String, String)>,
    before: Vec<Act>,
    every: Duration,
    hold_after: Option<usize>,
    newline: &'static str,
    split: Option<usize>,
    together: bool,
    cut: Option<Cut>,
    final_blank_line: bool,
    in_array: bool,
}

impl Step {
    fn of(kind: Kind) -> Step {
        Step {
            kind,
            op: None,
            model: None,
            headers: Vec::new(),
            before: Vec::new(),
            every: Duration::ZERO,
            hold_after: None,
            newline: "\r\n",
            split: None,
            together: false,
            cut: None,
            final_blank_line: true,
            in_array: false,
        }
    }

    /// The default answer, to be combined with waits and cuts.
    pub fn default_answer() -> Step {
        Step::of(Kind::Default)
    }

    /// One inner answer (wrapped for Code Assist; one event on a stream).
    pub fn answer(inner: Value) -> Step {
        Step::of(Kind::Unary(inner))
    }

    /// A plain text answer with usage.
    pub fn text(text: &str) -> Step {
        Step::answer(json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
        }))
    }

    /// Inner events in order. One that has `error` at its top goes out unwrapped. Merged when asked for one answer.
    pub fn stream(events: Vec<Value>) -> Step {
        Step::of(Kind::Events(events))
    }

    /// A 200 event stream with exactly these bytes.
    pub fn raw_stream(body: impl Into<Vec<u8>>) -> Step {
        Step::of(Kind::Raw(body.into()))
    }

    /// One text event of at least `bytes` bytes, then STOP.
    pub fn huge_event(bytes: usize) -> Step {
        Step::answer(json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": "x".repeat(bytes)}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": bytes / 4, "totalTokenCount": 5 + bytes / 4},
        }))
    }

    /// Any status with any JSON body.
    pub fn json(status: u16, body: Value) -> Step {
        let body = serde_json::to_vec_pretty(&body).expect("a Value always prints");
        Step::of(Kind::Body { status, content_type: "application/json; charset=UTF-8", body })
    }

    /// Any status with any text, which may be JSON.
    pub fn body(status: u16, body: impl AsRef<[u8]>) -> Step {
        let body = body.as_ref().to_vec();
        let content_type =
            if body.starts_with(b"<") { "text/html; charset=UTF-8" } else { "application/json; charset=UTF-8" };
        Step::of(Kind::Body { status, content_type, body })
    }

    /// A google.rpc error without details.
    pub fn status(status: u16, message: &str) -> Step {
        Step::of(Kind::Refused(Refusal::new(status, message)))
    }

    pub fn refusal(refusal: Refusal) -> Step {
        Step::of(Kind::Refused(refusal))
    }

    /// A front-end page.
    pub fn html(status: u16) -> Step {
        let reply =
            Reply::html(status, "The server encountered a temporary error and could not complete your request.");
        let body = match reply.body {
            Payload::Whole(body) => body,
            Payload::Chunked(_) => Vec::new(),
        };
        Step::of(Kind::Body { status, content_type: "text/html; charset=UTF-8", body })
    }

    /// An answer of the token endpoint that failed: `{"error", "error_description"}`.
    pub fn oauth_error(status: u16, error: &str, description: &str) -> Step {
        Step::json(status, json!({"error": error, "error_description": description})).on("token")
    }

    /// Connection reset before any byte.
    pub fn reset() -> Step {
        Step { before: vec![Act::Reset], ..Step::default_answer() }
    }

    /// Nothing until the test releases; then the default answer.
    pub fn hang() -> Step {
        Step::default_answer().hold()
    }

    /// For this operation only: `token`, `loadCodeAssist`, `streamGenerateContent`, `countTokens`, `userinfo`, ...
    pub fn on(mut self, op: &str) -> Step {
        self.op = Some(op.into());
        self
    }

    pub fn for_model(mut self, model: &str) -> Step {
        self.model = Some(model.into());
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Step {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Silence before the head.
    pub fn after(mut self, delay: Duration) -> Step {
        self.before.push(Act::Pause(delay));
        self
    }

    /// Wait for the test before the head.
    pub fn hold(mut self) -> Step {
        self.before.push(Act::Hold);
        self
    }

    /// Pause before each event but the first.
    pub fn every(mut self, delay: Duration) -> Step {
        self.every = delay;
        self
    }

    /// Wait for the test after that many events.
    pub fn hold_after(mut self, events: usize) -> Step {
        self.hold_after = Some(events);
        self
    }

    /// Lines end in `\n` instead of `\r\n`.
    pub fn lf(mut self) -> Step {
        self.newline = "\n";
        self
    }

    /// Writes of that many bytes, wherever they fall.
    pub fn split(mut self, bytes: usize) -> Step {
        self.split = Some(bytes.max(1));
        self
    }

    /// All events in one write.
    pub fn together(mut self) -> Step {
        self.together = true;
        self
    }

    pub fn cut(mut self, cut: Cut) -> Step {
        self.cut = Some(cut);
        self
    }

    pub fn cut_after_events(self, events: usize, end: End) -> Step {
        self.cut(Cut::Events(events, end))
    }

    pub fn cut_after_bytes(self, bytes: usize, end: End) -> Step {
        self.cut(Cut::Bytes(bytes, end))
    }

    pub fn without_final_blank_line(mut self) -> Step {
        self.final_blank_line = false;
        self
    }

    /// The error body inside a JSON array.
    pub fn in_array(mut self) -> Step {
        self.in_array = true;
        self
    }

    pub fn fits(&self, op: &str, model: &str) -> bool {
        let op_fits = match &self.op {
            Some(wanted) => wanted == op,
            None => matches!(op, "generateContent" | "streamGenerateContent"),
        };
        op_fits && self.model.as_deref().is_none_or(|wanted| wanted == model)
    }

    /// The answer when it does not depend on a generation: errors, JSON bodies. `None`: the default answer is wanted.
    pub fn plain_reply(&self) -> Option<Reply> {
        let reply = match &self.kind {
            Kind::Refused(refusal) if self.in_array => Reply::json(refusal.status, &json!([refusal.body()])),
            Kind::Refused(refusal) => refusal.reply(),
            Kind::Body { status, content_type, body } => Reply::new(*status, content_type, body.clone()),
            Kind::Unary(value) => Reply::json(200, value),
            Kind::Default if self.before.is_empty() => return None,
            _ => Reply::json(200, &json!({})),
        };
        Some(self.decorate(reply))
    }

    /// The scripted error or body, if that is what this step is.
    pub fn failure(&self) -> Option<Reply> {
        match self.kind {
            Kind::Refused(_) | Kind::Body { .. } => self.plain_reply(),
            _ => None,
        }
    }

    /// The events this step wants, given the default ones.
    pub fn events(&self, default: impl FnOnce() -> Vec<Value>) -> Vec<Value> {
        match &self.kind {
            Kind::Unary(inner) => vec![inner.clone()],
            Kind::Events(events) => events.clone(),
            _ => default(),
        }
    }

    /// Whether the usual answer is held up.
    pub fn is_late(&self) -> bool {
        self.is_default() && matches!(self.before[..], [Act::Hold])
    }

    pub fn is_default(&self) -> bool {
        matches!(self.kind, Kind::Default)
    }

    pub fn decorate(&self, mut reply: Reply) -> Reply {
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply.before = self.before.clone();
        if let (Payload::Whole(body), Some(_)) = (&reply.body, self.cut) {
            let limit = self.cut_bytes().min(body.len());
            reply.body = Payload::Chunked(self.close(vec![Act::Send(body[..limit].to_vec())]));
        }
        reply
    }

    fn cut_bytes(&self) -> usize {
        match self.cut {
            Some(Cut::Bytes(bytes, _)) => bytes,
            _ => usize::MAX,
        }
    }

    fn close(&self, mut acts: Vec<Act>) -> Vec<Act> {
        match self.cut {
            Some(Cut::Bytes(_, End::Reset) | Cut::Events(_, End::Reset)) => acts.push(Act::Reset),
            Some(Cut::Bytes(_, End::Close) | Cut::Events(_, End::Close)) => acts.push(Act::Close),
            _ => {}
        }
        acts
    }

    /// Frames finished event texts (SSE or the pieces of a JSON array) as this step wants them on the wire.
    pub fn acts(&self, events: &[Value], sse: bool, pace: Duration) -> Vec<Act> {
        let every = if self.every.is_zero() { pace } else { self.every };
        let mut frames: Vec<Vec<u8>> = match &self.kind {
            Kind::Raw(body) => vec![body.clone()],
            _ => frames(events, sse, self.newline, self.final_blank_line),
        };
        if let Some(Cut::Events(count, _)) = self.cut {
            frames.truncate(count);
        }
        if self.together {
            frames = vec![frames.concat()];
        }
        let mut left = self.cut_bytes();
        let mut acts = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            if at > 0 && !every.is_zero() {
                acts.push(Act::Pause(every));
            }
            if self.hold_after == Some(at) {
                acts.push(Act::Hold);
            }
            let frame = &frame[..frame.len().min(left)];
            left -= frame.len();
            acts.extend(frame.chunks(self.split.unwrap_or(usize::MAX)).map(|piece| Act::Send(piece.to_vec())));
        }
        if self.hold_after.is_some_and(|events| events >= frames.len()) {
            acts.push(Act::Hold);
        }
        self.close(acts)
    }
}

fn frames(events: &[Value], sse: bool, newline: &str, final_blank_line: bool) -> Vec<Vec<u8>> {
    let last = events.len().saturating_sub(1);
    let frame = |(at, event): (usize, &Value)| match sse {
        true if at == last && !final_blank_line => format!("data: {event}").into_bytes(),
        true => format!("data: {event}{newline}{newline}").into_bytes(),
        false => {
            let open = if at == 0 { "[" } else { ",\r\n" };
            let close = if at == last { "]" } else { "" };
            format!("{open}{event:#}{close}").into_bytes()
        }
    };
    let frames: Vec<Vec<u8>> = events.iter().enumerate().map(frame).collect();
    if frames.is_empty() && !sse { vec![b"[]".to_vec()] } else { frames }
}
