//! The admin page in a headless Chromium (Debian's packages, installed by `tests/setup.sh`). The cases are in `js/page_*.mjs`;
//! their screenshots go to `tests/screenshots`.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step, User};
use crate::common::program::Folder;
use crate::common::proxy::{EMAIL, GEMINI_KEY, Pool, Proxy};
use crate::common::script;
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

/// Another key than the one in the config, added on the page.
const ADDED_KEY: &str = "AIza-added-on-the-page";

/// Runs the cases of a script against a proxy.
pub fn browser(cases: &str, proxy: &Proxy, variables: &[(&str, &str)]) {
    for needed in ["node_modules/playwright-core/package.json", "node_modules/axe-core/package.json"] {
        assert!(script::file(needed).exists(), "{needed} is not installed: run tests/setup.sh (`make test` does)");
    }
    script::node_with("run_browser.mjs", &[&format!("./{cases}")], proxy, variables);
}

#[test]
fn the_page_shows_every_state_well_and_safely() {
    let google = FakeGoogle::start();
    browser("page_states.mjs", &Proxy::start(&google, |_| {}), &[]);
}

#[test]
fn the_page_is_whole_and_accessible_in_every_look() {
    let google = FakeGoogle::start();
    browser("page_looks.mjs", &Proxy::start(&google, |_| {}), &[]);
}

#[cfg(all(feature = "console", feature = "ledger"))]
#[test]
fn a_person_runs_the_proxy_from_the_page() {
    let google = FakeGoogle::start();
    google.add_api_key(ADDED_KEY);
    google.add_user(User::licensed(EMAIL, "project-1"));
    let empty = Proxy::start(&google, |_| {});

    let limited = Proxy::with_pool(&google, Pool::ApiKey);
    google.script(GEMINI_KEY, Step::public_429("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "90s"));

    let locked = Proxy::start(&google, |config| {
        config["admin_username"] = json!("admin");
        config["admin_password"] = json!("right-password");
    });

    let denying = FakeGoogle::start();
    denying.settings(|settings| settings.deny_consent = true);
    let denied = Proxy::start(&denying, |_| {});
    let hasty = Proxy::with_login_lifetime(&google, Duration::ZERO);

    let many = Proxy::start(&google, |config| {
        let keys =
            (0..1000).map(|n| json!({"key": format!("sk-configured-key-{n:04}"), "name": format!("configured {n}")}));
        config["auth_keys"] = keys.collect();
        let pool = (0..1000).map(|n| json!({"key": format!("AIzaSyOfAThousand{n:04}"), "label": format!("label {n}")}));
        config["gemini_api_keys"] = pool.collect();
    });
    let mut client = Client::new(many.address());
    for n in 0..6 {
        let made = client.send("POST", "/admin/keys", &[], &json!({"name": format!("added {n}")}).to_string());
        assert_eq!(made.unwrap().status, 200);
    }

    let folder = Folder::new("browser");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let config = folder.write(
        "config.json",
        json!({
            "server": {"host": "127.0.0.1", "port": port},
            "credentials_file": folder.join("credentials.json"),
            "endpoints": google.endpoints_json(),
        })
        .to_string(),
    );

    browser(
        "page_live.mjs",
        &empty,
        &[
            ("EMPTY_URL", &empty.base()),
            ("LIMITED_URL", &limited.base()),
            ("MANY_URL", &many.base()),
            ("LOCKED_URL", &locked.base()),
            ("DENIED_URL", &denied.base()),
            ("HASTY_URL", &hasty.base()),
            ("GOOGLE_URL", &google.base()),
            ("DENYING_URL", &denying.base()),
            ("GEMINI_KEY", ADDED_KEY),
            ("PROXY_BINARY", env!("CARGO_BIN_EXE_gemini-openai-proxy")),
            ("PROXY_CONFIG", config.to_str().expect("a plain path")),
        ],
    );
}

#[cfg(feature = "ledger")]
#[test]
fn a_key_holder_looks_at_own_use() {
    const MINE: &str = "sk-client-of-ann-in-the-browser";
    const OTHER: &str = "sk-client-of-bob-in-the-browser";
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([
            {"key": MINE, "name": "Ann of the data science department in Frankfurt", "tokens_per_day": 100_000,
             "dollars_per_month": 0.0001, "requests_per_minute": 100, "models": ["gemini-2.5-flash"], "expires_at": "2099-01-31"},
            {"key": OTHER, "name": "Bob"},
        ]);
    });
    for (key, model) in [(MINE, "gemini-2.5-flash"), (OTHER, "gemini-2.5-pro"), (MINE, "gemini-2.5-flash-lite")] {
        Client::new(proxy.address()).chat(key, model).expect("an answer");
    }
    browser("page_me.mjs", &proxy, &[("MY_KEY", MINE), ("OTHER_KEY", OTHER)]);
}
