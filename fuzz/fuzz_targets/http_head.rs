//! Request heads: whatever comes, a checked head or a refusal.
#![no_main]

use gemini_openai_proxy::http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::head(data));
