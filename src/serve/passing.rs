//! What of Google's API a key with limits may have passed on: nothing that leads past them. A model must be one of the key's,
//! and what is spent must be such that it can be counted.

use crate::config::KeyLimits;
use crate::error::{ApiError, ErrorKind};
use crate::http::{Request, query_value, query_values};
use crate::keys::Key;
use crate::serve::route::Passthrough;

/// Tokens with which whoever has them asks Google itself.
const AUTH_TOKENS: &str = "auth_tokens";
/// Words of a query by which an answer is less than it would be.
const MASKS: [&str; 3] = ["fields", "$fields", "$httpHeaders"];

/// The models that the request is about, or why it is not passed on. They are looked for only where the key is held to some.
pub(super) fn models(key: &Key, target: &Passthrough, request: &Request) -> Result<Vec<String>, ApiError> {
    if target.resource == AUTH_TOKENS && *key.limits != KeyLimits::default() {
        let why = "a token of Google's works there past its limits, its end and its revocation";
        return Err(
            refusal(key, "has limits", why, "Use the proxy with the key itself.").with_code("token_not_allowed")
        );
    }
    let is_free = is_free(target, request);
    if key.limits.has_money() && !is_free {
        let why = "what is passed on to Google as it is has no price here";
        let instead = "Use chat, messages or generateContent.";
        return Err(refusal(key, "has a budget in money", why, instead).with_code("price_unknown").with_param("model"));
    }
    if has_tokens(&key.limits) && !is_free && !is_told(target, request) {
        let why = "what is passed on and its answer must be plain JSON, in which they can be counted";
        return Err(refusal(key, "has a limit in tokens", why, "Ask without a field mask and without another format.")
            .with_code("tokens_unknown"));
    }
    if key.limits.models.is_empty() {
        return Ok(Vec::new());
    }
    target.models(request).ok_or_else(|| {
        let why = "what is passed on must be plain JSON that can be read and names its model once";
        refusal(key, "is held to some models", why, "").with_code("model_not_allowed")
    })
}

/// Reading, deleting and files cost nothing. A field of the head may say that the method is another one.
pub(super) fn is_free(target: &Passthrough, request: &Request) -> bool {
    let mut methods = [&*request.method].into_iter().chain(request.headers.all("x-http-method-override"));
    let is_read = methods.all(|method| matches!(method, "GET" | "HEAD" | "DELETE"));
    target.is_files() || is_read && query_value(&request.query, "$httpMethod").is_none()
}

fn has_tokens(limits: &KeyLimits) -> bool {
    limits.tokens_per_day.is_some() || limits.tokens_per_month.is_some()
}

/// Whether the answer will tell what it took, in a form that can be read.
fn is_told(target: &Passthrough, request: &Request) -> bool {
    let has = |name: &&str| query_value(&request.query, name).is_some();
    let is_masked = request.headers.get("x-goog-fieldmask").is_some() || MASKS.iter().any(has);
    let is_json = |name: &str| query_values(&request.query, name).iter().all(|word| word == "json" || word == "sse");
    !is_masked && ["alt", "$alt"].into_iter().all(is_json) && target.models(request).is_some()
}

fn refusal(key: &Key, what_it_has: &str, why: &str, instead: &str) -> ApiError {
    let message = format!("The key {:?} {what_it_has}, and {why}. {instead}", key.name);
    ApiError::new(403, ErrorKind::Permission, message.trim_end().to_owned())
}
