//! One pool of three services: who serves what, and who goes first.

use super::*;

const KEY: &str = "AIzaVertexTestKey";

/// A service account and an API key in one pool.
fn both(google: &FakeGoogle, change: impl FnOnce(&mut Value)) -> Proxy {
    google.add_api_key(KEY);
    let items = json!([account(google, &["global"]), {"type": "api_key", "api_key": KEY}]);
    proxy_with(google, &items, change)
}

/// Who has no token yet comes after those who have one.
fn make_ready(proxy: &Proxy) {
    let pool = &proxy.service().app().pool;
    pool.access(pool.find("cred-0").expect("the account")).expect("a token");
}

/// Which service the last generation went to.
fn service(google: &FakeGoogle) -> &'static str {
    if google.last_generation().path.starts_with("/v1beta1/") { "vertex" } else { "public" }
}

#[test]
fn requests_take_turns_over_all_services_unless_one_is_preferred() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |_| {});
    let mut served = Vec::new();
    for _ in 0..8 {
        assert_eq!(chat(&proxy, MODEL).status, 200);
        served.push(service(&google));
    }
    assert!(served.contains(&"vertex") && served.contains(&"public"), "{served:?}");
    for (prefer, expected) in [(json!(["vertex"]), "vertex"), (json!(["api_key", "vertex"]), "public")] {
        let google = FakeGoogle::start();
        let proxy = both(&google, |config| config["prefer"] = prefer);
        make_ready(&proxy);
        for _ in 0..4 {
            assert_eq!(chat(&proxy, MODEL).status, 200);
        }
        assert_eq!(service(&google), expected);
    }
}

#[test]
fn a_blocked_account_stops_nobody_else_and_is_named() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |config| config["prefer"] = json!(["vertex"]));
    make_ready(&proxy);
    google.vertex(|vertex| vertex.without_role.extend([ACCOUNT.to_owned()]));
    for _ in 0..3 {
        assert_eq!(chat(&proxy, MODEL).status, 200);
    }
    let views = proxy.service().app().pool.views();
    assert!(
        views[0].failure_reason.as_ref().is_some_and(|reason| reason.to_string().contains("role")),
        "{:?}",
        views[0]
    );
    assert!(views[1].available);
}

#[test]
fn a_conversation_with_signatures_stays_on_its_service() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |_| {});
    let tools =
        json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]);
    for round in 0..6 {
        let first = json!({"model": MODEL, "tools": tools, "messages": [{"role": "user", "content": "call:look{}"}]});
        let answer = ask(&proxy, &first);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let began = service(&google);
        let answer: Value = serde_json::from_str(&answer.text()).unwrap();
        let message = answer["choices"][0]["message"].clone();
        let id = message["tool_calls"][0]["id"].clone();
        let second = json!({"model": MODEL, "tools": tools, "messages": [
            {"role": "user", "content": "call:look{}"}, message, {"role": "tool", "tool_call_id": id, "content": "done"},
        ]});
        let answer = ask(&proxy, &second);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(google.last_generation().body.to_string().contains("thoughtSignature"), "round {round}");
        assert_eq!(service(&google), began, "round {round}");
        // The next conversation begins with the other one.
        assert_eq!(chat(&proxy, MODEL).status, 200);
    }
}

#[test]
fn what_only_vertex_can_do_goes_there_or_says_so() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |config| config["prefer"] = json!(["api_key"]));
    let native = |proxy: &Proxy, body: &Value| {
        let path = format!("/v1beta/models/{MODEL}:generateContent");
        http::ask(proxy, "POST", &path, &[], body.to_string().as_bytes())
    };
    let cloud = json!({"contents": [{"parts": [{"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}}, {"text": "?"}]}]});
    let search = json!({"contents": [{"parts": [{"text": "?"}]}], "tools": [{"enterpriseWebSearch": {}}]});
    let answer = native(&proxy, &cloud);
    assert_eq!((answer.status, service(&google)), (200, "vertex"), "{}", answer.text());
    let keys = Proxy::start(&google, |config| config["gemini_api_keys"] = json!([KEY]));
    for body in [cloud, search] {
        let answer = native(&keys, &body);
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("Vertex AI"), "{}", answer.text());
    }
}

#[test]
fn functions_beside_a_search_are_served_without_it_and_the_client_is_told() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    let function = json!({"type": "function", "function": {"name": "f"}});
    let answer = ask(
        &proxy,
        &json!({"model": MODEL, "tools": [function, {"google_search": {}}], "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("x-proxy-notice").is_some_and(|notice| notice.contains("Vertex AI")));
}

#[test]
fn token_probabilities_are_asked_of_who_gives_them_and_told_where_nobody_does() {
    const NOTICE: &str = "only Vertex AI gives token probabilities";
    let body = json!({"model": "gemini-2.5-flash", "logprobs": true, "top_logprobs": 2,
        "messages": [{"role": "user", "content": "hi"}]});
    let google = FakeGoogle::start();
    let proxy = both(&google, |config| config["prefer"] = json!(["api_key", "vertex"]));
    make_ready(&proxy);
    let check = |proxy: &Proxy, to: &str, is_asked: bool| {
        let answer = ask(proxy, &body);
        assert_eq!((answer.status, service(&google)), (200, to), "{}", answer.text());
        let config = google.last_generation().body["generationConfig"].clone();
        let expected = if is_asked { json!([true, 2]) } else { json!([null, null]) };
        assert_eq!(json!([config["responseLogprobs"], config["logprobs"]]), expected);
        let told = answer.header("x-proxy-notice").is_some_and(|notice| notice.contains(NOTICE));
        assert_eq!(told, !is_asked, "{:?}", answer.headers);
    };
    check(&proxy, "vertex", true);
    google.script(
        ACCOUNT,
        Step::status(400, "Unable to submit request because Logprobs is not supported for this model."),
    );
    check(&proxy, "vertex", false);
    let public = Proxy::start(&google, |config| config["gemini_api_keys"] = json!([KEY]));
    check(&public, "public", false);
    // Who speaks Google's own API hears what Google says.
    let native = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"responseLogprobs": true}});
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let answer = http::ask(&public, "POST", path, &[], native.to_string().as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("Logprobs is not enabled"), "{}", answer.text());
}
