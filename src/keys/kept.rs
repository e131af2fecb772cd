//! The state file's section `keys` as it was read: a record per key of the page, by its id, and one per key that was used,
//! by its mark: `[day, requests, tokens, last used]`.

use crate::storage::state::Section;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Kept<'a> {
    pub(super) keys: Vec<&'a str>,
    pub(super) meters: HashMap<u64, Vec<u64>>,
    /// Of the oldest files, which went by the name.
    pub(super) by_name: HashMap<String, Vec<u64>>,
    /// An older file's section is none.
    pub(super) is_spoilt: bool,
}

/// The whole section of an older file.
#[derive(Default, Deserialize)]
struct Older<'a> {
    #[serde(borrow, default)]
    keys: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    meters: HashMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    used: HashMap<String, &'a RawValue>,
}

impl<'a> Kept<'a> {
    /// What cannot be read is left out.
    pub(super) fn read(section: &'a Section) -> Kept<'a> {
        let mut kept = Kept::default();
        for (name, json) in section.records() {
            match (name, mark(name)) {
                ("", _) => kept.add_older(json),
                (_, Some(mark)) => _ = kept.meters.insert(mark, used(json)),
                _ => kept.keys.push(json),
            }
        }
        kept
    }

    fn add_older(&mut self, json: &'a str) {
        let older = match serde_json::from_str::<Option<Older<'a>>>(json) {
            Ok(older) => older.unwrap_or_default(),
            Err(_) => {
                self.is_spoilt = true;
                return log::warn!("keys: the state file's section cannot be read; it is left out");
            }
        };
        self.keys.extend(older.keys.iter().map(|key| key.get()));
        let by_mark = older.meters.iter().filter_map(|(name, json)| Some((mark(name)?, used(json.get()))));
        self.meters.extend(by_mark);
        self.by_name.extend(older.used.into_iter().map(|(name, json)| (name, used(json.get()))));
    }
}

fn mark(name: &str) -> Option<u64> {
    u64::from_str_radix(Some(name).filter(|name| name.len() == 16)?, 16).ok()
}

fn used(json: &str) -> Vec<u64> {
    serde_json::from_str(json).unwrap_or_default()
}
