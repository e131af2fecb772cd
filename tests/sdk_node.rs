//! The official JavaScript SDKs of OpenAI and Anthropic and the AI SDK as clients: their stream and tool helpers. `tests/setup.sh` installs it.

use crate::common::google::FakeGoogle;
use crate::common::proxy::{Pool, Proxy};
use crate::common::script;

fn run(pool: Pool, file: &str, arguments: &[&str]) -> usize {
    let installed = script::file("node_modules/openai/package.json");
    assert!(installed.exists(), "the SDK is not installed: run tests/setup.sh (`make test` does)");
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, pool);
    script::node(file, arguments, &proxy);
    google.generations().len()
}

#[test]
fn openai_streams_and_raises_its_classes() {
    for pool in Pool::EACH {
        assert_eq!(run(pool, "stream.mjs", &[]), 3);
    }
}

#[test]
fn openai_runs_tools_over_three_rounds() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            assert_eq!(run(pool, "run_tools.mjs", &[model]), 8, "four requests, streamed and not");
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn openai_answers_streams_and_calls_tools_by_the_responses_api() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            assert_eq!(run(pool, "responses.mjs", &[model]), 12, "four answers, and four for each of two loops");
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn anthropic_answers_streams_counts_and_raises_its_classes() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            assert_eq!(run(pool, "anthropic.mjs", &[model]), 2);
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn anthropics_tool_runner_goes_over_three_rounds() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            assert_eq!(run(pool, "anthropic_tools.mjs", &[model]), 8, "four requests, streamed and not");
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn the_ai_sdk_runs_tools_in_three_steps_by_each_of_its_providers() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            assert_eq!(
                run(pool, "ai_sdk.mjs", &[model]),
                28,
                "four for each of five models, two for each of four tools"
            );
        }
    }
}
