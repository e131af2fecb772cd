//! config.json and what a person imports: a refusal in words, or something that can be shown.
#![no_main]

use gemini_openai_proxy::{config, credentials::import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::parse(text) {
        Ok(parsed) => assert!(parsed.config.shown().is_object()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(items) = import::items(text) {
        assert!(items.len() <= text.len());
    }
});
