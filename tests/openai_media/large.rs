//! Media that are too large to go inside a request: they go through Google's files, on the key that serves the request, and
//! none is left afterwards.

use super::sound::recording;
use super::{form, post, send};
use crate::common::google::{FakeGoogle, Looking, Recorded, State, Step, User};
use crate::common::http::Answer;
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::wire;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const OTHER_KEY: &str = "AIza-other-key-of-large-media";
/// With its third in base64 more than may go inside.
const LARGE: usize = 15 << 20;

fn sound(bytes: usize) -> Vec<u8> {
    let mut file = b"ID3".to_vec();
    file.resize(bytes, 0);
    file
}

fn write_down(proxy: &Proxy, file: &[u8]) -> Answer {
    send(proxy, TRANSCRIPTIONS, &recording(&[("model", "whisper-1")], file))
}

fn with_two_keys(google: &FakeGoogle) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    google.add_api_key(OTHER_KEY);
    Proxy::start(google, |config| config["gemini_api_keys"] = json!([GEMINI_KEY, OTHER_KEY]))
}

/// Whose keys uploaded, and whose took away.
fn of_files(google: &FakeGoogle) -> (Vec<String>, Vec<String>) {
    let requests = google.requests();
    let by = |fits: fn(&&Recorded) -> bool| requests.iter().filter(fits).filter_map(|one| one.who.clone()).collect();
    let is_whole = |one: &&Recorded| {
        one.path == "/upload/v1beta/files" && one.header("x-goog-upload-command") == Some("upload, finalize")
    };
    (by(is_whole), by(|one| one.method == "DELETE" && one.status == 200))
}

/// Waits until all files are gone, and the answers that say so are noted.
fn nothing_is_left(google: &FakeGoogle) {
    let is_noted = |state: &State| state.requests.iter().all(|one| one.method != "DELETE" || one.status != 0);
    let is_gone = |state: &State| state.files.is_empty() && is_noted(state);
    assert!(google.wait_for(is_gone, Duration::from_secs(10)), "a file is left");
}

fn parts(google: &FakeGoogle) -> Value {
    google.last_generation().inner()["contents"][0]["parts"].clone()
}

#[test]
fn a_large_recording_is_uploaded_and_a_small_one_goes_inside() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let answer = write_down(&proxy, &sound(1 << 20));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(parts(&google)[0]["inlineData"].is_object());
    assert_eq!(google.count("/upload/"), 0);

    let answer = write_down(&proxy, &sound(LARGE));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["text"].as_str().is_some_and(|text| text.contains("fox")), "{}", answer.text());
    let file = &parts(&google)[0];
    assert_eq!(file["fileData"]["mimeType"], "audio/mp3", "{file}");
    assert!(file["fileData"]["fileUri"].as_str().unwrap().starts_with(&google.base()) && file["inlineData"].is_null());
    nothing_is_left(&google);
    assert_eq!(of_files(&google), (vec![GEMINI_KEY.to_owned()], vec![GEMINI_KEY.to_owned()]));
    let start = google.requests().into_iter().find(|one| one.header("x-goog-upload-command") == Some("start")).unwrap();
    assert_eq!(start.header("x-goog-upload-header-content-length"), Some(LARGE.to_string().as_str()));
}

#[test]
fn translations_streams_chats_and_googles_own_requests_upload_what_does_not_fit_inside() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let file = sound(LARGE);
    let data = STANDARD.encode(&file);
    let stream = [("model", "gpt-4o-transcribe"), ("stream", "true")];
    // Two that fit one by one, and not together: one of them stays inside.
    let half = &data[..10 << 20];
    let audio = |data: &str| json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}});
    let chat = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [
        audio(half), {"type": "text", "text": "What is it?"}, audio(half)]}]});
    let native = json!({"contents": [{"role": "user", "parts": [
        {"inlineData": {"mimeType": "audio/mpeg", "data": data}, "videoMetadata": {"startOffset": "1s"}}]}]});
    let asked: [(&str, &dyn Fn() -> Answer, usize); 4] = [
        ("translation", &|| send(&proxy, "/v1/audio/translations", &recording(&[("model", "whisper-1")], &file)), 0),
        ("stream", &|| send(&proxy, TRANSCRIPTIONS, &recording(&stream, &file)), 0),
        ("chat", &|| post(&proxy, "/v1/chat/completions", &chat), 1),
        ("native", &|| post(&proxy, "/v1beta/models/gemini-2.5-flash:generateContent", &native), 0),
    ];
    for (name, ask, inside) in asked {
        let answer = ask();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let parts = parts(&google);
        let having = |field: &str| parts.as_array().unwrap().iter().filter(|part| part[field].is_object()).count();
        assert_eq!((having("fileData"), having("inlineData")), (1, inside), "{name}");
        nothing_is_left(&google);
    }
    assert_eq!(parts(&google)[0]["videoMetadata"]["startOffset"], "1s", "what belongs to a part stays with it");
}

#[test]
fn another_key_gets_its_own_upload() {
    let foreign = "You do not have permission to access the File fake or it may not exist.";
    for (refusal, uploads) in [
        (Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s").on("generateContent"), 2),
        (Step::status(403, foreign).on("generateContent"), 2),
        (Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s").on("files"), 1),
    ] {
        let google = FakeGoogle::start();
        let proxy = with_two_keys(&google);
        google.script("*", refusal);
        let answer = write_down(&proxy, &sound(LARGE));
        assert_eq!(answer.status, 200, "{}", answer.text());
        nothing_is_left(&google);
        let (uploaded, removed) = of_files(&google);
        let served = google.last_generation().who.unwrap();
        assert_eq!((uploaded.len(), uploaded.last()), (uploads, Some(&served)));
        assert_eq!(uploaded, removed);
        assert!(uploads == 1 || uploaded[0] != uploaded[1], "{uploaded:?}");
    }
}

#[test]
fn a_file_that_google_cannot_use_is_told_in_openais_shape_and_removed() {
    for (looking, read, status, kind, code, words) in [
        (Looking::InVain, 60, 400, "invalid_request_error", json!(null), "The audio track has no samples."),
        (Looking::Forever, 2, 504, "server_error", json!("timeout"), "still looks at a file (audio/mp3) after 2 s"),
    ] {
        let google = FakeGoogle::start();
        google.add_api_key(GEMINI_KEY);
        google.settings(|settings| settings.looking = looking);
        let proxy = Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!([GEMINI_KEY]);
            config["max_attempts"] = json!(1);
            config["request_timeouts"] = json!({"read": read});
        });
        let answer = write_down(&proxy, &sound(LARGE));
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["type"], &error["code"]), (status, &json!(kind), &code), "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(google.generations_count(), 0);
        nothing_is_left(&google);
    }
}

#[test]
fn a_file_goes_also_where_the_answer_fails() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.script(GEMINI_KEY, Step::status(400, "The request is not to Google's liking."));
    let answer = send(&proxy, TRANSCRIPTIONS, &recording(&[("model", "gemini-2.5-flash")], &sound(LARGE)));
    assert_eq!(answer.status, 400, "{}", answer.text());
    nothing_is_left(&google);
    assert_eq!(of_files(&google).1.len(), 1);
}

#[test]
fn a_file_goes_when_the_client_has_left() {
    let body = form(&recording(&[("model", "whisper-1")], &sound(LARGE)));
    let is_asked = |state: &State| state.generations().next().is_some();
    let is_uploaded = |state: &State| !state.files.is_empty();
    for (looking, begun) in [(Looking::Soon, &is_asked as &dyn Fn(&State) -> bool), (Looking::Forever, &is_uploaded)] {
        let google = FakeGoogle::start();
        google.settings(|settings| settings.looking = looking);
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        google.script(GEMINI_KEY, Step::hang());
        let mut client = wire::connect(proxy.address()).unwrap();
        let head = format!(
            "POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Type: \
             multipart/form-data; boundary=xYz\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body)).unwrap();
        assert!(google.wait_for(begun, Duration::from_secs(20)));
        assert!(google.read(is_uploaded), "it is there while it is used");
        drop(client);
        nothing_is_left(&google);
        assert_eq!(of_files(&google).1, [GEMINI_KEY]);
        google.release();
    }
}

#[test]
fn what_is_larger_than_a_body_may_be_is_refused_before() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["server"]["max_body_mb"] = json!(1);
    });
    let answer = write_down(&proxy, &sound(2 << 20));
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["code"]), (413, &json!("request_too_large")), "{error}");
    assert!(google.requests().iter().all(|one| !one.path.contains("files")));
}

#[test]
fn a_key_goes_before_a_login_that_has_no_files() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.add_user(User::licensed("ada@example.com", "project-1"));
    let login = google.oauth_credential("ada@example.com");
    let proxy = Proxy::start(&google, |config| {
        let file = config["credentials_file"].as_str().unwrap().to_owned();
        std::fs::write(file, login.to_string()).unwrap();
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
    });
    let fields = [("model", "gemini-2.5-flash")];
    // Both would be asked in turn.
    for _ in 0..2 {
        assert_eq!(send(&proxy, TRANSCRIPTIONS, &recording(&fields, &sound(LARGE))).status, 200);
        assert_eq!(google.last_generation().who.as_deref(), Some(GEMINI_KEY));
    }
    nothing_is_left(&google);
}
