//! What the server knows of Google's models: how their names are read, how thinking is asked of them, which schemas they
//! take, what signatures look like and how texts are escaped.

mod names;
mod schema;
mod schema_rules;
mod schema_table;
mod signatures;
mod surrogates;
mod thinking;

use gemini_openai_proxy::gemini::thinking::{Ask, Level};
use serde_json::Value;

/// What a fixture asks of thinking: `off`, `max`, `effort low`, `budget 8192` or `level LOW`.
fn ask(text: &Value) -> Option<Ask> {
    let text = text.as_str()?;
    Some(match text.split_once(' ') {
        Some(("effort", word)) => Ask::effort(word).unwrap(),
        Some(("level", word)) => Ask::Level(Level::parse(word).unwrap()),
        Some(("budget", tokens)) => Ask::Budget(tokens.parse().unwrap()),
        _ if text == "off" => Ask::Off,
        _ if text == "max" => Ask::Max,
        _ => panic!("nothing is asked with {text}"),
    })
}
