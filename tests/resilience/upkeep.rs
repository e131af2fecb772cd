//! What the program does by itself while nobody asks: quotas, lists of models, idle credentials.

use super::{PATIENCE, ask, get, post, short, start, wait_for};
use crate::common::google::{FakeGoogle, Step, Tier};
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::json;
use std::time::Duration;

#[test]
fn an_accounts_quota_is_asked_once_and_a_key_has_none() {
    let google = FakeGoogle::start();
    let proxy = start(&google, &["u0@example.com".into(), "AIza-key-0001".into()], Tuning::default());
    let first = get(&proxy, "/admin/credentials/cred-0/quota");
    assert_eq!(first.status, 200, "{}", first.body);
    assert!(first.body["fetched_at"].is_string());
    let bucket = &first.body["buckets"][0];
    assert!(bucket["model"].is_string() && bucket["remaining_fraction"] == 1.0 && bucket["reset_time"].is_string());
    assert_eq!(get(&proxy, "/admin/credentials/cred-0/quota").body, first.body);
    assert_eq!(google.count("/v1internal:retrieveUserQuota"), 1);
    let key = get(&proxy, "/admin/credentials/cred-1/quota");
    assert_eq!(key.status, 400);
    assert!(key.body["detail"].as_str().unwrap().contains("not available for API keys"), "{}", key.body);
    assert_eq!(get(&proxy, "/admin/credentials/cred-9/quota").status, 404);
    google.revoke("u0@example.com");
    assert_eq!(google.generations().len(), 0);
}

#[test]
fn models_that_google_lists_are_known() {
    let google = FakeGoogle::start();
    let model = google.read(|state| state.models.iter().find(|model| model.id == "gemini-2.5-flash").unwrap().clone());
    google.add_model(crate::common::google::Model { id: "aurora-1".into(), ..model });
    let proxy = start(&google, &["AIza-key-0001".into()], Tuning::default());
    let listed = |path: &str| get(&proxy, path).body.to_string().contains("aurora-1");
    wait_for("the list", || listed("/v1/models"));
    assert!(listed("/v1beta/models"));
    let entry = get(&proxy, "/v1/models/aurora-1");
    // Google tells the limits, and nothing of what it reads.
    assert_eq!((entry.status, entry.body["context_length"].is_u64()), (200, true), "{}", entry.body);
    assert!(entry.body.get("architecture").is_none(), "{}", entry.body);
    let told = post(&proxy.base(), &[], &json!({"model": "aurora-1", "messages": [{"role": "user", "content": "Hi"}]}));
    assert_eq!(told.status, 200, "{}", told.body);
    // A name that nobody knows is of the newest generation, whose answers are streamed.
    assert_eq!(google.last_generation().path, "/v1beta/models/aurora-1:streamGenerateContent");
}

#[test]
fn a_list_that_does_not_come_blocks_nothing() {
    let google = FakeGoogle::start();
    google.always("*", Step::hang().on("models"));
    let proxy = start(&google, &["AIza-key-0001".into()], Tuning::default());
    assert_eq!(get(&proxy, "/v1/models").status, 200);
    assert_eq!(ask(&proxy).status, 200);
    google.release();
}

#[test]
fn idle_credentials_are_looked_at_without_a_generation() {
    let google = FakeGoogle::start();
    let mut tuning = short();
    tuning.timing.idle_check = Duration::from_millis(60);
    tuning.intervals.check = Duration::from_millis(10);
    let names = ["u0@example.com".to_owned(), "AIza-key-0001".to_owned()];
    let proxy = start(&google, &names, tuning);
    let looked = |state: &crate::common::google::State, name: &str, path: &str| {
        state.requests.iter().filter(|r| r.who.as_deref() == Some(name) && r.path.starts_with(path)).count() >= 3
    };
    assert!(google.wait_for(|state| looked(state, &names[0], "/v1internal:loadCodeAssist"), PATIENCE));
    assert!(google.wait_for(|state| looked(state, &names[1], "/v1beta/models"), PATIENCE));
    google.always(&names[0], Step::status(500, "Internal error encountered.").on("loadCodeAssist"));
    let reason = || proxy.service().app().pool.views()[0].reason_code.clone();
    wait_for("it is suspected", || reason().as_deref() == Some("SUSPECTED"));
    google.clear_scripts();
    wait_for("it is trusted again", || reason().is_none());
    google.set_tier(&names[0], Tier::Licensed);
    assert_eq!(google.generations().len(), 0, "a look costs no generation");
}
