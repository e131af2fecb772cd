//! What replicas say of themselves with each beat, and what a person sees of all.

use super::Replicas;
use super::limits::Limits;
use super::redis::{Names, Scripts, at};
use crate::calendar;
use crate::config::Config;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

/// How many threads are busy, and how many there may be.
type Busy = Box<dyn Fn() -> [usize; 2] + Send + Sync>;

/// What a replica can say of itself once it serves.
pub(super) struct Introduction {
    busy: Busy,
    config: Vec<(String, [u8; 32])>,
}

impl Limits {
    /// JSON. The hashes of the config go through the names' key: a short password is not to be guessed by its hash.
    pub(super) fn said(&self, names: &Names) -> String {
        let since = self.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ahead = self.ahead.load(Ordering::Relaxed);
        let mut said = json!({"name": self.name, "version": env!("CARGO_PKG_VERSION"), "since": since, "ahead": ahead});
        if let Some(introduction) = &*self.introduction.lock() {
            let [busy, workers] = (introduction.busy)();
            said["busy"] = busy.into();
            said["workers"] = workers.into();
            let config = introduction.config.iter();
            let config = config.map(|(name, hash)| (name.clone(), names.hidden(b"config", hash, 6).into()));
            said["config"] = Value::Object(config.collect());
        }
        said.to_string()
    }
}

impl Replicas {
    /// From now on the others are told how busy this replica is, and whether it has taken the same config.
    pub fn introduce(&self, busy: Busy, config: &Config) {
        *self.limits.introduction.lock() = Some(Introduction { busy, config: config.compared() });
    }

    /// The replicas that lived in the last hour, for the admin page; none while the store is away. Each says in which keys of
    /// the file its config is unlike the one here.
    pub fn all(&self) -> Vec<Value> {
        let limits = &*self.limits;
        let Some(names) = limits.link.names() else { return Vec::new() };
        let said = limits.link.ask(|_, line, _| Scripts::replicas(line, &names)).unwrap_or_default();
        let own: Value = serde_json::from_str(&limits.said(&names)).unwrap_or_default();
        // Put in order by hand: they are few, and a sort for them alone would be 6 kB of the program.
        let mut rows: Vec<Value> = Vec::new();
        for row in said.iter().filter_map(|(said, who)| self.row(said, who, &own)) {
            let is_behind = |other: &Value| other["incarnation"].as_str() > row["incarnation"].as_str();
            let at = rows.iter().position(is_behind).unwrap_or(rows.len());
            rows.insert(at, row);
        }
        rows
    }

    fn row(&self, said: &str, who: &str, own: &Value) -> Option<Value> {
        let said: Value = serde_json::from_str(said).ok()?;
        let (who, beat) = who.split_once(' ')?;
        let beat = at(beat.parse().ok()?);
        let is_silent = self.limits.is_silent(beat);
        let unlike = match (&said["config"], &own["config"]) {
            (Value::Object(theirs), Value::Object(ours)) => json!(unlike(theirs, ours)),
            _ => Value::Null,
        };
        Some(json!({
            "name": said["name"],
            "incarnation": format!("{}-{who}", said["name"].as_str()?),
            "version": said["version"],
            "since": calendar::iso(at(said["since"].as_u64()? * 1000)),
            "busy": said["busy"],
            "workers": said["workers"],
            "beat": calendar::iso(beat),
            "alive": !is_silent,
            "here": who == self.limits.who,
            "clock_ahead_seconds": said["ahead"].as_i64().unwrap_or_default() as f64 / 1000.0,
            "config_unlike": unlike,
        }))
    }
}

fn unlike(theirs: &Map<String, Value>, ours: &Map<String, Value>) -> Vec<String> {
    let missing = theirs.keys().filter(|name| !ours.contains_key(&**name));
    let unlike = ours.iter().filter(|(name, hash)| theirs.get(&**name) != Some(hash)).map(|(name, _)| name);
    missing.chain(unlike).cloned().collect()
}
