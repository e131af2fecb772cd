//! A chat request from the client's bytes to Google's terms: either a refusal that is the client's fault, or a
//! conversation that keeps Google's rules for turns.
#![no_main]

mod world;

use gemini_openai_proxy::gemini::Content;
use libfuzzer_sys::fuzz_target;

fn calls(turn: Option<&Content>) -> Vec<&str> {
    let parts = turn.into_iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| Some(part.function_call.as_ref()?.name.as_str())).collect()
}

fn results(turn: Option<&Content>) -> Vec<&str> {
    let parts = turn.into_iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| Some(part.function_response.as_ref()?.name.as_str())).collect()
}

fuzz_target!(|data: &[u8]| {
    let mut exchange = match world::parse(data.to_vec()) {
        Ok(exchange) => exchange,
        Err(error) => {
            assert!((400..500).contains(&error.status), "{error:?}");
            return;
        }
    };
    let request = &exchange.call().request;
    let turns = &request.contents;
    for (at, turn) in turns.iter().enumerate() {
        // A model turn at the end or the start would be refused, and so would two in a row after merging.
        let expected = if at % 2 == 0 { "user" } else { "model" };
        assert_eq!(turn.role.as_deref(), Some(expected));
        assert!(!turn.parts.is_empty());
        let before = at.checked_sub(1).and_then(|at| turns.get(at));
        assert_eq!(calls(before), results(Some(turn)), "every call has its result in the turn behind it");
    }
    assert_eq!(turns.len() % 2, 1);
    serde_json::to_vec(request).unwrap();
});
