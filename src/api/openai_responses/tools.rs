//! Tools that only this dialect has: namespaces of functions, the shell and the patches that OpenAI's models know without a
//! declaration. Google's model is declared functions; their calls come back as items of the tool's own kind.

use crate::api::openai::tools as shared;
use crate::api::options;
use crate::api::params::{Field, Object, missing, read as read_field, read_at, take, take_text, wrong_type};
use crate::conversation::asked::Asked;
use crate::conversation::tools::{Choice, Toolbox};
use crate::error::ApiError;
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) const LOCAL_SHELL: &str = "local_shell";
pub(super) const SHELL: &str = "shell";
pub(super) const APPLY_PATCH: &str = "apply_patch";
const IMAGE_GENERATION: &str = "image_generation";

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
pub(super) fn read(body: &mut Object, asked: &mut Asked) -> Result<Tools, ApiError> {
    let mut natives = Natives::new();
    let mut draws = false;
    for (index, tool) in read_field::<Vec<Value>>(body, "tools")?.unwrap_or_default().into_iter().enumerate() {
        let at = format!("tools[{index}]");
        let mut tool = object(tool, &at)?;
        match tool.get("type").and_then(Value::as_str) {
            Some(IMAGE_GENERATION) if asked.model.image_output => {
                draws = true;
                draw(&mut tool, &at, asked)?;
            }
            Some(IMAGE_GENERATION) => asked.toolbox.notice(format!(
                "The tool image_generation was left out: {} makes no pictures, models with image in their name do.",
                asked.model.name
            )),
            _ => declare(tool, &at, &mut asked.toolbox, &mut natives)?,
        }
    }
    let mut choice_of = take(body, "tool_choice");
    if draws && choice_of.as_ref().is_some_and(|choice| choice["type"] == IMAGE_GENERATION) {
        choice_of = None;
        asked.config.insert("responseModalities".into(), json!(["IMAGE"]));
    }
    Ok(Tools { natives, choice: choice(choice_of, &mut asked.toolbox) })
}

fn object(tool: Value, at: &str) -> Result<Object, ApiError> {
    Object::of(tool).map_err(|other| wrong_type(at, Object::WANTED, &other))
}

/// A model that makes pictures makes them without a tool, whose options say how they shall be.
fn draw(tool: &mut Object, at: &str, asked: &mut Asked) -> Result<(), ApiError> {
    let (size, quality) = (take_text(tool, "size"), take_text(tool, "quality"));
    let config = options::picture(size.as_deref(), quality.as_deref(), &asked.model)
        .map_err(|error| error.with_param(format!("{at}.size")))?;
    if !config.is_empty() {
        asked.config.insert("imageConfig".into(), config.into());
    }
    let says = |(name, value): (&String, &Value)| name != "type" && !value.is_null() && value != "auto" && *value != 0;
    let unknown: Vec<&str> = tool.iter().filter(|entry| says(*entry)).map(|(name, _)| name.as_str()).collect();
    if !unknown.is_empty() {
        asked
            .toolbox
            .notice(format!("image_generation has no option here for {}; it was left out.", unknown.join(", ")));
    }
    Ok(())
}

fn declare(tool: Object, at: &str, toolbox: &mut Toolbox, natives: &mut Natives) -> Result<(), ApiError> {
    let (name, native) = match tool.get("type").and_then(Value::as_str) {
        Some("namespace") => return namespace(tool, at, toolbox, natives),
        Some("local_shell") => (LOCAL_SHELL, Native::LocalShell),
        Some("shell") => (SHELL, Native::Shell),
        Some("apply_patch") => (APPLY_PATCH, Native::ApplyPatch),
        // No tool of the model's, whatever its name.
        Some(kind @ "mcp") => {
            toolbox.leave_out(kind);
            return Ok(());
        }
        Some(kind @ ("function" | "custom")) if name_of(&tool, kind).is_none() => {
            return Err(missing(format!("{at}.name")));
        }
        _ => {
            shared::read(tool.into(), toolbox);
            return Ok(());
        }
    };
    if toolbox.declares(name) {
        return Ok(());
    }
    let (description, parameters) = declaration(&native);
    toolbox.function(name, Some(description.to_owned()), Some(parameters));
    natives.insert(name.to_owned(), native);
    Ok(())
}

/// The name of a function or a custom tool, which chat nests.
fn name_of<'a>(tool: &'a Object, kind: &str) -> Option<&'a str> {
    let inner = tool.get(kind).and_then(Value::as_object).unwrap_or(tool);
    inner.get("name")?.as_str().filter(|name| !name.is_empty())
}

fn namespace(mut tool: Object, at: &str, toolbox: &mut Toolbox, natives: &mut Natives) -> Result<(), ApiError> {
    let namespace = take_text(&mut tool, "name").unwrap_or_default();
    let members = read_at::<Vec<Value>>(&mut tool, at, "tools")?.unwrap_or_default();
    for (index, member) in members.into_iter().enumerate() {
        let mut member = object(member, &format!("{at}.tools[{index}]"))?;
        let Some(name) = take_text(&mut member, "name").filter(|name| !name.is_empty()) else {
            return Err(missing(format!("{at}.tools[{index}].name")));
        };
        let flat = flat(Some(&namespace), &name);
        if toolbox.declares(&flat) {
            continue;
        }
        member.insert("name".into(), json!(flat));
        shared::read(member.into(), toolbox);
        if toolbox.declares(&flat) {
            natives.insert(flat, Native::Namespaced { namespace: namespace.clone(), name });
        }
    }
    Ok(())
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
        Choice::Only { names, .. } if names.is_empty() => {
            toolbox.notice("tool_choice allows no tool that is here, so none is called.".into());
            Choice::None
        }
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
