//! Notes that end by themselves: under names that tell nothing, and sealed.

use super::Run;
use super::link::{Fault, Link};
use crate::credentials::consent::Taken;
use crate::os::random;
use std::time::Duration;

impl Link {
    /// Keeps a note that is taken once.
    pub(in crate::store) fn keep(&self, kind: &str, secret: &str, text: &str, span: Duration) -> Result<(), Fault> {
        let name = self.names().ok_or(Fault::Down)?.of_note(kind, secret);
        let sealed = self.cipher.encrypt(text);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.edit(|scripts, line, _| scripts.keep.key(&name).arg(&sealed).arg(span).run::<i64>(line).map(drop))
    }

    /// Takes it, if more than `least` of its time is left.
    pub(in crate::store) fn take_note(&self, kind: &str, secret: &str, least: Duration) -> Result<Taken, Fault> {
        let name = self.names().ok_or(Fault::Down)?.of_note(kind, secret);
        let (ticket, least) = (random::id(16), u64::try_from(least.as_millis()).unwrap_or(u64::MAX));
        let (word, sealed): (String, String) =
            self.edit(|scripts, line, _| scripts.take.key(&name).arg(&ticket).arg(least).run(line))?;
        let opened = || self.cipher.decrypt(sealed.as_bytes()).and_then(|text| String::from_utf8(text).ok());
        Ok(match word.as_str() {
            "here" => opened().map_or(Taken::Unknown, Taken::Here),
            "used" => Taken::Used,
            "late" => Taken::Late,
            _ => Taken::Unknown,
        })
    }
}
