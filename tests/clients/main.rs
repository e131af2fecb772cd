//! Real programs as clients, in a target of their own since they are large: `make clients` installs them at the versions of
//! `package.json` and runs this. Each works headless in a scratch folder against the strict fake Google: it reads a file,
//! changes it and runs a command, over four turns of the model with calls in parallel.

#[allow(dead_code, unused_imports)] // the suite uses the rest
#[path = "../common/mod.rs"]
mod common;

use common::google::FakeGoogle;
use common::pool::Scratch;
use common::proxy::{CLIENT_KEY, Pool, Proxy};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that has not ended by then hangs.
const LIMIT_SECONDS: &str = "180";

/// An installed program; without it the test fails with a sentence that says what to run.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node_modules/.bin").join(name);
    assert!(path.exists(), "{name} is not installed: run `make clients`, which does that first");
    path
}

/// Runs a program in `folder` with a home of its own and nothing of this machine's settings.
fn run(name: &str, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let home = folder.join("home");
    fs::create_dir_all(&home).expect("a home");
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS).arg(program(name)).args(arguments).current_dir(folder.join("work"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &home);
    let output = command.envs(variables.iter().copied()).stdin(Stdio::null()).output().expect("timeout(1) starts");
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{name}: {}\n{printed}", output.status);
    printed
}

#[test]
fn claude_code_reads_edits_and_runs_a_command() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-pro", "gemini-3.1-pro-preview"] {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, pool);
            let files = Scratch::new();
            let folder = files.path();
            let work = folder.join("work");
            fs::create_dir_all(&work).expect("a folder");
            fs::write(work.join("a.txt"), "hello world\n").expect("a file");
            let path = work.join("a.txt");
            let path = path.to_str().expect("a plain path");
            let task = format!(
                r#"call:Read{{"file_path":"{path}"}} call:Bash{{"command":"pwd","description":"where"}}
                then call:Edit{{"file_path":"{path}","old_string":"hello","new_string":"bye"}}
                then call:Bash{{"command":"cat a.txt > b.txt","description":"copy"}}"#
            );
            let printed = run(
                "claude",
                folder,
                &["-p", &task, "--model", model, "--allowedTools", "Read,Edit,Bash"],
                &[
                    ("ANTHROPIC_BASE_URL", &proxy.base()),
                    ("ANTHROPIC_API_KEY", CLIENT_KEY),
                    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
                ],
            );
            let copied = fs::read_to_string(work.join("b.txt"));
            assert_eq!(copied.as_deref().ok(), Some("bye world\n"), "{pool:?} {model}: {printed}");
            let turns = google.generations().iter().filter(|generation| generation.status == 200).count();
            assert!(turns >= 4, "{pool:?} {model}: {turns} turns");
        }
    }
}

#[test]
fn codex_reads_edits_and_runs_a_command() {
    for pool in Pool::EACH {
        for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, pool);
            let files = Scratch::new();
            let folder = files.path();
            let (work, home) = (folder.join("work"), folder.join("codex"));
            fs::create_dir_all(&work).expect("a folder");
            fs::create_dir_all(&home).expect("a folder");
            fs::write(work.join("a.txt"), "hello world\n").expect("a file");
            let settings = format!(
                "model = \"{model}\"\nmodel_provider = \"gemini\"\napproval_policy = \"never\"\n\
                 sandbox_mode = \"danger-full-access\"\n[model_providers.gemini]\nname = \"gemini\"\n\
                 base_url = \"{}/v1\"\nenv_key = \"KEY\"\nwire_api = \"responses\"\n",
                proxy.base()
            );
            fs::write(home.join("config.toml"), settings).expect("a file");
            let task = r#"call:exec_command{"cmd":"cat a.txt"} call:exec_command{"cmd":"pwd"}
                then call:exec_command{"cmd":"sed -i s/hello/bye/ a.txt"}
                then call:exec_command{"cmd":"cp a.txt b.txt"}"#;
            let variables = [("CODEX_HOME", home.to_str().expect("a plain path")), ("KEY", CLIENT_KEY)];
            let printed = run("codex", folder, &["exec", "--skip-git-repo-check", task], &variables);
            let copied = fs::read_to_string(work.join("b.txt"));
            assert_eq!(copied.as_deref().ok(), Some("bye world\n"), "{pool:?} {model}: {printed}");
            let statuses: Vec<u16> = google.generations().iter().map(|generation| generation.status).collect();
            assert_eq!(statuses, [200; 4], "{pool:?} {model}: {printed}");
        }
    }
}
