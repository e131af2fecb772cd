//! Tools that only this dialect has: namespaces of functions, the shell and the patches that OpenAI's models know without a
//! declaration. Google's model is declared functions; their calls come back as items of the tool's own kind.

use crate::api::openai::tools as shared;
use crate::api::params::{Object, take, take_list, take_text};
use crate::conversation::tools::{Choice, Toolbox};
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) const LOCAL_SHELL: &str = "local_shell";
pub(super) const SHELL: &str = "shell";
pub(super) const APPLY_PATCH: &str = "apply_patch";

/// How the calls of a tool are given to the client, where they are neither plain functions nor custom tools.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Native {
    /// A function in a namespace.
    Namespaced { namespace: String, name: String },
    /// `local_shell_call`
    LocalShell,
    /// `shell_call`
    Shell,
    /// `apply_patch_call`
    ApplyPatch,
}

/// By the name under which Google knows the tool.
pub(super) type Natives = HashMap<String, Native>;

/// What is known once the tools are declared.
pub(super) struct Tools {
    pub natives: Natives,
    pub choice: Choice,
}

/// The name of a function of a namespace in one word.
pub(super) fn flat(namespace: Option<&str>, name: &str) -> String {
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => format!("{namespace}__{name}"),
        None => name.to_owned(),
    }
}

/// Declares `tools` and reads the choice among them.
pub(super) fn read(body: &mut Object, toolbox: &mut Toolbox) -> Tools {
    let mut natives = Natives::new();
    for tool in take_list(body, "tools").unwrap_or_default() {
        declare(tool, toolbox, &mut natives);
    }
    Tools { natives, choice: choice(take(body, "tool_choice"), toolbox) }
}

fn declare(mut tool: Value, toolbox: &mut Toolbox, natives: &mut Natives) {
    let (name, native) = match tool["type"].as_str() {
        Some("namespace") => return namespace(tool, toolbox, natives),
        Some("local_shell") => (LOCAL_SHELL, Native::LocalShell),
        Some("shell") => (SHELL, Native::Shell),
        Some("apply_patch") => (APPLY_PATCH, Native::ApplyPatch),
        // No tool of the model's, whatever its name.
        Some(kind @ "mcp") => return toolbox.leave_out(kind),
        _ => return shared::read(tool.take(), toolbox),
    };
    if toolbox.declares(name) {
        return;
    }
    let (description, parameters) = declaration(&native);
    toolbox.function(name, Some(description.to_owned()), Some(parameters));
    natives.insert(name.to_owned(), native);
}

fn namespace(mut tool: Value, toolbox: &mut Toolbox, natives: &mut Natives) {
    let Some(tool) = tool.as_object_mut() else { return };
    let namespace = take_text(tool, "name").unwrap_or_default();
    for mut member in take_list(tool, "tools").unwrap_or_default() {
        let Some(name) = member["name"].as_str().map(str::to_owned) else { continue };
        let flat = flat(Some(&namespace), &name);
        if toolbox.declares(&flat) {
            continue;
        }
        member["name"] = json!(flat);
        shared::read(member, toolbox);
        if toolbox.declares(&flat) {
            natives.insert(flat, Native::Namespaced { namespace: namespace.clone(), name });
        }
    }
}

fn declaration(native: &Native) -> (&'static str, Value) {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let number = || json!({"type": "integer"});
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    match native {
        Native::Shell => (
            "Runs shell commands on the user's machine, each in a shell of its own, and returns their output.",
            object(json!({"commands": texts(), "timeout_ms": number(), "max_output_length": number()}), &["commands"]),
        ),
        Native::ApplyPatch => (
            "Creates, updates or deletes one file. The diff is in the V4A format: lines that begin with a space, + or -, \
             under headers that begin with @@.",
            object(
                json!({"type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                    "path": text(), "diff": text()}),
                &["type", "path"],
            ),
        ),
        Native::LocalShell | Native::Namespaced { .. } => (
            "Runs a command on the user's machine, given as a list of its words, and returns its output.",
            object(
                json!({"command": texts(), "workdir": text(), "timeout_ms": number(),
                    "env": {"type": "object", "additionalProperties": {"type": "string"}}}),
                &["command"],
            ),
        ),
    }
}

/// Reads `tool_choice`. A choice of tools that OpenAI runs is none here.
fn choice(mut choice: Option<Value>, toolbox: &mut Toolbox) -> Choice {
    if let Some(name) = choice.as_mut().and_then(named) {
        return Choice::One(name);
    }
    if let Some(kind) = choice.as_ref().and_then(hosted) {
        if !toolbox.runs(kind) {
            let kind: String = kind.chars().take(64).flat_map(char::escape_default).collect();
            toolbox.notice(format!("tool_choice was left out: there is no tool {kind} here."));
        }
        return Choice::Auto;
    }
    for tool in choice.iter_mut().filter_map(|choice| choice.get_mut("tools")?.as_array_mut()).flatten() {
        if tool["type"] == "mcp" {
            *tool = Value::Null;
        } else if let Some(name) = named(tool) {
            tool["name"] = json!(name);
        }
    }
    match shared::choice(choice) {
        Choice::Only { names, .. } if names.is_empty() => Choice::Auto,
        choice => choice,
    }
}

/// The type of a tool that OpenAI runs, where a choice is one.
fn hosted(choice: &Value) -> Option<&str> {
    let kind = choice.get("type")?.as_str()?;
    let is_ours =
        matches!(kind, "function" | "custom" | "allowed_tools" | "auto" | "none" | "required" | "any" | "tool");
    (kind == "mcp" || !is_ours && choice.get("name").is_none()).then_some(kind)
}

/// The name of a tool of this dialect's own kinds.
fn named(tool: &mut Value) -> Option<String> {
    match tool.get("type")?.as_str()? {
        kind @ (LOCAL_SHELL | SHELL | APPLY_PATCH) => Some(kind.to_owned()),
        _ => Some(flat(Some(tool.get("namespace")?.as_str()?), tool.get("name")?.as_str()?)),
    }
}
