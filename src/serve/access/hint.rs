//! What a refusal tells those whose key is wrong. Knows the usual mistakes, and no key.

use super::bearer;
use crate::http::Request;

/// What is wrong with what was presented, and where keys come from.
pub(super) fn of(request: &Request, presented: &[String]) -> &'static str {
    const QUOTES: [char; 4] = ['"', '\'', '“', '”'];
    let is_any = |fits: fn(&str) -> bool| presented.iter().any(|key| fits(key));
    if presented.is_empty() && request.headers.get("authorization").is_some() {
        "The Authorization header has no key behind the word 'Bearer'."
    } else if presented.is_empty() {
        "No key was sent; 'x-api-key' is read, too. Keys are in auth_keys of config.json or made on the admin page."
    } else if is_any(|key| key.starts_with(QUOTES) || key.ends_with(QUOTES)) {
        "The key was sent in quotes; leave them out."
    } else if is_any(|key| bearer(key).is_some() || key.eq_ignore_ascii_case("bearer")) {
        "The key begins with the word 'Bearer', which programs add themselves."
    } else if is_any(|key| key.starts_with(['$', '<', '{', '%'])) {
        "This is a placeholder or the name of a variable that was not filled in; send the key itself."
    } else if is_any(|key| key.starts_with("AIza") || key.starts_with("AQ.")) {
        "This looks like a key of Google's: that belongs into gemini_api_keys of config.json or on the admin page, and \
         programs send a key of this proxy's own, from auth_keys or made on the admin page."
    } else {
        "This key is not known here; keys are in auth_keys of config.json or made on the admin page."
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Guard, KEY_NEEDED};
    use crate::http::Request;
    use crate::keys::Keys;
    use crate::storage::state::Section;
    use std::sync::Arc;

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_key() {
        let config = crate::config::parse(r#"{"auth_keys":["sk-one"]}"#).unwrap().config;
        let guard = Guard::new(&config, Arc::new(Keys::new(&config.auth_keys, &Section::default())), None);
        for (headers, expected) in [
            (vec![], "No key was sent; 'x-api-key' is read"),
            (vec![("Authorization", "sk-one")], "no key behind the word 'Bearer'"),
            (vec![("Authorization", "Bearer")], "no key behind the word 'Bearer'"),
            (vec![("Authorization", "Bearer \"sk-one\"")], "in quotes"),
            (vec![("x-api-key", "'sk-one'")], "in quotes"),
            (vec![("Authorization", "Bearer Bearer sk-one")], "begins with the word 'Bearer'"),
            (vec![("x-api-key", "bearer sk-one")], "begins with the word 'Bearer'"),
            (vec![("Authorization", "Bearer $OPENAI_API_KEY")], "not filled in"),
            (vec![("Authorization", "Bearer ${KEY}")], "not filled in"),
            (vec![("x-goog-api-key", "<your key>")], "not filled in"),
            (vec![("x-api-key", "{{key}}")], "not filled in"),
            (vec![("x-goog-api-key", "AIzaSy-of-google")], "looks like a key of Google's"),
            (vec![("Authorization", "Bearer AQ.of-google")], "looks like a key of Google's"),
            (vec![("Authorization", "Bearer sk-two")], "not known here; keys are in auth_keys"),
        ] {
            let error = guard.client(&Request::sample("GET", "/v1/models", &headers)).unwrap_err();
            let rest = error.message.strip_prefix(KEY_NEEDED).expect("the old sentence comes first");
            assert!(rest.contains(expected), "{headers:?}: {rest}");
            assert!(!rest.contains("sk-one") && !rest.contains("sk-two"), "{rest}");
        }
    }
}
