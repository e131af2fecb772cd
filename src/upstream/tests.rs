//! Bodies as they are sent: each line has what `service` is asked (`operation`, `in`, and unless it is the usual one the `model`)
//! and the whole body (`out`); beside it a `project`, and for Vertex AI the `method` and the `tier` in the header.

#[cfg(feature = "vertex")]
use super::vertex;
use super::{code_assist, generative_language};
use crate::api::{Call, Operation};
use serde_json::Value;

const CASES: &str = include_str!("../../tests/fixtures/upstream/bodies.jsonl");

#[test]
fn each_service_is_sent_what_it_takes() {
    let failing: Vec<String> = CASES.lines().filter_map(difference).collect();
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

fn difference(line: &str) -> Option<String> {
    let case: Value = serde_json::from_str(line).unwrap();
    let operation = match case["operation"].as_str().unwrap() {
        "generate" => Operation::Generate,
        "stream" => Operation::Stream,
        "count" => Operation::CountTokens,
        "embed" => Operation::Embed,
        "batch" => Operation::BatchEmbed,
        other => panic!("{other}"),
    };
    let model = case["model"].as_str().unwrap_or("gemini-2.5-pro");
    let call = Call::new(model, operation, serde_json::from_value(case["in"].clone()).unwrap());
    let (body, method, tier) = match case["service"].as_str().unwrap() {
        "code_assist" => (code_assist::body_of(&call, case["project"].as_str()), operation.method(), None),
        "public" => (generative_language::body_of(&call), operation.method(), None),
        #[cfg(feature = "vertex")]
        "vertex" => (vertex::body::of(&call), vertex::method(&call), vertex::body::tier(&call.request)),
        _ => return None,
    };
    let sent = serde_json::from_slice::<Value>(&body).unwrap();
    let is_as_told = sent == case["out"]
        && case["method"].as_str().is_none_or(|told| told == method)
        && case["tier"].as_str() == tier;
    (!is_as_told).then(|| format!("{}: {method} {tier:?} {sent}", case["title"]))
}
