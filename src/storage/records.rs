//! How the state file is written: a line for what is saved at once, `checksum [[section, name, value], ...]`. A later record of
//! a name replaces an earlier one, and null takes it away, so that a change costs its own records. A crash leaves at most
//! the last line in pieces; whatever else cannot be read is damage, which costs the lines that it hit and no other.
//!
//! Older files are one JSON object of sections. Each of them is read as one record without a name.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

/// The layout's number, in the first line; a file with a later one is left as it is. It rises with what an older program would
/// read wrongly: 3 has budgets of keys, which are limits.
const LAYOUT: u64 = 3;
/// The one before, which reads the same.
const BEFORE: u64 = 2;
/// The section of that line.
const FILE: &str = "file";

/// Where a record stands in the text.
type Place = (Range<usize>, Range<usize>);

/// What a file holds: the records of each section, in the order of their first lines.
#[derive(Default)]
pub(super) struct Text {
    text: Arc<Vec<u8>>,
    sections: BTreeMap<String, Vec<Place>>,
    /// Lines that were lost to damage.
    pub(super) damaged: usize,
    /// The last line has no end.
    pub(super) is_cut: bool,
    /// Whether more can be appended to the file: it is whole, and in this layout.
    pub(super) is_whole: bool,
}

/// Why nothing can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// None of this program's.
    Foreign,
    /// Of a later version.
    Newer(u64),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Foreign => f.write_str("it is no state file of this program"),
            Unreadable::Newer(layout) => write!(f, "a newer version wrote it (layout {layout})"),
        }
    }
}

/// A section of the file as it was read.
#[derive(Clone, Default)]
pub struct Section {
    text: Arc<Vec<u8>>,
    places: Vec<Place>,
}

impl Section {
    /// Name and JSON of each record. The one without a name is a whole section of an older file.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |place: &Range<usize>| std::str::from_utf8(&self.text[place.clone()]).unwrap_or_default();
        self.places.iter().map(move |(name, value)| (part(name), part(value)))
    }

    /// All of it as one JSON value; null if there is nothing.
    pub fn value(&self) -> Value {
        let parsed = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
        let mut fields = Map::new();
        for (name, json) in self.records() {
            match (name, parsed(json)) {
                ("", Value::Object(older)) => fields.extend(older),
                ("", older) => return older,
                (name, value) => _ = fields.insert(name.to_owned(), value),
            }
        }
        if fields.is_empty() { Value::Null } else { Value::Object(fields) }
    }
}

impl Text {
    pub(super) fn read(bytes: Vec<u8>) -> Result<Text, Unreadable> {
        let text = Arc::new(bytes);
        if text.first() == Some(&b'{') {
            return Text::older(text);
        }
        let mut read = Text { is_whole: text.last().is_none_or(|last| *last == b'\n'), ..Text::default() };
        let mut known: HashMap<(&str, &str), usize> = HashMap::new();
        let (mut good, mut at) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let begin = at;
            at += line.len();
            let Some(records) = parsed(line) else {
                // The last line, when it has no end, was never acknowledged.
                read.is_cut = !line.ends_with(b"\n");
                read.damaged += usize::from(!read.is_cut);
                continue;
            };
            good += 1;
            for (section, name, value) in records {
                let value = value.get();
                if section == FILE {
                    match value.parse() {
                        Ok(LAYOUT) => continue,
                        Ok(BEFORE) => read.is_whole = false,
                        other => return Err(Unreadable::Newer(other.unwrap_or(0))),
                    }
                    continue;
                }
                let offset = |part: &str| {
                    let start = begin + (part.as_ptr() as usize - line.as_ptr() as usize);
                    start..start + part.len()
                };
                let places = match read.sections.get_mut(section) {
                    Some(places) => places,
                    None => read.sections.entry(section.to_owned()).or_default(),
                };
                let place = (offset(name), offset(value));
                match known.get(&(section, name)) {
                    Some(old) => places[*old] = place,
                    None => {
                        known.insert((section, name), places.len());
                        places.push(place);
                    }
                }
            }
        }
        if good == 0 && read.damaged > 0 {
            return Err(Unreadable::Foreign);
        }
        drop(known);
        for places in read.sections.values_mut() {
            places.retain(|(_, value)| &text[value.clone()] != b"null");
        }
        read.is_whole &= read.damaged == 0 && good > 0;
        read.text = text;
        Ok(read)
    }

    fn older(text: Arc<Vec<u8>>) -> Result<Text, Unreadable> {
        let sections: BTreeMap<String, &RawValue> = serde_json::from_slice(&text).map_err(|_| Unreadable::Foreign)?;
        let place = |value: &RawValue| {
            let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            (0..0, start..start + value.get().len())
        };
        let mut places = BTreeMap::new();
        places.extend(sections.into_iter().map(|(section, value)| (section, vec![place(value)])));
        Ok(Text { text, sections: places, ..Text::default() })
    }

    pub(super) fn take(&mut self, section: &str) -> Option<Section> {
        let places = self.sections.remove(section)?;
        let taken = Section { text: self.text.clone(), places };
        if self.sections.is_empty() {
            self.text = Arc::default();
        }
        Some(taken)
    }

    /// Writes what nobody took.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, places) in &self.sections {
            let mut line = Line::default();
            let mut sink = line.sink(name, Some(out));
            let section = Section { text: self.text.clone(), places: places.clone() };
            for (name, json) in section.records() {
                match serde_json::from_str::<&RawValue>(json) {
                    Ok(value) => sink.put(name, value),
                    Err(error) => return Err(error.into()),
                }
            }
            sink.end()?;
        }
        Ok(())
    }
}

/// The records of a line; `None`: it is damaged, or not whole.
fn parsed(line: &[u8]) -> Option<Vec<(&str, &str, &RawValue)>> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, records) = line.split_at_checked(9)?;
    if sum != format!("{:08x} ", checksum(records.as_bytes())) {
        return None;
    }
    serde_json::from_str(records).ok()
}

/// FNV-1a, in which no single changed byte is lost.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What is to be written of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every record.
    Whole,
    /// Those that have changed since they were asked for last.
    Changed,
}

/// Takes the records of a section.
pub struct Sink<'a> {
    section: &'a str,
    line: &'a mut Line,
    /// Where each record is a line; `None`: all of them are one.
    out: Option<&'a mut dyn Write>,
    done: io::Result<()>,
}

/// What is saved at once.
#[derive(Default)]
pub(super) struct Line(Vec<u8>);

impl Line {
    pub(super) fn sink<'a>(&'a mut self, section: &'a str, out: Option<&'a mut dyn Write>) -> Sink<'a> {
        Sink { section, line: self, out, done: Ok(()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the line; it is empty then.
    pub(super) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.0.push(b']');
        write!(out, "{:08x} ", checksum(&self.0))?;
        self.0.push(b'\n');
        out.write_all(&self.0)?;
        self.0.clear();
        Ok(())
    }
}

impl Sink<'_> {
    /// The record of this name, which needs no escapes in JSON.
    pub fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        if self.done.is_ok() {
            self.done = self.write(name, value);
        }
    }

    fn write(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
        self.line.0.push(if self.line.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut self.line.0, &(self.section, name, value))?;
        match &mut self.out {
            Some(out) => self.line.end(out),
            None => Ok(()),
        }
    }

    /// There is no such record any more.
    pub fn remove(&mut self, name: &str) {
        self.put(name, &Value::Null);
    }

    /// Whether all went well.
    pub(super) fn end(self) -> io::Result<()> {
        self.done
    }
}

/// The first line of a file.
pub(super) fn begin(out: &mut dyn Write) -> io::Result<()> {
    let mut line = Line::default();
    let mut sink = line.sink(FILE, Some(out));
    sink.put("", &LAYOUT);
    sink.end()
}

/// What `write` gives, as it would be read from a file.
pub fn reread(write: impl FnOnce(&mut Sink<'_>)) -> Section {
    let (mut bytes, mut line) = (Vec::new(), Line::default());
    write(&mut line.sink("section", Some(&mut bytes)));
    Text::read(bytes).unwrap_or_default().take("section").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a file says, as `section name=value`.
    fn told(bytes: &[u8]) -> Vec<String> {
        let text = Text::read(bytes.to_vec()).unwrap();
        let section = |(name, places): (&String, &Vec<Place>)| {
            let section = Section { text: text.text.clone(), places: places.clone() };
            section.records().map(|(record, value)| format!("{name} {record}={value}")).collect::<Vec<_>>()
        };
        text.sections.iter().flat_map(section).collect()
    }

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        begin(&mut bytes).unwrap();
        for (section, name, value) in
            [("keys", "a", json!({"name": "Ünlaut\n\"é"})), ("keys", "b", json!([1, 2])), ("pool", "a", json!("x"))]
        {
            Line::default().sink(section, Some(&mut bytes)).put(name, &value);
        }
        let mut line = Line::default();
        line.sink("keys", None).put("a", &json!({"name": "second"}));
        line.sink("pool", None).put("b", &json!(2));
        line.sink("keys", None).remove("b");
        line.end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn later_lines_replace_earlier_ones() {
        assert_eq!(told(&file()), [r#"keys a={"name":"second"}"#, r#"pool a="x""#, "pool b=2"]);
    }

    #[test]
    fn a_file_that_ends_anywhere_has_all_lines_before_that() {
        let whole = file();
        for end in 0..=whole.len() {
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            let kept: Vec<u8> = whole.split_inclusive(|byte| *byte == b'\n').take(lines).flatten().copied().collect();
            let cut = Text::read(whole[..end].to_vec()).unwrap();
            assert_eq!(told(&whole[..end]), told(&kept), "cut at {end}");
            assert_eq!((cut.damaged, cut.is_whole), (0, end > 0 && kept.len() == end), "cut at {end}");
            assert_eq!(cut.is_cut, kept.len() != end, "cut at {end}");
        }
    }

    #[test]
    fn a_changed_byte_costs_the_line_it_is_in_and_is_seen() {
        let whole = file();
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for (at, change) in (0..whole.len()).flat_map(|at| [0x01, 0x20, 0x80, 0xff].map(|change| (at, change))) {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            let hit = whole[..at].iter().filter(|byte| **byte == b'\n').count();
            // The end of a line holds the next one too, and an end in its middle makes two of it.
            let is_end = whole[at] == b'\n';
            let rest = lines.iter().enumerate().filter(|(n, _)| *n != hit && !(is_end && *n == hit + 1));
            let rest: Vec<u8> = rest.flat_map(|(_, line)| *line).copied().collect();
            let Ok(text) = Text::read(damaged.clone()) else { panic!("byte {at} ^ {change:#x}") };
            assert_eq!(told(&damaged), told(&rest), "byte {at} ^ {change:#x}");
            assert!(!text.is_whole, "byte {at} ^ {change:#x}");
        }
    }

    #[test]
    fn what_is_no_file_of_ours_and_what_is_newer_is_not_read() {
        let read = |bytes: &[u8]| Text::read(bytes.to_vec()).map(|_| ()).unwrap_err();
        assert_eq!(read(b"hello\n"), Unreadable::Foreign);
        assert_eq!(read(b"{\"usage\":"), Unreadable::Foreign);
        let mut newer = Vec::new();
        Line::default().sink(FILE, Some(&mut newer)).put("", &4);
        assert_eq!(read(&newer), Unreadable::Newer(4));
        let mut before = Vec::new();
        Line::default().sink(FILE, Some(&mut before)).put("", &2);
        let before = Text::read(before).unwrap_or_default();
        assert!(!before.is_whole && before.damaged == 0, "it is written anew");
    }

    #[test]
    fn an_older_file_has_its_sections_as_records_without_a_name() {
        let bytes = br#" {"usage":{"n":1},"later":[2]}"#;
        assert_eq!(told(&bytes[1..]), ["later =[2]", r#"usage ={"n":1}"#]);
        assert!(!Text::read(bytes[1..].to_vec()).unwrap().is_whole, "nothing may be appended");
    }
}
