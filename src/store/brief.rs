//! What all replicas remember for a short while and count: wrong passwords by address, and sessions of the page that were ended.
//! Who asks does not wait: each replica has a copy, and tells the others a moment later.

use super::Replicas;
use super::accounts::ms;
use super::limits::Limits;
use super::news::Copies;
use super::redis::{Fault, Record, Scripts, at};
use crate::keys::Quota as _;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What waits in an outage; more is this replica's own.
const MOST: usize = 1000;

pub(super) struct Brief {
    limits: Arc<Limits>,
    /// As the store has them: until when it is remembered, in ms, and how often it was counted.
    known: Mutex<HashMap<String, String>>,
    /// With the time for which it is remembered; none: it is forgotten.
    untold: Mutex<Vec<(String, Duration)>>,
}

impl Brief {
    pub(super) fn new(limits: Arc<Limits>) -> Brief {
        Brief { limits, known: Mutex::default(), untold: Mutex::default() }
    }

    /// Tells the others. What is told twice after a lost answer counts twice.
    pub(super) fn tell(&self) -> Result<(), Fault> {
        let names = self.limits.link.names().ok_or(Fault::Down)?;
        // They stay where they are until they are told: what is forgotten must not come before what was counted.
        let untold = self.untold.lock().clone();
        if untold.is_empty() {
            return Ok(());
        }
        self.limits.link.ask(|scripts: &Scripts, line, _| scripts.brief(line, &names, &untold))?;
        self.untold.lock().drain(..untold.len());
        Ok(())
    }

    fn id(&self, what: &str) -> Option<String> {
        Some(self.limits.link.names()?.hidden(b"brief", what.as_bytes(), 12))
    }

    fn push(&self, what: &str, span: Duration) {
        let Some(id) = self.id(what) else { return };
        // Until the others' count is heard.
        let mut known = self.known.lock();
        let now = self.limits.now();
        let (until, times) =
            known.get(&id).map(|text| read(text)).filter(|(until, _)| *until > now).unwrap_or((now + span, 0));
        let text = (!span.is_zero()).then(|| format!("{} {}", ms(until), times + 1));
        put(&mut known, id.clone(), text);
        drop(known);
        let mut untold = self.untold.lock();
        if untold.len() < MOST {
            untold.push((id, span));
            self.limits.wake();
        }
    }

    fn hear(&self, records: Vec<Record>) {
        let mut known = self.known.lock();
        records.into_iter().for_each(|Record { id, text, .. }| put(&mut known, id, text));
    }
}

fn put(known: &mut HashMap<String, String>, id: String, text: Option<String>) {
    match text {
        None => _ = known.remove(&id),
        Some(text) => _ = known.insert(id, text),
    }
}

/// What cannot be read is over.
fn read(text: &str) -> (SystemTime, u32) {
    let (until, times) = text.split_once(' ').unwrap_or_default();
    (at(until.parse().unwrap_or(0)), times.parse().unwrap_or(0))
}

impl Copies for Brief {
    fn table(&self) -> &'static str {
        "brief"
    }

    fn replace(&self, all: Vec<Record>) {
        self.known.lock().clear();
        self.hear(all);
    }

    fn update(&self, changed: Vec<Record>) {
        self.hear(changed);
    }

    fn count(&self) -> u64 {
        self.known.lock().len() as u64
    }

    fn lasts(&self) -> bool {
        false
    }
}

impl Replicas {
    /// One more of these, on all replicas; the first one is remembered for so long, and the others until then.
    pub fn count(&self, what: &str, span: Duration) {
        self.brief.push(what, span);
    }

    /// As if there had been none.
    pub fn forget(&self, what: &str) {
        self.brief.push(what, Duration::ZERO);
    }

    /// How many of these are remembered, and for how much longer.
    pub fn counted(&self, what: &str) -> Option<(u32, Duration)> {
        let (until, times) = read(self.brief.known.lock().get(&self.brief.id(what)?)?);
        let left = until.duration_since(self.limits.now()).ok()?;
        Some((times, left)).filter(|_| !left.is_zero())
    }
}
