//! `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`.

use super::{events, post, send};
use crate::common::google::{End, FakeGoogle, Step};
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const TRANSLATIONS: &str = "/v1/audio/translations";
const DEDICATED: &str = "gemini-3.5-transcribe";
/// As the fake speaks `You said: Hi`.
const SAMPLES: usize = 12_000;

fn samples() -> Vec<u8> {
    (0..SAMPLES).flat_map(|at| (at as u16).to_le_bytes()).collect()
}

/// A WAV file of a second and a half.
pub(super) fn wav() -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend_from_slice(&24_000u32.to_le_bytes());
    file.extend_from_slice(&48_000u32.to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data\xff\xff\xff\xff");
    file.resize(44 + 72_000, 0);
    file
}

#[test]
fn speech_comes_in_every_format() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let speak = |more: Value| {
        let mut body = json!({"model": "gemini-3.8-flash-tts", "input": "Hi", "voice": "alloy"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = post(&proxy, SPEECH, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let pcm = speak(json!({"response_format": "pcm"}));
    assert_eq!((pcm.header("content-type"), &pcm.body), (Some("audio/pcm"), &samples()));
    for more in [json!({}), json!({"response_format": "mp3"}), json!({"stream_format": "audio"})] {
        let mp3 = speak(more);
        assert_eq!((mp3.header("content-type"), &mp3.body[..2]), (Some("audio/mpeg"), &[0xff, 0xf3][..]));
        // 96 kbit/s, and what the codec needs around half a second.
        assert!((6_000..8_000).contains(&mp3.body.len()), "{} bytes", mp3.body.len());
    }
    let wav = speak(json!({"response_format": "wav"}));
    assert_eq!(wav.header("content-type"), Some("audio/wav"));
    assert_eq!((&wav.body[..4], &wav.body[40..44]), (&b"RIFF"[..], &(2 * SAMPLES as u32).to_le_bytes()[..]));
    assert_eq!(wav.body[44..], samples());
    for more in [json!({"stream_format": "audio"}), json!({"stream": true})] {
        let mut more = more;
        more["response_format"] = json!("wav");
        let wav = speak(more);
        assert_eq!((&wav.body[40..44], &wav.body[44..]), (&[0xff; 4][..], &samples()[..]), "of a stream");
    }
    for more in [json!({}), json!({"stream_format": "audio"})] {
        let mut more = more;
        more["response_format"] = json!("flac");
        let flac = speak(more);
        assert_eq!((flac.header("content-type"), &flac.body[..4]), (Some("audio/flac"), &b"fLaC"[..]));
        assert_eq!(flac.body.len(), 42 + 2 * SAMPLES + 3 * 11);
    }
    let spoken = events(&speak(json!({"stream_format": "sse", "response_format": "pcm"})));
    let (done, deltas) = spoken.split_last().unwrap();
    let bytes = deltas.iter().flat_map(|event| {
        assert_eq!(event["type"], "speech.audio.delta");
        STANDARD.decode(event["audio"].as_str().unwrap()).unwrap()
    });
    assert_eq!(bytes.collect::<Vec<u8>>(), samples());
    assert_eq!(done["type"], "speech.audio.done");
    assert!(done["usage"]["total_tokens"].as_u64().is_some_and(|total| total > 0), "{done}");
}

#[test]
fn chat_speaks_with_the_same_voices_and_as_mp3_too() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let body = json!({"model": "gemini-3.8-flash-tts", "messages": [{"role": "user", "content": "Hi"}],
        "modalities": ["audio"], "audio": {"voice": {"id": "Alloy"}, "format": "mp3"}});
    let answer = post(&proxy, "/v1/chat/completions", &body);
    let file = STANDARD.decode(answer.json()["choices"][0]["message"]["audio"]["data"].as_str().unwrap()).unwrap();
    assert!(file.starts_with(&[0xff, 0xf3]) && file.len() < 8_000, "{} bytes", file.len());
    let sent = google.last_generation().inner()["generationConfig"]["speechConfig"].clone();
    assert_eq!(sent["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"], "Kore");
}

#[test]
fn voices_styles_and_models_are_put_into_googles_terms() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (body, model, voice, part) in [
        (json!({"model": "tts-1", "voice": "alloy"}), "gemini-3.8-flash-lite-tts", "Kore", json!({"text": "Hi"})),
        (json!({"model": "tts-1-hd", "voice": "nova"}), "gemini-3.8-flash-tts", "Leda", json!({"text": "Hi"})),
        (
            json!({"model": "gpt-4o-mini-tts-2025-12-15", "voice": {"id": "Verse"}, "instructions": "Cheerfully."}),
            "gemini-3.8-flash-tts",
            "Puck",
            json!({"text": "Hi", "speechMetadata": {"style": "Cheerfully."}}),
        ),
        (
            json!({"model": "gemini-3.8-flash-tts", "voice": "zephyr", "speed": 0.8}),
            "gemini-3.8-flash-tts",
            "Zephyr",
            json!({"text": "Hi", "speechMetadata": {"style": "Speak slowly."}}),
        ),
        (
            json!({"model": "gemini-2.5-flash-preview-tts", "voice": "myOwn", "instructions": "Cheerfully:"}),
            "gemini-2.5-flash-preview-tts",
            "myOwn",
            json!({"text": "Cheerfully:\nHi"}),
        ),
    ] {
        let mut body = body;
        body["input"] = json!("Hi");
        let answer = post(&proxy, SPEECH, &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        let sent = google.last_generation();
        assert!(sent.path.contains(&format!("/{model}:streamGenerateContent")), "{}", sent.path);
        assert_eq!(sent.inner()["contents"][0]["parts"], json!([part]));
        assert_eq!(
            sent.inner()["generationConfig"],
            json!({"responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}})
        );
    }
    let voices = ask(&proxy, "GET", "/v1/audio/voices", &[], b"").json();
    assert!(voices["voices"].as_array().unwrap().contains(&json!({"id": "Kore", "name": "Kore"})));
    let models = ask(&proxy, "GET", "/v1/audio/models", &[], b"").json();
    assert!(models["models"].as_array().unwrap().iter().any(|model| model["id"] == "gemini-2.5-flash-preview-tts"));
}

#[test]
fn what_cannot_be_spoken_is_refused_with_words() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (field, value, code, words) in [
        ("response_format", json!("opus"), "unsupported_value", "'mp3', 'wav', 'flac' or 'pcm'"),
        ("response_format", json!("aac"), "unsupported_value", "'mp3', 'wav', 'flac' or 'pcm'"),
        ("response_format", json!("ogg"), "invalid_value", "ogg"),
        ("stream_format", json!("chunks"), "invalid_value", "chunks"),
        ("input", json!(" "), "missing_required_parameter", "input"),
        ("speed", json!(5), "invalid_value", "speed"),
        ("speed", json!("fast"), "invalid_type", "speed"),
        ("voice", json!(7), "invalid_type", "voice"),
        ("model", json!("gemini-2.5-flash"), "unsupported_value", "gemini-2.5-flash-preview-tts"),
    ] {
        let mut body = json!({"model": "tts-1", "input": "Hi"});
        body[field] = value;
        let answer = post(&proxy, SPEECH, &body);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"], &error["code"]), (400, &json!(field), &json!(code)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    for framing in ["audio", "sse"] {
        google.script(GEMINI_KEY, Step::answer(json!({"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]})));
        let body = json!({"model": "tts-1", "input": "Hi", "stream_format": framing});
        let answer = post(&proxy, SPEECH, &body);
        assert_eq!((answer.status, answer.text().contains("PROHIBITED_CONTENT")), (400, true), "{}", answer.text());
    }
    // A known hiccup, which a second try overcomes.
    google.script(GEMINI_KEY, Step::answer(json!({"candidates": [{"finishReason": "OTHER"}]})));
    assert_eq!(post(&proxy, SPEECH, &json!({"model": "tts-1", "input": "Hi"})).status, 200);
}

#[test]
fn samples_go_out_as_they_come() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.script(GEMINI_KEY, Step::default_answer().hold_after(1));
    let body = json!({"model": "tts-1", "input": "Hi", "response_format": "pcm"}).to_string();
    let mut stream = crate::common::wire::connect(proxy.address()).unwrap();
    let head = format!(
        "POST {SPEECH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        crate::common::proxy::CLIENT_KEY,
        body.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while seen.len() < SAMPLES {
        let read = std::io::Read::read(&mut stream, &mut buffer).unwrap();
        assert!(read > 0, "cut");
        seen.extend_from_slice(&buffer[..read]);
    }
    google.release();
    std::io::Read::read_to_end(&mut stream, &mut seen).unwrap();
    assert!(seen.ends_with(b"0\r\n\r\n"));
    // A broken one is cut, so that nobody takes it for whole.
    google.script(GEMINI_KEY, Step::default_answer().cut_after_events(1, End::Close));
    let mut stream = crate::common::wire::connect(proxy.address()).unwrap();
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    seen.clear();
    let _ = std::io::Read::read_to_end(&mut stream, &mut seen);
    assert!(seen.len() > SAMPLES && !seen.ends_with(b"0\r\n\r\n"), "{} bytes", seen.len());
}

pub(super) fn recording<'a>(more: &[(&'a str, &'a str)], file: &'a [u8]) -> Vec<(&'a str, Option<&'a str>, &'a [u8])> {
    let mut fields: Vec<_> = more.iter().map(|(name, value)| (*name, None, value.as_bytes())).collect();
    fields.push(("file", Some("speech.wav"), file));
    fields
}

const TEXT: &str = "The quick fox jumps. Over the dog & <more>.";

#[test]
fn transcripts_come_in_every_format() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let file = wav();
    let write = |format: &str, more: &[(&'static str, &'static str)]| {
        let fields = [&[("model", "whisper-1"), ("response_format", format)], more].concat();
        let answer = send(&proxy, TRANSCRIPTIONS, &recording(&fields, &file));
        assert_eq!(answer.status, 200, "{format}: {}", answer.text());
        answer
    };
    let json = write("json", &[("language", "en"), ("keywords[]", "fox"), ("temperature", "0.2")]).json();
    assert_eq!(json["text"], TEXT);
    assert_eq!(json["usage"]["type"], "tokens");
    assert_eq!(json["usage"]["input_token_details"]["audio_tokens"], 258);
    let sent = google.last_generation();
    assert!(sent.path.contains(DEDICATED), "{}", sent.path);
    let config = &sent.inner()["generationConfig"];
    assert_eq!(*config, json!({"audioTranscriptionConfig": {"languageCodes": ["en"], "customVocabulary": ["fox"]}}));
    assert_eq!(
        sent.inner()["contents"][0]["parts"],
        json!([{"inlineData": {"mimeType": "audio/wav", "data": STANDARD.encode(&file)}}])
    );

    let text = write("text", &[]);
    assert_eq!((text.header("content-type"), text.text()), (Some("text/plain; charset=utf-8"), format!("{TEXT}\n")));
    let srt = write("srt", &[]).text();
    assert_eq!(
        srt,
        "1\n00:00:00,000 --> 00:00:01,900\nThe quick fox jumps.\n\n2\n00:00:02,500 --> 00:00:04,900\nOver the dog & <more>.\n\n"
    );
    let vtt = write("vtt", &[]);
    assert_eq!(vtt.header("content-type"), Some("text/vtt; charset=utf-8"));
    assert!(vtt.text().starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.900\nThe quick"), "{}", vtt.text());
    assert!(vtt.text().contains("Over the dog &amp; &lt;more>."), "{}", vtt.text());
    let verbose =
        write("verbose_json", &[("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")])
            .json();
    assert_eq!(
        (&verbose["task"], &verbose["language"], &verbose["duration"]),
        (&json!("transcribe"), &json!("en"), &json!(1.5))
    );
    assert_eq!(
        (&verbose["text"], &verbose["words"][1]),
        (&json!(TEXT), &json!({"word": "quick", "start": 0.5, "end": 0.9}))
    );
    let segment = &verbose["segments"][1];
    assert_eq!((&segment["start"], &segment["text"]), (&json!(2.5), &json!("Over the dog & <more>.")));
    assert_eq!(write("verbose_json", &[]).json().get("words"), None, "only when asked for");
}

#[test]
fn transcripts_stream_as_texts() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let file = wav();
    let answer = send(&proxy, TRANSCRIPTIONS, &recording(&[("model", "gpt-4o-transcribe"), ("stream", "true")], &file));
    let events = events(&answer);
    assert_eq!(events[0], json!({"type": "transcript.text.delta", "delta": "The quick fox jumps."}));
    let done = events.last().unwrap();
    assert_eq!((&done["type"], &done["text"]), (&json!("transcript.text.done"), &json!(TEXT)));
    assert!(done["usage"]["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
    // OpenAI's whisper-1 does not stream, and says nothing of it.
    let fields = recording(&[("model", "whisper-1"), ("stream", "true")], &file);
    assert_eq!(send(&proxy, TRANSCRIPTIONS, &fields).json()["text"], TEXT);
}

#[test]
fn any_model_writes_down_what_it_hears_without_times() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let file = wav();
    google.script(GEMINI_KEY, Step::text("Hello."));
    let fields =
        [("model", "gemini-2.5-flash"), ("language", "de"), ("prompt", "Füchse"), ("response_format", "verbose_json")];
    let answer = send(&proxy, TRANSCRIPTIONS, &recording(&fields, &file)).json();
    assert_eq!(
        (&answer["text"], &answer["duration"], &answer["language"]),
        (&json!("Hello."), &json!(1.5), &json!("de"))
    );
    assert_eq!(answer["segments"][0]["end"], 1.5);
    let sent = google.last_generation();
    let task = sent.inner()["contents"][0]["parts"][1]["text"].as_str().unwrap().to_owned();
    assert!(task.contains("word for word") && task.contains("de") && task.contains("Füchse"), "{task}");
    assert_eq!(sent.inner()["generationConfig"]["thinkingConfig"]["thinkingBudget"], 0);
    for format in ["srt", "vtt", "diarized_json"] {
        let answer = send(
            &proxy,
            TRANSCRIPTIONS,
            &recording(&[("model", "gemini-2.5-flash"), ("response_format", format)], &file),
        );
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(DEDICATED), "{}", answer.text());
    }
    let words = [("model", DEDICATED), ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "phrase")];
    let error = send(&proxy, TRANSCRIPTIONS, &recording(&words, &file)).json()["error"].clone();
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("timestamp_granularities"), &json!("invalid_value")),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().contains("'phrase'"), "{error}");
    let words = [("model", DEDICATED), ("timestamp_granularities[]", "word")];
    let answer = send(&proxy, TRANSCRIPTIONS, &recording(&words, &file));
    assert!(answer.status == 400 && answer.text().contains("'verbose_json'"), "{}", answer.text());
    assert_eq!(google.generations_count(), 1, "nobody is asked in vain");
    // Silence.
    google.always(
        GEMINI_KEY,
        Step::answer(json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]})),
    );
    let silent = send(&proxy, TRANSCRIPTIONS, &recording(&[("model", "gemini-2.5-flash")], &file));
    assert_eq!((silent.status, &silent.json()["text"]), (200, &json!("")));
    google.clear_scripts();
    google.script(GEMINI_KEY, Step::text("In English."));
    let english = send(&proxy, TRANSLATIONS, &recording(&[("model", "whisper-1")], &file));
    assert_eq!(english.json()["text"], "In English.");
    let task = google.last_generation().inner()["contents"][0]["parts"][1]["text"].as_str().unwrap().to_owned();
    assert!(task.contains("into English"), "{task}");
    assert_eq!(send(&proxy, TRANSLATIONS, &recording(&[("model", DEDICATED)], &file)).status, 400);
}

#[test]
fn speakers_are_told_apart() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let fields = [("model", DEDICATED), ("response_format", "diarized_json")];
    let answer = send(&proxy, TRANSCRIPTIONS, &recording(&fields, &wav())).json();
    let said = |at: usize| (answer["segments"][at]["speaker"].clone(), answer["segments"][at]["text"].clone());
    assert_eq!(said(0), (json!("spk_0"), json!("The quick fox jumps.")));
    assert_eq!(said(1), (json!("spk_1"), json!("Over the dog & <more>.")));
}

#[test]
fn recordings_are_known_by_their_bytes_then_by_their_name() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let model = ("model", None, DEDICATED.as_bytes());
    for (name, data, mime) in [
        ("blob", &b"OggS..."[..], "audio/ogg"),
        ("a.mp3", b"ID3", "audio/mp3"),
        ("a.wav", b"fLaC", "audio/flac"),
        ("a.webm", b"\x1a\x45\xdf\xa3", "audio/webm"),
        ("a.m4a", b"\0\0\0\x18ftypisom", "audio/mp4"),
        ("a.mpga", b"\xff\xfa", "audio/mp3"),
        ("a.aac", b"\xff\xf1", "audio/aac"),
    ] {
        let answer = send(&proxy, TRANSCRIPTIONS, &[model, ("file", Some(name), data)]);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let parts = google.last_generation().inner()["contents"][0]["parts"].clone();
        assert_eq!(parts[0]["inlineData"]["mimeType"], mime, "{name}");
    }
    for fields in
        [vec![model, ("file", Some("a.txt"), &b"hello"[..])], vec![model, ("file", Some("a.wav"), b"")], vec![model]]
    {
        let answer = send(&proxy, TRANSCRIPTIONS, &fields);
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!("file")), "{}", answer.text());
    }
    // Open WebUI's other way.
    let body = json!({"model": DEDICATED, "input_audio": {"data": STANDARD.encode(wav()), "format": "wav"}});
    assert_eq!(post(&proxy, TRANSCRIPTIONS, &body).json()["text"], TEXT);
}
