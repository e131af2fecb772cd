//! Client programs in other languages: each gets the proxy's address and a key, and says with its exit code whether what it
//! saw was right.

use super::proxy::{CLIENT_KEY, Proxy};
use super::wire::Relay;
use super::written;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A script that has not ended by then hangs.
const LIMIT_SECONDS: &str = "120";

/// `tests/<path>`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Runs `interpreter script arguments...` against `proxy`, and fails with all it printed when it fails.
pub fn run(interpreter: &Path, script: &str, arguments: &[&str], proxy: &Proxy) {
    run_with(interpreter, script, arguments, proxy, &[]);
}

/// The same with more variables in the script's environment.
pub fn run_with(interpreter: &Path, script: &str, arguments: &[&str], proxy: &Proxy, variables: &[(&str, &str)]) {
    let relay = Relay::to(proxy.address());
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS).arg(interpreter).arg(file(script)).args(arguments);
    command.env("PROXY_URL", relay.base()).env("PROXY_KEY", CLIENT_KEY).env("PYTHONDONTWRITEBYTECODE", "1");
    command.envs(variables.iter().copied());
    if let Some(folder) = written::folder().filter(|folder| folder.is_dir()) {
        command.env("WRITTEN_FOLDER", folder);
    }
    // The clients must reach the proxy itself, and with nothing but the key they are given.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.stdin(Stdio::null()).output().expect("timeout(1) and the interpreter start");
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    written::answer(&format!("{script} {arguments:?}\n{printed}"));
    assert!(output.status.success(), "{script} {arguments:?}: {}\n{printed}", output.status);
}
