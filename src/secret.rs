//! A string that must not be seen: token, key, password. Owns nothing else.

use std::fmt;
use subtle::ConstantTimeEq;

/// A secret text. `Debug` is masked; there is no `Display`, no `Deref` and no `Serialize`, so the only way to the text
/// is [`Secret::expose`], which is easy to search for.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the wire or the file. Never for a log line or an error message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with what a caller presented, in a time that depends only on the lengths.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", Secret::new("ya29.token")), "Secret(***)");
    }

    #[test]
    fn matches_needs_every_byte() {
        let secret = Secret::new("sk-1");
        assert!(secret.matches("sk-1"));
        for wrong in ["", "sk-", "sk-12", "sk-2"] {
            assert!(!secret.matches(wrong), "{wrong}");
        }
    }
}
