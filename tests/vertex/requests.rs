//! Locations, what fails in them, and bodies as a strict Vertex AI takes them.

use super::*;

#[test]
fn the_next_location_serves_what_one_does_not_have_or_has_no_room_for() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["europe-west4", "us", "global"])]));
    assert_eq!(chat(&proxy, MODEL).status, 200);
    assert_eq!(locations(&google), ["europe-west4", "us"], "the region does not have it");
    assert_eq!(chat(&proxy, MODEL).status, 200);
    assert_eq!(locations(&google)[2..], ["us"], "the region is not asked again");
    google.vertex(|vertex| vertex.full.extend(["us".to_owned()]));
    assert_eq!(chat(&proxy, MODEL).status, 200);
    assert_eq!(locations(&google)[3..], ["us", "global"]);
    assert_eq!(chat(&proxy, "gemini-2.5-flash").status, 200);
    assert_eq!(locations(&google)[5..], ["europe-west4"], "another model has its own rests");
    let view = &proxy.service().app().pool.views()[0];
    let said: Vec<Option<u16>> = view.locations.iter().map(|location| location.status).collect();
    assert_eq!(said, [Some(404), Some(429), None]);
    assert!(view.cooling.is_empty(), "the credential itself is well");
}

#[test]
fn full_locations_rest_for_seconds_and_the_client_hears_for_how_long() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["us", "global"])]));
    google.vertex(|vertex| vertex.full.extend(["us".to_owned(), "global".to_owned()]));
    let answer = chat(&proxy, MODEL);
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").expect("a delay").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(locations(&google).len(), 2, "each location once");
    let rest = proxy.service().app().pool.views()[0].cooling[0].until;
    assert!(rest < std::time::SystemTime::now() + std::time::Duration::from_secs(40), "never an hour");
}

#[test]
fn a_model_that_no_location_has_is_not_found_and_no_credential_is_bad() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["europe-west4"])]));
    let answer = chat(&proxy, "gemini-3.1-pro-preview");
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("model_not_found"));
    let view = &proxy.service().app().pool.views()[0];
    assert!(view.available && view.failure_reason.is_none(), "{view:?}");
}

#[test]
fn calls_keep_their_ids_until_they_are_refused() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": MODEL, "tools": [{"type": "function", "function": {"name": "f"}}], "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]});
    let answer = ask(&proxy, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let with_ids = google.last_generation().body.to_string();
    assert!(with_ids.contains("\"id\":\"call_1\""), "{with_ids}");
    google.vertex(|vertex| vertex.refuses_ids = true);
    let answer = ask(&proxy, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(google.generations_count(), 3, "sent once more");
    assert!(!google.last_generation().body.to_string().contains("call_1"));
}

#[test]
fn native_requests_lose_what_only_the_public_api_takes() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    let body = json!({
        "contents": [{"parts": [{"text": "hi"}]}], "store": true, "serviceTier": "flex",
        "labels": {"team": "a"}, "generationConfig": {"enableEnhancedCivicAnswers": true, "audioTimestamp": true},
        "safetySettings": [{"category": "HARM_CATEGORY_IMAGE_HATE", "threshold": "OFF", "method": "SEVERITY"}],
    });
    let path = format!("/v1beta/models/{MODEL}:generateContent");
    let answer = http::ask(&proxy, "POST", &path, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = google.last_generation();
    assert_eq!(request.header("x-vertex-ai-llm-shared-request-type"), Some("flex"));
    assert_eq!(request.body["labels"], json!({"team": "a"}));
    assert_eq!(request.body["safetySettings"][0]["method"], "SEVERITY");
}

#[test]
fn tokens_are_counted_and_texts_embedded_by_either_method() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "one two"}]}],
        "systemInstruction": {"parts": [{"text": "three"}]}});
    let path = format!("/v1beta/models/{MODEL}:countTokens");
    let answer = http::ask(&proxy, "POST", &path, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (model, input, count) in [
        ("gemini-embedding-001", json!("hi"), 1),
        ("gemini-embedding-001", json!(["hi", "ho"]), 2),
        ("text-embedding-005", json!("hi"), 1),
        ("text-embedding-005", json!(["hi", "ho"]), 2),
    ] {
        let body = json!({"model": model, "input": input, "dimensions": 8}).to_string();
        let answer = http::ask(&proxy, "POST", "/v1/embeddings", &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let answer: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(answer["data"].as_array().unwrap().len(), count, "{model}");
        assert_eq!(answer["data"][0]["embedding"].as_array().unwrap().len(), 8, "{model}");
    }
}
