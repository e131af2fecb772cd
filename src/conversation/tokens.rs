//! How many tokens a request has, estimated here: agents ask often, Google's own counting costs a call, and Code Assist
//! counts neither system text nor tools.

use crate::gemini::{Part, Request};
use serde::Serialize;

/// Tokens of a picture, and of a page of a PDF.
const TILE: u64 = 258;
/// Characters of base64 of a PDF that are about a page.
const PAGE: usize = 66_667;
/// Tokens that a turn costs beside its content.
const TURN: u64 = 3;

/// The tokens of system text, turns and tools; at least one.
pub fn estimate(request: &Request) -> u64 {
    let system = request.system_instruction.iter().flat_map(|system| &system.parts).map(part).sum::<u64>();
    let turns = request.contents.iter().map(|turn| TURN + turn.parts.iter().map(part).sum::<u64>()).sum::<u64>();
    let tools = if request.tools.is_empty() { 0 } else { json(&request.tools) };
    (system + turns + tools).max(1)
}

fn part(part: &Part) -> u64 {
    let words = part.text.as_deref().map_or(0, text);
    let call = part.function_call.as_ref().map_or(0, json);
    let result = part.function_response.as_ref().map_or(0, json);
    let media = match &part.inline_data {
        Some(data) if data.mime_type == "application/pdf" => TILE * data.data.len().div_ceil(PAGE).max(1) as u64,
        Some(_) => TILE,
        None => TILE * u64::from(part.file_data.is_some()),
    };
    words + call + result + media
}

fn json<T: Serialize>(value: &T) -> u64 {
    text(&serde_json::to_string(value).unwrap_or_default())
}

/// Four letters of Latin text are a token, and seven characters of Chinese, Japanese and Korean are four.
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

    /// docs/anthropic.md has the rules: four letters of text or code a token, one and a half to two of Chinese.
    #[test]
    fn estimates_are_within_a_tenth_of_the_rules() {
        let prose =
            "Most people who come to the valley in spring walk up to the lake first, and stay there until noon. ";
        let code = "fn total(items: &[Item]) -> u64 {\n    items.iter().map(|item| item.price * item.count).sum()\n}\n";
        let chinese = "春天来到山谷的人大多先走到湖边然后在那里待到中午";
        let letters = |words: &str| words.chars().count() as f64;
        for (words, least, most) in [
            (prose, letters(prose) / 4.0, letters(prose) / 4.0),
            (code, letters(code) / 4.0, letters(code) / 4.0),
            (chinese, letters(chinese) / 2.0, letters(chinese) / 1.5),
        ] {
            let found = text(&words.repeat(50)) as f64 / 50.0;
            assert!(found >= least * 0.9 && found <= most * 1.1, "{words}: {found}, {least} to {most}");
        }
    }
}
