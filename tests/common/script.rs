//! Client programs in other languages: each gets the proxy's address and a key, and says with its exit code whether what it
//! saw was right.

use super::proxy::{CLIENT_KEY, Proxy};
use super::python;
use super::wire::Relay;
use super::written;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A script that has not ended by then hangs.
const LIMIT_SECONDS: &str = "300";

/// Not for scripts: they must reach the proxy itself, and with nothing but the key they are given.
pub const HIDDEN: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"];

/// `tests/<path>`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Runs a script of `tests/py` against `proxy`, and fails with all it printed when it fails.
pub fn python(script: &str, arguments: &[&str], proxy: &Proxy) {
    let relay = Relay::to(proxy.address());
    let path = file("py").join(script);
    let all = [&[path.to_str().expect("a plain path")], arguments].concat();
    let (succeeded, printed) = python::run(&all, &[("PROXY_URL", &relay.base()), ("PROXY_KEY", CLIENT_KEY)]);
    written::answer(&format!("{script} {arguments:?}\n{printed}"));
    assert!(succeeded, "{script} {arguments:?}:\n{printed}");
}

/// The same with a script of `tests/js`.
pub fn node(script: &str, arguments: &[&str], proxy: &Proxy) {
    node_with(script, arguments, proxy, &[]);
}

/// The same with more variables in the script's environment.
pub fn node_with(script: &str, arguments: &[&str], proxy: &Proxy, variables: &[(&str, &str)]) {
    let relay = Relay::to(proxy.address());
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS).arg("node").arg(file("js").join(script)).args(arguments);
    command.env("PROXY_URL", relay.base()).env("PROXY_KEY", CLIENT_KEY).envs(variables.iter().copied());
    if let Some(folder) = written::folder().filter(|folder| folder.is_dir()) {
        command.env("WRITTEN_FOLDER", folder);
    }
    for name in HIDDEN {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.stdin(Stdio::null()).output().expect("timeout(1) and the interpreter start");
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    written::answer(&format!("{script} {arguments:?}\n{printed}"));
    assert!(output.status.success(), "{script} {arguments:?}: {}\n{printed}", output.status);
}
