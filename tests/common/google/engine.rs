//! Generations: plays a scripted step or makes up the default answer, the same way every time.
//!
//! The default answer, by what the newest user turn says:
//! - `call:get_weather{"city":"Paris"}` for a declared function: that functionCall (arguments made up from its schema when
//!   the braces are missing); several `call:` are parallel calls; `call:a then call:b` are two steps, the second after the
//!   first one's results came back. Gemini 3 signs the first call of a step.
//! - mode ANY without `call:`: the first allowed function.
//! - after the last step's results: a text that names every output.
//! - `long:200000` on Gemini 4: an answer of so many tokens, over as many calls as it takes.
//! - JSON output asked: the smallest object its schema allows. Image models: a PNG. Otherwise `You said: ...`.
//!
//! `includeThoughts` puts a thought first; thinking costs [`THOUGHT_TOKENS`], which count against `maxOutputTokens`.

use super::calls::{in_pieces, wanted_calls};
use super::errors::Refusal;
use super::long;
use super::media;
use super::merge::merge;
use super::models::{Model, Thinking};
use super::routes::Call;
use super::script::Step;
use super::server::{Payload, Reply};
use super::state::{Issued, State};
use super::strict_schema::instance;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const THOUGHT_TOKENS: u64 = 6;
/// One transparent pixel.
pub const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A checked request for an answer; `inner` has camelCase names.
pub struct Generation {
    pub model: Model,
    pub inner: Value,
    pub code_assist: bool,
    pub stream: bool,
    pub sse: bool,
    pub who: String,
}

/// One event before it is dressed up: parts, and the finish reason of the last.
pub struct Piece {
    pub parts: Vec<Value>,
    pub finish: Option<&'static str>,
}

pub fn generate(call: &Call, generation: &Generation) -> Result<Reply, Refusal> {
    let model = &generation.model;
    let (reply, events, pace, step, number) = call.shared.change(|state| {
        let step = state.take_step(&generation.who, &call.op, &model.id).unwrap_or_else(Step::default_answer);
        if let Some(failure) = step.failure() {
            return (Some(failure), Vec::new(), state.settings.delay, step, 0);
        }
        let number = state.next();
        let mut events = step.events(|| default_events(state, generation));
        if !step.is_default() {
            events.iter().for_each(|event| remember_signatures(state, model, event));
        }
        let fallback = format!("fake-response-{number}");
        for event in events.iter_mut().filter(|event| event.is_object() && event.get("error").is_none()) {
            dress(event, generation, &fallback);
            if !state.settings.tells_version {
                event.as_object_mut().map(|fields| fields.remove("modelVersion"));
            }
        }
        (None, events, state.settings.delay, step, number)
    });
    if let Some(reply) = reply {
        return Ok(reply);
    }
    if step.is_default() {
        long::check(generation)?;
    }
    let trace = format!("{:016x}", 0xfa4e_0000_0000u64 + number);
    let wrap = |inner: &Value| match generation.code_assist && inner.get("error").is_none() {
        true => json!({"response": inner, "traceId": trace}),
        false => inner.clone(),
    };
    let reply = if generation.stream {
        let wrapped: Vec<Value> = events.iter().map(wrap).collect();
        let kind = if generation.sse { "text/event-stream" } else { "application/json; charset=UTF-8" };
        let mut reply = Reply::new(200, kind, "");
        reply.body = Payload::Chunked(step.acts(&wrapped, generation.sse, pace));
        let mut decorated = step.decorate(Reply { body: Payload::Whole(Vec::new()), ..reply.clone() });
        decorated.body = reply.body;
        decorated
    } else {
        step.decorate(Reply::json(200, &wrap(&merge(&events))))
    };
    Ok(if generation.code_assist { reply.header("x-cloudaicompanion-trace-id", &trace) } else { reply })
}

/// The fields every event repeats.
fn dress(event: &mut Value, generation: &Generation, response_id: &str) {
    let fields = event.as_object_mut().expect("checked by the caller");
    fields.entry("modelVersion").or_insert_with(|| json!(generation.model.id));
    if generation.code_assist {
        fields.entry("createTime").or_insert_with(|| json!("2026-01-10T03:00:00.000001Z"));
    }
    fields.entry("responseId").or_insert_with(|| json!(response_id));
}

/// A new signature for a call (or for text and images), remembered so that it can be checked when it comes back.
pub fn sign(state: &mut State, model: &Model, call: Option<(String, Value)>) -> String {
    // A load test never looks at old ones.
    if !state.settings.keep_records && state.issued.len() > 100_000 {
        state.issued.clear();
    }
    let number = state.next();
    let digest = Sha256::digest(format!("fake signature {number}"));
    // Real ones are hundreds of characters long.
    let signature = STANDARD.encode(digest.repeat(4));
    state.issued.insert(signature.clone(), Issued { family: model.family(), call });
    signature
}

fn remember_signatures(state: &mut State, model: &Model, event: &Value) {
    for candidate in list(&event["candidates"]) {
        for part in list(&candidate["content"]["parts"]) {
            let Some(signature) = part["thoughtSignature"].as_str() else { continue };
            let call = part.get("functionCall").map(|call| (text(&call["name"]).to_string(), args(call)));
            state.issued.insert(signature.to_string(), Issued { family: model.family(), call });
        }
    }
}

/// A call's arguments; missing ones are an empty object.
pub fn args(call: &Value) -> Value {
    call.get("args").filter(|args| !args.is_null()).cloned().unwrap_or_else(|| json!({}))
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn default_events(state: &mut State, generation: &Generation) -> Vec<Value> {
    let config = &generation.inner["generationConfig"];
    if let Some(events) = long::events(generation, state.settings.events, state.settings.checkpoints) {
        return events;
    }
    let thinking = thinks(&generation.model, &config["thinkingConfig"]);
    let mut pieces = Vec::new();
    if thinking && config["thinkingConfig"]["includeThoughts"] == json!(true) {
        let said = last_user_text(&generation.inner);
        let thought = format!("**Reading the request**\n\nThe user wrote {} characters.", said.chars().count());
        pieces.push(Piece { parts: vec![json!({"text": thought, "thought": true})], finish: None });
    }
    let thoughts = if thinking { THOUGHT_TOKENS } else { 0 };
    let room = config["maxOutputTokens"].as_u64().map(|most| most.saturating_sub(thoughts));
    match room {
        Some(0) => pieces.push(Piece { parts: Vec::new(), finish: Some("MAX_TOKENS") }),
        _ => pieces.extend(answer_pieces(state, generation, room)),
    }
    let prompt = count_tokens(&generation.inner);
    let mut spoken = 0;
    let last = pieces.len() - 1;
    let mut events = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        spoken += piece.parts.iter().filter(|part| part["thought"] != json!(true)).map(part_tokens).sum::<u64>();
        let mut content = json!({"role": "model"});
        if !piece.parts.is_empty() {
            content = json!({"parts": piece.parts, "role": "model"});
        }
        let mut candidate = json!({"content": content});
        if let Some(finish) = piece.finish {
            candidate["finishReason"] = json!(finish);
        }
        if !generation.code_assist {
            candidate["index"] = json!(0);
        }
        if at == last && has_search(&generation.inner) {
            candidate["groundingMetadata"] = grounding(&pieces, &last_user_text(&generation.inner));
        }
        let mut usage = json!({"promptTokenCount": prompt});
        if spoken > 0 {
            usage["candidatesTokenCount"] = json!(spoken);
        }
        usage["totalTokenCount"] = json!(prompt + spoken + thoughts);
        if thoughts > 0 {
            usage["thoughtsTokenCount"] = json!(thoughts);
        }
        if at == last {
            usage["promptTokensDetails"] = media::prompt_details(&generation.inner, prompt);
        }
        if generation.code_assist {
            usage["trafficType"] = json!("PROVISIONED_THROUGHPUT");
        }
        events.push(json!({"candidates": [candidate], "usageMetadata": usage}));
    }
    events
}

fn answer_pieces(state: &mut State, generation: &Generation, room: Option<u64>) -> Vec<Piece> {
    let (inner, model) = (&generation.inner, &generation.model);
    let calls = wanted_calls(inner);
    let mut searched = Vec::new();
    if inner["toolConfig"]["includeServerSideToolInvocations"] == json!(true) && has_search(inner) {
        for (kind, field) in [("toolCall", "args"), ("toolResponse", "response")] {
            let id = format!("search_{}", state.requests.len());
            let mut part = json!({"thoughtSignature": sign(state, model, None)});
            part[kind] =
                json!({"id": id, "toolType": "GOOGLE_SEARCH_WEB", field: {"queries": [last_user_text(inner)]}});
            searched.push(part);
        }
    }
    if !calls.is_empty() {
        let mut parts = searched;
        for (at, (name, args)) in calls.into_iter().enumerate() {
            let mut part = json!({"functionCall": {"name": name, "args": args}});
            if !generation.code_assist {
                part["functionCall"]["id"] = json!(format!("{:08x}", 0x5f00_0000 + state.next()));
            }
            if at == 0 && (model.is_three() || state.settings.older_sign) {
                part["thoughtSignature"] = json!(sign(state, model, Some((name, args))));
            }
            parts.push(part);
        }
        let mut pieces = match inner["toolConfig"]["functionCallingConfig"]["streamFunctionCallArguments"] == true {
            true => in_pieces(parts),
            false => vec![Piece { parts, finish: None }],
        };
        pieces.push(Piece { parts: vec![json!({"text": ""})], finish: Some("STOP") });
        return pieces;
    }
    if model.speaks() {
        return media::spoken(&answer_text(inner));
    }
    if model.transcribes() {
        return media::transcribed(&inner["generationConfig"]["audioTranscriptionConfig"]);
    }
    if inner["generationConfig"]["responseModalities"] == json!(["IMAGE"]) {
        let parts = vec![json!({"inlineData": {"mimeType": "image/png", "data": PNG}})];
        return vec![Piece { parts, finish: Some("STOP") }];
    }
    let mut answer = answer_text(inner);
    let mut finish = "STOP";
    for stop in list(&inner["generationConfig"]["stopSequences"]) {
        if let Some(at) = answer.find(text(stop)) {
            answer.truncate(at);
        }
    }
    if let Some(room) = room.filter(|room| tokens(&answer) > *room) {
        answer = answer.chars().take(room as usize * 4).collect();
        finish = "MAX_TOKENS";
    }
    let mut pieces: Vec<Piece> = cut_into(&answer, state.settings.events)
        .into_iter()
        .map(|piece| Piece { parts: vec![json!({"text": piece})], finish: None })
        .collect();
    if !searched.is_empty() {
        pieces.insert(0, Piece { parts: searched, finish: None });
    }
    if model.image {
        pieces.push(Piece { parts: vec![json!({"inlineData": {"mimeType": "image/png", "data": PNG}})], finish: None });
    }
    if model.is_three() {
        // The signature of a text answer comes on an empty last part.
        let signature = sign(state, model, None);
        pieces.push(Piece { parts: vec![json!({"text": "", "thoughtSignature": signature})], finish: None });
    }
    if let Some(last) = pieces.last_mut() {
        last.finish = Some(finish);
    }
    pieces
}

fn answer_text(inner: &Value) -> String {
    let config = &inner["generationConfig"];
    let said = last_user_text(inner);
    let outputs: Vec<String> = list(&inner["contents"])
        .last()
        .map(|turn| list(&turn["parts"]))
        .unwrap_or_default()
        .iter()
        .filter_map(|part| part.get("functionResponse"))
        .map(|response| format!("{} answered {}", text(&response["name"]), response["response"]))
        .collect();
    if config["responseMimeType"] == json!("application/json") {
        let schema = config.get("responseJsonSchema").or(config.get("responseSchema"));
        return match schema {
            Some(schema) => instance(schema, schema, 0).to_string(),
            None => json!({"answer": format!("You said: {said}")}).to_string(),
        };
    }
    if outputs.is_empty() { format!("You said: {said}") } else { format!("The tools say: {}.", outputs.join("; ")) }
}

/// `text` in `count` pieces that together are the text; padded with words when it is too short for so many.
pub fn cut_into(text: &str, count: usize) -> Vec<String> {
    let mut chars: Vec<char> = text.chars().collect();
    // Three pieces are what short answers get; only a load test asks for more, and does not read them.
    while count > 3 && chars.len() < count * 4 {
        chars.extend(" ok".chars());
    }
    let count = count.clamp(1, chars.len().max(1));
    let at = |piece: usize| piece * chars.len() / count;
    (0..count).map(|piece| chars[at(piece)..at(piece + 1)].iter().collect()).collect()
}

fn thinks(model: &Model, config: &Value) -> bool {
    match model.thinking {
        Thinking::None => false,
        Thinking::Levels(_) => true,
        // Flash-Lite thinks only when asked.
        Thinking::Budget { min: 512, .. } => config["thinkingBudget"].as_i64().is_some_and(|budget| budget != 0),
        Thinking::Budget { .. } => config["thinkingBudget"].as_i64() != Some(0),
    }
}

/// Where the current turn starts: behind the last user content that has more than function responses.
pub fn turn_start(contents: &[Value]) -> usize {
    let real = |content: &Value| {
        content["role"] != json!("model")
            && list(&content["parts"]).iter().any(|part| part.get("functionResponse").is_none())
    };
    contents.iter().rposition(real).map_or(0, |at| at + 1)
}

pub fn has(content: &Value, kind: &str) -> bool {
    list(&content["parts"]).iter().any(|part| part.get(kind).is_some())
}

pub fn content_text(content: &Value) -> String {
    list(&content["parts"]).iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

pub fn last_user_text(inner: &Value) -> String {
    let contents = list(&inner["contents"]);
    contents.get(turn_start(contents).wrapping_sub(1)).map(content_text).unwrap_or_default()
}

fn has_search(inner: &Value) -> bool {
    list(&inner["tools"]).iter().any(|tool| tool.get("googleSearch").is_some())
}

fn grounding(pieces: &[Piece], said: &str) -> Value {
    let parts = pieces.iter().flat_map(|piece| &piece.parts);
    let all: String = parts.filter(|part| part["thought"] != json!(true)).map(|part| text(&part["text"])).collect();
    json!({
        "webSearchQueries": [said],
        "searchEntryPoint": {"renderedContent": "<div>search</div>"},
        "groundingChunks": [{"web": {"uri": "https://vertexaisearch.cloud.google.com/grounding-api-redirect/fake",
            "title": "example.com", "domain": "example.com"}}],
        "groundingSupports": [{"segment": {"endIndex": all.len(), "text": all}, "groundingChunkIndices": [0]}],
    })
}

/// ceil(chars / 4).
pub fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

fn part_tokens(part: &Value) -> u64 {
    match part.get("functionCall") {
        Some(call) => tokens(&call.to_string()),
        None if part.get("inlineData").is_some() => 258,
        None => tokens(text(&part["text"])),
    }
}

/// Tokens of everything the model reads.
pub fn count_tokens(inner: &Value) -> u64 {
    let contents = list(&inner["contents"]).iter().chain(inner.get("systemInstruction"));
    let read: u64 = contents.flat_map(|content| list(&content["parts"])).map(part_tokens).sum();
    let tools = inner.get("tools").map_or(0, |tools| tokens(&tools.to_string()));
    read + tools
}
