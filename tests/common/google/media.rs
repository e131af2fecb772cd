//! Speech and transcripts that the fake makes up.

use super::engine::{Piece, list, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Samples without a header, in two pieces: as many as the text has letters, a thousand each.
pub fn spoken(text: &str) -> Vec<Piece> {
    let samples: Vec<u8> = (0..text.chars().count() as u32 * 1000).flat_map(|at| (at as u16).to_le_bytes()).collect();
    // A piece may end within a sample.
    let (first, last) = samples.split_at(samples.len() / 2 + 1);
    let part = |samples: &[u8]| {
        let blob = json!({"mimeType": "audio/L16;codec=pcm;rate=24000", "data": STANDARD.encode(samples)});
        vec![json!({ "inlineData": blob })]
    };
    vec![
        Piece { parts: part(first), finish: None },
        Piece { parts: part(last), finish: None },
        Piece { parts: Vec::new(), finish: Some("STOP") },
    ]
}

/// Two sentences, by two speakers, the words of which have times where they are asked for.
pub fn transcribed(config: &Value) -> Vec<Piece> {
    let sentence = |text: &str, from: f64, speaker: &str| {
        let words: Vec<Value> = text
            .split_whitespace()
            .enumerate()
            .map(|(at, word)| {
                let start = from + at as f64 * 0.5;
                json!({"word": word, "startOffset": format!("{start}s"), "endOffset": format!("{}s", start + 0.4)})
            })
            .collect();
        let mut said = json!({"languageCode": "en-US"});
        if config["wordTimestamp"] == json!(true) {
            said["words"] = json!(words);
        }
        if config["diarization"] == json!(true) {
            said["speakerLabel"] = json!(speaker);
        }
        vec![json!({"text": text, "transcription": said})]
    };
    vec![
        Piece { parts: sentence("The quick fox jumps.", 0.0, "spk_0"), finish: None },
        Piece { parts: sentence(" Over the dog & <more>.", 2.5, "spk_1"), finish: Some("STOP") },
    ]
}

const AUDIO_TOKENS: u64 = 258;

fn audio_parts(inner: &Value) -> u64 {
    let parts = list(&inner["contents"]).iter().flat_map(|content| list(&content["parts"]));
    parts.filter(|part| text(&part["inlineData"]["mimeType"]).starts_with("audio/")).count() as u64
}

/// How many tokens of the prompt are of which kind.
pub fn prompt_details(inner: &Value, prompt: u64) -> Value {
    let heard = AUDIO_TOKENS * audio_parts(inner);
    match heard {
        0 => json!([{"modality": "TEXT", "tokenCount": prompt}]),
        _ => json!([{"modality": "AUDIO", "tokenCount": heard}, {"modality": "TEXT", "tokenCount": prompt - heard}]),
    }
}
