//! The fields of a chat request (docs/openai-chat.md "Top-level fields"): sampling, limits, output kinds, and the order
//! in which the other files of this folder take the request apart.

mod calls;
mod items_of_responses;
mod messages;

use super::answer::ChatReply;
use crate::api::openai::tools;
use crate::api::options::{self, Sampling};
use crate::api::params::{Object, read, take, take_any, take_as, take_list, take_object, take_text};
use crate::api::{Context, openai};
use crate::conversation::asked::Asked;
use crate::conversation::attachments::Attachments;
use crate::conversation::history::Entry;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::{Value, json};

/// A field whose absence changes what the client gets, and why it means nothing here.
const UNSERVED: [(&str, &str); 9] = [
    ("logit_bias", NOTHING_LIKE_IT),
    ("repetition_penalty", NOTHING_LIKE_IT),
    ("min_p", NOTHING_LIKE_IT),
    ("top_a", NOTHING_LIKE_IT),
    ("models", "whoever runs this proxy names the models that follow one in model_routes"),
    ("guided_choice", ONLY_SCHEMAS),
    ("guided_regex", ONLY_SCHEMAS),
    ("guided_grammar", ONLY_SCHEMAS),
    ("structured_outputs", ONLY_SCHEMAS),
];
/// The value with which one of them changes nothing.
const NEUTRAL: [(&str, f64); 3] = [("repetition_penalty", 1.0), ("min_p", 0.0), ("top_a", 0.0)];
const NOTHING_LIKE_IT: &str = "Google has nothing like it";
const ONLY_SCHEMAS: &str = "Google's answers keep to JSON schemas only, which response_format takes";

/// Reads a body: what is asked, the conversation's name, and what the answer repeats.
pub(in crate::api) fn read_chat(
    mut body: Object,
    context: &Context<'_>,
) -> Result<(Asked, Option<String>, ChatReply), ApiError> {
    let body = &mut body;
    let requested = openai::model(body)?;
    context.note_model(&requested);
    let Some(resolved) = context.models.resolve(&requested) else {
        return Err(openai::unknown_model(&requested, context));
    };
    let mut asked = Asked::new(resolved, context);
    let gemini3 = asked.model.gemini3;
    asked.stream = read(body, "stream")?.unwrap_or(false);
    let choices = options::choices(body, "n")?;
    let mut extensions = options::extensions(body);
    extensions.declare(&mut asked.toolbox);
    let streams_arguments = extensions.streams_arguments.unwrap_or(context.settings.stream_function_arguments);
    // Older models refuse it.
    asked.plan.streams_arguments = streams_arguments && asked.stream && gemini3;
    let legacy = tools(body, &mut asked.toolbox)?;
    if let Some(stops) = take(body, "stop_sequences") {
        body.entry("stop").or_insert(stops);
    }
    Sampling::read(body, &["max_completion_tokens", "max_tokens", "max_output_tokens"], "stop")?.apply(&mut asked);
    options::logprobs(body, &mut asked)?;
    asked.plan.audio = options::modalities(body, &asked.model, &mut asked.config)?;
    let thinking = options::thinking(body, std::mem::take(&mut extensions.thinking), asked.thinking, gemini3)?;
    (asked.thinking, asked.include_thoughts) = (thinking.ask, thinking.include);
    let format = take(body, "response_format").or_else(|| take(&mut take_object(body, "text")?, "format"));
    let format = guided(body).filter(|_| format.is_none()).or(format);
    asked.format = options::format(format, "response_format")?;

    let mut attachments = Attachments::of(context, &asked.model);
    let instructions = take_text(body, "instructions").filter(|_| !body.contains_key("messages"));
    asked.history = messages::read(messages(body), extensions.marker.as_deref(), &mut attachments)?;
    let system = instructions.into_iter().chain(system(body)).map(|text| Entry::System(vec![Part::text(text)]));
    asked.history.splice(..0, system);
    extensions.apply(&attachments, &mut asked);
    asked.plan.single_call = legacy || take_as(body, "parallel_tool_calls") == Some(false);
    body.retain(|name, value| {
        !NEUTRAL.iter().any(|(known, neutral)| name == known && value.as_f64() == Some(*neutral))
    });
    options::tell_unserved(body, &UNSERVED, &mut asked.toolbox);
    options::tell_verbosity(take(body, "verbosity"), &mut asked.toolbox);
    let tier = take(body, "service_tier");
    asked.request.other = options::service_tier(tier.as_ref());

    let include_usage = take_object(body, "stream_options")
        .and_then(|mut options| take_as(&mut options, "include_usage"))
        .unwrap_or(false);
    let reply =
        ChatReply { model: requested, created: openai::now(), include_usage, legacy, tier: tier.is_some(), choices };
    Ok((asked, affinity(body), reply))
}

/// vLLM's ways to name the schema of an answer.
fn guided(body: &mut Object) -> Option<Value> {
    let newer = take_object(body, "structured_outputs").and_then(|mut wanted| match take(&mut wanted, "json") {
        None => {
            body.insert("structured_outputs".into(), Value::Object(wanted));
            None
        }
        schema => schema,
    });
    let schema = match newer.or_else(|| take(body, "guided_json"))? {
        Value::String(text) => serde_json::from_str(&text).ok()?,
        schema => schema,
    };
    Some(json!({"type": "json_schema", "schema": schema}))
}

/// What Anthropic's dialect has beside the messages, as one text or as blocks.
fn system(body: &mut Object) -> Vec<String> {
    match take(body, "system") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// The messages, or the input of a body of the Responses dialect.
fn messages(body: &mut Object) -> Option<Value> {
    take(body, "messages").or_else(|| match take(body, "input")? {
        Value::String(text) => Some(json!([{"role": "user", "content": text}])),
        input => Some(input),
    })
}

/// Reads `tools` or the older `functions`, and the choice among them; whether the answer must have `function_call`.
fn tools(body: &mut Object, toolbox: &mut Toolbox) -> Result<bool, ApiError> {
    search(body, toolbox);
    toolbox.list_begins();
    let functions = take_list(body, "functions").filter(|list| !list.is_empty());
    let tools = take_list(body, "tools").filter(|list| !list.is_empty());
    let legacy = tools.is_none() && functions.is_some();
    tools.into_iter().flatten().for_each(|tool| tools::read(tool, toolbox));
    for function in functions.into_iter().flatten().filter(|_| legacy) {
        if let Value::Object(function) = function {
            tools::function(function, toolbox);
        }
    }
    let older = take(body, "function_call").filter(|_| legacy);
    let param = if legacy { "function_call" } else { "tool_choice" };
    toolbox.choose(tools::choice(older.or_else(|| take(body, "tool_choice"))), param)?;
    Ok(legacy)
}

/// The ways to ask for a search beside `tools`.
fn search(body: &mut Object, toolbox: &mut Toolbox) {
    let wants = |value: Option<Value>| value.is_some_and(|value| value != Value::Bool(false));
    let plugins = take_list(body, "plugins").unwrap_or_default();
    let is_web = plugins.iter().any(|plugin| plugin["id"] == "web" && plugin["enabled"] != false);
    let is_live = take_object(body, "search_parameters").is_some_and(|live| live.get("mode") != Some(&"off".into()));
    if is_web | is_live | wants(take_any(body, &["web_search", "enable_search"])) {
        toolbox.built_in("web_search");
    }
    match take(body, "web_search_options") {
        Some(Value::Object(options)) => _ = toolbox.built_in_with("web_search", options),
        options if wants(options.clone()) => _ = toolbox.built_in("web_search"),
        _ => {}
    }
    for name in ["google_search", "googleSearch"] {
        tools::untyped(take(body, name).map(|options| (name.to_owned(), options)).into_iter().collect(), toolbox);
    }
}

/// The name of the conversation. `user` is none: it is the same in all of a person's conversations.
fn affinity(body: &mut Object) -> Option<String> {
    let of_metadata = |mut metadata: Object| take_text(&mut metadata, "user_id");
    take_text(body, "prompt_cache_key")
        .filter(|name| !name.is_empty())
        .or_else(|| take_object(body, "metadata").and_then(of_metadata))
}
