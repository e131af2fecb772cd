//! Tools as OpenAI's dialects declare them, in the spellings of both APIs and of Google, and the choice among them.

use crate::api::params::{Object, take_any, take_as, take_list, take_object, take_text};
use crate::conversation::built_in::is_built_in;
use crate::conversation::tools::{Choice, Toolbox};
use serde_json::Value;

/// Reads one of `tools` into the box.
pub(crate) fn read(tool: Value, toolbox: &mut Toolbox) {
    let Value::Object(mut tool) = tool else { return };
    match take_text(&mut tool, "type").as_deref() {
        // Chat nests the declaration, the Responses API does not; either is sent to the other by mistake.
        Some("function") => function(take_object(&mut tool, "function").unwrap_or(tool), toolbox),
        Some("custom") => custom(take_object(&mut tool, "custom").unwrap_or(tool), toolbox),
        // Moonshot's.
        Some("builtin_function") => {
            let name = take_object(&mut tool, "function").and_then(|mut function| take_text(&mut function, "name"));
            let name = name.unwrap_or_default();
            if !toolbox.built_in(name.trim_start_matches('$')) {
                toolbox.leave_out(&name);
            }
        }
        Some(kind) => built_in(kind, tool, toolbox),
        None => untyped(tool, toolbox),
    }
}

/// A tool that the service runs. Its options stand beside the type or, as a function's do, under its name.
fn built_in(kind: &str, mut tool: Object, toolbox: &mut Toolbox) {
    let mut options = take_object(&mut tool, kind).or_else(|| take_object(&mut tool, "parameters")).unwrap_or(tool);
    for name in ["name", "description", "function", "cache_control"] {
        options.remove(name);
    }
    if kind == "file_search" && options.contains_key("vector_store_ids") {
        toolbox.notice(
            "file_search was left out: OpenAI's vector stores are not here; name Google's in file_search_store_names."
                .into(),
        );
    } else if kind == "web_search" && options.get("external_web_access") == Some(&Value::Bool(false)) {
        // Codex sends this with every request that has functions: what OpenAI has stored of the web, and nothing newer.
    } else if options.remove("enable") == Some(Value::Bool(false)) {
        // Zhipu's way to turn it off.
    } else if !toolbox.built_in_with(kind.trim_start_matches("openrouter:"), options) {
        toolbox.leave_out(kind);
    }
}

/// Google's own tool objects, or a function whose type was forgotten.
pub(crate) fn untyped(mut tool: Object, toolbox: &mut Toolbox) {
    if let Some(inner) = take_object(&mut tool, "function") {
        return function(inner, toolbox);
    }
    let declarations = take_any(&mut tool, &["functionDeclarations", "function_declarations"]);
    if let Some(Value::Array(list)) = declarations {
        for declaration in list {
            if let Value::Object(declaration) = declaration {
                function(declaration, toolbox);
            }
        }
    } else if tool.contains_key("name") {
        return function(tool, toolbox);
    }
    for (name, options) in tool {
        let is_known = match options {
            Value::Object(options) => toolbox.built_in_with(&name, options),
            Value::Null | Value::Bool(false) => true,
            _ => toolbox.built_in(&name),
        };
        if !is_known {
            toolbox.leave_out(&name);
        }
    }
}

/// Reads a function's declaration.
pub(crate) fn function(mut function: Object, toolbox: &mut Toolbox) {
    let name = take_text(&mut function, "name").unwrap_or_default();
    let spellings = ["parameters", "parametersJsonSchema", "parameters_json_schema", "input_schema"];
    let parameters = take_any(&mut function, &spellings);
    if take_as(&mut function, "strict") == Some(true) {
        toolbox.strict();
    }
    toolbox.function(&name, take_text(&mut function, "description"), parameters);
}

fn custom(mut custom: Object, toolbox: &mut Toolbox) {
    let name = take_text(&mut custom, "name").unwrap_or_default();
    let grammar = take_object(&mut custom, "format").and_then(|mut format| {
        // Nested in chat only.
        let mut grammar = take_object(&mut format, "grammar").unwrap_or(format);
        let syntax = take_text(&mut grammar, "syntax").unwrap_or_default();
        Some((syntax, take_text(&mut grammar, "definition")?))
    });
    toolbox.custom(&name, take_text(&mut custom, "description"), grammar);
}

/// Reads `tool_choice` and the older `function_call`.
pub(crate) fn choice(choice: Option<Value>) -> Choice {
    let mut choice = match choice {
        Some(Value::String(word)) => return Choice::word(&word),
        Some(Value::Object(choice)) => choice,
        _ => return Choice::Auto,
    };
    let kind = take_text(&mut choice, "type").unwrap_or_default();
    if kind == "allowed_tools" {
        let mut allowed = take_object(&mut choice, "allowed_tools").unwrap_or(choice);
        let required = take_text(&mut allowed, "mode").as_deref() == Some("required");
        let list = take_list(&mut allowed, "tools").unwrap_or_default();
        let names = list.into_iter().filter_map(|tool| match tool {
            Value::Object(mut tool) => {
                let kind = take_text(&mut tool, "type");
                named(tool).or(kind.filter(|kind| is_built_in(kind)))
            }
            _ => None,
        });
        return Choice::Only { names: names.collect(), required };
    }
    // Without a name it may be Anthropic's and Google's words in an object.
    named(choice).map_or_else(|| Choice::word(&kind), Choice::One)
}

/// The name in `{"function": {"name"}}`, `{"custom": {"name"}}` or `{"name"}`.
fn named(mut choice: Object) -> Option<String> {
    let inner = take_object(&mut choice, "function").or_else(|| take_object(&mut choice, "custom"));
    take_text(&mut inner.unwrap_or(choice), "name")
}
