//! Models that Google lists for the pool's API keys, on top of the built-in table: a name that is newer than this program
//! is then known, and what Google says of limits, thinking and methods counts more than the table. The config counts more
//! than both.

use super::{Model, ModelTable, Told, builtin};
use crate::gemini::thinking::Control;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a listed row is from.
const SOURCE: &str = "models.list";
/// Google names a handful.
const MOST_METHODS: usize = 64;

/// One entry of Google's list, as far as it is of use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Bare, without `models/`.
    pub name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    input_token_limit: u64,
    #[serde(default)]
    output_token_limit: u64,
    /// Whether it thinks; absent in some lists.
    #[serde(default)]
    thinking: Option<bool>,
    #[serde(default)]
    supported_generation_methods: Vec<String>,
}

impl Listed {
    /// Reads an entry of `models.list`; `None` when it is no model that generates content or makes embeddings.
    pub fn read(entry: &Value) -> Option<Listed> {
        let mut listed: Listed = serde_json::from_value(entry.clone()).ok()?;
        listed.name = listed.name.trim_start_matches("models/").to_owned();
        // The name becomes a part of a path upstream.
        let harmless = listed.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let is_sensible =
            harmless && !listed.name.is_empty() && listed.supported_generation_methods.len() <= MOST_METHODS;
        (is_sensible && (listed.has("generateContent") || listed.has("embedContent"))).then_some(listed)
    }

    fn has(&self, method: &str) -> bool {
        self.supported_generation_methods.iter().any(|known| known == method)
    }
}

impl ModelTable {
    /// Adds what Google lists.
    pub fn learn(&mut self, list: &[Listed]) {
        for listed in list.iter().filter(|listed| !self.aliases.contains_key(&listed.name)) {
            let model = self.models.entry(listed.name.clone()).or_insert_with(|| Model {
                display_name: Some(&listed.display_name)
                    .filter(|name| !name.is_empty())
                    .unwrap_or(&listed.name)
                    .clone(),
                description: listed.description.clone(),
                known: true,
                ..builtin::guess(&listed.name)
            });
            model.is_listed(listed);
        }
    }
}

impl Model {
    fn is_listed(&mut self, listed: &Listed) {
        for (limit, told) in [
            (&mut self.input_token_limit, listed.input_token_limit),
            (&mut self.output_token_limit, listed.output_token_limit),
        ] {
            if told > 0 {
                *limit = told;
            }
        }
        if listed.input_token_limit > 0 && listed.output_token_limit > 0 {
            self.told = self.told.max(Told::Limits);
        }
        let is_plain =
            !self.image_output && !self.speech_output && self.thinking == builtin::guess(&self.name).thinking;
        match listed.thinking {
            Some(false) if is_plain => (self.thinking, self.thinks_unasked) = (Control::None, false),
            Some(true) if is_plain && self.thinking == Control::None => {
                (self.thinking, self.thinks_unasked) = (builtin::newest_thinking(), true);
            }
            _ => {}
        }
        // An old state file tells no methods.
        if !listed.supported_generation_methods.is_empty() {
            self.embedding = !listed.has("generateContent");
            self.methods = listed.supported_generation_methods.clone().into();
        }
        self.source = SOURCE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(name: &str, method: &str) -> Value {
        json!({"name": name, "displayName": "New", "inputTokenLimit": 7, "outputTokenLimit": 5,
            "supportedGenerationMethods": [method, "countTokens"]})
    }

    #[test]
    fn a_listed_model_is_known_and_counts_more_than_the_table() {
        let mut table = ModelTable::new(&[]);
        assert!(table.resolve("aurora-1").is_none());
        assert_ne!(table.resolve("gemini-2.5-flash-lite").unwrap().model.source, SOURCE);
        let list: Vec<Listed> = ["models/aurora-1", "models/gemini-9-ultra", "models/gemini-2.5-flash-lite"]
            .iter()
            .filter_map(|name| Listed::read(&entry(name, "generateContent")))
            .collect();
        table.learn(&list);
        for name in ["aurora-1", "gemini-9-ultra", "gemini-2.5-flash-lite"] {
            let model = table.resolve(name).unwrap().model;
            assert!(model.known && model.input_token_limit == 7 && model.output_token_limit == 5, "{model:?}");
            assert_eq!(
                (model.source, &*model.methods),
                (SOURCE, &["generateContent".to_owned(), "countTokens".to_owned()][..])
            );
            let display = if name == "gemini-2.5-flash-lite" { "Gemini 2.5 Flash-Lite" } else { "New" };
            assert!(table.list().iter().any(|listed| listed.name == name && listed.display_name == display));
        }
        assert_eq!(table.resolve("aurora-1-search").unwrap().model.name, "aurora-1");
    }

    #[test]
    fn what_google_lists_as_not_thinking_is_sent_no_level() {
        let mut table = ModelTable::new(&[]);
        let asked = |table: &ModelTable| table.resolve("gemini-9-plain").unwrap().model;
        assert!(matches!(asked(&table).thinking, Control::Levels(_)) && asked(&table).thinks_unasked);
        let mut plain = entry("models/gemini-9-plain", "generateContent");
        plain["thinking"] = false.into();
        table.learn(&[Listed::read(&plain).unwrap()]);
        assert_eq!((asked(&table).thinking, asked(&table).thinks_unasked), (Control::None, false));
    }

    #[test]
    fn what_google_says_of_thinking_counts_unless_the_config_says_more() {
        let said = |name: &str, thinks: bool| {
            let mut entry = entry(&format!("models/{name}"), "generateContent");
            entry["thinking"] = thinks.into();
            Listed::read(&entry).unwrap()
        };
        let own = crate::config::ModelEntry {
            name: "gemini-2.5-flash".into(),
            alias_of: None,
            thinking: Some(Control::Budget { min: 1, max: 2, can_be_off: false }),
        };
        let mut table = ModelTable::new(&[own]);
        table.learn(&[
            said("gemini-2.5-flash", false),
            said("gemini-2.5-flash-lite", false),
            said("gemini-2.0-flash", true),
            said("gemini-2.5-flash-image", true),
        ]);
        let thinking = |name: &str| table.resolve(name).unwrap().model.thinking;
        assert!(matches!(thinking("gemini-2.5-flash"), Control::Budget { max: 2, .. }));
        assert_eq!(thinking("gemini-2.5-flash-lite"), Control::None);
        assert!(matches!(thinking("gemini-2.0-flash"), Control::Levels(_)));
        assert_eq!(thinking("gemini-2.5-flash-image"), Control::None, "pictures are not thought about");
    }

    #[test]
    fn a_listed_embedding_model_makes_nothing_else() {
        let mut table = ModelTable::new(&[]);
        table.learn(&[Listed::read(&entry("models/text-embedding-9", "embedContent")).unwrap()]);
        let model = table.resolve("text-embedding-9").unwrap().model;
        assert!(model.known && model.embedding && table.list().iter().all(|listed| listed.name != "text-embedding-9"));
    }

    #[test]
    fn what_does_not_generate_or_has_an_odd_name_is_left_out() {
        for entry in [
            entry("models/imagen-9", "predict"),
            entry("models/a/b?c", "generateContent"),
            entry("models/", "generateContent"),
            json!({"name": "models/x"}),
            json!(7),
        ] {
            assert_eq!(Listed::read(&entry), None, "{entry}");
        }
    }
}
