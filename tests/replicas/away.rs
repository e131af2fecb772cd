//! The store goes away and comes back.

use super::redis::{Redis, Relay};
use super::*;

#[test]
fn without_the_store_each_replica_gives_its_part() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 60}));
    let first = storm(&replicas, LIMITED, 6, 5);
    assert_exact(&first, 30);
    redis.kill();
    // Who needs no limit notices nothing.
    let began = Instant::now();
    assert_eq!(passed(&storm(&replicas, FREE, 6, 10)), 60);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let meanwhile = storm(&replicas, LIMITED, 12, 15);
    let during = passed(&meanwhile);
    assert!((20..=30).contains(&during), "{during} of the 30 that are left");
    for replica in &replicas {
        let store = health(replica);
        assert_eq!((&store["state"], &store["kind"]), (&json!("down"), &json!("redis")), "{store}");
        let mut client = Client::new(replica.address());
        assert_eq!(client.get("/readyz").status, 200, "all lose it together");
        let status = client.get("/admin/status").json();
        assert!(status["alerts"].as_array().unwrap().iter().any(|alert| alert["code"] == "store_away"), "{status}");
    }
    redis.begin();
    replicas.iter().for_each(|replica| wait_for("the store", || health(replica)["state"] == "up"));
    let all = passed(&first) + during;
    wait_for("what was given meanwhile", || redis.counted("r") >= all as u64);
    // Each goes on with its part until all have told what they gave.
    let mut last = Vec::new();
    let mut unsure = 0;
    wait_for("what is left", || {
        last.extend(storm(&replicas, LIMITED, 3, 5));
        unsure = [&first, &meanwhile, &last].iter().map(|replies| super::unsure(replies)).sum::<usize>();
        all + passed(&last) + unsure >= 60
    });
    let all = all + passed(&last);
    assert!(all <= 60 && all + unsure >= 60, "{all} passed of 60, of {unsure} nobody is sure");
}

#[test]
fn a_store_that_is_frozen_is_waited_for_once() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 1000}));
    assert_eq!(passed(&storm(&replicas, LIMITED, 3, 3)), 9);
    redis.freeze();
    let timed = |key: &str| {
        let began = Instant::now();
        // Once: it is the time of one request that counts.
        (Client::new(replicas[0].address()).chat(key, MODEL).expect("an answer").status, began.elapsed())
    };
    let (status, took) = timed(FREE);
    assert!(status == 200, "{status} after {took:?}");
    let mut first = Vec::new();
    while health(&replicas[0])["state"] == "up" {
        first.push(timed(LIMITED));
        assert!(first.len() < 20, "{first:?}");
    }
    assert!(first.iter().all(|(_, took)| *took < Duration::from_millis(700)), "{first:?}");
    let later: Vec<(u16, Duration)> = (0..20).map(|_| timed(LIMITED)).collect();
    assert!(later.iter().all(|(status, took)| *status == 200 && *took < Duration::from_millis(700)), "{later:?}");
    let mut took: Vec<Duration> = later.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    assert!(took[10] < Duration::from_millis(125), "nobody is waited for: {took:?}");
    redis.thaw();
    replicas[..1].iter().for_each(|replica| wait_for("the store", || health(replica)["state"] == "up"));
}

#[test]
fn who_wants_no_part_is_refused() {
    let (google, mut redis) = (google(), Redis::start());
    let store = json!({"url": redis.url(), "when_down": "refuse"});
    let replica = replica(&google, "a", store, &json!({"concurrency": 9}));
    assert_eq!(chat(&replica, LIMITED).status, 200);
    redis.kill();
    let refused = chat(&replica, LIMITED);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{}", refused.body);
    assert_eq!(refused.json()["error"]["code"], "store_unavailable");
    assert_eq!(chat(&replica, FREE).status, 200);
    redis.begin();
    wait_for("the store", || chat(&replica, LIMITED).status == 200);
}

#[test]
fn places_come_back_after_an_outage() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"concurrency": 3}));
    google.clear_scripts();
    google.always("*", answer().hold());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| chat(&replicas[0], LIMITED).status);
        assert!(google.wait_for(|state| state.generations().count() == 1, Duration::from_secs(20)));
        redis.kill();
        let meanwhile = scope.spawn(|| chat(&replicas[1], LIMITED).status);
        assert!(google.wait_for(|state| state.generations().count() == 2, Duration::from_secs(20)));
        let second = chat(&replicas[1], LIMITED);
        assert_eq!(second.status, 429, "a part of one: {}", second.body);
        redis.begin();
        let run = || redis.names().into_iter().find(|name| name.ends_with(":run"));
        wait_for("both places", || run().is_some_and(|name| redis.cli(&["zcard", &name]) == "2"));
        google.clear_scripts();
        google.always("*", answer());
        google.release();
        assert_eq!([running.join().unwrap(), meanwhile.join().unwrap()], [200, 200]);
    });
    wait_for("free places", || !redis.names().iter().any(|name| name.ends_with(":run")));
}

#[test]
fn one_replica_alone_is_cut_off_and_serves_on() {
    let (google, redis) = (google(), Redis::start());
    let relay = Relay::start(&redis);
    let limits = json!({"requests_per_day": 30});
    let cut = replica(&google, "a", json!({"url": relay.url()}), &limits);
    let others: Vec<Proxy> =
        ["b", "c"].iter().map(|name| replica(&google, name, json!({"url": redis.url()}), &limits)).collect();
    wait_for("three replicas", || health(&cut)["replicas"] == 3);
    relay.cut(true);
    // What is not sure yet is refused.
    wait_for("the breaker", || chat(&cut, LIMITED).status == 200 || health(&cut)["state"] == "down");
    let alone = (0..20).filter(|_| chat(&cut, LIMITED).status == 200).count();
    assert!((7..=10).contains(&alone), "its part of 30 is 10, of which some are gone: {alone}");
    let together = passed(&storm(&others, LIMITED, 4, 10));
    assert!(together <= 30, "{together} by the store");
    relay.cut(false);
    wait_for("the store", || health(&cut)["state"] == "up");
    wait_for("what it gave", || redis.counted("r") >= (alone + together) as u64);
}

#[test]
fn a_slow_store_slows_only_who_asks_it() {
    let (google, redis) = (google(), Redis::start());
    let relay = Relay::start(&redis);
    let replica = replica(&google, "a", json!({"url": relay.url()}), &json!({"requests_per_day": 1000}));
    assert_eq!(chat(&replica, LIMITED).status, 200);
    relay.delay(50);
    let began = Instant::now();
    (0..5).for_each(|_| assert_eq!(chat(&replica, LIMITED).status, 200));
    assert!(began.elapsed() >= Duration::from_millis(200), "each asks: {:?}", began.elapsed());
    assert_eq!(health(&replica)["state"], "up");
    wait_for("all that was counted", || redis.counted("r") == 6);
}

/// What is running was given alone as well, so it must be known before anybody goes by the count of the store.
#[test]
fn a_store_that_was_full_lets_no_more_pass_when_it_has_memory_again() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 20}));
    redis.cli(&["config", "set", "maxmemory", "1"]);
    google.clear_scripts();
    google.always("*", answer().hold());
    std::thread::scope(|scope| {
        let ask = |at: usize| chat(&replicas[at % 3], LIMITED).status;
        let running: Vec<_> = (0..21).map(|at| scope.spawn(move || ask(at))).collect();
        let is_running = google.wait_for(|state| state.generations().count() == 20, Duration::from_secs(20));
        assert!(is_running, "a third for each");
        google.clear_scripts();
        google.always("*", answer());
        redis.cli(&["config", "set", "maxmemory", "0"]);
        let more = passed(&storm(&replicas, LIMITED, 3, 6));
        assert_eq!(more, 0, "more than the 20 that were given");
        let is_counted = || redis.names().iter().any(|name| name.ends_with(":q")) && redis.counted("r") >= 20;
        wait_for("what was given", is_counted);
        assert_eq!(passed(&storm(&replicas, LIMITED, 3, 2)), 0);
        google.release();
        let mut running: Vec<u16> = running.into_iter().map(|running| running.join().unwrap()).collect();
        running.sort_unstable();
        assert_eq!((&running[..20], running[20]), (&[200; 20][..], 429));
    });
}

/// What does not divide goes to as many replicas as it is.
#[test]
fn in_an_outage_parts_add_up_to_no_more_than_what_is_left() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 20}));
    let ask = |at: usize| chat(&replicas[at % 3], LIMITED).status == 200;
    assert_eq!((0..6).filter(|at| ask(*at)).count(), 6);
    redis.kill();
    let during = (0..60).filter(|at| ask(*at)).count();
    assert_eq!(during, 14, "20 less the 6 of before");
    redis.begin();
    wait_for("what was given", || redis.counted("r") == 20);
    assert_eq!(passed(&storm(&replicas, LIMITED, 6, 10)), 0);
}

#[test]
fn in_an_outage_a_limit_below_the_number_of_replicas_is_still_given() {
    for limits in [json!({"requests_per_day": 1}), json!({"requests_per_minute": 2}), json!({"tokens_per_day": 2})] {
        let (google, mut redis) = (google(), Redis::start());
        let replicas = three(&google, &redis.url(), limits.clone());
        redis.kill();
        let passed = (0..12).filter(|at| chat(&replicas[at % 3], LIMITED).status == 200).count();
        assert_eq!(passed, if limits.get("requests_per_day").is_some() { 1 } else { 2 }, "{limits}");
    }
}
