//! The table of docs/schema.md "What becomes of each keyword", walked row by row: `fixtures/schema/keywords.jsonl` has
//! examples of each row, and what the code does with them are the bold words of its cells.

use crate::common::translation::World;
use gemini_openai_proxy::api::gemini::GeminiSurface;
use gemini_openai_proxy::gemini::schema::{json, openapi, parameters};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a keyword.
fn fate(keyword: &str, node: &Value, clean: &dyn Fn(Value) -> Value) -> &'static str {
    let mut without = node.clone();
    without.as_object_mut().unwrap().shift_remove(keyword);
    let (with, without) = (clean(node.clone()), clean(without));
    let plain = |schema: &Value| {
        let mut schema = schema.clone();
        schema.as_object_mut().map(|fields| fields.shift_remove("description"));
        schema
    };
    let has_hint = with["description"].as_str().is_some_and(|text| text.ends_with(')'));
    match () {
        () if with == without => "dropped",
        () if with.get(keyword).is_some_and(|kept| *kept == node[keyword]) => "kept",
        () if has_hint && plain(&with) == plain(&without) => "hint",
        () if has_hint => "turned with a hint",
        () => "turned",
    }
}

/// The node as a property of a function's parameters.
fn inside(root: &Value) -> Value {
    root["properties"]["a"].clone()
}

fn as_property(node: Value) -> Value {
    let definitions = ["$defs", "definitions"].into_iter().filter_map(|name| Some((name, node.get(name)?.clone())));
    let mut root = json!({"type": "object"});
    definitions.for_each(|(name, value)| root[name] = value);
    root["properties"] = json!({"a": node});
    root
}

#[test]
fn the_table_says_of_every_keyword_what_the_code_does() {
    let page = include_str!("../../docs/schema.md");
    let table = page.split("## What becomes of each keyword\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = (table.lines())
        .filter(|line| line.starts_with("| `") || line.starts_with("| the "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[0], cells[1..].to_vec()))
        .collect();
    let mut found: BTreeMap<String, [BTreeSet<&str>; 3]> = BTreeMap::new();
    let mut natives = Vec::new();
    for line in include_str!("../fixtures/schema/keywords.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (keyword, node) = (line["keyword"].as_str().unwrap(), &line["in"]);
        let as_parameters = |node: Value| inside(&parameters(as_property(node)).schema.unwrap_or_default());
        let fates = [
            fate(keyword, node, &as_parameters),
            fate(keyword, node, &|node| inside(&openapi(as_property(node)))),
            fate(keyword, node, &|node| inside(&json(as_property(node)))),
        ];
        assert_eq!(fates[0], fates[2], "parametersJsonSchema and responseJsonSchema are one dialect: {line}");
        let row = found.entry(line["row"].as_str().unwrap().to_owned()).or_default();
        row.iter_mut().zip(fates).for_each(|(words, fate)| _ = words.insert(fate));
        natives.push(as_property(node.clone()));
    }
    let mut wrong = Vec::new();
    for (row, fates) in &found {
        let cells = rows.get(row.as_str()).cloned().unwrap_or_default();
        for (column, fates) in fates[..2].iter().enumerate() {
            let cell = cells.get(column).copied().unwrap_or_default();
            let said: BTreeSet<&str> = cell.split("**").skip(1).step_by(2).collect();
            if said != *fates {
                wrong.push(format!("{row}, column {column}: says {said:?}, is {fates:?}"));
            }
        }
        if cells.get(2) != Some(&"**kept**") {
            wrong.push(format!("{row}: the native column"));
        }
    }
    wrong.extend(rows.keys().filter(|row| !found.contains_key(**row)).map(|row| format!("{row}: no example")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let functions: Vec<Value> = (natives.iter().enumerate())
        .map(|(at, schema)| json!({"name": format!("f{at}"), "parametersJsonSchema": schema}))
        .collect();
    let config = json!({"responseMimeType": "application/json", "responseJsonSchema": natives[0]});
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "tools": [{"functionDeclarations": functions}], "generationConfig": config});
    let surface = GeminiSurface { model: "gemini-2.5-flash".into(), method: "generateContent".into(), sse: false };
    let mut exchange = World::new(Box::leak(Box::new(surface))).parse(body.to_string()).unwrap();
    let sent = serde_json::to_value(&exchange.call().request).unwrap();
    let schema = "/generationConfig/responseJsonSchema";
    assert_eq!(sent.pointer(schema), body.pointer(schema));
    for (at, function) in functions.iter().enumerate() {
        assert_eq!(sent["tools"][0]["functionDeclarations"][at], *function, "unchanged");
    }
}
