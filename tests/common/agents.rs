//! Real programs as clients: headless, in a folder and with a home of their own, with the settings that the admin page gives
//! out for them.

use super::google::FakeGoogle;
use super::pool::Scratch;
use super::proxy::{CLIENT_KEY, Proxy};
use super::written;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that has not ended by then hangs.
const LIMIT_SECONDS: &str = "180";
/// Stands where a signature is lost; no program may need it.
const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// One program's folders: `work` with a file `a.txt` to work on, and `home`.
pub struct Agent {
    files: Scratch,
    /// Where programs are looked for first.
    programs: PathBuf,
}

impl Agent {
    /// For programs of this folder.
    pub fn new(programs: &Path) -> Agent {
        assert!(programs.is_dir(), "{} is not there: the make target installs it first", programs.display());
        let agent = Agent { files: Scratch::new(), programs: programs.to_owned() };
        fs::create_dir_all(agent.home()).expect("a home");
        agent.put("work/a.txt", "hello world\n");
        agent
    }

    pub fn home(&self) -> PathBuf {
        self.files.path().join("home")
    }

    /// A path in its working folder, as text.
    pub fn work(&self, name: &str) -> String {
        self.files.path().join("work").join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file below its folders.
    pub fn put(&self, path: &str, text: &str) {
        let path = self.files.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Runs a script of the shell with `task` on its standard input and in `$TASK`, and nothing of this machine's settings.
    /// Gives what it printed.
    pub fn run(&self, script: &str, task: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        self.put("task", task);
        let mut command = Command::new("timeout");
        command.args([LIMIT_SECONDS, "bash", "-euc", script]).current_dir(self.work("")).env_clear();
        command.env("PATH", format!("{}:{path}", self.programs.display())).env("HOME", self.home()).env("TASK", task);
        let task = fs::File::open(self.files.path().join("task")).expect("the task");
        let output = command.stdin(Stdio::from(task)).output().expect("timeout(1) starts");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        written::answer(&printed);
        assert!(output.status.success(), "{script}: {}\n{printed}", output.status);
        printed
    }

    /// It changed the file as it was told, over at least four turns of the model, and nothing had to be repaired on the way.
    pub fn has_worked(&self, google: &FakeGoogle, printed: &str) {
        let copied = fs::read_to_string(self.work("b.txt"));
        assert_eq!(copied.as_deref().ok(), Some("bye world\n"), "{printed}");
        let sent = google.generations();
        assert!(sent.len() >= 4, "{} turns: {printed}", sent.len());
        went_well(google);
    }
}

/// Some leave a process behind that serves the next one of theirs. It is known by its home.
impl Drop for Agent {
    fn drop(&mut self) {
        let home = format!("HOME={}", self.home().display());
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes()) {
                let _ = Command::new("kill").arg("-9").arg(process.file_name()).status();
            }
        }
    }
}

/// Google refused nothing and was sent no placeholder.
pub fn went_well(google: &FakeGoogle) {
    for sent in google.generations() {
        assert!(sent.refusal.is_none(), "{}: {:?}\n{}", sent.path, sent.refusal, sent.body);
        assert!(!sent.body.to_string().contains(PLACEHOLDER), "{}: {}", sent.path, sent.body);
    }
}

/// What the admin page says is to be pasted for a program: the text of its file or its commands.
pub fn settings(program: &str, proxy: &Proxy, model: &str) -> String {
    let read = r#"
        const page = require("fs").readFileSync(process.argv[1], "utf8");
        const from = page.indexOf("const CLIENTS = "), to = page.indexOf("\n};", from) + 3;
        const clients = new Function(page.slice(from, to) + " return CLIENTS")();
        const [program, base, key, model] = process.argv.slice(2);
        process.stdout.write(JSON.stringify(clients[program]({ base, key, model })));"#;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/static/clients.js");
    let output = Command::new("node").args(["-e", read, page, program, &proxy.base(), CLIENT_KEY, model]).output();
    let output = output.expect("node starts");
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{program}: {error}"));
    settings["text"].as_str().unwrap_or_else(|| panic!("{program} has no text")).to_owned()
}
