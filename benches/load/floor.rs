//! The smallest honest relay of the proxy's shape, as a second yardstick beside nginx: a thread for each client, blocking
//! sockets, a kept connection to Google; a chat is parsed, translated and sent, and its answer is parsed, translated and
//! written, one read and one write for each event. It checks no key, bounds nothing, counts nothing, logs nothing, asks
//! nobody else when Google fails and does not notice who leaves: what the proxy takes beyond it is what those cost.

use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// As large as the proxy's workers have it.
const STACK: usize = 256 * 1024;

#[derive(Deserialize)]
struct Chat {
    model: String,
    #[serde(default)]
    stream: bool,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Turn<'a>>,
    contents: Vec<Turn<'a>>,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    candidates: Vec<Candidate>,
    usage_metadata: Usage,
    response_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Content,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Counts>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Said<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// Serves until the process is ended.
pub fn run(port: u16, google: SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the relay's port");
    for client in listener.incoming().flatten() {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let _ = thread.spawn(move || serve(Line::new(client), google));
    }
}

/// A socket and what came of it and was not used yet.
struct Line {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Line {
    fn new(socket: TcpStream) -> Line {
        let _ = socket.set_nodelay(true);
        Line { socket, input: Vec::with_capacity(2048) }
    }

    /// Waits for more; `None` at the end.
    fn fill(&mut self) -> Option<()> {
        let mut bytes = [0; 8192];
        let count = self.socket.read(&mut bytes).ok().filter(|count| *count > 0)?;
        self.input.extend_from_slice(&bytes[..count]);
        Some(())
    }

    /// Takes the next bytes.
    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.input.len() < count {
            self.fill()?;
        }
        Some(self.input.drain(..count).collect())
    }

    /// Takes what stands before `end`, with it.
    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len());
            }
            self.fill()?;
        }
    }
}

/// The method, and the length of what follows the head of a request or an answer, unless it comes in chunks.
fn read_head(line: &mut Line, is_request: bool) -> Option<(bool, Option<usize>)> {
    let head = line.until(b"\r\n\r\n")?;
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let (is_post, headers) = if is_request {
        let mut request = httparse::Request::new(&mut fields);
        request.parse(&head).ok()?;
        (request.method == Some("POST"), &*request.headers)
    } else {
        let mut response = httparse::Response::new(&mut fields);
        response.parse(&head).ok()?;
        (response.code == Some(200), &*response.headers)
    };
    let length = headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    Some((is_post, length.and_then(|field| str::from_utf8(field.value).ok()?.parse().ok())))
}

fn serve(mut client: Line, google: SocketAddr) -> Option<()> {
    let mut upstream = None;
    loop {
        let (is_post, length) = read_head(&mut client, true)?;
        let body = client.take(length.unwrap_or(0))?;
        if !is_post {
            client.socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        let chat: Chat = serde_json::from_slice(&body).ok()?;
        let upstream = match &mut upstream {
            Some(upstream) => upstream,
            none => none.insert(Line::new(TcpStream::connect(google).ok()?)),
        };
        upstream.socket.write_all(&question(&chat)).ok()?;
        let (_, length) = read_head(upstream, false)?;
        match length {
            Some(length) => {
                let answer = serde_json::from_slice(&upstream.take(length)?).ok()?;
                let body = document(&chat, &answer);
                let mut out = head(&format!("application/json\r\nContent-Length: {}", body.len()));
                out.extend_from_slice(&body);
                client.socket.write_all(&out).ok()?;
            }
            None => stream(&mut client, upstream, &chat)?,
        }
    }
}

fn question(chat: &Chat) -> Vec<u8> {
    let (mut system, mut contents) = (None, Vec::with_capacity(chat.messages.len()));
    for message in &chat.messages {
        let parts = [Part { text: &message.content }];
        match message.role.as_str() {
            "system" => system = Some(Turn { role: "user", parts }),
            "assistant" => contents.push(Turn { role: "model", parts }),
            _ => contents.push(Turn { role: "user", parts }),
        }
    }
    let body = serde_json::to_vec(&Question { system_instruction: system, contents }).expect("JSON");
    let method = if chat.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let mut out = format!(
        "POST /v1beta/models/{}:{method} HTTP/1.1\r\nHost: google\r\nx-goog-api-key: AIza-load\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n",
        chat.model,
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(&body);
    out
}

fn head(rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {rest}\r\n\r\n").into_bytes()
}

fn document(chat: &Chat, answer: &Answer) -> Vec<u8> {
    let text: String = answer.candidates.iter().flat_map(|one| &one.content.parts).map(|part| &*part.text).collect();
    let said = Some(Said { role: "assistant", content: &text });
    let is_over = answer.candidates.iter().any(|candidate| candidate.finish_reason.is_some());
    let usage = &answer.usage_metadata;
    let counts = Counts {
        prompt_tokens: usage.prompt_token_count,
        completion_tokens: usage.candidates_token_count,
        total_tokens: usage.total_token_count,
    };
    let (message, delta) = if chat.stream { (None, said) } else { (said, None) };
    let choice = Choice { index: 0, message, delta, finish_reason: is_over.then_some("stop") };
    let document = Document {
        id: &answer.response_id,
        object: if chat.stream { "chat.completion.chunk" } else { "chat.completion" },
        created: 0,
        model: &chat.model,
        choices: [choice],
        usage: (!chat.stream).then_some(counts),
    };
    serde_json::to_vec(&document).expect("JSON")
}

fn stream(client: &mut Line, upstream: &mut Line, chat: &Chat) -> Option<()> {
    let mut out = head("text/event-stream\r\nTransfer-Encoding: chunked");
    loop {
        let line = upstream.until(b"\r\n")?;
        let size = usize::from_str_radix(str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let chunk = upstream.take(size + 2)?;
        if size == 0 {
            out.extend_from_slice(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
            return client.socket.write_all(&out).ok();
        }
        let answer = serde_json::from_slice(chunk.trim_ascii().strip_prefix(b"data: ")?).ok()?;
        let body = document(chat, &answer);
        let _ = write!(out, "{:x}\r\ndata: ", body.len() + 8);
        out.extend_from_slice(&body);
        out.extend_from_slice(b"\n\n\r\n");
        client.socket.write_all(&out).ok()?;
        out.clear();
    }
}
