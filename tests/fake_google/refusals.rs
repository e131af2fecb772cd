//! What Google refuses, and what it lets pass.

use super::{
    Client, ask, calls, contents, hello, results, with, with_config, with_json_schema, with_parameters, with_tool,
};
use serde_json::{Value, json};

#[test]
fn what_google_refuses_is_refused_with_its_words() {
    let client = Client::new();
    let (pro, flash, lite, three) =
        ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-flash-preview");
    let declared = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let mut json_and_tools = with_config(json!({"responseMimeType": "application/json"}));
    json_and_tools["tools"] = declared.clone();
    let table = [
        (pro, json!({}), "contents is not specified"),
        (pro, contents(json!([])), "contents is not specified"),
        (pro, contents(json!([{"role": "user", "parts": []}])), "must not be empty"),
        (pro, contents(json!([{"role": "user", "parts": [{}]}])), "required oneof field 'data'"),
        (
            pro,
            contents(
                json!([{"role": "user", "parts": [{"text": "a", "inlineData": {"mimeType": "image/png", "data": ""}}]}]),
            ),
            "oneof field 'data' is already set",
        ),
        (pro, contents(json!([{"role": "system", "parts": [{"text": "a"}]}])), "valid role"),
        (pro, contents(json!([{"role": "function", "parts": [{"text": "a"}]}])), "valid role"),
        (pro, contents(json!([{"parts": [{"text": "a"}]}])), "valid role"),
        (pro, contents(json!([{"role": "model", "parts": [{"text": "a"}]}, ask("b")])), "start with a user"),
        (pro, contents(json!([ask("a"), {"role": "model", "parts": [{"text": "b"}]}])), "end with a user"),
        (pro, contents(json!([ask("a"), calls(&["f"])])), "end with a user"),
        (pro, contents(json!([ask("a"), calls(&["f", "g"]), results(&["f"])])), "number of function response parts"),
        (pro, contents(json!([ask("a"), calls(&["f"]), ask("b")])), "number of function response parts"),
        (pro, contents(json!([ask("a"), calls(&["f", "g"]), results(&["g", "f"])])), "same order"),
        (pro, contents(json!([ask("a"), results(&["f"])])), "immediately after a function call turn"),
        (pro, contents(json!([calls(&["f"]), results(&["f"])])), "immediately after a user turn"),
        (
            pro,
            contents(json!([{"role": "user", "parts": [{"text": "a", "thoughtSignature": "!"}]}])),
            "Base64 decoding failed",
        ),
        (pro, with("foo", json!(1)), "Unknown name \"foo\" at 'request'"),
        (pro, with_config(json!({"max_tokens": 1})), "Unknown name \"max_tokens\" at 'request.generation_config'"),
        (
            pro,
            contents(json!([{"role": "user", "parts": [{"text": "a", "cache_control": {}}]}])),
            "'request.contents[0].parts[0]'",
        ),
        (pro, with("tools", json!([{"type": "function"}])), "Unknown name \"type\" at 'request.tools[0]'"),
        (
            pro,
            with_tool(json!({"name": "f", "strict": true})),
            "Unknown name \"strict\" at 'request.tools[0].function_declarations[0]'",
        ),
        (pro, with_tool(json!({"name": "1f"})), "Invalid function name"),
        (pro, with_tool(json!({"name": "f".repeat(65)})), "Invalid function name"),
        (pro, with_tool(json!({})), "Invalid function name"),
        (pro, with("tools", json!([{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}])), "Duplicate function"),
        (
            pro,
            with("tools", json!([{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}])),
            "only when they are all search tools",
        ),
        (pro, with("tools", json!([{}])), "tool_type"),
        (pro, json_and_tools.clone(), "Function calling with a response mime type"),
        (pro, with("toolConfig", json!({"functionCallingConfig": {"mode": "REQUIRED"}})), "TYPE_ENUM"),
        (pro, with("toolConfig", json!({"functionCallingConfig": {"mode": "ANY"}})), "without function_declarations"),
        (
            pro,
            with("toolConfig", json!({"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}})),
            "allowed_function_names only",
        ),
        (pro, with("safetySettings", json!([{"category": "HARM_CATEGORY_X", "threshold": "OFF"}])), "TYPE_ENUM"),
        (pro, with_config(json!({"thinkingConfig": {"thinkingBudget": 0}})), "only works in thinking mode"),
        (pro, with_config(json!({"thinkingConfig": {"thinkingBudget": 127}})), "between 128 and 32768"),
        (pro, with_config(json!({"thinkingConfig": {"thinkingBudget": 32769}})), "between 128 and 32768"),
        (flash, with_config(json!({"thinkingConfig": {"thinkingBudget": 24577}})), "thinking budget"),
        (lite, with_config(json!({"thinkingConfig": {"thinkingBudget": 511}})), "between 512"),
        (pro, with_config(json!({"thinkingConfig": {"thinkingLevel": "HIGH"}})), "level is not supported"),
        (
            three,
            with_config(json!({"thinkingConfig": {"thinkingLevel": "HIGH", "thinkingBudget": 1024}})),
            "only set only one",
        ),
        (three, with_config(json!({"thinkingConfig": {"thinkingBudget": 0}})), "only works in thinking mode"),
        (
            "gemini-3-pro-preview",
            with_config(json!({"thinkingConfig": {"thinkingLevel": "MEDIUM"}})),
            "MEDIUM is not supported",
        ),
        (pro, with_config(json!({"stopSequences": ["1", "2", "3", "4", "5", "6"]})), "stop_sequences"),
        (pro, with_config(json!({"temperature": 2.1})), "temperature"),
        (pro, with_config(json!({"topP": 1.5})), "topP"),
        (pro, with_config(json!({"topK": 0})), "topK"),
        (pro, with_config(json!({"maxOutputTokens": 65537})), "maxOutputTokens"),
        (pro, with_config(json!({"maxOutputTokens": 0})), "maxOutputTokens"),
        (pro, with_config(json!({"candidateCount": 2})), "Multiple candidates"),
        (pro, with_config(json!({"presencePenalty": 0.5})), "Penalty is not enabled"),
        (three, with_config(json!({"frequencyPenalty": 0.5})), "Penalty is not enabled"),
        (pro, with_config(json!({"responseLogprobs": true})), "Logprobs is not enabled"),
        (pro, with_config(json!({"seed": 3_000_000_000u64})), "TYPE_INT32"),
        (pro, with_config(json!({"responseMimeType": "image/png"})), "response_mime_type"),
        (pro, with_config(json!({"responseSchema": {"type": "OBJECT"}})), "only allowed when response_mime_type"),
        (
            pro,
            with_config(
                json!({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}, "responseJsonSchema": {"type": "string"}}),
            ),
            "mutually exclusive",
        ),
        (pro, with_config(json!({"responseModalities": ["IMAGE"]})), "response modalities"),
        (
            pro,
            with_tool(
                json!({"name": "f", "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {"type": "object"}}),
            ),
            "mutually exclusive",
        ),
        (
            pro,
            with_parameters(json!({"type": "object", "additionalProperties": false})),
            "Unknown name \"additionalProperties\" at 'request.tools[0].function_declarations[0].parameters'",
        ),
        (
            pro,
            with_parameters(json!({"type": "object", "properties": {"a": {"type": "string", "const": "x"}}})),
            "parameters.properties[0].value'",
        ),
        (pro, with_parameters(json!({"type": ["object", "null"]})), "Proto field is not repeating"),
        (pro, with_parameters(json!({"type": "any"})), "TYPE_ENUM"),
        (pro, with_parameters(json!({"type": "object", "required": ["a"]})), "property is not defined"),
        (pro, with_parameters(json!({"type": "array"})), "missing field"),
        (pro, with_parameters(json!({"type": "string", "enum": [1]})), "TYPE_STRING"),
        (pro, with_parameters(json!({"type": "string", "enum": [""]})), "enum[0]: cannot be empty"),
        (pro, with_parameters(json!({"type": "integer", "enum": ["1"]})), "only allowed for STRING"),
        (
            pro,
            with_parameters(json!({"type": "string", "format": "uri"})),
            "only 'enum' and 'date-time' are supported for STRING type",
        ),
        (pro, with_parameters(json!({"type": "string", "anyOf": [{"type": "string"}]})), "only field set"),
        (pro, with_json_schema(json!({"type": "object", "properties": {"a": {"$schema": "x"}}})), "invalid argument"),
        (
            pro,
            with_json_schema(json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})),
            "invalid argument",
        ),
        (pro, with_json_schema(json!({"type": "object", "properties": {"a": true}})), "invalid argument"),
        (pro, with_json_schema(json!({"type": "OBJECT"})), "invalid argument"),
        (pro, with_json_schema(json!({"type": "object", "required": ["a"]})), "invalid argument"),
        (pro, with_json_schema(json!({"$ref": "#/$defs/a"})), "invalid argument"),
        (pro, with_json_schema(json!({"type": "string", "enum": [true]})), "invalid argument"),
        (three, contents(json!([ask("a"), calls(&["f"]), results(&["f"])])), "missing a thought_signature"),
    ];
    for (model, inner, words) in table {
        let (status, body) = client.generate(model, &inner);
        let message = body["error"]["message"].as_str().unwrap_or("");
        assert!(status == 400 && message.contains(words), "{model} {inner}: {status} {body}, wanted {words}");
    }
}

#[test]
fn what_google_takes_is_taken_in_both_spellings() {
    let client = Client::new();
    let (pro, flash, lite, three) =
        ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-flash-preview");
    let mut json_and_tools = with_config(json!({"responseMimeType": "application/json"}));
    json_and_tools["tools"] = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let table = [
        (pro, hello()),
        (
            pro,
            json!({"contents": [ask("a")], "system_instruction": {"parts": [{"text": "be brief"}]}, "session_id": "s", "labels": {"a": "b"}}),
        ),
        (
            pro,
            with_config(
                json!({"max_output_tokens": 10, "thinking_config": {"thinking_budget": 128}, "topK": 64, "seed": 7}),
            ),
        ),
        (
            pro,
            with_config(
                json!({"temperature": 2, "topP": 1, "candidateCount": 1, "stopSequences": ["a", "b", "c", "d", "e"]}),
            ),
        ),
        (flash, with_config(json!({"thinkingConfig": {"thinkingBudget": 0}}))),
        (lite, with_config(json!({"thinkingConfig": {"thinkingBudget": -1, "includeThoughts": true}}))),
        (three, with_config(json!({"thinkingConfig": {"thinkingLevel": "minimal"}}))),
        (three, with_config(json!({"thinkingConfig": {"thinkingBudget": 1024}}))),
        (three, json_and_tools),
        ("gemini-3-flash", hello()),
        (pro, contents(json!([ask("a"), calls(&["f", "f"]), results(&["f", "f"])]))),
        (
            pro,
            contents(
                json!([ask("a"), calls(&["f"]), results(&["f"]), {"role": "model", "parts": [{"text": "x"}]}, ask("b")]),
            ),
        ),
        (pro, with("safetySettings", json!([{"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"}]))),
        (pro, with("tools", json!([{"googleSearch": {}}, {"urlContext": {}}]))),
        (
            pro,
            with_parameters(
                json!({"type": "object", "properties": {"title": {"type": "STRING", "format": "date-time", "minLength": "1"}}, "required": ["title"]}),
            ),
        ),
        (
            pro,
            with_parameters(
                json!({"anyOf": [{"type": "string"}, {"type": "integer", "format": "int32"}], "nullable": true}),
            ),
        ),
        (
            pro,
            with_json_schema(
                json!({"type": ["object", "null"], "$defs": {"a": {"type": "string"}}, "properties": {"pattern": {"$ref": "#/$defs/a"}}, "required": ["pattern"], "additionalProperties": false}),
            ),
        ),
        // Earlier turns need no signatures.
        (
            three,
            contents(
                json!([ask("a"), calls(&["f"]), results(&["f"]), {"role": "model", "parts": [{"text": "x"}]}, ask("b")]),
            ),
        ),
    ];
    for (model, inner) in table {
        let (status, body) = client.generate(model, &inner);
        assert_eq!(status, 200, "{model} {inner}: {body}");
    }
}

#[test]
fn the_code_assist_envelope_is_checked() {
    let client = Client::new();
    let call = |body: Value| client.code_assist("generateContent", &body);
    let inner = hello();
    assert_eq!(call(json!({"model": "gemini-2.5-pro", "project": "project-a", "request": inner})).0, 200);
    let other = call(json!({"model": "gemini-2.5-pro", "project": "other", "request": inner}));
    assert_eq!((other.0, &other.1["error"]["details"][0]["reason"]), (403, &json!("IAM_PERMISSION_DENIED")));
    assert_eq!(call(json!({"model": "gemini-2.5-pro", "request": inner})).0, 403);
    for model in ["models/gemini-2.5-pro", "gemini-3.5-flash", "gemini-embedding-001", "gpt-4"] {
        assert_eq!(call(json!({"model": model, "project": "project-a", "request": inner})).0, 404, "{model}");
    }
    let unknown = call(json!({"model": "gemini-2.5-pro", "project": "project-a", "request": inner, "stream": true}));
    assert_eq!(unknown.0, 400);
    assert!(unknown.1["error"]["message"].as_str().unwrap().contains("Unknown name \"stream\": Cannot find field."));
}
