//! One pool of three services: who serves what, and who goes first.

use super::*;

const KEY: &str = "AIzaVertexTestKey";

/// A service account and an API key in one pool.
fn both(google: &FakeGoogle, change: impl FnOnce(&mut Value)) -> Proxy {
    google.add_api_key(KEY);
    let items = json!([account(google, &["global"]), {"type": "api_key", "api_key": KEY}]);
    proxy_with(google, &items, change)
}

/// Which service the last generation went to.
fn service(google: &FakeGoogle) -> &'static str {
    if google.last_generation().path.starts_with("/v1beta1/") { "vertex" } else { "public" }
}

#[test]
fn requests_take_turns_over_all_services_unless_one_is_preferred() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |_| {});
    let mut served = Vec::new();
    for _ in 0..8 {
        assert_eq!(chat(&proxy, MODEL).status, 200);
        served.push(service(&google));
    }
    assert!(served.contains(&"vertex") && served.contains(&"public"), "{served:?}");
    for (prefer, expected) in [(json!(["vertex"]), "vertex"), (json!(["api_key", "vertex"]), "public")] {
        let google = FakeGoogle::start();
        let proxy = both(&google, |config| config["prefer"] = prefer);
        // The account has a token once it was used or refreshed ahead.
        assert!(google.wait_for(|state| state.refreshed.contains_key(ACCOUNT), std::time::Duration::from_secs(10)));
        for _ in 0..4 {
            assert_eq!(chat(&proxy, MODEL).status, 200);
        }
        assert_eq!(service(&google), expected);
    }
}

#[test]
fn a_blocked_account_stops_nobody_else_and_is_named() {
    let google = FakeGoogle::start();
    let proxy = both(&google, |config| config["prefer"] = json!(["vertex"]));
    google.vertex(|vertex| vertex.without_role.extend([ACCOUNT.to_owned()]));
    for _ in 0..3 {
        assert_eq!(chat(&proxy, MODEL).status, 200);
    }
    let views = proxy.service().app().pool.views();
    assert!(
        views[0].failure_reason.as_ref().is_some_and(|reason| reason.to_string().contains("role")),
        "{:?}",
        views[0]
    );
    assert!(views[1].available);
}
