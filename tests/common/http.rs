//! One plain HTTP request to the proxy.

use super::proxy::{CLIENT_KEY, Proxy};
use super::wire::{self, Wire};
use super::written;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends a request with the client's key, unless `headers` hold their own `Authorization` (empty: none), and reads the
/// answer to its end.
pub fn ask(proxy: &Proxy, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    ask_at(proxy.address(), method, target, headers, body)
}

/// The same of whoever listens there.
pub fn ask_at(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    written::secrets_of_request(target, headers.iter().copied());
    let mut stream = wire::connect(address).expect("the proxy accepts");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Authorization") {
        head += &format!("Authorization: Bearer {CLIENT_KEY}\r\n");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).expect("the request is taken");
    read(BufReader::new(stream))
}

fn read(mut stream: BufReader<Wire>) -> Answer {
    let mut line = String::new();
    let mut next = |stream: &mut BufReader<Wire>| {
        line.clear();
        stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    let status = next(&mut stream).split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let mut headers = Vec::new();
    loop {
        let field = next(&mut stream);
        let Some((name, value)) = field.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let mut body = Vec::new();
    if chunked {
        loop {
            let length = usize::from_str_radix(&next(&mut stream), 16).expect("a chunk");
            let start = body.len();
            body.resize(start + length, 0);
            stream.read_exact(&mut body[start..]).expect("a whole chunk");
            next(&mut stream);
            if length == 0 {
                break;
            }
        }
    } else {
        stream.read_to_end(&mut body).expect("a body");
    }
    Answer { status, headers, body }
}
