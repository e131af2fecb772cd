//! The cases are data: `fixtures/schema/cases.jsonl` says what becomes of a schema, `wild.jsonl` holds schemas as real
//! programs send them, of which only the rules that Google enforces are checked.

use super::schema_rules::{faults, openapi_faults};
use crate::common::numbers::Numbers;
use gemini_openai_proxy::gemini::schema::{Parameters, json, minimal, openapi, parameters};
use serde_json::{Map, Value, json};

const CASES: &str = include_str!("../fixtures/schema/cases.jsonl");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_case_comes_out_as_its_fixture_says_and_stays_so() {
    let mut wrong = Vec::new();
    for case in lines(CASES) {
        let clean = |schema: Value| match case["dialect"].as_str().unwrap() {
            "parameters" => parameters(schema).schema.unwrap_or_default(),
            "json" => json(schema),
            "openapi" => openapi(schema),
            other => panic!("dialect {other}"),
        };
        let cleaned = clean(case["in"].clone());
        if cleaned != case["out"] {
            wrong.push(format!("{}\n  is {cleaned}\n  not {}", case["title"], case["out"]));
        } else if case["dialect"] != "openapi" && clean(cleaned.clone()) != cleaned {
            wrong.push(format!("{}: a second time gives {}", case["title"], clean(cleaned)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const WILD: &str = include_str!("../fixtures/schema/wild.jsonl");

#[test]
fn schemas_of_real_programs_keep_googles_rules_and_stay_as_they_are_a_second_time() {
    let mut wrong = Vec::new();
    for line in lines(WILD) {
        let title = line["title"].as_str().unwrap();
        let Parameters { schema: Some(cleaned), .. } = parameters(line["schema"].clone()) else {
            panic!("{title}: nothing left");
        };
        faults(&cleaned, title, &mut wrong);
        let again = parameters(cleaned.clone());
        if again != (Parameters { schema: Some(cleaned.clone()), wrapped: false }) {
            wrong.push(format!("{title}: {cleaned}\n  becomes {again:?}"));
        }
        let response = json(line["schema"].clone());
        faults(&response, title, &mut wrong);
        if json(response.clone()) != response {
            wrong.push(format!("{title}: response {response}\n  becomes {}", json(response.clone())));
        }
        openapi_faults(&openapi(line["schema"].clone()), &format!("{title} (openapi)"), &mut wrong);
        openapi_faults(&openapi(cleaned.clone()), &format!("{title} (openapi)"), &mut wrong);

        let least = minimal(cleaned);
        faults(&least, &format!("{title} (minimal)"), &mut wrong);
        let text = least.to_string();
        for keyword in
            ["\"anyOf\":[", "\"format\":\"", "\"minimum\":", "\"maxItems\":", "\"prefixItems\":[", "\"null\""]
        {
            if text.contains(keyword) {
                wrong.push(format!("{title} (minimal) has {keyword}"));
            }
        }
        if minimal(least.clone()) != least {
            wrong.push(format!("{title} (minimal): {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_recursive_type_is_repeated_twice_and_then_named() {
    let tree = json!({"type": "object", "properties": {"v": {"type": "string"}, "next": {"$ref": "#"}}});
    let cleaned = parameters(tree).schema.unwrap();
    let cut = "/properties/next/properties/next/properties/next";
    assert_eq!(cleaned.pointer("/properties/next/properties/next/properties/v/type").unwrap(), "string");
    assert_eq!(
        *cleaned.pointer(cut).unwrap(),
        json!({"type": "object", "description": "(recursive: same shape as the root)"})
    );

    let list = json!({"$ref": "#/$defs/List", "$defs": {"List": {"type": "object", "required": ["of"], "properties": {
        "of": {"type": "array", "items": {"$ref": "#/$defs/List"}}
    }}}});
    let cleaned = parameters(list).schema.unwrap();
    assert!(cleaned.to_string().contains("(recursive: same shape as List)"));
    assert_eq!(cleaned["required"], json!(["of"]));
}

#[test]
fn a_type_that_requires_itself_is_not_required_where_it_is_cut() {
    let schema = json!({"$ref": "#/$defs/A", "$defs": {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}, "required": ["b"]},
        "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}
    }});
    let mut node = parameters(schema).schema.unwrap();
    assert_eq!(node["type"], "object");
    let mut levels = 0;
    while let Some(Value::Object(properties)) = node.get("properties") {
        let (name, next) = properties.iter().next().unwrap();
        let ends = next.get("properties").is_none();
        assert_eq!(node.get("required").is_none(), ends, "{name} at {levels}");
        node = next.clone();
        levels += 1;
    }
    assert_eq!(levels, 6);
}

#[test]
fn properties_stay_in_the_order_of_the_schema() {
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}, "m": {}}});
    let cleaned = parameters(schema).schema.unwrap();
    let names: Vec<&String> = cleaned["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn a_root_that_is_no_object_is_wrapped_and_a_root_that_says_nothing_is_left_out() {
    for root in [
        json!({"type": "string"}),
        json!({"type": "array"}),
        json!({"anyOf": [{"type": "string"}, {"type": "object"}]}),
    ] {
        let wrapped = parameters(root);
        assert!(wrapped.wrapped);
        assert_eq!(wrapped.schema.unwrap()["required"], json!(["input"]));
    }
    let nothings = [
        json!({}),
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!(""),
        json!("no json"),
        json!("{}"),
        json!(7),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}, "additionalProperties": false}),
        json!({"description": "nothing"}),
        json!({"type": "object", "properties": {"a": false}}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/nowhere"}),
        json!({"anyOf": [{"type": "object"}, {"type": "object", "properties": {}}]}),
    ];
    for nothing in nothings {
        assert_eq!(parameters(nothing.clone()), Parameters::default(), "{nothing}");
    }
}

#[test]
fn hostile_schemas_end_soon_in_a_small_stack_and_a_bounded_size() {
    let nested = |open: &str, close: &str| -> Value {
        let levels = 120 / open.matches(['{', '[']).count();
        serde_json::from_str(&format!("{}{{}}{}", open.repeat(levels), close.repeat(levels))).unwrap()
    };
    let wide = |of: &dyn Fn(usize) -> Value, count: usize| -> Value {
        Value::Object((0..count).map(|number| (format!("p{number}"), of(number))).collect())
    };
    let doubling = |width: usize| {
        let level = |number: usize| json!({"type": "object", "properties": wide(&|_| json!({"$ref": format!("#/$defs/p{}", number + 1)}), width)});
        json!({"$ref": "#/$defs/p0", "$defs": wide(&level, 40)})
    };
    let chain =
        json!({"$ref": "#/$defs/p0", "$defs": wide(&|n| json!({"$ref": format!("#/$defs/p{}", n + 1)}), 20_000)});
    let knot = json!({"type": "object", "$defs": wide(&|_| {
        json!({"type": "object", "properties": wide(&|n| json!({"$ref": format!("#/$defs/p{n}")}), 20)})
    }, 20), "properties": {"a": {"$ref": "#/$defs/p0"}}});
    let names: Vec<String> = (0..50_000).map(|number| format!("p{number}")).collect();
    let schemas = vec![
        nested(r#"{"type":"object","properties":{"a":"#, "}}"),
        nested(r#"{"items":"#, "}"),
        nested(r#"{"anyOf":[{"type":"string"},"#, "]}"),
        nested(r#"{"allOf":["#, "]}"),
        nested(r#"{"oneOf":["#, "]}"),
        nested(r#"{"not":"#, "}"),
        doubling(2),
        doubling(12),
        chain,
        knot,
        json!({"type": "object", "properties": wide(&|_| json!({"type": "string"}), 50_000), "required": names}),
        json!({"type": "object", "properties": {"a": {"enum": names, "type": "string"}}}),
        json!({"type": "object", "properties": {"a": {"allOf": vec![json!({"$ref": "#"}); 1000]}}}),
    ];
    let work = move || {
        for (number, schema) in schemas.into_iter().enumerate() {
            let mut wrong = Vec::new();
            let cleaned = json(schema.clone());
            faults(&cleaned, "root", &mut wrong);
            assert!(wrong.is_empty(), "schema {number}: {wrong:?}");
            assert!(cleaned.to_string().len() < 1 << 20, "schema {number}");
            openapi(schema.clone());
            parameters(schema);
            minimal(cleaned);
        }
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(work).unwrap();
    thread.join().unwrap();
}

#[test]
fn the_plainest_form_of_a_choice_keeps_what_stands_beside_it() {
    let schema = json!({"type": "object", "description": "D", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "anyOf": [{"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}, {"type": "null"}]});
    let plainest = json!({"type": "object", "description": "D", "required": ["b", "a"],
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    assert_eq!(minimal(schema), plainest);
}

fn word(numbers: &mut Numbers, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    words[numbers.below(words.len())].to_owned()
}

fn value(numbers: &mut Numbers) -> Value {
    let values = json!(["x", "", 1, 2.5, -3, true, null, [1], {"a": 1}, "date-time", "int32", 1e300]);
    values[numbers.below(12)].clone()
}

/// Any schema, valid or not: keywords with values that belong to them and with some that do not.
fn random_schema(numbers: &mut Numbers, depth: usize) -> Value {
    const KEYWORDS: &str = "type type types properties properties required items tuple prefixItems anyOf oneOf allOf enum const \
                            $ref nullable minimum exclusiveMaximum format pattern minItems title description \
                            additionalProperties patternProperties default not $defs propertyOrdering maxLength multipleOf x-a";
    const TYPES: &str = "string number integer boolean array object null STRING any";
    const NAMES: &str = "a type $ref format items";
    const REFERENCES: &str = "# #/$defs/a #/$defs/type #/properties/a #/nope https://x/y";
    if depth == 0 || numbers.below(12) == 0 {
        let plain = json!([true, false, {}, {"type": "string"}, null, "x", {"not": {}}]);
        return plain[numbers.below(7)].clone();
    }
    let inner = |numbers: &mut Numbers| random_schema(numbers, depth - 1);
    let schemas = |numbers: &mut Numbers| (0..numbers.below(4)).map(|_| inner(numbers)).collect::<Value>();
    let words = |numbers: &mut Numbers, of: &str| (0..numbers.below(4)).map(|_| word(numbers, of)).collect::<Value>();
    let mut schema = Map::new();
    for _ in 0..=numbers.below(4) {
        let keyword = word(numbers, KEYWORDS);
        let (keyword, value) = match keyword.as_str() {
            "type" => ("type", word(numbers, TYPES).into()),
            "types" => ("type", words(numbers, TYPES)),
            "properties" | "patternProperties" | "$defs" => {
                let fields = (0..numbers.below(4)).map(|_| (word(numbers, NAMES), inner(numbers)));
                (keyword.as_str(), Value::Object(fields.collect()))
            }
            "required" | "propertyOrdering" => (keyword.as_str(), words(numbers, NAMES)),
            "items" | "not" | "additionalProperties" => (keyword.as_str(), inner(numbers)),
            "tuple" => ("items", schemas(numbers)),
            "prefixItems" | "anyOf" | "oneOf" | "allOf" => (keyword.as_str(), schemas(numbers)),
            "enum" => ("enum", (0..numbers.below(5)).map(|_| value(numbers)).collect()),
            "$ref" => ("$ref", word(numbers, REFERENCES).into()),
            other => (other, value(numbers)),
        };
        schema.insert(keyword.into(), value);
    }
    schema.into()
}

#[test]
fn whatever_a_schema_says_it_comes_out_by_googles_rules_and_stays_so() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut wrong = Vec::new();
    for _ in 0..3000 {
        let schema = random_schema(&mut numbers, 4);
        let mut found = Vec::new();
        let cleaned = json(schema.clone());
        faults(&cleaned, "json", &mut found);
        let again = json(cleaned.clone());
        if again != cleaned {
            found.push(format!("{cleaned}\n  becomes {again}"));
        }
        openapi_faults(&openapi(schema.clone()), "openapi", &mut found);
        faults(&minimal(cleaned), "minimal", &mut found);
        if let Parameters { schema: Some(cleaned), .. } = parameters(schema.clone()) {
            faults(&cleaned, "parameters", &mut found);
            if cleaned["type"] != "object"
                || (cleaned.get("properties").or(cleaned.get("additionalProperties"))).is_none()
                || cleaned.get("anyOf").is_some()
            {
                found.push(format!("root {cleaned}"));
            }
            let again = parameters(cleaned.clone()).schema;
            if again.as_ref() != Some(&cleaned) {
                found.push(format!("{cleaned}\n  becomes {again:?}"));
            }
            faults(&minimal(cleaned), "minimal", &mut found);
        }
        if !found.is_empty() {
            wrong.push(format!("{schema}\n  {}", found.join("\n  ")));
        }
    }
    wrong.sort_by_key(String::len);
    assert!(wrong.is_empty(), "{} wrong, the shortest is {}", wrong.len(), wrong[0]);
}
