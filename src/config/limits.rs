//! What a client's key may do, as config.json, the page and the state file say it.

use super::names::nearest;
use super::prices::{dollars, nanodollars};
use super::value::{number, time, whole};
use crate::calendar;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// The fields of [`KeyLimits`]. Without prices there are none in money.
pub(crate) const FIELDS: &[&str] = if cfg!(feature = "ledger") {
    &[
        "requests_per_minute",
        "requests_per_day",
        "tokens_per_day",
        "tokens_per_month",
        "dollars_per_day",
        "dollars_per_month",
        "concurrency",
        "expires_at",
        "models",
    ]
} else {
    &[
        "requests_per_minute",
        "requests_per_day",
        "tokens_per_day",
        "tokens_per_month",
        "concurrency",
        "expires_at",
        "models",
    ]
};

/// What a client's key may do; `None`: without limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Allowed models; empty: all.
    pub models: Vec<String>,
    /// In a window of 60 s that begins with its first request.
    pub requests_per_minute: Option<u64>,
    /// In a day of UTC.
    pub requests_per_day: Option<u64>,
    /// In a day of UTC; a request that begins below the limit may end above it.
    pub tokens_per_day: Option<u64>,
    /// In a month of UTC, likewise.
    pub tokens_per_month: Option<u64>,
    /// Nanodollars in a day of UTC, likewise.
    pub dollars_per_day: Option<u64>,
    /// Nanodollars in a month of UTC, likewise.
    pub dollars_per_month: Option<u64>,
    /// Requests at the same time.
    pub concurrency: Option<u64>,
    /// Not valid from then on.
    pub expires_at: Option<SystemTime>,
}

/// More is no budget; nanodollars have room for it.
const MOST_DOLLARS: f64 = 1e9;

/// A limit that cannot be read.
#[derive(Debug)]
pub(crate) struct WrongLimit {
    pub field: &'static str,
    pub expected: &'static str,
    pub found: Value,
}

/// The limit that is meant by a name that is none.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    nearest(name, FIELDS)
}

/// Whether something beside the limits must be one that is misspelt: nobody's note is a number.
pub(super) fn is_figure(value: &Value) -> bool {
    number(value).is_some()
}

/// For whom no name that is known is near enough.
pub(super) fn all_limits() -> String {
    FIELDS.join(", ")
}

impl KeyLimits {
    /// Whether what it spends is limited in money.
    pub fn has_money(&self) -> bool {
        cfg!(feature = "ledger") && (self.dollars_per_day.is_some() || self.dollars_per_month.is_some())
    }

    /// Takes the limits out of `fields` that are there; null takes one away. Nothing is changed where one is wrong.
    pub(crate) fn change(&mut self, fields: &mut Map<String, Value>) -> Result<(), WrongLimit> {
        let mut changed = self.clone();
        for (name, limit) in [
            ("requests_per_minute", &mut changed.requests_per_minute),
            ("requests_per_day", &mut changed.requests_per_day),
            ("tokens_per_day", &mut changed.tokens_per_day),
            ("tokens_per_month", &mut changed.tokens_per_month),
            ("concurrency", &mut changed.concurrency),
        ] {
            let number = |value: &Value| {
                let number = whole(value)?;
                u64::try_from(number).ok().filter(|_| value.as_f64().is_none_or(|given| given.fract() == 0.0))
            };
            change(fields, name, "a whole number or null", limit, number)?;
        }
        let expected = match cfg!(feature = "ledger") {
            true => "an amount in US dollars or null",
            false => "null, since this program was built without prices (its feature `ledger`)",
        };
        for (name, limit) in
            [("dollars_per_day", &mut changed.dollars_per_day), ("dollars_per_month", &mut changed.dollars_per_month)]
        {
            let fits = |dollars: &f64| cfg!(feature = "ledger") && (0.0..=MOST_DOLLARS).contains(dollars);
            change(fields, name, expected, limit, |value| number(value).filter(fits).map(nanodollars))?;
        }
        let expected = "a time such as 2027-01-31T00:00:00Z or a day such as 2027-01-31";
        change(fields, "expires_at", expected, &mut changed.expires_at, time)?;
        let mut models = Some(std::mem::take(&mut changed.models));
        let list = |value: &Value| serde_json::from_value(value.clone()).ok();
        change(fields, "models", "a list of model names", &mut models, list)?;
        changed.models = models.unwrap_or_default();
        *self = changed;
        Ok(())
    }

    /// All but the models, as the page and the state file have them.
    pub(crate) fn json(&self) -> Value {
        json!({
            "requests_per_minute": self.requests_per_minute,
            "requests_per_day": self.requests_per_day,
            "tokens_per_day": self.tokens_per_day,
            "tokens_per_month": self.tokens_per_month,
            "dollars_per_day": self.dollars_per_day.map(dollars),
            "dollars_per_month": self.dollars_per_month.map(dollars),
            "concurrency": self.concurrency,
            "expires_at": self.expires_at.map(calendar::iso),
        })
    }
}

fn change<T>(
    fields: &mut Map<String, Value>,
    field: &'static str,
    expected: &'static str,
    limit: &mut Option<T>,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<(), WrongLimit> {
    match fields.shift_remove(field) {
        None => {}
        Some(Value::Null) => *limit = None,
        Some(found) => *limit = Some(read(&found).ok_or(WrongLimit { field, expected, found })?),
    }
    Ok(())
}
