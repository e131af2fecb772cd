//! The admin lists in pages: what is asked for, in order, and whole for who asks for nothing.

use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::proxy::Proxy;
use serde_json::{Value, json};

fn start(google: &FakeGoogle) -> Proxy {
    Proxy::start(google, |config| {
        let keys = (0..25).map(|n| json!({"key": format!("sk-paged-client-{n:02}"), "name": format!("Team {n:02} Ümlaut"), "models": if n == 7 { json!(["gemini-2.5-pro"]) } else { json!([]) }}));
        config["auth_keys"] = keys.collect();
        let pool =
            (0..25).map(|n| json!({"key": format!("AIzaSyPagedKeyOfTheTest{n:04}"), "label": format!("Label {n:02}")}));
        config["gemini_api_keys"] = pool.collect();
    })
}

/// Every page of the list, one after the other.
fn walk(client: &mut Client, list: &str, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = client.get(&format!("/admin/{list}?limit={limit}&after={after}")).json();
        let items = page[list].as_array().unwrap();
        assert!(items.len() <= limit && !items.is_empty(), "{page}");
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match &page["next"] {
            Value::String(next) => after.clone_from(next),
            next => {
                assert!(next.is_null(), "{page}");
                return (ids, pages);
            }
        }
    }
}

#[test]
fn lists_come_in_pages_and_whole_without_a_word() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let mut client = Client::new(proxy.address());
    for list in ["keys", "credentials"] {
        let whole = client.get(&format!("/admin/{list}")).json();
        let whole: Vec<Value> = whole.get(list).unwrap_or(&whole).as_array().unwrap().clone();
        let ids: Vec<String> = whole.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        for (limit, pages) in [(1, ids.len()), (10, ids.len().div_ceil(10)), (1000, 1)] {
            assert_eq!(walk(&mut client, list, limit), (ids.clone(), pages), "{list} by {limit}");
        }
        let page = client.get(&format!("/admin/{list}?limit=2")).json();
        assert_eq!(page[list].as_array().unwrap().as_slice(), &whole[..2], "the same items");
        assert_eq!((&page["total"], &page["found"]), (&json!(ids.len()), &json!(ids.len())));
        for wrong in ["limit=0", "limit=many", "after=x", "limit=-1"] {
            let refused = client.get(&format!("/admin/{list}?{wrong}"));
            assert_eq!(refused.status, 400, "{wrong}");
            assert!(refused.json()["detail"].as_str().unwrap().contains("expected"), "{}", refused.body);
        }
    }
}

#[test]
fn lists_are_searched_on_the_server() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let mut client = Client::new(proxy.address());
    let mut found = |list: &str, query: &str| {
        let page = client.get(&format!("/admin/{list}?{query}")).json();
        assert_eq!(page["total"], 25, "{page}");
        (page["found"].as_u64().unwrap(), page[list].as_array().unwrap().len())
    };
    for (list, query, expected) in [
        ("keys", "q=team+0", (12, 12)),
        ("keys", "q=0+TEAM&limit=3", (12, 3)),
        ("keys", "q=%C3%BCmlaut+13", (1, 1)),
        ("keys", "q=gemini-2.5-pro", (1, 1)),
        ("keys", "q=config-11", (1, 1)),
        ("keys", "q=nobody", (0, 0)),
        ("keys", "state=off", (0, 0)),
        ("keys", "q=", (25, 25)),
        ("credentials", "q=label+1", (12, 12)),
        ("credentials", "q=LABEL+24", (1, 1)),
        ("credentials", "q=api_key&limit=1", (25, 1)),
        ("credentials", "q=cred-7", (1, 1)),
        ("credentials", "state=good", (25, 25)),
        ("credentials", "state=bad", (0, 0)),
        ("credentials", "q=sk-paged", (0, 0)),
    ] {
        assert_eq!(found(list, query), expected, "{list} {query}");
    }
    let summary = client.get("/admin/credentials?limit=1").json()["summary"].clone();
    let none = json!({"available": 25, "states": {"good": 25}, "cooling": [], "recovers_at": null, "usage_count": 0});
    assert_eq!(summary, none);
}

#[cfg(feature = "console")]
#[test]
fn lists_are_sorted_and_cut_on_the_server() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| {
        config["auth_keys"] = json!([
            {"key": "sk-sorted-1", "name": "beta", "requests_per_day": 1, "expires_at": "2099-05-01"},
            {"key": "sk-sorted-2", "name": "Alpha"},
            {"key": "sk-sorted-3", "name": "Ähre", "expires_at": "2001-01-01"},
            {"key": "sk-sorted-4", "name": "gamma", "expires_at": "2098-01-01"},
        ]);
        config["gemini_api_keys"] = json!([
            {"key": "AIzaSySortedKeyOfTheTest1", "label": "zulu"}, {"key": "AIzaSySortedKeyOfTheTest2", "label": "Mike"},
            {"key": "AIzaSySortedKeyOfTheTest3", "label": "alfa"},
        ]);
    });
    let mut client = Client::new(proxy.address());
    // Whether Google knows the credentials is of no matter here.
    for (key, status) in [("sk-sorted-1", 200), ("sk-sorted-1", 429), ("sk-sorted-4", 200), ("sk-sorted-4", 200)] {
        let bearer = format!("Bearer {key}");
        let body = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"hi"}]}"#;
        let answer = client.send("POST", "/v1/chat/completions", &[("Authorization", &bearer)], body).unwrap();
        assert!(answer.status == status || status == 200, "{key}: {} {}", answer.status, answer.body);
    }
    let mut ids = |list: &str, query: &str| {
        let page = client.get(&format!("/admin/{list}?{query}")).json();
        let name = if list == "keys" { "name" } else { "label" };
        let names = page[list].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        names.map(|item| item[name].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (list, query, expected) in [
        ("keys", "sort=name", "Alpha beta gamma Ähre"),
        ("keys", "sort=-name&limit=2", "Ähre gamma"),
        ("keys", "sort=name&limit=2&skip=1", "beta gamma"),
        ("keys", "sort=name&skip=9", ""),
        ("keys", "sort=state", "Ähre beta Alpha gamma"),
        ("keys", "sort=-used&limit=2", "gamma beta"),
        ("keys", "sort=-last_used&limit=1", "gamma"),
        ("keys", "sort=expires", "Ähre gamma beta Alpha"),
        ("keys", "state=warn", "beta"),
        ("keys", "state=bad", "Ähre"),
        ("keys", "skip=1&limit=2", "Alpha Ähre"),
        ("credentials", "sort=name", "alfa Mike zulu"),
        ("credentials", "sort=-name&q=a", "zulu Mike alfa"),
        ("credentials", "skip=2", "alfa"),
    ] {
        assert_eq!(ids(list, query), expected, "{list} {query}");
    }
    let summary = client.get("/admin/keys?limit=1").json()["summary"].clone();
    assert_eq!(summary, json!({"states": {"bad": 1, "good": 2, "warn": 1}}));
    for wrong in ["sort=colour", "skip=-1", "skip=x"] {
        assert_eq!(client.get(&format!("/admin/keys?{wrong}")).status, 400, "{wrong}");
    }
}
