use super::super::keys::default_workers;
use super::super::{Affinity, LogLevel, ProxyChoice};
use super::*;
use std::path::PathBuf;

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
    for (text, expected) in [
        ("[]", "expected an object {...}, found a list"),
        (r#"{"server":{"port":"abc"}}"#, "server.port: expected a whole number from 0 to 65535, found \"abc\""),
        (r#"{"server":{"port":70000}}"#, "server.port: expected a whole number from 0 to 65535, found 70000"),
        (r#"{"server":[]}"#, "server: expected an object, found a list"),
        (r#"{"auth_keys":null}"#, "auth_keys: expected a list of keys, found null"),
        (r#"{"log_level":"loud"}"#, "log_level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, found \"loud\""),
        (
            r#"{"request_timeouts":{"read":"long"}}"#,
            "request_timeouts.read: expected a number of seconds or null, found \"long\"",
        ),
        (r#"{"usage_logging":{"enabled":1}}"#, "usage_logging.enabled: expected true or false, found 1"),
        (
            r#"{"endpoints":{"code_assist":"localhost"}}"#,
            "endpoints.code_assist: expected an address that begins with http:// or https://, found \"localhost\"",
        ),
        (r#"{"gemini_api_keys":[{}]}"#, "gemini_api_keys[0]: the key is empty"),
        (
            r#"{"usage_logging":{"interval_sec":1e30}}"#,
            "usage_logging.interval_sec: expected a number of seconds, found 1e+30",
        ),
        (r#"{"credentials_file":""}"#, "credentials_file: expected the path of a file, found \"\""),
        (
            r#"{"credentials_file":"x.json","state_file":"x.json"}"#,
            "state_file: expected another file than credentials_file",
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
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
    // A limit that is misspelt must not pass for one.
    let text = r#"{"auth_keys":["a",{"key":"b","request_per_day":1}],"gemini_api_keys":[{"key":"c","name":"d"}],
        "models":[{"name":"e","alias":"f"}]}"#;
    let expected =
        "config: unknown keys are ignored: auth_keys[1].request_per_day, gemini_api_keys[0].name, models[0].alias";
    assert_eq!(parse(text).unwrap().notes, [expected]);
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
fn the_workers_follow_the_memory() {
    const MIB: u64 = 1 << 20;
    for (memory, workers) in [(16, 32), (128, 64), (512, 256), (1024, 512), (65536, 1024)] {
        assert_eq!(default_workers(memory * MIB), workers, "{memory} MiB");
    }
    assert!((32..=1024).contains(&config("{}").sizes.workers));
    let sizes = config(r#"{"server":{"workers":7,"max_connections_per_address":9}}"#).sizes;
    assert_eq!((sizes.max_connections, sizes.max_connections_per_address), (21, 9));
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

/// What the rows of a section of the page begin with, and the rest of each.
fn rows(section: &str) -> Vec<(&'static str, &'static str)> {
    let page = include_str!("../../../docs/configuration.md");
    let section = page.split("\n## ").find(|text| text.lines().next() == Some(section)).expect("the section");
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect()
}

#[test]
fn the_page_lists_the_keys_of_the_table_and_no_others() {
    let row = |(key, rest): (&'static str, &'static str)| {
        let cells: Vec<&str> = rest.split(" | ").collect();
        [key, cells[1].trim_matches('`'), cells[2]]
    };
    let rows: Vec<_> = rows("Keys").into_iter().map(row).collect();
    let table = KEYS.iter().map(|key| [key.name, key.default, if key.restart { "yes" } else { "no" }]);
    assert_eq!(rows, table.collect::<Vec<_>>());
}

#[test]
fn the_page_lists_fields_of_items_that_are_read() {
    for (section, list, needed) in [("Keys of clients", "auth_keys", "key"), ("Models", "models", "name")] {
        for (field, _) in rows(section) {
            let text = json!({list: [{needed: "x", field: if field == needed { "x".into() } else { Value::Null }}]});
            assert!(parse(&text.to_string()).unwrap().notes.is_empty(), "{text}");
        }
    }
}

#[test]
fn the_default_in_the_table_is_what_an_absent_key_means() {
    let all = config("{}").shown();
    for key in KEYS.iter().filter(|key| key.show.is_some() && key.name != "auth_keys") {
        let value: Value = serde_json::from_str(key.default).unwrap_or_else(|error| panic!("{}: {error}", key.name));
        let text = key.name.rsplit('.').fold(value, |inner, name| json!({name: inner})).to_string();
        assert_eq!(config(&text).shown()[key.name]["value"], all[key.name]["value"], "{text}");
    }
}
