//! Three replicas behind the files in deploy/, with the real nginx and HAProxy.

use super::redis::Redis;
use super::*;
use crate::common::program::Folder;
use crate::deploy;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// Ended politely when dropped, so that it ends its own children.
pub(super) struct Front(Child);

impl Front {
    fn start(mut command: Command, address: SocketAddr) -> Front {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/setup.sh installs it"));
        let front = Front(child);
        wait_for("the balancer", || TcpStream::connect(address).is_ok());
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The file with the replicas' addresses.
fn with_addresses(name: &str, replicas: &[SocketAddr]) -> String {
    let mut text = std::fs::read_to_string(Path::new(DEPLOY).join(name)).unwrap();
    if replicas.len() > 3 {
        // The files have three; the fourth gets the lines of the third.
        let fourth = |line: &str| line.contains("replica-3").then(|| line.replace("replica-3", "replica-4"));
        let lines = text.lines().flat_map(|line| [Some(line.to_owned()), fourth(line)]).flatten();
        text = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    }
    for (at, replica) in replicas.iter().enumerate() {
        let place = format!("replica-{}:8888", at + 1);
        assert!(text.contains(&place), "{place} is not in {name}");
        text = text.replace(&place, &replica.to_string());
    }
    text
}

pub(super) fn changed(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in\n{text}");
    text.replace(old, new)
}

/// So many clients of the balancer, one connection each.
fn limited_exactly(address: SocketAddr, google: &FakeGoogle) {
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let ask = || {
            let mut client = Client::new(address);
            (0..10).map(|_| client.chat(LIMITED, MODEL).expect("an answer")).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..18).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_exact(&replies, 60);
    assert_eq!(google.generations_count(), passed(&replies));
    assert_eq!(Client::new(address).get("/readyz").status, 200);
    assert_eq!(Client::new(address).get("/health").status, 200);
}

/// The real one with the file in deploy/, before these replicas; without TLS.
pub(super) fn nginx(replicas: &[SocketAddr]) -> (Folder, Front, SocketAddr) {
    nginx_with(replicas, |site| site)
}

/// The same with something changed in the file.
pub(super) fn nginx_with(
    replicas: &[SocketAddr],
    change: impl FnOnce(String) -> String,
) -> (Folder, Front, SocketAddr) {
    let (folder, address) = (Folder::new("nginx-replicas"), free_address());
    let site = change(with_addresses("nginx-replicas.conf", replicas));
    let site = changed(&site, "listen 443 ssl", &format!("listen {address}"));
    let site: String =
        site.lines().filter(|line| !line.contains("ssl_certificate")).map(|line| format!("{line}\n")).collect();
    let front = Front::start(deploy::nginx(&folder, &site), address);
    (folder, front, address)
}

#[test]
fn a_limit_is_exact_behind_nginx() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 60}));
    let (_folder, _front, address) = nginx(&replicas.iter().map(Proxy::address).collect::<Vec<_>>());
    limited_exactly(address, &google);
}

/// The real one with the file in deploy/, before these replicas.
pub(super) fn haproxy(replicas: &[SocketAddr]) -> (Folder, Front, SocketAddr) {
    let (folder, address) = (Folder::new("haproxy-replicas"), free_address());
    let config = changed(&with_addresses("haproxy.cfg", replicas), "bind :8080", &format!("bind {address}"));
    let config = folder.write("haproxy.cfg", config);
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(config);
    let front = Front::start(command, address);
    wait_for("a replica", || Client::new(address).get("/readyz").status == 200);
    (folder, front, address)
}

#[test]
fn a_limit_is_exact_behind_haproxy() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 60}));
    let (_folder, _front, address) = haproxy(&replicas.iter().map(Proxy::address).collect::<Vec<_>>());
    limited_exactly(address, &google);
}

/// What a container's tool would read: the names that the files share.
#[test]
fn the_compose_file_names_what_the_balancers_expect() {
    let read = |name: &str| std::fs::read_to_string(Path::new(DEPLOY).join(name)).unwrap();
    let compose = read("compose-replicas.yaml");
    for at in 1..=3 {
        assert!(
            compose.contains(&format!("\n  replica-{at}:\n")) && compose.contains(&format!("state-{at}:/state")),
            "{at}"
        );
        assert!(read("nginx-replicas.conf").contains(&format!("server replica-{at}:8888 max_fails=3")), "{at}");
    }
    for needed in
        ["--appendonly yes", "--maxmemory-policy noeviction", "GEMINI_PROXY_STORE_URL", "GEMINI_PROXY_ENCRYPTION_KEY"]
    {
        assert!(compose.contains(needed), "{needed}");
    }
}
