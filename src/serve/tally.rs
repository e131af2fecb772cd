//! Counts the tokens of what is passed on by what Google's answer says it took: `usageMetadata`, or `usage` of interactions, near
//! the top of the JSON, whole or in events. Looks at the bytes as they go by and keeps none but those of the count itself.

use crate::keys::Permit;
use serde_json::Value;

const NAMES: [&[u8]; 2] = [b"usageMetadata", b"usage"];
/// Deeper there are words of the model and of programs, which may look alike.
const DEEPEST: u32 = 2;
/// The longest of the names.
const LONGEST_NAME: usize = 13;
/// A count is a few hundred bytes.
const LARGEST_COUNT: usize = 64 << 10;
const TOTALS: [&str; 2] = ["totalTokenCount", "total_tokens"];
/// What a total is made of, where there is none.
const PARTS: [&str; 8] = [
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "total_input_tokens",
    "total_output_tokens",
    "total_thought_tokens",
    "total_tool_use_tokens",
];

/// The count of one answer, which the key owes from the moment that it went by.
pub(super) struct Tally<'a> {
    permit: &'a Permit,
    spent: u64,
    scan: Scan,
}

impl<'a> Tally<'a> {
    pub(super) fn new(permit: &'a Permit) -> Tally<'a> {
        Tally { permit, spent: 0, scan: Scan::default() }
    }

    /// The next bytes of the answer. Each event of a stream tells the tokens of all before it, too.
    pub(super) fn read(&mut self, piece: &[u8]) {
        for tokens in piece.iter().filter_map(|byte| self.scan.next(*byte)) {
            if tokens > self.spent {
                self.permit.spend(tokens - self.spent, 0);
                self.spent = tokens;
            }
        }
    }
}

/// Where in the JSON the next byte stands.
#[derive(Default)]
struct Scan {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    /// The beginning of the string that was read last.
    word: Vec<u8>,
    before: Before,
    /// The count that is being read, and the depth at which it ends.
    count: Option<(Vec<u8>, u32)>,
}

/// What was read before the next byte.
#[derive(Default, PartialEq)]
enum Before {
    #[default]
    Other,
    Name,
    Colon,
}

impl Scan {
    /// Takes a byte; the tokens of a count that ends with it.
    fn next(&mut self, byte: u8) -> Option<u64> {
        if let Some((count, _)) = self.count.as_mut().filter(|(count, _)| count.len() < LARGEST_COUNT) {
            count.push(byte);
        }
        if self.in_string {
            self.next_of_string(byte);
            return None;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.word.clear();
            }
            b'{' | b'[' => {
                if byte == b'{' && self.before == Before::Colon && self.count.is_none() {
                    self.count = Some((vec![byte], self.depth));
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.before = Before::Other;
                let (count, _) = self.count.take_if(|(_, end)| *end >= self.depth)?;
                return tokens(&count);
            }
            b':' if self.before == Before::Name => {
                self.before = Before::Colon;
                return None;
            }
            byte if byte.is_ascii_whitespace() => return None,
            _ => {}
        }
        self.before = Before::Other;
        None
    }

    fn next_of_string(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => {
                self.in_string = false;
                if self.depth <= DEEPEST && NAMES.contains(&&*self.word) {
                    self.before = Before::Name;
                }
            }
            // No string of JSON goes over a line's end: it was none, but a word between events.
            b'\n' => self.in_string = false,
            _ => {}
        }
        if self.word.len() <= LONGEST_NAME {
            self.word.push(byte);
        }
    }
}

fn tokens(count: &[u8]) -> Option<u64> {
    let count: Value = serde_json::from_slice(count).ok()?;
    let number = |name: &&str| count.get(*name).and_then(Value::as_u64);
    TOTALS.iter().find_map(number).or_else(|| Some(PARTS.iter().filter_map(number).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Vec<u64> {
        let mut scan = Scan::default();
        text.bytes().filter_map(|byte| scan.next(byte)).collect()
    }

    #[test]
    fn counts_are_found_whole_in_arrays_and_in_events() {
        for (text, expected) in [
            (r#"{"candidates":[],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":12}}"#, vec![12]),
            ("{\n  \"usage\" : {\n \"total_tokens\": 50,\n \"by\": [{\"tokens\": 1}]\n }\n}", vec![50]),
            (r#"[{"usageMetadata":{"totalTokenCount":3}},{"usageMetadata":{"totalTokenCount":9}}]"#, vec![3, 9]),
            (
                "event: \"interaction.complete\ndata: {\"interaction\":{\"usage\":{\"total_tokens\":7}}}\n\ndata: [DONE]\n\n",
                vec![7],
            ),
            (r#"{"usage":{"total_input_tokens":2,"total_output_tokens":3}}"#, vec![5]),
            (r#"{"usage":{},"usage":null,"usage":[{"total_tokens":7}]}"#, vec![0]),
        ] {
            assert_eq!(counts(text), expected, "{text}");
        }
    }

    #[test]
    fn words_of_a_model_or_of_a_program_are_no_count() {
        for text in [
            r#"{"text":"\"usage\":{\"total_tokens\":7}"}"#,
            r#"{"outputs":[{"arguments":{"usage":{"total_tokens":7}}}]}"#,
            r#"{"text":"usage","x":{"total_tokens":7}}"#,
            r#"{"usages":{"total_tokens":7},"usageMetadataOfOthers":{"totalTokenCount":7}}"#,
            r#"{"text":"a\\","y":"\\\"usage"}"#,
            "",
        ] {
            assert_eq!(counts(text), Vec::<u64>::new(), "{text}");
        }
    }

    #[test]
    fn a_count_without_an_end_is_not_kept_for_ever() {
        let mut scan = Scan::default();
        let text = format!(r#"{{"usage":{{"x":"{}"#, "y".repeat(1 << 20));
        assert!(text.bytes().all(|byte| scan.next(byte).is_none()));
        assert!(scan.count.is_some_and(|(count, _)| count.len() <= LARGEST_COUNT));
    }
}
