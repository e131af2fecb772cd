//! Many service accounts under load. `GEMINI_PROXY_TOKEN_LOAD` says for how many seconds; `make tokens` runs two minutes.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ACCOUNTS: usize = 10;
/// Seconds of a token, of which it is used for three quarters.
const LIFETIME: u64 = 20;
const USED: u64 = LIFETIME * 3 / 4;
/// It is replaced when half of them are over.
const SOONEST: u64 = LIFETIME / 2;

/// When each token was asked for, in seconds, as its assertion says.
fn asked(google: &FakeGoogle, account: &str) -> Vec<u64> {
    let issued = |request: &Recorded| {
        let claims = request.body["assertion"].as_str()?.split('.').nth(1)?.to_owned();
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?["iat"].as_u64()
    };
    let of_account = |request: &&Recorded| request.op == "token" && request.who.as_deref() == Some(account);
    google.requests().iter().filter(of_account).filter_map(issued).collect()
}

#[test]
fn ten_accounts_get_one_token_each_in_its_time_and_no_request_waits_for_one() {
    let seconds = std::env::var("GEMINI_PROXY_TOKEN_LOAD").map_or(12, |seconds| seconds.parse().unwrap());
    let google = FakeGoogle::start();
    google.settings(|settings| settings.expires_in = LIFETIME);
    let names: Vec<String> =
        (0..ACCOUNTS).map(|number| format!("load-{number}@project-v.iam.gserviceaccount.com")).collect();
    let items: Vec<Value> = names.iter().map(|name| google.add_service_account(name, PROJECT)).collect();
    let proxy = proxy(&google, &json!(items));
    let pool = &proxy.service().app().pool;
    pool.views().iter().for_each(|view| drop(pool.access(pool.find(&view.name).unwrap()).unwrap()));
    let (answered, end) = (AtomicU64::new(0), Instant::now() + Duration::from_secs(seconds));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let answer = chat(&proxy, MODEL);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            });
        }
    });
    assert!(google.requests().iter().all(|request| request.status != 401), "a token that had ended was used");
    let mut calls = 0;
    for name in &names {
        let asked = asked(&google, name);
        calls += asked.len();
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Seconds are cut off.
        assert!(gaps.iter().all(|gap| *gap + 1 >= SOONEST), "{name} was asked too often: {gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= USED), "a request waited for a token of {name}: {gaps:?}");
        assert!(asked.len() as u64 > (seconds - 2) / USED, "{name}: {asked:?} in {seconds} s");
    }
    println!("{} answers, {calls} tokens for {ACCOUNTS} accounts in {seconds} s", answered.into_inner());
}
