//! The fields of a request, see docs/anthropic.md.

use super::answer::MessagesReply;
use super::blocks;
use super::error::THREAD_NOT_FOUND;
use crate::api::anthropic_blocks::required;
use crate::api::conversing::Conversing;
use crate::api::openai::tools as openai_tools;
use crate::api::options::{self, Sampling};
use crate::api::params::{Field, Object, read, shorten, take, take_as, take_object, take_text, wrong_type};
use crate::api::{Context, MidSystem};
use crate::conversation::asked::Asked;
use crate::conversation::attachments::Attachments;
use crate::conversation::built_in::is_built_in;
use crate::conversation::format::Format;
use crate::conversation::history::Entry;
use crate::conversation::tools::{Choice, Toolbox};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::Part;
use crate::gemini::thinking::Ask;
use serde_json::{Value, json};

/// Of a window of a million tokens, which Claude Code asks for by the name.
const LONG_CONTEXT: &str = "[1m]";
/// The first line of Claude Code's system text, which says nothing to a model and changes with every request.
const BILLING: &str = "x-anthropic-billing-header:";

/// Fields whose absence changes what the client gets, and why they mean nothing here.
const UNSERVED: [(&str, &str); 4] = [
    ("mcp_servers", "MCP servers are for the client to connect, and their tools to declare"),
    ("container", "Google has no container that lives on, and no skills in it"),
    ("context_management", "the conversation goes to Google as it is"),
    ("inference_geo", "where Google computes is the credential's matter"),
];

/// Translates a parsed body.
pub(super) fn translate(mut body: Object, context: &Context<'_>) -> Result<Conversing, ApiError> {
    let body = &mut body;
    let requested = read::<String>(body, "model")?.filter(|name| !name.trim().is_empty()).ok_or(required("model"))?;
    context.note_model(&requested);
    if body.get("max_tokens").is_none_or(Value::is_null) {
        return Err(required("max_tokens"));
    }
    let resolved = context.models.resolve(requested.trim().trim_end_matches(LONG_CONTEXT));
    let Some(resolved) = resolved else {
        return Err(unknown_model(&requested, context));
    };
    let search = resolved.search;
    let mut asked = Asked::new(resolved, context);
    let gemini3 = asked.model.gemini3;
    asked.stream = read(body, "stream")?.unwrap_or(false);
    asked.mid_system = MidSystem::InPlace;
    Sampling::read(body, &["max_tokens"], "stop_sequences")?.apply(&mut asked);
    // Its SDKs' users tell ids by their prefix.
    asked.plan.call_prefix = "toolu_";

    asked.format = format(body)?;
    let mut extensions = options::extensions(body);
    extensions.declare(&mut asked.toolbox);
    let shows = thoughts(body);
    tell_unknown_thinking(body, &mut asked.toolbox)?;
    let thinking = options::thinking(body, std::mem::take(&mut extensions.thinking), asked.thinking, gemini3)?;
    let limit = asked.max_tokens;
    asked.thinking = thinking.ask;
    asked.include_thoughts = thinking.include.or(Some(shows != Shows::Nothing));
    // Who asks for thoughts has left room for them; a budget that leaves none is lowered.
    let is_roomy = match thinking.ask {
        None => false,
        Some(Ask::Budget(budget)) => limit.is_none_or(|limit| budget < i64::try_from(limit).unwrap_or(i64::MAX)),
        Some(_) => true,
    };
    asked.max_tokens = limit.filter(|_| !is_roomy);

    let searches = tools(body, search, &mut asked)?;
    refuse_thread(body)?;
    forget_kept_thoughts(body);
    options::tell_unserved(body, &UNSERVED, &mut asked.toolbox);
    let mut attachments = Attachments::of(context, &asked.model);
    if let system @ Some(_) = take(body, "system") {
        let mut said = blocks::system(system, "system", &mut attachments)?;
        forget_billing(&mut said);
        asked.history.push(Entry::System(said));
    }
    let messages = read::<Vec<Value>>(body, "messages")?.ok_or(required("messages"))?;
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "invalid_value", "messages: at least one message is required"));
    }
    let answered = messages.iter().rposition(|message| message["role"] == "assistant");
    for (index, message) in messages.into_iter().enumerate() {
        attachments.past(answered.is_some_and(|answered| index <= answered));
        blocks::message(message, &format!("messages.{index}"), &mut attachments, &mut asked.history)?;
    }
    attachments.refuse_silence(&asked.history, "messages")?;
    extensions.apply(&attachments, &mut asked);

    let signatures = asked.plan.signatures.clone();
    let reply = MessagesReply { model: requested, shows, searches, signatures };
    Ok(Conversing::ask(asked, session(body), reply, context))
}

/// A thread is a conversation that Anthropic keeps. None is kept here: to begin one is the same as to go without, and who goes on
/// from one is told so in the words upon which the SDKs send the whole conversation again.
fn refuse_thread(body: &mut Object) -> Result<(), ApiError> {
    let mut thread = take_object(body, "thread").unwrap_or_default();
    match take_text(&mut thread, "type").as_deref() {
        Some("continue") => {
            let message =
                "thread.previous_message_id: no message is kept here; send the whole conversation in 'messages'.";
            Err(ApiError::new(404, ErrorKind::InvalidRequest, message).with_code(THREAD_NOT_FOUND))
        }
        _ => Ok(()),
    }
}

/// Thoughts are not said again to Google in any case, so an edit that is about them alone, as Claude Code sends it always, is no loss.
fn forget_kept_thoughts(body: &mut Object) {
    let edits = body.get("context_management").and_then(|management| management.get("edits")?.as_array());
    let is_thought = |edit: &Value| edit["type"].as_str().is_some_and(|kind| kind.starts_with("clear_thinking"));
    if edits.is_some_and(|edits| edits.iter().all(is_thought)) {
        body.remove("context_management");
    }
}

/// What of the model's thoughts the client wants to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Blocks with text and signature.
    Thoughts,
    /// Blocks with an empty text and the signature.
    Signatures,
    /// No blocks.
    Nothing,
}

/// Reads `thinking` without taking it out.
fn thoughts(body: &Object) -> Shows {
    let word = |name: &str| body.get("thinking").and_then(|thinking| thinking.get(name)?.as_str());
    match (word("type"), word("display")) {
        (None | Some("disabled"), _) => Shows::Nothing,
        (_, Some("omitted")) => Shows::Signatures,
        _ => Shows::Thoughts,
    }
}

/// A way to think that is newer than this program is answered all the same.
fn tell_unknown_thinking(body: &Object, toolbox: &mut Toolbox) -> Result<(), ApiError> {
    let kind = match body.get("thinking") {
        Some(Value::Object(thinking)) => thinking.get("type").unwrap_or(&Value::Null),
        None | Some(Value::Null | Value::Bool(_) | Value::String(_)) => return Ok(()),
        Some(other) => return Err(wrong_type("thinking", Object::WANTED, other)),
    };
    match kind.as_str() {
        Some("enabled" | "disabled" | "adaptive" | "between_tools" | "auto") => {}
        Some(word) => toolbox.notice(format!(
            "thinking.type '{}' is none that is known here: the model thinks by its budget, or as it does by itself.",
            shorten(word)
        )),
        None => return Err(required("thinking.type")),
    }
    Ok(())
}

/// `output_config.format` and the beta field before it.
fn format(body: &mut Object) -> Result<Format, ApiError> {
    let of_config =
        body.get_mut("output_config").and_then(Value::as_object_mut).and_then(|config| take(config, "format"));
    match of_config {
        Some(format) => options::format(Some(format), "output_config.format"),
        None => options::format(take(body, "output_format"), "output_format"),
    }
}

/// Declares `tools` and obeys `tool_choice`; whether Google's search is among them.
fn tools(body: &mut Object, search: bool, asked: &mut Asked) -> Result<bool, ApiError> {
    let mut searches = search;
    asked.toolbox.list_begins();
    let mut own: Vec<String> = Vec::new();
    for (index, tool) in read::<Vec<Value>>(body, "tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut tool =
            Object::of(tool).map_err(|other| wrong_type(format!("tools.{index}"), Object::WANTED, &other))?;
        let kind = take_text(&mut tool, "type").unwrap_or_default();
        if kind.is_empty() && tool.keys().any(|field| is_googles(field)) {
            openai_tools::untyped(tool, &mut asked.toolbox);
            continue;
        }
        // OpenAI's way to declare one is sent here by mistake.
        let is_plain = matches!(kind.as_str(), "" | "custom" | "function");
        if is_plain {
            let function = take_object(&mut tool, "function").unwrap_or(tool);
            if function.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(required(&format!("tools.{index}.name")));
            }
            openai_tools::function(function, &mut asked.toolbox);
            continue;
        }
        let name = take_text(&mut tool, "name").unwrap_or_default();
        if asked.toolbox.built_in_with(&kind, options_of(&kind, tool)) {
            searches |= kind.starts_with("web_search");
            own.push(name);
        } else {
            client_tool(&kind, &name, &mut asked.toolbox);
        }
    }
    let mut choice: Object = read(body, "tool_choice")?.unwrap_or_default();
    asked.plan.single_call = take_as(&mut choice, "disable_parallel_tool_use") == Some(true);
    let choice = match (take_text(&mut choice, "type").as_deref(), take_text(&mut choice, "name")) {
        // Google decides by itself when it searches.
        (Some("tool"), Some(name)) if own.contains(&name) => Choice::Auto,
        (Some("tool"), Some(name)) => Choice::One(name),
        (Some("tool"), None) => return Err(required("tool_choice.name")),
        (Some(word @ ("any" | "none" | "required")), _) => Choice::word(word),
        (None | Some("auto"), _) => Choice::Auto,
        (Some(word), _) => {
            let message = format!("tool_choice.type: '{}' is none of 'auto', 'any', 'tool' and 'none'", shorten(word));
            return Err(ApiError::invalid("tool_choice.type", "invalid_value", message));
        }
    };
    asked.toolbox.choose(choice, "tool_choice")?;
    Ok(searches)
}

/// Whether a tool with this field is an object of Google's.
fn is_googles(field: &str) -> bool {
    is_built_in(field) || matches!(field, "functionDeclarations" | "function_declarations")
}

/// The options of a tool that Google runs; of Anthropic's own those that say more than how often it may be used.
fn options_of(kind: &str, mut tool: Object) -> Object {
    let is_anthropics = kind.starts_with("web_");
    tool.retain(|name, _| match name.as_str() {
        "allowed_domains" | "blocked_domains" | "user_location" => true,
        "name" | "max_uses" | "cache_control" | "defer_loading" | "allowed_callers" => false,
        _ => !is_anthropics,
    });
    tool
}

/// Tools that Anthropic's models know without a schema and the client runs; others than these need a program of
/// Anthropic's own and are left out.
fn client_tool(kind: &str, name: &str, toolbox: &mut Toolbox) {
    let text = || json!({"type": "string"});
    let is_of = |base: &str| kind.starts_with(base);
    let (description, properties, required) = match () {
        () if is_of("bash") => (
            "Runs a command in a shell that stays open between calls.",
            json!({"command": text(), "restart": {"type": "boolean", "description": "Starts the shell anew"}}),
            json!([]),
        ),
        () if is_of("text_editor") || is_of("memory") => (
            "Views and edits text files.",
            json!({
                "command": {"type": "string",
                    "enum": ["view", "create", "str_replace", "insert", "delete", "rename", "undo_edit"]},
                "path": text(), "file_text": text(), "old_str": text(), "new_str": text(), "insert_text": text(),
                "old_path": text(), "new_path": text(), "insert_line": {"type": "integer"},
                "view_range": {"type": "array", "items": {"type": "integer"}}}),
            json!(["command"]),
        ),
        () => {
            return toolbox.leave_out(kind);
        }
    };
    let schema = json!({"type": "object", "properties": properties, "required": required});
    toolbox.function(name, Some(description.into()), Some(schema));
}

/// Takes out the line that Claude Code begins its system text with.
fn forget_billing(system: &mut Vec<Part>) {
    let Some(text) = system.first_mut().and_then(|first| first.text.as_mut()).filter(|text| text.starts_with(BILLING))
    else {
        return;
    };
    let line = text.find('\n').map_or(text.len(), |end| end + 1);
    text.replace_range(..line, "");
    if text.is_empty() {
        system.remove(0);
    }
}

/// The session in `metadata.user_id`, which Claude Code writes as JSON, or all of it.
fn session(body: &mut Object) -> Option<String> {
    let user = take_text(&mut take_object(body, "metadata")?, "user_id").filter(|user| !user.is_empty())?;
    let parsed: Option<Object> = serde_json::from_str(&user).ok();
    Some(parsed.and_then(|mut user| take_text(&mut user, "session_id")).unwrap_or(user))
}

/// 404 for a model that nobody serves.
fn unknown_model(name: &str, context: &Context<'_>) -> ApiError {
    let message = format!("model: {}. {}", shorten(name), context.models.advice(name));
    ApiError::new(404, ErrorKind::InvalidRequest, message).with_param("model").with_code("model_not_found")
}
