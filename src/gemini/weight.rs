//! What a JSON text may take in memory once it is parsed and translated, without parsing it. A text of a few megabytes can
//! hold a million objects, and each of them becomes a value, a part, and a piece of Google's request.

use memchr::memchr2;

/// Upper bounds for one piece, measured over all dialects: an object near the root is a message, a turn or a tool, one
/// below it a part or a call, a deeper one a node of a schema or of arguments.
const MESSAGE: usize = 3600;
const PART: usize = 1100;
const NODE: usize = 750;
const LIST: usize = 100;
const TEXT: usize = 130;
const ITEM: usize = 80;

/// Fields whose texts are parsed in their turn, with the mark that ends their names.
const PARSED: [&[u8]; 2] = [b"arguments\"", b"user_id\""];

/// What any text may take beside three times its length.
const FREE: usize = 15 << 20;

/// About how many bytes the pieces of `json` take beside its own texts. Never fails: what is no JSON is refused by its
/// parser.
pub(crate) fn of(json: &[u8]) -> usize {
    let (mut at, mut depth, mut sum) = (0, 0_usize, 0_usize);
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
                depth += 1;
                match (byte, depth) {
                    (b'[', _) => LIST,
                    (_, 0..=3) => MESSAGE,
                    (_, 4..=5) => PART,
                    _ => NODE,
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                0
            }
            b',' => ITEM,
            _ => 0,
        };
    }
    sum
}

/// The same of a JSON text inside of a text, where quotation marks are escaped.
fn of_nested(text: &[u8]) -> usize {
    let piece = |byte: &u8| match byte {
        b'{' => NODE,
        b'[' => LIST,
        b'"' => TEXT / 2,
        b',' => ITEM,
        _ => 0,
    };
    text.iter().map(piece).sum()
}

/// What a text of this length may weigh: in proportion to its length, so that no text costs more than four times its own.
pub(crate) fn allowed(length: usize) -> usize {
    length.saturating_mul(3).saturating_add(FREE)
}

/// Whether the text is within what is [`allowed`]. Short ones cannot be beyond it.
pub(crate) fn is_sensible(json: &[u8]) -> bool {
    json.len() < FREE / MESSAGE || of(json) <= allowed(json.len())
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
            (r#"[[[[{"a":{}}]]]]"#, 4 * LIST + PART + TEXT + NODE),
            (r#"{"a":"b"} {"a":"#, 2 * MESSAGE + 3 * TEXT),
            (r#""\\" {"#, TEXT + MESSAGE),
            (r#""unfinished \"#, TEXT),
            (r#"{"arguments":"{\"a\":[1,2]}"}"#, MESSAGE + 3 * TEXT + NODE + LIST + ITEM),
            (r#"{"content":"{\"a\":[1,2]}"}"#, MESSAGE + 2 * TEXT),
        ] {
            assert_eq!(of(json.as_bytes()), expected, "{json}");
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
