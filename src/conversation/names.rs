//! Tool names both ways: what the client calls a tool and what Google lets it be called (docs/openai-chat.md "Tools and
//! tool choice"), and what must be remembered of a tool until its calls come back.

use super::arguments;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;

/// Google's limit in bytes; the newest pages say 128, 64 is safe everywhere.
const MAX_NAME: usize = 64;

/// How the calls of a tool are given to the client.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Arguments are a JSON text.
    Function {
        /// The parameters were wrapped as `{"input": ...}`.
        wrapped: bool,
        /// The parameters, when they hold integers that must not come back as `3.0`, or maps that come as texts.
        schema: Option<Value>,
    },
    /// The input is free text.
    Custom,
}

impl Kind {
    /// The parameters, where arguments must be read by them.
    pub fn schema(&self) -> Option<&Value> {
        match self {
            Kind::Function { schema, .. } => schema.as_ref(),
            Kind::Custom => None,
        }
    }
}

/// A tool the client declared.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The client's name.
    pub client: String,
    /// Google's name.
    pub google: String,
    /// How calls come back.
    pub kind: Kind,
}

/// The tools of one request.
#[derive(Clone, Debug, Default)]
pub struct Names {
    tools: Vec<Declared>,
    by_client: HashMap<String, usize>,
    by_google: HashMap<String, usize>,
}

impl Names {
    /// Adds a tool; `None` if one of that name is there already, because Google refuses duplicates.
    pub(crate) fn add(&mut self, client: &str, kind: Kind) -> Option<&Declared> {
        if self.by_client.contains_key(client) {
            return None;
        }
        let mut google = clean(client).into_owned();
        if self.by_google.contains_key(&google) {
            google = hashed(&google, client);
        }
        let index = self.tools.len();
        self.by_client.insert(client.to_owned(), index);
        self.by_google.insert(google.clone(), index);
        self.tools.push(Declared { client: client.to_owned(), google, kind });
        self.tools.last()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// The tool by the client's name.
    pub(crate) fn get(&self, client: &str) -> Option<&Declared> {
        self.by_client.get(client).map(|index| &self.tools[*index])
    }

    /// Google's name for a tool of the history, declared or not.
    pub(crate) fn to_google<'a>(&'a self, client: &'a str) -> Cow<'a, str> {
        self.get(client).map_or_else(|| clean(client), |tool| Cow::Borrowed(tool.google.as_str()))
    }

    /// The tool a call of the model means. Gemini sometimes puts `default_api.` before the name it was given.
    pub(crate) fn called(&self, name: &str) -> Option<&Declared> {
        let find = |name: &str| {
            let index = self.by_google.get(name).or_else(|| self.by_client.get(name));
            index.map(|index| &self.tools[*index])
        };
        find(name).or_else(|| {
            let rest = name.strip_prefix("default_api").and_then(|rest| rest.strip_prefix(['.', ':']))?;
            find(rest)
        })
    }
}

impl Kind {
    /// A function with these cleaned parameters; `has_texts`: the model writes maps as texts.
    pub(crate) fn function(schema: Option<&Value>, wrapped: bool, has_texts: bool) -> Kind {
        let schema = schema.filter(|schema| has_texts || arguments::has_integer(schema)).cloned();
        Kind::Function { wrapped, schema }
    }
}

/// The name with everything Google refuses replaced, and not too long.
fn clean(name: &str) -> Cow<'_, str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.len() <= MAX_NAME && name.chars().all(legal) {
        return Cow::Borrowed(name);
    }
    let mut cleaned: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if !cleaned.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        cleaned.insert(0, '_');
    }
    match cleaned.len() > MAX_NAME {
        true => Cow::Owned(hashed(&cleaned, name)),
        false => Cow::Owned(cleaned),
    }
}

/// A cleaned name made unique by a piece of the original's hash; the same name gives the same result in every request.
fn hashed(cleaned: &str, original: &str) -> String {
    let digest = Sha256::digest(original.as_bytes());
    let tail: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    // Cleaned names are ASCII, so any cut is a character boundary.
    format!("{}_{tail}", &cleaned[..cleaned.len().min(MAX_NAME - 9)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_google_refuses_are_changed_and_others_are_not() {
        for (name, expected) in [
            ("get_weather", "get_weather"),
            ("a.b:c-d", "a.b:c-d"),
            ("1st", "_1st"),
            ("a b", "a_b"),
            ("é", "_"),
            ("", "_"),
        ] {
            assert_eq!(clean(name), expected, "{name:?}");
        }
        let long = clean(&"x".repeat(65)).into_owned();
        assert_eq!(long.len(), MAX_NAME);
        assert!(long.starts_with(&format!("{}_", "x".repeat(55))));
    }

    #[test]
    fn colliding_names_stay_apart_and_find_their_way_back() {
        let mut names = Names::default();
        for name in ["a b", "a/b", "a_b"] {
            assert!(names.add(name, Kind::Custom).is_some());
        }
        assert!(names.add("a b", Kind::Custom).is_none());
        for name in ["a b", "a/b", "a_b"] {
            let google = names.to_google(name).into_owned();
            assert_eq!(names.called(&google).unwrap().client, name);
            assert_eq!(names.called(&format!("default_api.{google}")).unwrap().client, name);
        }
        assert!(names.called("default_api.nope").is_none());
        assert!(names.called("default_apia_b").is_none());
    }
}
