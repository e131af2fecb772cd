//! The pool against the fake Google: refresh, set-up, rotation, rests.

mod people;
mod rests;

use crate::common::google::{FakeGoogle, Step, Tier, User};
use crate::common::pool::{Scratch, anybody, open, options, reopen};
use gemini_openai_proxy::config::ApiKey;
use gemini_openai_proxy::credentials::{
    AccessFault, Credentials, Kind, Kinds, ManageFault, Refresher, Report, Unavailable, View, Want,
};
use gemini_openai_proxy::secret::Secret;
use serde_json::{Value, json};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Limit for what happens in another thread; a test that works needs a fraction.
const PATIENCE: Duration = Duration::from_secs(20);

/// `count` licensed users `u0@example.com` with projects `project-0`.
fn users(google: &FakeGoogle, count: usize) -> Vec<Value> {
    let user = |at| {
        google.add_user(User::licensed(&format!("u{at}@example.com"), &format!("project-{at}")));
        google.oauth_credential(&format!("u{at}@example.com"))
    };
    (0..count).map(user).collect()
}

fn expired(mut item: Value) -> Value {
    item["expiry_date"] = json!(1_000_000_000_000_u64);
    item
}

/// Waits until the credentials look as wanted. The condition is what is waited for, the pause only keeps the CPU free.
fn wait_until(pool: &Credentials, wanted: impl Fn(&[View]) -> bool) -> Vec<View> {
    let end = Instant::now() + PATIENCE;
    loop {
        let views = pool.views();
        if wanted(&views) {
            return views;
        }
        assert!(Instant::now() < end, "still {views:?}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// A rest of a few milliseconds is over when somebody is lent out again.
fn checkout_when_rested(pool: &Credentials) -> gemini_openai_proxy::credentials::Lease {
    let end = Instant::now() + PATIENCE;
    loop {
        match pool.checkout(&anybody()) {
            Ok(lease) => return lease,
            Err(Unavailable::Cooling(wait) | Unavailable::Resting(wait)) => thread::park_timeout(wait),
            Err(other) => panic!("{other:?}"),
        }
        assert!(Instant::now() < end);
    }
}

#[test]
fn ten_simultaneous_refusals_of_a_token_are_one_refresh() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!(users(&google, 1)));
    let id = pool.checkout(&anybody()).unwrap().id;
    let stale = pool.access(id).unwrap().secret;
    google.expire("u0@example.com");
    let start = Barrier::new(10);
    let renewed: Vec<Secret> = thread::scope(|scope| {
        let renew = || {
            start.wait();
            pool.renew(id, &stale).unwrap().secret
        };
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(renew)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(google.refreshes("u0@example.com"), 1);
    assert!(renewed.iter().all(|token| *token == renewed[0] && *token != stale));
    assert_eq!(scratch.items()[0]["access_token"], renewed[0].expose());
    assert_eq!(pool.views()[0].status, "active");
}

#[test]
fn a_token_that_has_ended_is_refreshed_before_use_and_written_to_the_file() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let item = users(&google, 1).remove(0);
    let pool = open(&google, &scratch, &json!([{"refresh_token": item["refresh_token"], "note": "kept"}]));
    let lease = pool.checkout(&anybody()).unwrap();
    let access = pool.access(lease.id).unwrap();
    assert_eq!(access.project.as_deref(), Some("project-0"));
    let written = scratch.items();
    assert_eq!(written[0]["access_token"], access.secret.expose());
    assert_eq!((&written[0]["refresh_token"], &written[0]["note"]), (&item["refresh_token"], &json!("kept")));
    assert!(written[0]["expiry_date"].as_u64() > Some(crate::common::google::now_ms() + 3_000_000));
    let token = google.requests().into_iter().find(|request| request.op == "token").unwrap();
    assert_eq!(token.body.get("scope"), None, "a refresh must not narrow the scopes");
    assert_eq!(pool.access(lease.id).unwrap().secret, access.secret);
    assert_eq!(google.refreshes("u0@example.com"), 1);
    assert_eq!(pool.views()[0].email.as_deref(), Some("u0@example.com"));
}

#[test]
fn a_new_refresh_token_is_stored() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    google.settings(|settings| settings.rotate_refresh = true);
    let item = users(&google, 1).remove(0);
    let pool = open(&google, &scratch, &expired(item.clone()));
    pool.access(pool.checkout(&anybody()).unwrap().id).unwrap();
    let stored = scratch.items()["refresh_token"].clone();
    assert!(stored.is_string() && stored != item["refresh_token"]);
    pool.poll_file();
    assert_eq!(pool.views().len(), 1);
}

#[test]
fn a_revoked_login_ends_that_credential_only() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items: Vec<Value> = users(&google, 2).into_iter().map(expired).collect();
    let pool = open(&google, &scratch, &json!(items));
    google.revoke("u0@example.com");
    let before = scratch.items();
    let first = pool.checkout(&anybody()).unwrap();
    let Err(AccessFault::Dead(sentence)) = pool.access(first.id) else { panic!("it was revoked") };
    let sentence = sentence.to_string();
    assert!(sentence.contains("invalid_grant") && sentence.contains("connect the account again"), "{sentence}");
    assert_eq!(scratch.items(), before, "a dead credential stays in the file");
    for _ in 0..3 {
        let lease = pool.checkout(&anybody()).unwrap();
        assert_eq!(lease.name, "cred-1");
        pool.access(lease.id).unwrap();
    }
    let asked = google.count("/token");
    assert!(matches!(pool.access(first.id), Err(AccessFault::Dead(_))));
    assert_eq!(google.count("/token"), asked, "nobody asks again for a dead login");
    let views = pool.views();
    assert_eq!((views[0].status, views[0].available, views[1].status), ("error", false, "active"));
    assert_eq!(views[0].reason_code.as_deref(), Some("INVALID_GRANT"));
}

#[test]
fn trouble_of_the_token_endpoint_passes() {
    let google = FakeGoogle::start();
    for step in [Step::html(500).on("token"), Step::status(429, "slow down").on("token"), Step::html(404).on("token")] {
        let scratch = Scratch::new();
        let pool = open(&google, &scratch, &expired(users(&google, 1).remove(0)));
        google.always("*", step);
        let id = pool.checkout(&anybody()).unwrap().id;
        assert!(matches!(pool.access(id), Err(AccessFault::Transient(_))));
        google.clear_scripts();
        let asked = google.count("/token");
        let lease = checkout_when_rested(&pool);
        pool.access(lease.id).unwrap();
        assert_eq!(google.count("/token"), asked + 1);
        assert_eq!(pool.views()[0].status, "active");
    }
}

#[test]
fn a_credential_in_trouble_is_left_in_peace_for_a_while() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let mut options = options(&google.base(), scratch.put(&expired(users(&google, 1).remove(0))));
    options.timing.first_backoff = Duration::from_secs(60);
    options.timing.longest_backoff = Duration::from_secs(60);
    let pool = Credentials::open(options).unwrap();
    google.always("*", Step::html(500).on("token"));
    let id = pool.checkout(&anybody()).unwrap().id;
    for _ in 0..3 {
        assert!(matches!(pool.access(id), Err(AccessFault::Transient(_))));
    }
    assert_eq!(google.count("/token"), 1);
    let Err(Unavailable::Resting(wait)) = pool.checkout(&anybody()) else { panic!("it rests") };
    assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(60), "{wait:?}");
    assert_eq!((pool.views()[0].status, pool.views()[0].available), ("expired", false));
}

#[test]
fn a_wrong_oauth_client_is_not_the_accounts_fault() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    google.settings(|settings| settings.client = Some(("other".into(), "oauth-secret-0002".into())));
    let items: Vec<Value> = users(&google, 2).into_iter().map(expired).collect();
    let own = json!({"client_id": "other", "client_secret": "oauth-secret-0002", "type": "authorized_user",
        "refresh_token": items[1]["refresh_token"]});
    let pool = open(&google, &scratch, &json!([items[0], own]));
    let first = pool.checkout(&anybody()).unwrap();
    let Err(AccessFault::Transient(sentence)) = pool.access(first.id) else { panic!("the config is wrong") };
    let sentence = sentence.to_string();
    assert!(sentence.contains("oauth_client"), "{sentence}");
    assert!(!sentence.contains("oauth-secret-0003"));
    let second = pool.checkout(&anybody()).unwrap();
    assert_eq!(second.name, "cred-1");
    pool.access(second.id).expect("an item's own client wins");
}

#[test]
fn projects_are_found_as_the_account_needs_it() {
    for (name, tier, project, word) in [
        ("licensed", Tier::Licensed, Some("their-project"), "standard-tier"),
        ("paid", Tier::Paid, Some("their-project"), "g1-pro-tier"),
        ("free", Tier::Free, Some("their-project"), "free-tier"),
        ("onboarded at once", Tier::new_free(0), Some("their-project"), "free-tier"),
        ("onboarded after three looks", Tier::new_free(3), Some("their-project"), "free-tier"),
        ("unsupported", Tier::UnsupportedClient, None, "UNSUPPORTED_CLIENT"),
        ("to be verified", Tier::ValidationRequired, None, "VALIDATION_REQUIRED"),
        ("without own project", Tier::VpcServiceControls, None, "PROJECT_REQUIRED"),
    ] {
        let google = FakeGoogle::start();
        let scratch = Scratch::new();
        google.add_user(User::new("u@example.com", "their-project", tier));
        let pool = open(&google, &scratch, &google.oauth_credential("u@example.com"));
        let id = pool.checkout(&anybody()).unwrap().id;
        let access = pool.access(id);
        let view = pool.views().remove(0);
        match project {
            Some(project) => {
                assert_eq!(access.expect(name).project.as_deref(), Some(project), "{name}");
                assert_eq!((view.tier.as_deref(), view.status), (Some(word), "active"), "{name}");
            }
            None => {
                assert!(matches!(access, Err(AccessFault::Dead(_))), "{name}");
                assert_eq!((view.reason_code.as_deref(), view.status), (Some(word), "error"), "{name}");
                assert_eq!(
                    view.link.is_some(),
                    ["VALIDATION_REQUIRED", "UNSUPPORTED_CLIENT"].contains(&word),
                    "{name}"
                );
                assert!(matches!(pool.checkout(&anybody()), Err(Unavailable::Resting(_))), "{name}");
            }
        }
    }
}

#[test]
fn a_verified_account_comes_back_by_itself() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    google.add_user(User::new("u@example.com", "p", Tier::ValidationRequired));
    let mut options = options(&google.base(), scratch.put(&google.oauth_credential("u@example.com")));
    options.timing.blocked_probe = Duration::from_millis(20);
    let pool = Arc::new(Credentials::open(options).unwrap());
    let refresher = Refresher::start(Arc::clone(&pool)).unwrap();
    assert!(google.wait_for(
        |state| state.requests.iter().filter(|request| request.op == "loadCodeAssist").count() > 1,
        PATIENCE
    ));
    google.set_tier("u@example.com", Tier::Licensed);
    wait_until(&pool, |views| views[0].status == "active" && views[0].project.as_deref() == Some("p"));
    refresher.stop();
}

#[test]
fn the_project_map_wins_over_google_and_the_file() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    google.add_user(User::licensed("Mixed.Case@example.com", "theirs"));
    let mut item = google.oauth_credential("Mixed.Case@example.com");
    item["project_id"] = json!("from-file");
    let mut options = options(&google.base(), scratch.put(&item));
    let without_map = Credentials::open(options.clone()).unwrap();
    let project = |pool: &Credentials| pool.access(pool.checkout(&anybody()).unwrap().id).unwrap().project.unwrap();
    assert_eq!(project(&without_map), "from-file");
    options.project_id_map.insert("mixed.case@example.com".into(), "mapped".into());
    assert_eq!(project(&Credentials::open(options).unwrap()), "mapped");
    assert_eq!(google.count("/v1internal:loadCodeAssist"), 0);
}

#[test]
fn the_refresher_resolves_and_refreshes_everybody_without_a_request() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let mut items = users(&google, 4);
    items[1] = expired(items[1].clone());
    // Ends within the time ahead.
    items[2]["expiry_date"] = json!(crate::common::google::now_ms() + 240_000);
    let pool = Arc::new(open(&google, &scratch, &json!(items)));
    let refresher = Refresher::start(Arc::clone(&pool)).unwrap();
    let done = |view: &View| view.status == "active" && view.email.is_some() && view.project.is_some();
    wait_until(&pool, |views| views.iter().all(done) && views[2].last_refreshed_at.is_some());
    let refreshes: Vec<u64> = (0..4).map(|at| google.refreshes(&format!("u{at}@example.com"))).collect();
    assert_eq!(refreshes, [0, 1, 1, 0]);
    refresher.stop();
}
