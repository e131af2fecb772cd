//! Scripted answers and misbehaviour on the wire.

use super::{Client, SOON, USER, events, hello};
use crate::common::google::{Cut, End, Outcome, Step};
use serde_json::json;

#[test]
fn scripted_answers_come_once_in_order_and_only_where_they_fit() {
    let client = Client::new();
    client.fake.script(USER, Step::rate_limited("RATE_LIMIT_EXCEEDED", "0.5s").for_model("gemini-2.5-pro"));
    client.fake.script(USER, Step::bare_429().in_array());
    client.fake.script("*", Step::capacity(503, "gemini-2.5-pro"));
    let (status, body) = client.generate("gemini-2.5-flash", &hello());
    assert_eq!((status, body.is_array()), (429, true));
    let (status, body) = client.generate("gemini-2.5-pro", &hello());
    assert_eq!((status, &body["error"]["details"][1]["retryDelay"]), (429, &json!("0.5s")));
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 503);
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 200);
    client.fake.always(USER, Step::html(502));
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 502);
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 502);
    client.fake.clear_scripts();
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 200);
    assert_eq!(client.fake.generations().len(), 7);
    let last = client.fake.last_generation();
    assert_eq!((last.who.as_deref(), last.status, last.inner()), (Some(USER), 200, &hello()));
}

#[test]
fn a_scripted_stream_may_be_split_cut_and_broken() {
    let client = Client::new();
    let event = |text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]});
    let said = vec![event("é"), event("ü"), json!({"error": {"code": 503, "status": "UNAVAILABLE"}})];
    let read = |step: Step| {
        client.fake.script(USER, step);
        let body = json!({"model": "gemini-2.5-pro", "project": "project-a", "request": hello()});
        let request = client.agent.post(format!("{}/v1internal:streamGenerateContent?alt=sse", client.fake.base()));
        let mut response = request.header("authorization", client.bearer()).send(body.to_string())?;
        response.body_mut().read_to_string()
    };
    let whole = read(Step::stream(said.clone()).split(1)).unwrap();
    let got = events(&whole);
    assert_eq!(got[1]["response"]["candidates"][0]["content"]["parts"][0]["text"], json!("ü"));
    assert_eq!(got[2]["error"]["code"], json!(503), "an error event is not wrapped");
    assert!(whole.ends_with("\r\n\r\n"));
    let bare = read(Step::stream(said.clone()).lf().together().without_final_blank_line()).unwrap();
    assert!(bare.ends_with('}') && !bare.contains('\r'));
    assert_eq!(events(&read(Step::stream(said.clone()).cut_after_events(1, End::Clean)).unwrap()).len(), 1);
    assert_eq!(read(Step::stream(said.clone()).cut_after_bytes(30, End::Clean)).unwrap().len(), 30);
    assert!(read(Step::stream(said.clone()).cut(Cut::Bytes(30, End::Close))).is_err());
    assert!(read(Step::stream(said).cut_after_events(1, End::Reset)).is_err());
    assert!(read(Step::reset()).is_err());
    assert_eq!(events(&read(Step::huge_event(1 << 20)).unwrap()).len(), 1);
    assert!(client.fake.wait_for(|state| state.generations().all(|done| done.outcome.is_some()), SOON));
    assert_eq!(client.fake.generations()[5].outcome, Some(Outcome::Cut));
}

#[test]
fn a_held_answer_goes_on_when_told_and_a_client_that_leaves_is_noticed() {
    let client = Client::new();
    client.fake.script(USER, Step::default_answer().hold_after(1));
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| client.stream("gemini-2.5-pro", &hello()));
        assert!(client.fake.wait_for(|state| state.holding == 1, SOON));
        client.fake.release();
        assert_eq!(answer.join().unwrap().len(), 3);
    });
    client.fake.script(USER, Step::hang());
    let body = json!({"model": "gemini-2.5-pro", "project": "project-a", "request": hello()}).to_string();
    let mut stream = std::net::TcpStream::connect(client.fake.address()).unwrap();
    let head = format!(
        "POST /v1internal:generateContent HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
        client.bearer(),
        body.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    assert!(client.fake.wait_for(|state| state.holding == 1, SOON));
    drop(stream);
    let gone = |outcome| outcome == Some(Outcome::ClientGone);
    assert!(client.fake.wait_for(|state| state.generations().last().is_some_and(|last| gone(last.outcome)), SOON));
}

#[test]
fn a_fake_that_ends_lets_nobody_wait() {
    let client = Client::new();
    client.fake.script(USER, Step::hang());
    let mut stream = std::net::TcpStream::connect(client.fake.address()).unwrap();
    let body = json!({"model": "gemini-2.5-pro", "project": "project-a", "request": hello()}).to_string();
    let head = format!("authorization: {}\r\ncontent-length: {}\r\n\r\n{body}", client.bearer(), body.len());
    let request = format!("POST /v1internal:generateContent HTTP/1.1\r\nhost: x\r\n{head}");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    assert!(client.fake.wait_for(|state| state.holding == 1, SOON));
    drop(client);
    let mut left = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut left);
    assert!(left.is_empty());
}
