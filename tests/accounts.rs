//! Connecting and managing credentials over HTTP, against the fake Google.

use crate::common::google::{FakeGoogle, Step, Tier, User};
use crate::common::pool::Scratch;
use crate::common::proxy::{CLIENT_KEY, Proxy};
use crate::common::wire::unled_agent;
use crate::common::written;
use gemini_openai_proxy::config;
use gemini_openai_proxy::serve::service::Service;
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const EMAIL: &str = "ada@example.com";
const MASKED: &str = "a*a*********@example.com";
const GOOGLES_PAGE: &str = "https://codeassist.google.com/authcode";
const NOT_FOUND: &str = "<h1>Error: OAuth flow not found. Please start again.</h1>";
const SUCCESS: &str = "<h1>Authentication Successful!</h1><p>You can close this window now.</p>";

/// What a browser or script sees of an answer.
struct Seen {
    status: u16,
    location: String,
    text: String,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

/// Talks to a proxy as a browser does that follows nothing by itself.
struct Browser {
    base: String,
    headers: Vec<(&'static str, String)>,
    agent: ureq::Agent,
}

impl Browser {
    fn new(base: String) -> Browser {
        Browser { base, headers: Vec::new(), agent: unled_agent() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Browser {
        self.headers.push((name, value.into()));
        self
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Seen {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        body.into_iter().for_each(written::secrets_in);
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut answer = match body.is_empty() {
            true => self.agent.run(request.body(()).unwrap()),
            false => self.agent.run(request.body(body).unwrap()),
        }
        .expect("an answer");
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"));
        Seen { status, location: location.unwrap_or_default(), text }
    }

    fn get(&self, path: &str) -> Seen {
        self.send("GET", path, None)
    }

    fn post(&self, path: &str, body: Value) -> Seen {
        self.send("POST", path, Some(&body))
    }

    /// From the login's beginning to the address Google sends the browser to.
    fn agree(&self) -> String {
        let consent = self.get("/oauth2/login");
        assert_eq!(consent.status, 302, "{}", consent.text);
        let back = self.get(&consent.location);
        assert_eq!(back.status, 302, "{}", back.text);
        back.location
    }

    fn members(&self) -> Vec<Value> {
        self.get("/admin/credentials").json().as_array().expect("a list").clone()
    }
}

fn google() -> FakeGoogle {
    let google = FakeGoogle::start();
    google.add_user(User::licensed(EMAIL, "project-1"));
    google
}

fn started(google: &FakeGoogle) -> (Proxy, Browser) {
    let proxy = Proxy::start(google, |_| {});
    let browser = Browser::new(proxy.base());
    (proxy, browser)
}

/// Every page says what to do next.
fn is_page_with_next_step(seen: &Seen, status: u16, text: &str) {
    assert_eq!(seen.status, status, "{}", seen.text);
    assert!(seen.text.contains(text), "{}", seen.text);
    assert!(seen.text.contains("<a href=\"/"), "a way on: {}", seen.text);
}

#[test]
fn a_login_ends_on_the_old_page_with_the_account_in_pool_and_file() {
    let google = google();
    let (proxy, browser) = started(&google);
    let back = browser.agree();
    assert!(back.starts_with(&format!("{}/oauth2/callback?", proxy.base())), "back under the same name: {back}");
    let done = browser.get(&back);
    is_page_with_next_step(&done, 200, SUCCESS);
    assert!(done.text.contains(MASKED));
    let members = browser.members();
    assert_eq!((members.len(), &members[0]["email"], &members[0]["status"]), (1, &json!(MASKED), &json!("active")));
    let file = std::fs::read_to_string(proxy.directory().join("credentials.json")).unwrap();
    assert!(file.contains("refresh_token"));

    is_page_with_next_step(&browser.get(&back), 400, NOT_FOUND);
    assert_eq!(browser.members().len(), 1, "a used address adds nothing");

    let again = browser.get(&browser.agree());
    assert!(again.text.contains("Updated"), "{}", again.text);
    assert_eq!((browser.members().len(), &browser.members()[0]["id"]), (1, &members[0]["id"]));
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
    assert_eq!(browser.members().len(), 2);
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
    assert!(browser.members().is_empty());
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

#[test]
fn changes_are_taken_from_our_own_page_and_from_scripts_only() {
    let google = google();
    let (proxy, _) = started(&google);
    let own = proxy.base();
    for (headers, status) in [
        (vec![], 404),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")], 404),
        (vec![("Origin", own.as_str())], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", "https://evil.example")], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Origin", "null")], 403),
        (vec![("X-Requested-With", "gemini-proxy"), ("Sec-Fetch-Site", "cross-site")], 403),
    ] {
        let browser =
            headers.iter().fold(Browser::new(own.clone()), |browser, (name, value)| browser.with(name, *value));
        for (method, path) in [("DELETE", "/admin/credentials/cred-9"), ("POST", "/admin/credentials/cred-9/reset")] {
            assert_eq!(browser.send(method, path, None).status, status, "{headers:?}");
        }
    }
}

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
    assert_eq!(browser.members().len(), 1);
}

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
    let known: Vec<Value> = browser.members().iter().map(|member| member["status"].clone()).collect();
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
    assert_eq!(browser.members()[0]["status"], "active", "trouble on the way is not the key's fault");
}

#[test]
fn members_are_managed_by_ids_that_stay() {
    let google = google();
    google.add_user(User::licensed("bob@example.com", "project-2"));
    let items = json!([google.oauth_credential(EMAIL), google.oauth_credential("bob@example.com")]);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!(["AIza-config-0001"]);
        std::fs::write(config["credentials_file"].as_str().unwrap(), items.to_string()).unwrap();
    });
    let browser = Browser::new(proxy.base());
    let act = |id: &str, word: &str| browser.send("POST", &format!("/admin/credentials/{id}/{word}"), None);
    let ids = || browser.members().iter().map(|member| member["id"].clone()).collect::<Vec<_>>();
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
fn a_member_that_a_person_set_right_rests_as_briefly_as_the_first_time() {
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
    assert_eq!((browser.members().len(), &browser.members()[0]["label"]), (1, &json!("mine")), "it works all the same");
    let told = alert().expect("it is told as long as it is so");
    assert_eq!(told["level"], "error");
    assert!(told["text_en"].as_str().unwrap().contains("cannot be written"), "{told}");

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
    assert_eq!(browser.members().len(), ACCOUNTS + 1);

    google.clear_scripts();
    google.release();
    let end = Instant::now() + Duration::from_secs(60);
    while browser
        .members()
        .iter()
        .any(|member| member["status"] != "active" || member["project_id"] == "None" && member["kind"] == "oauth")
    {
        assert!(Instant::now() < end, "they are found out about in the background");
        google.release();
        thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn one_account_is_one_member_however_often_it_comes() {
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
    assert_eq!(browser.members().len(), 1);
    // What a person set here stays when the account is connected anew.
    let seen = browser.post("/admin/credentials/cred-0", json!({"label": "mine", "project_id": "chosen-project"}));
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(import(json!([google.oauth_credential(EMAIL)])), ["updated"]);
    let members = browser.members();
    assert_eq!(
        (members.len(), &members[0]["label"], &members[0]["project_id"]),
        (1, &json!("mine"), &json!("***-ject"))
    );
    // A project that the item names itself is another member.
    let mut own = google.oauth_credential(EMAIL);
    own["project_id"] = json!("third-project");
    assert_eq!(import(json!([own])), ["added"]);
    assert_eq!(browser.members().len(), 2);

    // While it cannot be tried out, a good login is not given up for one that may be dead.
    google.always(EMAIL, Step::html(503).on("token"));
    let mut untried = google.oauth_credential(EMAIL);
    (untried["email"], untried["expiry_date"]) = (json!(EMAIL), json!(1_000_000_000_000_u64));
    assert_eq!(import(json!([untried])), ["refused"]);
    assert_eq!(browser.members().len(), 2);
}

#[test]
fn a_key_of_the_config_that_is_added_is_still_one_member() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-config-0001");
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(["AIza-config-0001"]));
    let browser = Browser::new(proxy.base());
    let seen = browser.post("/admin/credentials/add", json!({"credential": {"api_key": "AIza-config-0001"}}));
    assert_eq!(seen.json()["message"], "credential_updated", "{}", seen.text);
    let members = browser.members();
    assert_eq!((members.len(), &members[0]["source"]), (1, &json!("file")));
}
