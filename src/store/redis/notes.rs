//! Notes that end by themselves: under names that tell nothing, and sealed.

use super::Run;
use super::link::{Fault, Link};
use super::scripts::ms;
use crate::credentials::consent::Taken;
use crate::os::random;
use std::time::Duration;

impl Link {
    /// Keeps a note that is taken once.
    pub(in crate::store) fn keep(&self, kind: &str, secret: &str, text: &str, span: Duration) -> Result<(), Fault> {
        let name = self.names().ok_or(Fault::Down)?.of_note(kind, secret);
        let sealed = self.cipher.encrypt(text);
        self.edit(|scripts, line, _| scripts.keep.key(&name).arg(ms(span)).arg(&sealed).run::<i64>(line).map(drop))
    }

    /// Keeps notes that anybody may read as often as he likes: of each its secret and text.
    pub(in crate::store) fn keep_all(
        &self,
        kind: &str,
        notes: &[(String, String)],
        span: Duration,
    ) -> Result<(), Fault> {
        let names = self.names().ok_or(Fault::Down)?;
        let sealed: Vec<String> = notes.iter().map(|(_, text)| self.cipher.encrypt(text)).collect();
        self.ask(|scripts, line, _| {
            let mut call = scripts.keep.prepare_invoke();
            notes.iter().for_each(|(secret, _)| _ = call.key(names.of_note(kind, secret)));
            call.arg(ms(span));
            sealed.iter().for_each(|text| _ = call.arg(text));
            call.run::<i64>(line).map(drop)
        })
    }

    /// Those of these notes that are there, soon or not at all.
    pub(in crate::store) fn find(&self, kind: &str, secrets: &[String]) -> Result<Vec<Vec<u8>>, Fault> {
        let names = self.names().ok_or(Fault::Down)?;
        let found: Vec<String> = self.ask_soon(|scripts, line, _| {
            let mut call = scripts.find.prepare_invoke();
            secrets.iter().for_each(|secret| _ = call.key(names.of_note(kind, secret)));
            call.run(line)
        })?;
        Ok(found.iter().filter_map(|sealed| self.cipher.decrypt(sealed.as_bytes())).collect())
    }

    /// Takes it, if more than `least` of its time is left.
    pub(in crate::store) fn take_note(&self, kind: &str, secret: &str, least: Duration) -> Result<Taken, Fault> {
        let name = self.names().ok_or(Fault::Down)?.of_note(kind, secret);
        let ticket = random::id(16);
        let (word, sealed): (String, String) =
            self.edit(|scripts, line, _| scripts.take.key(&name).arg(&ticket).arg(ms(least)).run(line))?;
        let opened = || self.cipher.decrypt(sealed.as_bytes()).and_then(|text| String::from_utf8(text).ok());
        Ok(match word.as_str() {
            "here" => opened().map_or(Taken::Unknown, Taken::Here),
            "used" => Taken::Used,
            "late" => Taken::Late,
            _ => Taken::Unknown,
        })
    }
}
