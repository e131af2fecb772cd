//! Another encryption key for what lies in the store: every text that an old key has sealed is sealed with the first one, value by
//! value, and only where nobody has changed it meanwhile. Names, versions and ends stay, so replicas notice nothing.

use super::link::{Fault, Link};
use super::{Line, Names};
use redis::{RedisResult, cmd};

/// What every sealed text begins with.
const TOKEN: &str = "gAAAA";
/// Names or fields of one answer.
const PIECE: usize = 200;

/// What one round came to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Resealed {
    /// Values that have the first key now.
    pub(in crate::store) changed: usize,
    /// Texts that no key opens.
    pub(in crate::store) unread: usize,
}

impl Link {
    /// Everything but [`Link::reseal_meta`].
    pub(in crate::store) fn reseal(&self) -> Result<Resealed, Fault> {
        let names = self.names().ok_or(Fault::Down)?;
        let (meta, of_all, of_notes) = (names.of_all("meta"), names.of_all(""), names.of_notes());
        let (mut resealed, mut from) = (Resealed::default(), 0);
        loop {
            let (next, found): (u64, Vec<String>) =
                self.call(|line| cmd("SCAN").arg(from).arg("COUNT").arg(PIECE).query(line))?;
            for name in found.iter().filter(|name| name.starts_with(&of_all) || name.starts_with(&of_notes)) {
                let kind: String = self.call(|line| cmd("TYPE").arg(name).query(line))?;
                match kind.as_str() {
                    "hash" if *name != meta => self.reseal_hash(name, &mut resealed)?,
                    "string" => {
                        let value: Option<String> = self.call(|line| cmd("GET").arg(name).query(line))?;
                        value.map_or(Ok(()), |value| self.reseal_value(name, "", &value, &mut resealed))?;
                    }
                    _ => {}
                }
            }
            from = next;
            if from == 0 {
                return Ok(resealed);
            }
        }
    }

    /// Whose store it is: from then on who knows the first key alone may use it.
    pub(in crate::store) fn reseal_meta(&self) -> Result<Resealed, Fault> {
        let (name, mut resealed) = (Names::meta(&self.prefix), Resealed::default());
        // The word by which a key is known comes last.
        for field in ["names", "check"] {
            let value: Option<String> = self.call(|line| cmd("HGET").arg(&name).arg(field).query(line))?;
            self.reseal_value(&name, field, &value.unwrap_or_default(), &mut resealed)?;
        }
        Ok(resealed)
    }

    fn reseal_hash(&self, name: &str, resealed: &mut Resealed) -> Result<(), Fault> {
        let mut from = 0;
        loop {
            let (next, found): (u64, Vec<(String, String)>) =
                self.call(|line| cmd("HSCAN").arg(name).arg(from).arg("COUNT").arg(PIECE).query(line))?;
            for (field, value) in found {
                self.reseal_value(name, &field, &value, resealed)?;
            }
            from = next;
            if from == 0 {
                return Ok(());
            }
        }
    }

    /// Who changes a value meanwhile seals it with the first key himself.
    fn reseal_value(&self, name: &str, field: &str, was: &str, resealed: &mut Resealed) -> Result<(), Fault> {
        let mut is = String::with_capacity(was.len());
        let mut rest = was;
        while let Some(at) = rest.find(TOKEN) {
            let (before, token) = rest.split_at(at);
            let is_of_it = |c: char| c.is_ascii_alphanumeric() || "-_=".contains(c);
            let (token, after) = token.split_at(token.find(|c| !is_of_it(c)).unwrap_or(token.len()));
            is.push_str(before);
            match self.cipher.decrypt(token.as_bytes()).and_then(|text| String::from_utf8(text).ok()) {
                Some(text) if self.cipher.is_old(token.as_bytes()) => is.push_str(&self.cipher.encrypt(&text)),
                Some(_) => is.push_str(token),
                None => {
                    resealed.unread += 1;
                    is.push_str(token);
                }
            }
            rest = after;
        }
        is.push_str(rest);
        if is != was {
            resealed.changed += 1;
            self.edit(|scripts, line, _| scripts.reseal.key(name).arg(field).arg(was).arg(&is).invoke::<i64>(line))?;
        }
        Ok(())
    }

    fn call<T>(&self, ask: impl Fn(&mut Line) -> RedisResult<T>) -> Result<T, Fault> {
        self.edit(|_, line, _| ask(line))
    }
}
