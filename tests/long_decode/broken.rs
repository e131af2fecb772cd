//! Hops that break: with tokens in their middle, with a login whose token ends, and with a second failure on top.

use super::{Failing, LIMIT, LONG, ROUTES, Told, assert_same, finish, pair, told};
use crate::common::google::long::answer;
use crate::common::google::script::{End, Step};
use crate::common::google::{FakeGoogle, User};
use crate::common::http::ask;
use crate::common::proxy::{EMAIL, GEMINI_KEY, Pool, Proxy};
use serde_json::{Value, json};
use std::thread;

fn cut(end: End) -> Step {
    Step::default_answer().cut_after_events(3, end)
}

fn expected(route: &str, limit: usize) -> Told {
    let tokens = LONG.min(limit);
    Told { text: answer(tokens), finish: finish(route, limit >= LONG), prompt: 3, output: tokens as u64 }
}

/// Each hop breaks in its turn behind a token in its middle; what is asked for again fails as well.
#[cfg(feature = "agents")]
#[test]
fn a_hop_that_breaks_behind_a_token_goes_on_from_it() {
    let limited: Failing = || Step::status(429, "Resource has been exhausted (e.g. check quota).");
    let trouble: Failing = || Step::status(500, "Internal error encountered.");
    let broken: Failing = || cut(End::Clean);
    for (hop, end, again, limit, route, stream) in [
        (0, End::Reset, None, 300_000, ROUTES[0], true),
        (1, End::Close, Some(limited), 150_000, ROUTES[2], true),
        (2, End::Clean, Some(trouble), 300_000, ROUTES[3], false),
        (0, End::Close, Some(broken), 150_000, ROUTES[0], false),
        (1, End::Clean, Some(broken), 300_000, ROUTES[3], true),
        (2, End::Reset, Some(limited), 150_000, ROUTES[1], false),
    ] {
        let (google, proxy) = pair();
        google.settings(|settings| (settings.checkpoints, settings.events) = (true, 8));
        (0..hop).for_each(|_| google.script(GEMINI_KEY, Step::default_answer()));
        google.script(GEMINI_KEY, cut(end));
        again.into_iter().for_each(|step| google.script(GEMINI_KEY, step()));
        let found = told(&proxy, route, LONG, limit, stream);
        let what = format!("{route}, streamed: {stream}, hop {hop}, limit {limit}");
        assert_same(&what, &found, &expected(route, limit));
        let entry = proxy.service().app().usage.recent().remove(0);
        // An event may end within a token, which is then made twice.
        assert!(entry.completion_tokens - found.output < 65_536 / 8, "{what}: {}", entry.completion_tokens);
        assert!(limit < LONG || entry.completion_tokens == found.output, "{what}: nothing was made twice");
        let sent = google.generations();
        assert!(sent.iter().all(|call| call.body["generationConfig"]["maxOutputTokens"] == limit), "{what}");
    }
}

/// What came behind the newest token is made twice, and billed, and told once.
#[test]
fn what_google_makes_twice_is_billed_and_not_told() {
    let event = |text: &str, made: u64, more: Value| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
        candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": made,
            "totalTokenCount": 5 + made}})
    };
    for stream in [true, false] {
        let (google, proxy) = pair();
        let token = json!({"continuationToken": "QQ=="});
        let broken = vec![event("one ", 1, token), event("two ", 2, json!({})), event("three ", 3, json!({}))];
        google.script(GEMINI_KEY, Step::stream(broken).cut_after_events(3, End::Reset));
        let rest = vec![event("two three", 2, json!({})), event(" four", 3, json!({"finishReason": "STOP"}))];
        google.script(GEMINI_KEY, Step::stream(rest));
        let found = told(&proxy, ROUTES[0], 9, 300_000, stream);
        let wanted = Told { text: "one two three four".into(), finish: "stop".into(), prompt: 5, output: 4 };
        assert_same("twice", &found, &wanted);
        let entry = proxy.service().app().usage.recent().remove(0);
        assert_eq!((entry.prompt_tokens, entry.completion_tokens), (10, 6), "two prompts, and two tokens twice");
        assert_eq!(google.generations()[1].body["continuationToken"], "QQ==");
    }
}

/// Places of sources count from the token where the hop began again.
#[test]
fn sources_behind_a_break_stand_where_they_say() {
    let (google, proxy) = pair();
    let event = |text: &str, more: Value| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
        candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"candidates": [candidate]})
    };
    let broken = vec![event("head ", json!({"continuationToken": "QQ=="})), event("lost", json!({}))];
    google.script(GEMINI_KEY, Step::stream(broken).cut_after_events(2, End::Reset));
    let metadata = json!({"groundingChunks": [{"web": {"uri": "https://one.example", "title": "t"}}],
        "groundingSupports": [{"groundingChunkIndices": [0], "segment": {"startIndex": 0, "endIndex": 4, "text": "lost"}}]});
    google.script(
        GEMINI_KEY,
        Step::stream(vec![event("lost", json!({"groundingMetadata": metadata, "finishReason": "STOP"}))]),
    );
    let body =
        json!({"model": "gemini-4-argon", "web_search_options": {}, "messages": [{"role": "user", "content": "x"}]});
    let answer = ask(&proxy, "POST", ROUTES[0], &[], body.to_string().as_bytes()).json();
    let message = &answer["choices"][0]["message"];
    let place = &message["annotations"][0]["url_citation"];
    assert_eq!(message["content"], "head lost");
    assert_eq!((place["start_index"].as_u64(), place["end_index"].as_u64()), (Some(5), Some(9)), "{answer}");
}

/// A login's token ends between two hops: it is renewed once, and the answer goes on.
#[test]
fn a_token_that_ends_between_two_hops_is_renewed() {
    for stream in [true, false] {
        let google = FakeGoogle::start();
        google.add_user(User::licensed(EMAIL, "project-1"));
        let proxy = Proxy::with_pool(&google, Pool::Oauth);
        google.script(EMAIL, Step::default_answer());
        google.script(EMAIL, Step::default_answer().hold_after(1));
        let found = thread::scope(|scope| {
            let asking = scope.spawn(|| told(&proxy, ROUTES[0], LONG, 300_000, stream));
            assert!(google.wait_for(|state| state.holding == 1, LIMIT));
            google.expire(EMAIL);
            google.release();
            asking.join().unwrap()
        });
        assert_same("renewed", &found, &expected(ROUTES[0], 300_000));
        let statuses: Vec<u16> = google.generations().iter().map(|call| call.status).collect();
        assert_eq!(statuses, [200, 200, 401, 200, 200], "one call with the old token");
        assert_eq!(google.read(|state| state.refreshed.get(EMAIL).copied()), Some(1));
    }
}
