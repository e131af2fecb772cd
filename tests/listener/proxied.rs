//! Connections that proxies pass on: whose they are, and that each of those whom a proxy speaks for has a part of the
//! listener and no more.

use super::harness::{Client, PATIENCE, Rig, ask, limits, start_as, wait_until};
use crate::common::program::Folder;
use gemini_openai_proxy::http::Limits;
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Whose proxies are trusted.
const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn start(limits: Limits) -> Rig {
    start_as("127.0.0.1", limits, |server| server.behind(Box::new(|address| address == TRUSTED), true))
}

fn line(source: &str) -> Vec<u8> {
    let family = if source.contains(':') { "TCP6" } else { "TCP4" };
    let target = if source.contains(':') { "::1" } else { "127.0.0.1" };
    format!("PROXY {family} {source} {target} 50000 443\r\n").into_bytes()
}

fn block(command: u8, source: Option<Ipv4Addr>) -> Vec<u8> {
    let told = source.map(|source| [&source.octets()[..], &[127, 0, 0, 1, 1, 2, 3, 4]].concat()).unwrap_or_default();
    let family = if source.is_some() { 0x11 } else { 0 };
    let length = u8::try_from(told.len()).unwrap();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family, 0, length], &told].concat()
}

/// With things that a proxy tells beside the address, longer than a read of a small buffer.
fn long_block(source: Ipv4Addr) -> Vec<u8> {
    let told = [&source.octets()[..], &[127, 0, 0, 1, 1, 2, 3, 4, 0xe0, 0x0b, 0xb8], &[b'x'; 3000]].concat();
    let length = u16::try_from(told.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &told].concat()
}

const GET_PEER: &str = "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn the_address_in_the_header_is_the_callers() {
    let rig = start(limits());
    for (header, expected) in [
        (line("192.0.2.7"), "192.0.2.7"),
        (line("2001:db8::7"), "2001:db8::7"),
        (line("::ffff:192.0.2.7"), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (block(1, Some(Ipv4Addr::new(192, 0, 2, 7))), "192.0.2.7"),
        (long_block(Ipv4Addr::new(192, 0, 2, 7)), "192.0.2.7"),
        (block(1, None), "127.0.0.1"),
        (block(0, None), "127.0.0.1"),
    ] {
        let whole = [&header[..], GET_PEER.as_bytes(), GET_PEER.as_bytes()].concat();
        let mut client = Client::connect(rig.address);
        client.send(&whole);
        assert_eq!((client.answer().body, client.answer().body), (expected.into(), expected.into()));
        let mut dripping = Client::connect(rig.address);
        dripping.socket.set_nodelay(true).unwrap();
        for byte in &whole {
            dripping.send([*byte]);
        }
        assert_eq!(dripping.answer().body, expected);
    }
}

#[test]
fn what_does_not_begin_with_a_header_is_closed_without_a_word() {
    let rig = start(limits());
    let twice = [line("192.0.2.7"), line("192.0.2.8")].concat();
    for bytes in [
        GET_PEER.as_bytes(),
        b"\x16\x03\x01",
        b"PROXY TCP4 x y 1 2\r\n",
        b"PROXY UDP4 1.1.1.1 1.1.1.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31",
    ] {
        let mut client = Client::connect(rig.address);
        client.send(bytes);
        assert!(client.try_answer(false).is_none(), "{bytes:?}");
    }
    let mut client = Client::connect(rig.address);
    client.send([&twice[..], GET_PEER.as_bytes()].concat());
    assert_eq!(client.answer().status, 400, "one header a connection");
    assert!(rig.judged.lock().unwrap().is_empty());
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn nobody_but_trusted_proxies_is_served() {
    let rig = start_as("127.0.0.1", limits(), |server| server.behind(Box::new(|_| false), true));
    let mut client = Client::connect(rig.address);
    client.send([&line("192.0.2.7")[..], GET_PEER.as_bytes()].concat());
    assert!(client.try_answer(false).is_none());
}

/// Each of these callers has its requests under way; the rig's limit is three.
fn three_at_a_time(rig: &Rig, open: impl Fn(&str) -> Client) {
    let mut busy: Vec<Client> = (0..3).map(|_| open("192.0.2.7")).collect();
    (0..3).for_each(|_| drop(rig.entered.recv_timeout(PATIENCE).unwrap()));
    let mut over = open("192.0.2.7");
    let answer = over.answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.body);
    let mut other = open("192.0.2.8");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    (0..4).for_each(|_| rig.release.send(()).unwrap());
    assert!(busy.iter_mut().chain([&mut other]).all(|client| client.answer().status == 200));
    drop(busy);
    let mut again = open("192.0.2.7");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    rig.release.send(()).unwrap();
    assert_eq!(again.answer().status, 200);
}

#[test]
fn the_limit_of_an_address_is_that_of_the_caller_whom_the_header_names() {
    let rig = start(Limits { max_connections_per_address: 3, ..limits() });
    three_at_a_time(&rig, |source| {
        let mut client = Client::connect(rig.address);
        client.send([&line(source)[..], b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"].concat());
        client
    });
}

#[test]
fn the_limit_of_an_address_is_that_of_the_caller_for_whom_a_proxy_asks() {
    let rig = start_as("127.0.0.1", Limits { max_connections_per_address: 3, ..limits() }, |server| server);
    three_at_a_time(&rig, |source| {
        let mut client = Client::connect(rig.address);
        client.send(format!("GET /wait HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {source}\r\n\r\n"));
        client
    });
}

#[test]
fn a_connection_that_goes_on_counts_for_each_caller_in_its_turn() {
    let rig = start_as("127.0.0.1", Limits { max_connections_per_address: 1, ..limits() }, |server| server);
    let mut proxy = Client::connect(rig.address);
    for n in 0..20 {
        proxy.send(format!("GET /echo HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.{n}\r\n\r\n"));
        assert_eq!(proxy.answer().status, 200);
    }
    let asked = ask(rig.address, "GET /echo HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    assert_eq!(asked.status, 200, "what was answered counts no more");
}

#[test]
fn haproxy_says_whose_connection_it_is_in_either_version() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        println!("skipped: haproxy is not installed; tests/setup.sh installs it");
        return;
    }
    let rig = start(limits());
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let mut config = "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n".to_owned();
    for (port, version) in ports.iter().zip(["send-proxy", "send-proxy-v2"]) {
        // Its own looks at the server come without a client's address.
        config += &format!(
            "listen {version}\n bind 127.0.0.1:{port}\n server one {} {version} check inter 50ms\n",
            rig.address
        );
    }
    let folder = Folder::new("haproxy");
    let file = folder.write("haproxy.cfg", config);
    let mut haproxy = Command::new("haproxy").arg("-db").arg("-f").arg(file).stderr(Stdio::null()).spawn().unwrap();
    for port in ports {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until(|| TcpStream::connect(address).is_ok());
        for source in ["127.0.0.1", "127.0.0.7"] {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let from: SocketAddr = format!("{source}:0").parse().unwrap();
            socket.bind(&from.into()).unwrap();
            socket.connect(&address.into()).unwrap();
            let mut client = Client::over(TcpStream::from(socket));
            client.send([GET_PEER, GET_PEER].concat());
            assert_eq!((client.answer().body, client.answer().body), (source.into(), source.into()), "{port}");
        }
    }
    haproxy.kill().unwrap();
    haproxy.wait().unwrap();
}
