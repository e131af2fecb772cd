//! Receives the browser that comes back from Google's consent page: a listener for one login on this machine.

use crate::credentials::consent::{Attempt, Return};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

/// A browser's request head; longer ones are not from Google.
const HEAD: u64 = 16 * 1024;
/// Browsers open connections ahead and may never use them.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bound listener that does not answer yet.
pub(super) struct Listener(TcpListener);

impl Listener {
    /// On a free port of the loopback address.
    pub(super) fn bind() -> io::Result<Listener> {
        Ok(Listener(TcpListener::bind(("127.0.0.1", 0))?))
    }

    /// What Google is told to come back to.
    pub(super) fn redirect_uri(&self) -> io::Result<String> {
        Ok(format!("http://{}/oauth2/callback", self.0.local_addr()?))
    }

    /// Answers until the login's return has come, which then is in the receiver. The threads end with the program.
    pub(super) fn serve(self, attempt: &Attempt) -> Receiver<Return> {
        let (send, receive) = mpsc::channel();
        let state = attempt.state.clone();
        thread::spawn(move || {
            for stream in self.0.incoming().flatten() {
                let (state, send) = (state.clone(), send.clone());
                thread::spawn(move || answer(&stream, &state, &send));
            }
        });
        receive
    }
}

fn answer(stream: &TcpStream, state: &str, send: &Sender<Return>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let Some(target) = target(stream) else { return };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (status, sentence, found) = match Return::from_query(query).filter(|_| path == "/oauth2/callback") {
        None => ("404 Not Found", "There is nothing here.", None),
        Some(Return::Code { state: theirs, .. } | Return::Refused { state: theirs, .. })
            if theirs.as_deref() != Some(state) =>
        {
            ("400 Bad Request", "This answer belongs to another login. Start again in the terminal.", None)
        }
        Some(found @ Return::Code { .. }) => {
            ("200 OK", "Google's answer has arrived. Close this window and look at the terminal.", Some(found))
        }
        Some(found @ Return::Refused { .. }) => {
            ("200 OK", "Access was not granted. Close this window and start again in the terminal.", Some(found))
        }
    };
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Login</title><p>{sentence}</p>");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n",
        page.len()
    );
    // Written before the program may go on and end. A browser that left has its answer or does not want it.
    let mut stream = stream;
    let _ = stream.write_all((head + &page).as_bytes());
    if let Some(found) = found {
        let _ = send.send(found);
    }
}

/// The target of a GET, after the whole head was read: closing with unread bytes would reset the connection.
fn target(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream.take(HEAD)).lines();
    let first = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let mut words = first.split(' ');
    (words.next() == Some("GET")).then(|| words.next().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(address: &str, target: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn only_the_return_of_this_login_ends_the_wait() {
        let listener = Listener::bind().unwrap();
        let attempt = Attempt::new(listener.redirect_uri().unwrap());
        let address = attempt.redirect_uri.split('/').nth(2).unwrap().to_owned();
        let receive = listener.serve(&attempt);
        let _idle = TcpStream::connect(&address).unwrap();
        assert_eq!(get(&address, "/favicon.ico"), "HTTP/1.1 404 Not Found");
        assert_eq!(get(&address, "/oauth2/callback?code=x&state=other"), "HTTP/1.1 400 Bad Request");
        assert_eq!(get(&address, "/oauth2/callback?code=x"), "HTTP/1.1 400 Bad Request");
        assert!(receive.try_recv().is_err());
        let target = format!("/oauth2/callback?state={}&code=4%2F0A", attempt.state);
        assert_eq!(get(&address, &target), "HTTP/1.1 200 OK");
        let code = Return::Code { code: "4/0A".into(), state: Some(attempt.state) };
        assert_eq!(receive.recv_timeout(PATIENCE).unwrap(), code);
    }
}
