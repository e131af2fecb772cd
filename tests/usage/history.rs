//! Requests with their attempts, beyond the last 200, over a restart, and as files to take away.

use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, Program};
use crate::common::wire::agent;
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "sk-client-of-history";

fn get(program: &Program, path: &str) -> (u16, String) {
    let mut answer = agent().get(format!("{}{path}", program.base())).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn found(program: &Program, query: &str) -> Vec<Value> {
    let (status, text) = get(program, &format!("/admin/requests?{query}"));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["requests"].as_array().unwrap().clone()
}

fn chat(program: &Program, model: &str, id: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "a prompt that is nowhere kept"}]});
    let request = agent().post(format!("{}/v1/chat/completions", program.base()));
    let request = request.header("Authorization", format!("Bearer {KEY}")).header("X-Request-ID", id);
    request.send(body.to_string()).unwrap().status().as_u16()
}

#[test]
fn requests_are_kept_with_their_attempts_and_found_after_a_restart() {
    let google = FakeGoogle::start();
    let keys = ["AIza-history-0001", "AIza-history-0002"];
    keys.iter().for_each(|key| google.add_api_key(key));
    let folder = Folder::new("history");
    let config = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": [{"key": KEY, "name": "=team"}],
        "gemini_api_keys": keys, "credentials_file": "c.json", "endpoints": google.endpoints_json()});
    let mut program = Program::start(&folder, &config, &[]);
    google.script(keys[0], Step::public_429("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "40s"));
    assert_eq!(chat(&program, "gemini-2.5-flash", "first-of-all"), 200);
    let first = &found(&program, "q=first-of-all")[0];
    let tries = first["tries"].as_array().unwrap();
    assert_eq!((tries.len(), &tries[0]["status"], &tries[1]["status"]), (2, &json!("429"), &json!("200")), "{first}");
    assert_eq!(tries[0]["reason"], "RATE_LIMIT_EXCEEDED");
    assert!(tries[0]["said"].as_str().unwrap().contains("quota"), "{first}");
    assert_ne!(tries[0]["credential"], tries[1]["credential"]);
    for number in 0..230 {
        assert_eq!(chat(&program, "gemini-2.5-flash", &format!("many-{number}")), 200);
    }
    assert_eq!(chat(&program, "gpt-4o", "refused-one"), 404);
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0));

    let program = Program::start(&folder, &config, &[]);
    assert_eq!(chat(&program, "gemini-2.5-flash", "after-it"), 200);
    let last = found(&program, "");
    assert_eq!((last.len(), &last[0]["id"], &last[1]["id"]), (200, &json!("after-it"), &json!("refused-one")));
    assert_eq!(found(&program, "q=first-of-all")[0]["tries"], first["tries"]);
    assert_eq!(found(&program, "limit=1000").len(), 233);
    assert_eq!(found(&program, "skip=232&limit=5")[0]["id"], "first-of-all");
    assert_eq!(found(&program, "outcome=failed&client=%3Dteam")[0]["model"], "gpt-4o");
    assert_eq!(found(&program, "outcome=404").len(), 1);
    assert!(found(&program, "client=other").is_empty() && found(&program, "to=2020-01-01").is_empty());
    assert_eq!(found(&program, "from=2020-01-01&model=gpt-4o").len(), 1);
    for (query, word) in
        [("from=yesterday", "from: expected"), ("outcome=bad", "outcome: expected"), ("limit=x", "limit: ")]
    {
        let (status, text) = get(&program, &format!("/admin/requests?{query}"));
        assert!(status == 400 && text.contains(word), "{text}");
    }
    let (_, csv) = get(&program, "/admin/requests.csv?outcome=failed");
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with("time,id,key,")
            && lines[1].contains(",refused-one,'=team,chat,gpt-4o,"),
        "{csv}"
    );
    let kept = std::fs::read_to_string(folder.join("c.json.state.json.requests.jsonl")).unwrap();
    assert!(kept.lines().count() >= 232 && !kept.contains("nowhere kept") && !kept.contains(KEY), "no body and no key");
}
