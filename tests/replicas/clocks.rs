//! Replicas whose clocks are hours off: windows, days, rests and tokens go by the store's time. Debian's libfaketime moves them;
//! without it these tests say so and are skipped.

use super::accounts::{add, one, replicas};
use super::programs::{self, address};
use super::redis::Redis;
use super::usage::told;
use super::*;
use crate::clock_jumps::{faketime, moved, set_clock};
use crate::common::google::User;
use crate::common::google::errors::{Refusal, retry_info};
use crate::common::program::{Folder, Program};
use std::net::SocketAddr;

const EMAIL: &str = "ada@example.com";

#[test]
fn clocks_that_are_two_hours_off_change_nothing() {
    let Some(library) = faketime() else {
        println!("skipped: libfaketime is not installed; tests/setup.sh installs it");
        return;
    };
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    google.add_user(User::licensed(EMAIL, "project-of-ada"));
    google.always("*", answer());
    let folders: Vec<Folder> = (0..2).map(|_| Folder::new("clock-of-a-replica")).collect();
    let begin = |at: usize, offset: &str| {
        let limits = json!({"requests_per_minute": 6, "requests_per_day": 50});
        let name = ["ahead", "behind"][at];
        let mut config = programs::config(&google, 0, json!({"url": redis.url(), "replica": name}), &limits);
        config["gemini_api_keys"] = json!([]);
        let moved = moved(&folders[at], &library);
        set_clock(&folders[at], offset);
        let mut environment: Vec<(&str, &str)> = moved.iter().map(|(name, value)| (*name, value.as_str())).collect();
        environment.push(("GEMINI_PROXY_ENCRYPTION_KEY", SEAL));
        Program::start_in(&folders[at], &config, &[], &environment)
    };
    let [ahead, behind] = [begin(0, "+2h"), begin(1, "-2h")];
    let right = replicas(&google, &redis.url(), &["right"]).remove(0);
    assert_eq!(add(&right, &google.oauth_credential(EMAIL)).status, 200);
    let all = [address(&ahead), address(&behind), right.address()];
    let off = &all[..2];
    let ask = |at: SocketAddr, key: &str| sure(&mut Client::new(at), key);
    for at in off {
        wait_for("the account", || Client::new(*at).get("/admin/credentials").json()[0]["status"] == "active");
    }
    for (at, seconds) in [(all[0], 7200.0), (all[1], -7200.0)] {
        let skew = || -> f64 {
            let page = Client::new(at).get("/metrics").body;
            let line = page.lines().find_map(|line| line.strip_prefix("gemini_proxy_store_clock_skew_seconds "));
            line.expect("the figure").parse().unwrap()
        };
        wait_for("the skew", || (skew() - seconds).abs() < 2.0);
    }
    // One token for all, though for one of them it seems to be over and for one to last for long.
    let before = google.refreshes(EMAIL);
    all.iter().for_each(|at| assert_eq!(ask(*at, FREE).status, 200));
    assert_eq!(google.refreshes(EMAIL), before);
    google.expire(EMAIL);
    for at in all {
        assert_eq!(ask(at, FREE).status, 200);
    }
    assert_eq!(google.refreshes(EMAIL), before + 1);
    // One minute for both, which ends at the same time.
    let replies: Vec<Reply> = (0..12).map(|turn| ask(off[turn % 2], LIMITED)).collect();
    assert_exact(&replies, 6);
    let wait = |reply: &Reply| -> u64 { reply.header("retry-after").expect("a time").parse().unwrap() };
    let waits: Vec<u64> = replies.iter().filter(|reply| reply.status == 429).map(wait).collect();
    assert!(waits.iter().all(|wait| (50..=60).contains(wait)), "{waits:?}");
    // A rest is as long for all, whoever was told of it.
    let limited = || Refusal::new(429, "Quota exceeded.").detail(retry_info("40s"));
    for first in all {
        google.script("*", Step::refusal(limited()));
        assert_eq!(Client::new(first).chat(FREE, MODEL).unwrap().status, 429);
        for at in all {
            let asked = google.generations_count();
            wait_for("the rest", || !Client::new(at).get("/admin/credentials").json()[0]["models"][0].is_null());
            let refused = Client::new(at).chat(FREE, MODEL).unwrap();
            assert_eq!((refused.status, google.generations_count()), (429, asked), "{}", refused.body);
            assert!((30..=41).contains(&wait(&refused)), "{}", refused.body);
        }
        let reset = Client::new(all[0]).send("POST", "/admin/credentials/cred-0/reset", &[], "{}").unwrap();
        assert_eq!(reset.status, 200, "{}", reset.body);
        for at in all {
            wait_for("its end", || Client::new(at).get("/admin/credentials").json()[0]["models"][0].is_null());
        }
    }
    // Each request is counted, on one day, and all tell the same.
    let asked = 3 + 3 + 12 + 3 * 4;
    let sums = || all.map(told);
    let is_one = |sums: [u64; 3]| sums[0] >= asked && sums == [sums[0]; 3];
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_one(sums()) {
        assert!(Instant::now() < deadline, "{:?}, and {asked} were asked", sums());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    // The clocks are put right, and one goes wrong the other way.
    set_clock(&folders[0], "-2h");
    set_clock(&folders[1], "+0");
    for at in all {
        assert_eq!(ask(at, FREE).status, 200);
    }
    for at in off {
        let reply = ask(*at, LIMITED);
        assert!(reply.status == 429 && wait(&reply) <= 60, "{}: {}", reply.status, reply.body);
    }
    // To whom two hours have passed at once, its token may seem to be over.
    assert!((before + 1..=before + 2).contains(&google.refreshes(EMAIL)), "{}", google.refreshes(EMAIL));
    assert_eq!(one(&right, "cred-0").unwrap()["status"], "active");
}
