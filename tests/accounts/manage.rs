//! Credentials that are there already: looked at, changed, removed, and added a second time.

use super::{Browser, EMAIL, SUCCESS, Seen, google, is_page_with_next_step, started};
use crate::common::google::{FakeGoogle, Step, Tier, User};
use crate::common::http;
use crate::common::pool::Scratch;
use crate::common::proxy::{CLIENT_KEY, Proxy};
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn credentials_are_managed_by_ids_that_stay() {
    let google = google();
    google.add_user(User::licensed("bob@example.com", "project-2"));
    let items = json!([google.oauth_credential(EMAIL), google.oauth_credential("bob@example.com")]);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!(["AIza-config-0001"]);
        std::fs::write(config["credentials_file"].as_str().unwrap(), items.to_string()).unwrap();
    });
    let browser = Browser::new(proxy.base());
    let act = |id: &str, word: &str| browser.send("POST", &format!("/admin/credentials/{id}/{word}"), None);
    let ids = || browser.credentials().iter().map(|credential| credential["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(), [json!("cred-0"), json!("cred-1"), json!("cred-2")]);

    let disabled = act("cred-1", "disable").json();
    assert_eq!(
        (&disabled["message"], &disabled["credential"]["disabled"]),
        (&json!("credential_disabled"), &json!(true))
    );
    assert_eq!(act("cred-1", "enable").json()["credential"]["disabled"], false);
    assert_eq!(act("cred-0", "reset").json()["message"], "credential_reset");
    let before = google.refreshes("bob@example.com");
    assert_eq!(act("cred-1", "refresh").json()["status"], "success");
    assert_eq!(google.refreshes("bob@example.com"), before + 1);
    assert_eq!(act("cred-2", "refresh").status, 409);

    let change = |id: &str, body: Value| browser.post(&format!("/admin/credentials/{id}"), body);
    let changed = change("cred-1", json!({"label": "spare", "project_id": "other-project"})).json();
    assert_eq!(
        (&changed["credential"]["label"], &changed["credential"]["project_id"]),
        (&json!("spare"), &json!("***-ject"))
    );
    for (body, status, words) in [
        (json!({"project_id": "123456789"}), 400, "project number"),
        (json!({"project_id": "Not A Project"}), 400, "lower case"),
        (json!({"label": "x".repeat(65)}), 400, "64 characters"),
        (json!({"label": 5}), 422, "expected a text"),
        (json!({}), 422, "expected label or project_id"),
        (
            json!({"label": "spare", "disable": true}),
            422,
            "disable: there is no such field; there are label, project_id",
        ),
        (json!({"project": "other-project"}), 422, "project_id may be meant"),
    ] {
        let seen = change("cred-1", body);
        assert!(seen.status == status && seen.text.contains(words), "{} {}", seen.status, seen.text);
    }
    let file = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(proxy.directory().join(name)).unwrap()).unwrap()
    };
    assert_eq!(file("credentials.json")[1]["label"], "spare");
    assert_eq!(change("cred-1", json!({"label": null})).json()["credential"]["label"], Value::Null);

    let gone = browser.send("DELETE", "/admin/credentials/cred-0", None);
    assert_eq!((gone.status, gone.text.as_str()), (200, r#"{"status":"success","message":"credential_deleted"}"#));
    assert_eq!(ids(), [json!("cred-1"), json!("cred-2")]);
    let again = browser.send("DELETE", "/admin/credentials/cred-0", None);
    assert_eq!((again.status, again.text.as_str()), (404, r#"{"detail":"Credential with id 'cred-0' not found."}"#));
    assert_eq!(browser.send("DELETE", "/admin/credentials/cred-2", None).status, 409, "it stands in the config");
    for word in ["refresh", "enable", "disable", "reset"] {
        assert_eq!(act("cred-7", word).status, 404, "{word}");
    }
    google.revoke("bob@example.com");
    let refused = act("cred-1", "refresh");
    assert!(refused.status == 400 && refused.text.contains("connect the account again"), "{}", refused.text);
}

#[test]
fn a_credential_that_a_person_set_right_rests_as_briefly_as_the_first_time() {
    let google = google();
    google.always(EMAIL, Step::status(429, "Resource has been exhausted (e.g. check quota)."));
    let item = google.oauth_credential(EMAIL);
    let proxy = Proxy::start(&google, |config| {
        std::fs::write(config["credentials_file"].as_str().unwrap(), item.to_string()).unwrap();
    });
    let client = Browser::new(proxy.base()).with("Authorization", format!("Bearer {CLIENT_KEY}"));
    let pool = &proxy.service().app().pool;
    let rest = || {
        let hi = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]});
        assert_eq!(client.post("/v1/chat/completions", hi).status, 429);
        pool.views()[0].cooling[0].until.duration_since(std::time::SystemTime::now()).unwrap()
    };
    let browser = Browser::new(proxy.base());
    let right: [(&str, &dyn Fn() -> Seen); 3] = [
        ("a reset", &|| browser.send("POST", "/admin/credentials/cred-0/reset", None)),
        ("a new login", &|| {
            let credential = google.oauth_credential(EMAIL);
            browser.post("/admin/credentials/add", json!({"credential": credential}))
        }),
        ("another project", &|| browser.post("/admin/credentials/cred-0", json!({"project_id": "project-1"}))),
    ];
    let first = rest();
    for (name, set_right) in right {
        // Ends the rest alone, as its time would.
        pool.reset(pool.find("cred-0").unwrap()).unwrap();
        assert!(rest() > first + Duration::from_secs(10), "before {name}: a second limit in a row rests for longer");
        let seen = set_right();
        assert_eq!(seen.status, 200, "{name}: {}", seen.text);
        assert!(rest() < first + Duration::from_secs(10), "{name} begins anew");
    }
}

#[test]
fn a_look_costs_no_generation_onboards_nobody_and_heals_what_is_well() {
    let google = google();
    google.add_api_key("AIza-config-0001");
    let item = google.oauth_credential(EMAIL);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!(["AIza-config-0001"]);
        std::fs::write(config["credentials_file"].as_str().unwrap(), item.to_string()).unwrap();
    });
    let browser = Browser::new(proxy.base());
    let look = |id: &str| browser.get(&format!("/admin/credentials/{id}/check"));
    let seen = look("cred-0").json();
    let fields: Vec<&String> = seen.as_object().unwrap().keys().take(5).collect();
    assert_eq!(fields, ["credential_id", "check_time", "previous_status", "new_status", "check_details"]);
    assert_eq!(
        (&seen["check_details"]["is_healthy"], &seen["tier"]),
        (&json!(true), &json!("standard-tier")),
        "{seen}"
    );
    let key = look("cred-1").json();
    assert_eq!((&key["check_details"]["is_healthy"], &key["new_status"]), (&json!(true), &json!("active")), "{key}");

    google.expire(EMAIL);
    assert_eq!(look("cred-0").json()["check_details"]["is_healthy"], true, "a dead token is refreshed");
    google.set_tier(EMAIL, Tier::UnsupportedClient);
    let seen = look("cred-0").json();
    assert_eq!((&seen["new_status"], &seen["check_details"]["is_healthy"]), (&json!("error"), &json!(false)), "{seen}");
    assert!(seen["check_details"]["reason"].as_str().unwrap().contains("API key works"), "{seen}");
    google.set_tier(EMAIL, Tier::Licensed);
    let seen = look("cred-0").json();
    assert_eq!((&seen["previous_status"], &seen["new_status"]), (&json!("error"), &json!("active")), "{seen}");

    google.remove_api_key("AIza-config-0001");
    let seen = look("cred-1").json();
    assert!(seen["check_details"]["reason"].as_str().unwrap().contains("API key not valid"), "{seen}");
    let unknown = look("cred-9");
    assert_eq!(unknown.status, 404);
    assert_eq!(
        (&unknown.json()["error"], &unknown.json()["credential_id"]),
        (&json!("Credential not found"), &json!("cred-9"))
    );
    assert!(google.generations().is_empty());
    assert_eq!(google.count("/v1internal:onboardUser"), 0);
}

#[test]
fn a_change_that_cannot_be_saved_holds_and_says_so() {
    let google = google();
    google.add_api_key("AIza-one-key-0001");
    let place = Scratch::new();
    let folder = place.path().join("not there");
    let mut tuning = Tuning::default();
    tuning.timing.file_poll = Duration::from_millis(20);
    let proxy = Proxy::start_with(&google, tuning, |config| {
        config["credentials_file"] = json!(folder.join("credentials.json"));
        config["state_file"] = json!(place.path().join("state.json"));
    });
    let browser = Browser::new(proxy.base());
    let alert = || {
        let status = browser.get("/admin/status").json();
        let alerts = status["alerts"].as_array().unwrap().clone();
        alerts.into_iter().find(|alert| alert["code"] == "credentials_unsaved")
    };
    assert_eq!(alert(), None, "nothing waits yet");

    let item = google.oauth_credential(EMAIL);
    let add = || browser.post("/admin/credentials/add", json!({"credential": item}));
    let import = || browser.post("/admin/credentials/import", json!({"text": "AIza-one-key-0001"}));
    let paste = || browser.post("/admin/oauth/finish", json!({"text": browser.agree()}));
    let label = || browser.post("/admin/credentials/cred-0", json!({"label": "mine"}));
    let delete = || browser.send("DELETE", "/admin/credentials/cred-1", None);
    let changes: [(&str, &dyn Fn() -> Seen); 5] =
        [("add", &add), ("import", &import), ("paste", &paste), ("label", &label), ("delete", &delete)];
    for (name, change) in changes {
        let seen = change();
        assert_eq!(seen.status, 200, "{name}: {}", seen.text);
        let warning = seen.json()["warning"].as_str().unwrap_or_else(|| panic!("{name}: {}", seen.text)).to_owned();
        for words in ["in memory only", "credentials.json cannot be written", "make the file and its folder writable"] {
            assert!(warning.contains(words), "{name}: {warning}");
        }
    }
    let page = browser.get(&browser.agree());
    is_page_with_next_step(&page, 200, SUCCESS);
    assert!(page.text.contains("in memory only") && page.text.contains("cannot be written"), "{}", page.text);
    assert_eq!(
        (browser.credentials().len(), &browser.credentials()[0]["label"]),
        (1, &json!("mine")),
        "it works all the same"
    );
    let told = alert().expect("it is told as long as it is so");
    assert_eq!(told["level"], "error");
    assert!(told["text"].as_str().unwrap().contains("cannot be written"), "{told}");

    std::fs::create_dir(&folder).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while alert().is_some() {
        assert!(Instant::now() < end, "it is tried again");
        thread::park_timeout(Duration::from_millis(5));
    }
    let file = std::fs::read_to_string(folder.join("credentials.json")).unwrap();
    assert!(file.contains("refresh_token") && file.contains("mine") && !file.contains("AIza-one-key"), "{file}");
    for (name, change) in changes.into_iter().take(4) {
        assert_eq!(change().json()["warning"], Value::Null, "{name}");
    }
}

#[test]
fn a_list_is_answered_in_time_however_slow_google_is() {
    const ACCOUNTS: usize = 44;
    let google = FakeGoogle::start();
    let mut items = Vec::new();
    for at in 0..ACCOUNTS {
        let email = format!("user{at:02}@example.com");
        google.add_user(User::licensed(&email, &format!("project-{at}")));
        let mut item = google.oauth_credential(&email);
        (item["email"], item["expiry_date"]) = (json!(email), json!(1_000_000_000_000_u64));
        items.push(item);
    }
    google.add_api_key("AIza-good-key-0001");
    // The first ones are those that are asked about.
    for item in [
        json!({"api_key": "AIza-good-key-0001"}),
        json!({"api_key": "AIza-dead-key-0002"}),
        json!({"type": "service_account", "private_key": "PRIVATE-KEY-0003"}),
        json!("AIza-good-key-0001"),
        json!(5),
    ] {
        items.insert(0, item);
    }
    items.push(items[10].clone());
    assert_eq!(items.len(), 50);
    google.always("*", Step::hang().on("token"));
    let mut tuning = Tuning::default();
    tuning.timing.import = Duration::from_secs(3);
    let proxy = Proxy::start_with(&google, tuning, |_| {});
    let browser = Browser::new(proxy.base());
    let begun = Instant::now();
    let seen = browser.post("/admin/credentials/import", json!({"text": json!(items).to_string()}));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(seen.status, 200, "{}", seen.text);
    let results = seen.json()["results"].as_array().unwrap().clone();
    let short =
        |result: &Value| format!("{} {}", result["label"].as_str().unwrap(), result["status"].as_str().unwrap());
    let first: Vec<String> = results.iter().take(6).map(short).collect();
    assert_eq!(
        first,
        [
            "#1 refused",
            "AIz***0001 added",
            "#3 refused",
            "AIz***0002 refused",
            "AIz***0001 updated",
            "u*e*0*******@example.com added"
        ]
    );
    assert!(results[5]["detail"].as_str().unwrap().contains("too slow"), "{}", results[5]);
    assert_eq!((results.len(), &results[49]["status"]), (50, &json!("updated")));
    for secret in ["PRIVATE-KEY", "AIza-dead", "1//", "ya29", "user00@"] {
        assert!(!seen.text.contains(secret), "{secret}");
    }
    assert_eq!(browser.credentials().len(), ACCOUNTS + 1);

    google.clear_scripts();
    google.release();
    let end = Instant::now() + Duration::from_secs(60);
    while browser.credentials().iter().any(|credential| {
        credential["status"] != "active" || credential["project_id"] == "None" && credential["kind"] == "oauth"
    }) {
        assert!(Instant::now() < end, "they are found out about in the background");
        google.release();
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn one_account_is_one_credential_however_often_it_comes() {
    let google = google();
    let (_proxy, browser) = started(&google);
    let (one, mut other) = (google.oauth_credential(EMAIL), google.oauth_credential(EMAIL));
    other["email"] = json!("ADA@example.com");
    let import = |items: Value| {
        let seen = browser.post("/admin/credentials/import", json!({"text": items.to_string()}));
        let results = seen.json()["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(import(json!([one, other, one])), ["added", "updated", "updated"]);
    assert_eq!(browser.credentials().len(), 1);
    // What a person set here stays when the account is connected anew.
    let seen = browser.post("/admin/credentials/cred-0", json!({"label": "mine", "project_id": "chosen-project"}));
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(import(json!([google.oauth_credential(EMAIL)])), ["updated"]);
    let credentials = browser.credentials();
    assert_eq!(
        (credentials.len(), &credentials[0]["label"], &credentials[0]["project_id"]),
        (1, &json!("mine"), &json!("***-ject"))
    );
    // A project that the item names itself is another credential.
    let mut own = google.oauth_credential(EMAIL);
    own["project_id"] = json!("third-project");
    assert_eq!(import(json!([own])), ["added"]);
    assert_eq!(browser.credentials().len(), 2);

    // While it cannot be tried out, a good login is not given up for one that may be dead.
    google.always(EMAIL, Step::html(503).on("token"));
    let mut untried = google.oauth_credential(EMAIL);
    (untried["email"], untried["expiry_date"]) = (json!(EMAIL), json!(1_000_000_000_000_u64));
    assert_eq!(import(json!([untried])), ["refused"]);
    assert_eq!(browser.credentials().len(), 2);
}

#[test]
fn a_key_of_the_config_that_is_added_is_still_one_credential() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-config-0001");
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(["AIza-config-0001"]));
    let browser = Browser::new(proxy.base());
    let seen = browser.post("/admin/credentials/add", json!({"credential": {"api_key": "AIza-config-0001"}}));
    assert_eq!(seen.json()["message"], "credential_updated", "{}", seen.text);
    let credentials = browser.credentials();
    assert_eq!((credentials.len(), &credentials[0]["source"]), (1, &json!("file")));
}

#[test]
fn a_poll_is_answered_in_full_only_when_something_changed() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(["AIza-config-0001"]));
    let ask = |path: &str, tag: &str| http::ask(&proxy, "GET", path, &[("If-None-Match", tag)], b"");
    for path in ["/admin/credentials", "/admin/keys", "/admin/requests", "/static/page.js", "/"] {
        let first = ask(path, "\"other\"");
        let tag = first.header("etag").unwrap_or_else(|| panic!("{path} has no tag")).to_owned();
        assert_eq!(first.status, 200, "{path}");
        let again = ask(path, &tag);
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{path}");
    }
    let tag = ask("/admin/credentials", "").header("etag").unwrap().to_owned();
    Browser::new(proxy.base()).post("/admin/credentials/cred-0/disable", json!({}));
    assert_eq!(ask("/admin/credentials", &tag).status, 200);
    assert!(ask("/health", "").header("etag").is_none(), "it is the old program's to the byte");
}
