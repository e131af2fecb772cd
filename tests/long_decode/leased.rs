//! A name that Gemini 4 serves to one of several credentials: each is asked for as long an answer as what serves it gives.

use super::*;

const NAME: &str = "gemini-3.1-pro-preview";
const KEYS: [&str; 2] = ["AIza-of-the-third-model", "AIza-of-the-fourth-model"];

/// Asks for a long answer; who gave it, and how many tokens it has.
fn asked(google: &FakeGoogle, proxy: &Proxy, route: &str, stream: bool) -> (String, usize) {
    let mut body = body(route, LONG, LONG + 1_000, stream);
    body["model"] = json!(NAME);
    let answer = ask(proxy, "POST", route, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{route}: {}", answer.text());
    let told = if stream { streamed(route, &answer.text()) } else { whole(route, &answer.json()) };
    (google.last_generation().who.clone().unwrap(), told.text.len() / 4)
}

fn of_two(google: &FakeGoogle) -> Proxy {
    KEYS.iter().for_each(|key| google.add_api_key(key));
    google.serve(KEYS[1], NAME, "gemini-4-argon");
    Proxy::start(google, |config| config["gemini_api_keys"] = json!(KEYS))
}

#[cfg(feature = "agents")]
#[test]
fn only_the_credential_that_gemini_4_serves_gives_a_long_answer() {
    let google = FakeGoogle::start();
    let proxy = of_two(&google);
    let learn = json!({"model": NAME, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    (0..4).for_each(|_| assert_eq!(ask(&proxy, "POST", ROUTES[0], &[], learn.as_bytes()).status, 200));
    for (route, stream) in ROUTES.into_iter().flat_map(|route| [(route, false), (route, true)]) {
        let before = google.generations().len();
        let mut answers = [asked(&google, &proxy, route, stream), asked(&google, &proxy, route, stream)];
        answers.sort();
        let long = answers.iter().find(|(who, _)| who == KEYS[1]).unwrap_or_else(|| panic!("{route}: {answers:?}"));
        let short = answers.iter().find(|(who, _)| who == KEYS[0]).unwrap_or_else(|| panic!("{route}: {answers:?}"));
        assert_eq!(long.1, LONG, "{route} streamed: {stream}");
        assert!(short.1 < 65_536, "{route} streamed: {stream}: {answers:?}");
        for sent in &google.generations()[before..] {
            assert_eq!(sent.refusal, None, "{route}");
            let limit = sent.inner()["generationConfig"]["maxOutputTokens"].as_u64();
            let is_fourth = sent.who.as_deref() == Some(KEYS[1]);
            assert_eq!(limit, Some(if is_fourth { LONG as u64 + 1_000 } else { 65_536 }), "{route}");
            assert_eq!(sent.op == "streamGenerateContent", stream || is_fourth, "{route}: {}", sent.op);
        }
    }
}
