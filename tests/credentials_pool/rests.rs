//! Who is lent out, who rests, and what of it outlives a restart.

use super::*;
use gemini_openai_proxy::message::Message;

#[test]
fn credentials_take_turns_in_file_order_and_the_config_comes_last() {
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
    let keys = Want { kinds: Kinds::only(Kind::ApiKey), ..anybody() };
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
    let cool = |rest| Report::Cool {
        rest,
        limit: true,
        reason: "RATE_LIMIT_EXCEEDED".into(),
        message: Message::said("rate limit"),
    };
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
fn a_block_takes_a_credential_out_until_its_time_a_success_or_a_person() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let pool = open(&google, &scratch, &json!({"api_key": "AIza-00000001"}));
    let id = pool.checkout(&anybody()).unwrap().id;
    let block = |rest| Report::Block {
        rest,
        reason: "SERVICE_DISABLED".into(),
        message: Message::said("enable it"),
        link: Some("https://example.com".into()),
    };
    pool.report(id, "m", block(Some(Duration::from_secs(60))));
    assert!(matches!(pool.checkout(&anybody()), Err(Unavailable::Resting(_))));
    let view = pool.views().remove(0);
    assert_eq!(
        (view.status, view.failure_reason.map(|told| told.to_string())),
        ("error", Some("enable it".to_owned()))
    );
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
    assert_eq!(pool.checkout(&Want { kinds: Kinds::only(Kind::Oauth), ..anybody() }), Err(Unavailable::None));
}

#[test]
fn a_named_conversation_stays_with_its_credential_and_leaves_the_rotation_alone() {
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    let keys: Vec<Value> = (0..8).map(|at| json!({"api_key": format!("AIza-0000000{at}")})).collect();
    let pool = open(&google, &scratch, &json!(keys));
    let named = |name| pool.checkout(&Want { affinity: Some(name), ..anybody() }).unwrap().id;
    let home = named("conversation");
    assert!((0..5).all(|_| named("conversation") == home));
    let homes: std::collections::HashSet<_> = (0..40).map(|at| named(["a", "b", "c", "d", "e"][at % 5])).collect();
    assert!(homes.len() > 1, "all conversations went to one credential");
    assert_eq!(pool.checkout(&anybody()).unwrap().name, "cred-0");
    let rest = Duration::from_secs(60);
    pool.report(
        home,
        anybody().model,
        Report::Cool { rest, limit: true, reason: "r".into(), message: Message::said("s") },
    );
    assert_ne!(named("conversation"), home);
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
    pool.report(
        id,
        "pro",
        Report::Cool { rest, limit: true, reason: "QUOTA_EXHAUSTED".into(), message: Message::said("s") },
    );
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
        message: Message::said("restricted"),
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
    assert_eq!(
        (view.status, view.failure_reason.map(|told| told.to_string())),
        ("error", Some("restricted".to_owned()))
    );
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
        let (reason, message) = ("SUBSCRIPTION_REQUIRED".into(), Message::said("no licence"));
        pool.report(id, "m", Report::Block { rest, reason, message, link: None });
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
