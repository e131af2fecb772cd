//! `/v1/embeddings` by itself: requests into Google's bodies, vectors into answers.

use crate::common::translation::{World, check, google_gets};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gemini_openai_proxy::api::openai_embeddings::OpenAiEmbeddings;
use gemini_openai_proxy::api::{Exchange, Operation};
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::gemini::models::{ModelEntry, ModelTable};
use serde_json::{Value, json};

fn parse(body: &str) -> Result<Box<dyn Exchange>, ApiError> {
    let alias = ModelEntry { name: "mine".into(), alias_of: Some("gemini-embedding-001".into()), thinking: None };
    let mut world = World::new(&OpenAiEmbeddings);
    world.models = ModelTable::new(&[alias]);
    world.parse(body)
}

/// The calls that a request becomes: operation and body of each.
fn calls(body: &str) -> Vec<(Operation, Value)> {
    let mut exchange = parse(body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let mut calls = Vec::new();
    loop {
        let call = exchange.call();
        assert_eq!(call.model, "gemini-embedding-001");
        calls.push((call.operation, serde_json::to_value(&call.request).unwrap()));
        if !exchange.advance() {
            return calls;
        }
    }
}

fn answer(body: &str, events: &[Value]) -> Result<Value, ApiError> {
    let mut translator = parse(body).unwrap().translator();
    let mut out = Vec::new();
    for event in events {
        let json = event.to_string();
        translator.event(&json, &serde_json::from_str(&json).unwrap(), &mut out)?;
        assert!(out.is_empty(), "nothing goes out before the end");
    }
    translator.end(&mut out)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn one_text_is_embedded_and_several_are_a_batch() {
    let item = |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}});
    for input in [r#""a""#, r#"["a"]"#] {
        let body = format!(r#"{{"model":"gemini-embedding-001","input":{input},"user":"u","dimensions":null,"x":1}}"#);
        assert_eq!(calls(&body), [(Operation::Embed, item("a"))]);
    }
    assert_eq!(
        calls(r#"{"model":"models/gemini-embedding-001","input":["a","b"]}"#),
        [(Operation::BatchEmbed, json!({"requests": [item("a"), item("b")]}))]
    );
}

#[test]
fn long_lists_become_several_batches_in_order() {
    let texts: Vec<String> = (0..2048).map(|n| n.to_string()).collect();
    let body = json!({"model": "mine", "input": texts}).to_string();
    let calls = calls(&body);
    let batches: Vec<&Vec<Value>> = calls.iter().map(|(_, body)| body["requests"].as_array().unwrap()).collect();
    assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [[100; 20].as_slice(), &[48]].concat());
    let sent: Vec<&str> = batches
        .iter()
        .flat_map(|batch| batch.iter())
        .map(|item| item["content"]["parts"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(sent, texts);
}

#[test]
fn openais_names_keep_the_length_of_their_vectors() {
    for (fields, expected) in [
        (r#""model":"text-embedding-3-small""#, json!(1536)),
        (r#""model":"text-embedding-ada-002""#, json!(1536)),
        (r#""model":"text-embedding-3-large""#, json!(3072)),
        (r#""model":"text-embedding-3-large","dimensions":256"#, json!(256)),
        (r#""model":"gemini-embedding-001""#, Value::Null),
        (r#""model":"mine","dimensions":768"#, json!(768)),
    ] {
        let calls = calls(&format!(r#"{{{fields},"input":"a"}}"#));
        assert_eq!(calls[0].1["outputDimensionality"], expected, "{fields}");
    }
}

#[test]
fn what_cannot_be_embedded_is_refused_by_its_field() {
    check("openai_embeddings", "refused", |case| google_gets(&OpenAiEmbeddings, case));
    let Err(error) = parse(&json!({"model": "mine", "input": vec!["a"; 2049]}).to_string()) else { panic!("accepted") };
    assert_eq!((error.status, error.param.as_deref(), error.code()), (400, Some("input"), Some("invalid_value")));
}

#[test]
fn vectors_are_listed_in_order_with_length_one() {
    let body = r#"{"model":"text-embedding-3-small","input":["a","b","c"]}"#;
    let found = answer(
        body,
        &[
            json!({"embeddings": [{"values": [3.0, 4.0]}, {"values": [0.6, 0.8]}], "usageMetadata": {"promptTokenCount": 3}}),
            json!({"embeddings": [{"values": [0.0, 0.0]}], "usageMetadata": {"promptTokenCount": 2}}),
        ],
    );
    assert_eq!(
        found.unwrap().to_string(),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]},{"object":"embedding","index":1,"embedding":[0.6,0.8]},{"object":"embedding","index":2,"embedding":[0.0,0.0]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":5,"total_tokens":5}}"#
    );
}

#[test]
fn base64_holds_the_same_floats() {
    let body = r#"{"model":"mine","input":"a","encoding_format":"base64"}"#;
    let found = answer(body, &[json!({"embedding": {"values": [-0.6, 0.8]}})]).unwrap();
    let bytes = STANDARD.decode(found["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(floats, [-0.6, 0.8]);
    assert_eq!(found["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
}

#[test]
fn a_missing_vector_is_an_error_and_no_shift() {
    let body = r#"{"model":"mine","input":["a","b"]}"#;
    for event in [
        json!({"embeddings": [{"values": [1.0]}]}),
        json!({"embeddings": [{"values": [1.0]}, {}]}),
        json!({"embeddings": [{"values": [1.0]}, {"values": ["x"]}]}),
        json!({}),
    ] {
        let error = answer(body, std::slice::from_ref(&event)).unwrap_err();
        assert_eq!((error.status, error.code()), (502, Some("upstream_invalid")), "{event}");
    }
}
