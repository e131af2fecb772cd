//! What people are told of the program, on the page, in the log and in a terminal: a code and its parameters. The sentences
//! stand in `static/messages.js`, which the page loads too: English here, the reader's language there.

use crate::page;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::sync::LazyLock;

/// Each code with its sentence in English and Chinese. A `{word}` is a parameter.
static CATALOGUE: LazyLock<HashMap<String, [String; 2]>> = LazyLock::new(|| {
    let text = page::text("messages.js");
    let json = text.strip_prefix(b"export default ").unwrap_or_default();
    // Tests hold that it can be read.
    serde_json::from_slice(json).unwrap_or_default()
});

/// The code of a text that somebody else wrote, such as Google.
const SAID: &str = "said";

/// Something to tell a person. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    code: &'static str,
    parameters: Vec<(&'static str, Parameter)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parameter {
    Text(String),
    Message(Message),
}

/// A language that there are sentences in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Message {
    /// The message of a code of the catalogue.
    pub fn new(code: &'static str) -> Message {
        debug_assert!(CATALOGUE.contains_key(code), "no message {code}");
        Message { code, parameters: Vec::new() }
    }

    /// What somebody else said, in whatever language.
    pub fn said(text: impl Into<String>) -> Message {
        Message::new(SAID).with("text", text.into())
    }

    /// With a parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Display) -> Message {
        self.parameters.push((name, Parameter::Text(value.to_string())));
        self
    }

    /// With another message as a parameter.
    #[must_use]
    pub fn with_message(mut self, name: &'static str, message: Message) -> Message {
        self.parameters.push((name, Parameter::Message(message)));
        self
    }

    /// The sentence.
    pub fn text(&self, language: Language) -> String {
        let sentences = CATALOGUE.get(self.code);
        let mut rest = sentences.map_or(self.code, |sentences| sentences[language as usize].as_str());
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            text += before;
            match self.parameters.iter().find(|(known, _)| *known == name) {
                Some((_, Parameter::Text(value))) => text += value,
                Some((_, Parameter::Message(message))) => text += &message.text(language),
                None => {}
            }
            rest = after;
        }
        text + rest
    }

    /// For the page and the state file.
    pub fn json(&self) -> Value {
        let value = |parameter: &Parameter| match parameter {
            Parameter::Text(text) => json!(text),
            Parameter::Message(message) => message.json(),
        };
        let parameters = self.parameters.iter().map(|(name, parameter)| ((*name).to_owned(), value(parameter)));
        json!({"code": self.code, "params": parameters.collect::<Map<_, _>>()})
    }

    /// The reverse of [`Message::json`]. A plain text is what older state files have. One of a code that is not known is
    /// empty: another version wrote it.
    pub fn from_json(saved: &Value) -> Message {
        if let Some(text) = saved.as_str() {
            return Message::said(text);
        }
        let known = saved["code"].as_str().and_then(|code| CATALOGUE.get_key_value(code));
        let Some((code, sentences)) = known else { return Message::said("") };
        let mut message = Message::new(code);
        for name in parameters(&sentences[0]) {
            message = match &saved["params"][name] {
                Value::Null => message,
                Value::String(text) => message.with(name, text),
                nested => message.with_message(name, Message::from_json(nested)),
            };
        }
        message
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::English))
    }
}

impl Language {
    /// The one of an `Accept-Language` header that comes first.
    pub fn of_header(accepted: Option<&str>) -> Language {
        let tags = accepted.unwrap_or_default().split(',').map(|tag| tag.trim().to_ascii_lowercase());
        let language = |tag: String| match tag.get(..2) {
            Some("zh") => Some(Language::Chinese),
            Some("en") => Some(Language::English),
            _ => None,
        };
        tags.into_iter().find_map(language).unwrap_or(Language::English)
    }
}

/// The names in a sentence.
fn parameters(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn both_languages_of_a_sentence_have_the_same_parameters() {
        assert!(CATALOGUE.len() > 100, "the catalogue cannot be read");
        for (code, [english, chinese]) in CATALOGUE.iter() {
            let names = |sentence| parameters(sentence).collect::<BTreeSet<_>>();
            assert_eq!(names(english), names(chinese), "{code}");
            assert!(!english.is_empty() && !chinese.is_empty(), "{code}");
        }
    }

    #[test]
    fn a_message_reads_in_both_languages_and_comes_back_from_a_file() {
        let message = Message::new("untried")
            .with_message("why", Message::new("service_status").with("service", "Gemini API").with("status", 503));
        assert_eq!(message.to_string(), "it could not be tried out: Gemini API: status 503");
        assert_eq!(message.text(Language::Chinese), "未能试用：Gemini API：状态 503");
        assert_eq!(Message::from_json(&message.json()), message);
        assert_eq!(Message::from_json(&json!("an older file's {text}")).to_string(), "an older file's {text}");
        for strange in [json!(null), json!({"code": "of another version"}), json!([1])] {
            assert_eq!(Message::from_json(&strange).to_string(), "");
        }
    }

    #[test]
    fn the_language_is_the_first_that_is_known() {
        for (accepted, expected) in [
            (None, Language::English),
            (Some("fr,zh-CN;q=0.9,en;q=0.8"), Language::Chinese),
            (Some("en-GB,zh"), Language::English),
            (Some("é"), Language::English),
        ] {
            assert_eq!(Language::of_header(accepted), expected, "{accepted:?}");
        }
    }
}
