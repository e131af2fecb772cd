//! The words after the program's name, as the old program took them.

use gemini_openai_proxy::commands::Probe;
use gemini_openai_proxy::commands::args::{
    AuthOptions, Command, DecryptOptions, RotateOptions, RunOptions, new_key, parse,
};
use gemini_openai_proxy::secret::Secret;
use std::ffi::OsString;
use std::path::PathBuf;

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
        ("run -c a.json -ek k --config=b.json", Some("b.json"), Some("k")),
    ] {
        assert_eq!(parsed(line), run(config, key), "{line}");
    }
    assert_eq!(parsed("generate-key"), Ok(Command::GenerateKey));
    assert_eq!(parsed("run --help"), Ok(Command::Help));
    assert_eq!(parsed("--version"), Ok(Command::Version));
}

#[test]
fn the_other_commands_have_their_own_options() {
    let config = || RunOptions { config: Some("a".into()), ..RunOptions::default() };
    for (line, expected) in [
        (
            "auth --vertex key.json -c a",
            Command::AuthVertex(AuthOptions { run: config(), ..AuthOptions::default() }, "key.json".into()),
        ),
        ("auth -c a", Command::Auth(AuthOptions { run: config(), ..AuthOptions::default() })),
        ("auth --paste --off -ca", Command::Auth(AuthOptions { run: config(), paste: true, offline: true })),
        ("check", Command::Check(RunOptions::default())),
        ("health", Command::Probe(Probe::Health, RunOptions::default())),
        ("ready -c a", Command::Probe(Probe::Ready, config())),
        ("check -c a", Command::Check(config())),
        ("decrypt -c a", Command::Decrypt(DecryptOptions { run: config(), output: None })),
        ("decrypt -c a --output -", Command::Decrypt(DecryptOptions { run: config(), output: Some("-".into()) })),
        ("decrypt -c a --output=-", Command::Decrypt(DecryptOptions { run: config(), output: Some("-".into()) })),
        ("rotate-key -c a --store", Command::RotateStore(config())),
        (
            "rotate-key -c a --new-key k",
            Command::RotateKey(RotateOptions { run: config(), new_key: Some(Secret::new("k")), new_key_file: None }),
        ),
        (
            "rotate-key -c a --new-key-file k",
            Command::RotateKey(RotateOptions { run: config(), new_key: None, new_key_file: Some("k".into()) }),
        ),
    ] {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
    for line in [
        "auth",
        "decrypt",
        "rotate-key -c a",
        "rotate-key --store",
        "rotate-key -c a --store --new-key k",
        "rotate-key -c a --new-key k --new-key-file f",
        "run --paste",
        "check --offline",
        "auth -c a extra",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn help_and_version_are_words_and_options_may_come_first() {
    assert_eq!((parsed("help"), parsed("version")), (Ok(Command::Help), Ok(Command::Version)));
    for (one, other) in [
        ("-c a check", "check -c a"),
        ("-c=a -ek k run", "run -c a -ek k"),
        ("--offline -c a auth --paste", "auth -c a --paste --offline"),
    ] {
        assert_eq!(parsed(one), parsed(other), "{one}");
        assert!(parsed(one).is_ok(), "{one}");
    }
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
    let (one, two) = (new_key(), new_key());
    assert_eq!(one.len(), 44);
    assert_ne!(one, two);
}
