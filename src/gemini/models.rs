//! The models this server knows: a data table (docs/google.md "Models of Code Assist", docs/thinking.md "What each
//! model accepts") that the config extends, and the reading of model names: prefixes, aliases, suffixes.
//!
//! Knows nothing of where a model is served: the upstreams rename and refuse as they must.

mod abilities;
mod builtin;
mod live;
mod near;
mod serving;

pub use live::Listed;
pub use serving::Serving;

use super::signatures::family;
use super::thinking::{Ask, Control};
pub use crate::config::ModelEntry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes. Names are read recursively, suffix by suffix.
const LONGEST_NAME: usize = 256;

/// One model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Google's bare name, as sent to the public API.
    pub name: String,
    /// The model that serves the name, if it is another one.
    serving: Option<String>,
    /// For lists.
    pub display_name: String,
    /// For lists.
    pub description: String,
    /// Tokens.
    pub input_token_limit: u64,
    /// Tokens.
    pub output_token_limit: u64,
    /// How thinking is controlled.
    pub thinking: Control,
    /// Whether it thinks when nothing is asked; false also for models that cannot think.
    pub thinks_unasked: bool,
    /// `gemini-3` and later: levels, call ids, enforced signatures.
    pub gemini3: bool,
    /// `temperature`, `topP` and `topK` do nothing, and a later model may refuse them: they are left out.
    pub fixed_sampling: bool,
    /// One answer may take several calls, so that a limit of the whole answer may exceed [`Model::output_token_limit`].
    pub long_decode: bool,
    /// Makes images.
    pub image_output: bool,
    /// Makes speech.
    pub speech_output: bool,
    /// Makes embeddings and nothing else.
    pub embedding: bool,
    /// Unix seconds, constant per model, for `created`.
    pub created: u64,
    /// Whether it is in the built-in table or the config (else: passed through by its name).
    pub known: bool,
    /// How much of this is more than a guess from the name.
    pub told: Told,
    /// What Google lists that it can do; empty where it lists nothing.
    pub methods: Arc<[String]>,
    /// Where the row is from: a heading of `docs/`, or Google's list.
    pub source: &'static str,
}

/// What is known of a model for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Nothing but the name.
    Name,
    /// Its limits, by Google's list.
    Limits,
    /// What it reads and writes as well: it is in the built-in table.
    All,
}

/// A requested name, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What to ask Google for.
    pub model: Model,
    /// The requested name without prefix and suffixes: usage is counted under it. An alias keeps its own name.
    pub base: String,
    /// `-search` was there.
    pub search: bool,
    /// What a thinking suffix asks.
    pub thinking: Option<Ask>,
}

/// The table.
#[derive(Clone, Debug)]
pub struct ModelTable {
    models: BTreeMap<String, Model>,
    aliases: BTreeMap<String, Alias>,
    /// Patterns and what serves the names that fit, in order.
    routes: Vec<(String, String)>,
    serving: Arc<Serving>,
}

#[derive(Clone, Debug)]
struct Alias {
    target: String,
    thinking: Option<Control>,
}

/// What a suffix asks for.
#[derive(Clone, Copy, Debug)]
enum Suffix {
    Search,
    Thinking(Ask),
}

impl ModelTable {
    /// The built-in table and the config's entries on top of it.
    pub fn new(entries: &[ModelEntry]) -> ModelTable {
        let (mut models, mut aliases) = (BTreeMap::new(), BTreeMap::new());
        models.extend(builtin::models().map(|model| (model.name.clone(), model)));
        for entry in entries {
            match entry.alias_of.as_ref().filter(|target| **target != entry.name) {
                Some(target) => {
                    let alias = Alias { target: target.clone(), thinking: entry.thinking.clone() };
                    aliases.insert(entry.name.clone(), alias);
                }
                None => {
                    let model = models.entry(entry.name.clone()).or_insert_with(|| builtin::guess(&entry.name));
                    model.known = true;
                    model.control(entry.thinking.as_ref());
                }
            }
        }
        ModelTable { models, aliases, routes: Vec::new(), serving: Arc::default() }
    }

    /// Reads a requested name: `models/`, `google/`, `gemini/` prefixes, exact names, aliases, then suffixes from the
    /// end in any order. Unknown `gemini-*` and `gemma-*` names pass through with safe guesses; others are `None`.
    pub fn resolve(&self, requested: &str) -> Option<Resolved> {
        let mut found = self.resolve_now(requested)?;
        if let Some(name) = self.serving.of(&found.model.name) {
            found.model.is_served_by(self.named(&name));
        }
        Some(found)
    }

    /// The same where one credential's answers say what serves the names.
    pub fn serving(mut self, serving: &Arc<Serving>) -> ModelTable {
        self.serving.clone_from(serving);
        self
    }

    fn named(&self, name: &str) -> Model {
        self.models.get(name).cloned().unwrap_or_else(|| builtin::guess(name))
    }

    fn resolve_now(&self, requested: &str) -> Option<Resolved> {
        let is_alias = self.aliases.contains_key(requested.trim());
        let routed = if is_alias { None } else { self.routed(requested.trim()) };
        routed.or_else(|| self.resolve_within(requested, &mut Vec::new())).or_else(|| self.resolve_loosely(requested))
    }

    /// Sends names that fit a pattern, `*` standing for anything, to a model; the first pattern counts.
    pub fn route(&mut self, routes: &[(String, String)]) {
        self.routes = routes.to_vec();
    }

    fn routed(&self, name: &str) -> Option<Resolved> {
        if self.routes.is_empty() || name.len() > LONGEST_NAME {
            return None;
        }
        if let Some((rest, suffix)) = split_own_suffix(name) {
            return self.routed(rest).map(|found| found.with(suffix));
        }
        let fits = |(pattern, _): &&(String, String)| glob(pattern, name);
        let (_, target) = self.routes.iter().find(fits)?;
        let mut found = self.resolve_within(target, &mut Vec::new())?;
        found.base = name.to_owned();
        found.model.known = true;
        Some(found)
    }

    /// Every model for the lists, sorted by name, without variants; config aliases under their own name. Embedding
    /// models are not here but in [`ModelTable::embeddings`].
    pub fn list(&self) -> Vec<Model> {
        let mut listed: BTreeMap<&str, Model> = BTreeMap::new();
        for (name, model) in &self.models {
            let mut model = model.clone();
            if let Some(name) = self.serving.of(name) {
                model.is_served_by(self.named(&name));
            }
            listed.insert(name, model);
        }
        for name in self.aliases.keys() {
            match self.resolve(name) {
                Some(found) => {
                    let model = Model { name: name.clone(), display_name: name.clone(), ..found.model };
                    listed.insert(name, model);
                }
                None => _ = listed.remove(name.as_str()),
            }
        }
        listed.into_values().filter(|model| !model.embedding).collect()
    }

    /// The embedding models, sorted by name.
    pub fn embeddings(&self) -> Vec<Model> {
        self.models.values().filter(|model| model.embedding).cloned().collect()
    }

    /// Names of the variants (`-search`, `-nothinking`, `-maxthinking`) that the lists show for `model`: those of the
    /// old program for 2.5-pro and 2.5-flash (docs/compatibility.md "Model lists of the old program"), none for others.
    pub fn variants(&self, model: &Model) -> Vec<String> {
        if !builtin::LISTED_WITH_VARIANTS.contains(&model.name.as_str()) {
            return Vec::new();
        }
        ["-maxthinking", "-nothinking", "-search"].map(|suffix| format!("{}{suffix}", model.name)).into()
    }

    /// `within`: the aliases being followed. Such a name means the model itself, so that an alias may put a suffix on
    /// the model whose name it takes, and cycles end.
    fn resolve_within(&self, requested: &str, within: &mut Vec<String>) -> Option<Resolved> {
        let name = requested.trim();
        if name.len() > LONGEST_NAME {
            return None;
        }
        // With the prefix first: a config alias may look like `google/...` or `openai/...`.
        self.read_known(name, within).or_else(|| {
            let bare = without_prefixes(name);
            self.read_known(bare, within).or_else(|| self.read_unknown(bare))
        })
    }

    fn read_known(&self, name: &str, within: &mut Vec<String>) -> Option<Resolved> {
        if let Some(found) = self.read_exact(name, within) {
            return Some(found);
        }
        let (rest, suffix) = split_any_suffix(name)?;
        self.read_known(rest, within).map(|found| found.with(suffix))
    }

    fn read_exact(&self, name: &str, within: &mut Vec<String>) -> Option<Resolved> {
        if let Some(alias) = self.aliases.get(name)
            && !within.iter().any(|followed| followed == name)
        {
            within.push(name.to_owned());
            let found = self.resolve_within(&alias.target, within);
            within.pop();
            let mut found = found?;
            found.base = name.to_owned();
            found.model.known = true;
            found.model.control(alias.thinking.as_ref());
            return Some(found);
        }
        self.models.get(name).map(|model| Resolved::plain(model.clone()))
    }

    /// A name that may be newer than this table. Effort words are taken for suffixes only behind a dated or preview
    /// name of a known family: a future model may be called `gemini-4-max`.
    fn read_unknown(&self, name: &str) -> Option<Resolved> {
        let suffix = split_own_suffix(name).or_else(|| {
            split_effort_suffix(name).filter(|(rest, _)| self.models.keys().any(|k| family(k) == family(rest)))
        });
        if let Some((rest, suffix)) = suffix {
            return self.read_unknown(rest).map(|found| found.with(suffix));
        }
        // The embeddings of Vertex AI; OpenAI's have other words behind theirs.
        const PREFIXES: [&str; 4] = ["gemini-", "gemma-", "text-embedding-00", "text-multilingual-embedding-"];
        let google = PREFIXES.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
        // The name becomes a part of a path upstream.
        let harmless = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        (google && harmless).then(|| Resolved::plain(builtin::guess(name)))
    }
}

impl Model {
    /// The name of the model that serves this one's: its rules hold.
    pub fn served_by(&self) -> &str {
        self.serving.as_deref().unwrap_or(&self.name)
    }

    /// Whether its name, as far as rules go, begins with this word.
    pub fn is_of(&self, family: &str) -> bool {
        self.served_by().starts_with(family)
    }

    /// Takes over the rules of another model, but for thinking that the config or Google's list has set.
    fn is_served_by(&mut self, other: Model) {
        if self.thinking == builtin::guess(&self.name).thinking {
            self.thinking = other.thinking;
            self.thinks_unasked = other.thinks_unasked;
        }
        self.gemini3 = other.gemini3;
        self.fixed_sampling = other.fixed_sampling;
        self.long_decode = other.long_decode;
        if other.known {
            (self.input_token_limit, self.output_token_limit) = (other.input_token_limit, other.output_token_limit);
        }
        self.serving = Some(other.name);
    }

    fn control(&mut self, thinking: Option<&Control>) {
        let Some(thinking) = thinking else { return };
        self.thinking = thinking.clone();
        self.thinks_unasked = !matches!(thinking, Control::None | Control::Unknown);
        self.gemini3 |= matches!(thinking, Control::Levels(_));
    }
}

impl Resolved {
    fn plain(model: Model) -> Resolved {
        Resolved { base: model.name.clone(), model, search: false, thinking: None }
    }

    /// Suffixes are applied from the inside: the last one in the name has the last word.
    fn with(mut self, suffix: Suffix) -> Resolved {
        match suffix {
            Suffix::Search => self.search = true,
            Suffix::Thinking(ask) => self.thinking = Some(ask),
        }
        self
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(tail)
}

fn without_prefixes(mut name: &str) -> &str {
    const PREFIXES: [&str; 4] = ["publishers/google/models/", "models/", "google/", "gemini/"];
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

fn split_any_suffix(name: &str) -> Option<(&str, Suffix)> {
    split_own_suffix(name).or_else(|| split_effort_suffix(name))
}

/// Suffixes that no model of Google's ends in.
fn split_own_suffix(name: &str) -> Option<(&str, Suffix)> {
    if let Some((rest, value)) = name.strip_suffix(')').and_then(|open| open.rsplit_once('(')) {
        return Some((rest, Suffix::Thinking(value_ask(value.trim())?)));
    }
    const SUFFIXES: [(&str, Suffix); 5] = [
        ("-nothinking", Suffix::Thinking(Ask::Off)),
        ("-maxthinking", Suffix::Thinking(Ask::Max)),
        ("-search", Suffix::Search),
        // OpenRouter's.
        (":online", Suffix::Search),
        // Thinking as the model sees fit, also where it is off by default.
        ("-think", Suffix::Thinking(Ask::Auto)),
    ];
    SUFFIXES.iter().find_map(|(word, suffix)| Some((name.strip_suffix(word)?, *suffix)))
}

fn split_effort_suffix(name: &str) -> Option<(&str, Suffix)> {
    let (rest, word) = name.rsplit_once('-')?;
    let effort = Ask::effort(word).filter(|ask| *ask != Ask::Auto)?;
    Some((rest, Suffix::Thinking(effort)))
}

/// `8192`, `-1`, `high`, `none`, `auto` of `model(...)`.
fn value_ask(value: &str) -> Option<Ask> {
    match value.parse::<i64>() {
        Ok(budget) => (budget >= -1).then_some(Ask::Budget(budget)),
        Err(_) => Ask::effort(value),
    }
}
