//! Libraries, by the scripts in `py` and `js`: a question that is streamed, and a loop of tools, whole and streamed.

use super::common::agents::went_well;
use super::common::google::FakeGoogle;
use super::common::proxy::{CLIENT_KEY, Pool, Proxy};
use super::{MODEL, here};
use std::process::Command;

/// Runs a script with an interpreter and its words against a proxy on either service, and looks at what Google was sent.
fn works(interpreter: &str, script: &str, words: &[&str], look: fn(&FakeGoogle)) {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let mut command = Command::new("timeout");
        command.args(["180", interpreter]).arg(here(script)).args(words).env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs([("PROXY_URL", &*proxy.base()), ("PROXY_KEY", CLIENT_KEY), ("MODEL", MODEL)]);
        let output = command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").output().expect("timeout(1) starts");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{pool:?}: {}\n{printed}", output.status);
        assert!(google.generations().len() > 3, "{printed}");
        look(&google);
    }
}

fn python(script: &str) {
    works(here(".venv/bin/python").to_str().expect("a plain path"), script, &[], went_well);
}

#[test]
fn langchain_for_python() {
    python("py/langchain_models.py");
}

#[test]
fn pydantic_ai() {
    python("py/pydantic_agents.py");
}

#[test]
fn litellm() {
    python("py/litellm_calls.py");
}

#[test]
fn langchain_for_javascript() {
    works("node", "js/langchain_models.mjs", &["OpenAI", "Anthropic"], went_well);
}

/// It gives the results of calls at once back in several turns, and puts a signature of its own where Google gave none.
/// Google refuses the first and our double the second, too, and each is repaired.
#[test]
fn langchain_for_javascript_in_googles_dialect() {
    works("node", "js/langchain_models.mjs", &["Google"], |google| {
        let sent = google.generations();
        for refusal in sent.iter().filter_map(|sent| sent.refusal.as_deref()) {
            let is_known = refusal.contains("number of function response parts") || refusal.contains("Corrupted");
            assert!(is_known, "{refusal}");
        }
        assert!(sent.last().is_some_and(|last| last.refusal.is_none()));
    });
}
