//! The fields of a chat request (openai_chat.md 1.1): sampling, limits, output kinds, and the order in which the other
//! files of this folder take the request apart.

pub(crate) mod messages;

use super::Chat;
use crate::api::openai::content::Reader;
use crate::api::openai_chat::reply::{Reply, kept_text};
use crate::api::options::{self, Format, Sampling};
use crate::api::params::{Object, read, take, take_as, take_object, take_text};
use crate::api::{Call, Context, Framing, Operation, openai};
use crate::conversation::tools::{self, Dialect};
use crate::conversation::turns;
use crate::error::ApiError;
use crate::gemini::models::Resolved;
use crate::gemini::thinking;
use crate::gemini::{Content, GenerationConfig, Part, Request, signatures};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Translates a parsed body.
pub(super) fn translate(mut body: Object, context: &Context<'_>) -> Result<Chat, ApiError> {
    let body = &mut body;
    let requested = openai::model(body)?;
    let Some(resolved) = context.models.resolve(&requested) else {
        return Err(openai::unknown_model(&requested));
    };
    let Resolved { model, base: _, search, thinking: suffix } = resolved;
    let stream = read(body, "stream")?.unwrap_or(false);
    options::one_choice(body, "n")?;
    let extensions = options::extensions(body);
    let dialect = match options::is_old(&model) {
        true => Dialect::OpenApi,
        false => Dialect::JsonSchema,
    };
    let tools = tools::read(body, dialect, search)?;
    let sampling = Sampling::read(body, &["max_completion_tokens", "max_tokens"], "stop")?;
    let mut config = sampling.config(&model);
    let logprobs = options::wants_logprobs(body)?;
    let audio = options::modalities(body, &model, &mut config)?;
    let asked = options::thinking(body, extensions.thinking, suffix, model.gemini3)?;
    let thinking_config = thinking::plan(&model, asked.ask, asked.include, sampling.max_tokens(&model));
    let format = Format::read(take(body, "response_format"), "response_format")?;

    let mut reader = Reader::new(context, model.gemini3);
    let marker = extensions.marker.as_deref();
    let messages = take(body, "messages");
    let mut conversation = turns::read(messages, &model, &tools.names, marker, &mut reader, context)?;
    if !model.gemini3 && reader.all_low() {
        config.insert("mediaResolution".into(), json!("MEDIA_RESOLUTION_LOW"));
    }
    if let Some(resolution) = extensions.media_resolution {
        config.insert("mediaResolution".into(), json!(resolution));
    }
    if let Some(image_config) = extensions.image_config.filter(|_| model.image_output) {
        config.insert("imageConfig".into(), image_config);
    }
    let (json, instruction) = format.apply(&model, !tools.tools.is_empty(), &mut config);
    conversation.system.extend(instruction.map(Part::text));

    let system = Content { parts: conversation.system, ..Content::default() };
    let tier = take(body, "service_tier");
    let has_config = !config.is_empty() || thinking_config.is_some();
    let request = Request {
        contents: conversation.turns,
        system_instruction: Some(system).filter(|system| !system.parts.is_empty()),
        tools: tools.tools,
        tool_config: tools.config,
        generation_config: has_config.then_some(GenerationConfig { thinking_config, other: config }),
        safety_settings: extensions.safety_settings,
        cached_content: extensions.cached_content,
        other: service_tier(tier.as_ref()),
    };
    let include_usage = take_object(body, "stream_options")
        .and_then(|mut options| take_as(&mut options, "include_usage"))
        .unwrap_or(false);
    let reply = Reply {
        kept_text: kept_text(stream, &request),
        model: requested,
        created: openai::now(),
        stream,
        include_usage,
        names: tools.names,
        legacy: tools.legacy,
        single_call: tools.legacy || take_as(body, "parallel_tool_calls") == Some(false),
        marker: extensions.marker,
        stops: sampling.own_stops(),
        json,
        logprobs,
        audio,
        tier: tier.is_some(),
        signatures: Arc::clone(context.signatures),
        key_name: context.key_name.to_owned(),
        family: signatures::family(&model.name).to_owned(),
    };
    let call = Call {
        model: model.name,
        operation: if stream { Operation::Stream } else { Operation::Generate },
        request,
        affinity: affinity(body),
    };
    let framing = if stream { Framing::Events } else { Framing::Whole };
    Ok(Chat::new(call, framing, reply))
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
