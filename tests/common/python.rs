//! The Python of the tests: one virtual environment in `tests/.venv` with `tests/requirements.txt`, made on first use and
//! made again when the requirements change; and one server in it, `py/serve.py`, that runs the scripts.

use super::script;
use serde_json::{Map, json};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The interpreter. Blocks while another test makes the environment.
pub fn venv_python() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let venv = tests.join(".venv");
    let requirements = fs::read_to_string(tests.join("requirements.txt")).expect("tests/requirements.txt");
    fs::create_dir_all(&venv).expect("tests/.venv");
    let lock = File::create(venv.join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let python = venv.join("bin/python");
    let stamp = venv.join("stamp");
    let mut hasher = DefaultHasher::new();
    (&requirements, &venv).hash(&mut hasher);
    let wanted = format!("{:016x}", hasher.finish());
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) && python.exists() {
        return python;
    }
    install(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let packages = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    install(Command::new(&python).args(packages).arg(tests.join("requirements.txt")));
    fs::write(&stamp, wanted).expect("the stamp");
    python
}

fn install(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Its standard input ends with this process, and it with that.
struct Server {
    _process: Child,
    socket: PathBuf,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let socket = std::env::temp_dir().join(format!("gemini-proxy-python-{}", std::process::id()));
        let mut command = Command::new(venv_python());
        command.arg(script::file("py/serve.py")).arg(&socket).env("PYTHONDONTWRITEBYTECODE", "1");
        for name in script::HIDDEN {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the interpreter starts");
        let mut said = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut said).expect("a line");
        assert_eq!(said, "ready\n", "py/serve.py starts");
        Server { _process: process, socket }
    })
}

/// Runs a script with its arguments: whether it succeeded, and what it printed.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let mut stream = UnixStream::connect(&server().socket).expect("the server accepts");
    let variables: Map<_, _> = variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    writeln!(stream, "{}", json!({"arguments": arguments, "variables": variables})).expect("the task is taken");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end");
    let printed = String::from_utf8_lossy(&bytes).into_owned();
    (printed.ends_with("exit 0\n"), printed)
}
