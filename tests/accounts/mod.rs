//! Connecting and managing credentials over HTTP, against the fake Google.

mod import;
mod login;
mod manage;
#[cfg(feature = "console")]
mod sign_in;

use crate::common::google::{FakeGoogle, User};
use crate::common::proxy::Proxy;
use crate::common::wire::unled_agent;
use crate::common::written;
use serde_json::Value;

const EMAIL: &str = "ada@example.com";
const MASKED: &str = "a*a*********@example.com";
const GOOGLES_PAGE: &str = "https://codeassist.google.com/authcode";
const NOT_FOUND: &str = "<h1>Error: OAuth flow not found. Please start again.</h1>";
const SUCCESS: &str = "<h1>Authentication Successful!</h1><p>You can close this window now.</p>";

/// What a browser or script sees of an answer.
struct Seen {
    status: u16,
    location: String,
    text: String,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

/// Talks to a proxy as a browser does that follows nothing by itself.
struct Browser {
    base: String,
    headers: Vec<(&'static str, String)>,
    agent: ureq::Agent,
}

impl Browser {
    fn new(base: String) -> Browser {
        Browser { base, headers: Vec::new(), agent: unled_agent() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Browser {
        self.headers.push((name, value.into()));
        self
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Seen {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        body.into_iter().for_each(written::secrets_in);
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut answer = match body.is_empty() {
            true => self.agent.run(request.body(()).unwrap()),
            false => self.agent.run(request.body(body).unwrap()),
        }
        .expect("an answer");
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"));
        Seen { status, location: location.unwrap_or_default(), text }
    }

    fn get(&self, path: &str) -> Seen {
        self.send("GET", path, None)
    }

    fn post(&self, path: &str, body: Value) -> Seen {
        self.send("POST", path, Some(&body))
    }

    /// From the login's beginning to the address Google sends the browser to.
    fn agree(&self) -> String {
        let consent = self.get("/oauth2/login");
        assert_eq!(consent.status, 302, "{}", consent.text);
        let back = self.get(&consent.location);
        assert_eq!(back.status, 302, "{}", back.text);
        back.location
    }

    fn credentials(&self) -> Vec<Value> {
        self.get("/admin/credentials").json().as_array().expect("a list").clone()
    }
}

fn google() -> FakeGoogle {
    let google = FakeGoogle::start();
    google.add_user(User::licensed(EMAIL, "project-1"));
    google
}

fn started(google: &FakeGoogle) -> (Proxy, Browser) {
    let proxy = Proxy::start(google, |_| {});
    let browser = Browser::new(proxy.base());
    (proxy, browser)
}

/// Every page says what to do next.
fn is_page_with_next_step(seen: &Seen, status: u16, text: &str) {
    assert_eq!(seen.status, status, "{}", seen.text);
    assert!(seen.text.contains(text), "{}", seen.text);
    assert!(seen.text.contains("<a href=\"/"), "a way on: {}", seen.text);
}

#[test]
fn changes_are_taken_from_our_own_page_and_from_scripts_only() {
    let google = google();
    let (proxy, _) = started(&google);
    let own = proxy.base();
    for (headers, status) in [
        (vec![], 404),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")], 404),
        (vec![("Origin", own.as_str())], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", "https://evil.example")], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", "null")], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Sec-Fetch-Site", "cross-site")], 403),
    ] {
        let browser =
            headers.iter().fold(Browser::new(own.clone()), |browser, (name, value)| browser.with(name, *value));
        for (method, path) in [("DELETE", "/admin/credentials/cred-9"), ("POST", "/admin/credentials/cred-9/reset")] {
            assert_eq!(browser.send(method, path, None).status, status, "{headers:?}");
        }
    }
}
