//! Clients' JSON schemas in every form Google takes: no panic, no reference left, and no growth without bound.
#![no_main]

use gemini_openai_proxy::gemini::schema;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// References are put in place, so a result may be larger than what came, but not as large as one likes.
const MAX_SIZE: usize = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(given) = serde_json::from_slice::<Value>(data) else { return };
    let parameters = schema::parameters(given.clone());
    if let Some(cleaned) = &parameters.schema {
        assert!(cleaned.is_object());
        assert!(cleaned.to_string().len() < MAX_SIZE);
        schema::openapi(cleaned.clone());
    }
    let cleaned = schema::json(given);
    assert!(cleaned.to_string().len() < MAX_SIZE);
    let plain = schema::minimal(cleaned.clone());
    assert!(plain.to_string().len() < MAX_SIZE);
    assert_eq!(schema::minimal(plain.clone()), plain, "what is plain stays as it is");
    schema::openapi(cleaned);
});
