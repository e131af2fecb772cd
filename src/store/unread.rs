//! Records of the store that nobody can read, whatever has damaged them. They are told by their names, never by what they say.

use super::accounts::Accounts;
use super::redis::{KEYS, Link};
use super::visit::accounts;
use crate::config::Config;
use crate::credentials::shared::Away;
use crate::keys::is_readable;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    credentials: BTreeSet<String>,
    /// Of these credentials.
    rests: BTreeSet<String>,
    /// Ids of keys of the page.
    pub keys: BTreeSet<String>,
}

impl Unread {
    /// Everything can be read.
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty() && self.rests.is_empty() && self.keys.is_empty()
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rests = self.rests.iter().map(|id| format!("the rests of {}", credential(id)));
        let keys = self.keys.iter().map(|id| format!("the key {}", id.escape_debug()));
        let all: Vec<String> = self.credentials.iter().map(|id| credential(id)).chain(rests).chain(keys).collect();
        write!(f, "{} records of the store cannot be read: {}", all.len(), all.join(", "))
    }
}

/// How a credential is called whose record has this field.
pub(super) fn credential(field: &str) -> String {
    match field.parse::<u64>() {
        Ok(number) => format!("the credential cred-{number}"),
        Err(_) => format!("the credential {}", field.escape_debug()),
    }
}

/// Which credentials, rests and keys of the page cannot be read. A store that nobody has used has none. The error is a sentence.
pub fn unread(config: &Config) -> Result<Unread, String> {
    match accounts(config, false)? {
        Some((link, accounts)) => of(&link, &accounts),
        None => Ok(Unread::default()),
    }
}

/// The same of a store that is open.
pub(super) fn of(link: &Link, accounts: &Accounts) -> Result<Unread, String> {
    let down = || Away::Down.message().to_string();
    let mut reader = link.reader(Duration::ZERO).ok_or_else(down)?;
    let mut all = |table| reader.all(table).map_err(|_| down());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let credentials = all("cred")?.into_iter().filter(|record| accounts.read_record(record).is_none());
    let rests = all("cool")?.into_iter().filter(|record| !accounts.has_whole_rests(&text(&record.text)));
    let keys = all(KEYS)?.into_iter().filter(|record| !is_readable(&record.id, &text(&record.text)));
    Ok(Unread {
        credentials: credentials.map(|record| record.id).collect(),
        rests: rests.map(|record| record.id).collect(),
        keys: keys.map(|record| record.id).collect(),
    })
}
