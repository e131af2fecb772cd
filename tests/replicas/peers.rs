//! What replicas tell each other of themselves, and what a person sees of all.

use super::redis::Redis;
use super::*;

fn rows(of: &Proxy) -> Vec<Value> {
    let status = Client::new(of.address()).get("/admin/status").json();
    status["replicas"].as_array().cloned().unwrap_or_default()
}

fn row(of: &Proxy, name: &str) -> Value {
    rows(of).into_iter().find(|row| row["name"] == name).unwrap_or_default()
}

fn configured(google: &FakeGoogle, redis: &Redis, name: &str, password: &str) -> Proxy {
    Proxy::sealed(google, SEAL, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": FREE, "name": "free"}]);
        config["metrics"] = json!({"token": password});
        config["store"] = json!({"url": redis.url(), "replica": name});
    })
    .expect("the replica starts")
}

#[test]
fn each_replica_shows_all_of_them_and_whose_config_is_unlike_its_own() {
    let (google, mut redis) = (google(), Redis::start());
    let [a, b] = ["a", "b"].map(|name| configured(&google, &redis, name, "one password"));
    let c = configured(&google, &redis, "c", "another password");
    wait_for("three that serve", || rows(&a).iter().filter(|row| row["config_unlike"].is_array()).count() == 3);
    let names: Vec<Value> = rows(&a).iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for row in rows(&a) {
        let unlike = if row["name"] == "c" { json!(["metrics"]) } else { json!([]) };
        assert_eq!(row["config_unlike"], unlike, "{row}");
        assert_eq!((&row["alive"], &row["version"]), (&json!(true), &json!(env!("CARGO_PKG_VERSION"))));
        assert_eq!((&row["here"], row["workers"].as_u64() > Some(0)), (&json!(row["name"] == "a"), true), "{row}");
        assert!(row["clock_ahead_seconds"].as_f64().unwrap().abs() < 5.0 && row["busy"] == 0, "{row}");
        assert!(row["beat"].is_string() && row["since"].is_string(), "{row}");
    }
    assert_eq!(row(&c, "a")["config_unlike"], json!(["metrics"]));
    // How busy one is.
    google.clear_scripts();
    google.always("*", answer().hold());
    let at = b.address();
    std::thread::scope(|scope| {
        scope.spawn(|| Client::new(at).chat(FREE, MODEL).expect("an answer"));
        wait_for("a busy replica", || row(&a, "b")["busy"] == 1);
        google.release();
    });
    // What is told cannot be guessed from, and holds no value.
    let held: String =
        redis.names().iter().filter(|name| name.contains(":replica:")).map(|name| redis.cli(&["get", name])).collect();
    assert!(held.contains("metrics") && !held.contains("password") && !held.contains(FREE), "{held}");
    // Who leaves is gone, and who was killed is shown for an hour.
    drop(c);
    wait_for("two", || rows(&a).len() == 2);
    let silent: u64 = redis.cli(&["time"]).lines().next().unwrap().parse().unwrap();
    let silent = (silent - 60) * 1000;
    let gone = json!({"name": "gone", "version": "0.0.1", "since": silent / 1000, "ahead": 0}).to_string();
    redis.cli(&["zadd", "gop:{g}:alive", &silent.to_string(), "01234567"]);
    redis.cli(&["set", "gop:{g}:replica:01234567", &gone]);
    let gone = row(&a, "gone");
    assert_eq!(
        (&gone["alive"], &gone["version"], &gone["config_unlike"]),
        (&json!(false), &json!("0.0.1"), &Value::Null)
    );
    assert_eq!(gone["incarnation"], "gone-01234567");
    wait_for("two that live", || health(&a)["replicas"] == 2);
    // The red line says since when the store is away.
    redis.kill();
    wait_for("the outage", || health(&a)["state"] == "down");
    let status = Client::new(a.address()).get("/admin/status").json();
    let alert = status["alerts"].as_array().unwrap().iter().find(|alert| alert["code"] == "store_away").cloned();
    assert!(alert.is_some_and(|alert| alert["level"] == "error" && alert["params"]["since"].is_string()), "{status}");
    assert_eq!(status["replicas"], json!([]));
}

#[test]
fn a_program_without_a_store_has_no_replicas() {
    let google = google();
    let proxy = Proxy::sealed(&google, SEAL, |_| {}).expect("it starts");
    assert_eq!(Client::new(proxy.address()).get("/admin/status").json()["replicas"], Value::Null);
}

/// The part of each in an outage goes by how many there are, so it must not take until the next beat.
#[test]
fn who_comes_is_counted_by_all_at_once() {
    let (google, redis) = (google(), Redis::start());
    let mut replicas = vec![configured(&google, &redis, "first", "one password")];
    let began = Instant::now();
    for name in ["b", "c", "d", "e"] {
        replicas.push(configured(&google, &redis, name, "one password"));
        let count = replicas.len();
        replicas.iter().for_each(|replica| wait_for("all of them", || health(replica)["replicas"] == count));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "a beat is every 5 s: {:?}", began.elapsed());
}
