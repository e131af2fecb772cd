//! The kinds of load of the endurance test. Each asks once and says whether what came is what had to come.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Rests and crowds are per model: what must fail or be masked has models of its own.
const PLAIN: &str = "gemini-2.5-flash";
const MASKED: &str = "gemini-2.5-flash-lite";
const TOLD: &str = "gemini-2.5-pro";
const TOOLS: &str = "gemini-3-pro-preview";

/// One kind.
pub struct Kind {
    pub name: &'static str,
    /// From one request to the next.
    pub every: Duration,
    pub ask: fn(&Client) -> Result<(), String>,
}

const fn kind(name: &'static str, every_ms: u64, ask: fn(&Client) -> Result<(), String>) -> Kind {
    Kind { name, every: Duration::from_millis(every_ms), ask }
}

/// About thirty requests a second in all.
pub const KINDS: [Kind; 10] = [
    kind("chat", 100, |client| client.answered(PLAIN, "hello")),
    kind("tools", 500, Client::use_tool),
    kind("429 masked", 1000, |client| client.masked(429)),
    kind("503 masked", 1000, |client| client.masked(503)),
    kind("500 masked", 1000, |client| client.masked(500)),
    // Seldom, so that most tokens live to their end.
    kind("401 renewed", 10_000, |client| client.masked(401)),
    kind("400 told", 1000, |client| client.told(400)),
    kind("503 told", 2000, |client| client.told(503)),
    kind("left", 500, Client::leave),
    kind("admin", 1000, Client::administrate),
];

/// Who asks: a connection for each request.
pub struct Client {
    address: SocketAddr,
    next: AtomicU64,
}

struct Answer {
    status: u16,
    /// As it came, with the marks of the chunks.
    text: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, next: AtomicU64::new(0) }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Result<TcpStream, String> {
        let mut socket = TcpStream::connect(self.address).map_err(|error| format!("connect: {error}"))?;
        let _ = socket.set_read_timeout(Some(Duration::from_secs(30)));
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer sk-load\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        );
        socket.write_all(request.as_bytes()).map_err(|error| format!("write: {error}"))?;
        Ok(socket)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        let mut text = String::new();
        self.send(method, path, body)?.read_to_string(&mut text).map_err(|error| format!("read: {error}"))?;
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| format!("no status in {text:?}"))?;
        Ok(Answer { status, text })
    }

    fn chat(&self, body: &Value) -> Result<Answer, String> {
        self.exchange("POST", "/v1/chat/completions", &body.to_string())
    }

    /// Whole and streamed by turns.
    fn answered(&self, model: &str, prompt: &str) -> Result<(), String> {
        let stream = self.next.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let answer = self.chat(&question(model, prompt, stream))?;
        answer.must(200, if stream { "data: [DONE]" } else { r#""finish_reason":"stop""# })
    }

    /// A failure of the first attempt, which must not reach the client.
    fn masked(&self, status: u16) -> Result<(), String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.answered(MASKED, &format!("fail={status} once={id}"))
    }

    /// A failure of every attempt.
    fn told(&self, status: u16) -> Result<(), String> {
        self.chat(&question(TOLD, &format!("fail={status}"), true))?.must(status, r#""error":{"#)
    }

    /// A call and its result. OpenAI's clients do not send the signature back; the proxy has to remember it.
    pub fn use_tool(&self) -> Result<(), String> {
        let mut body = question(TOOLS, "What is the weather in Oslo?", false);
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        body["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
        let answer = self.chat(&body)?;
        answer.must(200, r#""finish_reason":"tool_calls""#)?;
        let json = answer.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let json: Value = serde_json::from_str(json).map_err(|error| format!("{error} in {json:?}"))?;
        let call = &json["choices"][0]["message"]["tool_calls"][0];
        let asked = json!({"role": "assistant", "tool_calls": [{"id": call["id"], "type": "function",
            "function": {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}}]});
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "rain"});
        let messages = body["messages"].as_array_mut().ok_or("no messages")?;
        messages.extend([asked, result]);
        self.chat(&body)?.must(200, r#""finish_reason":"stop""#)
    }

    /// Begins a stream and goes away in its middle.
    fn leave(&self) -> Result<(), String> {
        let body = question(PLAIN, "events=100 every_us=20000", true).to_string();
        let mut socket = self.send("POST", "/v1/chat/completions", &body)?;
        let mut bytes = [0; 512];
        let count = socket.read(&mut bytes).map_err(|error| format!("read: {error}"))?;
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        Answer { status: 0, text }.must(0, "200 OK")
    }

    fn administrate(&self) -> Result<(), String> {
        for (path, status) in [
            ("/health", 200),
            ("/admin/credentials", 200),
            ("/admin/status", 200),
            ("/admin/requests", 200),
            ("/nowhere", 404),
        ] {
            self.exchange("GET", path, "")?.must(status, "")?;
        }
        Ok(())
    }
}

impl Answer {
    fn must(&self, status: u16, piece: &str) -> Result<(), String> {
        if self.status == status && self.text.contains(piece) {
            return Ok(());
        }
        // Without the head's many fields; nothing else of an answer is long but what is good in it.
        let (head, body) = self.text.split_once("\r\n\r\n").unwrap_or((&self.text, ""));
        let (line, body) = (head.lines().next().unwrap_or(""), body.chars().take(300).collect::<String>());
        Err(format!("not {status} with {piece:?} but {line:?} and {body:?}"))
    }
}

fn question(model: &str, prompt: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": prompt}]})
}
