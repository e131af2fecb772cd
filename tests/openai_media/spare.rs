//! Transcripts where Google's model for them is not served.

use super::send;
use super::sound::{recording, wav};
use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const DEDICATED: &str = "gemini-3.5-transcribe";

#[test]
fn openais_names_are_served_also_where_googles_model_for_it_is_not() {
    let file = wav();
    let refusals = [
        (
            400,
            "Invalid JSON payload received. Unknown name \"audioTranscriptionConfig\" at 'generation_config': Cannot find field.",
        ),
        (400, "Audio transcription is not supported by this method."),
        (
            404,
            "models/gemini-3.5-transcribe is not found for API version v1beta, or is not supported for generateContent.",
        ),
    ];
    for (status, message) in refusals {
        for stream in ["false", "true"] {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, Pool::ApiKey);
            google.always(GEMINI_KEY, Step::status(status, message).for_model(DEDICATED));
            google.script(GEMINI_KEY, Step::text("Hello.").for_model("gemini-3.5-flash"));
            let fields = [("model", "gpt-4o-transcribe"), ("language", "en"), ("prompt", "Foxes"), ("stream", stream)];
            let answer = send(&proxy, TRANSCRIPTIONS, &recording(&fields, &file));
            assert_eq!(answer.status, 200, "{message}: {}", answer.text());
            assert!(answer.text().contains("Hello."), "{}", answer.text());
            let sent = google.last_generation();
            assert!(sent.path.contains("gemini-3.5-flash"), "{}", sent.path);
            assert_eq!(sent.inner()["contents"][0]["parts"][0]["inlineData"]["data"], STANDARD.encode(&file));
            assert!(sent.inner()["contents"][0]["parts"][1]["text"].as_str().unwrap().contains("Foxes"));
            // Who needs times, or names Google's model, is told what Google said.
            for fields in [
                [("model", "whisper-1"), ("response_format", "srt")],
                [("model", DEDICATED), ("response_format", "json")],
            ] {
                let answer = send(&proxy, TRANSCRIPTIONS, &recording(&fields, &file));
                assert_eq!(answer.status, status, "{}", answer.text());
            }
        }
    }
    // A key that is held to the model for it gets no other one.
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.always(GEMINI_KEY, Step::status(404, "not found").for_model(DEDICATED));
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": crate::common::proxy::CLIENT_KEY, "models": [DEDICATED]}]);
    });
    assert_eq!(send(&proxy, TRANSCRIPTIONS, &recording(&[("model", "whisper-1")], &file)).status, 404);
}
