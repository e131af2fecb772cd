//! The wall clock jumps by hours under the real binary, as after a sleep, in a restored virtual machine, or when NTP puts
//! right a clock that was wrong. Debian's libfaketime does it; without it these tests say so and are skipped.

use crate::common::client::{Client, Reply};
use crate::common::google::errors::{Refusal, retry_info};
use crate::common::google::{FakeGoogle, Step, User};
use crate::common::program::{Folder, Program};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Google keeps the right time; the program's wall clock is off by what stands in a file.
struct Bench {
    google: FakeGoogle,
    program: Program,
    client: Client,
    folder: Folder,
}

impl Bench {
    /// Two accounts with tokens for an hour, and a client key with two requests a minute.
    fn start() -> Option<Bench> {
        let Some(library) = faketime() else {
            println!("skipped: libfaketime is not installed; tests/setup.sh installs it");
            return None;
        };
        let folder = Folder::new("clock");
        let google = FakeGoogle::start();
        let accounts = [ADA, BOB].map(|email| {
            google.add_user(User::licensed(email, "project-1"));
            google.oauth_credential(email)
        });
        folder.write("credentials.json", json!(accounts).to_string());
        let config = json!({
            "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "credentials.json", "endpoints": google.endpoints_json(),
            "auth_keys": ["sk-client-of-programs", {"key": "sk-few-client", "name": "few", "requests_per_minute": 2}],
        });
        let environment = moved(&folder, &library);
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let program = Program::start_in(&folder, &config, &[], &environment);
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], program.port)));
        let mut bench = Bench { google, program, client, folder };
        bench.wait_until("both accounts are ready", |credentials| {
            credentials.iter().all(|credential| credential["project_id"] != "None" && credential["email"] != "None")
        });
        Some(bench)
    }

    fn set_clock(&self, offset: &str) {
        set_clock(&self.folder, offset);
    }

    fn ask(&mut self, key: &str) -> Reply {
        self.client.chat(key, "gemini-2.5-flash").expect("an answer")
    }

    /// So many requests must be answered; says who answered.
    fn answered(&mut self, count: usize) -> Vec<String> {
        let before = self.google.generations_count();
        for _ in 0..count {
            let reply = self.ask("sk-client-of-programs");
            assert_eq!(reply.status, 200, "{}\n{}", reply.body, self.program.log());
        }
        let generations = self.google.generations().split_off(before);
        let refused: Vec<_> = generations.iter().filter(|generation| generation.status != 200).collect();
        assert!(refused.is_empty(), "{refused:?}");
        let mut who: Vec<String> = generations.into_iter().filter_map(|generation| generation.who).collect();
        who.sort();
        who.dedup();
        who
    }

    fn credentials(&mut self) -> Vec<Value> {
        let reply = self.client.get("/admin/credentials");
        reply.json().as_array().expect("a list of credentials").clone()
    }

    fn wait_until(&mut self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let credentials = self.credentials();
            if holds(&credentials) {
                return;
            }
            assert!(Instant::now() < deadline, "waited for: {what}\n{credentials:?}\n{}", self.program.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// A request may be counted a moment after its answer.
    fn usage_is(&mut self, count: u64) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let usage = self.client.get("/admin/usage").json();
            if usage["gemini-2.5-flash"]["successful_requests"] == count {
                return;
            }
            assert!(Instant::now() < deadline, "not {count} requests: {usage}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ada's next generation is refused for so long.
    fn limit_ada(&mut self, delay: &str) {
        let refusal = Refusal::new(429, "You have exhausted your capacity on this model.").detail(retry_info(delay));
        self.google.script(ADA, Step::refusal(refusal));
        // One of two requests in turn is hers, and the other account answers it.
        let before = self.google.generations_count();
        (0..2).for_each(|_| assert_eq!(self.ask("sk-client-of-programs").status, 200));
        assert_eq!(self.google.generations_count(), before + 3);
        assert_eq!(self.answered(3), [BOB]);
    }

    fn refreshes(&self) -> [u64; 2] {
        [ADA, BOB].map(|email| self.google.refreshes(email))
    }

    /// What has to be true after any jump.
    fn is_sound(&mut self) {
        self.answered(4);
        // Whose token seems to be over is passed by until the keeper has looked.
        self.wait_until("both are active", |credentials| {
            credentials.iter().all(|credential| credential["status"] == "active")
        });
        assert_eq!(self.answered(4), [ADA, BOB]);
        for path in ["/admin/status", "/admin/usage", "/admin/stats?range=24h", "/admin/stats?range=30d", "/metrics"] {
            let reply = self.client.get(path);
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        }
        let sent = self.google.generations().iter().filter(|generation| generation.status == 200).count();
        self.usage_is(sent as u64);
        let log = self.program.log();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    }
}

/// The one for programs with threads: the other one tells some of them the true time now and then.
pub fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// What a program is started with whose clock is off by what [`set_clock`] says.
pub fn moved(folder: &Folder, library: &Path) -> [(&'static str, String); 5] {
    set_clock(folder, "+0");
    // The monotonic clock and the times of files stay as they are.
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", folder.join("offset").display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
}

/// In one step, for the program reads the file whenever it wants to know the time.
pub fn set_clock(folder: &Folder, offset: &str) {
    let fresh = folder.write("offset.new", offset);
    std::fs::rename(fresh, folder.join("offset")).unwrap();
}

#[test]
fn a_clock_that_jumps_forward_renews_every_token_once_and_ends_every_rest() {
    let Some(mut bench) = Bench::start() else { return };
    assert_eq!(bench.answered(2), [ADA, BOB]);
    bench.limit_ada("3600s");
    let statuses = [0, 1, 2].map(|_| bench.ask("sk-few-client").status);
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(bench.refreshes(), [0, 0]);

    // Five hours of sleep: the tokens are over at Google too.
    bench.set_clock("+5h");
    [ADA, BOB].iter().for_each(|email| bench.google.expire(email));
    assert_eq!(bench.ask("sk-few-client").status, 200, "a new minute");
    bench.is_sound();
    assert_eq!(bench.refreshes(), [1, 1], "{}", bench.program.log());
    bench.answered(20);
    assert_eq!(bench.refreshes(), [1, 1], "{}", bench.program.log());
}

#[test]
fn a_clock_that_jumps_back_keeps_tokens_and_prolongs_no_rest() {
    let Some(mut bench) = Bench::start() else { return };
    assert_eq!(bench.answered(2), [ADA, BOB]);
    let statuses = [0, 1, 2].map(|_| bench.ask("sk-few-client").status);
    assert_eq!(statuses, [200, 200, 429]);
    bench.limit_ada("2s");
    bench.set_clock("-5h");
    let reply = bench.ask("sk-few-client");
    let wait: u64 = reply.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("a time to wait");
    assert!(reply.status == 429 && wait <= 60, "{} after {wait} s", reply.status);
    bench.wait_until("her rest is over", |credentials| {
        credentials.iter().all(|credential| credential["status"] == "active")
    });
    bench.is_sound();
    bench.answered(20);
    assert_eq!(bench.refreshes(), [0, 0], "{}", bench.program.log());

    // A token of this wrong time is granted...
    bench.google.expire(ADA);
    (0..2).for_each(|_| assert_eq!(bench.ask("sk-client-of-programs").status, 200));
    bench.is_sound();
    assert_eq!(bench.refreshes(), [1, 0], "{}", bench.program.log());
    // ... and seems to be over when the clock is put right.
    bench.set_clock("+0");
    bench.is_sound();
    bench.answered(20);
    assert_eq!(bench.refreshes(), [2, 0], "{}", bench.program.log());
}
