//! What people change: items of the file, logins, the buttons of the page.

use super::*;
use gemini_openai_proxy::credentials::Options;
use gemini_openai_proxy::message::Message;
use std::collections::HashMap;

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
    assert!(fault.message.to_string().contains("API key"), "{}", fault.message);
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
fn two_who_add_the_same_login_at_once_make_one_credential() {
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
fn a_credential_can_be_disabled_enabled_reset_and_removed() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = users(&google, 1);
    let mut options = options(&google.base(), scratch.put(&json!([null, items[0]])));
    options.api_keys.push(ApiKey { key: Secret::new("AIza-config-0002"), label: None });
    let pool = Credentials::open(options).unwrap();
    let (broken, id, config) =
        (pool.find("cred-0").unwrap(), pool.find("cred-1").unwrap(), pool.find("cred-2").unwrap());
    let oauth = Want { kinds: Kinds::only(Kind::Oauth), ..anybody() };

    pool.disable(id).unwrap();
    assert_eq!(scratch.items()[1]["disabled"], true);
    assert_eq!(pool.checkout(&oauth), Err(Unavailable::None));
    assert!(pool.views()[1].disabled);
    pool.enable(id).unwrap();
    assert_eq!(scratch.items()[1], items[0]);
    assert_eq!(pool.checkout(&oauth).unwrap().id, id);

    let block = Report::Block { rest: None, reason: "R".into(), message: Message::said("s"), link: None };
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
fn what_a_person_set_for_a_key_of_the_config_is_so_after_a_restart() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let key = |label: Option<&str>| ApiKey { key: Secret::new("AIza-config-0001"), label: label.map(str::to_owned) };
    let begin = |keys: Vec<ApiKey>, remembered: Value| {
        let options = options(&google.base(), scratch.put(&json!([])));
        Credentials::open(Options { api_keys: keys, remembered, ..options }).unwrap()
    };
    let seen = |pool: &Credentials| {
        let view = pool.views().remove(0);
        (view.disabled, view.label, view.project)
    };
    let texts = |label: Option<&str>, project: Option<&str>| (label.map(str::to_owned), project.map(str::to_owned));

    let pool = begin(vec![key(Some("theirs"))], Value::Null);
    let id = pool.find("cred-0").unwrap();
    let version = pool.version();
    pool.disable(id).unwrap();
    pool.set_label(id, Some("mine")).unwrap();
    pool.set_project(id, Some("my-project")).unwrap();
    assert!(pool.version() > version, "the state file has to be written");
    let (label, project) = texts(Some("mine"), Some("my-project"));
    let set = (true, label, project);
    assert_eq!(seen(&pool), set);
    pool.reload(HashMap::new(), &[key(Some("other"))]);
    assert_eq!(seen(&pool), set, "after a reload");

    let pool = begin(vec![key(Some("theirs"))], pool.snapshot());
    assert_eq!((seen(&pool), pool.version()), (set.clone(), 0), "after a restart, and nothing is new");
    assert_eq!(pool.checkout(&anybody()), Err(Unavailable::None));
    // A config without the key does not let it in again.
    pool.reload(HashMap::new(), &[]);
    assert!(pool.views().is_empty());
    let pool = begin(Vec::new(), begin(Vec::new(), pool.snapshot()).snapshot());
    pool.reload(HashMap::new(), &[key(None)]);
    assert_eq!(seen(&pool), set, "after it was away");

    let id = pool.find("cred-0").unwrap();
    pool.enable(id).unwrap();
    pool.set_label(id, None).unwrap();
    pool.set_project(id, None).unwrap();
    let pool = begin(vec![key(Some("theirs"))], pool.snapshot());
    // Without a label it is called by the key itself.
    let label = texts(Some("AIz***0001"), None).0;
    assert_eq!(seen(&pool), (false, label, None));

    // What a person puts into the file says itself how it is.
    pool.disable(pool.find("cred-0").unwrap()).unwrap();
    scratch.put(&json!([{"api_key": "AIza-config-0001", "label": "of the file"}]));
    pool.poll_file();
    let label = texts(Some("of the file"), None).0;
    assert_eq!(seen(&pool), (false, label, None));
}

#[test]
fn a_model_that_all_are_refused_is_no_limit_that_passes() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let items = json!([{"api_key": "AIza-00000001"}, {"api_key": "AIza-00000002"}]);
    let pool = open(&google, &scratch, &items);
    let cool = |limit, seconds| {
        let rest = Duration::from_secs(seconds);
        Report::Cool { rest, limit, reason: "r".into(), message: Message::said("s") }
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
