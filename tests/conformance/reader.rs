//! A listener that tells what it has read from a connection.

use gemini_openai_proxy::http::{
    Admitted, Caller, Lane, Limits, Refusal, Request, Responder, Response, Running, Server,
};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub length: usize,
    /// Of the body's bytes.
    pub sum: u64,
}

/// What came of a connection.
#[derive(Debug)]
pub struct Found {
    pub requests: Vec<Heard>,
    /// Status and sentence of what was refused at its end.
    pub refusal: Option<(u16, String)>,
}

/// For one connection at a time.
pub struct Reader {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    _running: Running,
}

impl Reader {
    pub fn start() -> Reader {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let hearing = heard.clone();
        let judge = move |request: &Request| {
            let heard = hearing.clone();
            let answer = move |request: Request, responder: Responder| {
                let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
                heard.lock().unwrap().push(Heard {
                    method: request.method,
                    target: request.path + &query,
                    length: request.body.len(),
                    sum: request.body.iter().map(|byte| u64::from(*byte)).sum(),
                });
                responder.respond(Response::empty(204));
            };
            let refuse = |refusal: &Refusal| refusal.response();
            // An end of input cancels nothing there.
            let lane = Lane::Short;
            let (address, caller) = (request.peer, Caller::default());
            Ok(Admitted {
                lane,
                address,
                is_of_stranger: false,
                caller,
                is_alone: true,
                refuse: Box::new(refuse),
                answer: Box::new(answer),
            })
        };
        let server = Server::bind("127.0.0.1", 0, Limits { short_workers: 1, ..Limits::default() }).unwrap();
        let address = server.local_addr();
        Reader { address, heard, _running: server.start(Box::new(judge)).unwrap() }
    }

    /// Sends the pieces, each in a write of its own, and reads to the end.
    pub fn read(&self, pieces: &[&[u8]]) -> Found {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for piece in pieces {
            // It may have been refused by now.
            if socket.write_all(piece).is_err() {
                break;
            }
        }
        let _ = socket.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        socket.read_to_end(&mut answers).expect("an end, and no reset");
        let text = String::from_utf8(answers).unwrap();
        // No answer before the last one has a body.
        let begins = |at: &usize| *at == 0 || text[..*at].ends_with("\r\n\r\n");
        let last = text.match_indices("HTTP/1.1 ").map(|(at, _)| at).filter(begins).last().map(|at| &text[at..]);
        let status = last.and_then(|last| last.split(' ').nth(1)).map(|status| status.parse::<u16>().unwrap());
        let refusal = status.filter(|status| *status >= 400).map(|status| {
            let body = last.and_then(|last| last.split_once("\r\n\r\n")).map_or("", |(_, body)| body);
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            (status, body["error"]["message"].as_str().unwrap_or_default().to_owned())
        });
        Found { requests: std::mem::take(&mut self.heard.lock().unwrap()), refusal }
    }
}
