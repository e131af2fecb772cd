//! What the user typed, and nothing that depends on files: so help works when the configuration is broken.
//!
//! The words are the old program's (docs/compatibility.md "Command line"): its argument parser took `-ek`, unambiguous
//! beginnings of long options, `-cFILE`, and its README ran it without the word `run`.

use super::Probe;
use crate::os::random;
use crate::secret::Secret;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The help text.
pub const HELP: &str = "\
Gemini API Proxy Server v2. Use 'run' to start the server or 'generate-key' to create a new encryption key.

usage: gemini-openai-proxy [run] [-c FILE] [-ek KEY | --encryption-key-file FILE]
       gemini-openai-proxy auth -c FILE [--paste | --vertex FILE] [--offline]
       gemini-openai-proxy check [-c FILE] [--alerts]
       gemini-openai-proxy health | ready [-c FILE]
       gemini-openai-proxy decrypt -c FILE [--output FILE]
       gemini-openai-proxy rotate-key -c FILE (--new-key KEY | --new-key-file FILE | --store)
       gemini-openai-proxy store import -c FILE [--dry-run] [--merge]
       gemini-openai-proxy store export -c FILE --to DIR
       gemini-openai-proxy generate-key

commands:
  run             start the server (the default)
  auth            connect a Google account and hand it to the running server
  check           look at config, files, network and every credential, and say what to do; exit code 0 or 1
  health, ready   ask the running server whether it lives, and whether it may get traffic; exit code 0 or 1
  decrypt         put the credentials file in clear; the encrypted one is kept beside it
  rotate-key      encrypt the credentials file with another key; the old one is kept beside it
  store           bring credentials and keys of the page from files into the store of replicas, or out
  generate-key    print a new encryption key for the credentials file
  help, version   this text; name and version

options:
  -c, --config FILE              config.json; without it the built-in defaults apply
  -ek, --encryption-key KEY      encrypts the credentials file; visible to other users in `ps`, so prefer
      --encryption-key-file FILE or the variable GEMINI_PROXY_ENCRYPTION_KEY
      --paste                    auth: the browser is elsewhere; paste the code or the address it ends on
      --vertex FILE              auth: no login, but this service account, gcloud login or key for Vertex AI
      --offline                  auth: write the credentials file instead of asking the running server
      --alerts                   check: send a message of trial to each address in alerts
      --output FILE              decrypt: write there and leave the file alone; `-` is standard output
      --dry-run                  store import: only say what would be done
      --merge                    store import: into a store that has some already
      --to DIR                   store export: write credentials.json and its state file there
      --new-key KEY              rotate-key: visible in `ps`, so prefer
      --new-key-file FILE
      --store                    rotate-key: put the store under the present key, from store.old_encryption_keys
  -h, --help                     this text
  -V, --version                  name and version
";

/// One line for standard error when the arguments make no sense.
pub const USAGE: &str = "usage: gemini-openai-proxy \
    [run|auth|check|health|ready|decrypt|rotate-key|store|generate-key|help|version] [-c FILE] [-ek KEY] [--help] [--version]";

/// Of a key that `generate-key` makes, less the padding.
pub const KEY_LENGTH: usize = 43;

/// What `generate-key` says before the key.
pub const KEY_SENTENCE: &str = "Generated new encryption key. Please store it securely:";

/// The environment variable that holds the encryption key.
pub const KEY_VARIABLE: &str = "GEMINI_PROXY_ENCRYPTION_KEY";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start the server.
    Run(RunOptions),
    /// Connect an account.
    Auth(AuthOptions),
    /// Put credentials for Vertex AI into the pool, from this file.
    AuthVertex(AuthOptions, PathBuf),
    /// Look for what is wrong.
    Check(RunOptions),
    /// The same, with a message of trial to each address of the alerts.
    CheckAlerts(RunOptions),
    /// Ask the running server.
    Probe(Probe, RunOptions),
    /// Put the credentials file in clear.
    Decrypt(DecryptOptions),
    /// Encrypt it with another key.
    RotateKey(RotateOptions),
    /// Put what replicas share under the present key.
    RotateStore(RunOptions),
    /// Move credentials and keys of the page into the store of replicas, or out of it.
    Store(StoreOptions),
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
    /// The encryption key: from the argument, else from the key file, else from the environment's `variable`. A key
    /// that is empty counts as none. The error is a sentence for the operator.
    pub fn key(&self, variable: Option<String>) -> Result<Option<Secret>, String> {
        if self.encryption_key.is_some() || self.encryption_key_file.is_some() {
            let (key, file) = (self.encryption_key.as_ref(), self.encryption_key_file.as_deref());
            return chosen_key(key, file, "--encryption-key-file");
        }
        Ok(variable.filter(|key| !key.is_empty()).map(Secret::new))
    }
}

/// A key that was given as an argument, else in a file; `name` is the file's option. One that is empty counts as none.
pub fn chosen_key(key: Option<&Secret>, file: Option<&Path>, name: &str) -> Result<Option<Secret>, String> {
    if key.is_some() {
        return Ok(key.cloned().filter(|key| !key.is_empty()));
    }
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name} {}: {error}", path.display()))?;
    // `generate-key > FILE` leaves its sentence above the key.
    let text = text.trim().strip_prefix(KEY_SENTENCE).unwrap_or(&text);
    match text.trim() {
        "" => Err(format!("{name} {}: the file is empty", path.display())),
        key => Ok(Some(Secret::new(key))),
    }
}

/// Options of `auth`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AuthOptions {
    /// `-c`, which it needs, and the key for `--offline`.
    pub run: RunOptions,
    /// A person carries the code over.
    pub paste: bool,
    /// The file is written here.
    pub offline: bool,
}

/// Options of `decrypt`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DecryptOptions {
    /// `-c` and the key.
    pub run: RunOptions,
    /// `--output`; `-` is standard output.
    pub output: Option<PathBuf>,
}

/// Options of `rotate-key`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RotateOptions {
    /// `-c` and the present key.
    pub run: RunOptions,
    /// `--new-key`.
    pub new_key: Option<Secret>,
    /// `--new-key-file`.
    pub new_key_file: Option<PathBuf>,
}

/// Options of `store`.
#[derive(Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `-c` and the key.
    pub run: RunOptions,
    /// Which way.
    pub word: StoreWord,
}

/// The word after `store`.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreWord {
    /// From the files into the store.
    Import {
        /// `--dry-run`: nothing is changed.
        is_dry: bool,
        /// `--merge`: the store may have some.
        merges: bool,
    },
    /// From the store into files.
    Export {
        /// `--to`: an existing folder.
        to: PathBuf,
    },
}

/// Reads the arguments after the program's name. The error is a sentence; the program prints it with [`USAGE`] and
/// exits with 2.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = pico_args::Arguments::from_vec(word_first(spell_out(arguments)));
    if arguments.contains(["-h", "--help"]) {
        return Ok(Command::Help);
    }
    if arguments.contains(["-V", "--version"]) {
        return Ok(Command::Version);
    }
    let word = arguments.subcommand().map_err(|error| error.to_string())?;
    match word.as_deref() {
        Some("help") => return Ok(Command::Help),
        Some("version") => return Ok(Command::Version),
        _ => {}
    }
    let command = match word.as_deref() {
        None | Some("run") => Command::Run(run_options(&mut arguments)?),
        Some("auth") => {
            let vertex = option(&mut arguments, "--vertex")?;
            let options = AuthOptions {
                paste: arguments.contains("--paste"),
                offline: arguments.contains("--offline"),
                run: with_config(&mut arguments)?,
            };
            match vertex {
                Some(file) => Command::AuthVertex(options, file.into()),
                None => Command::Auth(options),
            }
        }
        Some("check") if arguments.contains("--alerts") => Command::CheckAlerts(run_options(&mut arguments)?),
        Some("check") => Command::Check(run_options(&mut arguments)?),
        Some("health") => Command::Probe(Probe::Health, run_options(&mut arguments)?),
        Some("ready") => Command::Probe(Probe::Ready, run_options(&mut arguments)?),
        Some("decrypt") => {
            Command::Decrypt(DecryptOptions { output: output(&mut arguments)?, run: with_config(&mut arguments)? })
        }
        Some("rotate-key") if arguments.contains("--store") => Command::RotateStore(with_config(&mut arguments)?),
        Some("rotate-key") => {
            let (key, file) = (option(&mut arguments, "--new-key")?, option(&mut arguments, "--new-key-file")?);
            if key.is_some() == file.is_some() {
                return Err("rotate-key: one of --new-key, --new-key-file and --store is required".into());
            }
            Command::RotateKey(RotateOptions {
                new_key: key.map(Secret::new),
                new_key_file: file.map(PathBuf::from),
                run: with_config(&mut arguments)?,
            })
        }
        Some("store") => Command::Store(store(&mut arguments)?),
        Some("generate-key") => Command::GenerateKey,
        Some(other) => {
            return Err(format!(
                "unknown command '{other}' (choose from 'run', 'auth', 'check', 'health', 'ready', 'decrypt', 'rotate-key', 'store', 'generate-key')"
            ));
        }
    };
    match arguments.finish().first() {
        None => Ok(command),
        Some(extra) => Err(format!("unrecognized argument: {}", extra.to_string_lossy())),
    }
}

fn store(arguments: &mut pico_args::Arguments) -> Result<StoreOptions, String> {
    let word = match arguments.subcommand().map_err(|error| error.to_string())?.as_deref() {
        Some("import") => {
            StoreWord::Import { is_dry: arguments.contains("--dry-run"), merges: arguments.contains("--merge") }
        }
        Some("export") => {
            let to = option(arguments, "--to")?.ok_or("store export: the following arguments are required: --to")?;
            StoreWord::Export { to: to.into() }
        }
        _ => return Err("store: one of import and export is required".into()),
    };
    Ok(StoreOptions { run: with_config(arguments)?, word })
}

fn run_options(arguments: &mut pico_args::Arguments) -> Result<RunOptions, String> {
    Ok(RunOptions {
        config: option(arguments, "--config")?.map(PathBuf::from),
        encryption_key: option(arguments, "--encryption-key")?.map(Secret::new),
        encryption_key_file: option(arguments, "--encryption-key-file")?.map(PathBuf::from),
    })
}

/// What works on a person's files must be told which.
fn with_config(arguments: &mut pico_args::Arguments) -> Result<RunOptions, String> {
    let options = run_options(arguments)?;
    if options.config.is_some() { Ok(options) } else { Err("the following arguments are required: -c/--config".into()) }
}

/// `--output`, whose value may be a lone dash.
fn output(arguments: &mut pico_args::Arguments) -> Result<Option<PathBuf>, String> {
    arguments
        .opt_value_from_str("--output")
        .map_err(|_| "argument --output: expected one argument".to_owned())
        .map(|value: Option<String>| value.map(|value| PathBuf::from(value.replace(ESCAPED_DASH, "-"))))
}

/// A value that looks like an option is a forgotten value: `-ek --config x` must not encrypt with the key `--config`.
/// Of an option given twice the last one counts, so that a wrapper's own can be overridden.
fn option(arguments: &mut pico_args::Arguments, name: &'static str) -> Result<Option<String>, String> {
    let mut last = None;
    loop {
        let value: Option<String> = arguments.opt_value_from_str(name).map_err(|error| match error {
            pico_args::Error::OptionWithoutAValue(_) => format!("argument {name}: expected one argument"),
            other => other.to_string(),
        })?;
        let Some(value) = value else { return Ok(last) };
        if value.starts_with('-') {
            return Err(format!("argument {name}: expected one argument (write {name}=VALUE if it begins with '-')"));
        }
        last = Some(value.strip_prefix(ESCAPED_DASH).map(|rest| format!("-{rest}")).unwrap_or(value));
    }
}

/// Stands for a leading dash that was written after `=` and is therefore meant.
const ESCAPED_DASH: &str = "\u{1}dash\u{1}";

/// Turns the old parser's liberties into plain long options, which is also all that pico-args understands in debug
/// builds.
fn spell_out(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    const LONG: [&str; 16] = [
        "--config",
        "--encryption-key",
        "--encryption-key-file",
        "--help",
        "--version",
        "--paste",
        "--offline",
        "--alerts",
        "--vertex",
        "--output",
        "--new-key",
        "--new-key-file",
        "--dry-run",
        "--merge",
        "--to",
        "--store",
    ];
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

/// Puts the command before the options that were written before it, such as `-c FILE check`.
fn word_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    const FLAGS: [&str; 8] =
        ["--help", "--version", "--paste", "--offline", "--alerts", "--dry-run", "--merge", "--store"];
    let mut at = 0;
    while let Some(text) = arguments.get(at).map(|argument| argument.to_string_lossy()) {
        if !text.starts_with('-') {
            let word = arguments.remove(at);
            arguments.insert(0, word);
            break;
        }
        at += if FLAGS.contains(&&*text) { 1 } else { 2 };
    }
    arguments
}

/// A new encryption key: 32 random bytes in urlsafe base64, 44 characters. Never begins with `-`, so that it can follow
/// `-ek` without `=`.
pub fn new_key() -> String {
    use base64::Engine;
    loop {
        let key = base64::engine::general_purpose::URL_SAFE.encode(random::bytes::<32>());
        if !key.starts_with('-') {
            return key;
        }
    }
}
