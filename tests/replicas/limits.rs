//! Limits are those of all replicas together.

use super::redis::{Redis, Relay};
use super::*;

#[test]
fn requests_of_a_day_are_exact_over_replicas() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 100}));
    let replies = storm(&replicas, LIMITED, 32, 10);
    assert_exact(&replies, 100);
    assert_eq!(google.generations_count(), passed(&replies));
    assert_eq!(redis.counted("r"), 100, "who was refused is not counted");
    let mut left: Vec<u64> = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| reply.header("x-ratelimit-remaining-requests").unwrap().parse().unwrap())
        .collect();
    left.sort_unstable();
    let count = left.len();
    left.dedup();
    assert_eq!((left.len(), left.last()), (count, Some(&99)), "each is told another rest");
    let waits: Vec<i64> = replies
        .iter()
        .filter(|reply| reply.body.contains("100 requests per day"))
        .map(|reply| reply.header("retry-after").unwrap().parse().unwrap())
        .collect();
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(most - least <= 20, "all wait for the same midnight: {least} to {most}");
}

#[test]
fn requests_of_a_minute_are_exact_over_replicas() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_minute": 30}));
    let began = Instant::now();
    let replies = storm(&replicas, LIMITED, 16, 8);
    assert!(began.elapsed() < Duration::from_secs(55), "all within one window");
    assert_exact(&replies, 30);
    // What a refusal promises holds on every replica.
    let refused = replies.iter().find(|reply| reply.body.contains("30 requests per minute")).unwrap();
    assert_eq!(refused.header("x-ratelimit-limit-requests"), Some("30"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
}

#[test]
fn answers_that_are_lost_let_nobody_pass_beyond_a_limit() {
    for silent in [false, true] {
        let (google, redis) = (google(), Redis::start());
        let relay = Relay::start(&redis);
        let replicas = three(&google, &relay.url(), json!({"requests_per_day": 100}));
        relay.lose(100, silent);
        let replies = storm(&replicas, LIMITED, 16, 20);
        let (passed, lost) = (passed(&replies) as u64, relay.lost());
        assert!(lost > 5, "{lost} were lost");
        let unsure = unsure(&replies) as u64;
        assert!(passed <= 100, "{passed} passed, {lost} answers were lost, silent: {silent}");
        assert!(passed + unsure >= 100, "{passed} passed, of {unsure} nobody is sure, silent: {silent}");
        assert_eq!(google.generations_count() as u64, passed);
    }
}

#[test]
fn who_runs_at_once_is_counted_over_replicas() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"concurrency": 4}));
    google.clear_scripts();
    google.always("*", answer().hold());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|at| {
                let replica = &replicas[at % 3];
                scope.spawn(move || chat(replica, LIMITED).status)
            })
            .collect();
        assert!(google.wait_for(|state| state.generations().count() == 4, Duration::from_secs(20)));
        for replica in &replicas {
            let refused = chat(replica, LIMITED);
            assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.body);
        }
        google.clear_scripts();
        google.always("*", answer());
        google.release();
        running.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 200));
    });
    assert_eq!(redis.names().iter().filter(|name| name.ends_with(":run")).count(), 0, "all places are free");
}

#[test]
fn one_after_the_other_never_meets_the_limit_on_any_replica() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"concurrency": 1}));
    let mut clients: Vec<Client> = replicas.iter().map(|replica| Client::new(replica.address())).collect();
    for at in 0..60 {
        assert_eq!(sure(&mut clients[at % 3], LIMITED).status, 200, "request {at}");
    }
}

#[test]
fn tokens_of_a_day_are_the_sum_of_all_replicas() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"tokens_per_day": 63}));
    for at in 0..9 {
        assert_eq!(chat(&replicas[at % 3], LIMITED).status, 200, "request {at}");
        wait_for("the tokens", || redis.counted("t") == 7 * (at as u64 + 1));
    }
    for replica in &replicas {
        let refused = chat(replica, LIMITED);
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert!(refused.json()["error"]["message"].as_str().unwrap().contains("63 tokens per day"));
    }
}

#[test]
fn budgets_of_months_and_money_are_those_of_all_replicas() {
    // Seven tokens a request, and 4 x 0.3 + 3 x 2.5 dollars of a million.
    for (limit, most, field) in [
        (json!({"tokens_per_month": 28}), 4, "mt"),
        (json!({"dollars_per_day": 0.0000261}), 3, "c"),
        (json!({"dollars_per_month": 0.0000261}), 3, "mc"),
    ] {
        if !cfg!(feature = "ledger") && field != "mt" {
            continue;
        }
        let (google, redis) = (google(), Redis::start());
        let replicas = three(&google, &redis.url(), limit.clone());
        let each = if field == "mt" { 7 } else { 8700 };
        for at in 0..most {
            assert_eq!(chat(&replicas[at % 3], LIMITED).status, 200, "request {at} of {limit}");
            wait_for("what it took", || redis.counted(field) == each * (at as u64 + 1));
        }
        for replica in &replicas {
            let refused = chat(replica, LIMITED);
            assert_eq!(
                (refused.status, &refused.json()["error"]["code"]),
                (429, &json!("insufficient_quota")),
                "{limit}"
            );
        }
    }
}

#[test]
fn tokens_count_once_however_often_they_are_sent() {
    let (google, redis) = (google(), Redis::start());
    let relay = Relay::start(&redis);
    let replicas = three(&google, &relay.url(), json!({"tokens_per_day": 1_000_000}));
    relay.lose(250, false);
    let replies = storm(&replicas, LIMITED, 8, 15);
    relay.lose(0, false);
    let passed = passed(&replies) as u64;
    wait_for("all tokens", || redis.counted("t") >= 7 * passed);
    // Each tells what it owes once more when it ends.
    drop(replicas);
    assert_eq!(redis.counted("t"), 7 * passed, "{} answers were lost", relay.lost());
}

#[test]
fn a_key_without_limits_asks_nobody_and_one_with_asks_once() {
    let (google, redis) = (google(), Redis::start());
    let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({"requests_per_day": 20}));
    let asked = |act: &dyn Fn()| {
        let before = redis.scripts();
        act();
        redis.scripts() - before
    };
    // Beats, every five seconds, are among what is counted.
    let calls = asked(&|| (0..40).for_each(|_| assert_eq!(chat(&replica, FREE).status, 200)));
    assert!(calls <= 10, "{calls} calls for 40 requests without limits");
    let calls = asked(&|| (0..5).for_each(|_| assert_eq!(chat(&replica, LIMITED).status, 200)));
    assert!((5..=20).contains(&calls), "{calls} calls for 5 requests, which are settled afterwards");
    let spent = (0..40).map(|_| chat(&replica, LIMITED).status).take_while(|status| *status == 200).count();
    assert!(spent <= 15, "{spent} of the 15 that are left");
    let calls = asked(&|| (0..40).for_each(|_| assert_eq!(chat(&replica, LIMITED).status, 429)));
    assert!(calls <= 15, "{calls} calls for 40 refusals, which are remembered");
}

#[test]
fn a_limit_that_is_set_later_knows_what_was_used_before() {
    let (google, redis) = (google(), Redis::start());
    let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({}));
    let mut client = Client::new(replica.address());
    let mut call = |method: &str, path: &str, body: Value| client.send(method, path, &[], &body.to_string()).unwrap();
    let made = call("POST", "/admin/keys", json!({"name": "phone"})).json();
    let (id, key) = (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned());
    (0..6).for_each(|_| assert_eq!(chat(&replica, &key).status, 200));
    let limited = call("POST", &format!("/admin/keys/{id}"), json!({"requests_per_day": 8}));
    assert_eq!(limited.status, 200, "{}", limited.body);
    // What is on its way to the store is counted on both sides until the store has answered: too much rather than too little.
    let mut passed = 6;
    wait_for("the place of the last", || {
        passed += usize::from(chat(&replica, &key).status == 200);
        passed == 8
    });
    assert_eq!(chat(&replica, &key).status, 429);
}

/// A beat prolongs the places of those that run. Each replica beats when it begins, and when another one comes.
#[test]
fn a_beat_takes_no_place_of_a_request_that_is_just_asked_for() {
    let (google, redis) = (google(), Redis::start());
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let begin = |name: &&str| {
        let replica = replica(&google, name, json!({"url": redis.url()}), &json!({"concurrency": 1}));
        let reply = chat(&replica, LIMITED);
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        replica
    };
    let replicas: Vec<Proxy> = names.iter().map(begin).collect();
    replicas.iter().for_each(|replica| assert_eq!(chat(replica, LIMITED).status, 200));
}
