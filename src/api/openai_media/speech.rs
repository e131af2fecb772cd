//! `POST /v1/audio/speech` (docs/media.md "Speech"): Google's samples as they are, as MP3, or in a file without a codec.

use super::outcome::{self, Outcome};
use super::sound::{self, Flac};
use super::{call, wrong_model};
use crate::api::openai::{error, model, object};
use crate::api::params::{missing, read, take, take_text, unknown_word, wrong_type};
use crate::api::{Context, Framing, OneCall, Parsed, Translator, frame, options};
use crate::conversation::answer::mp3::Mp3;
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::Model;
use crate::gemini::{GenerationConfig, Part, Response, UsageMetadata};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Google's voices.
pub(super) const VOICES: [&str; 30] = [
    "Achernar",
    "Achird",
    "Algenib",
    "Algieba",
    "Alnilam",
    "Aoede",
    "Autonoe",
    "Callirrhoe",
    "Charon",
    "Despina",
    "Enceladus",
    "Erinome",
    "Fenrir",
    "Gacrux",
    "Iapetus",
    "Kore",
    "Laomedeia",
    "Leda",
    "Orus",
    "Puck",
    "Pulcherrima",
    "Rasalgethi",
    "Sadachbia",
    "Sadaltager",
    "Schedar",
    "Sulafat",
    "Umbriel",
    "Vindemiatrix",
    "Zephyr",
    "Zubenelgenubi",
];
const DEFAULT_VOICE: &str = "Kore";
const MAKES: &str = "make speech";

/// What OpenAI's models are served by, unless the config says otherwise.
const MODELS: [(&str, &str); 3] = [
    ("tts-1-hd", "gemini-3.8-flash-tts"),
    ("tts-1", "gemini-3.8-flash-lite-tts"),
    ("gpt-4o-mini-tts", "gemini-3.8-flash-tts"),
];

/// How the samples are packed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Mp3,
    Wav,
    Flac,
    Pcm,
}

pub(super) fn parse(body: Vec<u8>, context: &Context<'_>) -> Parsed {
    let mut body = object(body)?;
    let requested = model(&mut body)?;
    context.note_model(&requested);
    let stand_in = MODELS.iter().find(|(name, _)| requested.trim().starts_with(name)).map(|(_, model)| *model);
    let found = context.models.resolve(&requested).or_else(|| context.models.resolve(stand_in?));
    let model = found.map(|found| found.model).filter(|model| model.speech_output);
    let Some(model) = model else {
        return Err(wrong_model(Some(&requested), MAKES, context.models, |model| model.speech_output));
    };
    let input = read::<String>(&mut body, "input")?.filter(|input| !input.trim().is_empty());
    let input = input.ok_or_else(|| missing("input"))?;
    let voice = voice(take(&mut body, "voice"))?;
    let format = format(read::<String>(&mut body, "response_format")?)?;
    let framing = match read::<String>(&mut body, "stream_format")?.as_deref() {
        Some("sse") => Framing::Events,
        Some("audio") => Framing::Bytes,
        None if matches!(format, Format::Pcm | Format::Mp3) => Framing::Bytes,
        None if take(&mut body, "stream") == Some(Value::Bool(true)) => Framing::Bytes,
        // The other files tell their length in their head.
        None => Framing::Whole,
        Some(other) => return Err(unknown_word("stream_format", other, "'audio' and 'sse'")),
    };
    let style = style(take_text(&mut body, "instructions"), speed(take(&mut body, "speed"))?);
    let mut speech = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}});
    if let Some(language) = take_text(&mut body, "language") {
        speech["languageCode"] = language.into();
    }
    let config = Map::from_iter([("responseModalities".into(), json!(["AUDIO"])), ("speechConfig".into(), speech)]);
    let config = GenerationConfig { other: config, ..GenerationConfig::default() };
    let parts = vec![spoken(input, style, &model)];
    Ok(Box::new(OneCall {
        call: call(model, framing != Framing::Whole, parts, config),
        framing,
        media_type: match format {
            Format::Mp3 => "audio/mpeg",
            Format::Wav => "audio/wav",
            Format::Flac => "audio/flac",
            Format::Pcm => "audio/pcm",
        },
        translator: Box::new(move || Box::new(Speech { framing, format, rate: sound::RATE, ..Speech::default() })),
    }))
}

/// What is spoken, and how: from 3.8 on the text is read to the letter, and the style stands beside it.
fn spoken(input: String, style: Option<String>, model: &Model) -> Part {
    match style {
        None => Part::text(input),
        Some(style) if reads_to_the_letter(&model.name) => {
            let mut part = Part::text(input);
            part.other.insert("speechMetadata".into(), json!({ "style": style }));
            part
        }
        Some(style) => Part::text(format!("{style}\n{input}")),
    }
}

fn reads_to_the_letter(name: &str) -> bool {
    let version = name.strip_prefix("gemini-").and_then(|rest| rest.split('-').next()).unwrap_or_default();
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let number = |text: &str| text.parse::<u32>().ok();
    // Names without a version are of the newest models.
    number(major).zip(number(minor)).is_none_or(|version| version >= (3, 8))
}

fn style(instructions: Option<String>, speed: f64) -> Option<String> {
    let pace = match speed {
        ..0.7 => Some("Speak very slowly."),
        0.7..0.95 => Some("Speak slowly."),
        0.95..=1.05 => None,
        ..=1.5 => Some("Speak fast."),
        _ => Some("Speak very fast."),
    };
    let told = instructions.filter(|text| !text.trim().is_empty());
    let words: Vec<&str> = told.as_deref().into_iter().chain(pace).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn speed(value: Option<Value>) -> Result<f64, ApiError> {
    let Some(value) = value else { return Ok(1.0) };
    match value.as_f64() {
        Some(speed) if (0.25..=4.0).contains(&speed) => Ok(speed),
        Some(_) => Err(ApiError::invalid("speed", "invalid_value", "'speed' must be between 0.25 and 4.")),
        None => Err(wrong_type("speed", "a number", &value)),
    }
}

/// A name, or an object that has it as `id`.
fn voice(value: Option<Value>) -> Result<String, ApiError> {
    let name = match value {
        None => DEFAULT_VOICE.to_owned(),
        Some(Value::String(name)) => name,
        Some(Value::Object(mut voice)) => read::<String>(&mut voice, "id")?.ok_or_else(|| missing("voice.id"))?,
        Some(other) => return Err(wrong_type("voice", "a string or an object", &other)),
    };
    let name = name.trim();
    let name = if name.is_empty() { DEFAULT_VOICE } else { options::voice(name) };
    Ok(VOICES.into_iter().find(|voice| voice.eq_ignore_ascii_case(name)).unwrap_or(name).to_owned())
}

fn format(word: Option<String>) -> Result<Format, ApiError> {
    match word.as_deref() {
        None | Some("mp3") => Ok(Format::Mp3),
        Some("wav") => Ok(Format::Wav),
        Some("flac") => Ok(Format::Flac),
        Some("pcm") => Ok(Format::Pcm),
        Some(word @ ("opus" | "aac")) => {
            let message = format!(
                "This server has no encoder for '{word}'. Set 'response_format' to 'mp3', 'wav', 'flac' or 'pcm'."
            );
            Err(ApiError::invalid("response_format", "unsupported_value", message))
        }
        Some(other) => Err(unknown_word("response_format", other, "'mp3', 'wav', 'flac' and 'pcm'")),
    }
}

/// An answer so far.
#[derive(Default)]
struct Speech {
    framing: Framing,
    format: Format,
    flac: Option<Flac>,
    mp3: Option<Box<Mp3>>,
    has_begun: bool,
    rate: u32,
    /// Those that are not packed yet.
    samples: Vec<u8>,
    /// Bytes of samples that have come.
    spoken: usize,
    said: String,
    outcome: Outcome,
}

impl Speech {
    /// Packs what there is; `samples` is how many come in all, if that is known.
    fn pack(&mut self, samples: Option<usize>, is_last: bool, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match self.format {
            Format::Mp3 => {
                let mp3 = self.mp3.get_or_insert_with(|| Box::new(Mp3::stream()));
                mp3.push(&mut self.samples, self.rate, is_last, out).ok_or_else(|| {
                    let message = format!("upstream: MP3 has no rate of {} samples a second", self.rate);
                    ApiError::server(502, "upstream_invalid", message)
                })?;
            }
            Format::Flac => {
                let flac = self.flac.get_or_insert_with(|| Flac::new(self.rate));
                if is_first {
                    flac.head(samples, out);
                }
                flac.frames(&mut self.samples, is_last, out);
            }
            Format::Wav | Format::Pcm => {
                if is_first && self.format == Format::Wav {
                    out.extend_from_slice(&sound::wav(samples.map(|samples| samples * 2), self.rate));
                }
                out.append(&mut self.samples);
            }
        }
        Ok(())
    }

    /// Gives packed bytes to the client of a stream.
    fn send(&mut self, is_last: bool, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.framing == Framing::Bytes {
            return self.pack(None, is_last, out);
        }
        let mut packed = Vec::new();
        self.pack(None, is_last, &mut packed)?;
        if !packed.is_empty() {
            frame::event(&json!({"type": "speech.audio.delta", "audio": STANDARD.encode(packed)}), out);
        }
        Ok(())
    }
}

impl Translator for Speech {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.outcome.event(event);
        for part in event.parts().iter().filter(|part| !part.thought) {
            let blob = part.inline_data.as_ref();
            let sound = blob.and_then(|blob| Some((blob.mime_type.as_deref()?, blob.data.as_deref()?)));
            if let Some((mime, data)) = sound.filter(|(mime, _)| mime.starts_with("audio/")) {
                self.rate = sound::rate(mime);
                let decoded = STANDARD.decode(data).map_err(|_| {
                    ApiError::server(502, "upstream_invalid", "upstream: the speech is not valid base64")
                })?;
                self.spoken += decoded.len();
                match self.samples.is_empty() {
                    true => self.samples = decoded,
                    false => self.samples.extend_from_slice(&decoded),
                }
            } else if let Some(text) = part.text.as_deref() {
                self.said.push_str(text);
            }
        }
        if self.framing != Framing::Whole && !self.samples.is_empty() {
            self.send(false, out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let is_complete = self.outcome.is_good() || self.outcome.has_ended() && self.has_begun;
        if !is_complete || !self.has_begun && self.samples.is_empty() {
            return Err(self.outcome.failure("speech", ErrorKind::InvalidRequest, &self.said));
        }
        if self.framing == Framing::Whole {
            out.reserve_exact(self.samples.len() + self.samples.len() / 256 + 64);
            return self.pack(Some(self.samples.len() / 2), true, out);
        }
        self.send(true, out)?;
        if self.framing == Framing::Events {
            let usage = &self.outcome.usage;
            let (input, output) = (usage.prompt_token_count.unwrap_or(0), usage.candidates_token_count.unwrap_or(0));
            let total = usage.total_token_count.unwrap_or(input + output);
            let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": total});
            frame::event(&json!({"type": "speech.audio.done", "usage": usage}), out);
        }
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.framing == Framing::Events {
            error::frame(error, out);
        }
    }

    fn retryable(&self, error: &ApiError) -> bool {
        !self.has_begun && outcome::is_worth_repeating(error)
    }

    fn usage(&self) -> UsageMetadata {
        let audio_ms = sound::milliseconds(self.spoken, self.rate);
        UsageMetadata { audio_ms, ..self.outcome.usage.clone() }
    }
}
