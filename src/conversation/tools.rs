//! The tools of a request: the client's functions under names Google takes, Google's own tools, and which of them may or
//! must be called. Dialects read their declarations and put them into a [`Toolbox`].

use super::built_in::{BUILT_IN, BuiltIn};
use super::names::{Kind, Names};
use crate::error::ApiError;
use crate::gemini::models::Model;
use crate::gemini::schema;
use crate::gemini::{FunctionCallingConfig, FunctionDeclaration, Tool, ToolConfig};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Sentences for the client about one request.
const MAX_NOTICES: usize = 8;
/// Letters of one.
const MAX_NOTICE: usize = 300;

/// The tools of one request.
#[derive(Debug)]
pub struct Toolbox {
    model: Model,
    declarations: Vec<FunctionDeclaration>,
    names: Names,
    /// Google's own tools with their options, by their place in the table.
    built_in: BTreeMap<usize, Map<String, Value>>,
    /// Those of them that were asked for beside the list of tools, so that a choice among these is not about them.
    beside: Vec<usize>,
    /// Arguments must keep to the schema.
    strict: bool,
    calling: Option<FunctionCallingConfig>,
    /// Where the user is, for Google's tools.
    retrieval: Option<Value>,
    refused: Option<ApiError>,
    notices: Vec<String>,
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
            tool if BuiltIn::named(tool).is_some() => Choice::One(tool.into()),
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
    pub notices: Vec<String>,
}

impl Toolbox {
    /// An empty one for `model`.
    pub fn new(model: &Model) -> Toolbox {
        Toolbox {
            model: model.clone(),
            declarations: Vec::new(),
            names: Names::default(),
            built_in: BTreeMap::new(),
            beside: Vec::new(),
            strict: false,
            calling: None,
            retrieval: None,
            refused: None,
            notices: Vec::new(),
        }
    }

    /// Turns on Google's own tool of this name in any spelling, with or without a version; `false` if there is none.
    pub fn built_in(&mut self, name: &str) -> bool {
        self.built_in_with(name, Map::new())
    }

    /// The same with options. What the model or Google does not take is refused where Google's own words ask for it; of a
    /// foreign tool it is left out, because programs send those with every request.
    pub fn built_in_with(&mut self, name: &str, options: Map<String, Value>) -> bool {
        let Some((index, is_googles)) = BuiltIn::named(name) else { return false };
        let tool = &BUILT_IN[index];
        let (field, model) = (tool.field, self.model.name.clone());
        let (options, unknown) = tool.options(options);
        if !tool.is_taken_by(&self.model) {
            self.refuse(is_googles, format!("The model {model} does not take Google's tool {field}"));
            return true;
        }
        if !unknown.is_empty() {
            let unknown: String = unknown.join(", ").chars().take(200).collect();
            self.refuse(is_googles, format!("Google's tool {field} has no option for {unknown}"));
        }
        self.built_in.entry(index).or_default().extend(options);
        true
    }

    fn refuse(&mut self, is_googles: bool, why: String) {
        match is_googles {
            true => {
                let error = ApiError::invalid("tools", "unsupported_value", format!("{why}."));
                self.refused.get_or_insert(error);
            }
            false => self.notice(format!("{why}; it was left out.")),
        }
    }

    /// Tells the client what could not be done. It goes into a header, and words of the client may be in it.
    pub fn notice(&mut self, sentence: String) {
        if self.notices.len() == MAX_NOTICES {
            return;
        }
        let plain = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
        let sentence: String = sentence.chars().take(MAX_NOTICE).map(plain).collect();
        if !self.notices.contains(&sentence) {
            self.notices.push(sentence);
        }
    }

    /// Tells the client that a tool of this type is none of Google's.
    pub fn leave_out(&mut self, kind: &str) {
        let kind: String = kind.chars().take(64).flat_map(char::escape_default).collect();
        self.notice(format!("The tool {kind} was left out: Google has nothing like it."));
    }

    /// What of Google's is on by now was asked for beside the list of tools: by the model's name or a field of its own.
    pub fn list_begins(&mut self) {
        self.beside = self.built_in.keys().copied().collect();
    }

    /// Whether Google's own tool of this name, in any spelling, is on.
    pub fn runs(&self, name: &str) -> bool {
        BuiltIn::named(name).is_some_and(|(index, _)| self.built_in.contains_key(&index))
    }

    /// Where the user is and how they speak, as `toolConfig.retrievalConfig` has it.
    pub fn retrieve_for(&mut self, place: Value) {
        self.retrieval = Some(place);
    }

    /// Some function wants its arguments by its schema and no others.
    pub fn strict(&mut self) {
        self.strict = true;
    }

    /// Declares a function; one without a name says nothing. A function that is named like Google's search and has no
    /// parameters is a common way to ask for that.
    pub fn function(&mut self, name: &str, description: Option<String>, parameters: Option<Value>) {
        let mut cleaned = parameters.map(schema::parameters).unwrap_or_default();
        if matches!(name, "googleSearch" | "google_search") && cleaned.schema.is_none() {
            self.built_in(name);
            return;
        }
        let has_maps = self.model.reads_json_schema();
        if !has_maps {
            cleaned = cleaned.without_maps();
        }
        let kind = Kind::function(cleaned.schema.as_ref(), cleaned.wrapped, !has_maps);
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
        let (parameters_json_schema, parameters) = match self.model.reads_json_schema() {
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
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        match &choice {
            Choice::None => self.keep_built_in(&[]),
            Choice::Only { names, .. } => self.keep_built_in(names),
            _ => {}
        }
        if self.names.is_empty() {
            return Ok(());
        }
        self.calling = match choice {
            Choice::Auto => None,
            Choice::None => Some(calling("NONE", Vec::new())),
            Choice::Any => Some(calling("ANY", Vec::new())),
            Choice::One(name) => match self.names.get(&name) {
                Some(tool) => Some(calling("ANY", vec![tool.google.clone()])),
                // Google cannot be told to use a tool of its own; where it is that or functions, it is that.
                None if BuiltIn::named(&name).is_some() => {
                    if self.runs(&name) && !self.model.gemini3 {
                        self.leave_functions();
                    }
                    None
                }
                None => {
                    let name = name.chars().take(64).collect::<String>();
                    let message = format!("'{param}' names the function '{name}', which is not declared.");
                    return Err(ApiError::invalid(param, "invalid_value", message));
                }
            },
            Choice::Only { names, required } => {
                let wanted: Vec<String> =
                    names.iter().filter_map(|name| Some(self.names.get(name)?.google.clone())).collect();
                if wanted.is_empty() && names.iter().any(|name| self.runs(name)) {
                    self.leave_functions();
                    return Ok(());
                }
                if wanted.is_empty() {
                    let message = format!("'{param}' allows no declared tool.");
                    return Err(ApiError::invalid(param, "invalid_value", message));
                }
                if !required {
                    // Google takes allowed names with ANY only; declaring fewer functions says the same.
                    self.declarations.retain(|declaration| wanted.contains(&declaration.name));
                }
                required.then(|| calling("ANY", wanted))
            }
        };
        Ok(())
    }

    /// Google's listed tools cannot be called by a choice that does not name them, and Google knows no such choice.
    fn keep_built_in(&mut self, names: &[String]) {
        let named: Vec<usize> = names.iter().filter_map(|name| Some(BuiltIn::named(name)?.0)).collect();
        let beside = &self.beside;
        self.built_in.retain(|index, _| beside.contains(index) || named.contains(index));
    }

    /// The choice is of one of Google's tools.
    fn leave_functions(&mut self) {
        self.declarations.clear();
        self.notice("The functions were left out: the choice is a tool of Google's.".into());
    }

    /// Models from Gemini 3 on take Google's tools beside functions, each kind in an entry of its own and with calls that
    /// keep to the schemas; before, functions win. Code Assist takes both at no time, which is seen where it is asked.
    pub(super) fn close(mut self) -> Tools {
        let has_functions = !self.declarations.is_empty();
        if has_functions && !self.model.gemini3 {
            let (kept, left_out): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.built_in)
                .into_iter()
                .partition(|(index, _)| BUILT_IN[*index].is_run_by_client());
            self.built_in = kept;
            for index in left_out.into_keys() {
                let (field, model) = (BUILT_IN[index].field, &self.model.name);
                self.notice(format!(
                    "{field} was left out: {model} does not take it beside functions, Gemini 3 and later do."
                ));
            }
        }
        let both = has_functions && self.model.gemini3 && !self.built_in.is_empty();
        let is_validated = both || self.strict && has_functions && self.model.reads_json_schema();
        let calling = self.calling.or_else(|| is_validated.then(|| calling("VALIDATED", Vec::new())));
        let retrieval = self.retrieval.filter(|_| !self.built_in.is_empty());
        let config = (calling.is_some() || both || retrieval.is_some()).then(|| ToolConfig {
            function_calling_config: calling,
            include_server_side_tool_invocations: both.then_some(true),
            other: retrieval.map(|place| ("retrievalConfig".to_owned(), place)).into_iter().collect(),
        });
        let functions = Tool { function_declarations: self.declarations, ..Tool::default() };
        let built_in = self.built_in.into_iter().map(|(index, options)| BUILT_IN[index].tool(options));
        let tools = has_functions.then_some(functions).into_iter().chain(built_in).collect();
        Tools { tools, config, names: self.names, notices: self.notices }
    }
}

fn calling(mode: &str, allowed_function_names: Vec<String>) -> FunctionCallingConfig {
    FunctionCallingConfig { mode: Some(mode.into()), allowed_function_names, ..FunctionCallingConfig::default() }
}
