//! How connections begin, well and otherwise.

use super::{certificates, client_config, connect, connect_with, session, socket, start};
use crate::common::program::Folder;
use crate::listener::harness::{Client, limits, start_as, wait_until};
use gemini_openai_proxy::http::Limits;
use rustls::version::{TLS12, TLS13};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The first bytes of a client.
fn hello(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    session(client_config(rustls::ALL_VERSIONS), name).write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn both_versions_are_spoken_and_a_connection_is_kept() {
    let rig = start(limits());
    for version in [&TLS12, &TLS13] {
        let mut client = connect_with(rig.address, client_config(&[version]), "localhost");
        for _ in 0..3 {
            client.get("/echo");
            assert_eq!(client.answer().body, "GET /echo  0 -");
        }
        assert_eq!(client.socket.conn.protocol_version(), Some(version.version));
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            1 << 20
        ));
        client.send(vec![b'x'; 1 << 20]);
        assert_eq!(client.answer().body, "POST /echo  1048576 -");
        assert_eq!(client.rest(), Ok(String::new()), "the end is told, not cut");
    }
}

#[test]
fn http_1_is_agreed_on_and_nothing_newer() {
    let rig = start(limits());
    for (offered, expected) in
        [(vec!["h2", "http/1.1"], Some("http/1.1")), (vec!["http/1.0"], Some("http/1.0")), (vec![], None)]
    {
        let mut config = client_config(rustls::ALL_VERSIONS);
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut client = connect_with(rig.address, config, "localhost");
        client.get("/echo");
        assert_eq!(client.answer().status, 200, "{offered:?}");
        assert_eq!(client.socket.conn.alpn_protocol(), expected.map(str::as_bytes), "{offered:?}");
    }
    let mut config = client_config(rustls::ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = connect_with(rig.address, config, "localhost");
    let error = client.socket.write(b"x").unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn any_name_is_shown_the_one_certificate() {
    let rig = start(limits());
    // An address is no server name, so this client sends none.
    let mut client = connect_with(rig.address, client_config(rustls::ALL_VERSIONS), "127.0.0.1");
    client.get("/echo");
    assert_eq!(client.answer().status, 200);
    let mut client = connect_with(rig.address, client_config(rustls::ALL_VERSIONS), "other.example");
    let error = client.socket.write(b"x").unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "the client judges: {error}");
    wait_until(|| rig.running.snapshot().connections <= 1);
}

#[test]
fn plain_http_is_told_in_words_to_use_tls() {
    let rig = start(limits());
    for request in ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n", "G"] {
        let mut client = Client::connect(rig.address);
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(answer.body.contains("https://") && answer.body.contains("https_required"), "{}", answer.body);
        assert_eq!(client.rest(), Ok(String::new()), "{request:?}");
    }
    assert!(rig.judged.lock().unwrap().is_empty());
}

#[test]
fn what_is_no_handshake_is_closed() {
    let rig = start(limits());
    let mut too_large = hello("localhost");
    too_large[3..5].copy_from_slice(&[0xff, 0xff]);
    let mut broken = hello("localhost");
    broken[5..].fill(7);
    for bytes in
        [b"\0\0\0\0".to_vec(), b"\x80\x2e\x01\x03\x01".to_vec(), b"\x17\x03\x03\0\x01x".to_vec(), too_large, broken]
    {
        let mut socket = socket(rig.address);
        socket.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        // An alert of a fatal error, or nothing.
        let ended = socket.read_to_end(&mut answer);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        assert!(answer.is_empty() || answer[..1] == [21], "{answer:?} to {bytes:?}");
    }
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn a_handshake_and_a_request_may_come_byte_by_byte() {
    struct Dripping(TcpStream);
    impl Read for Dripping {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(into)
        }
    }
    impl Write for Dripping {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(&bytes[..1])
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let rig = start(limits());
    for version in [&TLS12, &TLS13] {
        let socket = socket(rig.address);
        socket.set_nodelay(true).unwrap();
        let session = session(client_config(&[version]), "localhost");
        let mut client = Client::over(rustls::StreamOwned::new(session, Dripping(socket)));
        // Each byte is a record of its own.
        for byte in b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" {
            client.send([*byte]);
        }
        assert_eq!(client.answer().body, "POST /echo  3 -");
    }
}

#[test]
fn half_open_handshakes_keep_nobody_out_and_end_without_a_word() {
    let rig = start(Limits { max_connections: 64, head_timeout: Duration::from_millis(1500), ..limits() });
    let bytes = hello("localhost");
    let halves: Vec<TcpStream> = (0..200)
        .map(|at| {
            let mut half = socket(rig.address);
            // A full listener may have closed it already.
            let _ = half.write_all(&bytes[..at % bytes.len()]);
            half
        })
        .collect();
    for _ in 0..20 {
        let mut client = connect(rig.address);
        client.get("/echo");
        assert_eq!(client.answer().status, 200);
    }
    wait_until(|| rig.running.snapshot().connections == 0);
    for mut half in halves {
        let mut answer = Vec::new();
        let _ = half.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
}

/// All that openssl's client says, which is given `input`.
fn s_client(address: SocketAddr, options: &[&str], input: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    // It ends with its input unless it is told not to, so that stays open.
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    drop(stdin);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_client_that_renegotiates_is_refused_that() {
    let rig = start(limits());
    let said = s_client(rig.address, &["-tls1_2"], "R\n");
    assert!(said.contains("no renegotiation"), "{said}");
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn data_ahead_of_the_handshake_is_never_taken() {
    let rig = start(limits());
    let folder = Folder::new("early");
    let [kept, early] = ["session", "early"].map(|name| folder.join(name).display().to_string());
    std::fs::write(&early, "GET /early HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let ask = |options: &[&str]| {
        let late = "GET /late HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        s_client(rig.address, &[&["-tls1_3", "-ign_eof"], options].concat(), late)
    };
    ask(&["-sess_out", &kept]);
    let said = ask(&["-sess_in", &kept, "-early_data", &early]);
    assert!(said.contains("200 OK") && !said.contains("Early data was accepted"), "{said}");
    assert_eq!(*rig.judged.lock().unwrap(), ["/late", "/late"]);
}

#[test]
fn a_proxys_header_comes_before_the_handshake() {
    let rig = start_as("127.0.0.1", limits(), |server| {
        server.with_tls(certificates()).behind(Box::new(|address| address.is_loopback()), true)
    });
    let mut plain = socket(rig.address);
    plain.write_all(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n").unwrap();
    let session = session(client_config(rustls::ALL_VERSIONS), "localhost");
    let mut client = Client::over(rustls::StreamOwned::new(session, plain));
    client.get("/peer");
    assert_eq!(client.answer().body, "192.0.2.7");
    let mut without = connect(rig.address);
    assert!(without.socket.write(b"x").is_err(), "closed, not shaken hands with");
}
