//! A proxy on the way out to Google.

use super::{CHAT, HI, ask, config};
use crate::common::google::FakeGoogle;
use crate::common::program::{Folder, Program, run};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What a proxy in between has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
}

fn relay(mut one: TcpStream, mut other: TcpStream) {
    let (mut back_from, mut back_to) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut one, &mut other);
    let _ = other.shutdown(Shutdown::Both);
    let _ = back.join();
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// CONNECT with `user:proxy-password`, and everything else refused.
fn http_proxy(mut stream: TcpStream) -> Option<()> {
    let head = head(&mut stream)?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    // base64 of user:proxy-password, in lower case
    if !head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwcm94es1wyxnzd29yza") {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").ok();
    }
    let google = TcpStream::connect(target).ok()?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    relay(stream, google);
    Some(())
}

/// SOCKS5 without a login (RFC 1928), IPv4 and names.
fn socks_proxy(mut stream: TcpStream) -> Option<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).ok()?;
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).ok()?;
    stream.write_all(&[5, 0]).ok()?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).ok()?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).ok()?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        _ => {
            let mut length = [0];
            stream.read_exact(&mut length).ok()?;
            let mut name = vec![0; usize::from(length[0])];
            stream.read_exact(&mut name).ok()?;
            String::from_utf8(name).ok()?
        }
    };
    let mut port = [0; 2];
    stream.read_exact(&mut port).ok()?;
    let google = TcpStream::connect((host, u16::from_be_bytes(port))).ok()?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    relay(stream, google);
    Some(())
}

/// A proxy on a free port; its thread ends with the test's process.
fn proxy(serve: fn(TcpStream) -> Option<()>) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let count = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.connections.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || serve(stream));
        }
    });
    (port, seen)
}

#[test]
fn calls_to_google_take_the_proxy_of_the_config() {
    for (name, serve) in [("http", http_proxy as fn(TcpStream) -> Option<()>), ("socks5", socks_proxy)] {
        let google = FakeGoogle::start();
        google.add_api_key("AIza-one-0001");
        let (port, seen) = proxy(serve);
        let folder = Folder::new("outgoing");
        let mut settings = config(&google, &["sk-client"]);
        settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
        let login = if name == "http" { "user:proxy-password@" } else { "" };
        settings["proxy_url"] = json!(format!("{name}://{login}127.0.0.1:{port}"));
        let program = Program::start(&folder, &settings, &[]);
        let (status, body) = ask(&program.base(), "sk-client", CHAT, HI);
        assert_eq!(status, 200, "{name}: {body}\n{}", program.log());
        assert!(seen.connections.load(Ordering::SeqCst) >= 1, "{name}");
        assert!(!program.log().contains("proxy-password"), "the proxy's password is in the log");
    }
}

#[test]
fn without_one_the_environment_names_the_proxy_and_what_goes_past_it() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    for (past, expected) in [("", true), ("127.0.0.1", false)] {
        let (port, seen) = proxy(socks_proxy);
        let folder = Folder::new("environment");
        let mut settings = config(&google, &["sk-client"]);
        settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
        let address = format!("socks5://127.0.0.1:{port}");
        let environment = [("ALL_PROXY", address.as_str()), ("NO_PROXY", past)];
        let program = Program::start_in(&folder, &settings, &[], &environment);
        let (status, body) = ask(&program.base(), "sk-client", CHAT, HI);
        assert_eq!(status, 200, "{body}\n{}", program.log());
        assert_eq!(seen.connections.load(Ordering::SeqCst) > 0, expected, "NO_PROXY={past}");
    }
}

#[test]
fn a_proxy_that_does_not_answer_is_named_and_not_google() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    for scheme in ["http", "socks5"] {
        let folder = Folder::new("dead-proxy");
        let mut settings = config(&google, &["sk-client"]);
        settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
        settings["proxy_url"] = json!(format!("{scheme}://user:proxy-password@127.0.0.1:1"));
        let program = Program::start(&folder, &settings, &[]);
        let (status, body) = ask(&program.base(), "sk-client", CHAT, HI);
        assert_eq!(status, 502, "{body}");
        assert!(body.contains("cannot reach the outgoing proxy 127.0.0.1:1: "), "{body}");
        assert!(!body.contains("proxy-password") && !program.log().contains("proxy-password"), "{body}");
        let checked = String::from_utf8(run(&folder, &["check", "-c", "config.json"]).stdout).unwrap();
        assert!(checked.contains("by the outgoing proxy 127.0.0.1:1 (proxy_url, or HTTPS_PROXY): "), "{checked}");
        assert!(!checked.contains("proxy-password"), "{checked}");
    }
}

#[test]
fn a_proxy_that_is_none_is_told_without_its_password() {
    let folder = Folder::new("proxy-url");
    for url in ["ftp://u:hunter22@proxy", "proxy:3128", "http://", "http://u:hunter22@proxy/path", "socks5://"] {
        folder.write("config.json", json!({"proxy_url": url}).to_string());
        let output = run(&folder, &["run", "-c", "config.json"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{url}: {text}");
        assert!(text.contains("proxy_url: expected") && !text.contains("hunter22"), "{text}");
    }
}
