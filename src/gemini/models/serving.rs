//! Which model serves a name: Google leads retired names to newer models without an error, on different days for different
//! credentials. The built-in table knows days, and `modelVersion` in an answer says it for the credential that got it; that
//! is kept over restarts.

use super::{Model, builtin, without_prefixes};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Names and credentials that are remembered; then all are forgotten.
const MOST: usize = 4096;
/// What a name may have.
const LONGEST: usize = 128;

/// What answers have said so far.
#[derive(Debug, Default)]
pub struct Serving {
    /// By name and credential.
    known: RwLock<HashMap<String, HashMap<u64, Learned>>>,
    /// How often that has changed.
    changes: AtomicU64,
    /// The time for the table; `None`: now.
    time: Option<SystemTime>,
}

#[derive(Debug)]
struct Learned {
    /// Google's word for it.
    said: String,
    /// The model whose rules hold.
    serves: String,
}

impl Serving {
    /// With the table as it is at this time.
    pub fn at(time: SystemTime) -> Serving {
        Serving { time: Some(time), ..Serving::default() }
    }

    /// Knows again what was [kept](Serving::kept) of these credentials.
    pub fn restore(&self, kept: HashMap<String, HashMap<u64, String>>, is_there: impl Fn(u64) -> bool) {
        let answers =
            kept.iter().flat_map(|(name, by)| by.iter().map(move |(credential, said)| (name, credential, said)));
        for (name, credential, said) in answers.take(MOST).filter(|(_, credential, _)| is_there(**credential)) {
            self.learn(*credential, name, said);
        }
        self.changes.store(0, Ordering::Relaxed);
    }

    /// What answers said, by name and credential.
    pub fn kept(&self) -> BTreeMap<String, BTreeMap<u64, String>> {
        let mut kept: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
        for (name, by) in self.known.read().iter() {
            let said = by.iter().map(|(id, learned)| (*id, learned.said.clone()));
            kept.entry(name.clone()).or_default().extend(said);
        }
        kept
    }

    /// A number that rises with what answers say.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// What serves the name, if it need not be the model of that name. Where credentials differ it is the oldest: what a
    /// newer one does not take can be left out later.
    pub fn of(&self, name: &str) -> Option<String> {
        let known = self.known.read();
        match known.get(name) {
            Some(by) => {
                by.values().map(|learned| &learned.serves).min_by_key(|name| builtin::generation(name)).cloned()
            }
            None => self.successor(name).map(str::to_owned),
        }
    }

    /// The rules for this credential, if its answers said what serves the name.
    pub fn to(&self, credential: u64, name: &str) -> Option<Model> {
        let known = self.known.read();
        if known.is_empty() {
            return None;
        }
        known.get(name)?.get(&credential).map(|learned| builtin::guess(&learned.serves))
    }

    /// The model that the name leads to on the other side of its day; `assumed` is what did not do.
    pub fn instead(&self, name: &str, assumed: &str) -> Option<Model> {
        let (successor, _) = builtin::successor(name)?;
        Some(builtin::guess(if assumed == successor { name } else { successor }))
    }

    /// Takes note of an answer's `modelVersion`; whether that was new.
    pub fn note(&self, credential: u64, name: &str, version: &str) -> bool {
        let version = without_prefixes(version);
        let assumed = self.successor(name).unwrap_or(name);
        match self.known.read().get(name) {
            Some(by) if by.get(&credential).is_some_and(|learned| learned.said == version) => return false,
            // Others differ, so this one must be told apart.
            Some(_) => {}
            None if version == assumed => return false,
            None => {}
        }
        self.learn(credential, name, version)
    }

    fn learn(&self, credential: u64, name: &str, version: &str) -> bool {
        let is_googles = ["gemini-", "gemma-"].iter().any(|prefix| version.starts_with(prefix));
        if !is_googles || version.len() > LONGEST || name.len() > LONGEST {
            return false;
        }
        let assumed = self.successor(name).unwrap_or(name);
        let rules = |name: &str| {
            let Model { thinking, gemini3, fixed_sampling, long_decode, .. } = builtin::guess(name);
            (thinking, gemini3, fixed_sampling, long_decode)
        };
        // A dated or numbered name of the same model tells nothing, and the table knows more of the plain one.
        let serves = if rules(version) == rules(assumed) { assumed } else { version };
        let learned = Learned { said: version.into(), serves: serves.into() };
        let mut known = self.known.write();
        if known.values().map(HashMap::len).sum::<usize>() >= MOST {
            known.clear();
        }
        known.entry(name.into()).or_default().insert(credential, learned);
        self.changes.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// By the table, at this time.
    fn successor(&self, name: &str) -> Option<&'static str> {
        let (successor, day) = builtin::successor(name)?;
        let now = self.time.unwrap_or_else(SystemTime::now);
        (now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) >= day).then_some(successor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 2026-12-01 is day 20,788.
    fn on(day: u64) -> Serving {
        Serving::at(UNIX_EPOCH + Duration::from_secs(day * 86_400))
    }

    #[test]
    fn the_table_counts_until_an_answer_says_otherwise() {
        for (day, assumed, said) in [
            (20_787, None, "gemini-3.8-flash"),
            (20_788, Some("gemini-3.8-flash"), "gemini-2.5-pro"),
            (20_788, Some("gemini-3.8-flash"), "models/gemini-4-argon"),
        ] {
            let serving = on(day);
            assert_eq!(serving.of("gemini-2.5-pro").as_deref(), assumed);
            serving.note(1, "gemini-2.5-pro", said);
            assert_eq!(serving.of("gemini-2.5-pro").as_deref(), Some(without_prefixes(said)), "on day {day}");
        }
    }

    #[test]
    fn credentials_are_told_apart_and_the_oldest_model_counts_for_all() {
        let serving = on(20_787);
        serving.note(1, "gemini-2.5-flash", "gemini-2.5-flash");
        serving.note(2, "gemini-2.5-flash", "gemini-3.5-flash-lite");
        assert_eq!(serving.of("gemini-2.5-flash").as_deref(), Some("gemini-3.5-flash-lite"));
        serving.note(1, "gemini-2.5-flash", "gemini-2.5-flash");
        assert_eq!(serving.of("gemini-2.5-flash").as_deref(), Some("gemini-2.5-flash"));
        let to = |credential| serving.to(credential, "gemini-2.5-flash").map(|model| model.name);
        assert_eq!(to(2).as_deref(), Some("gemini-3.5-flash-lite"));
        assert_eq!((to(1).as_deref(), to(3)), (Some("gemini-2.5-flash"), None));
    }

    #[test]
    fn what_answers_said_is_known_again_of_the_credentials_that_are_there() {
        let serving = on(20_787);
        assert_eq!(serving.changes(), 0);
        serving.note(1, "gemini-3-pro-preview", "gemini-4-argon");
        serving.note(2, "gemini-3-pro-preview", "gemini-3.8-flash");
        assert_eq!(serving.changes(), 2);
        let kept = serde_json::to_string(&serving.kept()).unwrap();
        let again = on(20_787);
        again.restore(serde_json::from_str(&kept).unwrap(), |credential| credential == 1);
        let to = |credential| again.to(credential, "gemini-3-pro-preview").map(|model| model.name);
        assert_eq!((to(1).as_deref(), to(2), again.changes()), (Some("gemini-4-argon"), None, 0));
        let many = (0..2 * MOST as u64).map(|id| (id, "gemini-4-argon".to_owned())).collect();
        again.restore(HashMap::from([("gemini-3-pro-preview".into(), many)]), |_| true);
        assert!(again.known.read()["gemini-3-pro-preview"].len() <= MOST);
    }

    #[test]
    fn other_words_for_the_same_model_change_nothing() {
        let serving = on(20_787);
        for (name, said) in [
            ("gemini-2.5-pro", "gemini-2.5-pro-002"),
            ("gemini-3-flash-preview", "gemini-3-flash-preview-12-2025"),
            ("gemini-3-pro-preview", "somebody's"),
            ("gemini-3-pro-preview", ""),
        ] {
            serving.note(1, name, said);
            assert_eq!(serving.of(name).unwrap_or(name.into()), name, "{said}");
        }
        (0..2 * MOST as u64).for_each(|id| _ = serving.note(id, "gemini-flash-latest", "gemini-3.8-flash"));
        assert!(serving.known.read().values().map(HashMap::len).sum::<usize>() <= MOST);
    }
}
