//! Tests that measure their whole process (its memory, threads or descriptors) run in one of their own.

use super::written;
use std::process::{Command, Stdio};

/// Names the test that a child process is for.
const VARIABLE: &str = "GEMINI_PROXY_TEST_ALONE";

/// Whether this process is for `test` alone. If not, the test is run in a process that is, and must pass there; it begins with
/// `if !alone::is_alone(its_own_name, &[]) { return; }`. `wrapper` is a command that ends by running its arguments.
pub fn is_alone<Test: Fn()>(_test: Test, wrapper: &[&str]) -> bool {
    // The crate's name is not part of a test's.
    let (_, test) = std::any::type_name::<Test>().split_once("::").expect("a path");
    if std::env::var(VARIABLE).is_ok_and(|name| name == test) {
        return true;
    }
    let program = std::env::current_exe().expect("this program's path");
    let mut words = wrapper.iter().map(|word| word.as_ref()).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words).args(["--exact", test, "--nocapture"]).env(VARIABLE, test);
    let output = command.stdin(Stdio::null()).output().expect("the child starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    written::log(&said);
    print!("{said}");
    assert!(
        output.status.success() && said.contains("test result: ok. 1 passed"),
        "{test} failed in a process of its own"
    );
    false
}
