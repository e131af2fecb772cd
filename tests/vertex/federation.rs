//! Credentials whose token comes from somebody else: impersonation, another provider, the machine itself.

use super::*;
use crate::common::google::User;
use crate::common::google::federation::{MACHINE, SUBJECT};
use crate::common::program::Folder;

const TARGET: &str = "target@project-v.iam.gserviceaccount.com";

fn import(proxy: &Proxy, item: &Value) -> Value {
    let body = json!({"text": item.to_string()}).to_string();
    let answer = http::ask(proxy, "POST", "/admin/credentials/import", &[], body.as_bytes());
    serde_json::from_str::<Value>(&answer.text()).unwrap()["results"][0].take()
}

fn url(email: &str) -> String {
    format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken")
}

#[test]
fn a_service_account_is_impersonated_by_a_login_or_another_account() {
    let google = FakeGoogle::start();
    google.add_service_account(TARGET, PROJECT);
    google.add_user(User::licensed("user@example.com", "elsewhere"));
    let login = google.login("user@example.com");
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "gcloud-secret",
        "refresh_token": login.refresh_token});
    for source in [user, account(&google, &["global"])] {
        let item = json!({"type": "impersonated_service_account", "service_account_impersonation_url": url(TARGET),
            "source_credentials": source, "delegates": []});
        let proxy = proxy(&google, &json!([]));
        let result = import(&proxy, &item);
        assert_eq!(result["status"], "added", "{result}");
        assert_eq!(chat(&proxy, MODEL).status, 200);
        assert_eq!(google.last_generation().who.as_deref(), Some(TARGET));
    }
    google.vertex(|vertex| vertex.without_role.extend([ACCOUNT.to_owned()]));
    let item = json!({"type": "impersonated_service_account", "service_account_impersonation_url": url(TARGET),
        "source_credentials": account(&google, &["global"])});
    let proxy = proxy(&google, &json!([]));
    let result = import(&proxy, &item);
    assert!(result["detail"].as_str().unwrap().contains("serviceAccountTokenCreator"), "{result}");
    for wrong in ["https://evil.example/x", "https://evil.example/serviceAccounts/a@b/c:generateAccessToken"] {
        let mut item = item.clone();
        item["service_account_impersonation_url"] = json!(wrong);
        assert_eq!(import(&proxy, &item)["status"], "refused", "{wrong}");
    }
}

#[test]
fn a_token_of_another_provider_comes_from_a_file_or_an_address() {
    let google = FakeGoogle::start();
    google.add_service_account(MACHINE, PROJECT);
    google.add_service_account(TARGET, PROJECT);
    let proxy = proxy(&google, &json!([]));
    let file = proxy.directory().join("subject.token");
    std::fs::write(&file, format!("{SUBJECT}\n")).unwrap();
    let json_file = proxy.directory().join("subject.json");
    std::fs::write(&json_file, json!({"id_token": SUBJECT}).to_string()).unwrap();
    let item = |source: Value| {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": source, "project_id": PROJECT,
        })
    };
    for (source, target, who) in [
        (json!({"file": file}), None, MACHINE),
        (
            json!({"file": json_file, "format": {"type": "json", "subject_token_field_name": "id_token"}}),
            Some(TARGET),
            TARGET,
        ),
        (json!({"url": format!("{}/subject", google.base()), "headers": {"x-of": "mine"}}), None, MACHINE),
    ] {
        let mut item = item(source);
        if let Some(target) = target {
            item["service_account_impersonation_url"] = json!(url(target));
        }
        let result = import(&proxy, &item);
        assert_eq!(result["status"], "added", "{result}");
        let asked = google.generations_count();
        assert_eq!(chat(&proxy, MODEL).status, 200);
        assert_eq!(google.generations_count(), asked + 1);
        assert_eq!(google.last_generation().who.as_deref(), Some(who));
        let name = proxy.service().app().pool.views()[0].name.clone();
        let path = format!("/admin/credentials/{name}");
        assert_eq!(http::ask(&proxy, "DELETE", &path, &[], b"").status, 200);
    }
    for (name, value) in [
        ("token_url", json!("https://evil.example/token")),
        ("credential_source", json!({"executable": {"command": "/bin/true"}})),
        ("credential_source", json!({"environment_id": "aws1"})),
        ("audience", Value::Null),
    ] {
        let mut item = item(json!({"file": file}));
        item[name] = value;
        assert_eq!(import(&proxy, &item)["status"], "refused", "{name}");
    }
}

#[test]
fn a_machine_in_google_cloud_needs_one_word_in_the_config() {
    let google = FakeGoogle::start();
    google.add_service_account(MACHINE, PROJECT);
    let machine = proxy_with(&google, &json!([]), |config| config["gcp_metadata"] = json!(true));
    assert_eq!(chat(&machine, MODEL).status, 200);
    assert!(google.last_generation().path.contains("/projects/project-v/locations/global/"));
    assert_eq!(google.refreshes(MACHINE), 1, "one token");
    assert!(machine.service().app().pool.views()[0].from_config);
    let asked = google.count("/computeMetadata");
    let plain = proxy(&google, &json!([{"type": "gcp_metadata"}]));
    assert_eq!(chat(&plain, MODEL).status, 503);
    assert_eq!(google.count("/computeMetadata"), asked, "it is not asked unless the config says so");
}

/// A credential of each kind that can be imported, all known to Google.
fn kinds(google: &FakeGoogle, folder: &Folder) -> [Value; 5] {
    google.add_service_account(TARGET, PROJECT);
    google.add_service_account(MACHINE, PROJECT);
    google.add_user(User::licensed("user@example.com", PROJECT));
    let login = google.login("user@example.com");
    let token = folder.write("subject.token", SUBJECT);
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "gcloud-secret",
        "refresh_token": login.refresh_token, "quota_project_id": PROJECT, "upstream": "vertex"});
    let external = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": token}, "project_id": PROJECT,
    });
    let impersonated = json!({"type": "impersonated_service_account", "service_account_impersonation_url": url(TARGET),
        "source_credentials": account(google, &["global"])});
    [account(google, &["global"]), google.add_vertex_key("AQ.Ab8-check-key"), user, external, impersonated]
}

#[test]
fn each_kind_is_checked_without_a_generation() {
    let google = FakeGoogle::start();
    let folder = Folder::new("vertex-check");
    let items = kinds(&google, &folder);
    let count = items.len();
    let proxy = proxy_with(&google, &json!(items), |config| config["gcp_metadata"] = json!(true));
    let names: Vec<String> = proxy.service().app().pool.views().iter().map(|view| view.name.clone()).collect();
    assert_eq!(names.len(), count + 1, "and the machine");
    for name in names {
        let answer = http::ask(&proxy, "POST", &format!("/admin/credentials/{name}/check"), &[], b"").json();
        assert_eq!(answer["check_details"]["is_healthy"], true, "{name}: {answer}");
        assert_eq!(answer["check_details"]["checker_name"], "countTokens", "{name}");
    }
    assert!(google.generations().is_empty(), "no generation is spent");
}

#[test]
fn a_person_pastes_each_kind_on_the_page_and_sees_it_connected() {
    let google = FakeGoogle::start();
    let folder = Folder::new("vertex-page");
    let items = kinds(&google, &folder);
    let proxy = proxy_with(&google, &json!([]), |config| config["gcp_metadata"] = json!(true));
    crate::browser::browser("page_vertex.mjs", &proxy, &[("ITEMS", &json!(items).to_string())]);
    let kinds: Vec<bool> = proxy.service().app().pool.views().iter().map(|view| view.from_config).collect();
    assert_eq!(kinds, [true, false, false, false, false, false], "the machine and what was pasted");
    assert!(google.generations().is_empty(), "no generation is spent");
}
