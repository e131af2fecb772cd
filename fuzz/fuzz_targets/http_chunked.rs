//! Chunked bodies: however they are cut into reads, the result is the same.
#![no_main]

use gemini_openai_proxy::http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::chunked(data));
