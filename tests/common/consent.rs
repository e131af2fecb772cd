//! A person who connects an account from the terminal.

use super::program::{Folder, command};
use super::wire::unled_agent;
use super::written;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

/// `auth` while a person is at it.
pub struct Auth {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    said: String,
}

impl Auth {
    pub fn start(folder: &Folder, options: &[&str]) -> Auth {
        let mut arguments = vec!["auth", "-c", "config.json"];
        arguments.extend(options);
        let mut command = command(folder, &arguments);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Auth { child, output, said: String::new() }
    }

    /// The consent page's address, and where Google leads from there.
    pub fn agree(&mut self) -> String {
        let url = loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no address: {}", self.said);
            if line.starts_with("http") {
                break line.trim().to_owned();
            }
            self.said.push_str(&line);
        };
        get(&url).1
    }

    pub fn paste(&mut self, text: &str) {
        writeln!(self.child.stdin.take().unwrap(), "{text}").unwrap();
    }

    /// Exit code, standard output, standard error.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.child.stdin.take());
        self.output.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        written::log(&format!("{}{errors}", self.said));
        (output.status.code(), self.said, errors)
    }
}

/// Status and `Location`.
pub fn get(url: &str) -> (u16, String) {
    let answer = unled_agent().get(url).call().unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location.unwrap_or_default())
}
