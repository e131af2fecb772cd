//! The pool against the fake Google: refresh, set-up, rotation, rests.

use crate::common::google::{FakeGoogle, Step, Tier, User};
use crate::common::pool::{Scratch, anybody, open, options, reopen};
use gemini_openai_proxy::config::ApiKey;
use gemini_openai_proxy::credentials::{
    AccessFault, Credentials, Kind, ManageFault, Refresher, Report, Unavailable, View, Want,
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

/// Waits until the members look as wanted. The condition is what is waited for, the pause only keeps the CPU free.
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
fn a_revoked_login_ends_that_member_only() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items: Vec<Value> = users(&google, 2).into_iter().map(expired).collect();
    let pool = open(&google, &scratch, &json!(items));
    google.revoke("u0@example.com");
    let before = scratch.items();
    let first = pool.checkout(&anybody()).unwrap();
    let Err(AccessFault::Dead(sentence)) = pool.access(first.id) else { panic!("it was revoked") };
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
fn a_member_in_trouble_is_left_in_peace_for_a_while() {
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

#[test]
fn members_take_turns_in_file_order_and_the_config_comes_last() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let mut items: Vec<Value> = users(&google, 2);
    items.iter_mut().for_each(|item| item["project_id"] = json!("p"));
    items.push(json!({"type": "api_key", "api_key": "AIza-file-0001", "label": "mine"}));
    items.insert(1, json!({"note": "no token"}));
    items.push(items[0].clone());
    let mut options = options(&google.base(), scratch.put(&json!(items)));
    for key in ["AIza-config-0002", "AIza-file-0001"] {
        options.api_keys.push(ApiKey { key: Secret::new(key), label: None });
    }
    let pool = Credentials::open(options).unwrap();
    let turn = |want: &Want| pool.checkout(want).unwrap().name;
    let order: Vec<String> = (0..6).map(|_| turn(&anybody())).collect();
    assert_eq!(order, ["cred-0", "cred-2", "cred-3", "cred-4", "cred-0", "cred-2"]);
    let keys = Want { kind: Some(Kind::ApiKey), ..anybody() };
    assert_eq!([turn(&keys), turn(&keys), turn(&keys)], ["cred-3", "cred-4", "cred-3"]);
    let lease = pool.checkout(&keys).unwrap();
    assert_eq!((lease.label.as_str(), lease.kind), ("AIz***0002", Kind::ApiKey));
    assert_eq!(pool.access(lease.id).unwrap().secret.expose(), "AIza-config-0002");
    assert!(matches!(pool.renew(lease.id, &Secret::new("AIza-config-0002")), Err(AccessFault::Dead(_))));
    let views = pool.views();
    assert_eq!(views.iter().map(|view| view.available).collect::<Vec<_>>(), [true, false, true, true, true]);
}

#[test]
fn a_rest_is_for_one_model_and_ends_by_itself() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!([{"api_key": "AIza-00000001"}, {"api_key": "AIza-00000002"}]));
    let cool =
        |rest| Report::Cool { rest, limit: true, reason: "RATE_LIMIT_EXCEEDED".into(), sentence: "rate limit".into() };
    let next = |model| pool.checkout(&Want { model, ..anybody() });
    let (first, second) = (next("pro").unwrap().id, next("pro").unwrap().id);
    pool.report(first, "pro", cool(Duration::from_secs(40)));
    // A shorter rest does not end a longer one.
    pool.report(first, "pro", cool(Duration::from_millis(1)));
    assert_eq!([next("pro").unwrap().id, next("pro").unwrap().id], [second, second]);
    assert_eq!(next("flash").unwrap().id, first);
    assert_eq!(pool.checkout(&Want { model: "pro", tried: &[second], ..anybody() }), Err(Unavailable::AllTried));
    pool.report(second, "pro", cool(Duration::from_secs(60)));
    let Err(Unavailable::Cooling(wait)) = next("pro") else { panic!("both rest") };
    assert!(wait <= Duration::from_secs(40), "{wait:?}");
    assert_eq!(pool.views()[1].status, "exhausted");
    assert_eq!((pool.views()[0].cooling[0].model.as_str(), pool.views()[0].available), ("pro", true));
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!({"api_key": "AIza-00000001"}));
    pool.report(pool.checkout(&anybody()).unwrap().id, anybody().model, cool(Duration::from_millis(20)));
    checkout_when_rested(&pool);
    assert_eq!(pool.views()[0].status, "active");
}

#[test]
fn a_block_takes_a_member_out_until_its_time_a_success_or_a_person() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!({"api_key": "AIza-00000001"}));
    let id = pool.checkout(&anybody()).unwrap().id;
    let block = |rest| Report::Block {
        rest,
        reason: "SERVICE_DISABLED".into(),
        sentence: "enable it".into(),
        link: Some("https://example.com".into()),
    };
    pool.report(id, "m", block(Some(Duration::from_secs(60))));
    assert!(matches!(pool.checkout(&anybody()), Err(Unavailable::Resting(_))));
    let view = pool.views().remove(0);
    assert_eq!((view.status, view.failure_reason.as_deref()), ("error", Some("enable it")));
    assert!(view.link.is_some() && view.failed_at.is_some());
    pool.report(id, "m", Report::Success);
    assert_eq!(pool.checkout(&anybody()).unwrap().id, id);
    assert_eq!(pool.views()[0].usage_count, 1);
    pool.report(id, "m", block(None));
    pool.report(id, "m", Report::Success);
    assert_eq!(pool.checkout(&anybody()), Err(Unavailable::None));
}

#[test]
fn an_empty_pool_has_nobody_and_one_that_was_tried_says_so() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    assert_eq!(open(&google, &scratch, &json!([])).checkout(&anybody()), Err(Unavailable::None));
    let pool = open(&google, &scratch, &json!({"api_key": "AIza-00000001"}));
    let id = pool.checkout(&anybody()).unwrap().id;
    assert_eq!(pool.checkout(&Want { tried: &[id], ..anybody() }), Err(Unavailable::AllTried));
    assert_eq!(pool.checkout(&Want { kind: Some(Kind::Oauth), ..anybody() }), Err(Unavailable::None));
}

#[test]
fn a_named_conversation_stays_with_its_member_and_leaves_the_rotation_alone() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let keys: Vec<Value> = (0..8).map(|at| json!({"api_key": format!("AIza-0000000{at}")})).collect();
    let pool = open(&google, &scratch, &json!(keys));
    let named = |name| pool.checkout(&Want { affinity: Some(name), ..anybody() }).unwrap().id;
    let home = named("conversation");
    assert!((0..5).all(|_| named("conversation") == home));
    let homes: std::collections::HashSet<_> = (0..40).map(|at| named(["a", "b", "c", "d", "e"][at % 5])).collect();
    assert!(homes.len() > 1, "all conversations went to one member");
    assert_eq!(pool.checkout(&anybody()).unwrap().name, "cred-0");
    let rest = Duration::from_secs(60);
    pool.report(home, anybody().model, Report::Cool { rest, limit: true, reason: "r".into(), sentence: "s".into() });
    assert_ne!(named("conversation"), home);
}

#[test]
fn an_item_added_by_hand_joins_and_a_removed_one_leaves() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = users(&google, 3);
    let pool = Arc::new(open(&google, &scratch, &json!([items[0], items[1]])));
    let refresher = Refresher::start(Arc::clone(&pool)).unwrap();
    scratch.put(&json!([items[1], items[2]]));
    let names = |views: &[View]| views.iter().map(|view| view.name.clone()).collect::<Vec<_>>();
    let views = wait_until(&pool, |views| names(views) == ["cred-1", "cred-2"] && views[1].project.is_some());
    assert_eq!(views[1].email.as_deref(), Some("u2@example.com"));
    refresher.stop();
}

#[test]
fn an_account_is_tried_out_before_it_is_added() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!([{"api_key": "AIza-00000001"}]));
    google.add_user(User::new("new@example.com", "their-project", Tier::new_free(1)));
    let added = pool.add(expired(google.oauth_credential("new@example.com"))).unwrap();
    assert_eq!((added.updated, added.email.as_deref()), (false, Some("new@example.com")));
    assert_eq!(pool.access(added.id).unwrap().project.as_deref(), Some("their-project"));
    assert_eq!(pool.views()[1].status, "active");
    let items = scratch.items();
    assert_eq!(items[1]["access_token"], pool.access(added.id).unwrap().secret.expose());

    pool.set_label(added.id, Some("mine")).unwrap();
    let again = pool.add(google.oauth_credential("new@example.com")).unwrap();
    assert_eq!((again.id, again.updated), (added.id, true), "another login of the account takes the old one's place");
    let newer = scratch.items();
    assert_eq!(newer.as_array().unwrap().len(), 2);
    assert_ne!(newer[1]["refresh_token"], items[1]["refresh_token"]);
    assert_eq!(newer[1]["label"], "mine");

    google.revoke("new@example.com");
    for (item, reason) in [
        (expired(google_item(&newer[1])), "invalid_grant"),
        (json!({"access_token": "ya29"}), "missing_refresh_token"),
        (json!([]), "missing_refresh_token"),
    ] {
        assert_eq!(pool.add(item).unwrap_err().reason, reason);
    }
    google.add_user(User::new("none@example.com", "p", Tier::UnsupportedClient));
    let fault = pool.add(google.oauth_credential("none@example.com")).unwrap_err();
    assert_eq!(fault.reason, "failed_to_discover_project_id");
    assert!(fault.sentence.contains("API key"), "{}", fault.sentence);
    assert_eq!(scratch.items(), newer);
}

fn google_item(item: &Value) -> Value {
    json!({"refresh_token": item["refresh_token"], "access_token": item["access_token"], "expiry_date": 1})
}

#[test]
fn what_is_asked_about_an_old_login_is_not_held_against_the_new_one() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let old = expired(users(&google, 1).remove(0));
    let pool = open(&google, &scratch, &json!([old]));
    let id = pool.find("cred-0").unwrap();
    google.script("u0@example.com", Step::oauth_error(400, "invalid_grant", "Token has been expired.").hold());
    let fault = thread::scope(|scope| {
        let asking = scope.spawn(|| pool.access(id));
        assert!(google.wait_for(|state| state.requests.iter().any(|r| r.op == "token"), Duration::from_secs(20)));
        let mut new = google.oauth_credential("u0@example.com");
        (new["email"], new["label"]) = (json!("u0@example.com"), json!("new"));
        // The old login is known by its token alone; its account comes from the file as a person may write it.
        let mut known = old.clone();
        known["email"] = json!("u0@example.com");
        known["project_id"] = json!("project-0");
        scratch.put(&json!([known]));
        pool.poll_file();
        let added = pool.add(new).unwrap();
        assert_eq!((added.id, added.updated), (id, true));
        google.release();
        asking.join().unwrap()
    });
    assert!(matches!(fault, Err(AccessFault::Dead(_))), "{fault:?}");
    let view = pool.view(id).unwrap();
    assert_eq!((view.status, view.label.as_deref()), ("active", Some("new")));
    assert_eq!(pool.access(id).unwrap().secret.expose(), scratch.items()[0]["access_token"]);
}

#[test]
fn two_who_add_the_same_login_at_once_make_one_member() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!([]));
    let item = users(&google, 1).remove(0);
    let mut updated: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| pool.add(item.clone()).unwrap().updated)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    updated.sort();
    assert_eq!(updated.iter().filter(|updated| !**updated).count(), 1);
    assert_eq!((pool.views().len(), scratch.items().as_array().unwrap().len()), (1, 1));
}

#[test]
fn a_member_can_be_disabled_enabled_reset_and_removed() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = users(&google, 1);
    let mut options = options(&google.base(), scratch.put(&json!([null, items[0]])));
    options.api_keys.push(ApiKey { key: Secret::new("AIza-config-0002"), label: None });
    let pool = Credentials::open(options).unwrap();
    let (broken, id, config) =
        (pool.find("cred-0").unwrap(), pool.find("cred-1").unwrap(), pool.find("cred-2").unwrap());
    let oauth = Want { kind: Some(Kind::Oauth), ..anybody() };

    pool.disable(id).unwrap();
    assert_eq!(scratch.items()[1]["disabled"], true);
    assert_eq!(pool.checkout(&oauth), Err(Unavailable::None));
    assert!(pool.views()[1].disabled);
    pool.enable(id).unwrap();
    assert_eq!(scratch.items()[1], items[0]);
    assert_eq!(pool.checkout(&oauth).unwrap().id, id);

    let block = Report::Block { rest: None, reason: "R".into(), sentence: "s".into(), link: None };
    pool.report(id, "m", block);
    assert_eq!(pool.checkout(&oauth), Err(Unavailable::None));
    pool.reset(id).unwrap();
    assert_eq!(pool.checkout(&oauth).unwrap().id, id);

    pool.set_project(id, Some("own-project")).unwrap();
    assert_eq!(pool.access(id).unwrap().project.as_deref(), Some("own-project"));
    pool.set_project(id, None).unwrap();
    assert_eq!(pool.access(id).unwrap().project.as_deref(), Some("project-0"));
    let before = pool.access(id).unwrap().secret;
    pool.refresh(id).unwrap();
    assert_ne!(pool.access(id).unwrap().secret, before);

    assert_eq!(pool.remove(config), Err(ManageFault::InConfig));
    assert_eq!(pool.disable(broken), Err(ManageFault::Unusable));
    pool.remove(broken).unwrap();
    pool.remove(id).unwrap();
    assert_eq!(pool.remove(id), Err(ManageFault::Unknown));
    assert_eq!(scratch.items(), json!([]));
    assert!(matches!(pool.access(id), Err(AccessFault::Dead(_))));
    assert_eq!(pool.views().len(), 1);
}

#[test]
fn a_model_that_all_are_refused_is_no_limit_that_passes() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = json!([{"api_key": "AIza-00000001"}, {"api_key": "AIza-00000002"}]);
    let pool = open(&google, &scratch, &items);
    let cool = |limit, seconds| {
        let rest = Duration::from_secs(seconds);
        Report::Cool { rest, limit, reason: "r".into(), sentence: "s".into() }
    };
    let (first, second) = (pool.checkout(&anybody()).unwrap().id, pool.checkout(&anybody()).unwrap().id);
    let model = anybody().model;
    pool.report(first, model, cool(false, 60));
    pool.report(second, model, cool(false, 60));
    assert!(matches!(pool.checkout(&anybody()), Err(Unavailable::Resting(_))));
    let restarted = reopen(&google, &scratch, &items, pool.snapshot());
    assert!(matches!(restarted.checkout(&anybody()), Err(Unavailable::Resting(_))));
    pool.report(second, model, cool(true, 90));
    assert!(matches!(pool.checkout(&anybody()), Err(Unavailable::Cooling(_))), "one of them is limited only");
}

#[test]
fn rests_and_what_is_known_of_accounts_outlive_a_restart_without_a_secret() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = users(&google, 1);
    let pool = open(&google, &scratch, &json!(items));
    let id = pool.checkout(&anybody()).unwrap().id;
    pool.access(id).unwrap();
    let rest = Duration::from_secs(3600);
    pool.report(id, "pro", Report::Cool { rest, limit: true, reason: "QUOTA_EXHAUSTED".into(), sentence: "s".into() });
    let snapshot = pool.snapshot();
    for name in ["access_token", "refresh_token"] {
        assert!(!snapshot.to_string().contains(items[0][name].as_str().unwrap()));
    }
    let asked = google.requests().len();
    let pool = reopen(&google, &scratch, &json!(items), snapshot);
    let Err(Unavailable::Cooling(wait)) = pool.checkout(&Want { model: "pro", ..anybody() }) else {
        panic!("it rests")
    };
    assert!(wait > Duration::from_secs(3500) && wait <= rest, "{wait:?}");
    let id = pool.checkout(&anybody()).unwrap().id;
    assert_eq!(pool.access(id).unwrap().project.as_deref(), Some("project-0"));
    assert_eq!(google.requests().len(), asked, "nothing had to be asked again");
    assert_eq!(pool.views()[0].cooling[0].reason, "QUOTA_EXHAUSTED");
}

#[test]
fn a_block_outlives_a_restart_until_its_time_another_secret_or_another_project() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let mut item = users(&google, 1).remove(0);
    item["project_id"] = json!("project-0");
    let block = |rest| Report::Block {
        rest,
        reason: "TOS_VIOLATION".into(),
        sentence: "restricted".into(),
        link: Some("https://example.com".into()),
    };
    let snapshot = |rest| {
        let pool = open(&google, &scratch, &item);
        pool.report(pool.find("cred-0").unwrap(), "m", block(rest));
        pool.snapshot()
    };
    let restarted = |item: &Value, snapshot: &Value| reopen(&google, &scratch, item, snapshot.clone());
    let forever = snapshot(None);
    let pool = restarted(&item, &forever);
    assert_eq!(pool.checkout(&anybody()), Err(Unavailable::None));
    let view = pool.views().remove(0);
    assert_eq!((view.status, view.failure_reason.as_deref()), ("error", Some("restricted")));
    assert_eq!(
        (view.reason_code.as_deref(), view.link.as_deref()),
        (Some("TOS_VIOLATION"), Some("https://example.com"))
    );
    assert_eq!(pool.snapshot(), forever, "and the next restart");
    pool.reset(pool.find("cred-0").unwrap()).unwrap();
    assert!(restarted(&item, &pool.snapshot()).checkout(&anybody()).is_ok(), "a reset holds too");

    let Err(Unavailable::Resting(wait)) =
        restarted(&item, &snapshot(Some(Duration::from_secs(3600)))).checkout(&anybody())
    else {
        panic!("it is blocked for an hour")
    };
    assert!(wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3600), "{wait:?}");
    let soon = restarted(&item, &snapshot(Some(Duration::from_millis(200))));
    checkout_when_rested(&soon);

    let mut other_login = google.oauth_credential("u0@example.com");
    other_login["project_id"] = json!("project-0");
    let mut other_project = item.clone();
    other_project["project_id"] = json!("project-1");
    for (name, item) in [("another login", other_login), ("another project", other_project)] {
        assert!(restarted(&item, &forever).checkout(&anybody()).is_ok(), "{name}");
    }
}

#[test]
fn a_project_that_a_person_corrects_is_a_reason_to_ask_again() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let mut item = users(&google, 1).remove(0);
    item["email"] = json!("u0@example.com");
    item["project_id"] = json!("wrong-project");
    let pool = open(&google, &scratch, &item);
    let id = pool.find("cred-0").unwrap();
    let block = || {
        let rest = Some(Duration::from_secs(3600));
        let (reason, sentence) = ("SUBSCRIPTION_REQUIRED".into(), "no licence".into());
        pool.report(id, "m", Report::Block { rest, reason, sentence, link: None });
        assert!(pool.checkout(&anybody()).is_err());
    };
    block();
    pool.poll_file();
    assert!(pool.checkout(&anybody()).is_err(), "nothing was corrected");
    item["project_id"] = json!("project-0");
    scratch.put(&item);
    pool.poll_file();
    assert_eq!(pool.checkout(&anybody()).unwrap().id, id, "in the file");
    block();
    let map = [("u0@example.com".to_owned(), "project-1".to_owned())];
    pool.reload(map.clone().into(), &[]);
    assert_eq!(pool.checkout(&anybody()).unwrap().id, id, "in the config");
    block();
    pool.reload(map.into(), &[]);
    assert!(pool.checkout(&anybody()).is_err(), "a reload alone corrects nothing");
}

#[test]
fn a_login_ends_with_an_account_in_the_pool_or_a_word_that_says_why_not() {
    const REDIRECT: &str = "http://127.0.0.1:8085/oauth2/callback";
    let verifier = "v".repeat(64);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&verifier);
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    google.add_user(User::licensed("u@example.com", "their-project"));
    let options = options(&google.base(), scratch.put(&json!([])));
    let agent = options.agent.clone();
    let pool = Credentials::open(options).unwrap();
    let consent = |scopes: &str| {
        let base = google.base();
        let url = format!(
            "{base}/o/oauth2/v2/auth?client_id=client&response_type=code&redirect_uri={REDIRECT}&scope={scopes}\
             &state=s&access_type=offline&code_challenge_method=S256&code_challenge={challenge}"
        );
        let answer = agent.get(&url).call().unwrap();
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let code = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).unwrap();
        percent_encoding::percent_decode_str(code).decode_utf8().unwrap().into_owned()
    };
    let email = crate::common::google::state::EMAIL_SCOPE;
    let code = consent(&format!("{email}%20{}", crate::common::google::state::CLOUD_PLATFORM));
    assert_eq!(pool.login(&code, REDIRECT, "wrong verifier").unwrap_err().reason, "invalid_grant");
    let code = consent(&format!("{email}%20{}", crate::common::google::state::CLOUD_PLATFORM));
    let added = pool.login(&code, REDIRECT, &verifier).unwrap();
    assert_eq!(added.email.as_deref(), Some("u@example.com"));
    assert_eq!(pool.access(added.id).unwrap().project.as_deref(), Some("their-project"));
    let stored = scratch.items();
    let fields: Vec<&String> = stored.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["access_token", "refresh_token", "token_type", "expiry_date"]);
    assert_eq!(pool.login(&code, REDIRECT, &verifier).unwrap_err().reason, "invalid_grant");
    assert_eq!(pool.login(&consent(email), REDIRECT, &verifier).unwrap_err().reason, "missing_scope");
}
