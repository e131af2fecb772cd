//! The models this server knows: a data table (google_code_assist.md 6, thinking_and_signatures.md 1) that the config
//! extends, and the reading of model names: prefixes, aliases, suffixes.

use super::thinking::{Ask, Control};

/// One model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Google's bare name, as sent to the public API.
    pub name: String,
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
    /// `gemini-3` and later: levels, call ids, enforced signatures.
    pub gemini3: bool,
    /// Makes images.
    pub image_output: bool,
    /// Makes speech.
    pub speech_output: bool,
    /// Unix seconds, constant per model, for `created`.
    pub created: u64,
    /// Whether it is in the built-in table or the config (else: passed through by its name).
    pub known: bool,
}

/// A requested name, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What to ask Google for.
    pub model: Model,
    /// The requested name without prefix and suffixes: usage is counted under it.
    pub base: String,
    /// `-search` was there.
    pub search: bool,
    /// What a thinking suffix asks.
    pub thinking: Option<Ask>,
}

/// A config entry: `{"name", "alias_of"?, "thinking"?}`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    /// The name clients may use.
    pub name: String,
    /// Another name of this known model.
    pub alias_of: Option<String>,
    /// `none`, `budget` or `level` control for a model the table does not know.
    pub thinking: Option<Control>,
}

/// The table.
#[derive(Clone, Debug)]
pub struct ModelTable {
    _todo: (),
}

impl ModelTable {
    /// The built-in table and the config's entries on top of it.
    pub fn new(_entries: &[ModelEntry]) -> ModelTable {
        todo!()
    }

    /// Reads a requested name: `models/`, `google/`, `gemini/` prefixes, exact names, aliases, then suffixes from the end
    /// in any order. Unknown `gemini-*` and `gemma-*` names pass through with safe guesses; others are `None`.
    pub fn resolve(&self, _requested: &str) -> Option<Resolved> {
        todo!()
    }

    /// Every model for the lists, sorted by name, without variants and aliases... plus config aliases under their name.
    pub fn list(&self) -> Vec<Model> {
        todo!()
    }

    /// Names of the variants (`-search`, `-nothinking`, `-maxthinking`) that the lists show for `model`: those of the old
    /// program for 2.5-pro and 2.5-flash (drop_in_contract.md 6.6 row 7), none for others.
    pub fn variants(&self, _model: &Model) -> Vec<String> {
        todo!()
    }
}
