//! A request of the Responses dialect from the client's bytes to Google's terms.
#![no_main]

mod world;

use gemini_openai_proxy::api::openai_responses::{OpenAiResponses, Store, Task};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static STORE: LazyLock<Arc<Store>> = LazyLock::new(|| Arc::new(Store::new(1 << 16)));

fuzz_target!(|data: &[u8]| {
    // The length chooses the route, so that the bodies are the same for each.
    let task = [Task::Answer, Task::Answer, Task::Compact][data.len() % 3];
    let surface = OpenAiResponses { store: STORE.clone(), task };
    world::check_request(world::parse(&surface, data.to_vec()));
});
