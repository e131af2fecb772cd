//! `n` and lists of prompts: Google is asked once for each answer, over the pool, and the client gets one answer with all of
//! them, one sum of tokens, and counts that are true.

use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use serde_json::{Value, json};

/// A step whose answer is this text.
fn says(text: &str) -> Step {
    let usage =
        json!({"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 1, "totalTokenCount": 13});
    Step::stream(vec![
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}], "usageMetadata": usage}),
    ])
}

fn post(proxy: &Proxy, route: &str, body: Value) -> Answer {
    ask(proxy, "POST", route, &[], body.to_string().as_bytes())
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    assert_eq!(text.matches("data: [DONE]").count(), 1, "{text}");
    let frames = text.split_terminator("\n\n").filter_map(|frame| frame.strip_prefix("data: {"));
    frames.map(|frame| serde_json::from_str(&format!("{{{frame}")).unwrap()).collect()
}

#[test]
fn three_answers_are_three_choices_whole_and_streamed() {
    for stream in [false, true] {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        ["one", "two", "three"].iter().for_each(|text| google.script(GEMINI_KEY, says(text)));
        let body = json!({"model": "gemini-2.5-flash", "n": 3, "seed": 7, "stream": stream, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}]});
        let answer = post(&proxy, "/v1/chat/completions", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seeds: Vec<Value> =
            google.generations().iter().map(|one| one.body["generationConfig"]["seed"].clone()).collect();
        assert_eq!(seeds, [7, 8, 9], "the same seed would give the same answer");
        let usage = if stream {
            let chunks = chunks(&answer);
            assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]), "{chunks:?}");
            for (index, text) in ["one", "two", "three"].iter().enumerate() {
                let of_choice: Vec<&Value> =
                    chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|choice| choice["index"] == index).collect();
                let roles = of_choice.iter().filter(|choice| choice["delta"]["role"] == "assistant").count();
                let said: String = of_choice.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
                assert_eq!((roles, said.as_str()), (1, *text), "{chunks:?}");
                assert_eq!(of_choice.last().unwrap()["finish_reason"], "stop");
            }
            chunks.last().unwrap()["usage"].clone()
        } else {
            let document = answer.json();
            let choices = document["choices"].as_array().unwrap();
            for (index, text) in ["one", "two", "three"].iter().enumerate() {
                assert_eq!(choices[index]["index"], index);
                assert_eq!(choices[index]["message"]["content"], *text);
            }
            document["usage"].clone()
        };
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(30), &json!(9)), "{usage}");
        assert_eq!(usage["total_tokens"], 39);
    }
}

#[test]
fn prompts_and_their_answers_keep_their_order() {
    for stream in [false, true] {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        ["a1", "a2", "b1", "b2"].iter().for_each(|text| google.script(GEMINI_KEY, says(text)));
        let body = json!({"model": "gemini-2.5-flash", "prompt": ["a", "b"], "n": 2, "echo": true, "stream": stream});
        let answer = post(&proxy, "/v1/completions", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut texts = vec![String::new(); 4];
        let documents = if stream { chunks(&answer) } else { vec![answer.json()] };
        for choice in documents.iter().flat_map(|document| document["choices"].as_array().unwrap()) {
            texts[choice["index"].as_u64().unwrap() as usize] += choice["text"].as_str().unwrap();
        }
        assert_eq!(texts, ["aa1", "aa2", "bb1", "bb2"]);
        let asked = google.generations();
        let prompts: Vec<&Value> = asked.iter().map(|one| &one.body["contents"][0]["parts"][0]["text"]).collect();
        assert_eq!(prompts, ["a", "a", "b", "b"]);
    }
}

#[test]
fn each_answer_counts_against_the_limits_of_the_key() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": CLIENT_KEY, "requests_per_minute": 5}]);
    });
    let body = |n: u32| json!({"model": "gemini-2.5-flash", "n": n, "messages": [{"role": "user", "content": "hi"}]});
    let first = post(&proxy, "/v1/chat/completions", body(3));
    assert_eq!((first.status, first.header("x-ratelimit-remaining-requests")), (200, Some("2")), "{}", first.text());
    assert_eq!(post(&proxy, "/v1/chat/completions", body(3)).status, 429, "there is room for two");
    assert_eq!(post(&proxy, "/v1/chat/completions", body(2)).status, 200);
    assert_eq!(google.generations().len(), 5);
}

#[test]
fn a_failure_before_the_next_answer_moves_to_another_credential() {
    let google = FakeGoogle::start();
    let keys = ["AIza-several-one-0123456789", "AIza-several-two-0123456789"];
    keys.iter().for_each(|key| google.add_api_key(key));
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
    google.script(keys[0], Step::status(429, "Quota exceeded."));
    google.script(keys[1], Step::status(500, "Internal error."));
    let body = json!({"model": "gemini-2.5-flash", "n": 4, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&proxy, "/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"].as_array().unwrap().len(), 4);
}
