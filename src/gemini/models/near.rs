//! Names that are nobody's: which known one may be meant.

use super::{ModelTable, Resolved, without_prefixes};
use crate::config::{ModelEntry, distance};

/// What is named to those whose name is like no other; the one of the README.
const FIRST: &str = "gemini-3.8-flash";

/// Who other programs say a model is of, or comes by.
const VENDORS: [&str; 7] = ["openai", "anthropic", "openrouter", "litellm", "vertex", "vertex_ai", "google_genai"];

impl ModelTable {
    /// What the config says that this name stands for.
    pub fn alias_of(&self, name: &str) -> Option<&str> {
        self.aliases.get(name).map(|alias| alias.target.as_str())
    }

    /// A name in another notation: in capitals, with spaces, behind the name of a vendor, with a tag of Ollama's.
    pub(super) fn resolve_loosely(&self, requested: &str) -> Option<Resolved> {
        let name = plain(requested);
        let found = if name == requested { None } else { self.resolve_within(&name, &mut Vec::new()) };
        found.filter(|found| found.model.known)
    }

    /// What to do about a name that is not known, in a sentence for the client.
    pub fn advice(&self, requested: &str) -> String {
        let name = plain(requested);
        let models = self.list();
        let nearest = models.iter().map(|model| (distance(&name, &model.name), &model.name)).min();
        let near = nearest.filter(|(apart, _)| *apart <= 3.min(name.len() / 4)).map(|(_, name)| name.as_str());
        let first = near.unwrap_or(match self.models.contains_key(FIRST) {
            true => FIRST,
            false => models.first().map_or(FIRST, |model| &model.name),
        });
        format!(
            "Try `{first}`; GET /v1/models lists all, and `models` or `model_routes` in config.json can give one of them \
             this name."
        )
    }

    /// Names in the config that lead to no model that is known, in sentences for the operator.
    pub fn doubts(&self, entries: &[ModelEntry], routes: &[(String, Vec<String>)]) -> Vec<String> {
        let aliases =
            entries.iter().filter_map(|entry| Some((format!("models: {}", entry.name), entry.alias_of.as_ref()?)));
        let routed = routes.iter().flat_map(|(pattern, targets)| {
            targets.iter().map(move |target| (format!("model_routes: {pattern}"), target))
        });
        let is_doubtful = |target: &str| !self.resolve(target).is_some_and(|found| found.model.known);
        aliases
            .chain(routed)
            .filter(|(_, target)| is_doubtful(target))
            .map(|(place, target)| {
                let what = match self.resolve(target) {
                    Some(_) => "is no model that is known here; it is asked of Google as it is",
                    None => "is no model, so this name is refused",
                };
                format!("{place}: {} {what}. {}", target.escape_debug(), self.advice(target))
            })
            .collect()
    }
}

fn plain(requested: &str) -> String {
    let name = requested.trim().to_ascii_lowercase().replace(' ', "-");
    let mut name = without_prefixes(&name);
    while let Some(rest) = VENDORS.iter().find_map(|vendor| name.strip_prefix(vendor)?.strip_prefix('/')) {
        name = without_prefixes(rest);
    }
    name.strip_suffix(":latest").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_other_notations_are_understood_and_others_get_the_nearest() {
        let table = ModelTable::new(&[]);
        for name in [
            "Gemini-2.5-Flash",
            "gemini 2.5 flash",
            "gemini-2.5-flash:latest",
            "openai/gemini-2.5-flash",
            "Models/OpenRouter/Google/Gemini-2.5-Flash",
        ] {
            assert_eq!(table.resolve(name).expect(name).model.name, "gemini-2.5-flash", "{name}");
        }
        for (name, expected) in
            [("gemini2.5-flash", "`gemini-2.5-flash`"), ("gpt-4o", "`gemini-3.8-flash`"), ("", "`gemini-3.8-flash`")]
        {
            assert!(table.resolve(name).is_none(), "{name}");
            assert!(table.advice(name).contains(expected), "{name}: {}", table.advice(name));
        }
    }

    #[test]
    fn doubtful_names_of_the_config_are_told() {
        let alias =
            |name: &str, target: &str| ModelEntry { name: name.into(), alias_of: Some(target.into()), thinking: None };
        let entries =
            [alias("a", "gemini-9"), alias("b", "gemini-2.5-flash"), alias("c", "b-high"), alias("d", "gpt-4o")];
        let routes = [("x-*".to_owned(), vec!["gemini-2.5-pro".to_owned(), "gemini-77".to_owned()])];
        let doubts = ModelTable::new(&entries).doubts(&entries, &routes);
        let begin = |at: usize| doubts[at].split_once(". ").unwrap().0;
        assert_eq!(doubts.len(), 3, "{doubts:?}");
        assert_eq!(begin(0), "models: a: gemini-9 is no model that is known here; it is asked of Google as it is");
        assert_eq!(begin(1), "models: d: gpt-4o is no model, so this name is refused");
        assert_eq!(
            begin(2),
            "model_routes: x-*: gemini-77 is no model that is known here; it is asked of Google as it is"
        );
    }
}
