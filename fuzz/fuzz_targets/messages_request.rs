//! A request of Anthropic's dialect from the client's bytes to Google's terms.
#![no_main]

mod world;

use gemini_openai_proxy::api::anthropic_messages::AnthropicMessages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let surface = AnthropicMessages { id: String::new() };
    world::check_request(world::parse(&surface, data.to_vec()));
});
