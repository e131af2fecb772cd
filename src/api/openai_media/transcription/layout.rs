//! A transcript as JSON, text or subtitles. Times are Google's or there are none.

use super::answer::Wanted;
use super::seconds;
use crate::api::frame;
use crate::error::ApiError;
use serde_json::{Value, json};

/// Audio tokens of a second.
const TOKENS: f64 = 32.0;
/// The longest cue of subtitles.
const LONGEST: f64 = 7.0;
const WIDEST: usize = 84;

/// OpenAI's `response_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
    Srt,
    Vtt,
    Verbose,
    Diarized,
}

impl Format {
    pub fn read(word: &str) -> Option<Format> {
        Some(match word {
            "json" => Format::Json,
            "text" => Format::Text,
            "srt" => Format::Srt,
            "vtt" => Format::Vtt,
            "verbose_json" => Format::Verbose,
            "diarized_json" => Format::Diarized,
            _ => return None,
        })
    }

    /// Whether it is nothing without the times of words.
    pub fn needs_times(self) -> bool {
        matches!(self, Format::Srt | Format::Vtt | Format::Diarized)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json | Format::Verbose | Format::Diarized => "application/json",
            Format::Text | Format::Srt => "text/plain; charset=utf-8",
            Format::Vtt => "text/vtt; charset=utf-8",
        }
    }
}

/// A word and when it was said, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub text: String,
    pub start: f64,
    pub end: f64,
    pub speaker: Option<String>,
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub text: String,
    pub language: Option<String>,
    pub duration: Option<f64>,
    pub words: Vec<Word>,
}

/// Words that are shown together.
struct Cue {
    text: String,
    start: f64,
    end: f64,
    speaker: Option<String>,
}

impl Transcript {
    /// Finds out how long the recording is, where it has not said so itself.
    pub fn measure(&mut self, tokens: u64) {
        self.duration = self.seconds(tokens);
    }

    /// How long the recording is, as far as anybody says.
    pub fn seconds(&self, tokens: u64) -> Option<f64> {
        let last = self.words.last().map(|word| word.end);
        let told = (tokens > 0).then(|| tokens as f64 / TOKENS);
        self.duration.or(last).or(told)
    }

    fn cues(&self) -> Vec<Cue> {
        let mut cues: Vec<Cue> = Vec::new();
        let mut at = 0;
        for word in &self.words {
            let text = word.text.trim();
            // The text between words is the transcript's: not every language has blanks.
            let found = self.text.get(at..).and_then(|rest| rest.find(text)).filter(|gap| *gap <= 8);
            let gap = found.map_or(" ", |gap| &self.text[at..at + gap]);
            at += found.map_or(0, |gap| gap + text.len());
            let ends_sentence = |cue: &Cue| cue.text.ends_with(['.', '!', '?', '。', '！', '？', '…']);
            match cues.last_mut() {
                Some(cue)
                    if word.end - cue.start <= LONGEST
                        && cue.text.chars().count() + gap.len() + text.chars().count() <= WIDEST
                        && cue.speaker == word.speaker
                        && (gap.is_empty() || !ends_sentence(cue)) =>
                {
                    cue.text.push_str(gap);
                    cue.text.push_str(text);
                    cue.end = word.end;
                }
                last => {
                    // What stands before a word on a new line belongs to the words before it.
                    if let Some(cue) = last {
                        cue.text.push_str(gap.trim());
                    }
                    let (start, end, speaker) = (word.start, word.end, word.speaker.clone());
                    cues.push(Cue { text: text.to_owned(), start, end, speaker });
                }
            }
        }
        if let (Some(cue), Some(rest)) = (cues.last_mut(), self.text.get(at..)) {
            let rest = rest.trim_end();
            if rest.len() <= 8 {
                cue.text.push_str(rest);
            }
        }
        cues
    }
}

/// 400: the model does not tell when anything was said.
pub(super) fn no_times(format: Format) -> ApiError {
    let (param, what) = match format {
        Format::Srt | Format::Vtt => ("response_format", "Subtitles need"),
        Format::Diarized => ("response_format", "Speakers need"),
        _ => ("timestamp_granularities", "Words with times need"),
    };
    let message = format!("{what} a model that tells when each word was said: use 'gemini-3.5-transcribe'.");
    ApiError::invalid(param, "unsupported_value", message)
}

/// Appends the document.
pub(super) fn write(transcript: &Transcript, wanted: &Wanted, usage: Value, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let text = transcript.text.trim();
    let needs_words = wanted.format.needs_times() || wanted.has_words;
    if needs_words && transcript.words.is_empty() && !text.is_empty() {
        return Err(no_times(wanted.format));
    }
    match wanted.format {
        Format::Json => frame::document(&json!({"text": text, "usage": usage}), out),
        Format::Text => out.extend_from_slice(format!("{text}\n").as_bytes()),
        Format::Srt => {
            for (at, cue) in transcript.cues().iter().enumerate() {
                let (start, end) = (clock(cue.start, ','), clock(cue.end, ','));
                out.extend_from_slice(format!("{}\n{start} --> {end}\n{}\n\n", at + 1, cue.text).as_bytes());
            }
        }
        Format::Vtt => {
            out.extend_from_slice(b"WEBVTT\n\n");
            for cue in transcript.cues() {
                let (start, end) = (clock(cue.start, '.'), clock(cue.end, '.'));
                let text = cue.text.replace('&', "&amp;").replace('<', "&lt;").replace("-->", "--&gt;");
                out.extend_from_slice(format!("{start} --> {end}\n{text}\n\n").as_bytes());
            }
        }
        Format::Verbose => frame::document(&verbose(transcript, wanted, usage), out),
        Format::Diarized => frame::document(&diarized(transcript, usage), out),
    }
    Ok(())
}

fn verbose(transcript: &Transcript, wanted: &Wanted, usage: Value) -> Value {
    let text = transcript.text.trim();
    let mut cues = transcript.cues();
    if cues.is_empty() && !text.is_empty() {
        // All that is known is that it was said within the recording.
        let end = transcript.duration.unwrap_or(0.0);
        cues.push(Cue { text: text.to_owned(), start: 0.0, end, speaker: None });
    }
    let segments: Vec<Value> = cues
        .iter()
        .enumerate()
        .map(|(id, cue)| {
            json!({
                "id": id, "seek": 0, "start": seconds(cue.start), "end": seconds(cue.end), "text": cue.text,
                "tokens": [], "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 0.0, "no_speech_prob": 0.0,
            })
        })
        .collect();
    let mut document = json!({
        "task": if wanted.translates { "translate" } else { "transcribe" },
        "language": if wanted.translates { Some("en") } else { transcript.language.as_deref() }.unwrap_or("unknown"),
        "duration": seconds(transcript.duration.unwrap_or(0.0)),
        "text": text,
        "segments": segments,
        "usage": usage,
    });
    if wanted.has_words {
        let word =
            |word: &Word| json!({"word": word.text.trim(), "start": seconds(word.start), "end": seconds(word.end)});
        document["words"] = transcript.words.iter().map(word).collect();
    }
    document
}

fn diarized(transcript: &Transcript, usage: Value) -> Value {
    let segment = |(at, cue): (usize, &Cue)| {
        json!({
            "id": format!("seg_{at:03}"), "type": "transcript.text.segment", "start": seconds(cue.start),
            "end": seconds(cue.end), "text": cue.text, "speaker": cue.speaker.as_deref().unwrap_or("A"),
        })
    };
    json!({
        "task": "transcribe", "duration": seconds(transcript.duration.unwrap_or(0.0)), "text": transcript.text.trim(),
        "segments": transcript.cues().iter().enumerate().map(segment).collect::<Vec<Value>>(), "usage": usage,
    })
}

/// `00:00:01,500`.
fn clock(time: f64, point: char) -> String {
    let ms = (time * 1000.0).round() as u64;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", ms % 1000)
}
