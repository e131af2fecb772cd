//! What Google enforces of every schema, whatever it says.

use serde_json::{Map, Value};

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Every keyword that may be in a schema for `parametersJsonSchema`, and in one for `parameters`.
const KEYWORDS: [&str; 16] = [
    "type",
    "format",
    "title",
    "description",
    "enum",
    "properties",
    "required",
    "propertyOrdering",
    "additionalProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
];

/// What is wrong with a clean JSON schema, as Google sees it.
pub fn faults(schema: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(map) = schema.as_object() else { return faults.push(format!("{at} is no object")) };
    for keyword in map.keys().filter(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        faults.push(format!("{at} has {keyword}"));
    }
    let is = |name: &str| map.get("type").is_some_and(|kind| kind == name || list(Some(kind)).contains(&name.into()));
    if is("array") && !map.contains_key("items") && !map.contains_key("prefixItems") {
        faults.push(format!("{at} is an array without items"));
    }
    let properties = map.get("properties").map(|properties| properties.as_object().unwrap());
    if properties.is_some_and(Map::is_empty) || (properties.is_some() && !is("object")) {
        faults.push(format!("{at} has properties in vain"));
    }
    for keyword in ["required", "propertyOrdering", "enum", "anyOf", "prefixItems"] {
        let Some(list) = map.get(keyword).map(|list| list.as_array().unwrap()) else { continue };
        let unique = (1..list.len()).all(|at| !list[..at].contains(&list[at]));
        let exist = |name: &Value| properties.is_some_and(|properties| properties.contains_key(name.as_str().unwrap()));
        let fits = match keyword {
            "required" | "propertyOrdering" => unique && list.iter().all(exist),
            "enum" => {
                let texts = is("string") && list.iter().all(|value| value.as_str().is_some_and(|s| !s.is_empty()));
                unique && (texts || (is("number") || is("integer")) && list.iter().all(Value::is_number))
            }
            "anyOf" => unique && list.len() > 1,
            _ => true,
        };
        if list.is_empty() || !fits {
            faults.push(format!("{at} has a bad {keyword}"));
        }
    }
    for (name, property) in properties.into_iter().flatten() {
        self::faults(property, &format!("{at}.{name}"), faults);
    }
    for keyword in ["items", "anyOf", "prefixItems", "additionalProperties"] {
        match map.get(keyword) {
            Some(Value::Bool(true)) if keyword == "additionalProperties" => {}
            Some(Value::Array(members)) => {
                members.iter().for_each(|member| self::faults(member, &format!("{at}.{keyword}"), faults));
            }
            Some(member) => self::faults(member, &format!("{at}.{keyword}"), faults),
            None => {}
        }
    }
}

/// What is wrong with a schema in the OpenAPI subset.
pub fn openapi_faults(schema: &Value, at: &str, faults: &mut Vec<String>) {
    let map = schema.as_object().unwrap();
    for keyword in map.keys() {
        let json_only = ["prefixItems", "additionalProperties"].contains(&keyword.as_str());
        let known = (KEYWORDS.contains(&keyword.as_str()) && !json_only) || keyword == "nullable";
        if !known || (map.contains_key("anyOf") && keyword != "anyOf") {
            faults.push(format!("{at} has {keyword}"));
        }
    }
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "OBJECT" && !map.contains_key("properties") && at.contains('.') {
        faults.push(format!("{at} is an object without properties"));
    }
    let typed = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"].contains(&kind);
    if typed == map.contains_key("anyOf") || (kind == "ARRAY") != map.contains_key("items") {
        faults.push(format!("{at} has type {kind}"));
    }
    for (keyword, owner) in
        [("enum", "STRING"), ("properties", "OBJECT"), ("required", "OBJECT"), ("minItems", "ARRAY")]
    {
        if map.contains_key(keyword) && kind != owner {
            faults.push(format!("{at} has {keyword} and is {kind}"));
        }
    }
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        openapi_faults(property, &format!("{at}.{name}"), faults);
    }
    map.get("items").iter().for_each(|items| openapi_faults(items, &format!("{at}.items"), faults));
    for member in list(map.get("anyOf")) {
        openapi_faults(member, &format!("{at}.anyOf"), faults);
    }
}
