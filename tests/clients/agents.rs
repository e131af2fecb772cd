//! Agents of the command line, headless: a question, then a file is read, changed and copied.

use super::common::agents::{Agent, settings, went_well};
use super::common::google::FakeGoogle;
use super::common::proxy::{Pool, Proxy};
use super::{MODEL, here};

const NODE: &str = "node_modules/.bin";

/// One that works with either service behind the proxy; `setup` gives the script that runs it for the task.
fn works(programs: &str, setup: impl Fn(&Agent, &Proxy) -> String, task: impl Fn(&Agent) -> String) {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let agent = Agent::new(&here(programs));
        let script = setup(&agent, &proxy);
        if pool == Pool::ApiKey {
            let printed = agent.run(&script, "Say hello");
            assert!(printed.contains("Say hello"), "{printed}");
        }
        agent.has_worked(&google, &agent.run(&script, &task(&agent)));
    }
}

#[test]
fn claude_code() {
    for model in ["gemini-2.5-pro", MODEL] {
        let setup = |_: &Agent, proxy: &Proxy| {
            let more = "export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\n";
            more.to_owned() + &settings("Claude Code", proxy, model) + r#" -p "$TASK" --allowedTools Read,Edit,Bash"#
        };
        works(NODE, setup, |agent| {
            let path = agent.work("a.txt");
            format!(
                r#"call:Read{{"file_path":"{path}"}} call:Bash{{"command":"pwd","description":"where"}}
                then call:Edit{{"file_path":"{path}","old_string":"hello","new_string":"bye"}}
                then call:Bash{{"command":"cat a.txt > b.txt","description":"copy"}}"#
            )
        });
    }
}

#[test]
fn codex() {
    for model in ["gemini-2.5-flash", MODEL] {
        let setup = |agent: &Agent, proxy: &Proxy| {
            let config = settings("Codex", proxy, model);
            // The last line of the settings is the command for the shell.
            let (_, export) = config.rsplit_once("# ").expect("a command behind the file");
            let may = "approval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"\n";
            agent.put("home/.codex/config.toml", &format!("{may}{config}"));
            format!("{export}\ncodex exec --skip-git-repo-check \"$TASK\"")
        };
        let task = r#"call:exec_command{"cmd":"cat a.txt"} call:exec_command{"cmd":"pwd"}
            then call:exec_command{"cmd":"sed -i s/hello/bye/ a.txt"} then call:exec_command{"cmd":"cp a.txt b.txt"}"#;
        works(NODE, setup, |_| task.to_owned());
    }
}

#[test]
fn opencode() {
    let setup = |agent: &Agent, proxy: &Proxy| {
        agent.put("work/opencode.json", &settings("opencode", proxy, MODEL));
        "opencode run".to_owned()
    };
    works(NODE, setup, |agent| {
        let path = agent.work("a.txt");
        format!(
            r#"call:read{{"filePath":"{path}"}} call:bash{{"command":"pwd","description":"where"}}
            then call:edit{{"filePath":"{path}","oldString":"hello","newString":"bye"}}
            then call:bash{{"command":"cp a.txt b.txt","description":"copy"}}"#
        )
    });
}

#[test]
fn qwen_code() {
    let setup = |_: &Agent, proxy: &Proxy| settings("Qwen Code", proxy, MODEL) + r#" --yolo -p "$TASK""#;
    works(NODE, setup, |agent| {
        let path = agent.work("a.txt");
        format!(
            r#"call:read_file{{"file_path":"{path}"}} call:run_shell_command{{"command":"pwd","is_background":false}}
            then call:edit{{"file_path":"{path}","old_string":"hello","new_string":"bye"}}
            then call:run_shell_command{{"command":"cp a.txt b.txt","is_background":false}}"#
        )
    });
}

#[test]
fn cline() {
    let setup = |_: &Agent, proxy: &Proxy| settings("Cline CLI", proxy, MODEL) + r#" "$TASK""#;
    works(NODE, setup, |agent| {
        let path = agent.work("a.txt");
        format!(
            r#"call:read_files{{"files":[{{"path":"{path}"}}]}} call:run_commands{{"commands":["pwd"]}}
            then call:run_commands{{"commands":["sed -i s/hello/bye/ a.txt"]}}
            then call:run_commands{{"commands":["cp a.txt b.txt"]}}"#
        )
    });
}

#[test]
fn llm() {
    let setup = |agent: &Agent, proxy: &Proxy| {
        let config = settings("llm", proxy, MODEL);
        let (_, keys) = config.rsplit_once("# ").expect("a command behind the file");
        agent.put("home/.config/io.datasette.llm/extra-openai-models.yaml", &config);
        agent.put(
            "work/tools.py",
            "import subprocess\ndef run(command: str) -> str:\n    return subprocess.getoutput(command)\n",
        );
        format!("{keys}\nllm -m gemini --functions tools.py --chain-limit 9 \"$TASK\"")
    };
    let task = r#"call:run{"command":"cat a.txt"} call:run{"command":"pwd"}
        then call:run{"command":"sed -i s/hello/bye/ a.txt"} then call:run{"command":"cp a.txt b.txt"}"#;
    works(".venv/bin", setup, |_| task.to_owned());
}

/// It has no tools: what it changes stands in the text of the answer, and the fake says what it was told.
#[test]
fn aider() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let agent = Agent::new(&here(".aider/bin"));
        let quiet = "--no-git --yes-always --no-check-update --no-show-model-warnings --edit-format diff";
        let script = settings("aider", &proxy, MODEL) + &format!(r#" {quiet} --message "$TASK" a.txt"#);
        let task = "a.txt\n```\n<<<<<<< SEARCH\nhello world\n=======\nbye world\n>>>>>>> REPLACE\n```\n";
        let printed = agent.run(&script, task);
        let changed = std::fs::read_to_string(agent.work("a.txt")).expect("the file");
        assert_eq!(changed, "bye world\n", "{printed}");
        went_well(&google);
    }
}
