//! How each kind of credential comes in, gets its token, and says what is wrong with it.

use super::*;

fn import(proxy: &Proxy, text: &str) -> Value {
    let body = json!({"text": text}).to_string();
    let answer = http::ask(proxy, "POST", "/admin/credentials/import", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str::<Value>(&answer.text()).unwrap()["results"].take()
}

#[test]
fn a_service_account_signs_for_its_token_and_serves() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    for _ in 0..3 {
        let answer = chat(&proxy, MODEL);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(google.refreshes(ACCOUNT), 1, "one token for all");
    assert!(google.last_generation().path.starts_with("/v1beta1/projects/project-v/locations/global/"));
    assert_eq!(google.count("/v1internal"), 0, "Code Assist is not asked");
}

#[test]
fn accounts_are_told_apart_also_where_their_keys_are_the_same() {
    let google = FakeGoogle::start();
    let names: Vec<String> = (0..3).map(|number| format!("robot-{number}@project-v.iam.gserviceaccount.com")).collect();
    let items: Vec<Value> = names.iter().map(|name| google.add_service_account(name, PROJECT)).collect();
    let proxy = proxy(&google, &json!(items));
    let pool = &proxy.service().app().pool;
    assert_eq!(pool.views().len(), 3);
    pool.views().iter().for_each(|view| drop(pool.access(pool.find(&view.name).unwrap()).unwrap()));
    (0..6).for_each(|_| assert_eq!(chat(&proxy, MODEL).status, 200));
    for name in names {
        assert_eq!(google.refreshes(&name), 1, "{name}");
        assert_eq!(google.generations().iter().filter(|request| request.who.as_ref() == Some(&name)).count(), 2);
    }
}

#[test]
fn a_key_is_taken_however_it_was_pasted_and_the_file_keeps_what_it_holds() {
    let google = FakeGoogle::start();
    let mut item = account(&google, &["global"]);
    let pem = item["private_key"].as_str().unwrap().to_owned();
    item["note"] = json!({"of": "mine"});
    for (how, key) in [("escaped twice", pem.replace('\n', "\\n")), ("CRLF", pem.replace('\n', "\r\n"))] {
        crate::common::written::secret(&key);
        item["private_key"] = json!(key);
        let proxy = proxy(&google, &json!([]));
        let results = import(&proxy, &item.to_string());
        assert_eq!(results[0]["status"], "added", "{how}: {results}");
        assert_eq!(chat(&proxy, MODEL).status, 200, "{how}");
        let file = std::fs::read_to_string(proxy.service().app().config.credentials_file.clone()).unwrap();
        let kept: Value = serde_json::from_str(&file).unwrap();
        let kept = kept.get(0).unwrap_or(&kept);
        assert_eq!(*kept, item, "{how}: nothing is added, nothing is lost");
    }
}

#[test]
fn a_wrong_service_account_says_which_part_is_wrong() {
    let google = FakeGoogle::start();
    let good = account(&google, &["global"]);
    let other = include_str!("../fixtures/vertex/other_key.pem");
    crate::common::written::secret(other);
    let proxy = proxy(&google, &json!([]));
    for (name, value, part) in [
        ("private_key", json!("-----BEGIN PRIVATE KEY-----\nabc"), "END"),
        ("private_key", Value::Null, "private_key is missing"),
        ("private_key", json!(other), "Invalid JWT Signature"),
        ("private_key_id", json!("deleted"), "Invalid JWT Signature"),
        ("client_email", json!("gone@project-v.iam.gserviceaccount.com"), "account not found"),
        ("client_email", Value::Null, "client_email"),
        ("token_uri", json!("https://evil.example/token"), "token_uri"),
        ("universe_domain", json!("example.com"), "universe_domain"),
        ("locations", json!(["evil.example/x"]), "locations"),
        ("project_id", json!("another"), "roles/aiplatform.user"),
    ] {
        let mut item = good.clone();
        item[name] = value;
        let results = import(&proxy, &item.to_string());
        assert_eq!(results[0]["status"], "refused", "{name}: {results}");
        assert!(results[0]["detail"].as_str().unwrap().contains(part), "{part}: {results}");
    }
    assert!(proxy.service().app().pool.views().is_empty());
}

#[test]
fn another_key_of_the_same_account_takes_its_place_also_after_a_removal() {
    let google = FakeGoogle::start();
    let first = account(&google, &["us", "eu"]);
    let proxy = proxy(&google, &json!([first]));
    let mut second =
        google.add_service_account_with(ACCOUNT, PROJECT, include_str!("../fixtures/vertex/other_key.pem"));
    assert_eq!(import(&proxy, &second.to_string())[0]["status"], "updated");
    let views = proxy.service().app().pool.views();
    assert_eq!((views.len(), views[0].locations.len()), (1, 2), "the locations of the old one stay");
    let gone = http::ask(&proxy, "DELETE", "/admin/credentials/cred-0", &[], b"");
    assert_eq!(gone.status, 200, "{}", gone.text());
    second["locations"] = json!(["global"]);
    assert_eq!(import(&proxy, &second.to_string())[0]["status"], "added");
    assert_eq!(chat(&proxy, MODEL).status, 200);
}

#[test]
fn an_express_key_needs_neither_project_nor_place() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([]));
    let item = google.add_vertex_key("AQ.Ab8-express-key");
    assert_eq!(import(&proxy, &item.to_string())[0]["status"], "added");
    assert_eq!(chat(&proxy, MODEL).status, 200);
    let request = google.last_generation();
    assert_eq!(request.path, format!("/v1beta1/publishers/google/models/{MODEL}:generateContent"));
    assert_eq!(request.header("authorization"), None);
    crate::common::written::secret("AQ.Ab8-unknown-key");
    let results = import(&proxy, r#"{"type":"vertex_key","api_key":"AQ.Ab8-unknown-key"}"#);
    assert_eq!(results[0]["status"], "refused", "{results}");
    assert!(results[0]["detail"].as_str().unwrap().contains("API key"), "{results}");
}

#[test]
fn a_login_of_gcloud_serves_vertex_where_it_says_so() {
    let google = FakeGoogle::start();
    google.add_user(crate::common::google::User::licensed("user@example.com", PROJECT));
    let login = google.login("user@example.com");
    let item = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "gcloud-secret", "refresh_token": login.refresh_token,
        "quota_project_id": PROJECT, "upstream": "vertex",
    });
    let proxy = proxy(&google, &json!([]));
    let results = import(&proxy, &item.to_string());
    assert_eq!(results[0]["status"], "added", "{results}");
    assert_eq!(chat(&proxy, MODEL).status, 200);
    let request = google.last_generation();
    assert_eq!(location(&request), "global");
    assert_eq!(request.header("x-goog-user-project"), Some(PROJECT));
    assert_eq!(google.count("/v1internal"), 0);
}

#[test]
fn a_token_that_google_refuses_is_renewed_once() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["global"])]));
    assert_eq!(chat(&proxy, MODEL).status, 200);
    google.expire(ACCOUNT);
    assert_eq!(chat(&proxy, MODEL).status, 200);
    assert_eq!(google.refreshes(ACCOUNT), 2);
}

#[test]
fn a_clock_that_is_off_is_said_and_is_nobodys_end() {
    let google = FakeGoogle::start();
    let error = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
    google.script(ACCOUNT, Step::oauth_error(400, "invalid_grant", error));
    let proxy = proxy(&google, &json!([]));
    let results = import(&proxy, &account(&google, &["global"]).to_string());
    assert!(results[0]["detail"].as_str().unwrap().contains("clock"), "{results}");
}

#[test]
fn a_check_counts_tokens_and_names_the_role_that_is_missing() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, &json!([account(&google, &["europe-west4"])]));
    let check = || {
        let answer = http::ask(&proxy, "POST", "/admin/credentials/cred-0/check", &[], b"");
        serde_json::from_str::<Value>(&answer.text()).unwrap()
    };
    let fine = check();
    assert_eq!(fine["check_details"]["is_healthy"], true, "{fine}");
    assert_eq!(fine["check_details"]["checker_name"], "countTokens");
    assert!(google.generations().is_empty(), "no generation is spent");
    google.vertex(|vertex| vertex.without_role.extend([ACCOUNT.to_owned()]));
    let refused = check();
    assert_eq!(refused["check_details"]["is_healthy"], false);
    assert!(refused["check_details"]["reason"].as_str().unwrap().contains("roles/aiplatform.user"), "{refused}");
}
