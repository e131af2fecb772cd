//! What `make static` builds is small and needs nothing of the system it runs on: `make small`.

#[allow(dead_code, unused_imports)] // the suite uses the rest
mod common;

use common::google::FakeGoogle;
use common::program::{Folder, Program};
use common::wire;
use serde_json::json;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Where the test's own name server listens.
const NAME_SERVER: &str = "127.77.0.1";

/// The most bytes that the binary may have, without features and with all of them: what can be downloaded and copied
/// without a thought. docs/performance.md says what keeps it there.
const LARGEST: [u64; 2] = [5_600_000, 8_000_000];

struct Built {
    /// The binary with all features.
    path: PathBuf,
    /// Its bytes, without features and with all of them.
    sizes: [u64; 2],
}

/// Builds both, or finds them built: cargo keeps them beside the other builds. The second takes the first one's place.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut path = PathBuf::new();
        let sizes = ["FEATURES=--no-default-features", "FEATURES="].map(|features| {
            path = build(features);
            std::fs::metadata(&path).unwrap().len()
        });
        Built { path, sizes }
    })
}

fn build(features: &str) -> PathBuf {
    let mut command = Command::new("make");
    command.args(["--no-print-directory", "static", features]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test about its package is news to build scripts, which would build everything again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "CARGO" || ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|begin| text.starts_with(begin)) {
            command.env_remove(&name);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    // Its last two lines: what ldd says, and where the binary is.
    let mut lines = said.lines().rev();
    let path = PathBuf::from(lines.next().unwrap());
    assert!(lines.next().unwrap().contains("statically linked"), "{said}");
    path
}

#[test]
fn it_is_one_small_file() {
    let sizes = built().sizes;
    assert!(sizes[0] < LARGEST[0] && sizes[1] < LARGEST[1], "{sizes:?} bytes");
}

/// Answers each question for an address with 127.0.0.1, until the process ends.
fn serve_names() -> std::io::Result<()> {
    let socket = UdpSocket::bind((NAME_SERVER, 53))?;
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((count, peer)) = socket.recv_from(&mut packet) {
            // The question ends behind the name's zero byte with type and class (RFC 1035 4.1).
            let Some(zero) = packet[12..count].iter().position(|byte| *byte == 0) else { continue };
            let end = 12 + zero + 5;
            let is_a = packet[end - 3] == 1;
            let mut answer = packet[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
    Ok(())
}

#[test]
fn it_streams_a_chat_from_an_empty_root_with_only_resolv_conf() {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !is_root {
        println!("skipped: chroot and a name server on port 53 take root");
        return;
    }
    if let Err(error) = serve_names() {
        println!("skipped: no name server can listen on {NAME_SERVER}:53: {error}");
        return;
    }
    let root = Folder::new("empty-root");
    std::fs::copy(&built().path, root.join("gemini-openai-proxy")).unwrap();
    std::fs::create_dir(root.join("etc")).unwrap();
    root.write("etc/resolv.conf", format!("nameserver {NAME_SERVER}\n"));

    let google = FakeGoogle::start();
    google.add_api_key("AIza-key-of-programs");
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0}, "auth_keys": ["sk-client-of-programs"], "log_level": "info",
        "gemini_api_keys": ["AIza-key-of-programs"],
        "endpoints": {"generative_language": format!("http://google.example:{}", google.address().port())},
    });
    let mut command = Command::new("chroot");
    command.arg(root.path()).args(["/gemini-openai-proxy", "run", "-c", "/config.json"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GEMINI_PROXY_ENCRYPTION_KEY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let program = Program::spawn(&root, &config, command);
    let body = r#"{"model":"gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut socket = wire::connect(("127.0.0.1", program.port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("data: [DONE]"), "{text}\n{}", program.log());
}
