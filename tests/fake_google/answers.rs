//! The answers nobody scripted, on both services.

use super::{Client, KEY, ask, hello, results, with, with_config};
use crate::common::google::strict_contents::PLACEHOLDERS;
use serde_json::{Value, json};

#[test]
fn a_stream_brings_deltas_and_cumulative_usage() {
    let client = Client::new();
    let inner = with_config(json!({"thinkingConfig": {"includeThoughts": true}}));
    let events = client.stream("gemini-3-flash-preview", &inner);
    assert_eq!(events[0]["response"]["candidates"][0]["content"]["parts"][0]["thought"], json!(true));
    let parts = events.iter().map(|event| &event["response"]["candidates"][0]["content"]["parts"][0]);
    let said: String =
        parts.filter(|part| part["thought"].is_null()).map(|part| part["text"].as_str().unwrap()).collect();
    assert_eq!(said, "You said: hello");
    let spoken: Vec<u64> = events
        .iter()
        .map(|event| event["response"]["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap_or(0))
        .collect();
    assert!(spoken.is_sorted() && spoken.last() > spoken.first(), "{spoken:?}");
    let finishes = events.iter().filter(|event| event["response"]["candidates"][0].get("finishReason").is_some());
    assert_eq!(finishes.count(), 1);
    assert!(events.iter().all(|event| event["traceId"] == events[0]["traceId"]));
    let usage = &events.last().unwrap()["response"]["usageMetadata"];
    let sum =
        ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"].map(|name| usage[name].as_u64().unwrap());
    assert_eq!(usage["totalTokenCount"].as_u64().unwrap(), sum.iter().sum::<u64>());
}

#[test]
fn a_default_stream_has_as_many_events_as_asked() {
    let client = Client::new();
    client.fake.settings(|settings| settings.events = 50);
    assert_eq!(client.stream("gemini-2.5-pro", &hello()).len(), 50);
}

#[test]
fn without_alt_sse_a_stream_is_an_array() {
    let client = Client::new();
    let body = json!({"model": "gemini-2.5-pro", "project": "project-a", "request": hello()});
    let (status, array) = client.code_assist("streamGenerateContent", &body);
    assert_eq!((status, array.as_array().map(Vec::len)), (200, Some(3)));
}

#[test]
fn tools_are_called_step_by_step_and_signatures_must_come_back_unchanged() {
    let client = Client::new();
    let model = "gemini-3.1-pro-preview";
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let mut inner = with(
        "tools",
        json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}, {"name": "time"}]}]),
    );
    inner["contents"] = json!([ask("call:weather{\"city\":\"Paris\"} call:weather and call:time then call:time")]);
    let (status, first) = client.generate(model, &inner);
    assert_eq!(status, 200, "{first}");
    let content = first["response"]["candidates"][0]["content"].clone();
    let parts = content["parts"].as_array().unwrap();
    let args: Vec<&Value> = parts.iter().map(|part| &part["functionCall"]["args"]).collect();
    assert_eq!(args, [&json!({"city": "Paris"}), &json!({"city": "text"}), &json!({})]);
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());

    let follow = |content: &Value| {
        let mut inner = inner.clone();
        inner["contents"] = json!([inner["contents"][0], content, results(&["weather", "weather", "time"])]);
        inner
    };
    let refusal = |content: &Value, model: &str| {
        let (status, body) = client.generate(model, &follow(content));
        assert_eq!(status, 400, "{body}");
        body["error"]["message"].as_str().unwrap().to_string()
    };
    let mut moved = content.clone();
    moved["parts"][1]["thoughtSignature"] = moved["parts"][0]["thoughtSignature"].take();
    assert!(refusal(&moved, model).contains("Corrupted"));
    let mut none = content.clone();
    none["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    assert!(refusal(&none, model).contains("missing a thought_signature"));
    let mut changed = content.clone();
    changed["parts"][0]["functionCall"]["args"] = json!({"city": "Rome"});
    assert!(refusal(&changed, model).contains("Corrupted"));
    assert!(refusal(&content, "gemini-3-flash-preview").contains("Corrupted"), "another family");
    for placeholder in PLACEHOLDERS {
        let mut dummy = content.clone();
        dummy["parts"][0]["thoughtSignature"] = json!(placeholder);
        assert_eq!(client.generate(model, &follow(&dummy)).0, 200);
    }

    let mut inner = follow(&content);
    let second = client.generate(model, &inner).1["response"]["candidates"][0]["content"].clone();
    assert_eq!(second["parts"][0]["functionCall"]["name"], json!("time"));
    inner["contents"].as_array_mut().unwrap().extend([second, results(&["time"])]);
    let last = client.generate(model, &inner).1;
    let text = last["response"]["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    assert_eq!(text, "The tools say: time answered {\"output\":\"done\"}.");
}

#[test]
fn json_output_fits_the_schema_and_image_models_draw() {
    let client = Client::new();
    let schema = json!({"type": "object", "required": ["a", "b", "c"], "properties": {"a": {"type": "integer"},
        "b": {"type": "array", "items": {"type": "string"}, "minItems": 2}, "c": {"enum": ["x", "y"], "type": "string"}}});
    let inner = with_config(json!({"responseMimeType": "application/json", "responseJsonSchema": schema}));
    let answer = client.generate("gemini-2.5-pro", &inner).1;
    let text = answer["response"]["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), json!({"a": 1, "b": ["text", "text"], "c": "x"}));
    let drawn = client.public("gemini-2.5-flash-image", &hello()).1;
    assert_eq!(drawn["candidates"][0]["content"]["parts"][1]["inlineData"]["mimeType"], json!("image/png"));
    let thinking = with_config(json!({"thinkingConfig": {"includeThoughts": true}}));
    assert_eq!(client.public("gemini-2.5-flash-image", &thinking).0, 400);
}

#[test]
fn a_small_limit_cuts_the_text_or_leaves_none() {
    let client = Client::new();
    let ask = |limit: u64| client.generate("gemini-2.5-pro", &with_config(json!({"maxOutputTokens": limit}))).1;
    let cut = ask(7);
    assert_eq!(cut["response"]["candidates"][0]["content"]["parts"][0]["text"], json!("You "));
    assert_eq!(cut["response"]["candidates"][0]["finishReason"], json!("MAX_TOKENS"));
    assert_eq!(ask(3)["response"]["candidates"][0]["content"], json!({"role": "model"}));
}

#[test]
fn the_public_api_has_keys_lists_and_its_own_rules() {
    let client = Client::new();
    let path = "/v1beta/models/gemini-3.5-flash:generateContent";
    assert_eq!(client.post(path, ("x-test", "1"), &hello()).0, 403);
    let (status, text) = client.post(path, ("x-goog-api-key", "wrong"), &hello());
    assert!(status == 400 && text.contains("API_KEY_INVALID"), "{text}");
    assert_eq!(client.post(path, ("authorization", &client.bearer()), &hello()).0, 403);
    assert_eq!(client.post(&format!("{path}?key={KEY}"), ("x-test", "1"), &hello()).0, 200);
    let (status, answer) = client.public("gemini-3.5-flash", &hello());
    assert_eq!((status, &answer["candidates"][0]["index"]), (200, &json!(0)));
    for extra in ["labels", "session_id"] {
        assert_eq!(client.public("gemini-3.5-flash", &with(extra, json!("x"))).0, 400, "{extra}");
    }
    let vertex = with("safetySettings", json!([{"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"}]));
    assert_eq!(client.public("gemini-3.5-flash", &vertex).0, 400);
    assert_eq!(client.public("gemini-3-flash", &hello()).0, 404);
    assert_eq!(client.public("gemini-embedding-001", &hello()).0, 404);
    let page = client.get("/v1beta/models?pageSize=5", ("x-goog-api-key", KEY)).1;
    let token = page["nextPageToken"].as_str().expect("more");
    let rest = client.get(&format!("/v1beta/models?pageSize=50&pageToken={token}"), ("x-goog-api-key", KEY)).1;
    assert_eq!(page["models"].as_array().unwrap().len(), 5);
    assert!(rest.get("nextPageToken").is_none() && !rest["models"].as_array().unwrap().is_empty());
    assert_eq!(
        client.get("/v1beta/models/gemini-2.5-pro", ("x-goog-api-key", KEY)).1["name"],
        json!("models/gemini-2.5-pro")
    );
    client.fake.remove_api_key(KEY);
    assert_eq!(client.public("gemini-3.5-flash", &hello()).0, 400);
}

#[test]
fn counting_and_embedding_have_their_own_envelopes() {
    let client = Client::new();
    let count = |body: Value| client.code_assist("countTokens", &body);
    let right = json!({"model": "models/gemini-2.5-pro", "contents": [ask("hello")]});
    assert_eq!(count(json!({"request": right})), (200, json!({"totalTokens": 2})));
    assert_eq!(count(json!({"project": "project-a", "request": right})).0, 400);
    assert_eq!(count(json!({"request": {"model": "gemini-2.5-pro", "contents": [ask("hello")]}})).0, 400);
    assert_eq!(count(json!({"request": {"model": "models/gemini-2.5-pro", "contents": []}})).0, 400);
    let public = |op: &str, body: Value| {
        let (status, text) = client.post(&format!("/v1beta/models/{op}"), ("x-goog-api-key", KEY), &body);
        (status, serde_json::from_str::<Value>(&text).expect("json"))
    };
    assert_eq!(public("gemini-2.5-pro:countTokens", json!({"contents": [ask("hello")]})).1["totalTokens"], json!(2));
    let one = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8});
    let made = public("gemini-embedding-001:embedContent", one.clone()).1;
    assert_eq!(made["embedding"]["values"].as_array().unwrap().len(), 8);
    assert_eq!(public("gemini-2.5-pro:embedContent", one.clone()).0, 404);
    let mut named = one.clone();
    named["model"] = json!("models/gemini-embedding-001");
    let batch = public("gemini-embedding-001:batchEmbedContents", json!({"requests": [named, named]})).1;
    assert_eq!(batch["embeddings"][0]["values"], made["embedding"]["values"]);
    assert_eq!(public("gemini-embedding-001:batchEmbedContents", json!({"requests": [one]})).0, 400);
    let quota = client.code_assist("retrieveUserQuota", &json!({"project": "project-a"})).1;
    assert_eq!(quota["buckets"][0]["remainingAmount"], json!("1000"));
}

#[test]
fn a_file_is_uploaded_found_and_deleted() {
    let client = Client::new();
    let start = client.agent.post(format!("{}/upload/v1beta/files", client.fake.base()));
    let start = start.header("x-goog-api-key", KEY).header("x-goog-upload-command", "start");
    let started = start.send("{\"file\":{\"display_name\":\"n\"}}").expect("an answer");
    let url = started.headers().get("x-goog-upload-url").expect("an address").to_str().unwrap().to_string();
    let upload = client.agent.post(&url).header("x-goog-api-key", KEY);
    let upload = upload.header("x-goog-upload-offset", "0").header("x-goog-upload-command", "upload, finalize");
    let text = upload.send("content").expect("an answer").body_mut().read_to_string().unwrap();
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(made["file"]["sizeBytes"], json!("7"));
    let path = format!("/v1beta/{}", made["file"]["name"].as_str().unwrap());
    assert_eq!(client.get(&path, ("x-goog-api-key", KEY)).0, 200);
    client
        .agent
        .delete(format!("{}{path}", client.fake.base()))
        .header("x-goog-api-key", KEY)
        .call()
        .expect("an answer");
    assert_eq!(client.get(&path, ("x-goog-api-key", KEY)).0, 403);
}
