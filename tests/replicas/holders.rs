//! What becomes of a refresh whose replica is killed, or stopped and goes on later: its lease ends, another one asks, and what
//! comes late takes nothing away. `make replicas` waits for the lease's end; otherwise the store is told that it has ended.

use super::accounts::{add, all_serve, licensed, listed, one, replicas};
use super::programs::{address, begin, config};
use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, Program};
use std::thread::{Scope, ScopedJoinHandle};

const EMAIL: &str = "ada@example.com";
const LIMIT: Duration = Duration::from_secs(20);
/// A lease ends after 30 s.
const SILENCE: Duration = Duration::from_secs(40);

/// A replica as a program of its own and one in this process, with one account.
struct Bench {
    google: FakeGoogle,
    redis: Redis,
    holder: Program,
    other: Proxy,
    _folder: Folder,
}

impl Bench {
    fn start(retires: bool) -> Bench {
        let ((google, item), redis) = (licensed(EMAIL), Redis::start());
        google.settings(|settings| (settings.rotate_refresh, settings.retire_refresh) = (retires, retires));
        let folder = Folder::new("holder");
        let mut config = config(&google, 0, json!({"url": redis.url(), "replica": "holder"}), &json!({}));
        config["gemini_api_keys"] = json!([]);
        let holder = begin(&folder, &config);
        let other = replicas(&google, &redis.url(), &["other"]).remove(0);
        assert_eq!(add(&other, &item).status, 200);
        all_serve(std::slice::from_ref(&other));
        let bench = Bench { google, redis, holder, other, _folder: folder };
        wait_for("the account", || {
            Client::new(address(&bench.holder)).chat(FREE, MODEL).is_ok_and(|reply| reply.status == 200)
        });
        bench
    }

    /// The holder asks for a token whose answer is on its way; returns with what its client will get.
    fn ask<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> ScopedJoinHandle<'scope, std::io::Result<Reply>> {
        self.google.expire(EMAIL);
        self.google.script("*", Step::hang().on("token"));
        let at = address(&self.holder);
        let asked = scope.spawn(move || Client::new(at).chat(FREE, MODEL));
        assert!(self.google.wait_for(|state| state.holding == 1, LIMIT));
        assert!(self.redis.names().contains(&"gop:{g}:lease:0".to_owned()));
        asked
    }

    /// The lease is over.
    fn wait(&self) {
        match std::env::var_os("GEMINI_PROXY_ROLLING") {
            Some(_) => std::thread::park_timeout(SILENCE),
            None => _ = self.redis.cli(&["del", "gop:{g}:lease:0"]),
        }
        assert!(!self.redis.names().contains(&"gop:{g}:lease:0".to_owned()), "it has ended");
    }

    fn record(&self) -> String {
        self.redis.cli(&["hget", "gop:{g}:cred", "0"])
    }

    fn is_well(&self) {
        wait_for("the account is well", || {
            let credential = one(&self.other, "cred-0").unwrap();
            credential["status"] == "active" && credential["models"].as_array().is_none_or(Vec::is_empty)
        });
    }

    fn holder_answers(&self) {
        let reply = Client::new(address(&self.holder)).chat(FREE, MODEL).unwrap();
        assert_eq!(reply.status, 200, "{}\n{}", reply.body, self.holder.log());
    }
}

#[test]
fn a_holder_that_is_killed_costs_one_refresh_and_nothing_else() {
    let bench = Bench::start(false);
    let before = bench.google.refreshes(EMAIL);
    std::thread::scope(|scope| {
        let asked = bench.ask(scope);
        bench.holder.signal("-KILL");
        bench.wait();
        all_serve(std::slice::from_ref(&bench.other));
        bench.google.release();
        assert!(asked.join().unwrap().is_err(), "nobody is there to answer");
    });
    assert_eq!(bench.google.refreshes(EMAIL), before + 2, "the one that is lost, and one more");
    all_serve(std::slice::from_ref(&bench.other));
    bench.is_well();
    assert_eq!(bench.google.refreshes(EMAIL), before + 2);
}

#[test]
fn a_holder_that_was_stopped_writes_nothing_over_what_is_newer() {
    let bench = Bench::start(false);
    let before = bench.google.refreshes(EMAIL);
    std::thread::scope(|scope| {
        let asked = bench.ask(scope);
        bench.holder.signal("-STOP");
        bench.wait();
        all_serve(std::slice::from_ref(&bench.other));
        let newer = bench.record();
        bench.google.release();
        bench.holder.signal("-CONT");
        assert_eq!(asked.join().unwrap().unwrap().status, 200, "{}", bench.holder.log());
        assert_eq!(bench.record(), newer);
    });
    assert_eq!(bench.google.refreshes(EMAIL), before + 2);
    bench.is_well();
    bench.holder_answers();
    all_serve(std::slice::from_ref(&bench.other));
    assert_eq!(bench.google.refreshes(EMAIL), before + 2);
    assert_eq!(listed(&bench.other).len(), 1);
}

/// Google has replaced the refresh token, and only who is stopped knows the new one: the other one is told that the old one is of
/// no use. The account lives when the new one lands.
#[test]
fn a_token_that_google_replaced_is_not_lost_with_the_lease_of_who_has_it() {
    let bench = Bench::start(true);
    let before = bench.google.refreshes(EMAIL);
    std::thread::scope(|scope| {
        let asked = bench.ask(scope);
        bench.holder.signal("-STOP");
        bench.wait();
        let refused = Client::new(bench.other.address()).chat(FREE, MODEL).unwrap();
        assert_ne!(refused.status, 200);
        wait_for("the block", || one(&bench.other, "cred-0").unwrap()["reason_code"] == "INVALID_GRANT");
        bench.google.release();
        bench.holder.signal("-CONT");
        assert_eq!(asked.join().unwrap().unwrap().status, 200, "{}", bench.holder.log());
    });
    bench.is_well();
    all_serve(std::slice::from_ref(&bench.other));
    assert_eq!(bench.google.refreshes(EMAIL), before + 1, "the new token is everybody's");
    bench.google.expire(EMAIL);
    all_serve(std::slice::from_ref(&bench.other));
    bench.holder_answers();
    assert_eq!(bench.google.refreshes(EMAIL), before + 2);
}
