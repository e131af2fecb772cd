//! Replicas as programs of their own: killed, and with the master of their store gone.

use super::fronts::free_address;
use super::redis::Redis;
use super::usage::told;
use super::*;
use crate::common::program::{Folder, Program};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

pub(super) fn config(google: &FakeGoogle, port: u16, store: Value, limits: &Value) -> Value {
    let mut limited = json!({"key": LIMITED, "name": "limited"});
    limited.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    json!({
        "server": {"host": "127.0.0.1", "port": port, "drain_delay_sec": 0.5},
        "auth_keys": [limited, {"key": FREE, "name": "free"}],
        "gemini_api_keys": [GEMINI_KEY],
        "endpoints": google.endpoints_json(),
        "store": store,
        "log_level": "info",
    })
}

pub(super) fn begin(folder: &Folder, config: &Value) -> Program {
    Program::start_in(folder, config, &[], &[("GEMINI_PROXY_ENCRYPTION_KEY", SEAL)])
}

/// With the key of all replicas.
pub(super) fn sealed(mut command: Command) -> Command {
    command.env("GEMINI_PROXY_ENCRYPTION_KEY", SEAL);
    command
}

pub(super) fn address(program: &Program) -> SocketAddr {
    ([127, 0, 0, 1], program.port).into()
}

/// A place among the running requests ends half a minute after its replica was killed.
#[test]
fn places_of_a_killed_replica_are_free_soon() {
    let (google, redis) = (google(), Redis::start());
    let limits = json!({"concurrency": 1});
    let folder = Folder::new("killed-replica");
    let program = begin(&folder, &config(&google, 0, json!({"url": redis.url(), "replica": "killed"}), &limits));
    let other = replica(&google, "other", json!({"url": redis.url()}), &limits);
    google.clear_scripts();
    google.always("*", answer().hold());
    let at = address(&program);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(Client::new(at).chat(LIMITED, MODEL)));
        assert!(google.wait_for(|state| state.generations().count() == 1, Duration::from_secs(20)));
        program.signal("-KILL");
    });
    google.clear_scripts();
    google.always("*", answer());
    google.release();
    let began = Instant::now();
    assert_eq!(chat(&other, LIMITED).status, 429, "nobody knows yet");
    let deadline = began + Duration::from_secs(45);
    while chat(&other, LIMITED).status != 200 {
        assert!(Instant::now() < deadline, "the place is not free");
        std::thread::park_timeout(Duration::from_millis(250));
    }
    assert!(began.elapsed() > Duration::from_secs(10), "a place is held while its replica may live");
}

#[test]
fn each_line_of_the_log_says_which_replica_has_written_it() {
    let (google, redis) = (google(), Redis::start());
    let folder = Folder::new("named-replica");
    let mut settings = config(&google, 0, json!({"url": redis.url(), "replica": "left-1"}), &json!({}));
    let mut program = begin(&folder, &settings);
    assert_eq!(Client::new(address(&program)).chat(FREE, MODEL).unwrap().status, 200);
    let line = program.wait_for_line("key=free");
    assert!(line.contains(" status=200 ") && line.trim_end().ends_with(" replica=left-1"), "{line}");
    // Another start of the same replica is told from it.
    let verbose = |program: &Program| Client::new(address(program)).get("/health?verbose=1").json()["store"].clone();
    let (first, page) = (verbose(&program), Client::new(address(&program)).get("/admin/log?after=0").body);
    let lines = page.matches("\"text\"").count();
    assert!(lines > 0 && page.matches("replica=left-1").count() == lines, "{page}");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(30)), Some(0));
    assert!(program.log().lines().skip(1).all(|line| line.ends_with(" replica=left-1")), "{}", program.log());
    settings["log_format"] = json!("json");
    let mut program = begin(&folder, &settings);
    let second = verbose(&program);
    for health in [&first, &second] {
        let digits = health["incarnation"].as_str().unwrap().strip_prefix("left-1-").unwrap();
        assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{health}");
    }
    assert_ne!(first["incarnation"], second["incarnation"]);
    let metrics = Client::new(address(&program)).get("/metrics").body;
    let info = format!("gemini_proxy_replica_info{{replica=\"left-1\",version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(metrics.contains(&info), "{metrics}");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(30)), Some(0));
    for line in program.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(line["replica"] == "left-1" && !line["message"].as_str().unwrap().contains("replica="), "{line}");
    }
}

/// Ended when dropped.
struct Sentinel(Child);

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Sentinel makes the other server the master, and limits go on there.
#[test]
fn a_master_that_is_killed_is_followed_by_another() {
    let google = google();
    let [first, second, watch] =
        [free_address(), free_address(), free_address()].map(|address| address.port().to_string());
    let mut master = Redis::start_with(&["--port", &first, "--bind", "127.0.0.1"]);
    let follower = Redis::start_with(&["--port", &second, "--bind", "127.0.0.1", "--replicaof", "127.0.0.1", &first]);
    wait_for("replication", || follower.cli(&["info", "replication"]).contains("master_link_status:up"));
    let folder = Folder::new("sentinel");
    let file = folder.write(
        "sentinel.conf",
        format!(
            "port {watch}\nbind 127.0.0.1\ndir {}\nsentinel monitor pool 127.0.0.1 {first} 1\n\
             sentinel down-after-milliseconds pool 1000\nsentinel failover-timeout pool 5000\n",
            folder.path().display()
        ),
    );
    let mut command = Command::new("redis-server");
    command.arg(file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
    let _sentinel = Sentinel(command.spawn().expect("redis-server as a Sentinel"));
    let ask = |what: &str| {
        let output = Command::new("redis-cli").args(["-p", &watch, "sentinel", what, "pool"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_for("the Sentinel", || ask("replicas").contains(&second));
    let store = json!({"url": "redis://pool", "sentinels": ["127.0.0.1:1", format!("127.0.0.1:{watch}")]});
    let limits = json!({"requests_per_day": 10_000});
    let replicas: Vec<Proxy> =
        ["a", "b", "c"].iter().map(|name| replica(&google, name, store.clone(), &limits)).collect();
    replicas.iter().for_each(|replica| wait_for("the store", || health(replica)["state"] == "up"));
    assert_eq!(passed(&storm(&replicas, LIMITED, 3, 10)), 30);
    wait_for("replication", || follower.counted("r") == 30);
    master.kill();
    let began = Instant::now();
    let (mut given, mut sent) = (0, 30 + 30);
    while !replicas.iter().all(|replica| health(replica)["state"] == "up")
        || ask("get-master-addr-by-name").contains(&first)
    {
        assert_eq!(passed(&storm(&replicas, FREE, 3, 3)), 9, "nobody without limits notices");
        sent += 9 + 3;
        given += passed(&storm(&replicas, LIMITED, 3, 1));
        assert!(began.elapsed() < Duration::from_secs(40), "no other master");
    }
    println!("back after {:?}; {given} requests with a limited key were answered meanwhile", began.elapsed());
    let after = passed(&storm(&replicas, LIMITED, 3, 10));
    wait_for("all that was given", || follower.counted("r") >= (30 + given + after) as u64);
    // Usage that the master had and the other one never got is told again, and nothing twice.
    let sums = || replicas.iter().map(|replica| told(replica.address())).collect::<Vec<_>>();
    wait_for("the sums", || sums() == [sent; 3]);
}
