//! The Python of the tests: one virtual environment in `tests/.venv` with `tests/requirements.txt`, made on first use and
//! made again when the requirements change.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter. Blocks while another test binary makes the environment.
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
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(install).arg(tests.join("requirements.txt")));
    fs::write(&stamp, wanted).expect("the stamp");
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
