//! Libraries, by the scripts in `py` and `js`: a question that is streamed, and a loop of tools, whole and streamed.

use super::common::agents::went_well;
use super::common::google::FakeGoogle;
use super::common::proxy::{CLIENT_KEY, Pool, Proxy};
use super::{MODEL, here};
use std::process::Command;

/// Runs a script with an interpreter against a proxy on either service.
fn works(interpreter: &str, script: &str) {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let mut command = Command::new("timeout");
        command.args(["180", interpreter]).arg(here(script)).env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs([("PROXY_URL", &*proxy.base()), ("PROXY_KEY", CLIENT_KEY), ("MODEL", MODEL)]);
        let output = command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").output().expect("timeout(1) starts");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{pool:?}: {}\n{printed}", output.status);
        assert!(google.generations().len() > 3, "{printed}");
        went_well(&google);
    }
}

fn python(script: &str) {
    works(here(".venv/bin/python").to_str().expect("a plain path"), script);
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
    works("node", "js/langchain_models.mjs");
}
