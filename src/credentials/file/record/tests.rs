use super::{Kind, Record};
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

const AT: Duration = Duration::from_secs(1_795_387_466);

fn refreshed(value: Value) -> String {
    let mut record = Record::new(value);
    record.set_tokens(&Secret::new("new"), None, UNIX_EPOCH + AT);
    record.value().to_string()
}

#[test]
fn every_known_shape_is_read() {
    for (name, value) in [
        ("old program", json!({"access_token": "a", "refresh_token": "r", "expiry_date": 1_795_387_466_000_i64})),
        ("numeric text", json!({"access_token": "a", "refresh_token": "r", "expiry_date": "1795387466000"})),
        (
            "nested token",
            json!({"token": {"access_token": "a", "refresh_token": "r", "expiry": "2026-11-22T22:44:26Z"}}),
        ),
        ("naive time", json!({"token": "a", "refresh_token": "r", "expiry": "2026-11-22T22:44:26"})),
        ("camel case", json!({"accessToken": "a", "refreshToken": "r", "expiresAt": 1_795_387_466})),
    ] {
        let record = Record::new(value);
        assert_eq!(record.kind(), Ok(Kind::Oauth), "{name}");
        assert_eq!(record.access_token(), Some("a"), "{name}");
        assert_eq!(record.refresh_token(), Some("r"), "{name}");
        assert_eq!(record.expiry(), Some(UNIX_EPOCH + AT), "{name}");
    }
    let gcloud = json!({"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"});
    let record = Record::new(gcloud);
    assert_eq!(record.client().map(|client| client.id), Some("i".to_owned()));
    assert_eq!((record.access_token(), record.expiry()), (None, None));
}

#[test]
fn an_item_that_cannot_be_used_says_why() {
    for value in [json!(null), json!(5), json!([]), json!({}), json!({"refresh_token": ""}), json!({"api_key": 1})] {
        let record = Record::new(value.clone());
        assert!(record.kind().is_err() && record.identity().is_none(), "{value}");
        assert_eq!(record.value(), &value);
    }
}

#[test]
fn an_item_of_another_kind_is_told_apart_from_an_empty_one() {
    let workforce = json!({"type": "external_account_authorized_user", "client_id": "i", "refresh_token": "r"});
    for (value, code) in [
        (workforce, "item_type"),
        (json!({"type": "gdch_service_account", "private_key": "k"}), "item_type"),
        (json!({"installed": {"client_id": "i", "client_secret": "s"}}), "item_client"),
        (json!({"web": {"client_id": "i"}}), "item_client"),
        (json!({"type": "authorized_user", "client_id": "i"}), "item_empty"),
        (json!({"type": "api_key"}), "item_empty"),
        (json!({}), "item_empty"),
    ] {
        assert_eq!(Record::new(value.clone()).kind(), Err(code), "{value}");
    }
}

#[test]
fn an_api_key_item_is_a_key_even_beside_tokens_when_its_type_says_so() {
    let both = json!({"type": "api_key", "api_key": "k", "refresh_token": "r"});
    assert_eq!(Record::new(both).identity().unwrap().expose(), "k");
    let untyped = json!({"api_key": "k", "refresh_token": "r"});
    assert_eq!(Record::new(untyped).identity().unwrap().expose(), "r");
    assert_eq!(Record::new(json!({"api_key": "k"})).kind(), Ok(Kind::ApiKey));
}

#[test]
fn new_tokens_go_where_the_shape_keeps_them() {
    for (value, expected) in [
        (
            json!({"refresh_token": "r"}),
            r#"{"access_token":"new","refresh_token":"r","token_type":"Bearer","expiry_date":1795387466000}"#,
        ),
        (
            json!({"expiry_date": "1", "refresh_token": "r", "token_type": "Bearer", "access_token": "a"}),
            r#"{"access_token":"new","refresh_token":"r","token_type":"Bearer","expiry_date":1795387466000}"#,
        ),
        (
            json!({"scope": "s", "access_token": "a", "refresh_token": "r", "expiry_date": 1, "名": "李"}),
            r#"{"scope":"s","access_token":"new","refresh_token":"r","expiry_date":1795387466000,"名":"李"}"#,
        ),
        (
            json!({"token": {"access_token": "a", "refresh_token": "r", "expiry": "2020-01-01T00:00:00.5+08:00"}, "auto": true}),
            r#"{"token":{"access_token":"new","refresh_token":"r","expiry":"2026-11-22T22:44:26+00:00"},"auto":true}"#,
        ),
        (
            json!({"token": "a", "refresh_token": "r", "expiry": "2020-01-01T00:00:00.123"}),
            r#"{"token":"new","refresh_token":"r","expiry":"2026-11-22T22:44:26"}"#,
        ),
        (
            json!({"accessToken": "a", "refreshToken": "r", "expiresAt": 1}),
            r#"{"accessToken":"new","refreshToken":"r","expiresAt":1795387466}"#,
        ),
    ] {
        assert_eq!(refreshed(value), expected);
    }
}

#[test]
fn a_new_refresh_token_replaces_the_old_one_and_none_keeps_it() {
    let mut record = Record::new(json!({"refresh_token": "r"}));
    record.set_tokens(&Secret::new("a"), Some(&Secret::new("r2")), UNIX_EPOCH + AT);
    assert_eq!(record.refresh_token(), Some("r2"));
    record.set_tokens(&Secret::new("a"), None, UNIX_EPOCH + AT);
    assert_eq!(record.refresh_token(), Some("r2"));
}
