//! Tools and tool choice (openai_chat.md 1.8): functions, custom tools, legacy functions, Google's built-in tools in all
//! the spellings clients use.

use crate::api::params::shorten;
use crate::api::params::{Object, take, take_any, take_list, take_object, take_text};
use crate::conversation::names::{Kind, Names};
use crate::error::ApiError;
use crate::gemini::schema;
use crate::gemini::{FunctionCallingConfig, FunctionDeclaration, Tool, ToolConfig};
use serde_json::{Value, json};

/// What a request says about tools.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// For `tools` of Google's request.
    pub tools: Vec<Tool>,
    /// For `toolConfig`.
    pub config: Option<ToolConfig>,
    /// The functions by name.
    pub names: Names,
    /// `functions` was used, so answers must have `function_call`.
    pub legacy: bool,
}

/// Which field of a declaration Google's model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `parametersJsonSchema`.
    JsonSchema,
    /// `parameters` in the OpenAPI subset: Gemini 2.0 and older.
    OpenApi,
}

#[derive(Default)]
struct Builtins {
    google_search: bool,
    url_context: bool,
    code_execution: bool,
}

struct Builder {
    dialect: Dialect,
    declarations: Vec<FunctionDeclaration>,
    names: Names,
    builtins: Builtins,
}

/// Takes the tools out of the request. `search`: the model's suffix asks for Google Search.
pub(crate) fn read(body: &mut Object, dialect: Dialect, search: bool) -> Result<Tools, ApiError> {
    let mut builder =
        Builder { dialect, declarations: Vec::new(), names: Names::default(), builtins: Builtins::default() };
    let functions = take_list(body, "functions");
    let tools = take_list(body, "tools").filter(|list| !list.is_empty());
    let legacy = tools.is_none() && functions.as_ref().is_some_and(|list| !list.is_empty());
    for tool in tools.into_iter().flatten() {
        if let Value::Object(tool) = tool {
            builder.tool(tool);
        }
    }
    for function in functions.into_iter().flatten().filter(|_| legacy) {
        if let Value::Object(function) = function {
            builder.function(function);
        }
    }
    let wants = |value: Option<Value>| value.is_some_and(|value| value != Value::Bool(false));
    builder.builtins.google_search |= search
        | wants(take(body, "web_search_options"))
        | wants(take_any(body, &["web_search", "enable_search", "google_search", "googleSearch"]));

    let choice = match legacy {
        true => take(body, "function_call").or_else(|| take(body, "tool_choice")),
        false => take(body, "tool_choice"),
    };
    let config = match builder.names.is_empty() {
        true => None,
        false => choose(choice, legacy, &builder.names, &mut builder.declarations)?,
    };
    Ok(Tools { config, legacy, tools: tool_list(builder.declarations, &builder.builtins), names: builder.names })
}

/// Functions win over built-in tools: models before 3 refuse both together, and Code Assist is not known to take them.
fn tool_list(declarations: Vec<FunctionDeclaration>, builtins: &Builtins) -> Vec<Tool> {
    if !declarations.is_empty() {
        return vec![Tool { function_declarations: declarations, ..Tool::default() }];
    }
    let mut tools = Vec::new();
    if builtins.google_search {
        tools.push(Tool { google_search: Some(json!({})), ..Tool::default() });
    }
    if builtins.url_context {
        tools.push(Tool { url_context: Some(json!({})), ..Tool::default() });
    }
    if builtins.code_execution {
        tools.push(Tool { code_execution: Some(json!({})), ..Tool::default() });
    }
    tools
}

impl Builtins {
    /// Turns on the built-in tool of this name, if there is one.
    fn turn_on(&mut self, name: &str) -> bool {
        match name {
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
}

impl Builder {
    fn tool(&mut self, mut tool: Object) {
        match take_text(&mut tool, "type").as_deref() {
            // The flat form belongs to the Responses API and is sent here by mistake.
            Some("function") => match take_object(&mut tool, "function") {
                Some(function) => self.function(function),
                None => self.function(tool),
            },
            Some("custom") => match take_object(&mut tool, "custom") {
                Some(custom) => self.custom(custom),
                None => self.custom(tool),
            },
            Some(kind) => {
                let base = kind.split_once("_20").map_or(kind, |(base, _)| base); // web_search_preview_2025_03_11
                if !self.builtins.turn_on(base) {
                    log::debug!("chat: a tool of an unknown type was left out");
                }
            }
            None => self.untyped(tool),
        }
    }

    /// Google's own tool objects, or a function whose type was forgotten.
    fn untyped(&mut self, mut tool: Object) {
        if let Some(function) = take_object(&mut tool, "function") {
            return self.function(function);
        }
        let declarations = take_any(&mut tool, &["functionDeclarations", "function_declarations"]);
        if let Some(Value::Array(list)) = declarations {
            for declaration in list {
                if let Value::Object(declaration) = declaration {
                    self.function(declaration);
                }
            }
        } else if tool.contains_key("name") {
            return self.function(tool);
        }
        for name in tool.keys() {
            self.builtins.turn_on(name);
        }
    }

    fn function(&mut self, mut function: Object) {
        let Some(name) = take_text(&mut function, "name").filter(|name| !name.is_empty()) else {
            return;
        };
        let given =
            take_any(&mut function, &["parameters", "parametersJsonSchema", "parameters_json_schema", "input_schema"]);
        let cleaned = given.map(schema::parameters).unwrap_or_default();
        let search_trick = matches!(name.as_str(), "googleSearch" | "google_search");
        if search_trick && cleaned.schema.is_none() {
            self.builtins.google_search = true;
            return;
        }
        let description = take_text(&mut function, "description").filter(|text| !text.is_empty());
        let kind = Kind::function(cleaned.schema.as_ref(), cleaned.wrapped);
        self.declare(&name, kind, description, cleaned.schema);
    }

    fn custom(&mut self, mut custom: Object) {
        let Some(name) = take_text(&mut custom, "name").filter(|name| !name.is_empty()) else {
            return;
        };
        let mut description = take_text(&mut custom, "description").unwrap_or_default();
        if let Some(mut format) = take_object(&mut custom, "format") {
            // Chat nests the grammar, the Responses API does not.
            let mut grammar = take_object(&mut format, "grammar").unwrap_or(format);
            let syntax = take_text(&mut grammar, "syntax").unwrap_or_default();
            if let Some(definition) = take_text(&mut grammar, "definition") {
                let lead = if description.is_empty() { "" } else { "\n\n" };
                description.push_str(&format!("{lead}The input must follow this {syntax} grammar:\n{definition}"));
            }
        }
        let schema = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
        self.declare(&name, Kind::Custom, Some(description).filter(|text| !text.is_empty()), Some(schema));
    }

    fn declare(&mut self, name: &str, kind: Kind, description: Option<String>, schema: Option<Value>) {
        let Some(declared) = self.names.add(name, kind) else {
            return;
        };
        let mut declaration =
            FunctionDeclaration { name: declared.google.clone(), description, ..FunctionDeclaration::default() };
        match self.dialect {
            Dialect::JsonSchema => declaration.parameters_json_schema = schema,
            Dialect::OpenApi => declaration.parameters = schema.map(schema::openapi),
        }
        self.declarations.push(declaration);
    }
}

/// `tool_choice` and legacy `function_call`.
fn choose(
    choice: Option<Value>,
    legacy: bool,
    names: &Names,
    declarations: &mut Vec<FunctionDeclaration>,
) -> Result<Option<ToolConfig>, ApiError> {
    let param = if legacy { "function_call" } else { "tool_choice" };
    let mut choice = match choice {
        Some(Value::String(word)) => {
            return Ok(match word.as_str() {
                "none" => Some(config("NONE", Vec::new())),
                "required" | "any" => Some(config("ANY", Vec::new())),
                _ => None,
            });
        }
        Some(Value::Object(choice)) => choice,
        _ => return Ok(None),
    };
    let kind = take_text(&mut choice, "type").unwrap_or_default();
    if kind == "allowed_tools" {
        let mut allowed = take_object(&mut choice, "allowed_tools").unwrap_or(choice);
        let mode = take_text(&mut allowed, "mode").unwrap_or_default();
        let list = take_list(&mut allowed, "tools").unwrap_or_default();
        let wanted: Vec<String> = list
            .into_iter()
            .filter_map(|tool| match tool {
                Value::Object(tool) => named(tool),
                _ => None,
            })
            .filter_map(|name| names.get(&name).map(|tool| tool.google.clone()))
            .collect();
        if wanted.is_empty() {
            return Err(ApiError::invalid(param, "invalid_value", format!("'{param}' allows no declared tool.")));
        }
        if mode == "required" {
            return Ok(Some(config("ANY", wanted)));
        }
        // Google takes allowed names with ANY only; declaring fewer functions says the same.
        declarations.retain(|declaration| wanted.contains(&declaration.name));
        return Ok(None);
    }
    let Some(name) = named(choice) else {
        // Anthropic's and Google's words in an object.
        return Ok(match kind.as_str() {
            "none" => Some(config("NONE", Vec::new())),
            "required" | "any" => Some(config("ANY", Vec::new())),
            _ => None,
        });
    };
    match names.get(&name) {
        Some(tool) => Ok(Some(config("ANY", vec![tool.google.clone()]))),
        None => Err(ApiError::invalid(
            param,
            "invalid_value",
            format!("'{param}' names the function '{}', which is not declared.", shorten(&name)),
        )),
    }
}

/// The name in `{"function": {"name"}}`, `{"custom": {"name"}}` or `{"name"}`.
fn named(mut choice: Object) -> Option<String> {
    let inner = take_object(&mut choice, "function").or_else(|| take_object(&mut choice, "custom"));
    take_text(&mut inner.unwrap_or(choice), "name")
}

fn config(mode: &str, allowed_function_names: Vec<String>) -> ToolConfig {
    let function_calling_config =
        FunctionCallingConfig { mode: Some(mode.into()), allowed_function_names, ..FunctionCallingConfig::default() };
    ToolConfig { function_calling_config: Some(function_calling_config), ..ToolConfig::default() }
}
