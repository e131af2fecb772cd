//! Accounts that are connected by a login at Google.

use super::{Browser, EMAIL, GOOGLES_PAGE, MASKED, NOT_FOUND, SUCCESS, google, is_page_with_next_step, started};
use crate::common::google::{Step, Tier, User};
use crate::common::pool::Scratch;
use crate::common::proxy::Proxy;
use gemini_openai_proxy::config;
use gemini_openai_proxy::serve::service::Service;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_login_ends_on_the_old_page_with_the_account_in_pool_and_file() {
    let google = google();
    let (proxy, browser) = started(&google);
    let back = browser.agree();
    assert!(back.starts_with(&format!("{}/oauth2/callback?", proxy.base())), "back under the same name: {back}");
    let done = browser.get(&back);
    is_page_with_next_step(&done, 200, SUCCESS);
    assert!(done.text.contains(MASKED));
    let credentials = browser.credentials();
    assert_eq!(
        (credentials.len(), &credentials[0]["email"], &credentials[0]["status"]),
        (1, &json!(MASKED), &json!("active"))
    );
    let file = std::fs::read_to_string(proxy.directory().join("credentials.json")).unwrap();
    assert!(file.contains("refresh_token"));

    is_page_with_next_step(&browser.get(&back), 400, NOT_FOUND);
    assert_eq!(browser.credentials().len(), 1, "a used address adds nothing");

    let again = browser.get(&browser.agree());
    assert!(again.text.contains("Updated"), "{}", again.text);
    assert_eq!((browser.credentials().len(), &browser.credentials()[0]["id"]), (1, &credentials[0]["id"]));
}

#[test]
fn several_logins_may_be_under_way_at_once() {
    let google = google();
    let (_proxy, browser) = started(&google);
    let first = browser.agree();
    google.add_user(User::licensed("bob@example.com", "project-2"));
    google.settings(|settings| settings.consent_as = Some("bob@example.com".into()));
    let second = browser.agree();
    for back in [second, first] {
        is_page_with_next_step(&browser.get(&back), 200, SUCCESS);
    }
    assert_eq!(browser.credentials().len(), 2);
}

#[test]
fn a_login_that_fails_says_why_and_what_to_do() {
    let google = google();
    let (_proxy, browser) = started(&google);
    google.settings(|settings| settings.deny_consent = true);
    let denied = browser.get(&browser.agree());
    is_page_with_next_step(
        &denied,
        400,
        "<h1>Authentication Failed</h1><p>Reason: access_denied. Please try again.</p>",
    );
    assert!(denied.text.contains("agree to all"), "{}", denied.text);
    google.settings(|settings| settings.deny_consent = false);

    is_page_with_next_step(&browser.get("/oauth2/callback?code=x&state=made-up"), 400, NOT_FOUND);
    is_page_with_next_step(&browser.get("/oauth2/callback?code=x"), 400, NOT_FOUND);
    let missing = browser.get("/oauth2/callback?state=x");
    assert_eq!(
        (missing.status, missing.text.as_str()),
        (422, r#"{"detail":[{"type":"missing","loc":["query","code"],"msg":"Field required","input":null}]}"#)
    );
    let script = browser.get("/oauth2/callback?error=%3Cscript%3E");
    assert!(script.text.contains("&lt;script&gt;") && !script.text.contains("<script>"), "{}", script.text);

    for (change, reason, words) in [
        (Tier::UnsupportedClient, "failed_to_discover_project_id", "API key"),
        (Tier::ValidationRequired, "failed_to_discover_project_id", "erif"),
    ] {
        google.set_tier(EMAIL, change);
        let failed = browser.get(&browser.agree());
        is_page_with_next_step(&failed, 400, &format!("Reason: {reason}. Please try again."));
        assert!(failed.text.contains(words), "{}", failed.text);
    }
    google.script(EMAIL, Step::html(502).on("token"));
    is_page_with_next_step(&browser.get(&browser.agree()), 400, "Reason: token_exchange_failed.");
    let mut user = User::licensed(EMAIL, "project-1");
    user.scopes.retain(|scope| !scope.ends_with("cloud-platform"));
    google.add_user(user);
    is_page_with_next_step(&browser.get(&browser.agree()), 400, "Reason: missing_scope.");
    assert!(browser.credentials().is_empty());
}

#[test]
fn a_login_that_took_too_long_is_over() {
    let google = google();
    let files = Scratch::new();
    let settings = json!({
        "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": files.file(), "log_level": "error",
        "min_credentials": 0, "endpoints": google.endpoints_json(),
    });
    let mut config = config::parse(&settings.to_string()).unwrap().config;
    config.login_lifetime = Duration::ZERO;
    let service = Service::start(config).unwrap();
    let browser = Browser::new(format!("http://{}", service.address()));
    let late = browser.get(&browser.agree());
    is_page_with_next_step(&late, 400, NOT_FOUND);
    assert!(late.text.contains("more than ten minutes"), "{}", late.text);
    let pasted = browser.post("/admin/oauth/finish", json!({"text": browser.agree()}));
    assert_eq!(pasted.status, 400);
    assert!(pasted.json()["detail"].as_str().unwrap().contains("ten minutes"));
    service.stop();
}

#[test]
fn where_google_cannot_come_back_the_page_asks_for_the_code() {
    let google = google();
    let proxy = Proxy::start(&google, |config| {
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("distant-password");
    });
    let login = ("Authorization", "Basic Y2hlZjpkaXN0YW50LXBhc3N3b3Jk");
    let far = Browser::new(proxy.base()).with(login.0, login.1).with("Host", "vps.example:8889");
    let seen = far.get("/oauth2/login");
    assert_eq!((seen.status, seen.location.as_str()), (302, "/?login=paste"));
    let started = far.post("/admin/oauth/start", json!({})).json();
    assert_eq!((&started["redirect_uri"], &started["mode"]), (&json!(GOOGLES_PAGE), &json!("paste")));

    // Google's page shows the code; the fake has it in the address.
    let plain = Browser::new(proxy.base());
    let shown = plain.get(started["url"].as_str().unwrap()).location;
    let code = shown.split("code=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/").replace("%2D", "-");
    let body = json!({"text": format!("  {code}\n"), "state": started["state"]});
    let seen = far.post("/admin/oauth/finish", body.clone());
    assert_eq!(seen.status, 200, "{}", seen.text);
    let answer = seen.json();
    assert_eq!((&answer["message"], &answer["email"]), (&json!("credential_added"), &json!(MASKED)));
    let again = far.post("/admin/oauth/finish", body);
    assert_eq!(again.status, 400);
    assert!(again.json()["detail"].as_str().unwrap().contains("completed already"), "{}", again.text);

    let stranger = Browser::new(proxy.base()).post("/admin/oauth/start", json!({}));
    assert_eq!(stranger.status, 401, "only the admin logs in");
    assert_eq!(Browser::new(proxy.base()).get("/oauth2/callback?code=x&state=y").status, 401);
}

#[test]
fn a_whole_address_may_be_pasted_and_a_lone_code_without_its_state() {
    let google = google();
    let (_proxy, browser) = started(&google);
    let back = browser.agree();
    let seen = browser.post("/admin/oauth/finish", json!({"text": format!(" {back} \n")}));
    assert_eq!((seen.status, &seen.json()["message"]), (200, &json!("credential_added")), "{}", seen.text);
    is_page_with_next_step(&browser.get(&back), 400, NOT_FOUND);

    let start = || browser.post("/admin/oauth/start", json!({"mode": "paste"})).json();
    let code = |started: &Value| {
        let shown = browser.get(started["url"].as_str().unwrap()).location;
        shown.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let one = start();
    let encoded = code(&one);
    assert!(encoded.contains("%2F"), "{encoded}");
    let seen = browser.post("/admin/oauth/finish", json!({"text": encoded}));
    assert_eq!((seen.status, &seen.json()["message"]), (200, &json!("credential_updated")), "{}", seen.text);

    let (one, _two) = (start(), start());
    let seen = browser.post("/admin/oauth/finish", json!({"text": code(&one)}));
    assert!(seen.status == 400 && seen.text.contains("Several logins"), "{}", seen.text);
    for (body, status, words) in [
        (json!({"text": ""}), 400, "Nothing was pasted"),
        (json!({"text": "http://localhost:1/oauth2/callback?state=x"}), 400, "holds no code"),
        (json!({"text": "http://localhost:1/cb?error=access_denied"}), 400, "not granted"),
        (json!({"text": "4/0Ax", "state": "made-up"}), 400, "knows no such login"),
        (json!({}), 422, "Field required"),
        (json!([]), 422, "valid dictionary"),
    ] {
        let seen = browser.post("/admin/oauth/finish", body);
        assert!(seen.status == status && seen.text.contains(words), "{words}: {} {}", seen.status, seen.text);
    }
    assert_eq!(browser.post("/admin/oauth/start", json!({"mode": "frob"})).status, 422);
}
