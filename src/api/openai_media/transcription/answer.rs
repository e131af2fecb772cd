//! A transcript of Google's in one of OpenAI's formats, or as a stream of texts.

use super::layout::{self, Format, Transcript, Word};
use crate::api::openai::error;
use crate::api::openai_media::outcome::{self, Outcome};
use crate::api::{Translator, frame};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::{Response, UsageMetadata};
use serde_json::{Value, json};

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

impl Answer {
    pub fn new(wanted: Wanted) -> Answer {
        let language = wanted.language.clone();
        let transcript = Transcript { language, duration: wanted.duration, ..Transcript::default() };
        Answer { wanted, transcript, has_sent: false, outcome: Outcome::default() }
    }

    /// Takes a part, of which [`Response`] does not read the transcription; returns its text.
    fn said<'a>(&mut self, part: &'a Value) -> &'a str {
        let transcription = &part["transcription"];
        let text = |name: &str| transcription[name].as_str().map(str::to_owned);
        let said = part["text"].as_str().or(transcription["text"].as_str()).unwrap_or_default();
        // OpenAI's and its clients' codes say nothing of the region.
        let code = || text("languageCode").map(|code| code.split('-').next().unwrap_or_default().to_ascii_lowercase());
        self.transcript.language = self.transcript.language.take().or_else(code);
        for timed in transcription["words"].as_array().into_iter().flatten() {
            let (start, end) = (seconds(&timed["startOffset"]), seconds(&timed["endOffset"]));
            self.transcript.words.push(Word {
                text: timed["word"].as_str().unwrap_or_default().to_owned(),
                start,
                end: end.max(start),
                speaker: text("speakerLabel"),
            });
        }
        self.transcript.text.push_str(said);
        said
    }
}

/// `1.5s`; nothing is the beginning.
fn seconds(offset: &Value) -> f64 {
    let number = offset.as_str().map(|offset| offset.trim_end_matches('s').parse::<f64>());
    number.and_then(Result::ok).filter(|number| number.is_finite() && *number >= 0.0).unwrap_or(0.0)
}

impl Translator for Answer {
    fn event(&mut self, json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.outcome.event(event);
        let read: Value = serde_json::from_str(json)
            .map_err(|_| ApiError::server(502, "upstream_invalid", "upstream: the transcript cannot be read"))?;
        let parts = read["candidates"][0]["content"]["parts"].as_array().into_iter().flatten();
        for part in parts.filter(|part| part["thought"] != true) {
            let delta = self.said(part);
            if self.wanted.stream && !delta.is_empty() {
                self.has_sent = true;
                frame::event(&json!({"type": "transcript.text.delta", "delta": delta}), out);
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
            frame::event(&json!({"type": "transcript.text.done", "text": text, "usage": usage}), out);
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
        let heard = outcome::of(&self.outcome.usage.prompt_tokens_details, "AUDIO");
        let audio_ms = self.transcript.seconds(heard).map_or(0, |seconds| (seconds * 1000.0).round() as u64);
        UsageMetadata { audio_ms, ..self.outcome.usage.clone() }
    }
}

fn usage(usage: &UsageMetadata) -> Value {
    let input = usage.prompt_token_count.unwrap_or(0);
    let heard = outcome::of(&usage.prompt_tokens_details, "AUDIO");
    let output = usage.candidates_token_count.unwrap_or(0) + usage.thoughts_token_count.unwrap_or(0);
    json!({
        "type": "tokens", "input_tokens": input, "output_tokens": output,
        "total_tokens": usage.total_token_count.unwrap_or(input + output),
        "input_token_details": {"audio_tokens": heard, "text_tokens": input.saturating_sub(heard)},
    })
}
