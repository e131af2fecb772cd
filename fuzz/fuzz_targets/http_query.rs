//! Targets and queries of requests: whatever comes, a value or none.
#![no_main]

use gemini_openai_proxy::http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::query(data));
