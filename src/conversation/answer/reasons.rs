//! Google's finish and block reasons as one table: what each means for the client, and a sentence where Google gives none
//! (docs/google.md "Values of finishReason"). Google's list is open: a word that is not here is odd, never a limit.

use serde::Serialize;

/// Bytes of Google's sentence that are passed on.
const MAX_MESSAGE: usize = 1024;
/// Characters of a word.
const MAX_WORD: usize = 64;

/// What a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The end.
    Stop,
    /// The limit.
    Length,
    /// A filter.
    Filter,
    /// The model made a call, or an answer, that Google could not read; a second try often can.
    Malformed,
    /// Nothing comes of it, and the same request would end the same way.
    Final,
    /// Anything else.
    Odd,
}

type Row = (&'static str, Class, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("STOP", Class::Stop, ""),
    ("MAX_TOKENS", Class::Length, ""),
    ("CONTINUATION", Class::Length, "Google can go on with this answer, but no further call brought more of it."),
    ("SAFETY", Class::Filter, "Google's safety filters stopped the answer or the prompt."),
    ("RECITATION", Class::Filter, "Google stopped the answer because it recited a protected text."),
    ("LANGUAGE", Class::Filter, "The model does not support the language of the answer."),
    ("BLOCKLIST", Class::Filter, "A term on Google's block list is in the answer or the prompt."),
    ("PROHIBITED_CONTENT", Class::Filter, "Google does not answer this: the content is prohibited."),
    ("SPII", Class::Filter, "Google stopped the answer because it may hold sensitive personal data."),
    ("IMAGE_SAFETY", Class::Filter, "Google's safety filters stopped the image; describe another one."),
    ("IMAGE_PROHIBITED_CONTENT", Class::Filter, "Google does not make this image: its content is prohibited."),
    ("IMAGE_RECITATION", Class::Filter, "Google stopped the image because it is too much like a protected one."),
    ("MODEL_ARMOR", Class::Filter, "Model Armor, a policy of the Google Cloud project, blocked this."),
    ("JAILBREAK", Class::Filter, "Google takes the prompt for an attempt to get around its rules."),
    ("ESCALATION", Class::Filter, "Google stopped the answer and passed it on for a review of its policy."),
    ("PUP_LIMITED_DISABLED", Class::Filter, "Google has limited the account for a violation of its policy."),
    ("MALFORMED_FUNCTION_CALL", Class::Malformed, "The model made a malformed function call."),
    ("UNEXPECTED_TOOL_CALL", Class::Malformed, "The model called a tool that was not offered."),
    ("MALFORMED_RESPONSE", Class::Malformed, "The model made a malformed answer."),
    ("NO_IMAGE", Class::Final, "The model made no image; ask for one in words, or use a text model."),
    ("TOO_MANY_TOOL_CALLS", Class::Final, "The model used Google's own tools too often and Google ended the answer; ask for less at once."),
    ("MISSING_THOUGHT_SIGNATURE", Class::Final, "The conversation lacks a thought signature that the model wants back; begin a new one."),
    ("IMAGE_OTHER", Class::Odd, "Google made no image and does not say why."),
    ("OTHER", Class::Odd, "Google ended the answer and does not say why."),
];

/// Why Google ended an answer, where it did not just end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Google's word.
    pub finish_reason: String,
    /// Google's sentence, or ours.
    pub finish_message: String,
}

impl Reason {
    /// The word and a message, which may be empty.
    pub(crate) fn read(word: &str, message: Option<&str>) -> Reason {
        let known = row(word).map_or("", |(_, _, sentence)| sentence);
        let message = match message.map(str::trim).filter(|message| !message.is_empty()) {
            Some(message) => &message[..floor(message, MAX_MESSAGE)],
            None if known.is_empty() && class(word) == Class::Odd => "Google ended the answer for a reason of its own.",
            None => known,
        };
        Reason { finish_reason: word.chars().take(MAX_WORD).collect(), finish_message: message.to_owned() }
    }

    /// A sentence for people who see nothing else.
    pub fn sentence(&self) -> String {
        format!("{} ({})", self.finish_message, self.finish_reason)
    }

    pub(super) fn class(&self) -> Class {
        class(&self.finish_reason)
    }

    /// The code of an error that says this, for words of the table.
    pub(super) fn code(&self) -> Option<String> {
        row(&self.finish_reason).map(|(word, ..)| word.to_ascii_lowercase())
    }
}

fn row(word: &str) -> Option<&'static Row> {
    ROWS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(word))
}

fn class(word: &str) -> Class {
    row(word).map_or(Class::Odd, |(_, class, _)| *class)
}

fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_are_read_and_new_ones_are_odd() {
        for (google, expected) in [
            ("STOP", Class::Stop),
            ("MAX_TOKENS", Class::Length),
            ("SAFETY", Class::Filter),
            ("MALFORMED_RESPONSE", Class::Malformed),
            ("NO_IMAGE", Class::Final),
            ("A_WORD_OF_2030", Class::Odd),
            ("safety", Class::Filter),
            ("17", Class::Odd),
            ("", Class::Odd),
        ] {
            assert_eq!(class(google), expected, "{google}");
        }
    }

    #[test]
    fn every_reason_but_a_plain_end_has_a_sentence() {
        let plain = ["STOP", "MAX_TOKENS"];
        for (word, ..) in ROWS.iter().filter(|(word, ..)| !plain.contains(word)) {
            assert!(!Reason::read(word, Some(" ")).finish_message.is_empty(), "{word}");
        }
        assert!(!Reason::read("NEW", None).finish_message.is_empty());
        assert_eq!(Reason::read("SAFETY", Some("No.")).sentence(), "No. (SAFETY)");
        assert!(Reason::read("é".repeat(900).as_str(), Some(&"é".repeat(900))).finish_message.len() <= MAX_MESSAGE);
    }
}
