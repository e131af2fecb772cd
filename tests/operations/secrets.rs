//! Everything an operator does, and nothing secret in what is written of it.

use super::{CHAT, ask, config};
use crate::common::google::{FakeGoogle, Recorded, Step, Tier, User};
use crate::common::program::{Folder, Program};
use crate::common::wire::{agent, unled_agent};
use crate::common::written;
use serde_json::{Value, json};
use std::time::Duration;

/// A change as the admin page makes it; the answer's body.
fn change(base: &str, login: &str, path: &str, body: &Value) -> String {
    written::secrets_in(body);
    let request = agent().post(format!("{base}{path}")).header("Authorization", login);
    let mut answer = request.header("X-Requested-With", "gemini-proxy").send(body.to_string()).unwrap();
    answer.body_mut().read_to_string().unwrap()
}

/// One login by redirect and one by paste, each to its end and once more. Gives their states.
fn logins(base: &str, login: &str, answers: &mut Vec<String>) -> Vec<String> {
    let agent = unled_agent();
    let next = |url: &str| {
        let answer = agent.get(url).header("Authorization", login).call().unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let state = |url: &str| url.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let back = next(&next(&format!("{base}/oauth2/login")));
    for _ in 0..2 {
        let mut answer = agent.get(&back).header("Authorization", login).call().unwrap();
        answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
    }
    let started = change(base, login, "/admin/oauth/start", &json!({"mode": "paste"}));
    let started: Value = serde_json::from_str(&started).unwrap();
    let carried = next(started["url"].as_str().unwrap());
    for _ in 0..2 {
        answers.push(change(base, login, "/admin/oauth/finish", &json!({"text": carried})));
    }
    vec![state(&back), state(&carried)]
}

#[test]
fn nothing_secret_is_written_or_answered() {
    let google = FakeGoogle::start();
    let folder = Folder::new("secrecy");
    let names: Vec<String> = (0..6).map(|at| format!("u{at}@example.com")).collect();
    let mut items = Vec::new();
    for (at, name) in names.iter().enumerate() {
        google.add_user(User::licensed(name, &format!("project-{at}")));
        items.push(google.oauth_credential(name));
    }
    items[1]["expiry_date"] = json!(1);
    items[2]["expiry_date"] = json!(1);
    google.revoke(&names[2]);
    google.set_tier(&names[3], Tier::UnsupportedClient);
    google.always(&names[4], Step::quota_exhausted("13h"));
    items.push(json!({"api_key": "AIza-file-secret-0001"}));
    items.push(json!({"api_key": "AIza-unknown-secret-0002"}));
    google.add_api_key("AIza-file-secret-0001");
    google.add_api_key("AIza-config-secret-0003");
    folder.write("credentials.json", json!(items).to_string());
    let mut settings = config(&google, &["sk-client-secret-0004"]);
    settings["gemini_api_keys"] = json!(["AIza-config-secret-0003"]);
    settings["admin_username"] = json!("chef");
    settings["admin_password"] = json!("admin-secret-0005");
    settings["oauth_client"] = json!({"client_id": "client", "client_secret": "client-secret-0006"});
    let mut program = Program::start(&folder, &settings, &["-e", "encryption-secret-0007"]);
    let base = program.base();
    let key = "sk-client-secret-0004";
    let prompt = "prompt-secret-0008";
    let chat = |stream: bool| {
        json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": prompt}]})
            .to_string()
    };
    let mut answers = Vec::new();
    for step in [
        Step::status(500, "Internal error encountered."),
        Step::status(503, "The model is overloaded."),
        Step::status(401, "expired"),
        Step::status(403, "brand new"),
        Step::rate_limited("RATE_LIMIT_EXCEEDED", "5s"),
        Step::reset(),
        Step::body(200, "nonsense answer-secret-0009"),
        Step::status(404, "Requested entity was not found."),
    ] {
        google.script("*", step);
    }
    google.always("*", Step::text("answer-secret-0009"));
    for number in 0..24 {
        let (_, text) = ask(&base, key, CHAT, &chat(number % 2 == 0));
        // The client's own answer is no leak.
        answers.push(text.replace("answer-secret-0009", ""));
    }
    for (key, path, body) in [
        ("sk-wrong-secret-0010", CHAT, chat(false)),
        (key, "/v1beta/models/gemini-2.5-flash:generateContent?key=AIza-query-secret-0011", "{}".into()),
        ("sk-wrong-secret-0010", "/v1/models/x:generateContent?key=AIza-query-secret-0011", "{}".into()),
        (key, CHAT, format!("{{\"model\": \"gemini-2.5-flash\", \"{prompt}\": ")),
        (key, CHAT, format!("{{\"model\": \"gemini-2.5-flash\", \"messages\": \"{prompt}\"}}")),
    ] {
        answers.push(ask(&base, key, path, &body).1);
    }
    let admin = "Basic Y2hlZjphZG1pbi1zZWNyZXQtMDAwNQ==";
    let made = change(&base, admin, "/admin/keys", &json!({"name": "guest"}));
    let made: Value = serde_json::from_str(&made).unwrap();
    let made = made["key"].as_str().expect("a new key is told once");
    assert_eq!(ask(&base, made, "/v1/chat/completions", &chat(false)).0, 200);
    answers.push(change(&base, admin, "/admin/keys", &json!({"name": "guest", "key": "secret-0013"})));
    let states = logins(&base, admin, &mut answers);
    for (path, body) in [
        ("/admin/credentials/add", json!({"credential": {"refresh_token": "1//dead-secret-0014"}})),
        ("/admin/credentials/add", json!({"credential": {"access_token": "ya29.secret-0015"}})),
        ("/admin/credentials/add", json!({"credential": {"api_key": "AIza-unknown-secret-0016"}})),
        (
            "/admin/credentials/import",
            json!({"text": "{\"type\": \"service_account\", \"private_key\": \"secret-0017\"}"}),
        ),
        ("/admin/credentials/import", json!({"text": "{\"refresh_token\": \"1//secret-0018\""})),
        ("/admin/oauth/finish", json!({"text": "4/0A-secret-0019", "state": "state-secret-0020"})),
        ("/admin/oauth/finish", json!({"text": "http://localhost:1/cb?code=4/0A-secret-0019&state=state-secret-0020"})),
    ] {
        answers.push(change(&base, admin, path, &body));
    }
    for name in ["x-goog-api-key", "x-api-key", "api-key", "Authorization", "Cookie", "Proxy-Authorization"] {
        for path in ["/v1/models", "/v1beta/models?key=sk-wrong-secret-0010", "/admin/status?token=secret-0012"] {
            let request = agent().get(format!("{base}{path}")).header(name, "sk-wrong-secret-0010");
            let mut answer = request.call().unwrap();
            answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
        }
    }
    for path in [
        "/",
        "/admin/credentials",
        "/admin/usage",
        "/admin/credentials/cred-0/quota",
        "/admin/credentials/cred-2/check",
        "/admin/credentials/cred-6/check",
        "/admin/status",
        "/admin/log",
        "/admin/keys",
        "/admin/requests",
        "/admin/stats",
        "/admin/stats.csv",
        "/metrics",
        "/oauth2/callback?code=4/0A-secret-0019&state=state-secret-0020",
        "/oauth2/callback?error=access_denied&state=state-secret-0020",
        "/nowhere?key=AIza-query-secret-0011",
        "/health",
        "/v1/models",
    ] {
        for login in [admin, "Basic Y2hlZjp3cm9uZy1zZWNyZXQtMDAxMg==", "Bearer sk-client-secret-0004"] {
            let mut answer = agent().get(format!("{base}{path}")).header("Authorization", login).call().unwrap();
            let status = answer.status().as_u16();
            if login == admin && path.starts_with("/admin/") {
                assert_eq!(status, 200, "{path} is there to be read");
            }
            answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
        }
    }
    program.signal("-HUP");
    program.wait_for_line("config: reloaded");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(30)), Some(0));
    let log = program.log();
    let state = std::fs::read_to_string(folder.join("credentials.json.state.json")).unwrap();
    let stored = std::fs::read_to_string(folder.join("credentials.json")).unwrap();
    assert!(log.contains("DEBUG") && log.contains("Refreshed credential"), "the log is at its most talkative:\n{log}");

    // The piece of each secret that tells it from the others.
    let mut secrets: Vec<String> = (1..=20).map(|number| format!("secret-{number:04}")).collect();
    google.read(|state| {
        secrets.extend(state.access.keys().cloned());
        secrets.extend(state.refresh.keys().cloned());
        secrets.extend(state.codes.keys().map(|code| code.replace("4/", "")));
        let field = |recorded: &Recorded, name: &str| recorded.body[name].as_str().map(str::to_owned);
        let verifiers: Vec<_> = state.requests.iter().filter_map(|request| field(request, "code_verifier")).collect();
        assert_eq!(verifiers.len(), 2, "both logins went as far as the exchange");
        secrets.extend(verifiers);
    });
    assert!(answers.iter().any(|answer| answer.contains("Authentication Successful")));
    for state in states {
        assert!(!log.contains(&state), "a login's state is in the log");
    }
    secrets.push(made.into());
    secrets.push("Y2hlZjphZG1pbi1zZWNyZXQtMDAwNQ".into());
    for secret in secrets {
        for (name, text) in [("the log", &log), ("the state file", &state), ("the encrypted file", &stored)] {
            assert!(!text.contains(&secret), "{secret} is in {name}");
        }
        for answer in &answers {
            assert!(!answer.contains(&secret), "{secret} is in an answer: {answer}");
        }
    }
    for name in &names {
        assert!(!log.contains(name.as_str()), "an e-mail in clear is in the log");
    }
}
