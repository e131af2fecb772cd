//! Google's own Gemini CLI as a client, headless, with the settings that the admin page gives out. `tests/setup.sh` installs it.

use crate::common::agents::{Agent, settings, went_well};
use crate::common::google::FakeGoogle;
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use crate::common::script;
use serde_json::json;

const MODEL: &str = "gemini-3.1-pro-preview";

const TASK: &str = r#"call:read_file{"file_path":"a.txt"} call:list_directory{"dir_path":"."}
    then call:replace{"file_path":"a.txt","old_string":"hello","new_string":"bye","instruction":"say bye"}
    then call:run_shell_command{"command":"cp a.txt b.txt"}"#;

/// Without a terminal it does not ask how to log in.
fn agent(login: &str) -> Agent {
    let agent = Agent::new(&script::file("node_modules/.bin"));
    let settings = json!({"security": {"auth": {"selectedType": login}}});
    agent.put("home/.gemini/settings.json", &settings.to_string());
    agent
}

#[test]
fn gemini_cli_answers_a_question() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let script = settings("Gemini CLI", &proxy, MODEL) + r#" --skip-trust -p "$TASK""#;
    let printed = agent("gemini-api-key").run(&script, "Say hello");
    assert!(printed.contains("Say hello"), "{printed}");
    went_well(&google);
}

#[test]
fn gemini_cli_reads_edits_and_runs_a_command() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let agent = agent("gemini-api-key");
        let script = settings("Gemini CLI", &proxy, MODEL) + r#" --skip-trust --approval-mode yolo -p "$TASK""#;
        agent.has_worked(&google, &agent.run(&script, TASK));
    }
}

#[test]
fn gemini_cli_works_with_the_variables_of_vertex_ai() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let agent = agent("vertex-ai");
    let script = format!(
        "export GOOGLE_GENAI_USE_VERTEXAI=true GOOGLE_VERTEX_BASE_URL='{}' GOOGLE_API_KEY='{CLIENT_KEY}'\n\
         gemini -m {MODEL} --skip-trust --approval-mode yolo -p \"$TASK\"",
        proxy.base()
    );
    agent.has_worked(&google, &agent.run(&script, TASK));
}

/// Whoever names a project and a location has Google's login on the machine, here its service account, whose token the CLI
/// sends; the client key goes beside it.
#[test]
fn gemini_cli_works_with_a_project_and_a_location() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let agent = agent("vertex-ai");
    let script = format!(
        "export GCE_METADATA_HOST={} METADATA_SERVER_DETECTION=assume-present GOOGLE_GENAI_USE_VERTEXAI=true \
         GOOGLE_CLOUD_PROJECT=project-v GOOGLE_CLOUD_LOCATION=global GOOGLE_VERTEX_BASE_URL='{}' \
         GEMINI_CLI_CUSTOM_HEADERS='x-goog-api-key: {CLIENT_KEY}'\n\
         gemini -m {MODEL} --skip-trust --approval-mode yolo -p \"$TASK\"",
        google.address(),
        proxy.base()
    );
    agent.has_worked(&google, &agent.run(&script, TASK));
    assert!(google.count("/computeMetadata/") > 0);
}
