use super::super::keys::default_workers;
use super::*;

fn config(text: &str) -> Config {
    parse(text).unwrap().config
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

#[test]
fn a_name_that_an_object_has_twice_is_told() {
    for (text, expected) in [
        (r#"{"auth_keys":["sk-1"],"log_level":"info","auth_keys":["sk-2"]}"#, vec!["auth_keys"]),
        (
            r#"{"auth_keys":[{"key":"sk-1","key":"sk-2","name":"a"}],"server":{"port":1,"port":2,"port":3}}"#,
            vec!["key", "port"],
        ),
        (r#"{"auth_keys":[{"key":"sk-1"},{"key":"sk-2"}],"server":{"port":1},"log_level":"info"}"#, vec![]),
        (r#"{"auth_keys":["log_level","log_level","a\"b","\\"],"log_level" : "info"}"#, vec![]),
        ("{}", vec![]),
    ] {
        let warnings = parse(text).unwrap().warnings;
        let told: Vec<_> = warnings.iter().filter(|warning| warning.contains(" is given twice ")).collect();
        assert_eq!(told.len(), expected.len(), "{text}: {warnings:?}");
        assert!(
            told.iter().zip(&expected).all(|(told, name)| told.starts_with(&format!("config: {name} "))),
            "{told:?}"
        );
    }
}

#[test]
fn words_of_python_are_told_from_texts_without_quotes() {
    for (text, expected) in [
        (r#"{"metrics":{"enabled":True}}"#, "true, false and null small"),
        (r#"{"admin_username":None}"#, "true, false and null small"),
        (r#"{"log_level":info}"#, "; texts and names stand in double quotes"),
    ] {
        let ConfigError(message) = parse(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
}
