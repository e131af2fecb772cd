//! A transcript of Google's in one of OpenAI's formats, or as a stream of texts.

use super::layout::{self, Format, Transcript, Word};
use crate::api::openai::error;
use crate::api::openai_media::outcome::{self, Outcome};
use crate::api::{Translator, frame};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::{Response, UsageMetadata};
use serde::Deserialize;
use serde_json::json;

/// How the answer is to look.
#[derive(Clone)]
pub(super) struct Wanted {
    pub format: Format,
    pub stream: bool,
    pub translates: bool,
    /// The document has the words, too.
    pub has_words: bool,
    /// As the client says.
    pub language: Option<String>,
    /// As the recording says.
    pub duration: Option<f64>,
}

/// The answer so far.
pub(super) struct Answer {
    wanted: Wanted,
    transcript: Transcript,
    has_sent: bool,
    outcome: Outcome,
}

/// What [`Response`] does not read of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    candidates: Vec<Candidate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Candidate {
    content: Option<Content>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    parts: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
    transcription: Option<Said>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    text: Option<String>,
    language_code: Option<String>,
    speaker_label: Option<String>,
    words: Option<Vec<Timed>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Timed {
    word: String,
    start_offset: Option<String>,
    end_offset: Option<String>,
}

impl Answer {
    pub fn new(wanted: Wanted) -> Answer {
        let language = wanted.language.clone();
        let transcript = Transcript { language, duration: wanted.duration, ..Transcript::default() };
        Answer { wanted, transcript, has_sent: false, outcome: Outcome::default() }
    }

    fn said(&mut self, part: Part) -> String {
        let Part { text, transcription, .. } = part;
        let Said { text: own, language_code, speaker_label, words } = transcription.unwrap_or_default();
        let text = text.or(own).unwrap_or_default();
        if self.transcript.language.is_none() {
            self.transcript.language = language_code;
        }
        for timed in words.into_iter().flatten() {
            let (start, end) = (seconds(timed.start_offset.as_deref()), seconds(timed.end_offset.as_deref()));
            self.transcript.words.push(Word {
                text: timed.word,
                start,
                end: end.max(start),
                speaker: speaker_label.clone(),
            });
        }
        self.transcript.text.push_str(&text);
        text
    }
}

/// `1.5s`; nothing is the beginning.
fn seconds(offset: Option<&str>) -> f64 {
    let number = offset.map(|offset| offset.trim_end_matches('s').parse::<f64>());
    number.and_then(Result::ok).filter(|number| number.is_finite() && *number >= 0.0).unwrap_or(0.0)
}

impl Translator for Answer {
    fn event(&mut self, json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.outcome.event(event);
        let read: Event = serde_json::from_str(json)
            .map_err(|_| ApiError::server(502, "upstream_invalid", "upstream: the transcript cannot be read"))?;
        let candidate = read.candidates.into_iter().next();
        let parts = candidate.and_then(|candidate| candidate.content).unwrap_or_default().parts;
        for part in parts.into_iter().filter(|part| part.thought != Some(true)) {
            let delta = self.said(part);
            if self.wanted.stream && !delta.is_empty() {
                self.has_sent = true;
                send(&json!({"type": "transcript.text.delta", "delta": delta}), out);
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        // Silence is an answer.
        if !self.outcome.is_good() {
            return Err(self.outcome.failure("transcript", ErrorKind::InvalidRequest, ""));
        }
        let usage = usage(&self.outcome.usage);
        if self.wanted.stream {
            let text = &self.transcript.text;
            send(&json!({"type": "transcript.text.done", "text": text, "usage": usage}), out);
            return Ok(());
        }
        let heard = outcome::of(&self.outcome.usage.prompt_tokens_details, "AUDIO");
        self.transcript.measure(heard);
        layout::write(&self.transcript, &self.wanted, usage, out)
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        error::frame(error, out);
    }

    fn retryable(&self, error: &ApiError) -> bool {
        !self.has_sent && outcome::is_worth_repeating(error)
    }

    fn usage(&self) -> UsageMetadata {
        self.outcome.usage.clone()
    }
}

fn send(value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    frame::json(value, out);
    out.extend_from_slice(b"\n\n");
}

fn usage(usage: &UsageMetadata) -> serde_json::Value {
    let input = usage.prompt_token_count.unwrap_or(0);
    let heard = outcome::of(&usage.prompt_tokens_details, "AUDIO");
    let output = usage.candidates_token_count.unwrap_or(0) + usage.thoughts_token_count.unwrap_or(0);
    json!({
        "type": "tokens", "input_tokens": input, "output_tokens": output,
        "total_tokens": usage.total_token_count.unwrap_or(input + output),
        "input_token_details": {"audio_tokens": heard, "text_tokens": input.saturating_sub(heard)},
    })
}
