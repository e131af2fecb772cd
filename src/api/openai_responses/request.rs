//! The fields of a request and the order in which the other files of this folder take it apart.

use super::answer::{ResponsesReply, Shape};
use super::memory::Memory;
use super::store::ID;
use super::tools::Natives;
use super::{OpenAiResponses, Task, compaction, items, tools};
use crate::api::conversing::Conversing;
use crate::api::options::{self, Sampling};
use crate::api::params::{Object, read, take, take_as, take_list, take_object, take_text, wrong_type};
use crate::api::{Call, Context, Framing, MidSystem, openai};
use crate::conversation::asked::Asked;
use crate::conversation::attachments::Attachments;
use crate::conversation::format::Format;
use crate::conversation::history::Entry;
use crate::error::ApiError;
use crate::gemini::Part;
use crate::gemini::models::Model;
use crate::os::random;
use serde_json::{Value, json};
use std::sync::Arc;

/// Fields whose absence changes what the client gets, and why they mean nothing here.
const UNSERVED: [(&str, &str); 3] = [
    ("moderation", "nothing is moderated here but by Google"),
    ("context_management", "nothing is compacted by itself; /v1/responses/compact and compaction_trigger do it"),
    ("max_tool_calls", "Google bounds the calls of its own tools by itself"),
];

/// Translates a parsed body.
pub(super) fn translate(
    mut body: Object,
    context: &Context<'_>,
    surface: &OpenAiResponses,
) -> Result<Conversing, ApiError> {
    let body = &mut body;
    let requested = openai::model(body)?;
    context.note_model(&requested);
    let Some(resolved) = context.models.resolve(&requested) else {
        return Err(openai::unknown_model(&requested, context));
    };
    refuse_unsupported(body, &resolved.model)?;
    let mut asked = Asked::new(resolved, context);
    let gemini3 = asked.model.gemini3;
    asked.stream = read(body, "stream")?.unwrap_or(false) && surface.task == Task::Answer;
    asked.mid_system = MidSystem::InPlace;
    let echo = echo(body);
    Sampling::read(body, &["max_output_tokens"], "stop")?.apply(&mut asked);
    options::modalities(body, &asked.model, &mut asked.config)?;

    let includes = take_list(body, "include").unwrap_or_default();
    let includes = |word: &str| includes.iter().any(|included| included == word);
    if includes("message.output_text.logprobs") {
        options::token_probabilities(body, &mut asked)?;
    }
    let mut extensions = options::extensions(body);
    let summary = wants_summary(body);
    let thinking = options::thinking(body, std::mem::take(&mut extensions.thinking), asked.thinking, gemini3)?;
    let shows = thinking.include.unwrap_or(summary);
    (asked.thinking, asked.include_thoughts) = (thinking.ask, Some(shows));
    asked.format = options::format(text_format(body), "text.format")?;

    let id = random::id(ID);
    let memory = Memory { store: surface.store.clone(), key: context.key_name.to_owned() };
    let earlier = memory.earlier(read::<String>(body, "previous_response_id")?.as_deref())?;
    let mut input = take(body, "input").unwrap_or_default();
    memory.complete(&mut input)?;
    let compacts = take_trigger(&mut input) || surface.task == Task::Compact;
    let named = take_text(body, "prompt_cache_key").filter(|name| !name.is_empty());
    let affinity = named.or_else(|| Some(earlier.first()?.id().to_owned()));

    let mut natives = Natives::new();
    if !compacts {
        extensions.declare(&mut asked.toolbox);
        asked.toolbox.list_begins();
        let tools = tools::read(body, &mut asked)?;
        asked.toolbox.choose(tools.choice, "tool_choice")?;
        natives = tools.natives;
    }
    asked.plan.single_call = take_as(body, "parallel_tool_calls") == Some(false);
    options::tell_unserved(body, &UNSERVED, &mut asked.toolbox);
    options::tell_verbosity(
        take_object(body, "text").and_then(|mut text| take(&mut text, "verbosity")),
        &mut asked.toolbox,
    );

    let mut attachments = Attachments::of(context, &asked.model);
    let instructions = read::<String>(body, "instructions")?.filter(|text| !text.is_empty());
    asked.history.extend(instructions.map(|text| Entry::System(vec![Part::text(text)])));
    for turn in &earlier {
        history(Value::Array(turn.input()), "previous", &mut attachments, &mut asked.history)?;
        history(Value::Array(turn.output()), "previous", &mut attachments, &mut asked.history)?;
    }
    let given = if surface.task == Task::Compact { compaction::given(&earlier, &input) } else { Vec::new() };
    let is_kept = take_as(body, "store") != Some(false) && surface.task == Task::Answer;
    let keeper = if is_kept { memory.keeper(&id, earlier, &mut input) } else { None };
    history(input, "input", &mut attachments, &mut asked.history)?;
    attachments.refuse_silence(&asked.history, "input")?;
    if asked.history.is_empty() {
        return Err(ApiError::invalid("input", "missing_required_parameter", "Missing required parameter: 'input'."));
    }
    if compacts {
        asked.history.push(Entry::User(vec![Part::text(compaction::ASK)]));
        asked.format = Format::Text;
    }
    extensions.apply(&attachments, &mut asked);
    asked.request.other.extend(options::service_tier(take(body, "service_tier").as_ref()));

    let framing = if asked.stream { Framing::Events } else { Framing::Whole };
    let mut call = Call::question(&asked.model, framing, affinity);
    call.limit = asked.limit;
    let (request, plan) = asked.compose(context);
    call.request = request;
    let shape = Shape {
        id,
        created: openai::now(),
        model: requested,
        echo,
        stream: framing == Framing::Events,
        keeper,
        compaction: compacts.then_some(given),
        is_compaction: surface.task == Task::Compact,
        shows: shows && !compacts,
        carries: includes("reasoning.encrypted_content"),
        natives,
        signatures: plan.signatures.clone(),
    };
    Ok(Conversing::new(call, framing, plan, ResponsesReply(Arc::new(shape))))
}

/// What needs a state that this program does not keep, and sound, for which the Responses API has no item.
fn refuse_unsupported(body: &mut Object, model: &Model) -> Result<(), ApiError> {
    if model.speech_output {
        let message = "This model answers with speech; ask it at /v1/chat/completions.";
        return Err(ApiError::invalid("model", "unsupported_value", message));
    }
    for name in ["conversation", "prompt", "background"] {
        if take(body, name).is_some_and(|value| value != Value::Bool(false)) {
            let message = format!("Unsupported parameter: '{name}' is not supported here.");
            return Err(ApiError::invalid(name, "unsupported_parameter", message));
        }
    }
    Ok(())
}

/// What the response repeats of the request.
fn echo(body: &Object) -> Object {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null()).cloned();
    let part = |name: &str| body.get("reasoning").and_then(|reasoning| reasoning.get(name)).cloned();
    let text = given("text").filter(|text| text.get("format").is_some_and(Value::is_object));
    let fields = json!({
        "instructions": given("instructions"),
        "max_output_tokens": given("max_output_tokens"),
        "metadata": given("metadata").unwrap_or_else(|| json!({})),
        "parallel_tool_calls": given("parallel_tool_calls").unwrap_or_else(|| json!(true)),
        "previous_response_id": given("previous_response_id"),
        "reasoning": {"effort": part("effort"), "summary": part("summary")},
        "temperature": given("temperature").unwrap_or_else(|| json!(1.0)),
        "text": text.unwrap_or_else(|| json!({"format": {"type": "text"}})),
        "tool_choice": given("tool_choice").unwrap_or_else(|| json!("auto")),
        "tools": given("tools").unwrap_or_else(|| json!([])),
        "top_p": given("top_p").unwrap_or_else(|| json!(1.0)),
        "truncation": given("truncation").unwrap_or_else(|| json!("disabled")),
        "user": given("user"),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Object::new(),
    }
}

/// `reasoning.summary`, or its old name; the rest of `reasoning` stays for others.
fn wants_summary(body: &Object) -> bool {
    let reasoning = body.get("reasoning");
    let word = |name: &str| reasoning.and_then(|reasoning| reasoning.get(name)?.as_str());
    word("summary").or_else(|| word("generate_summary")).is_some_and(|word| word != "none")
}

fn text_format(body: &mut Object) -> Option<Value> {
    body.get_mut("text").and_then(Value::as_object_mut).and_then(|text| take(text, "format"))
}

/// Reads items, or a text; `at` is where they stand.
fn history(
    input: Value,
    at: &str,
    attachments: &mut Attachments<'_>,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    match input {
        Value::String(text) => {
            history.extend((!text.is_empty()).then(|| Entry::User(vec![Part::text(text)])));
        }
        Value::Array(list) => {
            let is_said = |item: &Value| item["role"] == "assistant" || item["type"] == "function_call";
            let answered = list.iter().rposition(is_said);
            for (index, item) in list.into_iter().enumerate() {
                let is_result = item["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
                attachments.past(is_result || answered.is_some_and(|answered| index <= answered));
                items::read(item, &format!("{at}[{index}]"), attachments, history)?;
            }
        }
        Value::Null => {}
        other => return Err(wrong_type(at, "a string or an array of items", &other)),
    }
    Ok(())
}

/// Whether the conversation is to be compacted, as programs ask whose window is full: by a last item that says nothing.
fn take_trigger(input: &mut Value) -> bool {
    let Some(items) = input.as_array_mut() else { return false };
    items.pop_if(|item| item["type"] == "compaction_trigger").is_some()
}
