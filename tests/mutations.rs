//! Requests that were valid until something was changed in them, a thousand on each surface: each is answered or refused in
//! the shape of its surface, in time, and nothing breaks for those that follow. The changes are the same in every run, unless
//! `GEMINI_PROXY_SEED` is another number.

use crate::common::google::FakeGoogle;
use crate::common::numbers::Numbers;
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use crate::common::translation::cases;
use crate::common::wire::agent_with;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const COUNT: usize = 1000;

/// What is expected on one surface.
struct Surface {
    path: &'static str,
    /// Where its fixtures are, and the field of a request that holds the conversation.
    fixtures: (&'static str, &'static [&'static str], &'static str),
    /// Whether a whole answer is complete.
    is_answer: fn(&Value) -> bool,
    /// Whether a stream is.
    is_stream: fn(&str) -> bool,
    /// Whether an error is well-formed.
    is_error: fn(&Value) -> bool,
}

const OPENAIS_ERROR: fn(&Value) -> bool = |body| {
    let error = &body["error"];
    let is_text = |name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
    is_text("message") && is_text("type") && ["param", "code"].iter().all(|name| error.get(name).is_some())
};

const SURFACES: [Surface; 3] = [
    Surface {
        path: "/v1/chat/completions",
        fixtures: ("openai_chat", &["requests", "requests_more"], "messages"),
        is_answer: |body| body["choices"][0]["finish_reason"].is_string(),
        is_stream: |text| text.ends_with("data: [DONE]\n\n"),
        is_error: OPENAIS_ERROR,
    },
    Surface {
        path: "/v1/responses",
        fixtures: ("openai_responses", &["requests"], "input"),
        is_answer: |body| ["completed", "incomplete"].iter().any(|status| body["status"] == *status),
        is_stream: |text| {
            let last = text.trim_end().rsplit("event: ").next().unwrap_or_default();
            ["response.completed\n", "response.incomplete\n"].iter().any(|name| last.starts_with(name))
        },
        is_error: OPENAIS_ERROR,
    },
    Surface {
        path: "/v1/messages",
        fixtures: ("anthropic_messages", &["requests"], "messages"),
        is_answer: |body| body["type"] == "message" && body["stop_reason"].is_string(),
        is_stream: |text| text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        is_error: |body| {
            let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            body["type"] == "error" && is_text(&body["error"]["type"]) && is_text(&body["error"]["message"])
        },
    },
];

/// Valid requests without addresses: no test may ask a network, and the pool here reads no buckets.
fn seeds((dialect, files, field): (&str, &[&str], &str)) -> Vec<Value> {
    let bodies = files.iter().flat_map(|name| cases(dialect, name)).map(|case| case["in"].clone());
    let names_none = |text: String| ["http", "gs:"].iter().all(|address| !text.contains(address));
    bodies.filter(|body| body.get(field).is_some() && names_none(body.to_string())).collect()
}

/// A value that clients have been seen to send where it does not belong.
fn odd(numbers: &mut Numbers) -> Value {
    let all = [
        Value::Null,
        json!([]),
        json!({}),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("tool"),
        json!(true),
        json!([[[[]]]]),
        json!({"type": "text", "text": "x"}),
        json!("\u{0}\u{2028}\u{1f600}"),
        json!([null, 1, "x", {}]),
        json!({"$ref": "#"}),
        json!("x".repeat(5000)),
    ];
    all[numbers.below(all.len())].clone()
}

/// Every place in a document, as a pointer.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                places(inner, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                places(inner, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// One change to the document: a value replaced, a field or item taken out, doubled, or moved from another place.
fn change(document: &mut Value, other: &Value, numbers: &mut Numbers) {
    let pick = |value: &Value, numbers: &mut Numbers| {
        let mut found = Vec::new();
        places(value, "", &mut found);
        found.swap_remove(numbers.below(found.len()))
    };
    let place = pick(document, numbers);
    let foreign = other.pointer(&pick(other, numbers)).cloned().unwrap_or_default();
    let Some(slot) = document.pointer_mut(&place) else { return };
    match (numbers.below(5), slot) {
        (0, slot) => *slot = odd(numbers),
        (1, slot) => *slot = foreign,
        (2, Value::Array(items)) if !items.is_empty() => drop(items.remove(numbers.below(items.len()))),
        (3, Value::Array(items)) if !items.is_empty() => items.insert(0, items[numbers.below(items.len())].clone()),
        (4, Value::Array(items)) => items.reverse(),
        (_, Value::Object(fields)) if !fields.is_empty() => {
            let name = fields.keys().nth(numbers.below(fields.len())).unwrap().clone();
            fields.remove(&name);
        }
        (_, slot) => *slot = odd(numbers),
    }
}

/// The same for bytes: the document need not stay one.
fn damage(body: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(body.len());
    match numbers.below(3) {
        0 => body[at] = numbers.below(256) as u8,
        1 => body.truncate(at),
        _ => drop(body.drain(at..(at + numbers.below(30)).min(body.len()))),
    }
}

/// What we let through, Google must take: else the translation lacks a rule.
fn was_taken(google: &FakeGoogle) {
    let mut refusals: Vec<(String, Value)> =
        google.generations().into_iter().filter_map(|call| Some((call.refusal?, call.body))).collect();
    // The fake did not give out the signatures of the fixtures, and refuses penalties; taking them out and asking again is
    // the answer to both.
    let repaired = ["Corrupted thought signature", "Penalty is not enabled", "is not found"];
    // A client that asks a model of pictures for functions, or for a ratio that it has not, is told so by Google.
    let pictures = ["Function calling is not enabled for models/", "aspect_ratio "];
    refusals.retain(|(why, _)| !repaired.iter().chain(&pictures).any(|known| why.contains(known)));
    let shown: Vec<String> = refusals.iter().map(|(why, body)| format!("{why}\n    {body}")).collect();
    assert!(refusals.is_empty(), "Google refused {}:\n{}", shown.len(), shown.join("\n"));
}

fn broken_requests_are_answered_or_refused(surface: &Surface) {
    let begun = Instant::now();
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let agent = agent_with(|config| config.timeout_global(Some(Duration::from_secs(10))));
    let ask = |body: &[u8]| {
        let request = agent.post(format!("{}{}", proxy.base(), surface.path));
        request.header("Authorization", format!("Bearer {CLIENT_KEY}")).send(body)
    };
    let seeds = seeds(surface.fixtures);
    assert!(seeds.len() > 30, "the fixtures are there");
    let seed = std::env::var("GEMINI_PROXY_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    let mut numbers = Numbers(seed.unwrap_or(0x9e37_79b9_7f4a_7c15));
    let (mut good, mut refused) = (0, 0);
    for number in 0..COUNT {
        let mut document = seeds[numbers.below(seeds.len())].clone();
        let other = seeds[numbers.below(seeds.len())].clone();
        document["stream"] = json!(numbers.below(2) == 0);
        for _ in 0..=numbers.below(2) {
            change(&mut document, &other, &mut numbers);
        }
        let mut body = document.to_string().into_bytes();
        if numbers.below(10) == 0 {
            damage(&mut body, &mut numbers);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut answer = ask(&body).unwrap_or_else(|error| panic!("request {number}: {error}: {text}"));
        let status = answer.status().as_u16();
        let streams = answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream");
        // Five thousand letters are many minutes of speech.
        let given = answer.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        let is_right = match status {
            200 if streams => (surface.is_stream)(&given),
            200 => serde_json::from_str(&given).is_ok_and(|body| (surface.is_answer)(&body)),
            400 | 404 | 413 => serde_json::from_str(&given).is_ok_and(|body| (surface.is_error)(&body)),
            _ => false,
        };
        assert!(is_right, "request {number}: {status} {given} for {text}");
        if status == 200 { good += 1 } else { refused += 1 }
    }
    assert!(good > 150 && refused > 50, "{good} good, {refused} refused: the changes are worth something");
    was_taken(&google);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let whole = seeds.iter().find(|seed| seed["model"] == "gemini-2.5-flash").expect("a plain one");
    assert_eq!(ask(whole.to_string().as_bytes()).unwrap().status(), 200, "the key still serves");
}

#[test]
fn a_thousand_broken_chats_are_answered_or_refused() {
    broken_requests_are_answered_or_refused(&SURFACES[0]);
}

#[cfg(feature = "agents")]
#[test]
fn a_thousand_broken_requests_for_responses_are_answered_or_refused() {
    broken_requests_are_answered_or_refused(&SURFACES[1]);
}

#[cfg(feature = "agents")]
#[test]
fn a_thousand_broken_messages_are_answered_or_refused() {
    broken_requests_are_answered_or_refused(&SURFACES[2]);
}
