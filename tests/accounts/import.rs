//! Credentials that are pasted, one or many.

use super::{Browser, EMAIL, MASKED, google, started};
use crate::common::google::{FakeGoogle, User};
use crate::common::proxy::Proxy;
use serde_json::{Value, json};

#[test]
fn the_old_programs_add_is_answered_as_it_answered() {
    let google = google();
    let (_proxy, browser) = started(&google);
    let item = google.oauth_credential(EMAIL);
    let add = |credential: &Value| browser.post("/admin/credentials/add", json!({"credential": credential}));
    for message in ["credential_added", "credential_updated"] {
        let seen = add(&item);
        assert_eq!(seen.status, 200, "{}", seen.text);
        let answer = seen.json();
        assert_eq!(answer["status"], "success");
        assert_eq!((&answer["message"], &answer["email"]), (&json!(message), &json!(MASKED)));
    }
    for (body, status, words) in [
        (json!({"credential": {"access_token": "ya29.secret-token"}}), 400, "\"detail\":\"missing_refresh_token\""),
        (json!({"credential": {"refresh_token": "1//dead-token"}}), 400, "\"detail\":\"invalid_grant\""),
        (json!({"credential": "x"}), 422, "Field required"),
        (json!({}), 422, "Field required"),
    ] {
        let seen = browser.post("/admin/credentials/add", body);
        assert!(seen.status == status && seen.text.contains(words), "{} {}", seen.status, seen.text);
        assert!(!seen.text.contains("ya29.secret-token") && !seen.text.contains("1//dead-token"), "{}", seen.text);
    }
    assert_eq!(browser.credentials().len(), 1);
}

#[cfg(feature = "console")]
#[test]
fn ten_thousand_are_imported_and_changed_at_once_in_bounded_time_and_are_on_disk_then() {
    const COUNT: usize = 10_000;
    let google = FakeGoogle::start();
    let mut tuning = gemini_openai_proxy::serve::service::Tuning::default();
    tuning.timing.import = std::time::Duration::from_millis(200);
    let folder = crate::common::program::Folder::new("thousands");
    let path = folder.join("credentials.json");
    let proxy = Proxy::start_with(&google, tuning, |config| config["credentials_file"] = json!(path));
    let browser = Browser::new(proxy.base());
    let login = |number: usize| json!({"refresh_token": format!("1//of-the-crowd-{number:05}"), "client_id": "id", "client_secret": "oauth-secret-0001"});
    google.always("*", crate::common::google::Step::hang().on("token"));
    let items: Vec<Value> = (0..COUNT).map(login).collect();
    let timed = |what: &str, act: &dyn Fn()| {
        let begun = std::time::Instant::now();
        act();
        // What is linear takes a second or two in a debug build; what was quadratic took minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{what}: {:?}", begun.elapsed());
    };
    for (status, count) in [("added", COUNT), ("updated", COUNT / 10)] {
        let text = json!(items[..count]).to_string();
        timed(status, &|| {
            let seen = browser.post("/admin/credentials/import", json!({"text": text}));
            assert_eq!(seen.status, 200, "{}", seen.text);
            let results = seen.json()["results"].as_array().unwrap().clone();
            assert_eq!(results.iter().filter(|result| result["status"] == status).count(), count);
        });
        assert_eq!(browser.get("/admin/credentials?limit=1").json()["total"], COUNT);
        let file = std::fs::read_to_string(&path).unwrap();
        assert_eq!(file.matches("1//of-the-crowd-").count(), COUNT, "all are on disk before the answer");
    }
    for (action, left, disabled) in [("disable", COUNT, COUNT), ("delete", 0, 0)] {
        timed(action, &|| {
            let seen = browser.post("/admin/credentials/bulk?q=", json!({"action": action, "expect": COUNT}));
            assert_eq!((seen.status, &seen.json()["done"]), (200, &json!(COUNT)), "{}", seen.text);
        });
        let file = std::fs::read_to_string(&path).unwrap();
        assert_eq!(file.matches("1//of-the-crowd-").count(), left, "{action}");
        assert_eq!(file.matches("\"disabled\": true").count(), disabled, "{action}");
    }
    let text = vec!["AIza-one-too-many-key"; COUNT + 1].join("\n");
    assert_eq!(browser.post("/admin/credentials/import", json!({"text": text})).status, 400);
}

#[cfg(feature = "vertex")]
#[test]
fn every_known_shape_can_be_imported_at_once() {
    let google = FakeGoogle::start();
    let (proxy, browser) = started(&google);
    let shapes = |at: usize, login: &crate::common::google::Login| {
        let (access, refresh) = (&login.access_token, &login.refresh_token);
        match at {
            0 => {
                json!({"access_token": access, "refresh_token": refresh, "scope": "x openid", "token_type": "Bearer", "id_token": "eyJ", "expiry_date": login.expiry_ms})
            }
            1 => {
                json!({"type": "authorized_user", "client_id": "id", "client_secret": "oauth-secret-0001", "refresh_token": refresh})
            }
            2 => {
                json!({"token": {"access_token": access, "refresh_token": refresh, "expiry": "2020-01-01T00:00:00Z", "client_id": "id", "client_secret": "oauth-secret-0001"}, "auto": true, "type": "gemini"})
            }
            3 => {
                json!({"client_id": "id", "client_secret": "oauth-secret-0001", "token": access, "refresh_token": refresh, "scopes": [], "expiry": "2020-01-01T00:00:00"})
            }
            4 => {
                json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expiry_date": login.expiry_ms, "scopes": [], "project_id": "project-4"})
            }
            _ => {
                json!({"accessToken": access, "refreshToken": refresh, "expiresAt": login.expiry_ms / 1000, "email": "u5@example.com"})
            }
        }
    };
    let items: Vec<Value> = (0..6)
        .map(|at| shapes(at, &google.add_user(User::licensed(&format!("u{at}@example.com"), &format!("project-{at}")))))
        .collect();
    let mut pasted = items.clone();
    pasted.push(json!({"type": "service_account", "private_key": "PRIVATE-KEY-0001"}));
    let import = |text: String| browser.post("/admin/credentials/import", json!({"text": text}));
    let seen = import(json!(pasted).to_string());
    assert_eq!(seen.status, 200, "{}", seen.text);
    let results = seen.json()["results"].as_array().unwrap().clone();
    let status = |status: &str| results.iter().filter(|result| result["status"] == status).count();
    assert_eq!((status("added"), status("refused"), results.len()), (6, 1, 7), "{}", seen.text);
    assert!(results[6]["detail"].as_str().unwrap().contains("service account"));
    assert!(!seen.text.contains("PRIVATE-KEY-0001"));
    let known: Vec<Value> = browser.credentials().iter().map(|credential| credential["status"].clone()).collect();
    assert_eq!(known, vec![json!("active"); 6]);
    let seen = import(items[0].to_string());
    assert_eq!(seen.json()["results"][0]["status"], "updated", "{}", seen.text);

    google.add_api_key("AIza-good-key-0001");
    let seen = import("AIza-good-key-0001 my key\n# not this\nAIza-bad-key-0002\n".into());
    let results = seen.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[0]["label"]), (&json!("added"), &json!("my key")), "{}", seen.text);
    assert_eq!(results[1]["status"], "refused");
    assert!(results[1]["detail"].as_str().unwrap().contains("API key not valid"), "{}", seen.text);
    for (text, status) in [("", 400), ("Dear all", 400)] {
        assert_eq!(import(text.into()).status, status);
    }
    let file = std::fs::read_to_string(proxy.directory().join("credentials.json")).unwrap();
    assert!(file.contains("AIza-good-key-0001") && !file.contains("AIza-bad-key-0002"));
    assert!(google.generations().is_empty(), "trying out costs no generation");
}

#[test]
fn a_key_is_taken_on_trust_while_google_cannot_be_reached() {
    let google = FakeGoogle::start();
    let nowhere = {
        // Bound and let go: nobody listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let proxy = Proxy::start(&google, |config| config["endpoints"]["generative_language"] = json!(nowhere));
    let browser = Browser::new(proxy.base());
    let seen = browser.post("/admin/credentials/add", json!({"credential": {"api_key": "AIza-some-key-0001"}}));
    assert_eq!((seen.status, &seen.json()["label"]), (200, &json!("AIz***0001")), "{}", seen.text);
    assert!(seen.json()["note"].as_str().unwrap().contains("could not be tried out"), "{}", seen.text);
    let check = browser.post("/admin/credentials/cred-0/check", json!({})).json();
    assert_eq!(check["check_details"]["is_healthy"], false);
    assert_eq!(browser.credentials()[0]["status"], "active", "trouble on the way is not the key's fault");
}
