//! Several replicas over one real Redis, each the whole program in this process.

mod accounts;
mod away;
mod clocks;
mod damage;
mod deploy;
mod entry;
mod fronts;
mod holders;
mod keys;
mod limits;
mod loss;
mod moves;
mod notes;
mod page;
mod peers;
mod programs;
mod redis;
mod rolling;
mod rotation;
mod secure;
mod signed;
mod tokens;
mod trouble;
mod usage;
mod versions;
mod without;

use crate::common::client::{Client, Reply};
use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SEAL: &str = "the key of all replicas";
const LIMITED: &str = "sk-limited-client";
const FREE: &str = "sk-free-client";
const MODEL: &str = "gemini-2.5-flash";

/// Google with a key, which answers at once.
fn google() -> FakeGoogle {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    google
}

/// Seven tokens.
fn answer() -> Step {
    Step::answer(json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Yes."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7},
    }))
}

/// A replica of this name, with a key that has these limits and one that has none.
fn replica(google: &FakeGoogle, name: &str, store: Value, limits: &Value) -> Proxy {
    let mut limited = json!({"key": LIMITED, "name": "limited"});
    limited.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    Proxy::sealed(google, SEAL, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([limited, {"key": FREE, "name": "free"}]);
        config["store"] = store;
        config["store"]["replica"] = json!(name);
    })
    .expect("the replica starts")
}

fn three(google: &FakeGoogle, url: &str, limits: Value) -> Vec<Proxy> {
    let replicas: Vec<Proxy> =
        ["a", "b", "c"].iter().map(|name| replica(google, name, json!({"url": url}), &limits)).collect();
    // Each knows of all.
    replicas.iter().for_each(|replica| wait_for("three replicas", || health(replica)["replicas"] == 3));
    replicas
}

/// Whether its page says that the store has lost what it held.
fn tells_loss(replica: &Proxy) -> bool {
    tells(replica, "store_emptied")
}

/// Whether its page has this alert.
fn tells(replica: &Proxy, code: &str) -> bool {
    let status = Client::new(replica.address()).get("/admin/status").json();
    status["alerts"].as_array().unwrap().iter().any(|alert| alert["code"] == code)
}

/// An answer that is sure: on a machine that is too busy for the store's patience it is asked for again.
fn sure(client: &mut Client, key: &str) -> Reply {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = client.chat(key, MODEL).expect("an answer");
        if unsure(std::slice::from_ref(&reply)) == 0 || Instant::now() > deadline {
            return reply;
        }
    }
}

fn chat(replica: &Proxy, key: &str) -> Reply {
    sure(&mut Client::new(replica.address()), key)
}

fn health(replica: &Proxy) -> Value {
    Client::new(replica.address()).get("/health?verbose=1").json()["store"].clone()
}

/// Polls for at most twenty seconds.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// So many threads ask so often each, over all replicas in turn.
fn storm(replicas: &[Proxy], key: &str, threads: usize, each: usize) -> Vec<Reply> {
    std::thread::scope(|scope| {
        let ask = |thread: usize| {
            let mut clients: Vec<Client> = replicas.iter().map(|replica| Client::new(replica.address())).collect();
            let count = clients.len();
            (0..each).map(|at| clients[(thread + at) % count].chat(key, MODEL).expect("an answer")).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || ask(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// How many were answered. On a machine that is too busy for the store's patience a request may be refused although it was
/// counted; those are told from the others by their sentence.
fn passed(replies: &[Reply]) -> usize {
    let known = |reply: &&Reply| matches!(reply.status, 200 | 429);
    assert_eq!(replies.iter().filter(known).count(), replies.len(), "200 and 429 only");
    replies.iter().filter(|reply| reply.status == 200).count()
}

fn unsure(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.body.contains("could not be checked")).count()
}

/// That exactly so many passed, but for those that nobody could be sure of.
fn assert_exact(replies: &[Reply], limit: usize) {
    let (passed, unsure) = (passed(replies), unsure(replies));
    assert!(passed <= limit && passed + unsure >= limit, "{passed} passed of {limit}, of {unsure} nobody is sure");
}
