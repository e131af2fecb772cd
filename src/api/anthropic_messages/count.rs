//! `/v1/messages/count_tokens`: an estimate made here. Claude Code asks for fourteen at once to draw one picture, and Code
//! Assist counts neither system text nor tools.

use super::request::{required, unknown_model};
use crate::api::openai;
use crate::error::ApiError;
use crate::gemini::models::ModelTable;
use serde_json::{Map, Value, json};

/// Tokens of a picture, and of a page of a PDF.
const TILE: u64 = 258;
/// Bytes of a PDF that are about a page.
const PAGE: usize = 50_000;
/// Tokens that a message costs beside its content.
const MESSAGE: u64 = 3;

/// Reads a body as of `/v1/messages` and estimates its tokens.
pub fn count_tokens(body: Vec<u8>, models: &ModelTable) -> Result<Value, ApiError> {
    let fields = openai::object(body)?;
    let model = fields.get("model").and_then(Value::as_str).ok_or(required("model"))?;
    models.resolve(model.trim_end_matches("[1m]")).ok_or_else(|| unknown_model(model))?;
    let messages = fields.get("messages").and_then(Value::as_array).ok_or(required("messages"))?;
    let system = fields.get("system").map_or(0, content);
    let tools = fields.get("tools").map_or(0, |tools| text(&tools.to_string()));
    let said: u64 = messages.iter().map(|message| MESSAGE + message.get("content").map_or(0, content)).sum();
    Ok(json!({"input_tokens": (system + tools + said).max(1)}))
}

fn content(value: &Value) -> u64 {
    match value {
        Value::String(words) => text(words),
        Value::Array(blocks) => blocks.iter().map(content).sum(),
        Value::Object(block) => self::block(block),
        _ => 0,
    }
}

fn block(block: &Map<String, Value>) -> u64 {
    let words = |name: &str| block.get(name).and_then(Value::as_str).map_or(0, text);
    match block.get("type").and_then(Value::as_str).unwrap_or("text") {
        "text" => words("text"),
        "image" => TILE,
        "document" => {
            let source = block.get("source");
            let of_source = |name: &str| source.and_then(|source| source.get(name));
            let data = of_source("data").and_then(Value::as_str).unwrap_or_default();
            words("title")
                + match of_source("type").and_then(Value::as_str) {
                    Some("text") => text(data),
                    Some("content") => of_source("content").map_or(0, content),
                    _ => TILE * (data.len() / 4 * 3).div_ceil(PAGE).max(1) as u64,
                }
        }
        "tool_use" => words("name") + block.get("input").map_or(0, |input| text(&input.to_string())),
        // Thoughts of earlier turns do not reach the model.
        "thinking" | "redacted_thinking" => 0,
        _ => block.get("content").map_or(0, content),
    }
}

/// Four letters of Latin text are a token, and about three of four characters of Chinese, Japanese and Korean are one.
fn text(words: &str) -> u64 {
    let (mut narrow, mut wide) = (0_u64, 0_u64);
    for letter in words.chars() {
        match letter {
            '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' => {
                wide += 1
            }
            _ => narrow += letter.len_utf8() as u64,
        }
    }
    narrow.div_ceil(4) + (wide * 4).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_code_and_cjk_are_estimated() {
        for (words, least, most) in [
            ("", 0, 0),
            ("Hello", 1, 3),
            ("The quick brown fox jumps over the lazy dog.", 9, 13),
            ("fn main() { println!(\"{}\", 1 + 1); }", 8, 14),
            ("\u{4f60}\u{597d}\u{4e16}\u{754c}\u{ff0c}\u{4eca}\u{5929}\u{5929}\u{6c14}\u{5f88}\u{597d}", 6, 9),
        ] {
            let found = text(words);
            assert!((least..=most).contains(&found), "{words}: {found}");
        }
    }

    #[test]
    fn system_messages_and_tools_count() {
        let models = ModelTable::new(&[]);
        let count = |body: Value| count_tokens(body.to_string().into_bytes(), &models).unwrap()["input_tokens"].clone();
        let bare = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hello"}]});
        let mut more = bare.clone();
        more["tools"] = json!([{"name": "A", "input_schema": {"type": "object"}}]);
        more["system"] = json!("Be brief.");
        assert!(count(more).as_u64() > count(bare).as_u64());
        let picture = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]});
        assert_eq!(count(picture), 261);
        for body in ["{}", "{\"model\":\"gpt-9\",\"messages\":[]}", "[]"] {
            assert!(count_tokens(body.into(), &models).is_err(), "{body}");
        }
    }
}
