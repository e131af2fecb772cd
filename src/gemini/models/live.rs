//! Models that Google lists for the pool's API keys, on top of the built-in table: a name that is newer than this program
//! is then known, with Google's own limits. Where the table knows a model already, the table's facts stay.

use super::{ModelTable, Told, builtin};
use crate::gemini::thinking::Control;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

impl Listed {
    /// Reads an entry of `models.list`; `None` when it is no model that generates content.
    pub fn read(entry: &Value) -> Option<Listed> {
        let methods = entry.get("supportedGenerationMethods").and_then(Value::as_array)?;
        if !methods.iter().any(|method| method == "generateContent") {
            return None;
        }
        let mut listed: Listed = serde_json::from_value(entry.clone()).ok()?;
        listed.name = listed.name.trim_start_matches("models/").to_owned();
        // The name becomes a part of a path upstream.
        let harmless = listed.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        (harmless && !listed.name.is_empty()).then_some(listed)
    }
}

impl ModelTable {
    /// Adds what Google lists.
    pub fn learn(&mut self, list: &[Listed]) {
        for listed in list {
            if self.models.contains_key(&listed.name) || self.aliases.contains_key(&listed.name) {
                continue;
            }
            let mut model = builtin::guess(&listed.name);
            model.known = true;
            if !listed.display_name.is_empty() {
                model.display_name.clone_from(&listed.display_name);
            }
            model.description.clone_from(&listed.description);
            for (limit, told) in [
                (&mut model.input_token_limit, listed.input_token_limit),
                (&mut model.output_token_limit, listed.output_token_limit),
            ] {
                if told > 0 {
                    *limit = told;
                }
            }
            if listed.thinking == Some(false) {
                (model.thinking, model.thinks_unasked) = (Control::None, false);
            }
            if listed.input_token_limit > 0 && listed.output_token_limit > 0 {
                model.told = Told::Limits;
            }
            self.models.insert(listed.name.clone(), model);
        }
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
    fn a_listed_model_is_known_and_the_table_keeps_its_own_facts() {
        let mut table = ModelTable::new(&[]);
        assert!(table.resolve("aurora-1").is_none());
        let known = table.resolve("gemini-2.5-pro").unwrap().model;
        let list: Vec<Listed> = ["models/aurora-1", "models/gemini-9-ultra", "models/gemini-2.5-pro"]
            .iter()
            .filter_map(|name| Listed::read(&entry(name, "generateContent")))
            .collect();
        table.learn(&list);
        assert_eq!(table.resolve("gemini-2.5-pro").unwrap().model, known);
        for name in ["aurora-1", "gemini-9-ultra"] {
            let model = table.resolve(name).unwrap().model;
            assert!(model.known && model.input_token_limit == 7 && model.output_token_limit == 5, "{model:?}");
            assert!(table.list().iter().any(|listed| listed.name == name && listed.display_name == "New"));
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
    fn what_does_not_generate_or_has_an_odd_name_is_left_out() {
        for entry in [
            entry("models/text-embedding-9", "embedContent"),
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
