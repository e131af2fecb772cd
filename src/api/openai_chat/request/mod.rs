//! The fields of a chat request (openai_chat.md 1.1): sampling, limits, output kinds, and the order in which the other
//! files of this folder take the request apart.

mod calls;
mod messages;

use super::answer::ChatReply;
use crate::api::conversing::Conversing;
use crate::api::openai::tools;
use crate::api::options::{self, Sampling};
use crate::api::params::{Object, read, take, take_any, take_as, take_list, take_object, take_text};
use crate::api::{Call, Context, Operation, openai};
use crate::conversation::asked::Asked;
use crate::conversation::attachments::Attachments;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;
use crate::gemini::models::Resolved;
use serde_json::{Map, Value, json};

/// Translates a parsed body.
pub(super) fn translate(mut body: Object, context: &Context<'_>) -> Result<Conversing, ApiError> {
    let body = &mut body;
    let requested = openai::model(body)?;
    let Some(resolved) = context.models.resolve(&requested) else {
        return Err(openai::unknown_model(&requested));
    };
    let Resolved { model, base: _, search, thinking: suffix } = resolved;
    let mut asked = Asked::new(model.clone(), context);
    asked.stream = read(body, "stream")?.unwrap_or(false);
    options::one_choice(body, "n")?;
    let extensions = options::extensions(body);
    let legacy = tools(body, search, &mut asked.toolbox)?;
    let sampling = Sampling::read(body, &["max_completion_tokens", "max_tokens"], "stop")?;
    asked.config = sampling.config(&model);
    asked.max_tokens = sampling.max_tokens(&model);
    asked.plan.stops = sampling.own_stops();
    asked.plan.logprobs = options::wants_logprobs(body)?;
    asked.plan.audio = options::modalities(body, &model, &mut asked.config)?;
    let thinking = options::thinking(body, extensions.thinking, suffix, model.gemini3)?;
    (asked.thinking, asked.include_thoughts) = (thinking.ask, thinking.include);
    asked.format = options::format(take(body, "response_format"), "response_format")?;

    let mut attachments = Attachments::new(context, model.gemini3);
    asked.history = messages::read(take(body, "messages"), extensions.marker.as_deref(), &mut attachments)?;
    let resolution = attachments.resolution().map(str::to_owned);
    if let Some(resolution) = extensions.media_resolution.or(resolution) {
        asked.config.insert("mediaResolution".into(), json!(resolution));
    }
    if let Some(image_config) = extensions.image_config.filter(|_| model.image_output) {
        asked.config.insert("imageConfig".into(), image_config);
    }
    let tier = take(body, "service_tier");
    asked.request.safety_settings = extensions.safety_settings;
    asked.request.cached_content = extensions.cached_content;
    asked.request.other = service_tier(tier.as_ref());
    asked.plan.marker = extensions.marker;
    asked.plan.single_call = legacy || take_as(body, "parallel_tool_calls") == Some(false);

    let include_usage = take_object(body, "stream_options")
        .and_then(|mut options| take_as(&mut options, "include_usage"))
        .unwrap_or(false);
    let reply = ChatReply { model: requested, created: openai::now(), include_usage, legacy, tier: tier.is_some() };
    let operation = if asked.stream { Operation::Stream } else { Operation::Generate };
    let (request, plan) = asked.compose(context);
    let call = Call { model: model.name, operation, request, affinity: affinity(body) };
    Ok(Conversing::new(call, plan, reply))
}

/// Reads `tools` or the older `functions`, and the choice among them; whether the answer must have `function_call`.
/// `search`: the model's suffix asks for Google Search.
fn tools(body: &mut Object, search: bool, toolbox: &mut Toolbox) -> Result<bool, ApiError> {
    let functions = take_list(body, "functions").filter(|list| !list.is_empty());
    let tools = take_list(body, "tools").filter(|list| !list.is_empty());
    let legacy = tools.is_none() && functions.is_some();
    tools.into_iter().flatten().for_each(|tool| tools::read(tool, toolbox));
    for function in functions.into_iter().flatten().filter(|_| legacy) {
        if let Value::Object(function) = function {
            tools::function(function, toolbox);
        }
    }
    let wants = |value: Option<Value>| value.is_some_and(|value| value != Value::Bool(false));
    let spellings = ["web_search", "enable_search", "google_search", "googleSearch"];
    if search | wants(take(body, "web_search_options")) | wants(take_any(body, &spellings)) {
        toolbox.built_in("google_search");
    }
    let older = take(body, "function_call").filter(|_| legacy);
    let param = if legacy { "function_call" } else { "tool_choice" };
    toolbox.choose(tools::choice(older.or_else(|| take(body, "tool_choice"))), param)?;
    Ok(legacy)
}

/// The tiers both services sell under the same words; others mean the usual one. Code Assist leaves the field out.
fn service_tier(asked: Option<&Value>) -> Map<String, Value> {
    let tier = asked.filter(|tier| matches!(tier.as_str(), Some("flex" | "priority")));
    tier.map(|tier| ("serviceTier".to_owned(), tier.clone())).into_iter().collect()
}

/// The name of the conversation. `user` is none: it is the same in all of a person's conversations.
fn affinity(body: &mut Object) -> Option<String> {
    let of_metadata = |mut metadata: Object| take_text(&mut metadata, "user_id");
    take_text(body, "prompt_cache_key")
        .filter(|name| !name.is_empty())
        .or_else(|| take_object(body, "metadata").and_then(of_metadata))
}
