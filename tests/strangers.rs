//! Callers without a key, a login or a route: they are answered when their head has come, and nothing of their bodies is
//! kept.

use crate::common::google::{FakeGoogle, State, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::wire::{self, Wire};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;

const CHAT: &str = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;

fn send(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> Wire {
    let mut socket = wire::connect(proxy.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(bytes.as_ref()).unwrap();
    socket
}

/// Everything until the proxy closes.
fn rest(mut socket: Wire) -> String {
    let mut bytes = Vec::new();
    // A reset comes after the answer, if at all.
    let _ = socket.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no status: {answer}"))
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn who_may_not_call_is_told_so_before_the_body_in_the_words_of_the_dialect() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| {
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("right-password");
    });
    let login = "Authorization: Basic Y2hlZjpyaWdodC1wYXNzd29yZA==\r\n";
    let native = "/v1beta/models/gemini-2.5-flash:generateContent";
    for (line, fields, status, place) in [
        ("POST /v1/chat/completions", "", 401, "/error/code"),
        ("POST /v1/completions", "Authorization: Bearer sk-wrong-client\r\n", 401, "/error/code"),
        ("POST /v1/embeddings", "", 401, "/error/code"),
        ("POST /v1/responses", "", 401, "/error/code"),
        ("POST /v1/messages", "", 401, "/error/type"),
        ("POST /v1/messages/count_tokens", "", 401, "/error/type"),
        (&format!("POST {native}"), "", 401, "/error/status"),
        ("POST /upload/v1beta/files?upload_id=nobodys", "", 401, "/error/status"),
        ("POST /v1beta/cachedContents", "", 401, "/error/status"),
        ("POST /v1/nothing", "", 404, "/error/code"),
        ("PUT /v1/chat/completions", "", 405, "/error/code"),
        ("POST /nothing", "", 404, "/detail"),
        ("POST /admin/keys", "", 401, "/detail"),
        ("POST /admin/credentials/import", "", 401, "/detail"),
        ("POST /admin/keys", &format!("{login}Origin: https://evil.example\r\n"), 403, "/detail"),
        ("GET /health", "", 413, "/detail"),
        ("HEAD /", "", 413, ""),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            // The body never comes, so whoever waits for it answers 408 after 20 s.
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n{fields}{expect}\r\n");
            let answer = rest(send(&proxy, head));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert!(place.is_empty() || body(&answer).pointer(place).is_some(), "{line}: {answer}");
        }
    }
    let preflight = rest(send(&proxy, "OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"));
    assert!(preflight.starts_with("HTTP/1.1 200 "), "{preflight}");
    assert!(google.requests().is_empty());
}

#[test]
fn bodies_without_a_key_leave_the_budget_to_those_who_have_one() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let most = 32 << 20;
    let strangers: Vec<Wire> = ["", "Authorization: Bearer sk-wrong-client\r\n", "x-api-key: none\r\n"]
        .iter()
        .map(|fields| {
            let head =
                format!("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {most}\r\n{fields}\r\n");
            let mut socket = send(&proxy, head);
            // All but the end, and as a client that looks for no answer before.
            let _ = socket.write_all(&vec![b' '; most - 8]);
            socket
        })
        .collect();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Length: {}\r\n",
        most - (1 << 20)
    );
    let padding = format!("{}{CHAT}", " ".repeat(most - (1 << 20) - CHAT.len()));
    let answer = rest(send(&proxy, format!("{head}Connection: close\r\n\r\n{padding}")));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for stranger in strangers {
        let answer = rest(stranger);
        assert!(answer.starts_with("HTTP/1.1 401 "), "who uploads first and reads then has his answer: {answer}");
    }
}

#[test]
fn one_key_cannot_take_the_budget_from_another() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([CLIENT_KEY, "sk-greedy-client"]);
    });
    let most = 32 << 20;
    let dripping: Vec<Wire> = (0..3)
        .map(|_| {
            let key = "Authorization: Bearer sk-greedy-client\r\n";
            let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {most}\r\n{key}\r\n");
            let mut socket = send(&proxy, head);
            let _ = socket.write_all(&vec![b' '; most - 8]);
            socket
        })
        .collect();
    let large = format!("{}{CHAT}", " ".repeat(8 << 20));
    let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], large.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(dripping);
}

/// It never answers for one of its models.
fn google_that_hangs() -> FakeGoogle {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.always("*", Step::hang().for_model("gemini-2.5-pro"));
    google.always("*", Step::default_answer());
    google
}

/// A chat with the greedy key.
fn of_greedy(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\
         Authorization: Bearer sk-greedy-client\r\n\r\n{body}",
        body.len()
    )
}

/// And who is the only one has all of them.
#[test]
fn one_key_cannot_take_workers_and_connections_from_another() {
    for (keys, most) in [(&["sk-greedy-client"][..], 16), (&["sk-greedy-client", CLIENT_KEY], 12)] {
        let google = google_that_hangs();
        let proxy = Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!([GEMINI_KEY]);
            config["auth_keys"] = json!(keys);
        });
        let asked = of_greedy(&CHAT.replace("flash", "pro"));
        let hanging: Vec<Wire> = (0..46).map(|_| send(&proxy, &asked)).collect();
        let all = |state: &State| state.generations().count() == most;
        assert!(google.wait_for(all, Duration::from_secs(20)), "{}", google.generations_count());
        if keys.contains(&CLIENT_KEY) {
            let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], CHAT.as_bytes());
            assert_eq!(answer.status, 200, "{}", answer.text());
            let refused = rest(send(&proxy, &asked));
            assert_eq!(status(&refused), 503);
            assert!(body(&refused)["error"]["message"].as_str().unwrap().contains("of this key"), "{refused}");
        }
        assert_eq!(google.generations_count(), most + keys.len() - 1);
        drop(hanging);
    }
}

/// Many messages take a hundred times their bytes while they are translated.
#[test]
fn one_key_cannot_take_the_memory_from_another() {
    let google = google_that_hangs();
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([CLIENT_KEY, "sk-greedy-client"]);
        config["server"]["max_body_mb"] = json!(1);
        config["server"]["memory_mb"] = json!(64);
    });
    let messages = vec![json!({"role": "user", "content": "x"}); 3000];
    let of = |model: &str| json!({"model": model, "messages": messages}).to_string();
    let asked = of_greedy(&of("gemini-2.5-pro"));
    let greedy: Vec<Wire> = (0..5).map(|_| send(&proxy, &asked)).collect();
    let part = |state: &State| state.generations().count() == 3;
    assert!(google.wait_for(part, Duration::from_secs(5)), "{}", google.generations_count());
    let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], of("gemini-2.5-flash").as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(greedy);
}

#[test]
fn a_body_beyond_the_limit_is_refused_with_the_limit_in_every_dialect() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| config["server"]["max_body_mb"] = json!(1));
    let large = vec![b' '; (1 << 20) + 1];
    let post = |path: &str| -> Answer { ask(&proxy, "POST", path, &[], &large) };
    for (path, place, expected) in [
        ("/v1/chat/completions", "/error/code", json!("request_too_large")),
        ("/v1/responses", "/error/code", json!("request_too_large")),
        ("/v1/messages", "/error/type", json!("request_too_large")),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "/error/code", json!(413)),
        ("/v1beta/files", "/error/code", json!(413)),
    ] {
        let answer = post(path);
        assert_eq!(answer.status, 413, "{path}: {}", answer.text());
        assert_eq!(answer.json().pointer(place), Some(&expected), "{path}: {}", answer.text());
        assert!(answer.text().contains("1048576"), "{path}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
    }
    let admin = post("/admin/keys");
    assert_eq!((admin.status, admin.json()["detail"].is_string()), (413, true), "{}", admin.text());
}

#[test]
fn a_key_that_everybody_knows_answers_no_page_of_another_site() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    for keys in [Value::Null, json!(["your-secret-key-2"]), json!(["your-secret-key-1", "sk-own-client"])] {
        let proxy = Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!([GEMINI_KEY]);
            config["auth_keys"] = keys.clone();
            if keys.is_null() {
                config.as_object_mut().unwrap().remove("auth_keys");
            }
        });
        let known = keys[0].as_str().unwrap_or("123456");
        let asked = |key: &str, fields: &[(&str, &str)]| {
            let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!(
                "POST /v1/chat/completions?key={key} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                 Connection: close\r\nContent-Length: {}\r\n{fields}\r\n{CHAT}",
                CHAT.len()
            );
            status(&rest(send(&proxy, head)))
        };
        for foreign in [
            &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")][..],
            &[("Origin", "https://evil.example")],
            &[("Origin", "null")],
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
        ] {
            assert_eq!(asked(known, foreign), 403, "{keys} {foreign:?}");
            if keys.as_array().is_some_and(|keys| keys.len() > 1) {
                assert_eq!(asked("sk-own-client", foreign), 200, "a key of one's own works on every page");
            }
        }
        for near in [&[][..], &[("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "cross-site")]] {
            assert_eq!(asked(known, near), 200, "{keys} {near:?}");
        }
    }
}

#[test]
fn whoever_a_proxy_asks_for_is_not_on_this_machine() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| drop(config.as_object_mut().unwrap().remove("auth_keys")));
    let asked = |path: &str, field: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 123456\r\n");
        status(&rest(send(&proxy, format!("{head}{field}Connection: close\r\n\r\n"))))
    };
    assert_eq!((asked("/v1/models", ""), asked("/admin/status", "")), (200, 200));
    for name in ["Via", "X-Forwarded-Server", "True-Client-IP", "Tailscale-User-Login", "X-Client-IP", "CF-Ray"] {
        let field = format!("{name}: 1.1 front\r\n");
        assert_eq!((asked("/v1/models", &field), asked("/admin/status", &field)), (401, 403), "{name}");
    }
}

#[test]
fn guessing_is_braked_however_many_addresses_it_claims_to_come_from() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| {
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("right-password");
        config["trusted_proxies"] = json!(["127.0.0.1"]);
    });
    let asked = |password: &str, forwarded: &str| {
        // `chef:` and the password in base64.
        let login = format!("Basic {password}");
        let fields = [("Authorization", login.as_str()), ("X-Forwarded-For", forwarded)];
        ask(&proxy, "GET", "/admin/usage", &fields, b"").status
    };
    let (right, wrong) = ("Y2hlZjpyaWdodC1wYXNzd29yZA==", "Y2hlZjp3cm9uZy1wYXNzd29yZA==");
    assert_eq!(asked(right, "198.51.100.7"), 200);
    let statuses: Vec<u16> = (0..60).map(|number| asked(wrong, &format!("203.0.113.{number}"))).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 30, "{statuses:?}");
    assert!(statuses[30..].iter().all(|status| *status == 429), "{statuses:?}");
    assert_eq!(asked(right, "198.51.100.7"), 200, "who was right before is not locked out");
    assert_eq!(
        asked(wrong, "203.0.113.200, 198.51.100.8"),
        429,
        "what stands before the proxy's own word does not count"
    );

    let key = |name: &str, forwarded: &str| {
        let bearer = format!("Bearer {name}");
        let fields = [("Authorization", bearer.as_str()), ("X-Forwarded-For", forwarded)];
        ask(&proxy, "GET", "/v1/models", &fields, b"").status
    };
    let statuses: Vec<u16> = (0..61).map(|_| key("sk-wrong-client", "203.0.113.7")).collect();
    assert_eq!((statuses[59], statuses[60]), (401, 429));
    assert_eq!(key(CLIENT_KEY, "198.51.100.9"), 200, "others do not notice");
}

#[test]
fn a_key_that_is_changed_while_the_body_comes_counts_as_it_is_now() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (number, (change, expected)) in [
        (json!({"name": "renamed"}), 200),
        (json!({"models": ["gemini-2.5-pro"]}), 403),
        (json!({"disabled": true}), 401),
        (Value::Null, 401),
    ]
    .into_iter()
    .enumerate()
    {
        let name = json!({"name": format!("slow-{number}")}).to_string();
        let made = ask(&proxy, "POST", "/admin/keys", &[], name.as_bytes()).json();
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\
             Connection: close\r\nExpect: 100-continue\r\n\r\n",
            CHAT.len()
        );
        let mut socket = send(&proxy, head);
        let mut word = [0; 25];
        socket.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n", "the head was judged");
        let path = format!("/admin/keys/{id}");
        let (method, body) = if change.is_null() { ("DELETE", String::new()) } else { ("POST", change.to_string()) };
        assert_eq!(ask(&proxy, method, &path, &[], body.as_bytes()).status / 100, 2, "{change}");
        socket.write_all(CHAT.as_bytes()).unwrap();
        assert_eq!(status(&rest(socket)), expected, "{change}");
    }
}
