//! The config file: what every key means, and what is said of a mistake. `fixtures/config/mistakes.jsonl` holds a text
//! (`in`) and the message it gives (`out`).

use crate::common::translation::{check, differs};
use gemini_openai_proxy::config::{Affinity, Config, LogLevel, ProxyChoice, parse};
use gemini_openai_proxy::secret::Secret;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

fn config(text: &str) -> Config {
    parse(text).unwrap().config
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_object_gives_the_old_defaults() {
    let loaded = parse("\u{feff}{}\r\n").unwrap();
    let config = loaded.config;
    assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8889));
    assert!(config.default_keys && config.auth_keys[0].key.matches("123456"));
    assert_eq!(config.credentials_file, PathBuf::from("credentials1.json"));
    assert_eq!(config.state_file, PathBuf::from("credentials1.json.state.json"));
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.timeouts.connect, Some(Duration::from_secs(60)));
    assert_eq!(config.timeouts.read, Some(Duration::from_secs(90)));
    assert_eq!(config.usage_interval, Some(Duration::from_secs(30)));
    assert_eq!(config.min_credentials, 1);
    assert!(config.admin.is_none() && config.public_url.is_none());
    let null = parse(r#"{"auth_keys": null}"#).unwrap();
    assert!(
        null.config.default_keys && null.config.auth_keys[0].key.matches("123456") && null.warnings == loaded.warnings
    );
}

#[test]
fn affinity_and_the_outgoing_proxy_are_words_with_a_meaning() {
    assert_eq!(config("{}").settings.affinity, Affinity::Named);
    for (word, expected) in [("off", Affinity::Off), ("named", Affinity::Named), ("content", Affinity::Content)] {
        assert_eq!(config(&format!(r#"{{"affinity":"{word}"}}"#)).settings.affinity, expected);
    }
    assert!(message(r#"{"affinity":"on"}"#).contains("affinity: expected"));
    assert!(matches!(config("{}").proxy, ProxyChoice::Environment));
    assert!(matches!(config(r#"{"proxy_url":""}"#).proxy, ProxyChoice::Direct));
    for url in ["http://proxy:3128", "socks5://u:p@10.0.0.1:1080", "https://proxy/"] {
        assert!(matches!(config(&format!(r#"{{"proxy_url":"{url}"}}"#)).proxy, ProxyChoice::Fixed(_)), "{url}");
    }
}

#[test]
fn numbers_are_taken_in_every_spelling_of_int() {
    for port in ["8888", "\"8888\"", "8888.0", "\" 8888 \""] {
        assert_eq!(config(&format!("{{\"server\":{{\"port\":{port}}}}}")).port, 8888, "{port}");
    }
}

#[test]
fn auth_keys_may_be_one_string_a_list_numbers_or_objects() {
    let one = config(r#"{"auth_keys":"sk-one"}"#);
    assert!(!one.default_keys && one.auth_keys[0].key.matches("sk-one"));
    let many = config(r#"{"auth_keys":["", "a", 7, {"key":"b","name":"bob","requests_per_minute":5,"models":["x"]}]}"#);
    let keys: Vec<&str> = many.auth_keys.iter().map(|key| key.key.expose()).collect();
    assert_eq!(keys, ["a", "7", "b"]);
    let spaced = config(r#"{"auth_keys":[" a ", " ", {"key":"b\n"}]}"#);
    let keys: Vec<&str> = spaced.auth_keys.iter().map(|key| key.key.expose()).collect();
    assert_eq!(keys, ["a", "b"], "as they arrive in headers");
    assert_eq!(many.auth_keys[2].name, "bob");
    assert_eq!(many.auth_keys[2].limits.requests_per_minute, Some(5));
    assert!(config(r#"{"auth_keys":[]}"#).auth_keys.is_empty());
}

#[test]
fn mistakes_name_the_key_and_what_was_expected() {
    check("config", "mistakes", |case| {
        let (text, said) = (case["in"].as_str().unwrap(), case["out"].as_str().unwrap());
        if !cfg!(feature = "ledger") && said.contains("dollars") {
            return Ok(());
        }
        let found = message(text);
        differs(&case["out"], &found.into(), "message").map_or(Ok(()), Err)
    });
    assert!(message("{\"a\":").starts_with("not valid JSON: "), "{}", message("{\"a\":"));
    assert!(message("{\"a\":").contains("line 1 column"));
}

#[test]
fn a_long_string_at_the_wrong_place_is_not_shown() {
    assert!(!message(r#"{"server":{"port":"sk-a-secret-that-is-long"}}"#).contains("secret"));
}

#[test]
fn unknown_keys_are_named_with_their_place() {
    let loaded = parse(r#"{"colour":1,"server":{"size":2},"auth_client":{}}"#).unwrap();
    assert_eq!(loaded.notes, ["config: unknown keys are ignored: server.size, colour"]);
    let text = r#"{"auth_keys":["a",{"key":"b","owner":"me"}],"gemini_api_keys":[{"key":"c","name":"d"}],
        "models":[{"name":"e","alias":"f"}]}"#;
    let expected = "config: unknown keys are ignored: auth_keys[1].owner, gemini_api_keys[0].name, models[0].alias";
    assert_eq!(parse(text).unwrap().notes, [expected]);
}

#[test]
fn a_placeholder_is_no_key_of_googles() {
    for (key, is_placeholder) in
        [("AIza...", true), ("AIza…", true), ("YOUR_API_KEY", true), ("<key>", true), ("AIza-x_1.y", false)]
    {
        let warnings = parse(&json!({"auth_keys": ["k"], "gemini_api_keys": [key]}).to_string()).unwrap().warnings;
        assert_eq!(
            warnings.iter().any(|warning| warning.contains("gemini_api_keys[0] is a placeholder")),
            is_placeholder,
            "{key}"
        );
    }
}

#[test]
fn several_keys_of_googles_may_stand_in_one_text() {
    for (text, expected) in [
        (r#""AIza-one, AIza-two""#, &["AIza-one", "AIza-two"][..]),
        (r#"["AIza-one,AIza-two", {"key": "AIza-three", "label": "t"}]"#, &["AIza-one", "AIza-two", "AIza-three"]),
    ] {
        let found = config(&format!("{{\"gemini_api_keys\":{text}}}")).gemini_api_keys;
        let keys: Vec<&str> = found.iter().map(|key| key.key.expose()).collect();
        assert_eq!(keys, expected);
    }
    assert_eq!(message(r#"{"gemini_api_keys":"AIza-one,"}"#), "gemini_api_keys[0]: the key is empty");
}

#[test]
fn the_report_is_off_without_a_period() {
    for (text, expected) in [("0", None), ("-5", None), ("-1e300", None), ("null", Some(30_000)), ("2.5", Some(2500))] {
        let interval = config(&format!("{{\"usage_logging\":{{\"interval_sec\":{text}}}}}")).usage_interval;
        assert_eq!(interval, expected.map(Duration::from_millis), "{text}");
    }
    assert_eq!(config(r#"{"usage_logging":{"enabled":false}}"#).usage_interval, None);
}

#[test]
fn an_empty_host_is_every_address_and_a_public_url_without_scheme_is_told() {
    assert_eq!(config(r#"{"server":{"host":""}}"#).host, "0.0.0.0");
    let warnings = |text: &str| parse(text).unwrap().warnings;
    assert!(warnings(r#"{"auth_keys":["k"],"public_url":"p.example"}"#)[0].starts_with("public_url should begin"));
    assert!(warnings(r#"{"auth_keys":["k"],"public_url":"https://p.example"}"#).is_empty());
}

#[test]
fn null_timeouts_are_no_timeouts() {
    let config = config(r#"{"request_timeouts":{"connect":null,"read":2.5}}"#);
    assert_eq!(config.timeouts.connect, None);
    assert_eq!(config.timeouts.read, Some(Duration::from_millis(2500)));
}

#[test]
fn the_address_for_people_hides_the_wildcard() {
    let mut config = config("{}");
    assert_eq!(config.base_url(8889), "http://localhost:8889");
    config.public_url = Some("https://p.example".into());
    assert_eq!(config.base_url(8889), "https://p.example");
}

#[test]
fn a_file_of_authorities_is_read_and_checked() {
    let file = |name: &str| format!(r#"{{"ca_file":"{}/tests/fixtures/tls/{name}"}}"#, env!("CARGO_MANIFEST_DIR"));
    assert!(config(&file("ca.pem")).authorities.is_some());
    assert!(config(r#"{"ca_file":""}"#).authorities.is_none());
    assert!(message(&file("none.pem")).contains("none.pem: No such file"));
    assert!(message(&file("README.md")).ends_with("README.md: there is no certificate in it"));
    assert!(message(r#"{"ca_file":1}"#).contains("ca_file: expected a string"));
}

#[test]
fn every_value_names_its_source_and_no_secret_is_shown() {
    let text = r#"{"server":{"port":8888},"auth_keys":["sk-very-secret"],"gemini_api_keys":["AIza-secret"],
        "admin_username":"chef","admin_password":"secret-word","metrics":{"token":"secret-token"},"endpoints":{"code_assist":"http://me:secret@gate/x"},
        "oauth_client":{"client_id":"me","client_secret":"secret-half"},"proxy_url":"http://me:secret@proxy:1",
        "mid_system":"inplace"}"#;
    let config = config(text);
    let value = config.shown();
    assert!(!format!("{value} {config:?}").contains("secret-"), "{value} {config:?}");
    for (key, expected) in [
        ("server.port", json!({"value": 8888, "source": "file"})),
        ("server.host", json!({"value": "0.0.0.0", "source": "default"})),
        ("auth_keys", json!({"value": "1 key", "source": "file"})),
        ("admin_password", json!({"value": "***", "source": "file"})),
        ("log_format", json!({"value": "text", "source": "default"})),
        ("mid_system", json!({"value": "inplace", "source": "file"})),
        ("affinity", json!({"value": "named", "source": "default"})),
        ("proxy_url", json!({"value": "***", "source": "file"})),
    ] {
        assert_eq!(value[key], expected, "{key}");
    }
}

#[test]
fn an_unknown_key_comes_with_the_known_one_that_is_near() {
    let text = r#"{"auth_key":["a"],"port":1,"server":{"prot":1},"pool":1,"auth_keys":["a"]}"#;
    let expected = "config: unknown keys are ignored: server.prot (server.port?), auth_key (auth_keys?), \
                    port (server.port?), pool (request_timeouts.pool?)";
    assert_eq!(parse(text).unwrap().notes, [expected]);
    assert_eq!(parse(r#"{"colour":1}"#).unwrap().notes, ["config: unknown keys are ignored: colour"]);
}

#[test]
fn an_address_of_a_proxy_has_a_known_scheme_a_host_and_no_path() {
    for url in [
        "http://proxy:3128",
        "HTTP://proxy",
        "https://10.0.0.1:443/",
        "socks5h://[::1]:1080",
        "socks4a://user:p%40ss:word!@proxy.example:1",
        "socks5://user@proxy_1",
    ] {
        assert!(parse(&json!({"proxy_url": url}).to_string()).is_ok(), "{url}");
        assert!(ureq::Proxy::new(url).is_ok(), "{url} is one for the client too");
    }
    for url in [
        "proxy:3128",
        "ftp://proxy",
        "http://",
        "http:///",
        "http://:80",
        "http://proxy:",
        "http://proxy:70000",
        "http://proxy:a",
        "http://proxy/path",
        "http://proxy?q",
        "http://pro xy",
        "http://u:p@ss@proxy",
        "http://%ff:a@proxy",
        "http://[::1",
        "http://[proxy]:1",
        "http://::1",
    ] {
        let error = message(&json!({"proxy_url": url}).to_string());
        assert!(error.starts_with("proxy_url: expected an address such as http://proxy:3128"), "{url}: {error}");
    }
}

#[test]
fn what_changed_is_told_and_what_needs_a_restart_keeps_its_value() {
    let old = config(r#"{"server":{"port":1},"auth_keys":["one"],"models":["a"],"affinity":"off"}"#);
    let new = r#"{"server":{"port":2},"auth_keys":["two"],"models":["a"],"public_url":"https://p"}"#;
    let (merged, changes) = old.reloaded(&config(new)).unwrap();
    assert_eq!(changes.taken, ["affinity", "auth_keys", "public_url"]);
    assert_eq!(changes.waiting, ["server"]);
    assert_eq!(changes.to_string(), "reloaded: affinity, auth_keys, public_url; a restart is needed for: server");
    assert_eq!(merged.port, 1);
    let (merged_format, _) = old.reloaded(&config(r#"{"log_format":"json"}"#)).unwrap();
    assert_eq!(merged_format.log_format, old.log_format, "the logger goes on as it began");
    assert!(merged.auth_keys[0].key.matches("two") && merged.public_url.is_some());
    let (_, again) = merged.reloaded(&config(new)).unwrap();
    assert_eq!(again.to_string(), "reloaded, but a restart is needed for: server");
    let (_, back) = merged.reloaded(&config(&new.replace('2', "1"))).unwrap();
    assert_eq!(back.to_string(), "reloaded, nothing has changed");
}

#[test]
fn authorities_stay_when_their_file_is_gone() {
    let ca = |name: &str| format!(r#"{{"ca_file":"{}/tests/fixtures/tls/{name}"}}"#, env!("CARGO_MANIFEST_DIR"));
    let mut old = config(&ca("ca.pem"));
    let gone = old.source.expose().replace("ca.pem", "gone.pem");
    old.source = Secret::new(gone);
    let (merged, changes) = old.reloaded(&config("{}")).unwrap();
    assert_eq!(changes.to_string(), "reloaded, but a restart is needed for: ca_file");
    assert!(merged.authorities.is_some() && merged.source.expose().contains("\"ca_file\""));
}
