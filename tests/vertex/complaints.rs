//! The ten things that users of other programs complained of (docs/vertex.md "Complaints of users"), by number.

use super::*;
use crate::common::script::file;

const PAGE: &str = include_str!("../../docs/vertex.md");

/// The tests that hold each of them.
const TESTS: [(&str, &[&str]); 10] = [
    ("`global` builds `global-aiplatform`", &["each_kind_of_location_has_its_host"]),
    (
        "`us` and `eu`",
        &["each_kind_of_location_has_its_host", "the_next_location_serves_what_one_does_not_have_or_has_no_room_for"],
    ),
    (
        "Express keys",
        &[
            "an_express_key_needs_neither_project_nor_place",
            "google_genai_generates_streams_calls_tools_counts_lists_and_embeds",
        ],
    ),
    (
        "The role",
        &[
            "every_difference_in_the_body_is_kept_by_both_services",
            "a_check_counts_tokens_and_names_the_role_that_is_missing",
        ],
    ),
    ("`id`", &["calls_keep_their_ids_until_they_are_refused"]),
    (
        "thought_signature",
        &[
            "a_conversation_with_signatures_stays_on_its_service",
            "tools_over_three_rounds_need_no_signature_of_the_client",
        ],
    ),
    ("429 inside the quota", &["full_locations_rest_for_seconds_and_the_client_hears_for_how_long"]),
    ("One blocked account", &["a_blocked_account_stops_nobody_else_and_is_named"]),
    ("Import of a service account's JSON", &["another_key_of_the_same_account_takes_its_place_also_after_a_removal"]),
    ("Batch with global", &["batches_say_which_credential_they_need_and_no_place_is_made_up"]),
];

#[test]
fn each_of_the_ten_complaints_has_its_tests() {
    let list = PAGE.split("\n## Complaints of users\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let complaints: Vec<&str> = list
        .lines()
        .filter_map(|line| {
            line.split_once(". ").filter(|(number, _)| number.parse::<u32>().is_ok()).map(|(_, text)| text)
        })
        .collect();
    assert_eq!(complaints.len(), TESTS.len());
    let folder = std::fs::read_dir(file("vertex")).unwrap().map(|entry| entry.unwrap().path());
    let sources =
        folder.chain([file("../src/credentials/place.rs")]).map(|path| std::fs::read_to_string(path).unwrap());
    let sources: String = sources.collect();
    for (complaint, (begins, tests)) in complaints.iter().zip(TESTS) {
        assert!(complaint.starts_with(begins), "{complaint}");
        for name in tests {
            assert!(sources.contains(&format!("fn {name}()")), "{complaint}: {name} is no test");
        }
    }
}

#[test]
fn tools_over_three_rounds_need_no_signature_of_the_client() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    // Which model serves the name is learned of the first answer, and signatures are for one.
    assert_eq!(chat(&proxy, MODEL).status, 200);
    let tools =
        json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]);
    let mut messages = vec![json!({"role": "user", "content": "call:look{} then call:look{} then call:look{}"})];
    for round in 0..4 {
        let answer = ask(&proxy, &json!({"model": MODEL, "tools": tools, "messages": messages}));
        assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        let answer = answer.json();
        let calls = answer["choices"][0]["message"]["tool_calls"].clone();
        if round == 3 {
            assert_eq!(answer["choices"][0]["finish_reason"], "stop");
            break;
        }
        let id = calls[0]["id"].as_str().unwrap().to_owned();
        // Only what OpenAI's own types have goes back.
        let plain = json!([{"id": id, "type": "function", "function": calls[0]["function"]}]);
        messages.push(json!({"role": "assistant", "tool_calls": plain}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "done"}));
    }
    assert_eq!(google.generations_count(), 5, "none was refused and repaired");
}

#[test]
fn batches_say_which_credential_they_need_and_no_place_is_made_up() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    for path in ["/v1beta/models/gemini-3.5-flash:batchGenerateContent", "/v1beta/batches/abc"] {
        let method = if path.ends_with("abc") { "GET" } else { "POST" };
        let answer = http::ask(&proxy, method, path, &[], if method == "POST" { b"{}" } else { b"" });
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.text().contains("API key"), "{path}: {}", answer.text());
    }
    assert!(google.requests().iter().all(|request| !request.path.contains("atch")), "Google is not asked");
}
