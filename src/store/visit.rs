//! Commands that look after the credentials in the store and go again: they are no replica.

use super::accounts::Accounts;
use super::copies::{Records, Rests};
use super::limits::Limits;
use super::news::Copies;
use super::redis::{KEYS, Link, Reseal, Scripts, Standing};
use super::{cipher, link, unread};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::credentials::shared::Away;
use crate::keys::{BroughtKeys, Change, Outcome, bring};
use crate::storage::state::Section;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets the credentials be those of the store that the config names. A store that nobody has used yet is made, or, where
/// nothing may be written, left alone. The error is a sentence.
pub fn visit(config: &Config, pool: Credentials, may_make: bool) -> Result<Arc<Credentials>, String> {
    let pool = Arc::new(pool);
    let Some((link, accounts)) = accounts(config, may_make)? else { return Ok(pool) };
    pool.share(accounts.clone(), &Value::Null, Box::new(|| {}));
    pool.settle_shared();
    let mut reader = link.reader(Duration::ZERO).ok_or_else(|| Away::Down.message().to_string())?;
    for copy in [&Records::new(accounts.clone(), pool.clone()) as &dyn Copies, &Rests::new(accounts, pool.clone())] {
        let all = reader.all(copy.table()).map_err(|_| Away::Down.message().to_string())?;
        copy.replace(all);
    }
    pool.know_next(reader.next_number().map_err(|_| Away::Down.message().to_string())?);
    Ok(pool)
}

/// The keys of the page that the store has: ids and texts. A store that nobody has used has none. The error is a sentence.
pub fn page_keys(config: &Config) -> Result<Vec<(String, String)>, String> {
    let Some((link, _)) = accounts(config, false)? else { return Ok(Vec::new()) };
    let down = || Away::Down.message().to_string();
    let records = link.reader(Duration::ZERO).and_then(|mut reader| reader.all(KEYS).ok()).ok_or_else(down)?;
    let mut keys: Vec<_> = records.into_iter().filter_map(|record| Some((record.id, record.text?))).collect();
    keys.sort_unstable();
    Ok(keys)
}

/// Brings the keys of a state file's section to those that are there, as [`page_keys`] returns them. A dry run only counts.
/// The error is a sentence.
pub fn bring_page_keys(
    config: &Config,
    section: &Section,
    there: &[(String, String)],
    is_dry: bool,
) -> Result<BroughtKeys, String> {
    bring(section, there, |changes| match is_dry {
        true => Ok(vec![Outcome::Done; changes.len()]),
        false => write_page_keys(config, changes),
    })
}

/// Seals what lies in the store with the first encryption key. It may be interrupted, repeated, and run beside replicas. How many
/// values it changed; the error is a sentence, which names what cannot be read.
pub fn reseal(config: &Config) -> Result<usize, String> {
    let Some((link, accounts)) = accounts(config, false)? else { return Ok(0) };
    if let Some(trouble) = link.trouble() {
        return Err(told(&link, &format!("{}; nothing was changed", trouble.reason)));
    }
    let done = link.reader(PATIENCE).and_then(|reader| {
        let mut reseal = Reseal::new(reader, &link.cipher);
        reseal.round().ok()?;
        let (first, _) = reseal.told();
        reseal.round().ok()?;
        let (again, unread) = reseal.told();
        // Nobody who has the first key adds anything.
        if again == 0 {
            reseal.meta().ok()?;
        }
        let (meta, of_meta) = reseal.told();
        Some((first + meta, again, [unread, of_meta].concat()))
    });
    let (done, mut unknown) = match done {
        None => return Err(told(&link, "it does not answer; what is done is done: run it again")),
        Some((done, 0, unknown)) => (done, unknown),
        Some(_) => {
            return Err("a replica still seals with an old key: give each the new one first, and run it again".into());
        }
    };
    let damaged = unread::of(&link, &accounts)?;
    if unknown.is_empty() && damaged.is_empty() {
        return Ok(done);
    }
    let mut wrong = Vec::new();
    if !damaged.is_empty() {
        wrong.push(damaged.to_string());
    }
    if !unknown.is_empty() {
        unknown.dedup();
        wrong.push(format!("texts are sealed with a key that is not known here: {}", unknown.join(", ")));
    }
    Err(format!("{}; everything else has the present key", wrong.join("; ")))
}

fn write_page_keys(config: &Config, changes: &[Change]) -> Result<Vec<Outcome>, String> {
    let Some((link, _)) = accounts(config, true)? else { return Ok(Vec::new()) };
    let names = link.names().ok_or_else(|| Away::Down.message().to_string())?;
    let written = link.edit(|scripts: &Scripts, line, is_sent| scripts.keys(line, &names, changes, is_sent, 0));
    let (_, outcomes) = written.map_err(|fault| Away::from(fault).message().to_string())?;
    Ok(outcomes)
}

pub(super) type Visitor = (Arc<Link>, Arc<Accounts>);

/// `None`: there is none, or one that nobody has used yet.
pub(super) fn accounts(config: &Config, may_make: bool) -> Result<Option<Visitor>, String> {
    let Some(store) = &config.store else { return Ok(None) };
    let (link, wake, _) = cipher(config).and_then(|cipher| link(store, cipher)).map_err(|fault| fault.message)?;
    if !may_make && link.look().map_err(|reason| told(&link, &reason))?.is_new {
        return Ok(None);
    }
    open(&link)?;
    let limits = Arc::new(Limits::new(link.clone(), &store.replica, store.when_down, wake));
    Ok(Some((link, Arc::new(Accounts::new(limits)))))
}

fn open(link: &Link) -> Result<(), String> {
    link.open();
    match link.standing() {
        Standing::Up => Ok(()),
        Standing::Down { reason, .. } => Err(told(link, &reason)),
        Standing::Refused { why, .. } => Err(told(link, &why.sentence)),
    }
}

fn told(link: &Link, reason: &str) -> String {
    format!("store {}: {reason}", link.address())
}
