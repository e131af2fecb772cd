//! Records of TLS: the same text however they are cut, and never another one.
#![no_main]

use gemini_openai_proxy::http::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::tls(data));
