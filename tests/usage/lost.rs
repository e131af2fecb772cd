//! A key that is lost between the pieces of what it does: the next request of a connection, a body that comes, an upload
//! that goes on, an answer that is cut.

use super::revoked::{CHAT, GEMINI, WORDS, begin, change, expires, make, rest, start};
use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MODELS: &str = "/v1/models";

fn long_ago() -> Value {
    expires(UNIX_EPOCH + Duration::from_secs(9))
}

/// Takes a key away in this way.
fn lose(proxy: &Proxy, id: &str, way: &str) {
    let path = format!("/admin/keys/{id}");
    match way {
        "revoked" => change(proxy, "DELETE", &path, &Value::Null),
        "switched off" => change(proxy, "POST", &path, &json!({"disabled": true})),
        "expired" => change(proxy, "POST", &path, &long_ago()),
        _ => unreachable!("{way}"),
    }
}

const WAYS: [&str; 3] = ["revoked", "switched off", "expired"];

#[test]
fn the_next_request_of_the_same_connection_is_refused_at_once() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    google.clear_scripts();
    google.always(GEMINI_KEY, Step::text("well"));
    for way in WAYS {
        let (id, key) = make(&proxy, json!({"name": way}));
        let mut client = Client::new(proxy.address());
        for _ in 0..3 {
            assert_eq!(client.chat(&key, "gemini-2.5-flash").unwrap().status, 200, "{way}");
        }
        let before = google.generations_count();
        lose(&proxy, &id, way);
        for _ in 0..3 {
            let answer = client.chat(&key, "gemini-2.5-flash").unwrap();
            assert_eq!(answer.status, 401, "{way}: {}", answer.body);
            assert_eq!(answer.json()["error"]["code"], "invalid_api_key", "{way}");
        }
        assert_eq!(google.generations_count(), before, "{way}");
    }
    // In its own time: whoever asks after that is refused.
    let end = SystemTime::now() + Duration::from_secs(2);
    let (_, key) = make(&proxy, {
        let mut fields = expires(end);
        fields["name"] = json!("in time");
        fields
    });
    let mut client = Client::new(proxy.address());
    loop {
        let began_before = SystemTime::now() < end;
        let status = client.send("GET", MODELS, &[("x-api-key", &key)], "").unwrap().status;
        match status {
            200 => assert!(began_before),
            _ => break assert_eq!(status, 401),
        }
    }
}

#[test]
fn a_key_that_expires_while_its_body_comes_is_refused() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let (_, key) = make(&proxy, {
        let mut fields = expires(SystemTime::now() + Duration::from_secs(5));
        fields["name"] = json!("slow");
        fields
    });
    let mut sockets = Vec::new();
    for path in [CHAT, GEMINI, "/upload/v1beta/files"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nx-goog-api-key: {key}\r\nContent-Length: 9\r\nConnection: close\r\n\
             X-Goog-Upload-Command: start\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut socket = wire::connect(proxy.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        let mut word = [0; 25];
        socket.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n", "{path}: the head was judged");
        sockets.push((path, socket));
    }
    let mut client = Client::new(proxy.address());
    while client.send("GET", MODELS, &[("x-api-key", &key)], "").unwrap().status == 200 {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    for (path, mut socket) in sockets {
        socket.write_all(b"{\"a\": 12}").unwrap();
        let answer = rest(socket);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("has expired"), "{path}: {answer}");
    }
    assert!(google.requests().iter().all(|request| request.method == "GET"), "Google is asked nothing");
}

/// Begins an upload; the target at which it goes on.
fn begin_upload(proxy: &Proxy, key: &str) -> String {
    let fields = [("x-goog-api-key", key), ("X-Goog-Upload-Command", "start"), ("X-Goog-Upload-Protocol", "resumable")];
    let begun = ask(proxy, "POST", "/upload/v1beta/files", &[&fields[..], &[("Authorization", "")]].concat(), b"{}");
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.header("x-goog-upload-url").unwrap().strip_prefix(&proxy.base()).unwrap().to_owned()
}

/// The status of its next piece, which is sent without a key.
fn go_on(proxy: &Proxy, target: &str, offset: usize) -> u16 {
    let offset = offset.to_string();
    let fields = [("X-Goog-Upload-Command", "upload"), ("X-Goog-Upload-Offset", &*offset), ("Authorization", "")];
    ask(proxy, "POST", target, &fields, b"piece").status
}

#[test]
fn an_upload_goes_on_as_long_as_the_key_that_began_it_whatever_its_name() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    for way in WAYS {
        let (id, key) = make(&proxy, json!({"name": format!("begins {way}")}));
        let target = begin_upload(&proxy, &key);
        assert_eq!(go_on(&proxy, &target, 0), 200, "{way}");
        change(&proxy, "POST", &format!("/admin/keys/{id}"), &json!({"name": format!("renamed {way}")}));
        assert_eq!(go_on(&proxy, &target, 5), 200, "{way}: a name is text beside the key");
        // Somebody else has that name now.
        make(&proxy, json!({"name": format!("begins {way}")}));
        let before = google.requests().len();
        lose(&proxy, &id, way);
        assert_eq!(go_on(&proxy, &target, 10), 401, "{way}");
        assert_eq!(google.requests().len(), before, "{way}");
    }
}

#[test]
fn what_was_cut_is_counted_once_and_gives_its_place_back() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let (id, key) = make(&proxy, json!({"name": "alone", "concurrency": 1}));
    let stream = begin(&proxy, &key, CHAT);
    let mut client = Client::new(proxy.address());
    assert_eq!(client.chat(&key, "gemini-2.5-flash").unwrap().status, 429, "there is one place");
    lose(&proxy, &id, "switched off");
    assert!(rest(stream).contains(WORDS));
    change(&proxy, "POST", &format!("/admin/keys/{id}"), &json!({"disabled": false}));
    google.clear_scripts();
    google.always(GEMINI_KEY, Step::text("well"));
    assert_eq!(client.chat(&key, "gemini-2.5-flash").unwrap().status, 200, "the place is free");
    let rows = ask(&proxy, "GET", "/admin/requests", &[], b"").json()["requests"].clone();
    let rows: Vec<(u64, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["status"].as_u64().unwrap(), row["error"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(rows, [(200, ""), (401, "invalid_api_key"), (429, "rate_limit_exceeded")], "newest first");
}

/// A Google that begins to send a long file, and goes on when it is told to.
fn google_with_a_file() -> (String, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, told) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let line = BufReader::new(&socket).lines().next();
            // The list of models is asked for in the background.
            if !line.and_then(Result::ok).is_some_and(|line| line.contains("/files/")) {
                continue;
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n\r\n";
            (&socket).write_all(&[&head[..], &[b'x'; 400_000]].concat()).unwrap();
            let _ = told.recv();
        }
    });
    (address, go_on)
}

#[test]
fn a_file_that_is_passed_on_breaks_off_and_is_not_said_to_be_the_clients_fault() {
    let google = FakeGoogle::start();
    let (address, _go_on) = google_with_a_file();
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["endpoints"]["generative_language"] = json!(address);
    });
    let (id, key) = make(&proxy, json!({"name": "reader"}));
    let mut socket = wire::connect(proxy.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("GET /v1beta/files/f:download?alt=media HTTP/1.1\r\nHost: x\r\nx-goog-api-key: {key}\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut begun = vec![0; 400_000];
    socket.read_exact(&mut begun).unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200"));
    lose(&proxy, &id, "revoked");
    let mut more = Vec::new();
    let _ = socket.read_to_end(&mut more);
    assert!(more.len() < 10_000, "{}", more.len());
    // It is counted when its end is on its way.
    let begun = Instant::now();
    let counted = loop {
        let figures = ask(&proxy, "GET", "/metrics", &[], b"").text().to_owned();
        if let Some(line) = figures.lines().find(|line| line.contains("surface=\"forward\"")) {
            break line.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{figures}");
    };
    assert!(counted.contains("status=\"401\""), "{counted}");
}
