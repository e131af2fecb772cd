//! What the user typed, and nothing that depends on files: so help works when the configuration is broken.
//!
//! The words are the old program's (drop_in_contract.md 6.1): its argument parser took `-ek`, unambiguous beginnings of
//! long options, `-cFILE`, and its README ran it without the word `run`.

use crate::secret::Secret;
use std::ffi::OsString;
use std::path::PathBuf;

/// The help text.
pub const HELP: &str = "\
Gemini API Proxy Server v2. Use 'run' to start the server or 'generate-key' to create a new encryption key.

usage: gemini-openai-proxy [run] [-c FILE] [-ek KEY | --encryption-key-file FILE]
       gemini-openai-proxy generate-key

commands:
  run             start the server (the default)
  generate-key    print a new encryption key for the credentials file

options:
  -c, --config FILE              config.json; without it the built-in defaults apply
  -ek, --encryption-key KEY      encrypts the credentials file; visible to other users in `ps`, so prefer
      --encryption-key-file FILE or the variable GEMINI_PROXY_ENCRYPTION_KEY
  -h, --help                     this text
  -V, --version                  name and version
";

/// One line for standard error when the arguments make no sense.
pub const USAGE: &str = "usage: gemini-openai-proxy [run|generate-key] [-c FILE] [-ek KEY] [--help] [--version]";

/// The environment variable that holds the encryption key.
pub const KEY_VARIABLE: &str = "GEMINI_PROXY_ENCRYPTION_KEY";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start the server.
    Run(RunOptions),
    /// Print a new encryption key.
    GenerateKey,
    /// Print [`HELP`].
    Help,
    /// Print name and version.
    Version,
}

/// Options of `run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-ek`.
    pub encryption_key: Option<Secret>,
    /// `--encryption-key-file`.
    pub encryption_key_file: Option<PathBuf>,
}

impl RunOptions {
    /// The encryption key: from the argument, else from the key file, else from the environment's `variable`. A key that
    /// is empty counts as none. The error is a sentence for the operator.
    pub fn key(&self, variable: Option<String>) -> Result<Option<Secret>, String> {
        if let Some(key) = &self.encryption_key {
            return Ok(Some(key.clone()).filter(|key| !key.is_empty()));
        }
        if let Some(path) = &self.encryption_key_file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--encryption-key-file {}: {error}", path.display()))?;
            let key = text.trim();
            if key.is_empty() {
                return Err(format!("--encryption-key-file {}: the file is empty", path.display()));
            }
            return Ok(Some(Secret::new(key)));
        }
        Ok(variable.filter(|key| !key.is_empty()).map(Secret::new))
    }
}

/// Reads the arguments after the program's name. The error is a sentence; the program prints it with [`USAGE`] and exits
/// with 2.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = pico_args::Arguments::from_vec(spell_out(arguments));
    if arguments.contains(["-h", "--help"]) {
        return Ok(Command::Help);
    }
    if arguments.contains(["-V", "--version"]) {
        return Ok(Command::Version);
    }
    let word = arguments.subcommand().map_err(|error| error.to_string())?;
    let command = match word.as_deref() {
        None | Some("run") => Command::Run(RunOptions {
            config: option(&mut arguments, "--config")?.map(PathBuf::from),
            encryption_key: option(&mut arguments, "--encryption-key")?.map(Secret::new),
            encryption_key_file: option(&mut arguments, "--encryption-key-file")?.map(PathBuf::from),
        }),
        Some("generate-key") => Command::GenerateKey,
        Some(other) => return Err(format!("unknown command '{other}' (choose from 'run', 'generate-key')")),
    };
    match arguments.finish().first() {
        None => Ok(command),
        Some(extra) => Err(format!("unrecognized argument: {}", extra.to_string_lossy())),
    }
}

/// A value that looks like an option is a forgotten value: `-ek --config x` must not encrypt with the key `--config`.
fn option(arguments: &mut pico_args::Arguments, name: &'static str) -> Result<Option<String>, String> {
    let value: Option<String> = arguments.opt_value_from_str(name).map_err(|error| match error {
        pico_args::Error::OptionWithoutAValue(_) => format!("argument {name}: expected one argument"),
        other => other.to_string(),
    })?;
    match value {
        Some(value) if value.starts_with('-') => {
            Err(format!("argument {name}: expected one argument (write {name}=VALUE if it begins with '-')"))
        }
        Some(value) => Ok(Some(value.strip_prefix(ESCAPED_DASH).map(|rest| format!("-{rest}")).unwrap_or(value))),
        None => Ok(None),
    }
}

/// Stands for a leading dash that was written after `=` and is therefore meant.
const ESCAPED_DASH: &str = "\u{1}dash\u{1}";

/// Turns the old parser's liberties into plain long options, which is also all that pico-args understands in debug builds.
fn spell_out(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const LONG: [&str; 5] = ["--config", "--encryption-key", "--encryption-key-file", "--help", "--version"];
    let mut spelled = Vec::new();
    for argument in arguments {
        let Some(text) = argument.to_str() else {
            spelled.push(argument);
            continue;
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name, Some(value)),
            _ => (text, None),
        };
        let long = match name {
            "-c" => Some("--config"),
            "-e" | "-ek" => Some("--encryption-key"),
            _ if name.starts_with("--") && name.len() > 2 => match LONG.iter().find(|long| **long == name) {
                Some(exact) => Some(*exact),
                // In table order `--enc` means `--encryption-key`, as it did when there was no key file.
                None => LONG.iter().find(|long| long.starts_with(name)).copied(),
            },
            _ => None,
        };
        match (long, value) {
            (Some(long), None) => spelled.push(long.into()),
            (Some(long), Some(value)) => {
                spelled.push(long.into());
                let meant = value.strip_prefix('-').map(|rest| format!("{ESCAPED_DASH}{rest}"));
                spelled.push(meant.unwrap_or_else(|| value.to_owned()).into());
            }
            (None, _) if name.starts_with("-c") && !name.starts_with("--") => {
                spelled.push("--config".into());
                spelled.push(text[2..].into());
            }
            (None, _) => spelled.push(argument),
        }
    }
    spelled
}

/// A new encryption key: 32 random bytes in urlsafe base64, 44 characters. Never begins with `-`, so that it can follow
/// `-ek` without `=`.
pub fn new_key() -> Result<String, String> {
    use base64::Engine;
    loop {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers from the system: {error}"))?;
        let key = base64::engine::general_purpose::URL_SAFE.encode(bytes);
        if !key.starts_with('-') {
            return Ok(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn run(config: Option<&str>, key: Option<&str>) -> Result<Command, String> {
        Ok(Command::Run(RunOptions {
            config: config.map(PathBuf::from),
            encryption_key: key.map(Secret::new),
            encryption_key_file: None,
        }))
    }

    #[test]
    fn every_spelling_of_the_old_program_is_understood() {
        for (line, config, key) in [
            ("", None, None),
            ("run", None, None),
            ("-c a.json", Some("a.json"), None),
            ("run -c a.json -ek k", Some("a.json"), Some("k")),
            ("-c a.json -ek=k", Some("a.json"), Some("k")),
            ("-ca.json -e k", Some("a.json"), Some("k")),
            ("run --config=a.json --encryption-key=k", Some("a.json"), Some("k")),
            ("run --conf a.json --enc k", Some("a.json"), Some("k")),
            ("-ek=-k", None, Some("-k")),
        ] {
            assert_eq!(parsed(line), run(config, key), "{line}");
        }
        assert_eq!(parsed("generate-key"), Ok(Command::GenerateKey));
        assert_eq!(parsed("run --help"), Ok(Command::Help));
        assert_eq!(parsed("--version"), Ok(Command::Version));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["serve", "run --port 5", "-c", "-ek --config a.json", "run extra", "generate-key -c x"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_argument_wins_over_the_variable() {
        let options = RunOptions { encryption_key: Some(Secret::new("a")), ..RunOptions::default() };
        assert_eq!(options.key(Some("b".into())), Ok(Some(Secret::new("a"))));
        assert_eq!(RunOptions::default().key(Some("b".into())), Ok(Some(Secret::new("b"))));
        assert_eq!(RunOptions::default().key(Some(String::new())), Ok(None));
    }

    #[test]
    fn new_keys_are_44_characters_and_differ() {
        let (one, two) = (new_key().unwrap(), new_key().unwrap());
        assert_eq!(one.len(), 44);
        assert_ne!(one, two);
    }
}
