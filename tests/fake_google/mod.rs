//! The fake Google against its own rules: what it refuses, what it lets pass, and how it answers.

mod accounts;
mod answers;
mod faults;
mod refusals;

use crate::common::google::{FakeGoogle, User};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "test-key";
const USER: &str = "a@example.com";
const SOON: Duration = Duration::from_secs(10);

struct Client {
    fake: FakeGoogle,
    agent: ureq::Agent,
    token: String,
}

impl Client {
    fn new() -> Client {
        let fake = FakeGoogle::start();
        fake.add_api_key(KEY);
        let token = fake.add_user(User::licensed(USER, "project-a")).access_token;
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        Client { fake, agent: config.build().new_agent(), token }
    }

    fn post(&self, path: &str, header: (&str, &str), body: &Value) -> (u16, String) {
        let request = self.agent.post(format!("{}{path}", self.fake.base())).header(header.0, header.1);
        let mut response = request.send(body.to_string()).expect("an answer");
        let text = response.body_mut().with_config().limit(100 << 20).read_to_string().expect("a whole body");
        (response.status().as_u16(), text)
    }

    fn get(&self, path: &str, header: (&str, &str)) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.fake.base())).header(header.0, header.1);
        let mut response = request.call().expect("an answer");
        let text = response.body_mut().read_to_string().expect("a whole body");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.fake.base()));
        let mut response = request.send_form(form.iter().copied()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("a whole body");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn code_assist(&self, method: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.post(&format!("/v1internal:{method}"), ("authorization", &self.bearer()), body);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn generate(&self, model: &str, inner: &Value) -> (u16, Value) {
        self.code_assist("generateContent", &json!({"model": model, "project": "project-a", "request": inner}))
    }

    fn public(&self, model: &str, inner: &Value) -> (u16, Value) {
        let path = format!("/v1beta/models/{model}:generateContent");
        let (status, text) = self.post(&path, ("x-goog-api-key", KEY), inner);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn stream(&self, model: &str, inner: &Value) -> Vec<Value> {
        let body = json!({"model": model, "project": "project-a", "request": inner});
        let path = "/v1internal:streamGenerateContent?alt=sse";
        let (status, text) = self.post(path, ("authorization", &self.bearer()), &body);
        assert_eq!(status, 200, "{text}");
        events(&text)
    }
}

fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|line| serde_json::from_str(line).expect("whole events")).collect()
}

fn hello() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]})
}

fn with(key: &str, value: Value) -> Value {
    let mut body = hello();
    body[key] = value;
    body
}

fn with_config(value: Value) -> Value {
    with("generationConfig", value)
}

fn with_tool(declaration: Value) -> Value {
    with("tools", json!([{"functionDeclarations": [declaration]}]))
}

fn with_parameters(schema: Value) -> Value {
    with_tool(json!({"name": "f", "parameters": schema}))
}

fn with_json_schema(schema: Value) -> Value {
    with_tool(json!({"name": "f", "parametersJsonSchema": schema}))
}

fn contents(contents: Value) -> Value {
    json!({"contents": contents})
}

fn ask(text: &str) -> Value {
    json!({"role": "user", "parts": [{"text": text}]})
}

fn calls(names: &[&str]) -> Value {
    let parts: Vec<Value> = names.iter().map(|name| json!({"functionCall": {"name": name, "args": {}}})).collect();
    json!({"role": "model", "parts": parts})
}

fn results(names: &[&str]) -> Value {
    let part = |name: &&str| json!({"functionResponse": {"name": name, "response": {"output": "done"}}});
    json!({"role": "user", "parts": names.iter().map(part).collect::<Vec<_>>()})
}
