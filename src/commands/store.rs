//! `store import` and `store export`: from the files of one machine into the store that replicas share, and back.

use super::{Failure, agent_for_google, configured};
use crate::commands::args::{StoreOptions, StoreWord};
use crate::config::{Config, ProxyChoice, Timeouts};
use crate::credentials::{Credentials, Options, rekey};
use crate::secret::Secret;
use crate::storage::state::{self, State};
use crate::store;
use crate::upstream::json_client;
use serde_json::value::RawValue;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a proxy that may be running has time to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Moves credentials and keys of the page in or out.
pub fn store_word(options: &StoreOptions) -> Result<(), Failure> {
    let moved = configured(&options.run).and_then(|config| match (&config.store, &options.word) {
        (None, _) => Err("there is no `store` in the config".to_owned()),
        (Some(_), StoreWord::Import { is_dry, merges }) => import(&config, *is_dry, *merges),
        (Some(_), StoreWord::Export { to }) => export(&config, to),
    });
    moved.map_err(|message| (1, format!("[ERROR] {message}")))
}

/// The credentials of the store. One that nobody has used is made if `may_make`.
fn shared(config: &Config, may_make: bool) -> Result<Arc<Credentials>, String> {
    let options = Options::new(config, agent_for_google(config, config.timeouts, 1));
    let options = Options { api_keys: Vec::new(), is_machine: false, ..options };
    store::visit(config, Credentials::open(options).map_err(|error| error.to_string())?, may_make)
}

/// What a proxy changes while it is read would be lost.
fn refuse_running(config: &Config) -> Result<(), String> {
    let config = Config { proxy: ProxyChoice::Direct, ..config.clone() };
    let base = config.listening_at("127.0.0.1", config.port);
    let agent = agent_for_google(&config, Timeouts { connect: Some(PATIENCE), read: Some(PATIENCE) }, 1);
    match json_client::get_json(&agent, &format!("{base}/livez"), None) {
        Ok(_) => Err(format!("a proxy answers at {base}: stop it first, it changes these files. Nothing was changed")),
        Err(_) => Ok(()),
    }
}

/// The credentials of the files; `None`: there is no file of credentials.
fn of_file(config: &Config) -> Result<Option<Credentials>, String> {
    let path = &config.credentials_file;
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    if let Some(mistake) = rekey::mistake(&bytes) {
        return Err(format!("{}: {mistake}; nothing was changed", path.display()));
    }
    // One in clear stays as it is.
    let key = config.encryption_key.clone().filter(|_| !rekey::is_plain(&bytes));
    let options = Options {
        is_shared: false,
        encryption_key: key,
        api_keys: Vec::new(),
        is_machine: false,
        remembered: state::section(&config.state_file, "pool").value(),
        ..Options::new(config, agent_for_google(config, config.timeouts, 1))
    };
    Credentials::open(options).map(Some).map_err(|error| error.to_string())
}

fn import(config: &Config, is_dry: bool, merges: bool) -> Result<(), String> {
    refuse_running(config)?;
    state::intact(&config.state_file).map_err(|why| {
        format!(
            "{why}. Nothing was changed. A proxy that is started once without `store` goes on with what can be read of a \
             damaged file, and says what it lost"
        )
    })?;
    let of_file = of_file(config)?;
    if of_file.is_none() && !config.state_file.exists() {
        let (one, other) = (config.credentials_file.display(), config.state_file.display());
        return Err(format!("there is neither {one} nor {other}; nothing was changed"));
    }
    // A store that nobody has used is made only when it is known that it may be filled.
    let (present, there) = (shared(config, false)?.in_store(), store::page_keys(config)?);
    if present + there.len() > 0 && !merges {
        return Err(format!(
            "the store has {present} credentials and {} keys of the page already; --merge adds what it has not. \
             Nothing was changed",
            there.len()
        ));
    }
    let pool = shared(config, !is_dry)?;
    let brought = of_file.map(|of_file| pool.bring(&of_file, is_dry)).transpose();
    let brought = brought.map_err(|message| message.to_string())?.unwrap_or_default();
    let would = if is_dry { " (nothing was changed)" } else { "" };
    println!(
        "credentials: {} added, {} updated, {} known already{would}",
        brought.added, brought.updated, brought.known
    );
    let brought = store::bring_page_keys(config, &state::section(&config.state_file, "keys"), &there, is_dry)?;
    println!("keys of the page: {} added, {} known already{would}", brought.added, brought.known);
    if brought.renamed > 0 {
        println!("{} of them have a number behind their name, since another key has it", brought.renamed);
    }
    match brought.left {
        0 => Ok(()),
        left => Err(format!("{left} keys of the state file cannot be brought in; the rest is")),
    }
}

fn export(config: &Config, to: &Path) -> Result<(), String> {
    let (pool, unread) = (shared(config, false)?, store::unread(config)?);
    let mut page_keys = store::page_keys(config)?;
    page_keys.retain(|(id, _)| !unread.keys.contains(id));
    let items = pool.items();
    if items.is_empty() && page_keys.is_empty() {
        return Err(match unread.is_empty() {
            true => "the store has neither credentials nor keys of the page; nothing was written".into(),
            false => format!("{unread}; it has nothing else, and nothing was written"),
        });
    }
    let text = serde_json::to_string_pretty(&items).map_err(|error| error.to_string())?;
    let (file, remembered) = (to.join("credentials.json"), to.join("credentials.json.state.json"));
    if remembered.exists() {
        return Err(format!("{} is there already; nothing was written", remembered.display()));
    }
    let texts = page_keys.into_iter().map(|(id, text)| Ok((id, RawValue::from_string(text)?)));
    let texts: Vec<_> = texts.collect::<Result<_, serde_json::Error>>().map_err(|error| error.to_string())?;
    let (count, keys) = (items.len(), texts.len());
    let key = config.encryption_key.clone().unwrap_or_else(|| Secret::new(""));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to)
        .map_err(|error| format!("{}: {error}", to.display()))?;
    rekey::write_new(&file, rekey::sealed(&text, &key).as_bytes()).map_err(|error| error.to_string())?;
    let state = State::open(&remembered);
    state.own("pool", || 1, move |part, sink| pool.save(part, sink));
    state.own("keys", || 1, move |_, sink| texts.iter().for_each(|(id, text)| sink.put(id, text)));
    state.save().map_err(|error| format!("{}: {error}", remembered.display()))?;
    println!("{count} credentials are in {}, encrypted with the present key", file.display());
    println!("{keys} keys of the page are in {}", remembered.display());
    match unread.is_empty() {
        true => Ok(()),
        false => Err(format!("{unread}; they are not in these files, and everything else is")),
    }
}
