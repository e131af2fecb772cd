//! What of Google's API is passed on as it is: uploads, files, methods that nobody translates.

use crate::common::google::FakeGoogle;
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::script;
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

fn get(proxy: &Proxy, path: &str) -> Answer {
    ask(proxy, "GET", path, &[], b"")
}

#[test]
fn an_upload_comes_back_through_us_and_its_pieces_need_no_key() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let start = ask(
        &proxy,
        "POST",
        "/upload/v1beta/files?key=sk-client-of-most-tests",
        &[
            ("X-Goog-Upload-Command", "start"),
            ("X-Goog-Upload-Protocol", "resumable"),
            ("X-Goog-Upload-Header-Content-Type", "text/plain"),
        ],
        br#"{"file":{"display_name":"notes"}}"#,
    );
    assert_eq!(start.status, 200, "{}", start.text());
    let address = start.header("x-goog-upload-url").unwrap().to_owned();
    let target = address.strip_prefix(&proxy.base()).expect("the address is ours").to_owned();
    assert!(!address.contains(CLIENT_KEY) && !address.contains(GEMINI_KEY), "{address}");

    let piece = [("X-Goog-Upload-Command", "upload, finalize"), ("X-Goog-Upload-Offset", "0"), ("Authorization", "")];
    let stranger = ask(&proxy, "POST", "/upload/v1beta/files?upload_id=guess", &piece, b"hello");
    assert_eq!((stranger.status, &stranger.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));

    let done = ask(&proxy, "POST", &target, &piece, b"hello");
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.header("x-goog-upload-status"), Some("final"));
    let file = done.json()["file"].clone();
    assert_eq!((&file["displayName"], &file["sizeBytes"]), (&json!("notes"), &json!("5")));

    let name = file["name"].as_str().unwrap();
    assert_eq!(get(&proxy, &format!("/v1beta/{name}")).json(), file);
    assert_eq!(get(&proxy, "/v1beta/files").json()["files"][0], file);
    assert_eq!(ask(&proxy, "DELETE", &format!("/v1beta/{name}"), &[], b"").status, 200);
    let gone = get(&proxy, &format!("/v1beta/{name}"));
    assert_eq!((gone.status, &gone.json()["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
    assert_eq!(get(&proxy, "/v1beta/files").status, 200, "a file that is not there blocks no key");

    for request in google.requests() {
        assert!(!format!("{:?}{:?}", request.headers, request.query).contains(CLIENT_KEY), "{request:?}");
    }
}

#[test]
fn what_one_client_stores_stays_with_one_key() {
    let google = FakeGoogle::start();
    let keys: Vec<String> = (0..4).map(|n| format!("AIza-files-{n}")).collect();
    keys.iter().for_each(|key| google.add_api_key(key));
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
    // The list of models is asked for in the background, with whichever key comes first.
    let used = || {
        let requests = google.requests();
        let last = requests.iter().rfind(|request| request.path != "/v1beta/models").unwrap();
        last.header("x-goog-api-key").unwrap().to_owned()
    };
    google.change(|state| state.files.push(json!({"name": "files/x", "state": "ACTIVE"})));
    get(&proxy, "/v1beta/files");
    let first = used();
    let file = json!({"fileData": {"fileUri": format!("{}/v1beta/files/x", google.base()), "mimeType": "text/plain"}});
    let body = json!({"contents": [{"role": "user", "parts": [file, {"text": "Read"}]}]}).to_string();
    for _ in 0..3 {
        get(&proxy, "/v1beta/cachedContents");
        assert_eq!(used(), first);
        ask(&proxy, "POST", "/v1beta/models/gemini-2.5-flash:generateContent", &[], body.as_bytes());
        assert_eq!(used(), first);
    }
}

#[test]
fn a_reply_of_google_keeps_its_status_and_a_long_one_its_bytes() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let unknown = ask(&proxy, "POST", "/v1beta/models/imagen-4.0:predict", &[], b"{}");
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!(404)));

    let files: Vec<Value> = (0..20_000).map(|n| json!({"name": format!("files/{n}"), "state": "ACTIVE"})).collect();
    google.change(|state| state.files.clone_from(&files));
    let answer = get(&proxy, "/v1beta/files");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 256 << 10 && answer.json()["files"] == json!(files), "{} bytes", answer.body.len());
}

#[test]
fn answers_without_a_body_and_parts_of_one_pass_as_they_are() {
    let replies = [
        ("HTTP/1.1 204 No Content\r\nX-Goog-A: b\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 10\r\n\r\n", 304, ""),
        ("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nContent-Length: 4\r\n\r\npart", 206, "part"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
    ];
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", upstream.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < replies.len() {
            let (socket, _) = upstream.accept().unwrap();
            let lines = BufReader::new(&socket).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            // The list of models is asked for in the background.
            let Some(at) = head.first().and_then(|line| line.split("/v1beta/files/").nth(1)) else { continue };
            let at: usize = at[..1].parse().unwrap();
            let reply = replies[at].0.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            (&socket).write_all(reply.as_bytes()).unwrap();
            seen.push(head);
        }
        seen
    });
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["endpoints"]["generative_language"] = json!(address);
    });
    // One connection: what is taken for a body would be the next answer.
    let mut client = wire::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for (at, (_, status, body)) in replies.iter().enumerate() {
        let fields = "Range: bytes=0-3\r\nIf-None-Match: \"x\"";
        write!(
            client,
            "GET /v1beta/files/{at} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\n{fields}\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        let has_length = head.contains("content-length");
        assert_eq!(has_length, !matches!(status, 204 | 304), "{head}");
        assert!(
            !head.contains("transfer-encoding") && *status != 206 || head.contains("content-range: bytes 0-3/10"),
            "{head}"
        );
        let mut found = vec![0; body.len()];
        client.read_exact(&mut found).unwrap();
        assert_eq!(found, body.as_bytes());
    }
    let seen = served.join().unwrap();
    let asked =
        |name: &str| seen.iter().all(|head| head.iter().any(|line| line.to_ascii_lowercase().starts_with(name)));
    assert!(asked("range: bytes=0-3") && asked("if-none-match:"), "{seen:?}");
}

#[test]
fn without_an_api_key_the_answer_says_so_in_googles_shape() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    for path in ["/v1beta/files", "/v1beta/cachedContents/x", "/v1beta/operations/x"] {
        let answer = get(&proxy, path);
        assert_eq!(answer.status, 503, "{path}");
        let error = &answer.json()["error"];
        assert_eq!((&error["code"], &error["status"]), (&json!(503), &json!("UNAVAILABLE")), "{path}");
        assert!(error["message"].as_str().unwrap().contains("gemini_api_keys"), "{error}");
    }
    assert_eq!(get(&proxy, "/v1beta/files/../x").status, 404);
    let openai = get(&proxy, "/v1/files");
    assert_eq!((openai.status, &openai.json()["error"]["code"]), (404, &json!("unknown_url")), "OpenAI's own files");
}

/// Whose error an answer is.
fn shape(answer: &Answer) -> &'static str {
    let body = answer.json();
    match (body["error"]["status"].is_string(), body["error"]["type"].is_string(), body["detail"].is_string()) {
        (true, false, false) => "google",
        (false, true, true) => "openai",
        (false, true, false) => "anthropic",
        (false, false, true) => "detail",
        _ => panic!("{body}"),
    }
}

#[test]
fn an_address_that_leads_nowhere_is_told_in_the_shape_of_the_api_it_looks_like() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let sdk = ("x-goog-api-client", "google-genai-sdk/1");
    let key = ("x-goog-api-key", CLIENT_KEY);
    let anthropic = ("anthropic-version", "2023-06-01");
    for (method, path, headers, status, expected) in [
        ("GET", "/v1beta7/models", &[][..], 404, "google"),
        ("POST", "/v1alpha7/models/x:generateContent", &[], 404, "google"),
        ("GET", "/v1beta", &[], 404, "google"),
        ("POST", "/v1beta/models", &[], 405, "google"),
        ("GET", "/v1alpha/models/x:generateContent", &[], 405, "google"),
        ("GET", "/upload/v9/files", &[], 404, "google"),
        ("GET", "/v1/nothing", &[sdk], 404, "google"),
        ("GET", "/v7/models/x", &[key], 404, "google"),
        ("GET", "/nothing", &[key], 404, "google"),
        ("GET", "/v1/models/nothing-like-it", &[key], 404, "google"),
        ("GET", "/v1/models/nothing-like-it?key=sk-client-of-most-tests", &[], 404, "google"),
        ("DELETE", "/v1/models/x", &[sdk], 405, "google"),
        ("GET", "/v1/models/nothing-like-it", &[], 404, "openai"),
        ("GET", "/v1/nothing", &[], 404, "openai"),
        ("GET", "/v7/models", &[], 404, "openai"),
        ("GET", "/v1/chat/completions", &[], 405, "openai"),
        ("POST", "/v1/fine_tuning/jobs", &[], 404, "openai"),
        ("POST", "/images/variations/x", &[], 404, "openai"),
        ("GET", "/v1/files", &[], 404, "openai"),
        ("GET", "/v1/files", &[anthropic], 404, "anthropic"),
        ("POST", "/v1/complete", &[anthropic], 404, "anthropic"),
        ("GET", "/nothing", &[anthropic], 404, "anthropic"),
        ("POST", "/v1/assistants", &[], 404, "openai"),
        ("GET", "/nothing", &[], 404, "detail"),
        ("POST", "/health", &[], 405, "detail"),
    ] {
        let answer = ask(&proxy, method, path, headers, b"{}");
        assert_eq!(
            (answer.status, shape(&answer)),
            (status, expected),
            "{method} {path} {headers:?}: {}",
            answer.text()
        );
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin").is_some(), expected != "detail", "{method} {path}");
        let body = answer.json();
        let (message, detail) = (body["error"]["message"].as_str().unwrap_or(""), body["detail"].as_str());
        if expected != "detail" && !path.contains("nothing-like-it") {
            let path = path.split('?').next().unwrap();
            assert!(message.contains(&format!("{method} {path} is not served here")), "{message}");
            let what_is = if expected == "google" { "generateContent" } else { "/v1/chat/completions" };
            assert!(message.contains(what_is), "{message}");
        }
        // Scripts of the old program compare these words.
        match (expected, status) {
            ("google" | "anthropic", _) => assert_eq!(detail, None),
            (_, 405) => assert_eq!(detail, Some("Method Not Allowed"), "{path}"),
            _ if path.contains("nothing-like-it") => assert_eq!(detail, Some("Model not found")),
            _ => assert_eq!(detail, Some("Not Found"), "{path}"),
        }
    }
    assert!(google.requests().iter().all(|request| request.path == "/v1beta/models"), "nobody is asked for these");
}

#[test]
fn a_cache_of_vertex_is_called_by_its_own_name() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let place = "projects/p/locations/us-central1";
    let text = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    let body = json!({"cachedContent": format!("{place}/cachedContents/x"), "contents": text}).to_string();
    let path = format!("/v1beta1/{place}/publishers/google/models/gemini-2.5-flash:generateContent");
    ask(&proxy, "POST", &path, &[], body.as_bytes());
    assert_eq!(google.generations()[0].body["cachedContent"], "cachedContents/x");
    get(&proxy, &format!("/v1beta1/{place}/cachedContents/x"));
    assert!(google.requests().iter().any(|request| request.path == "/v1beta/cachedContents/x"));
}

#[test]
fn google_genai_uploads_reads_and_deletes_files() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    script::python("google_genai_files.py", &[], &proxy);
}

#[test]
fn a_key_that_is_held_to_some_models_cannot_reach_others_by_what_is_passed_on() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": CLIENT_KEY, "models": ["gemini-2.5-flash"]}]);
    });
    google.add_api_key(GEMINI_KEY);
    let ask = |path: &str, body: &str| ask(&proxy, "POST", path, &[], body.as_bytes()).status;
    for (path, body) in [
        ("/v1beta/models/gemini-2.5-pro:predict", ""),
        ("/v1beta/models/gemini-2.5-flash%2Dimage:predict", ""),
        ("/v1beta/%6Dodels/gemini-2.5-pro:predict", ""),
        ("/v1beta/interactions", r#"{"model":"gemini-2.5-pro","input":"hi"}"#),
    ] {
        assert_eq!(ask(path, body), 403, "{path}");
    }
    let deep = format!(r#"{{"x":{}{},"model":"gemini-2.5-flash"}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        "\u{feff}{\"model\":\"gemini-2.5-flash\"}",
        r#"{"model":"gemini-2.5-flash",}"#,
        r#"{"model":"gemini-2.5-pro","model":"gemini-2.5-flash"}"#,
        r#"{"model":"gemini-2.5-flash","batch":{"model":"models/gemini-2.5-pro"}}"#,
        "model=gemini-2.5-flash",
        &deep,
    ] {
        assert_eq!(ask("/v1beta/interactions", body), 403, "{body}");
    }
    assert!(google.requests().iter().all(|request| request.method != "POST"));
    assert_ne!(ask("/v1beta/models/gemini-2.5-flash:predict", ""), 403);
    assert_ne!(ask("/v1beta/interactions", r#"{"model":"models/gemini-2.5-flash"}"#), 403);
}

#[test]
fn limits_of_keys_hold_for_what_is_passed_on_and_for_what_is_counted() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([
            {"key": "sk-minute-client", "requests_per_minute": 2}, {"key": "sk-day-client", "requests_per_day": 2},
            {"key": "sk-old-client", "expires_at": "2020-01-01"}, {"key": "sk-none-client", "concurrency": 0},
        ]);
    });
    let message = r#"{"model":"gemini-2.5-flash","max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}"#;
    for (method, path, body) in [
        ("GET", "/v1beta/files", ""),
        ("POST", "/upload/v1beta/files", "{}"),
        ("POST", "/v1beta/cachedContents", "{}"),
        ("DELETE", "/v1beta/files/x", ""),
        ("POST", "/v1/messages/count_tokens", message),
    ] {
        let proxy_status = |key: &str| {
            ask(&proxy, method, path, &[("x-goog-api-key", key), ("Authorization", "")], body.as_bytes()).status
        };
        assert_eq!((proxy_status("sk-old-client"), proxy_status("sk-none-client")), (401, 429), "{method} {path}");
    }
    for key in ["sk-minute-client", "sk-day-client"] {
        let asked = || ask(&proxy, "GET", "/v1beta/files", &[("x-goog-api-key", key), ("Authorization", "")], b"");
        assert_eq!([asked().status, asked().status, asked().status], [200, 200, 429], "{key}");
        assert!(asked().header("retry-after").is_some());
    }
}

#[test]
fn nothing_that_is_passed_on_can_pass_for_a_page_of_ours() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (path, key, status) in [
        ("/v1beta/files/x", CLIENT_KEY, 403),
        ("/v1beta/files", CLIENT_KEY, 200),
        ("/v1beta/files", "sk-wrong-client", 401),
        ("/v1/models", CLIENT_KEY, 200),
        ("/v1/nothing", CLIENT_KEY, 404),
        ("/v1beta/models", CLIENT_KEY, 200),
        ("/nothing", CLIENT_KEY, 404),
        ("/health", CLIENT_KEY, 200),
    ] {
        let answer = ask(&proxy, "GET", path, &[("Authorization", &format!("Bearer {key}"))], b"");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        let is_page = path == "/nothing" || path == "/health";
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox") != is_page, "{path}: {policy}");
    }
}
