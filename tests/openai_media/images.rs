//! `/v1/images/generations` and `/v1/images/edits`.

use super::{events, post, send};
use crate::common::google::engine::PNG;
use crate::common::google::{FakeGoogle, Step};
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const MODEL: &str = "gemini-3.1-flash-image";

fn picture(text: &str, finish: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [
        {"text": text}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]}, "finishReason": finish}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]}})
}

#[test]
fn pictures_come_as_many_as_asked_for_with_all_that_they_cost() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.script(GEMINI_KEY, Step::answer(picture("A red fox.", "STOP")));
    google.script(GEMINI_KEY, Step::answer(picture("", "STOP")));
    let body = json!({"model": MODEL, "prompt": "a fox", "n": 2, "size": "1536x1024", "quality": "hd", "style": "vivid",
        "user": "u", "background": "transparent", "moderation": "low", "output_format": "png"});
    let answer = post(&proxy, GENERATIONS, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let document = answer.json();
    assert_eq!(document["data"], json!([{"b64_json": PNG, "revised_prompt": "A red fox."}, {"b64_json": PNG}]));
    assert_eq!((&document["output_format"], &document["size"]), (&json!("png"), &json!("1x1")));
    assert!(document["created"].as_u64().is_some_and(|created| created > 1_700_000_000));
    assert_eq!(
        document["usage"],
        json!({"input_tokens": 10, "input_tokens_details": {"text_tokens": 10,
        "image_tokens": 0}, "output_tokens": 2580, "output_tokens_details": {"text_tokens": 0, "image_tokens": 2580},
        "total_tokens": 2590})
    );
    let sent = google.last_generation();
    assert_eq!(
        sent.inner()["generationConfig"],
        json!({"responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "3:2", "imageSize": "1K"}})
    );
    assert_eq!(sent.inner()["contents"], json!([{"role": "user", "parts": [{"text": "a fox"}]}]));
    let usage = proxy.service().app().usage.json();
    assert_eq!(usage[MODEL]["successful_requests"], 1, "{usage}");
}

#[test]
fn what_came_is_given_where_a_later_picture_fails() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let blocked = json!({"candidates": [{"finishReason": "IMAGE_SAFETY", "finishMessage": "Unsafe."}]});
    for later in [Step::answer(blocked.clone()), Step::status(400, "No.")] {
        google.script(GEMINI_KEY, Step::answer(picture("", "STOP")));
        google.script(GEMINI_KEY, later);
        let answer = post(&proxy, GENERATIONS, &json!({"model": MODEL, "prompt": "a fox", "n": 2}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["data"], json!([{"b64_json": PNG}]));
    }
    google.script(GEMINI_KEY, Step::answer(blocked));
    google.script(GEMINI_KEY, Step::answer(picture("", "STOP")));
    let answer = post(&proxy, GENERATIONS, &json!({"model": MODEL, "prompt": "a fox", "n": 2}));
    assert_eq!(answer.json()["data"], json!([{"b64_json": PNG}]), "the first may fail, too");
}

#[test]
fn a_refusal_is_a_400_with_googles_reason() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let candidate = |finish: &str| json!({"candidates": [{"finishReason": finish, "finishMessage": "It is unsafe."}]});
    for (event, words, code) in [
        (candidate("IMAGE_SAFETY"), "It is unsafe. (IMAGE_SAFETY)", "moderation_blocked"),
        (candidate("PROHIBITED_CONTENT"), "PROHIBITED_CONTENT", "moderation_blocked"),
        (candidate("IMAGE_RECITATION"), "IMAGE_RECITATION", "moderation_blocked"),
        (candidate("NO_IMAGE"), "NO_IMAGE", "moderation_blocked"),
        (candidate("IMAGE_OTHER"), "IMAGE_OTHER", "moderation_blocked"),
        (candidate("A_WORD_OF_2030"), "A_WORD_OF_2030", "moderation_blocked"),
        (json!({"promptFeedback": {"blockReason": "SAFETY"}}), "SAFETY", "moderation_blocked"),
        (
            json!({"candidates": [{"content": {"parts": [{"text": "I draw no people."}]}, "finishReason": "STOP"}]}),
            "I draw no people.",
            "no_media",
        ),
    ] {
        for stream in [false, true] {
            google.script(GEMINI_KEY, Step::answer(event.clone()));
            let answer = post(&proxy, GENERATIONS, &json!({"model": MODEL, "prompt": "x", "stream": stream}));
            let error = &answer.json()["error"];
            assert_eq!((answer.status, &error["code"]), (400, &json!(code)), "{event}: {error}");
            assert_eq!(error["type"], "image_generation_user_error");
            assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        }
    }
    // What is empty for no reason is asked for again.
    google.script(GEMINI_KEY, Step::answer(json!({"candidates": [{"finishReason": "STOP"}]})));
    let answer = post(&proxy, GENERATIONS, &json!({"model": MODEL, "prompt": "x"}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_stream_ends_with_a_whole_picture_for_each_and_shows_thoughts_before_if_asked() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let thought = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": PNG}, "thought": true}]}}]});
    let usage = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 7}});
    let whole = |finish: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}]}, "finishReason": finish}]})
    };
    for partials in [0, 1] {
        google.script(
            GEMINI_KEY,
            Step::stream(vec![thought.clone(), thought.clone(), whole(Value::Null), usage.clone()]),
        );
        let body = json!({"model": MODEL, "prompt": "x", "stream": true, "partial_images": partials, "n": 2});
        let answer = post(&proxy, GENERATIONS, &body);
        let events = events(&answer);
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let mut expected = vec!["image_generation.partial_image"; partials];
        expected.extend(["image_generation.completed"; 2]);
        assert_eq!(kinds, expected);
        let first = &events[partials];
        assert_eq!((&first["b64_json"], &first["size"]), (&json!(PNG), &json!("1x1")));
        assert_eq!((&first["output_format"], &first["usage"]["input_tokens"]), (&json!("png"), &json!(7)));
        assert!(answer.text().starts_with(&format!("event: {}\ndata: ", expected[0])), "{}", answer.text());
    }
}

#[test]
fn models_that_make_no_pictures_are_answered_with_those_that_do() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (model, status, words) in [
        (json!("gpt-image-1"), 400, MODEL),
        (json!("dall-e-3"), 400, "alias_of"),
        (Value::Null, 400, MODEL),
        (json!("gemini-2.5-flash"), 400, MODEL),
        (json!("imagen-4.0-generate-001"), 404, "gemini-3.1-flash-image"),
        (json!("imagen-4.0-fast-generate-001"), 404, "gemini-3.1-flash-image"),
        (json!("models/imagen-4.0-ultra-generate-001"), 404, "gemini-3-pro-image"),
    ] {
        let answer = post(&proxy, GENERATIONS, &json!({"model": model, "prompt": "x"}));
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"]), (status, &json!("model")), "{model}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{model}: {error}");
    }
    let aliased = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["models"] = json!([{"name": "gpt-image-1", "alias_of": "gemini-2.5-flash-image"}]);
    });
    for model in [json!("gpt-image-1"), json!("dall-e-3"), Value::Null] {
        let answer = post(&aliased, GENERATIONS, &json!({"model": model, "prompt": "x", "size": "1024x1024"}));
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    }
}

#[test]
fn fields_of_the_wrong_kind_are_named() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (field, value, code) in [
        ("prompt", Value::Null, "missing_required_parameter"),
        ("prompt", json!(7), "invalid_type"),
        ("n", json!(0), "invalid_value"),
        ("n", json!(11), "invalid_value"),
        ("n", json!(1.5), "invalid_type"),
        ("n", json!("many"), "invalid_type"),
        ("size", json!("large"), "invalid_value"),
        ("response_format", json!("png"), "invalid_value"),
        ("output_format", json!("gif"), "unsupported_value"),
        ("output_format", json!("svg"), "unsupported_value"),
        ("output_format", json!("bmp"), "invalid_value"),
        ("stream", json!("maybe"), "invalid_type"),
        ("partial_images", json!(4), "invalid_value"),
        ("imageConfig", json!("x"), "invalid_type"),
    ] {
        let mut body = json!({"model": MODEL, "prompt": "x"});
        body[field] = value.clone();
        let answer = post(&proxy, GENERATIONS, &body);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["param"], &error["code"]),
            (400, &json!(field), &json!(code)),
            "{value}: {error}"
        );
        // What is found is what was sent.
        let is_text = value.is_string() && code == "invalid_type";
        assert!(!is_text || error["message"].as_str().unwrap().contains("got a string"), "{value}: {error}");
    }
    assert_eq!(google.generations_count(), 0);
}

#[test]
fn one_picture_or_several_are_edited_in_their_order() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let png = STANDARD.decode(PNG).unwrap();
    let jpeg = b"\xff\xd8\xff\xe0more";
    let answer = send(
        &proxy,
        EDITS,
        &[
            ("model", None, MODEL.as_bytes()),
            ("image[]", Some("b.png"), &png),
            ("image[]", Some("a.bin"), jpeg),
            ("prompt", None, "mehr Füchse".as_bytes()),
            ("mask", Some("m.png"), &png),
            ("n", None, b"1"),
            ("size", None, b"auto"),
            ("response_format", None, b"url"),
        ],
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"], json!([{"url": format!("data:image/png;base64,{PNG}")}]));
    let parts = google.last_generation().inner()["contents"][0]["parts"].clone();
    assert_eq!(parts[0]["inlineData"], json!({"mimeType": "image/png", "data": PNG}));
    assert_eq!(parts[1]["inlineData"], json!({"mimeType": "image/jpeg", "data": STANDARD.encode(jpeg)}));
    assert_eq!(parts[2]["inlineData"]["data"], PNG);
    assert!(parts[3]["text"].as_str().unwrap().contains("mask"));
    assert_eq!(parts[4], json!({"text": "mehr Füchse"}));

    // Open WebUI: one file, no size.
    let one: [(&str, Option<&str>, &[u8]); 3] =
        [("image", Some("x.png"), &png), ("model", None, MODEL.as_bytes()), ("prompt", None, b"x")];
    assert_eq!(send(&proxy, EDITS, &one).status, 200);
    // As JSON, by data URLs.
    let url = format!("data:image/png;base64,{PNG}");
    for images in [json!([{"image_url": url}]), json!([url]), json!(url), json!([{"image_url": {"url": url}}])] {
        let answer = post(&proxy, EDITS, &json!({"model": MODEL, "prompt": "x", "images": images}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(google.last_generation().inner()["contents"][0]["parts"][0]["inlineData"]["data"], PNG);
    }
}

#[test]
fn edits_without_a_picture_and_variations_are_refused_with_words() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let text = [("model", None, MODEL.as_bytes()), ("prompt", None, &b"x"[..])];
    let error = send(&proxy, EDITS, &text).json()["error"].clone();
    assert_eq!((&error["param"], &error["code"]), (&json!("image"), &json!("missing_required_parameter")));
    for data in [&b"hello"[..], b""] {
        let answer = send(&proxy, EDITS, &[text[0], text[1], ("image", Some("a.txt"), data)]);
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!("image")), "{}", answer.text());
    }
    let many = vec![("image[]", Some("a.png"), &b"\x89PNG"[..]); 17];
    assert_eq!(send(&proxy, EDITS, &[many, text.to_vec()].concat()).status, 400);
    let answer = post(&proxy, EDITS, &json!({"model": MODEL, "prompt": "x", "images": [{"file_id": "file-1"}]}));
    assert_eq!(answer.json()["error"]["param"], "images[0]");
    let answer = post(&proxy, "/v1/images/variations", &json!({}));
    assert_eq!((answer.status, answer.text().contains("/v1/images/edits")), (404, true), "{}", answer.text());
    assert_eq!(ask(&proxy, "GET", GENERATIONS, &[], b"").status, 405);
}

#[test]
fn each_picture_counts_against_the_limits_of_the_key() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": crate::common::proxy::CLIENT_KEY, "requests_per_day": 4}]);
    });
    let ask = |n: u64| post(&proxy, GENERATIONS, &json!({"model": MODEL, "prompt": "x", "n": n}));
    let first = ask(3);
    assert_eq!((first.status, first.header("x-ratelimit-remaining-requests")), (200, Some("1")), "{}", first.text());
    assert_eq!((ask(2).status, ask(1).status, ask(1).status), (429, 200, 429));
}
