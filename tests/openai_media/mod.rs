//! Pictures, speech and transcripts through the whole program, by their bytes and by the official SDKs.

mod images;
mod large;
mod memory;
mod open_webui;
mod sound;
mod spare;

use crate::common::google::FakeGoogle;
use crate::common::http::{Answer, ask};
use crate::common::proxy::{Pool, Proxy};
use crate::common::script;
use serde_json::Value;

fn post(proxy: &Proxy, path: &str, body: &Value) -> Answer {
    ask(proxy, "POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

/// A form; what has a file's name is one.
fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, data) in fields {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend_from_slice(
            format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xYz--\r\n");
    body
}

fn send(proxy: &Proxy, path: &str, fields: &[(&str, Option<&str>, &[u8])]) -> Answer {
    ask(proxy, "POST", path, &[("Content-Type", "multipart/form-data; boundary=xYz")], &form(fields))
}

/// The data of the events of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
    let text = answer.text();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn pythons_sdk_makes_and_edits_pictures_speaks_and_writes_down() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    script::python("openai_media.py", &[], &proxy);
}

#[test]
fn javascripts_sdk_makes_and_edits_pictures_speaks_and_writes_down() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    script::node("media.mjs", &[], &proxy);
}

#[test]
fn the_ai_sdk_makes_and_edits_pictures_speaks_and_writes_down() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    script::node("ai_media.mjs", &[], &proxy);
}

#[test]
fn the_page_tries_a_picture_a_sentence_and_a_recording() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    // The other one has no microphone.
    script::node_with("run_browser.mjs", &["./page_media.mjs"], &proxy, &[("CHROMIUM", "/usr/bin/chromium")]);
}

#[test]
fn pictures_and_seconds_of_speech_are_counted_wherever_usage_is_shown() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let image = serde_json::json!({"model": "gemini-3.1-flash-image", "prompt": "x", "n": 2});
    assert_eq!(post(&proxy, "/v1/images/generations", &image).status, 200);
    let chat = serde_json::json!({"model": "gemini-3.1-flash-image", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(post(&proxy, "/v1/chat/completions", &chat).status, 200);
    let speech = serde_json::json!({"model": "gemini-3.8-flash-tts", "input": "Hi"});
    assert_eq!(post(&proxy, "/v1/audio/speech", &speech).status, 200);
    let sound = [
        &b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0"[..],
        &[0xc0, 0x5d, 0, 0, 0x80, 0xbb, 0, 0],
        b"\x02\0\x10\0data\xff\xff\xff\xff",
        &[0; 72_000],
    ]
    .concat();
    let fields = [("model", None, &b"gemini-3.5-transcribe"[..]), ("file", Some("a.wav"), &sound)];
    assert_eq!(send(&proxy, "/v1/audio/transcriptions", &fields).status, 200);

    let get = |path: &str| ask(&proxy, "GET", path, &[], b"");
    let expected =
        [("gemini-3.1-flash-image", 3, 0.0), ("gemini-3.8-flash-tts", 0, 0.5), ("gemini-3.5-transcribe", 0, 1.5)];
    let (stats, old, metrics) = (get("/admin/stats").json(), get("/admin/usage").json(), get("/metrics").text());
    let csv = get("/admin/stats.csv").text();
    let listed = get("/admin/requests").json();
    let listed = listed["requests"].as_array().or(listed.as_array()).expect("a list").clone();
    for (model, images, seconds) in expected {
        let row = stats["models"].as_array().unwrap().iter().find(|row| row["model"] == model).unwrap();
        assert_eq!((&row["images"], &row["audio_seconds"]), (&images.into(), &seconds.into()), "{row}");
        let shown = |value: &Value| value.as_f64().unwrap_or(0.0);
        assert_eq!((shown(&old[model]["images"]), shown(&old[model]["audio_seconds"])), (f64::from(images), seconds));
        let of_model: Vec<&Value> = listed.iter().filter(|entry| entry["model"] == model).collect();
        assert_eq!(of_model.iter().map(|entry| shown(&entry["images"])).sum::<f64>(), f64::from(images), "{listed:?}");
        assert_eq!(of_model.iter().map(|entry| shown(&entry["audio_seconds"])).sum::<f64>(), seconds, "{listed:?}");
        let line = csv.lines().find(|line| line.contains(model)).unwrap();
        assert!(line.ends_with(&format!(",{images},{seconds}")), "{line}");
    }
    for line in [
        "gemini_proxy_images_total{model=\"gemini-3.1-flash-image\"} 3",
        "gemini_proxy_audio_seconds_total{model=\"gemini-3.8-flash-tts\"} 0.5",
        "gemini_proxy_audio_seconds_total{model=\"gemini-3.5-transcribe\"} 1.5",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn a_login_alone_is_told_what_is_missing() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    let sound = &b"RIFF\x04\0\0\0WAVE"[..];
    for answer in [
        post(&proxy, "/v1/images/generations", &serde_json::json!({"model": "gemini-3.1-flash-image", "prompt": "x"})),
        post(&proxy, "/v1/audio/speech", &serde_json::json!({"model": "tts-1", "input": "x"})),
        send(&proxy, "/v1/audio/transcriptions", &[("model", None, b"whisper-1"), ("file", Some("a.wav"), sound)]),
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("gemini_api_keys"), "{}", answer.text());
    }
    assert_eq!(google.generations_count(), 0, "nobody was asked");
}

#[test]
fn hostile_forms_are_refused_at_once() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let kind = [("Content-Type", "multipart/form-data; boundary=xYz")];
    let part = b"--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n".as_slice();
    let began = std::time::Instant::now();
    for body in [
        part.repeat(300_000),
        [b"--xYz\r\n".as_slice(), &b"h: x\r\n".repeat(1_000_000)].concat(),
        [part, &b"\r\n--xY".repeat(2_000_000)].concat(),
        [part, b"--xYz"].concat(),
        part[..30].to_vec(),
        Vec::new(),
    ] {
        for path in ["/v1/images/edits", "/v1/audio/transcriptions"] {
            let answer = ask(&proxy, "POST", path, &kind, &body);
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.json()["error"]["message"].as_str().unwrap().contains("multipart"), "{}", answer.text());
        }
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let mut stream = crate::common::wire::connect(proxy.address()).unwrap();
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        crate::common::proxy::CLIENT_KEY,
        kind[0].1,
        33 << 20
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"error\""), "{answer}");
}
