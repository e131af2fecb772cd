//! Vertex AI through the whole program: credentials, locations, bodies, and one pool of three services.

mod complaints;
mod credentials;
mod federation;
mod load;
mod requests;
mod rows;
mod sdk;
mod services;
mod streamed_arguments;

use crate::common::google::{FakeGoogle, Recorded, Step};
use crate::common::http::{self, Answer};
use crate::common::proxy::Proxy;
use serde_json::{Value, json};

const ACCOUNT: &str = "robot@project-v.iam.gserviceaccount.com";
const PROJECT: &str = "project-v";
const MODEL: &str = "gemini-3.5-flash";

/// A proxy whose credentials file holds `items`.
fn proxy(google: &FakeGoogle, items: &Value) -> Proxy {
    proxy_with(google, items, |_| {})
}

fn proxy_with(google: &FakeGoogle, items: &Value, change: impl FnOnce(&mut Value)) -> Proxy {
    Proxy::start(google, |config| {
        let file = config["credentials_file"].as_str().expect("a path").to_owned();
        std::fs::write(file, items.to_string()).expect("the credentials file");
        change(config);
    })
}

/// A service account in these locations.
fn account(google: &FakeGoogle, locations: &[&str]) -> Value {
    let mut item = google.add_service_account(ACCOUNT, PROJECT);
    item["locations"] = json!(locations);
    item
}

fn chat(proxy: &Proxy, model: &str) -> Answer {
    ask(proxy, &json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}))
}

fn ask(proxy: &Proxy, body: &Value) -> Answer {
    http::ask(proxy, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes())
}

/// Where generations went: the location, or `express`.
fn locations(google: &FakeGoogle) -> Vec<String> {
    google.generations().iter().map(location).collect()
}

fn location(request: &Recorded) -> String {
    let place = request.path.split("/locations/").nth(1).and_then(|rest| rest.split('/').next());
    place.unwrap_or("express").to_owned()
}

/// The events of a streamed chat.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}
