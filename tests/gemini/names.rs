//! `fixtures/models/names.jsonl`: a requested name (`name`), read with the entries of [`table`] and the patterns of `routes`,
//! becomes what `out` says, null where nobody has that name.

use super::ask;
use crate::common::translation::{check, differs};
use gemini_openai_proxy::gemini::models::{ModelEntry, ModelTable, Serving};
use gemini_openai_proxy::gemini::thinking::{Control, Level};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

fn entry(name: &str, alias_of: Option<&str>, thinking: Option<Control>) -> ModelEntry {
    ModelEntry { name: name.into(), alias_of: alias_of.map(str::to_owned), thinking }
}

fn table() -> ModelTable {
    ModelTable::new(&[
        entry("gpt-4o", Some("gemini-2.5-flash"), None),
        entry("openai/o3", Some("models/gemini-2.5-pro-maxthinking"), None),
        entry("fast", Some("gpt-4o-nothinking"), None),
        entry("gemini-3-pro-preview", Some("gemini-3-pro-preview-high"), None),
        entry("loop-a", Some("loop-b"), None),
        entry("loop-b", Some("loop-a"), None),
        entry("lost", Some("claude-9"), None),
        entry("next", Some("gemini-9-ultra"), Some(Control::None)),
        entry("house-model", None, Some(Control::Levels(vec![Level::Low].into()))),
    ])
}

#[test]
fn names_are_read_as_their_fixtures_say() {
    check("models", "names", |case| {
        let mut table = table();
        if let Some(routes) = case.get("routes") {
            table.route(&serde_json::from_value::<Vec<(String, String)>>(routes.clone()).unwrap());
        }
        let out = &case["out"];
        let Some(found) = table.resolve(case["name"].as_str().unwrap()) else {
            return if out.is_null() { Ok(()) } else { Err("is not read".into()) };
        };
        let model = &found.model;
        let mut expected = out.clone();
        if let Some(thinking) = expected.as_object_mut().and_then(|out| out.remove("thinking"))
            && ask(&thinking) != found.thinking
        {
            return Err(format!("asks for {:?}, not {thinking}", found.thinking));
        }
        let read = json!({"model": model.name, "base": found.base, "search": found.search, "known": model.known});
        differs(&expected, &read, "out").map_or(Ok(()), Err)
    });
}

#[test]
fn the_config_says_how_its_models_think() {
    assert_eq!(table().resolve("next").unwrap().model.thinking, Control::None);
    assert!(table().resolve("house-model").unwrap().model.gemini3);
}

#[test]
fn the_ids_the_old_program_listed_are_still_listed() {
    let table = ModelTable::new(&[]);
    let mut ids = Vec::new();
    for model in table.list() {
        let variants = table.variants(&model);
        if !variants.is_empty() {
            ids.push(model.name);
            ids.extend(variants);
        }
    }
    ids.sort();
    let mut expected = Vec::new();
    for base in ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-pro-preview-05-06"] {
        expected.extend(["", "-maxthinking", "-nothinking", "-search"].map(|suffix| format!("{base}{suffix}")));
    }
    expected.sort();
    assert_eq!(ids, expected);
    for id in ids {
        assert!(table.resolve(&id).unwrap().model.known, "{id}");
    }
}

#[test]
fn lists_are_sorted_hold_aliases_that_lead_somewhere_and_no_embeddings() {
    let listed: Vec<String> = table().list().into_iter().map(|model| model.name).collect();
    assert!(listed.is_sorted());
    for name in ["fast", "gpt-4o", "house-model", "next", "openai/o3", "gemini-3-pro-preview", "gemini-3.7-flash"] {
        assert_eq!(listed.iter().filter(|listed| *listed == name).count(), 1, "{name}");
    }
    for name in ["lost", "loop-a", "gemini-embedding-001"] {
        assert!(!listed.iter().any(|listed| listed == name), "{name}");
    }
    let embeddings: Vec<String> = table().embeddings().into_iter().map(|model| model.name).collect();
    assert_eq!(embeddings, ["gemini-embedding-001"]);
    assert!(table().resolve("models/gemini-embedding-001").unwrap().model.embedding);
}

#[test]
fn a_name_of_nothing_but_suffixes_does_not_exhaust_the_stack() {
    let name = format!("gemini-4-pro{}", "-search".repeat(10_000));
    assert_eq!(table().resolve(&name[..96]).map(|found| found.search), Some(true));
    assert_eq!(table().resolve(&name), None);
}

#[test]
fn names_that_have_moved_follow_the_rules_of_what_serves_them() {
    let at = |name: &str, day: u64| {
        let serving = Serving::at(UNIX_EPOCH + Duration::from_secs(day * 86_400));
        ModelTable::new(&[]).serving(&Arc::new(serving)).resolve(name).unwrap().model
    };
    // 2026-10-08 is day 20,734, 2026-12-01 is day 20,788.
    for (name, newer, day) in [
        ("gemini-3.5-flash", "gemini-3.6-flash", 20_734),
        ("gemini-3.7-flash", "gemini-3.8-flash", 20_734),
        ("gemini-2.5-pro", "gemini-3.8-flash", 20_788),
        ("gemini-2.5-flash", "gemini-3.5-flash-lite", 20_788),
    ] {
        let (before, after, wanted) = (at(name, day - 1), at(name, day), at(newer, day));
        assert_eq!((before.served_by(), after.served_by()), (name, newer));
        assert_eq!((before.name.as_str(), after.name.as_str()), (name, name), "Google is asked for the name");
        assert_eq!((after.thinking, after.fixed_sampling), (wanted.thinking, wanted.fixed_sampling), "{name}");
    }
    assert!(!at("gemini-3.5-flash", 20_733).fixed_sampling && at("gemini-3.5-flash", 20_734).fixed_sampling);
    assert!(at("gemini-3.5-flash-search", 20_734).fixed_sampling, "a variant moves with its model");
    let thinking = Some(Control::Levels(vec![Level::Low].into()));
    let entry = ModelEntry { name: "gemini-3.5-flash".into(), alias_of: None, thinking: thinking.clone() };
    let own = ModelTable::new(&[entry]).resolve("gemini-3.5-flash").unwrap().model;
    assert_eq!(Some(own.thinking), thinking, "what the config says stays");
}
