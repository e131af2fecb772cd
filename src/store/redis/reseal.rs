//! Another encryption key for what lies in the store: every text that an old key has sealed is sealed with the first one, value by
//! value, and only where nobody has changed it meanwhile. Names, versions and ends stay, so replicas notice nothing.

use super::reader::{Piece, Reader};
use super::{Answer, Run};
use crate::credentials::Cipher;
use redis::cmd;

/// What every sealed text begins with.
const TOKEN: &str = "gAAAA";
/// Names or fields of one answer.
const PIECE: usize = 200;

/// Seals what lies in a store.
pub(in crate::store) struct Reseal<'a> {
    reader: Reader<'a>,
    cipher: &'a Cipher,
    changed: usize,
    /// Where they stand.
    unread: Vec<String>,
}

impl<'a> Reseal<'a> {
    pub(in crate::store) fn new(reader: Reader<'a>, cipher: &'a Cipher) -> Reseal<'a> {
        Reseal { reader, cipher, changed: 0, unread: Vec::new() }
    }

    /// Since it was asked last: values that have the first key now, and where texts stand that no key opens.
    pub(in crate::store) fn told(&mut self) -> (usize, Vec<String>) {
        (std::mem::take(&mut self.changed), std::mem::take(&mut self.unread))
    }

    /// Everything but [`Reseal::meta`].
    pub(in crate::store) fn round(&mut self) -> Answer<()> {
        let names = &self.reader.names;
        let (meta, of_all, of_notes) = (names.of_all("meta"), names.of_all(""), names.of_notes());
        let mut from = String::from("0");
        loop {
            let mut call = cmd("SCAN");
            call.arg(&from).arg("COUNT").arg(PIECE);
            let (next, found): (String, Vec<String>) = call.query(&mut self.reader.connection)?;
            for name in found.iter().filter(|name| name.starts_with(&of_all) || name.starts_with(&of_notes)) {
                let kind: String = cmd("TYPE").arg(name).query(&mut self.reader.connection)?;
                match kind.as_str() {
                    "hash" if *name != meta => self.hash(name)?,
                    "string" => {
                        let value: Option<Vec<u8>> = cmd("GET").arg(name).query(&mut self.reader.connection)?;
                        self.value(name, b"", &value.unwrap_or_default())?;
                    }
                    _ => {}
                }
            }
            from = next;
            if from == "0" {
                return Ok(());
            }
        }
    }

    /// Whose store it is: from then on who knows the first key alone may use it.
    pub(in crate::store) fn meta(&mut self) -> Answer<()> {
        let name = self.reader.names.of_all("meta");
        // The word by which a key is known comes last.
        for field in ["names", "check"] {
            let value: Option<Vec<u8>> = cmd("HGET").arg(&name).arg(field).query(&mut self.reader.connection)?;
            self.value(&name, field.as_bytes(), &value.unwrap_or_default())?;
        }
        Ok(())
    }

    fn hash(&mut self, name: &str) -> Answer<()> {
        let mut from = String::from("0");
        loop {
            let mut call = cmd("HSCAN");
            call.arg(name).arg(&from).arg("COUNT").arg(PIECE);
            let (next, found): Piece = call.query(&mut self.reader.connection)?;
            for (field, value) in found {
                self.value(name, &field, &value)?;
            }
            from = next;
            if from == "0" {
                return Ok(());
            }
        }
    }

    /// Who changes a value meanwhile seals it with the first key himself.
    fn value(&mut self, name: &str, field: &[u8], was: &[u8]) -> Answer<()> {
        // What is no text was not sealed here.
        let Ok(was) = std::str::from_utf8(was) else { return Ok(()) };
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
                    self.unread.push(place(name, field));
                    is.push_str(token);
                }
            }
            rest = after;
        }
        is.push_str(rest);
        if is == was {
            return Ok(());
        }
        self.changed += 1;
        let mut call = self.reader.scripts.reseal.key(name);
        call.arg(field).arg(was).arg(&is).run::<i64>(&mut self.reader.connection).map(drop)
    }
}

/// A text that stands alone has no field.
fn place(name: &str, field: &[u8]) -> String {
    match field {
        b"" => name.escape_debug().to_string(),
        _ => format!("{} of {}", String::from_utf8_lossy(field).escape_debug(), name.escape_debug()),
    }
}
