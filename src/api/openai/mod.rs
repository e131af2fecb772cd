//! What OpenAI's endpoints have in common on the wire: the error object, token counts, finish reasons, reading a body.
//! No surface itself.

pub(crate) mod content;
pub mod error;
pub(crate) mod extra_content;
pub(crate) mod tools;
pub mod usage;

use crate::api::Context;
use crate::api::params::{Object, read, shorten};
use crate::error::ApiError;
use crate::gemini::surrogates;
use serde_json::{Map, Value};

/// Reads a body as a JSON object: a byte order mark and lone surrogates are fine, of two equal keys the last one counts.
pub fn object(mut body: Vec<u8>) -> Result<Map<String, Value>, ApiError> {
    surrogates::repair(&mut body);
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::bad_request("the request body must be a JSON object")),
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            Err(ApiError::bad_request(format!("the request body is not valid JSON ({place})")))
        }
    }
}

/// Takes the required `model` out of a request.
pub(crate) fn model(body: &mut Object) -> Result<String, ApiError> {
    let name = read(body, "model")?.filter(|name: &String| !name.trim().is_empty());
    name.ok_or_else(|| ApiError::bad_request("you must provide a model parameter").with_param("model"))
}

/// 404 for a model that nobody serves.
pub fn unknown_model(name: &str, context: &Context<'_>) -> ApiError {
    let mut error = ApiError::invalid(
        "model",
        "model_not_found",
        format!(
            "The model `{}` does not exist or you do not have access to it. {}",
            shorten(name),
            context.models.advice(name)
        ),
    );
    error.status = 404;
    error
}

/// Unix seconds, for `created`.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is no reason to fail.
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_with_tolerance_and_refused_with_a_place() {
        let fields = object(b"\xef\xbb\xbf{\"a\":1,\"a\":\"\\ud83d\",\"b\":null}".to_vec()).unwrap();
        assert_eq!(fields["a"], "\u{fffd}");
        assert_eq!(object(b"[]".to_vec()).unwrap_err().status, 400);
        let error = object(b"{\n\"secret\": x}".to_vec()).unwrap_err();
        assert_eq!((error.status, error.code()), (400, None));
        assert!(error.message.contains("line 2") && !error.message.contains("secret"), "{}", error.message);
        assert!(object(Vec::new()).is_err());
    }

    #[test]
    fn a_model_must_be_named() {
        for (body, code) in [
            ("{}", None),
            ("{\"model\":null}", None),
            ("{\"model\":\" \"}", None),
            ("{\"model\":7}", Some("invalid_type")),
        ] {
            let error = model(&mut object(body.into()).unwrap()).unwrap_err();
            assert_eq!((error.status, error.code(), error.param.as_deref()), (400, code, Some("model")), "{body}");
        }
    }
}
