//! What Google refuses although its JSON parser would take it: thinking, sampling, tools and output settings. Contents and
//! schemas have their own files.

use super::engine::{list, text};
use super::errors::Refusal;
use super::models::{Model, Thinking};
use super::proto::Side;
use super::state::State;
use super::{strict_contents, strict_schema};
use serde_json::Value;
use std::collections::HashSet;

/// Checks a read request (camelCase names); nothing when the fake is set to be lenient.
pub fn check(state: &State, model: &Model, inner: &Value, side: Side) -> Result<(), Refusal> {
    if !state.settings.strict {
        return Ok(());
    }
    strict_contents::check(state, model, inner, side)?;
    if model.is_four() {
        four(inner)?;
    }
    let functions = tools(state, model, inner, side)?;
    let parts = list(&inner["contents"]).iter().flat_map(|content| list(&content["parts"]));
    if !model.id.starts_with("gemini-3.8") && parts.clone().any(|part| part.get("speechMetadata").is_some()) {
        return Err(Refusal::bare());
    }
    let is_audio = |part: &Value| {
        ["inlineData", "fileData"].iter().any(|kind| text(&part[*kind]["mimeType"]).starts_with("audio/"))
    };
    if model.transcribes() && !parts.clone().all(is_audio) {
        return Err(Refusal::invalid("This model takes audio only."));
    }
    config(state, model, &inner["generationConfig"], functions, side)
}

/// What Gemini 4 takes no more. Google's own words for these are not known.
fn four(inner: &Value) -> Result<(), Refusal> {
    if inner.get("cachedContent").is_some() {
        return Err(Refusal::invalid("Explicit caching is not supported for this model."));
    }
    if inner["generationConfig"]["thinkingConfig"].get("thinkingBudget").is_some() {
        return Err(Refusal::invalid("Thinking budget is not supported for this model. Please use thinking level."));
    }
    let last = list(&inner["contents"]).last();
    if last.is_some_and(|last| last["role"] == "model") {
        return Err(Refusal::invalid("Please ensure that the last turn is a user turn or a function response turn."));
    }
    Ok(())
}

/// What countTokens can count: something, and no thoughts.
pub fn countable(request: &Value) -> Result<(), Refusal> {
    let contents = list(&request["contents"]);
    if contents.is_empty() {
        return Err(strict_contents::no_contents());
    }
    for (at, content) in contents.iter().enumerate() {
        strict_contents::parts(content, &format!("contents[{at}]"))?;
        if list(&content["parts"]).iter().any(|part| part["thought"] == Value::Bool(true)) {
            return Err(strict_contents::no_data(&format!("contents[{at}].parts[0]")));
        }
    }
    Ok(())
}

/// `^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$`.
fn is_function_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first && name.len() <= 64 && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter))
}

/// Checks tools and tool config; says whether functions are declared.
fn tools(state: &State, model: &Model, inner: &Value, side: Side) -> Result<bool, Refusal> {
    let mut names = HashSet::new();
    let mut search = false;
    for (at, tool) in list(&inner["tools"]).iter().enumerate() {
        let kinds = tool.as_object().map_or(0, |tool| tool.len());
        if kinds == 0 {
            return Err(Refusal::invalid(format!(
                "* GenerateContentRequest.tools[{at}].tool_type: required one_of 'tool_type' must have one initialized field"
            )));
        }
        search |= tool.as_object().is_some_and(|tool| tool.keys().any(|name| name != "functionDeclarations"));
        for (index, declared) in list(&tool["functionDeclarations"]).iter().enumerate() {
            let path = format!("tools[{at}].function_declarations[{index}]");
            let name = text(&declared["name"]);
            if !is_function_name(name) {
                return Err(Refusal::invalid(format!(
                    "The GenerateContentRequest proto is invalid:\n  * {path}.name: [FIELD_INVALID] Invalid function name. \
                     Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores (_), dots (.), \
                     colons (:), or dashes (-), with a maximum length of 64."
                )));
            }
            if !names.insert(name) {
                return Err(Refusal::invalid(format!("Duplicate function declaration found: {name}")));
            }
            schemas(state, declared, "parameters", "parametersJsonSchema", &path)?;
            schemas(state, declared, "response", "responseJsonSchema", &path)?;
        }
    }
    let calling = &inner["toolConfig"]["functionCallingConfig"];
    let mode = calling["mode"].as_str().unwrap_or("AUTO");
    if search && !names.is_empty() {
        if side != Side::Public || !model.is_three() {
            return Err(Refusal::invalid("Multiple tools are supported only when they are all search tools."));
        }
        if inner["toolConfig"]["includeServerSideToolInvocations"] != true {
            return Err(Refusal::invalid(
                "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling.",
            ));
        }
        if mode == "AUTO" {
            return Err(Refusal::invalid(
                "Function calling mode AUTO is not supported with Built-in tools. Please use VALIDATED.",
            ));
        }
    }
    if model.image && !names.is_empty() {
        return Err(Refusal::invalid(format!("Function calling is not enabled for models/{}", model.id)));
    }
    if mode == "ANY" && names.is_empty() {
        return Err(Refusal::invalid("Function calling config is set without function_declarations."));
    }
    let allowed = list(&calling["allowedFunctionNames"]);
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(Refusal::invalid("Please set allowed_function_names only when function calling mode is ANY."));
    }
    if let Some(stray) = allowed.iter().find(|name| !names.contains(text(name))) {
        return Err(Refusal::invalid(format!("allowed_function_names contains {stray}, which is not declared.")));
    }
    Ok(!names.is_empty())
}

/// A schema in one of two fields, not both.
fn schemas(state: &State, holder: &Value, open: &str, json: &str, path: &str) -> Result<(), Refusal> {
    match (holder.get(open), holder.get(json).filter(|schema| !schema.is_null())) {
        (Some(_), Some(_)) => Err(Refusal::invalid(format!(
            "* {path}: only one of `{open}` and `{json}` can be set, they are mutually exclusive"
        ))),
        (Some(schema), None) => strict_schema::check_open_api(schema, &format!("{path}.{open}")),
        (None, Some(schema)) if state.settings.strict_json_schema => strict_schema::check_json_schema(schema),
        _ => Ok(()),
    }
}

fn config(state: &State, model: &Model, config: &Value, functions: bool, side: Side) -> Result<(), Refusal> {
    let range = |name: &str, low: f64, high: f64| match config[name].as_f64() {
        Some(value) if !(low..=high).contains(&value) => Err(Refusal::invalid(format!(
            "* GenerateContentRequest.generation_config.{name}: {value} must be in the range [{low}, {high}]"
        ))),
        _ => Ok(()),
    };
    range("temperature", 0.0, 2.0)?;
    range("topP", 0.0, 1.0)?;
    range("topK", 1.0, 1000.0)?;
    range("maxOutputTokens", 1.0, if model.is_four() { 1_048_576.0 } else { 65_536.0 })?;
    range("candidateCount", 1.0, 8.0)?;
    if config["candidateCount"].as_i64().is_some_and(|count| count > 1) {
        return Err(Refusal::invalid(format!("Multiple candidates is not enabled for models/{}", model.id)));
    }
    if config.get("presencePenalty").is_some() || config.get("frequencyPenalty").is_some() {
        return Err(Refusal::invalid(format!("Penalty is not enabled for models/{}", model.id)));
    }
    let asks_logprobs = config["responseLogprobs"] == Value::Bool(true) || config.get("logprobs").is_some();
    if asks_logprobs && side != Side::Vertex {
        return Err(Refusal::invalid(format!("Logprobs is not enabled for models/{}", model.id)));
    }
    let stops = list(&config["stopSequences"]);
    if stops.len() > 5 {
        return Err(Refusal::invalid(
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed",
        ));
    }
    if stops.iter().any(|stop| text(stop).is_empty()) {
        return Err(Refusal::invalid("* GenerateContentRequest.generation_config.stop_sequences: cannot be empty"));
    }
    output(state, model, config, functions)?;
    match config.get("thinkingConfig") {
        Some(thinking) => check_thinking(model, thinking),
        None => Ok(()),
    }
}

fn output(state: &State, model: &Model, config: &Value, functions: bool) -> Result<(), Refusal> {
    let mime = config["responseMimeType"].as_str().unwrap_or("text/plain");
    if !matches!(mime, "text/plain" | "application/json" | "text/x.enum") {
        return Err(Refusal::invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, \
             `application/json`, `application/xml`, `application/yaml` and `text/x.enum`.",
        ));
    }
    if mime == "application/json" && functions && !model.is_three() {
        return Err(Refusal::invalid("Function calling with a response mime type: 'application/json' is unsupported"));
    }
    if mime == "application/json" && model.image {
        return Err(Refusal::invalid(format!("JSON mode is not enabled for models/{}", model.id)));
    }
    let has_schema = config.get("responseSchema").is_some() || config.get("responseJsonSchema").is_some();
    if has_schema && mime == "text/plain" {
        return Err(Refusal::invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is \
             `application/json` or `text/x.enum`",
        ));
    }
    schemas(state, config, "responseSchema", "responseJsonSchema", "generation_config")?;
    let modalities = list(&config["responseModalities"]);
    if modalities.contains(&"IMAGE".into()) && !model.image {
        return Err(Refusal::invalid("Model does not support the requested response modalities: image"));
    }
    if config.get("imageConfig").is_some() && !model.image {
        return Err(Refusal::bare());
    }
    media(model, config, modalities)
}

/// What pictures, speech and transcripts may look like, by model.
fn media(model: &Model, config: &Value, modalities: &[Value]) -> Result<(), Refusal> {
    const RATIOS: [&str; 11] = ["", "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
    let is_31 = model.id.starts_with("gemini-3.1-flash-image");
    let ratio = text(&config["imageConfig"]["aspectRatio"]);
    let is_known = RATIOS.contains(&ratio) || is_31 && ["1:4", "4:1", "1:8", "8:1"].contains(&ratio);
    if !is_known {
        return Err(Refusal::invalid(format!("aspect_ratio {ratio} is not supported by models/{}", model.id)));
    }
    match text(&config["imageConfig"]["imageSize"]) {
        "" => {}
        "1K" | "2K" | "4K" if model.is_three() => {}
        "512" if is_31 => {}
        _ => return Err(Refusal::bare()),
    }
    if modalities.contains(&"AUDIO".into()) != model.speaks() {
        return Err(Refusal::invalid(format!(
            "The requested combination of response modalities is not supported by the model. models/{} accepts the \
             following combination of response modalities: {}",
            model.id,
            if model.speaks() { "* AUDIO" } else { "* TEXT" }
        )));
    }
    if config.get("audioTranscriptionConfig").is_some() && !model.transcribes() {
        return Err(Refusal::bare());
    }
    Ok(())
}

fn check_thinking(model: &Model, thinking: &Value) -> Result<(), Refusal> {
    let budget = thinking["thinkingBudget"].as_i64();
    let level = thinking["thinkingLevel"].as_str();
    if budget.is_some() && level.is_some() {
        return Err(Refusal::invalid("You can only set only one of thinking budget and thinking level."));
    }
    let out_of_range = |budget: i64, low: i64, high: i64| {
        Refusal::invalid(format!(
            "The thinking budget {budget} is invalid. Please choose a value between {low} and {high}."
        ))
    };
    let only_thinking = || Refusal::invalid("Budget 0 is invalid. This model only works in thinking mode.");
    match model.thinking {
        Thinking::None => Err(Refusal::invalid(format!("Thinking is not enabled for models/{}", model.id))),
        Thinking::Budget { .. } if level.is_some() => {
            Err(Refusal::invalid("Thinking level is not supported for this model."))
        }
        Thinking::Budget { min, max, off } => match budget {
            None | Some(-1) => Ok(()),
            Some(0) if off => Ok(()),
            Some(0) => Err(only_thinking()),
            Some(budget) if !(min..=max).contains(&budget) => Err(out_of_range(budget, min, max)),
            Some(_) => Ok(()),
        },
        Thinking::Levels(levels) => match (budget, level) {
            (_, Some(level)) if !levels.contains(&level) => {
                Err(Refusal::invalid(format!("Thinking level {level} is not supported for this model.")))
            }
            (Some(0), _) => Err(only_thinking()),
            (Some(budget), _) if budget != -1 && !(128..=32_768).contains(&budget) => {
                Err(out_of_range(budget, 128, 32_768))
            }
            _ => Ok(()),
        },
    }
}
