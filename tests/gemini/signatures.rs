//! The cache of signatures, and what a signature and the family of models that reads it look like.

use gemini_openai_proxy::gemini::signatures::{PLACEHOLDER, SignatureCache, family, plausible};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_signature_is_found_by_its_own_client_call_and_family_only() {
    let cache = SignatureCache::new(1 << 20, HOUR);
    cache.put("alice", "call_1", "gemini-3-pro", "U0lH");
    assert_eq!(cache.get("alice", "call_1", "gemini-3-pro").as_deref(), Some("U0lH"));
    assert_eq!(cache.get("bob", "call_1", "gemini-3-pro"), None);
    assert_eq!(cache.get("alice", "call_2", "gemini-3-pro"), None);
    assert_eq!(cache.get("alice", "call_1", "gemini-2.5-pro"), None);
    assert_eq!(cache.get("alicec", "all_1", "gemini-3-pro"), None);
}

#[test]
fn what_is_too_large_or_empty_is_not_kept_and_pushes_nothing_out() {
    let cache = SignatureCache::new(1000, HOUR);
    cache.put("k", "a", "f", "U0lH");
    cache.put("k", "b", "f", &"s".repeat(1000));
    cache.put("k", "c", "f", "");
    assert!(cache.get("k", "a", "f").is_some());
    assert!(cache.get("k", "b", "f").is_none());
    assert!(cache.get("k", "c", "f").is_none());
}

#[test]
fn a_family_is_the_name_without_preview_and_date() {
    for (model, expected) in [
        ("gemini-3.1-pro-preview", "gemini-3.1-pro"),
        ("gemini-3.1-pro-preview-customtools", "gemini-3.1-pro"),
        ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("gemini-3-pro-image-preview", "gemini-3-pro-image"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini-2.5-pro-exp-03-25", "gemini-2.5-pro"),
        ("gemini-flash-latest", "gemini-flash"),
        ("gemini-3.5-flash", "gemini-3.5-flash"),
        ("gemini-4", "gemini-4"),
        ("gemini-experiment", "gemini-experiment"),
        ("models/gemini-3-flash-preview", "gemini-3-flash"),
        ("", ""),
    ] {
        assert_eq!(family(model), expected, "{model}");
    }
}

#[test]
fn a_signature_is_base64_in_one_alphabet() {
    for good in ["U0lH", "ab+/", "ab-_", "YQ==", "YWI=", "YQ", PLACEHOLDER] {
        assert!(plausible(good), "{good}");
    }
    for bad in ["", "=", "a", "+-ab", "a b", "YQ=", "YQ===", "é===", "a=bc", "U0lH\n"] {
        assert!(!plausible(bad), "{bad}");
    }
}
