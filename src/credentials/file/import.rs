//! Takes credentials out of whatever a person pastes: one JSON object or many, lists, or lines of API keys.
//!
//! Knows the outer shapes only; what an item itself may look like is the record's business (docs/google-login.md
//! "Stored credentials").

use crate::message::Message;
use serde_json::{Value, json};

/// A paste with more is a mistake, and each item is tried out with Google.
const MOST: usize = 10_000;

/// Shorter words are no keys.
const SHORTEST_KEY: usize = 8;
/// What keys, tokens and secrets of Google's begin with.
const SECRETS: [&str; 5] = ["AIza", "AQ.", "1//", "ya29.", "GOCSPX-"];

/// The items in order, and for a line that is none what to tell the person. The error is about the whole.
pub fn items(text: &str) -> Result<Vec<Result<Value, Message>>, Message> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let items: Vec<_> = match text.chars().next() {
        None => return Err(Message::new("nothing_pasted")),
        Some('{' | '[' | '"') => json_items(text)?.into_iter().map(Ok).collect(),
        Some(_) => key_lines(text)?,
    };
    match items.len() {
        0 => Err(Message::new("nothing_found")),
        1..=MOST => Ok(items),
        count => Err(Message::new("too_many").with("count", count).with("most", MOST)),
    }
}

fn json_items(text: &str) -> Result<Vec<Value>, Message> {
    let mut items = Vec::new();
    // Several objects one after the other are what `cat *.json` gives.
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let wrong = |error: serde_json::Error| {
            Message::new("bad_json").with("line", error.line()).with("column", error.column())
        };
        unpack(value.map_err(wrong)?, &mut items);
    }
    Ok(items)
}

/// Lists and known wrappers are opened; texts are API keys.
fn unpack(value: Value, items: &mut Vec<Value>) {
    match value {
        Value::Array(values) => values.into_iter().for_each(|value| unpack(value, items)),
        Value::String(key) => items.push(json!({"type": "api_key", "api_key": key.trim()})),
        Value::Object(mut fields) => {
            let inner =
                ["credential", "credentials", "gemini_api_keys"].into_iter().find_map(|name| fields.shift_remove(name));
            match inner {
                Some(inner) => unpack(inner, items),
                // `{"key", "label"}` is how the config writes an API key.
                None if fields.get("key").is_some_and(Value::is_string) && !fields.contains_key("refresh_token") => {
                    let mut item = json!({"type": "api_key", "api_key": fields["key"]});
                    if let Some(label) = fields.get("label").filter(|label| label.is_string()) {
                        item["label"] = label.clone();
                    }
                    items.push(item);
                }
                None => items.push(Value::Object(fields)),
            }
        }
        other => items.push(other),
    }
}

/// A key per line. Empty lines and those that begin with `#` are passed over. A text without any key is something else.
fn key_lines(text: &str) -> Result<Vec<Result<Value, Message>>, Message> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let item =
        |(at, item): (usize, Option<Value>)| item.ok_or_else(|| Message::new("line_no_key").with("line", at + 1));
    let items: Vec<_> =
        lines.flat_map(|(at, line)| key_line(line).into_iter().map(move |key| item((at, key)))).collect();
    match items.is_empty() || items.iter().any(Result::is_ok) {
        true => Ok(items),
        false => Err(Message::new("no_keys")),
    }
}

/// `KEY`, maybe with a label beside it, or several keys. A label is shown and logged, so nothing that looks like a secret
/// becomes one.
fn key_line(line: &str) -> Vec<Option<Value>> {
    let words: Vec<&str> = line.split([' ', '\t', ',', ';']).filter(|word| !word.is_empty()).collect();
    let is_secret = |word: &&str| SECRETS.iter().any(|beginning| word.starts_with(beginning));
    match words.iter().copied().filter(is_secret).collect::<Vec<_>>()[..] {
        [] => vec![words.split_first().and_then(|(key, label)| key_item(key, label))],
        [key] => {
            let label: Vec<&str> = words.iter().copied().filter(|word| *word != key).collect();
            vec![key_item(key, &label)]
        }
        ref keys => keys.iter().map(|key| key_item(key, &[])).collect(),
    }
}

fn key_item(key: &str, label: &[&str]) -> Option<Value> {
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return None;
    }
    let mut item = json!({"type": "api_key", "api_key": key});
    if !label.is_empty() {
        item["label"] = label.join(" ").into();
    }
    Some(item)
}

#[cfg(test)]
mod tests {
    use super::items;
    use serde_json::{Value, json};

    #[test]
    fn everything_a_person_may_paste_becomes_items() {
        let key = |key: &str| json!({"type": "api_key", "api_key": key});
        for (text, expected) in [
            (r#" {"refresh_token":"r"} "#, json!([{"refresh_token": "r"}])),
            (r#"[{"refresh_token":"r"},{"api_key":"k"}]"#, json!([{"refresh_token": "r"}, {"api_key": "k"}])),
            (
                "{\"refresh_token\":\"r\"}\n{\"refresh_token\":\"s\"}",
                json!([{"refresh_token": "r"}, {"refresh_token": "s"}]),
            ),
            (r#"{"credential":{"refresh_token":"r"}}"#, json!([{"refresh_token": "r"}])),
            (r#"{"credentials":[{"refresh_token":"r"}]}"#, json!([{"refresh_token": "r"}])),
            (r#"["AIzaOne11", "AIzaTwo22"]"#, json!([key("AIzaOne11"), key("AIzaTwo22")])),
            (
                r#"{"key":"AIzaOne11","label":"mine"}"#,
                json!([{"type": "api_key", "api_key": "AIzaOne11", "label": "mine"}]),
            ),
            ("AIzaOne11\r\n\n# a remark\nAIzaTwo22", json!([key("AIzaOne11"), key("AIzaTwo22")])),
            ("AIzaOne11, my key", json!([{"type": "api_key", "api_key": "AIzaOne11", "label": "my key"}])),
            ("\u{feff}AIzaOne11", json!([key("AIzaOne11")])),
            (
                "key-of-another-kind;its name",
                json!([{"type": "api_key", "api_key": "key-of-another-kind", "label": "its name"}]),
            ),
            // What is a key is no label, wherever it stands.
            ("AIzaOne11,AIzaTwo22; AQ.Three33", json!([key("AIzaOne11"), key("AIzaTwo22"), key("AQ.Three33")])),
            ("AIzaOne11 mine AIzaTwo22 yours", json!([key("AIzaOne11"), key("AIzaTwo22")])),
            ("my-project\tAIzaOne11", json!([{"type": "api_key", "api_key": "AIzaOne11", "label": "my-project"}])),
        ] {
            let found = items(text).and_then(|items| items.into_iter().collect::<Result<Vec<_>, _>>());
            assert_eq!(found.map(Value::Array), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_useless_paste_is_refused_without_repeating_it() {
        for text in
            ["my-account 1//0token", "", "  ", "[]", "{\"a\":", "Dear all", "short", "# only a remark", "sécret-sécret"]
        {
            let error = items(text).unwrap_err().to_string();
            assert!(text.trim().is_empty() || !error.contains(text), "{error}");
        }
        assert!(items(&"AIzaOne11\n".repeat(10_001)).is_err());
    }

    #[test]
    fn a_line_that_is_no_key_costs_only_itself() {
        let found = items("AIzaOne11\n# a remark\nDear all\nAIzaTwo22").unwrap();
        let told: Vec<_> = found.iter().map(|item| item.as_ref().err().map(ToString::to_string)).collect();
        assert_eq!(told, [None, Some("line 3 is no API key".to_owned()), None]);
    }
}
