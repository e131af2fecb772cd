//! A chat request from the client's bytes to Google's terms.
#![no_main]

mod world;

use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| world::check_request(world::parse(&OpenAiChat, data.to_vec())));
