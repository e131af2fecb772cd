//! The scripts that keep credentials. What comes and goes here is text: who calls them knows what it means.

use super::Names;
use super::scripts::ms;
use super::{Answer, Line, Run};
use redis::Script;
use std::time::Duration;

pub(in crate::store) struct CredentialScripts {
    number: Script,
    create: Script,
    change: Script,
    read: Script,
    lease: Script,
    extend: Script,
    release: Script,
    cool: Script,
    lift: Script,
}

/// A record that is to be changed.
pub(in crate::store) struct Edit<'a> {
    pub(in crate::store) id: u64,
    pub(in crate::store) version: u64,
    /// Empty: it is removed.
    pub(in crate::store) text: &'a str,
    /// By which it is found: as it was, and as it is then.
    pub(in crate::store) prints: [&'a str; 2],
    /// The lease that ends with it.
    pub(in crate::store) lease: Option<[&'a str; 2]>,
    /// `all`, `grant`, or empty.
    pub(in crate::store) lift: &'a str,
}

/// A rest: model, end in ms, whether for a limit, text, reason.
pub(in crate::store) type RestRow = (String, u64, bool, String, String);

/// Time, how it stands (0: ours, 1: another's, 2: it rests, 3: there is no such record), ms left, record, rest.
pub(in crate::store) type LeaseRow = (u64, u64, i64, String, String);

/// A script that changes something.
macro_rules! changing {
    ($name:literal) => {
        lua!("seen", "news", "credentials/rests", concat!("credentials/", $name))
    };
}

impl CredentialScripts {
    pub(super) fn new() -> CredentialScripts {
        CredentialScripts {
            number: lua!("seen", "credentials/number"),
            create: changing!("create"),
            change: changing!("change"),
            read: lua!("seen", "credentials/read"),
            lease: lua!("credentials/lease"),
            extend: lua!("credentials/extend"),
            release: lua!("credentials/release"),
            cool: changing!("cool"),
            lift: changing!("lift"),
        }
    }

    pub(in crate::store) fn number(
        &self,
        line: &mut Line,
        names: &Names,
        prints: &[String],
        seen: u64,
    ) -> Answer<Vec<u64>> {
        let mut call = self.number.key(names.of_all("meta"));
        call.key(names.of_all("print"));
        prints.iter().for_each(|print| _ = call.arg(print));
        call.arg(seen).run(line)
    }

    /// Its number, what is there, whether that is it, and up to where the news go.
    pub(in crate::store) fn create(
        &self,
        line: &mut Line,
        names: &Names,
        print: &str,
        text: &str,
        wished: Option<u64>,
        seen: u64,
    ) -> Answer<(u64, String, bool, String)> {
        let mut call = self.create.key(names.of_all("meta"));
        ["news", "print", "cred"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        let wished = wished.map(|number| number.to_string()).unwrap_or_default();
        call.arg(print).arg(text).arg(wished).arg(seen).run(line)
    }

    /// What is there, whether that is it, and up to where the news go.
    pub(in crate::store) fn change(
        &self,
        line: &mut Line,
        names: &Names,
        edit: &Edit<'_>,
        seen: u64,
    ) -> Answer<(String, bool, String)> {
        let mut call = self.change.key(names.of_all("meta"));
        ["news", "cool", "print", "cred"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        let [lease, holder] = edit.lease.unwrap_or(["lease:", ""]);
        call.key(names.of_all(lease)).key(names.of_all(&format!("rest:{}", edit.id)));
        call.arg(edit.id).arg(edit.version).arg(edit.text).arg(edit.prints[0]).arg(edit.prints[1]);
        call.arg(holder).arg(edit.lift).arg(seen).run(line)
    }

    /// Time, record and rests.
    pub(in crate::store) fn read(
        &self,
        line: &mut Line,
        names: &Names,
        id: u64,
        seen: u64,
    ) -> Answer<(u64, String, String)> {
        let mut call = self.read.key(names.of_all("meta"));
        call.key(names.of_all("cred")).key(names.of_all("cool")).arg(id).arg(seen).run(line)
    }

    pub(in crate::store) fn lease(
        &self,
        line: &mut Line,
        names: &Names,
        id: u64,
        [lease, holder]: [&str; 2],
        span: Duration,
        is_of_record: bool,
    ) -> Answer<LeaseRow> {
        let mut call = self.lease.key(names.of_all("cred"));
        let rest = if is_of_record { format!("rest:{id}") } else { "rest:".to_owned() };
        call.key(names.of_all(lease)).key(names.of_all(&rest));
        call.arg(id).arg(holder).arg(ms(span)).arg(i64::from(is_of_record)).run(line)
    }

    pub(in crate::store) fn extend(
        &self,
        line: &mut Line,
        names: &Names,
        leases: &[(String, String)],
        span: Duration,
    ) -> Answer<()> {
        let mut call = self.extend.prepare_invoke();
        call.arg(ms(span));
        for (lease, holder) in leases {
            call.key(names.of_all(lease)).arg(holder);
        }
        call.run::<i64>(line).map(drop)
    }

    pub(in crate::store) fn release(
        &self,
        line: &mut Line,
        names: &Names,
        id: u64,
        [lease, holder]: [&str; 2],
        rest: Option<(Duration, u32, &str)>,
    ) -> Answer<()> {
        let mut call = self.release.key(names.of_all(lease));
        call.key(names.of_all(&format!("rest:{id}")));
        let (span, times, text) = rest.unwrap_or_default();
        call.arg(holder).arg(ms(span)).arg(times).arg(text).run::<i64>(line).map(drop)
    }

    /// Whether the record had this version.
    pub(in crate::store) fn cool(
        &self,
        line: &mut Line,
        names: &Names,
        id: u64,
        version: Option<u64>,
        rests: &[RestRow],
        seen: u64,
    ) -> Answer<bool> {
        let mut call = self.cool.key(names.of_all("meta"));
        ["news", "cool", "cred"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        call.arg(id).arg(version.map(|version| version.to_string()).unwrap_or_default());
        for (model, until, limit, text, reason) in rests {
            call.arg(model).arg(*until).arg(i64::from(*limit)).arg(reason).arg(text);
        }
        call.arg(seen).run(line)
    }

    /// `until` is the latest end of the block that ends now, 0: whichever it is; `None`: all rests end.
    pub(in crate::store) fn lift(
        &self,
        line: &mut Line,
        names: &Names,
        id: u64,
        until: Option<u64>,
        seen: u64,
    ) -> Answer<String> {
        let mut call = self.lift.key(names.of_all("meta"));
        ["news", "cool"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        call.key(names.of_all(&format!("rest:{id}")));
        call.arg(id).arg(until.map(|until| until.to_string()).unwrap_or_default()).arg(seen).run(line)
    }
}
