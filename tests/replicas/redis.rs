//! A real Redis of a test's own: on a socket in its folder, ended with it. And a relay before it, which does what networks do.

use crate::common::program::Folder;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A running server.
pub struct Redis {
    folder: Folder,
    arguments: Vec<String>,
    password: Option<String>,
    child: Option<Child>,
}

impl Redis {
    /// That keeps what it was told over a kill: it is written before the answer, and the system outlives it.
    pub fn start() -> Redis {
        Redis::start_with(&["--appendonly", "yes", "--appendfsync", "no"])
    }

    pub fn start_with(arguments: &[&str]) -> Redis {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut redis = Redis { folder: Folder::new("redis"), arguments, password: None, child: None };
        redis.begin();
        redis
    }

    /// That wants a password.
    pub fn start_locked(password: &str) -> Redis {
        let mut redis = Redis::start_with(&[]);
        assert_eq!(redis.cli(&["config", "set", "requirepass", password]), "OK");
        redis.password = Some(password.to_owned());
        redis
    }

    /// Wants another password from now on, also of who is connected.
    pub fn lock_anew(&mut self, password: &str) {
        assert_eq!(self.cli(&["config", "set", "requirepass", password]), "OK");
        self.password = Some(password.to_owned());
        self.cli(&["client", "kill", "type", "normal"]);
    }

    /// Begins anew with what is in its folder.
    pub fn begin(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): tests/setup.sh installs Debian's package redis-server")
        });
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.try_cli(&["ping"]).as_deref() != Some("PONG\n") {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// A file of its own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn try_cli(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).envs(self.password.as_ref().map(|password| ("REDISCLI_AUTH", password)));
        let output = command.args(words).stderr(Stdio::null()).output();
        let output = output.expect("redis-cli, which is in the package redis-tools");
        String::from_utf8(output.stdout).ok()
    }

    /// What it answers, one line for each part.
    pub fn cli(&self, words: &[&str]) -> String {
        self.try_cli(words).expect("an answer").trim_end().to_owned()
    }

    /// The names that it holds.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.cli(&["keys", "*"]).lines().map(str::to_owned).collect();
        names.retain(|name| !name.is_empty());
        names
    }

    /// A field of the counts of the only key that was used.
    pub fn counted(&self, field: &str) -> u64 {
        let names = self.names();
        let counts: Vec<&String> = names.iter().filter(|name| name.ends_with(":q")).collect();
        let [name] = counts.as_slice() else { panic!("one key was used: {names:?}") };
        self.cli(&["hget", name, field]).parse().unwrap_or(0)
    }

    /// Calls of scripts so far.
    pub fn scripts(&self) -> u64 {
        let said = self.cli(&["info", "commandstats"]);
        let line = said.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// Begins anew with nothing.
    pub fn lose_all(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(self.folder.join("appendonlydir"));
        self.begin();
    }

    /// Listens to all that it is told.
    pub fn watch(&self) -> Watch {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).arg("monitor").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-cli, which is in the package redis-tools");
        let mut out = child.stdout.take().expect("its output");
        let mut first = [0; 3];
        out.read_exact(&mut first).expect("OK");
        let reader = std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = out.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Watch { child, reader }
    }

    /// What it writes to the disk.
    pub fn dump(&self) -> Vec<u8> {
        assert_eq!(self.cli(&["save"]), "OK");
        std::fs::read(self.folder.join("dump.rdb")).expect("a dump")
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        let done = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(done.success());
    }

    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// As a crash does.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it ends");
        child.wait().expect("it has ended");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Who listens to a server.
pub struct Watch {
    child: Child,
    reader: std::thread::JoinHandle<String>,
}

impl Watch {
    pub fn end(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.reader.join().expect("what it heard")
    }
}

/// What the relay does to what passes.
#[derive(Default)]
struct Weather {
    /// Of a thousand answers, so many are lost and their connection cut.
    lost: AtomicU32,
    /// The lost ones are not cut: nothing comes any more.
    silent: AtomicBool,
    delay_ms: AtomicU32,
    /// Nobody gets through.
    is_cut: AtomicBool,
    asked: AtomicU64,
    has_lost: AtomicU64,
}

/// A TCP server in front of the socket.
pub struct Relay {
    address: SocketAddr,
    weather: Arc<Weather>,
}

impl Relay {
    pub fn start(redis: &Redis) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Relay { address: listener.local_addr().unwrap(), weather: Arc::default() };
        let (weather, socket) = (relay.weather.clone(), redis.socket());
        // It ends with the process: a listener that is waited for cannot be told.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (weather, socket) = (weather.clone(), socket.clone());
                std::thread::spawn(move || pass(client, &socket, &weather));
            }
        });
        relay
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on so many of a thousand answers do not come.
    pub fn lose(&self, per_mille: u32, silent: bool) {
        self.weather.silent.store(silent, Ordering::SeqCst);
        self.weather.lost.store(per_mille, Ordering::SeqCst);
    }

    /// Answers so far.
    pub fn asked(&self) -> u64 {
        self.weather.asked.load(Ordering::SeqCst)
    }

    pub fn lost(&self) -> u64 {
        self.weather.has_lost.load(Ordering::SeqCst)
    }

    pub fn delay(&self, ms: u32) {
        self.weather.delay_ms.store(ms, Ordering::SeqCst);
    }

    pub fn cut(&self, is_cut: bool) {
        self.weather.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

/// One connection: what is asked goes on as it comes, and what is answered meets the weather.
fn pass(client: TcpStream, socket: &std::path::Path, weather: &Weather) {
    let Ok(server) = UnixStream::connect(socket) else { return };
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let forward = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut server, mut client) = (server, client);
    let mut piece = [0; 64 << 10];
    while let Ok(count @ 1..) = server.read(&mut piece) {
        let asked = weather.asked.fetch_add(1, Ordering::SeqCst);
        // A number that looks random and is the same each time.
        let is_lost =
            (asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 1000 < weather.lost.load(Ordering::SeqCst).into();
        if is_lost || weather.is_cut.load(Ordering::SeqCst) {
            weather.has_lost.fetch_add(1, Ordering::SeqCst);
            if is_lost && weather.silent.load(Ordering::SeqCst) {
                continue;
            }
            break;
        }
        let delay = weather.delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay.into()));
        }
        if client.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = forward.join();
}
