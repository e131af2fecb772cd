//! Headers of the PROXY protocol: the same however they are cut, and never longer than what is there.
#![no_main]

use gemini_openai_proxy::http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::proxy_protocol(data));
