//! Model lists and entries in each surface's shape.

use crate::calendar;
use crate::config::Control;
use crate::conversation::built_in::can_search;
use crate::gemini::models::{Model, ModelTable, Told};
use crate::http::query_value;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// Every name that the lists show: models and the variants of those the old program had, sorted.
fn names(table: &ModelTable) -> Vec<(String, Model)> {
    let mut names: Vec<(String, Model)> = Vec::new();
    for model in table.list() {
        names.extend(table.variants(&model).into_iter().map(|variant| (variant, model.clone())));
        names.push((model.name.clone(), model));
    }
    names.sort_by(|one, other| one.0.cmp(&other.0));
    names.dedup_by(|one, other| one.0 == other.0);
    names
}

/// `GET /v1/models` in OpenAI's shape.
pub fn openai_list(table: &ModelTable) -> Value {
    let data: Vec<Value> = names(table).iter().map(|(name, model)| openai(name, model)).collect();
    json!({"object": "list", "data": data})
}

/// `GET /v1/models/{id}`: any name the chat endpoint would take, `None` if it would not.
pub fn openai_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(openai(id, &resolved.model))
}

/// OpenAI's entry with what other programs read beside it, each in its own spelling: OpenRouter's, vLLM's, LiteLLM's,
/// Groq's, new-api's (docs/openai-chat.md "Model lists and legacy completions"). What is not known for certain is left out.
fn openai(name: &str, model: &Model) -> Value {
    let mut entry = json!({"id": name, "object": "model", "created": model.created, "owned_by": "google",
        "name": if name == model.name { model.display_name.as_str() } else { name }});
    let mut add =
        |fields: Value| entry.as_object_mut().zip(fields.as_object()).map(|(entry, more)| entry.extend(more.clone()));
    if !model.source.is_empty() {
        add(json!({"source": model.source}));
    }
    if !model.description.is_empty() {
        add(json!({"description": model.description}));
    }
    if model.told >= Told::Limits {
        let (input, output) = (model.input_token_limit, model.output_token_limit);
        add(json!({
            "context_length": input, "context_window": input, "max_model_len": input, "max_input_tokens": input,
            "max_output_tokens": output, "max_completion_tokens": output,
            "top_provider": {"context_length": input, "max_completion_tokens": output, "is_moderated": false},
        }));
    }
    if model.told == Told::All {
        let (reads, writes) = modalities(model);
        let modality = format!("{}->{}", reads.join("+"), writes.join("+"));
        add(json!({
            "architecture": {"modality": modality, "input_modalities": reads, "output_modalities": writes,
                "tokenizer": "Gemini", "instruct_type": null},
            "supported_parameters": parameters(model),
            "supported_endpoint_types": ["openai", "openai-response", "anthropic", "gemini"],
            "supported_endpoints": ["/chat/completions", "/responses", "/messages", "/completions"],
            "mode": "chat",
            "supports_vision": reads.contains(&"image"),
            "supports_pdf_input": reads.contains(&"file"),
            "supports_audio_input": reads.contains(&"audio"),
            "supports_video_input": reads.contains(&"video"),
            "supports_audio_output": model.speech_output,
            "supports_function_calling": is_structured(model),
            "supports_response_schema": is_structured(model),
            "supports_web_search": can_search(model),
            "supports_reasoning": model.thinking != Control::None,
        }));
        match &model.thinking {
            Control::Levels(levels) => {
                let levels: Vec<String> = levels.iter().map(|level| level.word().to_ascii_lowercase()).collect();
                add(json!({"thinking_levels": levels}));
            }
            Control::Budget { min, max, can_be_off } => {
                add(json!({"thinking_budget": {"min": min, "max": max, "can_be_off": can_be_off}}));
            }
            Control::None | Control::Unknown => {}
        }
    }
    entry
}

/// What a model reads and writes, in OpenRouter's words.
fn modalities(model: &Model) -> (&'static [&'static str], &'static [&'static str]) {
    match model {
        _ if model.speech_output => (&["text"], &["audio"]),
        _ if model.image_output => (&["text", "image"], &["text", "image"]),
        _ if model.is_of("gemma-") => (&["text", "image"], &["text"]),
        _ => (&["text", "image", "file", "audio", "video"], &["text"]),
    }
}

/// Whether it calls functions and answers by schemas: models of text do, but Gemma 3.
fn is_structured(model: &Model) -> bool {
    !model.speech_output && !model.image_output && model.takes_system()
}

/// The fields of a chat request that do something, in OpenRouter's words.
fn parameters(model: &Model) -> Vec<&'static str> {
    let groups: [(bool, &[&str]); 7] = [
        (true, &["max_tokens", "max_completion_tokens", "stop", "seed", "n"]),
        (!model.fixed_sampling, &["temperature", "top_p", "top_k"]),
        (model.takes_penalties(), &["presence_penalty", "frequency_penalty"]),
        (
            is_structured(model),
            &["tools", "tool_choice", "parallel_tool_calls", "response_format", "structured_outputs"],
        ),
        (model.thinking != Control::None, &["reasoning", "reasoning_effort", "include_reasoning"]),
        (can_search(model), &["web_search_options"]),
        (model.image_output || model.speech_output, &["modalities"]),
    ];
    groups.iter().filter(|(does, _)| *does).flat_map(|(_, names)| names.iter().copied()).collect()
}

/// `GET /v1/models/{id}` for callers that send `anthropic-version`.
pub fn anthropic_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(anthropic(id, &resolved.model))
}

fn anthropic(name: &str, model: &Model) -> Value {
    let created = UNIX_EPOCH + Duration::from_secs(model.created);
    let mut entry = json!({"type": "model", "id": name, "display_name": name, "created_at": calendar::iso(created)});
    if model.told >= Told::Limits {
        entry["max_input_tokens"] = json!(model.input_token_limit);
        entry["max_tokens"] = json!(model.output_token_limit);
    }
    entry
}

/// `GET /v1/models` for callers that send `anthropic-version`: all, unless the query asks for a page.
pub fn anthropic_list(table: &ModelTable, query: &str) -> Value {
    let names = names(table);
    let place = |field: &str| {
        let id = query_value(query, field)?;
        names.iter().position(|(name, _)| *name == id)
    };
    let begin = place("after_id").map_or(0, |at| at + 1);
    let end = place("before_id").unwrap_or(names.len()).max(begin);
    let limit = query_value(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(names.len()).max(1);
    // Before a model the nearest ones are wanted.
    let page = match query_value(query, "before_id") {
        Some(_) => &names[end.saturating_sub(limit).max(begin)..end],
        None => &names[begin..end.min(begin + limit)],
    };
    let has_more = page.len() < end - begin;
    let data: Vec<Value> = page.iter().map(|(name, model)| anthropic(name, model)).collect();
    let end = |entry: Option<&(String, Model)>| entry.map(|(name, _)| name.clone());
    json!({"data": data, "has_more": has_more, "first_id": end(page.first()), "last_id": end(page.last())})
}

/// `GET /v1beta/models`.
pub fn gemini_list(table: &ModelTable) -> Value {
    let models: Vec<Value> = names(table).iter().map(|(name, model)| gemini(name, model)).collect();
    json!({"models": models})
}

/// `GET /v1beta/models/{id}`.
pub fn gemini_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(gemini(id.trim_start_matches("models/"), &resolved.model))
}

/// Google's entry, with the fields and constants of the old program (docs/compatibility.md "Model lists of the old
/// program").
fn gemini(name: &str, model: &Model) -> Value {
    let suffix = name.strip_prefix(model.name.as_str()).unwrap_or("");
    let variant: String =
        [("-search", " with Google Search"), ("-nothinking", " (No Thinking)"), ("-maxthinking", " (Max Thinking)")]
            .iter()
            .filter(|(mark, _)| suffix.contains(mark))
            .map(|(_, words)| *words)
            .collect();
    let mut methods = vec!["generateContent", "streamGenerateContent", "countTokens"];
    methods.extend(model.methods.iter().map(String::as_str).filter(|method| {
        // What is answered here in any case stands in front.
        !matches!(*method, "generateContent" | "streamGenerateContent" | "countTokens")
    }));
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": format!("{}{variant}", model.display_name),
        "description": model.description,
        "inputTokenLimit": model.input_token_limit,
        "outputTokenLimit": model.output_token_limit,
        "supportedGenerationMethods": methods,
        "temperature": 1.0,
        "maxTemperature": 2.0,
        "topP": 0.95,
        "topK": 64,
    })
}
