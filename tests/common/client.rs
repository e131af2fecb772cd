//! A client that keeps its connection, for tests that send many requests.

use super::wire::CONSENT;
use super::written;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, stream: None }
    }

    pub fn get(&mut self, target: &str) -> Reply {
        self.send("GET", target, &[], "").expect("an answer")
    }

    pub fn chat(&mut self, key: &str, model: &str) -> io::Result<Reply> {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]}}"#);
        self.send("POST", "/v1/chat/completions", &[("Authorization", &format!("Bearer {key}"))], &body)
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
        written::secrets_of_request(target, headers.iter().copied());
        written::file("request.json", body);
        let result = self.exchange(method, target, headers, body);
        if let Ok(reply) = &result
            && !target.starts_with(CONSENT)
        {
            let fields = written::head(&reply.headers);
            let head = format!("{method} {}: {}\n{fields}", target.split('?').next().unwrap(), reply.status);
            match written::shows_a_new_key(method, target) {
                true => written::answer_with_new_key(&head, &reply.body),
                false => written::answer(&format!("{head}\n{}", reply.body)),
            }
        }
        if result.as_ref().is_ok_and(|reply| reply.header("connection") == Some("close")) || result.is_err() {
            self.stream = None;
        }
        result
    }

    fn exchange(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut().expect("just connected");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(head.as_bytes())?;
        let status =
            line(stream)?.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = Vec::new();
        loop {
            let field = line(stream)?;
            let Some((name, value)) = field.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body)?;
        Ok(Reply { status, headers, body: String::from_utf8(body).map_err(|_| io::ErrorKind::InvalidData)? })
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
