//! What a person has set on the page for credentials of the config. Their items are not ours to write, so it stands in the
//! snapshot, by the name that the credential has there, and stays there while the config does not have them.

use super::ids::fingerprint;
use crate::credentials::file::record::Record;
use serde_json::{Map, Value};

/// Where it stands in an entry of the snapshot.
const CHOSEN: &str = "chosen";
/// Fields of an item that the page sets.
const FIELDS: [&str; 3] = ["disabled", "label", "project_id"];

/// Of each credential the fields that were set; null is one that was taken away.
#[derive(Default)]
pub(super) struct Chosen(Map<String, Value>);

impl Chosen {
    /// From a snapshot of the pool.
    pub(super) fn read(saved: &Value) -> Chosen {
        let entries = saved.as_object().into_iter().flatten();
        let is_right = |fields: &&Value| fields.is_object();
        Chosen(
            entries
                .filter_map(|(name, entry)| Some((name.clone(), entry.get(CHOSEN).filter(is_right)?.clone())))
                .collect(),
        )
    }

    pub(super) fn set(&mut self, record: &Record, field: &str, value: Option<Value>) {
        self.0.entry(fingerprint(record)).or_insert_with(|| Map::new().into())[field] = value.into();
    }

    /// Puts it into an item of the config.
    pub(super) fn apply(&self, record: &mut Record) {
        if self.0.is_empty() {
            return;
        }
        let fields = self.0.get(&fingerprint(record)).and_then(Value::as_object).into_iter().flatten();
        for (field, value) in fields.filter(|(field, _)| FIELDS.contains(&field.as_str())) {
            record.set(field, Some(value.clone()).filter(|value| !value.is_null()));
        }
    }

    /// An item of the file says itself what was set.
    pub(super) fn leave_to_file(&mut self, record: &Record) {
        if !self.0.is_empty() {
            self.0.shift_remove(&fingerprint(record));
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.0.shift_remove(name);
    }

    /// The entry of the snapshot with what was set.
    pub(super) fn with(&self, name: &str, mut entry: Value) -> Value {
        if let Some(fields) = self.0.get(name) {
            entry[CHOSEN] = fields.clone();
        }
        entry
    }
}
