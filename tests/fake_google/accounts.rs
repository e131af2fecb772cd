//! Logins, tokens, tiers and onboarding.

use super::{Client, USER, hello};
use crate::common::google::{OnboardAnswer, Step, Tier, User};
use serde_json::json;

#[test]
fn bearer_tokens_are_checked_and_refreshing_brings_a_new_one() {
    let client = Client::new();
    let body = json!({"model": "gemini-2.5-pro", "project": "project-a", "request": hello()});
    let path = "/v1internal:generateContent";
    assert_eq!(client.post(path, ("x-test", "1"), &body).0, 401);
    assert_eq!(client.post(path, ("authorization", "Bearer nonsense"), &body).0, 401);
    client.fake.expire(USER);
    assert_eq!(client.code_assist("generateContent", &body).0, 401);
    let login = client.fake.login(USER);
    let form = |token| {
        vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "id"), ("client_secret", "s")]
    };
    let (status, fresh) = client.form("/token", &form(&login.refresh_token));
    assert_eq!((status, fresh.get("refresh_token")), (200, None));
    assert_eq!(client.fake.refreshes(USER), 1);
    let bearer = format!("Bearer {}", fresh["access_token"].as_str().unwrap());
    assert_eq!(client.post(path, ("authorization", &bearer), &body).0, 200);
    let (_, about) = client.get("/v1/userinfo", ("authorization", &bearer));
    assert_eq!((&about["email"], &about["email_verified"]), (&json!(USER), &json!(true)));

    client.fake.settings(|settings| settings.rotate_refresh = true);
    assert!(client.form("/token", &form(&login.refresh_token)).1["refresh_token"].is_string());
    client.fake.script(USER, Step::html(502).on("token"));
    assert_eq!(client.form("/token", &form(&login.refresh_token)).0, 502);
    client.fake.revoke(USER);
    let (status, refused) = client.form("/token", &form(&login.refresh_token));
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    client.fake.settings(|settings| settings.client = Some(("other".into(), "s".into())));
    let (status, refused) = client.form("/token", &form(&login.refresh_token));
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
}

#[test]
fn a_token_without_the_cloud_scope_is_refused() {
    let client = Client::new();
    let mut user = User::licensed("b@example.com", "project-b");
    user.scopes.retain(|scope| !scope.ends_with("cloud-platform"));
    let bearer = format!("Bearer {}", client.fake.add_user(user).access_token);
    let (status, text) = client.post("/v1internal:loadCodeAssist", ("authorization", &bearer), &json!({}));
    assert_eq!(status, 403);
    assert!(text.contains("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "{text}");
}

#[test]
fn a_login_goes_through_consent_and_code_exchange_with_pkce() {
    let client = Client::new();
    // The example of RFC 7636, appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let redirect = "http://127.0.0.1:9/oauth2callback";
    let page = |redirect: &str| {
        let scope = "https://www.googleapis.com/auth/cloud-platform";
        let query = format!("client_id=id&response_type=code&scope={scope}&state=s1&redirect_uri={redirect}");
        let url = format!(
            "{}/o/oauth2/v2/auth?{query}&code_challenge={challenge}&code_challenge_method=S256",
            client.fake.base()
        );
        let response = client.agent.get(url).call().expect("an answer");
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_string());
        (response.status().as_u16(), location.unwrap_or_default())
    };
    assert_eq!(page("http://proxy.example.com/callback").0, 400);
    let (status, location) = page(redirect);
    assert_eq!(status, 302);
    assert!(location.starts_with("http://127.0.0.1:9/oauth2callback?state=s1&code=4%2F0Afake"), "{location}");
    let code =
        location.split("code=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/").replace("%2D", "-");
    let exchange = |code: &str, redirect: &str, verifier: &str| {
        client.form(
            "/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", redirect),
                ("code_verifier", verifier),
                ("client_id", "id"),
                ("client_secret", "s"),
            ],
        )
    };
    assert_eq!(exchange("garbage", redirect, verifier).1["error_description"], json!("Malformed auth code."));
    assert_eq!(exchange(&code, "http://127.0.0.1:8/x", verifier).1["error"], json!("redirect_uri_mismatch"));
    let (status, tokens) = exchange(&code, redirect, verifier);
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("1//0"));
    assert_eq!(exchange(&code, redirect, verifier).1["error"], json!("invalid_grant"), "a code works once");
    let again = page(redirect).1;
    let code = again.split("code=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/").replace("%2D", "-");
    assert_eq!(
        exchange(&code, redirect, &"wrong-verifier-".repeat(3)).1["error_description"],
        json!("Invalid code verifier.")
    );
    client.fake.settings(|settings| settings.deny_consent = true);
    assert!(page(redirect).1.contains("error=access_denied&state=s1"));
}

#[test]
fn a_new_account_is_onboarded_after_some_polls() {
    for answer in [OnboardAnswer::Object, OnboardAnswer::Text, OnboardAnswer::EmptyObject] {
        let client = Client::new();
        client.fake.set_tier(USER, Tier::NewFree { polls: 2, answer });
        let loaded = client.code_assist("loadCodeAssist", &json!({"metadata": {"platform": "LINUX_AMD64"}})).1;
        assert!(loaded.get("currentTier").is_none());
        assert_eq!(client.code_assist("loadCodeAssist", &json!({"metadata": {"platform": "WINDOWS_ARM64"}})).0, 400);
        let with_project = json!({"tierId": "free-tier", "cloudaicompanionProject": "project-a"});
        assert_eq!(client.code_assist("onboardUser", &with_project).1["error"]["status"], json!("FAILED_PRECONDITION"));
        let started = client.code_assist("onboardUser", &json!({"tierId": "free-tier"})).1;
        assert_eq!(started["done"], json!(false));
        let path = format!("/v1internal/{}", started["name"].as_str().unwrap());
        let poll = || client.get(&path, ("authorization", &client.bearer())).1;
        assert_eq!(poll()["done"], json!(false));
        let done = poll();
        let project = &done["response"]["cloudaicompanionProject"];
        match answer {
            OnboardAnswer::Object => assert_eq!(project["id"], json!("project-a")),
            OnboardAnswer::Text => assert_eq!(project, &json!("project-a")),
            _ => assert_eq!(project, &json!({})),
        }
        let loaded = client.code_assist("loadCodeAssist", &json!({})).1;
        assert_eq!(loaded["cloudaicompanionProject"], json!("project-a"));
    }
}

#[test]
fn accounts_google_does_not_serve_say_why() {
    let client = Client::new();
    let reason = |tier: Tier| {
        client.fake.set_tier(USER, tier);
        let loaded = client.code_assist("loadCodeAssist", &json!({})).1;
        let refused = client.generate("gemini-2.5-pro", &hello());
        (
            loaded["ineligibleTiers"][0]["reasonCode"].clone(),
            refused.0,
            refused.1["error"]["details"][0]["reason"].clone(),
        )
    };
    assert_eq!(reason(Tier::UnsupportedClient), (json!("UNSUPPORTED_CLIENT"), 403, json!("SUBSCRIPTION_REQUIRED")));
    assert_eq!(reason(Tier::ValidationRequired), (json!("VALIDATION_REQUIRED"), 403, json!("VALIDATION_REQUIRED")));
    client.fake.set_tier(USER, Tier::VpcServiceControls);
    assert_eq!(client.code_assist("loadCodeAssist", &json!({})).0, 403);
    assert_eq!(client.generate("gemini-2.5-pro", &hello()).0, 200);
}
