//! Every row of docs/vertex.md "Differences in the body" and "Vertex quota and errors", as data: what of a request each service
//! gets, and what follows from each refusal. A row whose rule takes more than one request names its tests.

use super::*;
use std::collections::BTreeSet;
use std::time::SystemTime;

const PAGE: &str = include_str!("../../docs/vertex.md");
const KEY: &str = "AIzaRowsOfVertex";
/// Serves where [`ACCOUNT`] does not.
const OTHER: &str = "other@project-v.iam.gserviceaccount.com";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}

/// The cells of one column of the first table under a heading.
fn column(heading: &str, column: usize) -> BTreeSet<&'static str> {
    let section = PAGE.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
    let table = section.split("\n#").next().unwrap().lines().filter(|line| line.starts_with('|')).skip(2);
    table.map(|line| line.trim_matches('|').split('|').nth(column).unwrap().trim()).collect()
}

#[test]
fn every_difference_in_the_body_is_kept_by_both_services() {
    let cases = lines(include_str!("../fixtures/vertex/bodies.jsonl"));
    let rows: BTreeSet<&str> = cases.iter().map(|case| text(case, "row")).collect();
    assert_eq!(rows, column("Differences in the body", 0), "each row has a case, and each case a row");
    let tests = ["requests.rs", "services.rs", "streamed_arguments.rs", "rows.rs"]
        .map(|name| std::fs::read_to_string(crate::common::script::file(&format!("vertex/{name}"))).unwrap())
        .concat();
    let google = FakeGoogle::start();
    google.add_api_key(KEY);
    let vertex = proxy(&google, &json!([account(&google, &["global"])]));
    let public = Proxy::start(&google, |config| config["gemini_api_keys"] = json!([KEY]));
    let mut wrong = Vec::new();
    for case in &cases {
        for name in case["tests"].as_array().into_iter().flatten() {
            assert!(tests.contains(&format!("fn {}()", name.as_str().unwrap())), "{name} is no test");
        }
        if case["request"].is_null() {
            continue;
        }
        let model = case["model"].as_str().unwrap_or(MODEL);
        let method = case["method"].as_str().unwrap_or("generateContent");
        let path = format!("/v1beta/models/{model}:{method}");
        for (service, proxy) in [("vertex", &vertex), ("public", &public)] {
            let title = format!("{} ({}) by {service}", text(case, "row"), text(case, "title"));
            let before = google.requests().len();
            let answer = http::ask(proxy, "POST", &path, &[], case["request"].to_string().as_bytes());
            let is_unserved = case["unserved"].as_array().is_some_and(|list| list.contains(&json!(service)));
            let status = if is_unserved { 503 } else { case["status"].as_u64().unwrap_or(200) as u16 };
            let is_checked = is_unserved || !case[service].is_null() || !case["status"].is_null();
            if is_checked && answer.status != status {
                wrong.push(format!("{title}: {} {}", answer.status, answer.text()));
                continue;
            }
            let words = if service == "vertex" { "API key" } else { "Vertex AI" };
            if is_unserved && !answer.text().contains(words) {
                wrong.push(format!("{title}: {}", answer.text()));
            }
            let requests = google.requests();
            let Some(sent) = requests[before..].iter().rev().find(|sent| sent.path.contains(method)) else { continue };
            for (pointer, expected) in case[service].as_object().into_iter().flatten() {
                let found = sent.body.pointer(pointer).cloned().unwrap_or_default();
                if found != *expected {
                    wrong.push(format!("{title}: {pointer} is {found}, not {expected}, in {}", sent.body));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_refusal_moves_to_who_can_serve_and_rests_as_long_as_it_says() {
    let cases = lines(include_str!("../fixtures/vertex/refusals.jsonl"));
    let rows: Vec<&str> = cases.iter().map(|case| text(case, "row")).collect();
    let mut wrong = Vec::new();
    let heads: BTreeSet<String> = PAGE
        .split("\n## Vertex quota and errors\n")
        .nth(1)
        .and_then(|section| section.split("\n## ").next())
        .expect("the section")
        .lines()
        .filter(|line| line.starts_with("| 4"))
        .map(|line| line.trim_start_matches("| ").replace("**", ""))
        .collect();
    assert_eq!(heads.len(), 10);
    for head in &heads {
        assert!(rows.iter().any(|row| head.starts_with(row)), "{head} has no case");
    }
    for case in &cases {
        let title = format!("{} ({})", text(case, "row"), text(case, "title"));
        let google = FakeGoogle::start();
        let mut first = account(&google, &["us", "global"]);
        first["label"] = json!("first");
        let other = google.add_service_account(OTHER, PROJECT);
        let proxy = proxy_with(&google, &json!([first, other]), |config| config["prefer"] = json!(["vertex"]));
        let pool = &proxy.service().app().pool;
        let name = pool.views().iter().find(|view| view.email.as_deref() == Some(ACCOUNT)).unwrap().name.clone();
        // The first one has its token, so that it is asked first.
        pool.access(pool.find(&name).unwrap()).unwrap();
        let status = case["status"].as_u64().unwrap() as u16;
        let step = || match &case["body"] {
            Value::String(html) => Step::body(status, html),
            body => Step::json(status, body.clone()),
        };
        google.always(ACCOUNT, step());
        let answer = chat(&proxy, MODEL);
        let asked =
            |who: &str| google.generations().iter().filter(|one| one.who.as_deref() == Some(who)).count() as u64;
        let view = pool.views().into_iter().find(|view| view.name == name).unwrap();
        let mut expect = |what: &str, found: Value, expected: Value| {
            if found != expected {
                wrong.push(format!("{title}: {what} is {found}, not {expected}; {view:?}"));
            }
        };
        let client = case["client"].as_u64().unwrap_or(200);
        expect("the client's status", json!(answer.status), json!(client));
        expect("places asked", json!(asked(ACCOUNT)), case["places"].clone());
        expect("who served", json!(asked(OTHER)), json!(u64::from(client == 200)));
        expect("out", json!(!view.available), json!(case["out"] == true));
        if let Some(tokens) = case["tokens"].as_u64() {
            expect("tokens", json!(google.refreshes(ACCOUNT)), json!(tokens));
        }
        if let Some(word) = case["reason"].as_str() {
            let said = view.failure_reason.as_ref().map(ToString::to_string).unwrap_or_default();
            expect("the reason", json!(said.contains(word)), json!(true));
        }
        if let Some(bounds) = case["rest"].as_array() {
            let until = view.cooling.iter().map(|rest| rest.until).max();
            let rest = until
                .and_then(|until| until.duration_since(SystemTime::now()).ok())
                .map_or(0, |rest| rest.as_secs_f64().ceil() as u64);
            let is_within = (bounds[0].as_u64().unwrap()..=bounds[1].as_u64().unwrap()).contains(&rest);
            expect(&format!("a rest of {rest} s within {bounds:?}"), json!(is_within), json!(true));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn caches_of_google_cloud_go_to_their_project_and_place_and_others_to_keys() {
    let google = FakeGoogle::start();
    google.add_api_key(KEY);
    google.add_service_account("stranger@project-w.iam.gserviceaccount.com", "project-w");
    let stranger = google.add_service_account("stranger@project-w.iam.gserviceaccount.com", "project-w");
    let items = json!([stranger, account(&google, &["global", "us"]), {"type": "api_key", "api_key": KEY}]);
    let proxy = proxy(&google, &items);
    let ask = |cache: &str| {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "cachedContent": cache});
        http::ask(&proxy, "POST", &format!("/v1beta/models/{MODEL}:generateContent"), &[], body.to_string().as_bytes())
    };
    for _ in 0..3 {
        let answer = ask("projects/project-v/locations/us/cachedContents/7");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let request = google.last_generation();
        assert!(request.path.contains("/projects/project-v/locations/us/"), "{}", request.path);
    }
    let generations = google.generations();
    assert!(generations.iter().all(|request| request.who.as_deref() == Some(ACCOUNT)), "no other project is asked");
    let answer = ask("cachedContents/7");
    assert!(google.last_generation().path.starts_with("/v1beta/models/"), "{} {}", answer.status, answer.text());
}

#[test]
fn what_only_keys_have_says_so_where_there_is_none() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    for (method, path) in [
        ("POST", "/upload/v1beta/files"),
        ("GET", "/v1beta/files"),
        ("GET", "/v1beta/files/abc"),
        ("POST", "/v1beta/cachedContents"),
        ("GET", "/v1beta/cachedContents/abc"),
    ] {
        let answer = http::ask(&proxy, method, path, &[], if method == "POST" { b"{}" } else { b"" });
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.text().contains("API key"), "{path}: {}", answer.text());
    }
    let models = http::ask(&proxy, "GET", "/v1beta/models", &[], b"");
    assert!(models.text().contains(MODEL), "the program's own table: {}", models.text());
    assert!(
        google.requests().iter().all(|request| !request.path.contains("files") && !request.path.contains("cached"))
    );
}
