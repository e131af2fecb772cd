//! Many accounts whose tokens end soon, over three replicas: `make replicas` watches twenty of them for two minutes.

use super::accounts::{add, listed, replicas};
use super::redis::Redis;
use super::*;
use crate::common::google::User;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

fn email(at: usize) -> String {
    format!("account-{at}@example.com")
}

/// Google is asked once for each account and expiry, whichever replica needs the token, and no client notices.
#[test]
fn tokens_that_end_soon_are_refreshed_once_for_all() {
    let (accounts, lifetime, span) = match std::env::var_os("GEMINI_PROXY_ROLLING") {
        Some(_) => (20, 20, Duration::from_secs(120)),
        None => (8, 4, Duration::from_secs(7)),
    };
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    google.settings(|settings| settings.expires_in = lifetime);
    google.always("*", answer());
    let replicas = replicas(&google, &redis.url(), &["a", "b", "c"]);
    for at in 0..accounts {
        google.add_user(User::licensed(&email(at), "project-1"));
        assert_eq!(add(&replicas[0], &google.oauth_credential(&email(at))).status, 200);
    }
    replicas.iter().for_each(|replica| wait_for("the accounts", || listed(replica).len() == accounts));
    let lifetime = Duration::from_secs(lifetime);
    let (is_over, began) = (AtomicBool::new(false), Instant::now());
    // When the count of an account rose.
    let mut risen: HashMap<usize, Vec<Duration>> = HashMap::new();
    let answers: usize = std::thread::scope(|scope| {
        let ask = |replica: &Proxy| {
            let (mut client, mut count) = (Client::new(replica.address()), 0);
            while !is_over.load(Ordering::Relaxed) {
                let reply = client.chat(FREE, MODEL).expect("an answer");
                assert_eq!(reply.status, 200, "{}", reply.body);
                count += 1;
                std::thread::park_timeout(Duration::from_millis(20));
            }
            count
        };
        let asking: Vec<_> = replicas.iter().map(|replica| scope.spawn(move || ask(replica))).collect();
        let mut known: Vec<u64> = (0..accounts).map(|at| google.refreshes(&email(at))).collect();
        while began.elapsed() < span {
            for (at, known) in known.iter_mut().enumerate() {
                let now = google.refreshes(&email(at));
                (*known..now).for_each(|_| risen.entry(at).or_default().push(began.elapsed()));
                *known = now;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Relaxed);
        asking.into_iter().map(|asking| asking.join().unwrap()).sum()
    });
    let refreshes: usize = risen.values().map(Vec::len).sum();
    println!("{answers} answers, {refreshes} refreshes of {accounts} accounts in {:?}", began.elapsed());
    assert_eq!(risen.len(), accounts, "each is used");
    // A token is replaced in the second half of its life; two refreshes of one expiry come at once.
    for (at, times) in &risen {
        let least = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(lifetime);
        assert!(least > lifetime / 4, "account {at}: {least:?} between two of {times:?}");
    }
}
