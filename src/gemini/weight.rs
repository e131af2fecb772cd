//! What a JSON text may take in memory once it is parsed and translated, without parsing it. A text of a few megabytes can
//! hold a million objects, and each of them becomes a value, a part, and a piece of Google's request.

use super::{Part, Request};
use memchr::memchr2;
use serde_json::Value;

/// Upper bounds for one piece, measured over all dialects: an object near the root is a message, a turn or a tool, one
/// below it a part or a call, a deeper one a node of a schema or of arguments.
const MESSAGE: usize = 3600;
const PART: usize = 1100;
const NODE: usize = 1000;
const LIST: usize = 100;
const TEXT: usize = 130;
const FIELD: usize = 80;
/// A list in a list has room for four items at once, and lists grow by doubling; some dialects repeat what they were sent.
const LIST_IN_LIST: usize = 450;
const ITEM: usize = 270;
/// An item of a list in an event: nobody repeats those, and vectors have many thousand.
const ITEM_OF_EVENT: usize = 60;
/// An item of a list in a text that is parsed in its turn, once.
const ITEM_OF_TEXT: usize = 110;

/// Fields whose texts are parsed in their turn, with the mark that ends their names.
const PARSED: [&[u8]; 2] = [b"arguments\"", b"user_id\""];

/// What any text may take beside three times its length.
const FREE: usize = 15 << 20;

/// About how many bytes the pieces of `json` take beside its own texts. Never fails: what is no JSON is refused by its
/// parser.
pub(crate) fn of(json: &[u8]) -> usize {
    of_items(json, ITEM)
}

fn of_items(json: &[u8], item: usize) -> usize {
    let (mut at, mut depth, mut sum) = (0, 0_usize, 0_usize);
    // Which of those that are open are lists, the innermost in the lowest bit. No parser goes deeper than there are bits.
    let mut lists = 0_u128;
    let mut is_json = false;
    while let Some(byte) = json.get(at) {
        at += 1;
        sum += match byte {
            b'"' => {
                let begin = at;
                at = end_of_text(json, at);
                let text = &json[begin..at];
                let inside = if is_json { of_nested(&text[..text.len() - 1]) } else { 0 };
                is_json = PARSED.contains(&text);
                TEXT + inside
            }
            b'{' | b'[' => {
                let is_in_list = lists & 1 == 1;
                (depth, lists) = (depth + 1, lists << 1 | u128::from(*byte == b'['));
                match (byte, depth) {
                    (b'[', _) if is_in_list => LIST_IN_LIST,
                    (b'[', _) => LIST,
                    (_, 0..=3) => MESSAGE,
                    (_, 4..=5) => PART,
                    _ => NODE,
                }
            }
            b'}' | b']' => {
                (depth, lists) = (depth.saturating_sub(1), lists >> 1);
                0
            }
            b',' if lists & 1 == 1 => item,
            b',' => FIELD,
            _ => 0,
        };
    }
    sum
}

/// The same of a JSON text inside of a text, where quotation marks are escaped.
fn of_nested(text: &[u8]) -> usize {
    let piece = |byte: &u8| match byte {
        b'{' => NODE,
        b'[' => LIST_IN_LIST,
        b'"' => TEXT / 2,
        b',' => ITEM_OF_TEXT,
        _ => 0,
    };
    text.iter().map(piece).sum()
}

/// How many bytes more than one each byte of a text takes as JSON.
const ESCAPED: [u8; 256] = {
    let mut more = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        more[control] = if matches!(control, 8..=10 | 12 | 13) { 1 } else { 5 };
        control += 1;
    }
    (more[b'"' as usize], more[b'\\' as usize]) = (1, 1);
    more
};

/// How many bytes a text has when it is written as JSON. By a table, since every request is looked at: 0.35 ns for a byte, 2.3 by
/// comparing.
pub(crate) fn written(text: &str) -> usize {
    2 + text.len() + text.bytes().map(|byte| usize::from(ESCAPED[usize::from(byte)])).sum::<usize>()
}

/// About how many bytes a request has when it is written: its texts and media, and some room for the rest.
pub(crate) fn of_request(request: &Request) -> usize {
    let parts = request.contents.iter().chain(&request.system_instruction).flat_map(|content| &content.parts);
    4096 + parts.map(of_part).sum::<usize>()
}

fn of_part(part: &Part) -> usize {
    let media = part.inline_data.as_ref().map_or(0, |blob| blob.data.len());
    let text = part.text.as_deref().map_or(0, written);
    let answered = part.function_response.iter();
    let answered =
        answered.map(|one| one.response.as_ref().map_or(0, of_value) + one.parts.iter().map(of_part).sum::<usize>());
    128 + media + text + answered.sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => written(text),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + of_value(value)).sum(),
        _ => 0,
    }
}

/// What a text of this length may weigh: in proportion to its length, so that no text costs more than four times its own.
pub(crate) fn allowed(length: usize) -> usize {
    length.saturating_mul(3).saturating_add(FREE)
}

/// Whether an event of Google's is within what is [`allowed`]. Short ones cannot be beyond it.
pub(crate) fn is_sensible(event: &[u8]) -> bool {
    event.len() < FREE / MESSAGE || of_items(event, ITEM_OF_EVENT) <= allowed(event.len())
}

/// Behind the quotation mark that ends the text in which `at` is.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_weighed_and_texts_are_not_looked_into() {
        for (json, expected) in [
            ("", 0),
            ("7", 0),
            ("{}", MESSAGE),
            (r#"["{[,\"{", 1, null]"#, LIST + TEXT + 2 * ITEM),
            (r#"[[[[{"a":{}}]]]]"#, LIST + 3 * LIST_IN_LIST + PART + TEXT + NODE),
            (
                r#"{"a":[[1,2],{"b":1,"c":2}],"d":3}"#,
                2 * MESSAGE + 4 * TEXT + LIST + LIST_IN_LIST + 2 * ITEM + 2 * FIELD,
            ),
            (r#"{"a":"b"} {"a":"#, 2 * MESSAGE + 3 * TEXT),
            (r#""\\" {"#, TEXT + MESSAGE),
            (r#""unfinished \"#, TEXT),
            (r#"{"arguments":"{\"a\":[1,2]}"}"#, MESSAGE + 3 * TEXT + NODE + LIST_IN_LIST + ITEM_OF_TEXT),
            (r#"{"content":"{\"a\":[1,2]}"}"#, MESSAGE + 2 * TEXT),
        ] {
            assert_eq!(of(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn a_text_has_the_length_that_it_is_written_with() {
        for text in [String::new(), "plain, \u{e4} \u{1f600}".into(), (0..=0x7f_u8).map(char::from).collect()] {
            assert_eq!(written(&text), serde_json::to_string(&text).unwrap().len(), "{text:?}");
        }
    }

    #[test]
    fn conversations_are_sensible_and_a_million_parts_are_not() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        let message = |length: usize| {
            format!(r#"{{"role":"user","content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(length))
        };
        let tool = r#"{"type":"object","description":"what it is for","properties":{"p":{"type":"string"}}}"#;
        for (json, sensible) in [
            (list(&message(1_200), 6000), true),
            (list(&message(10_000), 2000), true),
            (format!(r#"{{"tools":[{{"f":{{"parameters":{}}}}}]}}"#, list(tool, 3000)), true),
            (format!("{:?}", "{".repeat(1 << 20)), true),
            (list("{}", 1_000_000), false),
            (list("0", 1_000_000), false),
            (list("\"\"", 1_000_000), false),
            (list("[]", 1_000_000), false),
            ("[".repeat(1_000_000), false),
        ] {
            assert_eq!(is_sensible(json.as_bytes()), sensible, "{}...", &json[..60]);
        }
    }
}
