//! The tools of a request: the client's functions under names Google takes, Google's own tools, and which of them may or
//! must be called. Dialects read their declarations and put them into a [`Toolbox`].

use super::names::{Kind, Names};
use crate::error::ApiError;
use crate::gemini::models::Model;
use crate::gemini::schema;
use crate::gemini::{FunctionCallingConfig, FunctionDeclaration, Tool, ToolConfig};
use serde_json::{Value, json};

/// The tools of one request.
#[derive(Debug)]
pub struct Toolbox {
    /// Which field of a declaration the model reads: `parametersJsonSchema`, or `parameters` in the OpenAPI subset.
    json_schema: bool,
    declarations: Vec<FunctionDeclaration>,
    names: Names,
    google_search: bool,
    url_context: bool,
    code_execution: bool,
    config: Option<ToolConfig>,
}

/// Which tools may or must be called.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// As the model sees fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// This one.
    One(String),
    /// Only these; `required`: at least one of them.
    Only {
        /// The client's names.
        names: Vec<String>,
        /// One must be called.
        required: bool,
    },
}

impl Choice {
    /// The words of all dialects; others leave the choice to the model.
    pub fn word(word: &str) -> Choice {
        match word {
            "none" => Choice::None,
            "required" | "any" => Choice::Any,
            _ => Choice::Auto,
        }
    }
}

/// What becomes of a [`Toolbox`].
#[derive(Debug)]
pub(super) struct Tools {
    pub tools: Vec<Tool>,
    pub config: Option<ToolConfig>,
    pub names: Names,
}

impl Toolbox {
    /// An empty one for `model`.
    pub fn new(model: &Model) -> Toolbox {
        Toolbox {
            json_schema: model.reads_json_schema(),
            declarations: Vec::new(),
            names: Names::default(),
            google_search: false,
            url_context: false,
            code_execution: false,
            config: None,
        }
    }

    /// Turns on Google's own tool of this name in any spelling, with or without a version; `false` if there is none.
    pub fn built_in(&mut self, name: &str) -> bool {
        let base = name.split_once("_20").map_or(name, |(base, _)| base); // web_search_preview_2025_03_11
        match base {
            "googleSearch"
            | "google_search"
            | "web_search"
            | "web_search_preview"
            | "googleSearchRetrieval"
            | "google_search_retrieval" => self.google_search = true,
            "urlContext" | "url_context" => self.url_context = true,
            "codeExecution" | "code_execution" | "code_interpreter" => self.code_execution = true,
            _ => return false,
        }
        true
    }

    /// Declares a function; one without a name says nothing. A function that is named like Google's search and has no
    /// parameters is a common way to ask for that.
    pub fn function(&mut self, name: &str, description: Option<String>, parameters: Option<Value>) {
        let cleaned = parameters.map(schema::parameters).unwrap_or_default();
        if matches!(name, "googleSearch" | "google_search") && cleaned.schema.is_none() {
            self.google_search = true;
            return;
        }
        let kind = Kind::function(cleaned.schema.as_ref(), cleaned.wrapped);
        self.declare(name, kind, description, cleaned.schema);
    }

    /// Declares a tool that takes free text, with the syntax and definition of a grammar if it has one.
    pub fn custom(&mut self, name: &str, description: Option<String>, grammar: Option<(String, String)>) {
        let mut description = description.unwrap_or_default();
        if let Some((syntax, definition)) = grammar {
            let lead = if description.is_empty() { "" } else { "\n\n" };
            description.push_str(&format!("{lead}The input must follow this {syntax} grammar:\n{definition}"));
        }
        let schema = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
        self.declare(name, Kind::Custom, Some(description), Some(schema));
    }

    /// Whether a function of this name is there.
    pub fn declares(&self, name: &str) -> bool {
        self.names.get(name).is_some()
    }

    fn declare(&mut self, name: &str, kind: Kind, description: Option<String>, schema: Option<Value>) {
        if name.is_empty() {
            return;
        }
        let Some(declared) = self.names.add(name, kind) else {
            return;
        };
        let description = description.filter(|text| !text.is_empty());
        let name = declared.google.clone();
        let (parameters_json_schema, parameters) = match self.json_schema {
            true => (schema, None),
            false => (None, schema.map(schema::openapi)),
        };
        self.declarations.push(FunctionDeclaration {
            name,
            description,
            parameters,
            parameters_json_schema,
            ..FunctionDeclaration::default()
        });
    }

    /// Obeys a choice, once everything is declared; without functions it means nothing. `param` is the field it came in.
    pub fn choose(&mut self, choice: Choice, param: &str) -> Result<(), ApiError> {
        if self.names.is_empty() {
            return Ok(());
        }
        self.config = match choice {
            Choice::Auto => None,
            Choice::None => Some(config("NONE", Vec::new())),
            Choice::Any => Some(config("ANY", Vec::new())),
            Choice::One(name) => match self.names.get(&name) {
                Some(tool) => Some(config("ANY", vec![tool.google.clone()])),
                None => {
                    let name = name.chars().take(64).collect::<String>();
                    let message = format!("'{param}' names the function '{name}', which is not declared.");
                    return Err(ApiError::invalid(param, "invalid_value", message));
                }
            },
            Choice::Only { names, required } => {
                let wanted: Vec<String> =
                    names.iter().filter_map(|name| Some(self.names.get(name)?.google.clone())).collect();
                if wanted.is_empty() {
                    let message = format!("'{param}' allows no declared tool.");
                    return Err(ApiError::invalid(param, "invalid_value", message));
                }
                if !required {
                    // Google takes allowed names with ANY only; declaring fewer functions says the same.
                    self.declarations.retain(|declaration| wanted.contains(&declaration.name));
                }
                required.then(|| config("ANY", wanted))
            }
        };
        Ok(())
    }

    /// Functions win over Google's own tools: models before 3 refuse both together, and Code Assist is not known to take
    /// them.
    pub(super) fn close(self) -> Tools {
        let mut tools = Vec::new();
        if !self.declarations.is_empty() {
            tools.push(Tool { function_declarations: self.declarations, ..Tool::default() });
        } else {
            let on = |is_on: bool| is_on.then(|| json!({}));
            let built_in = [
                Tool { google_search: on(self.google_search), ..Tool::default() },
                Tool { url_context: on(self.url_context), ..Tool::default() },
                Tool { code_execution: on(self.code_execution), ..Tool::default() },
            ];
            let is_on = |tool: &Tool| {
                [&tool.google_search, &tool.url_context, &tool.code_execution].iter().any(|t| t.is_some())
            };
            tools.extend(built_in.into_iter().filter(is_on));
        }
        Tools { tools, config: self.config, names: self.names }
    }
}

fn config(mode: &str, allowed_function_names: Vec<String>) -> ToolConfig {
    let function_calling_config =
        FunctionCallingConfig { mode: Some(mode.into()), allowed_function_names, ..FunctionCallingConfig::default() };
    ToolConfig { function_calling_config: Some(function_calling_config), ..ToolConfig::default() }
}
