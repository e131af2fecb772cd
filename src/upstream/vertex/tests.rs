//! Bodies as they are sent, and what a failure means for the other locations.

use super::*;
use serde_json::{Value, json};

fn call(operation: Operation, model: &str, request: &Value) -> Call {
    let request = serde_json::from_value(request.clone()).unwrap();
    Call::new(model, operation, request)
}

fn sent(operation: Operation, request: &Value) -> Value {
    serde_json::from_slice(&body::of(&call(operation, "gemini-3.5-flash", request))).unwrap()
}

#[test]
fn every_turn_has_one_of_the_two_roles() {
    let turn = |role: &str| json!({"role": role, "parts": [{"text": "hi"}]});
    let roles = ["", "user", "USER", "model", "Model", "assistant", "function", "tool", "system"];
    let request = json!({"contents": roles.map(turn)});
    let body = sent(Operation::Generate, &request);
    let found: Vec<&str> =
        body["contents"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!(found, ["user", "user", "user", "model", "model", "model", "user", "user", "user"]);
}

#[test]
fn a_whole_answer_is_not_asked_to_stream_its_arguments() {
    let request =
        json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "streamFunctionCallArguments": true}}});
    assert_eq!(sent(Operation::Stream, &request)["toolConfig"], request["toolConfig"]);
    let plain = json!({"functionCallingConfig": {"mode": "ANY"}});
    assert_eq!(sent(Operation::Generate, &request)["toolConfig"], plain);
    let snake =
        json!({"tool_config": {"function_calling_config": {"mode": "ANY", "stream_function_call_arguments": true}}});
    assert_eq!(sent(Operation::Generate, &snake)["toolConfig"], plain);
}

#[test]
fn only_one_placeholder_for_signatures_is_known_here() {
    let part = |signature: &str| json!({"functionCall": {"name": "f"}, "thoughtSignature": signature});
    let parts = ["context_engineering_is_the_way_to_go", "skip_thought_signature_validator", "QUJD"].map(part);
    let body = sent(Operation::Generate, &json!({"contents": [{"role": "model", "parts": parts}]}));
    let found: Vec<&Value> =
        body["contents"][0]["parts"].as_array().unwrap().iter().map(|part| &part["thoughtSignature"]).collect();
    assert_eq!(found, ["skip_thought_signature_validator", "skip_thought_signature_validator", "QUJD"]);
}

#[test]
fn safety_settings_keep_all_categories_and_what_they_measure() {
    let own = json!([
        {"category": "HARM_CATEGORY_JAILBREAK", "threshold": "BLOCK_NONE", "method": "SEVERITY"},
        {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},
    ]);
    assert_eq!(sent(Operation::Generate, &json!({"safetySettings": own}))["safetySettings"], own);
    assert_eq!(sent(Operation::Generate, &json!({}))["safetySettings"].as_array().unwrap().len(), 4);
}

#[test]
fn counting_is_flat() {
    let inner = json!({
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"temperature": 1},
    });
    let mut more = inner.clone();
    more["model"] = "models/gemini-3.5-flash".into();
    more["safetySettings"] = json!([]);
    more["toolConfig"] = json!({});
    more["labels"] = json!({"a": "b"});
    for request in [inner.clone(), more.clone(), json!({"generateContentRequest": more})] {
        assert_eq!(sent(Operation::CountTokens, &request), inner);
    }
}

#[test]
fn the_tier_is_a_header_and_not_in_the_body() {
    for (request, tier) in [
        (json!({"serviceTier": "priority"}), Some("priority")),
        (json!({"serviceTier": "SERVICE_TIER_FLEX"}), Some("flex")),
        (json!({"service_tier": "flex"}), Some("flex")),
        (json!({"serviceTier": "standard"}), None),
        (json!({}), None),
    ] {
        assert_eq!(body::tier(&call(Operation::Generate, "m", &request).request), tier, "{request}");
        let body = sent(Operation::Generate, &request);
        assert_eq!((body.get("serviceTier"), body.get("service_tier")), (None, None));
    }
}

#[test]
fn embeddings_have_the_method_of_their_model() {
    let text = |text: &str| json!({"parts": [{"text": text}]});
    let one =
        json!({"model": "models/x", "content": text("a"), "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8});
    let nested =
        json!({"content": text("a"), "embedContentConfig": {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}});
    let embed = nested.clone();
    let predicted = |texts: &[&str]| {
        let instances: Vec<Value> =
            texts.iter().map(|text| json!({"content": text, "task_type": "RETRIEVAL_QUERY"})).collect();
        json!({"instances": instances, "parameters": {"outputDimensionality": 8}})
    };
    let other = json!({"content": text("b"), "taskType": "RETRIEVAL_QUERY"});
    for (operation, model, request, method, body) in [
        (Operation::Embed, "gemini-embedding-001", one.clone(), "embedContent", embed.clone()),
        (Operation::Embed, "gemini-embedding-2", nested.clone(), "embedContent", embed.clone()),
        (
            Operation::BatchEmbed,
            "gemini-embedding-001",
            json!({"requests": [one, nested]}),
            "batchEmbedContents",
            json!({"requests": [embed, embed]}),
        ),
        (Operation::Embed, "text-embedding-005", one.clone(), "predict", predicted(&["a"])),
        (
            Operation::BatchEmbed,
            "text-multilingual-embedding-002",
            json!({"requests": [one, other]}),
            "predict",
            predicted(&["a", "b"]),
        ),
    ] {
        let call = call(operation, model, &request);
        assert_eq!(embeddings::method(&call).unwrap_or(call.operation.method()), method, "{model}");
        assert_eq!(serde_json::from_slice::<Value>(&body::of(&call)).unwrap(), body, "{model} {operation:?}");
    }
}

#[test]
fn a_limit_without_a_delay_gets_one_of_seconds_or_a_minute() {
    let refusal = |status, message: &str| {
        Refusal::read(status, json!({"error": {"message": message}}).to_string().as_bytes(), None)
    };
    let three = Some(Duration::from_secs(3));
    for (status, message, delay) in [
        (
            429,
            "Resource exhausted. Please try again later. Please refer to .../error-code-429 for more details.",
            three,
        ),
        (429, "Too many requests. Exceeded the Provisioned Throughput.", three),
        (
            429,
            "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model with base model: x.",
            Some(MINUTE),
        ),
        (503, "The service is currently unavailable.", None),
    ] {
        let delayed = with_delay(refusal(status, message), three);
        assert_eq!(delayed.details.delay, delay, "{message}");
        let rest = delayed.fault().verdict().duration;
        assert!(rest.is_none_or(|rest| rest <= MINUTE), "{message}: {rest:?}");
    }
}
