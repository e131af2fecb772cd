//! The public Gemini API with keys: `/v1beta`, the same engine without envelope, plus embeddings, files and caches.

use super::engine::{self, Generation, count_tokens, list, text};
use super::errors::{self, Refusal};
use super::files;
use super::messages;
use super::models::{Model, Thinking};
use super::proto::{self, Side};
use super::routes::Call;
use super::server::Reply;
use super::strict;
use serde_json::{Value, json};

pub fn answer(call: &Call) -> Result<Reply, Refusal> {
    let key = key(call)?;
    let method = call.request.method.as_str();
    let path = call.request.path.as_str();
    if path == "/upload/v1beta/files" {
        return call.forced(&key).map_or_else(|| files::upload(call, &key), Ok);
    }
    let path = path.strip_prefix("/v1beta/").unwrap_or("");
    if let Some(rest) = path.strip_prefix("models/") {
        return match (method, rest.split_once(':')) {
            ("GET", None) => find(call, rest, "").map(|model| Reply::json(200, &listed(&model))),
            ("POST", Some((id, op))) => operate(call, &key, id, op),
            _ => Err(Refusal::new(404, "Method not found.")),
        };
    }
    if let Some(reply) = call.forced(&key) {
        return Ok(reply);
    }
    match (method, path) {
        ("GET", "models") => models(call),
        ("GET", "files") => Ok(Reply::json(
            200,
            &call.shared.read(|state| match state.files.is_empty() {
                true => json!({}),
                false => json!({"files": state.files}),
            }),
        )),
        ("GET", "cachedContents") => Ok(Reply::json(200, &json!({"cachedContents": []}))),
        (_, path) if path.starts_with("files/") => files::one(call, &key, path),
        _ => Err(Refusal::new(404, "Method not found.")),
    }
}

/// The API key of the call, from the header, the query or a bearer.
fn key(call: &Call) -> Result<String, Refusal> {
    let bearer = call.request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if bearer.is_some_and(|token| call.shared.read(|state| state.access.contains_key(token))) {
        return Err(errors::scope_insufficient("generativelanguage.googleapis.com"));
    }
    let key = call.request.header("x-goog-api-key").or(call.request.query("key")).or(bearer);
    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
        Refusal::new(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
             other form of API consumer identity to call this API.",
        )
    })?;
    call.is_from(key);
    if !call.shared.read(|state| state.keys.contains(key)) {
        return Err(Refusal::invalid("API key not valid. Please pass a valid API key.").reason(
            "API_KEY_INVALID",
            "googleapis.com",
            json!({"service": "generativelanguage.googleapis.com"}),
        ));
    }
    Ok(key.to_string())
}

fn find(call: &Call, id: &str, op: &str) -> Result<Model, Refusal> {
    let model = call.shared.read(|state| state.models.iter().find(|model| model.id == id && model.public).cloned());
    let serves = |model: &Model| match op {
        "embedContent" | "batchEmbedContents" => model.embedding,
        "generateContent" | "streamGenerateContent" => !model.embedding,
        _ => true,
    };
    model.filter(serves).ok_or_else(|| {
        let purpose = if op.is_empty() { String::new() } else { format!(", or is not supported for {op}") };
        Refusal::new(
            404,
            format!(
                "models/{id} is not found for API version v1beta{purpose}. Call ListModels to see the list of available \
                 models and their supported methods."
            ),
        )
    })
}

/// What a request may have as a whole, media in base64 included.
const LARGEST: usize = 20 << 20;

fn operate(call: &Call, key: &str, id: &str, op: &str) -> Result<Reply, Refusal> {
    let has_media = || memchr::memmem::find(&call.request.body, b"\"inlineData\"").is_some();
    if call.request.body.len() > LARGEST && has_media() {
        return Err(Refusal::invalid(
            "Request payload size exceeds the limit: 20971520 bytes. Please use the File API to upload your files \
             instead of sending them directly.",
        ));
    }
    let raw = call.json_body()?;
    let model = match op {
        "generateContent" | "streamGenerateContent" | "countTokens" | "embedContent" | "batchEmbedContents" => {
            let found = find(call, id, op)?;
            call.shared.read(|state| state.serving(key, found))
        }
        _ => return Err(Refusal::new(404, "Method not found.")),
    };
    let generates = op.ends_with("enerateContent");
    if let Some(reply) = (!generates).then(|| call.forced(key)).flatten() {
        return Ok(reply);
    }
    match op {
        "countTokens" => count(&raw),
        "embedContent" => embed(&raw, &model).map(|values| Reply::json(200, &json!({"embedding": {"values": values}}))),
        "batchEmbedContents" => batch(&raw, &model),
        _ => {
            let inner = proto::read(&messages::GENERATE, &raw, Side::Public)?;
            call.shared.read(|state| strict::check(state, &model, &inner, Side::Public))?;
            files::usable(call, key, &inner)?;
            let stream = op == "streamGenerateContent";
            let sse = call.request.query("alt") == Some("sse");
            engine::generate(call, &Generation { model, inner, code_assist: false, stream, sse, who: key.into() })
        }
    }
}

fn count(raw: &Value) -> Result<Reply, Refusal> {
    let body = proto::read(&messages::PUBLIC_COUNT, raw, Side::Public)?;
    let request = body.get("generateContentRequest").unwrap_or(&body);
    if body.get("generateContentRequest").is_some() && body.get("contents").is_some() {
        return Err(Refusal::invalid("Please use either contents or generate_content_request, not both."));
    }
    strict::countable(request)?;
    let total = count_tokens(request);
    let details = json!([{"modality": "TEXT", "tokenCount": total}]);
    Ok(Reply::json(200, &json!({"totalTokens": total, "promptTokensDetails": details})))
}

pub fn embed(raw: &Value, model: &Model) -> Result<Vec<f64>, Refusal> {
    let body = proto::read(&messages::EMBED, raw, Side::Public)?;
    let named = body.get("model").and_then(Value::as_str);
    if named.is_some_and(|named| named != format!("models/{}", model.id)) {
        return Err(Refusal::bare());
    }
    let parts = list(&body["content"]["parts"]);
    let words: String = parts.iter().map(|part| text(&part["text"])).collect();
    if words.is_empty() {
        return Err(Refusal::invalid("* EmbedContentRequest.content: content is empty"));
    }
    let size = body["outputDimensionality"].as_u64().unwrap_or(3072);
    if !(1..=3072).contains(&size) {
        return Err(Refusal::bare());
    }
    let seed = words.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let raw: Vec<f64> = (0..size).map(|at| ((seed.wrapping_add(at * 7919) % 2000) as f64 - 999.5) / 1000.0).collect();
    let length = raw.iter().map(|value| value * value).sum::<f64>().sqrt();
    Ok(raw.iter().map(|value| value / length).collect())
}

fn batch(raw: &Value, model: &Model) -> Result<Reply, Refusal> {
    let unknown = raw.as_object().into_iter().flatten().find(|(key, _)| *key != "requests");
    if let Some((key, _)) = unknown {
        return Err(proto::unknown_name(key, ""));
    }
    let requests = list(&raw["requests"]);
    if requests.is_empty() || requests.len() > 100 {
        return Err(Refusal::invalid("* BatchEmbedContentsRequest.requests: between 1 and 100 requests are expected"));
    }
    if requests.iter().any(|request| request.get("model").is_none()) {
        return Err(Refusal::invalid("* BatchEmbedContentsRequest.requests[0].model: model is not specified"));
    }
    let made: Result<Vec<Value>, Refusal> =
        requests.iter().map(|request| Ok(json!({"values": embed(request, model)?}))).collect();
    Ok(Reply::json(200, &json!({"embeddings": made?})))
}

fn listed(model: &Model) -> Value {
    let methods = match model.embedding {
        true => json!(["embedContent", "countTextTokens", "countTokens"]),
        false => json!(["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]),
    };
    json!({
        "name": format!("models/{}", model.id), "version": "001", "displayName": model.id, "description": "A fake model.",
        "inputTokenLimit": if model.embedding { 2048 } else { 1_048_576 },
        "outputTokenLimit": if model.embedding { 1 } else { 65_536 },
        "supportedGenerationMethods": methods, "temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2,
        "thinking": model.thinking != Thinking::None,
    })
}

fn models(call: &Call) -> Result<Reply, Refusal> {
    let (all, page) = call.shared.read(|state| {
        let served = state.models.iter().filter(|model| model.public).map(listed).collect::<Vec<_>>();
        (served, state.settings.model_page)
    });
    let size = call.request.query("pageSize").map_or(Some(page), |size| size.parse().ok());
    let size = size.filter(|size| *size > 0).ok_or_else(Refusal::bare)?.min(1000);
    let start = call.request.query("pageToken").map_or(Some(0), |token| token.strip_prefix("page-")?.parse().ok());
    let start = start.filter(|start| *start <= all.len()).ok_or_else(|| Refusal::invalid("Page token is invalid."))?;
    let end = (start + size).min(all.len());
    let mut body = json!({"models": all[start..end]});
    if end < all.len() {
        body["nextPageToken"] = json!(format!("page-{end}"));
    }
    Ok(Reply::json(200, &body))
}
