//! Which tools the default answer calls, read from the user's words.

use super::engine::{Piece, content_text, has, list, text, turn_start};
use super::strict_schema::instance;
use serde_json::{Value, json};

/// The calls of the step that comes now.
pub fn wanted_calls(inner: &Value) -> Vec<(String, Value)> {
    let declared: Vec<&Value> =
        list(&inner["tools"]).iter().flat_map(|tool| list(&tool["functionDeclarations"])).collect();
    let calling = &inner["toolConfig"]["functionCallingConfig"];
    let mode = calling["mode"].as_str().unwrap_or("AUTO");
    let allowed = list(&calling["allowedFunctionNames"]);
    let usable: Vec<&Value> =
        declared.into_iter().filter(|one| allowed.is_empty() || allowed.contains(&one["name"])).collect();
    if usable.is_empty() || mode == "NONE" {
        return Vec::new();
    }
    let contents = list(&inner["contents"]);
    let start = turn_start(contents);
    let done = contents[start..].iter().filter(|content| has(content, "functionCall")).count();
    let said = contents.get(start.wrapping_sub(1)).map(content_text).unwrap_or_default();
    let steps: Vec<&str> = said.split(" then ").filter(|step| step.contains("call:")).collect();
    let calls = steps.get(done).map(|step| calls_in(step, &usable)).unwrap_or_default();
    if calls.is_empty() && mode == "ANY" && done == 0 {
        let first = usable[0];
        return vec![(text(&first["name"]).to_string(), made_up(first))];
    }
    calls
}

fn calls_in(step: &str, usable: &[&Value]) -> Vec<(String, Value)> {
    let mut calls = Vec::new();
    for rest in step.split("call:").skip(1) {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_-.:".contains(c))).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', ':']);
        let Some(declared) = usable.iter().find(|one| one["name"] == json!(name)) else { continue };
        let given = serde_json::Deserializer::from_str(&rest[end..]).into_iter::<Value>().next();
        let given = given.and_then(Result::ok).filter(Value::is_object);
        calls.push((name.to_string(), given.unwrap_or_else(|| made_up(declared))));
    }
    calls
}

fn made_up(declared: &Value) -> Value {
    let schema = declared.get("parametersJsonSchema").or(declared.get("parameters"));
    schema.map(|schema| instance(schema, schema, 0)).filter(Value::is_object).unwrap_or_else(|| json!({}))
}

/// Calls as Vertex AI sends them where arguments in pieces were asked for: an opening part, each value at its path with
/// strings in two pieces, and an empty call at the end.
pub fn in_pieces(parts: Vec<Value>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece = |part: Value| pieces.push(Piece { parts: vec![part], finish: None });
    for mut part in parts {
        let Some(call) = part.get_mut("functionCall").and_then(Value::as_object_mut) else {
            piece(part);
            continue;
        };
        let args = call.remove("args").unwrap_or_default();
        call.insert("willContinue".into(), json!(true));
        piece(part);
        leaves("$".into(), &args, &mut |value| {
            piece(json!({"functionCall": {"partialArgs": [value], "willContinue": true}}));
        });
        piece(json!({"functionCall": {}}));
    }
    pieces
}

fn leaves(path: String, value: &Value, take: &mut dyn FnMut(Value)) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(format!("{path}.{name}"), value, take)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| leaves(format!("{path}[{at}]"), value, take))
        }
        Value::String(text) => {
            let letters: Vec<char> = text.chars().collect();
            let (first, last) = letters.split_at(letters.len() / 2);
            take(json!({"jsonPath": path, "stringValue": String::from_iter(first), "willContinue": true}));
            take(json!({"jsonPath": path, "stringValue": String::from_iter(last)}));
        }
        Value::Number(number) => take(json!({"jsonPath": path, "numberValue": number})),
        Value::Bool(flag) => take(json!({"jsonPath": path, "boolValue": flag})),
        Value::Null => take(json!({"jsonPath": path, "nullValue": "NULL_VALUE"})),
    }
}
