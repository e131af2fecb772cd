//! What of a key's limits of days and months is used, as pages, metrics and alerts have it.

use super::Key;
use crate::config::dollars;
use std::time::SystemTime;

const DOLLARS_PER_DAY: &str = "dollars_per_day";
const DOLLARS_PER_MONTH: &str = "dollars_per_month";

/// A limit of a day or a month.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// As config.json calls it.
    pub name: &'static str,
    limit: u64,
    used: u64,
    /// When it begins anew.
    pub ends: SystemTime,
}

impl Allowance {
    /// The limit and what is used of it, money in US dollars.
    pub fn figures(&self) -> (f64, f64) {
        match self.name {
            DOLLARS_PER_DAY | DOLLARS_PER_MONTH => (dollars(self.limit), dollars(self.used)),
            _ => (self.limit as f64, self.used as f64),
        }
    }

    /// How much is used, in percent.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        if self.limit == 0 { 100 } else { u64::try_from(percent).unwrap_or(u64::MAX) }
    }
}

impl Key {
    /// Its limits of days and months, and what of them is used.
    pub fn allowances(&self) -> Vec<Allowance> {
        let (limits, used) = (&self.limits, self.used());
        let (day, month) = (used.day_ends, used.month_ends);
        let all = [
            ("requests_per_day", limits.requests_per_day, used.today.requests, day),
            ("tokens_per_day", limits.tokens_per_day, used.today.tokens, day),
            ("tokens_per_month", limits.tokens_per_month, used.month.tokens, month),
            (DOLLARS_PER_DAY, limits.dollars_per_day, used.today.cost, day),
            (DOLLARS_PER_MONTH, limits.dollars_per_month, used.month.cost, month),
        ];
        let set =
            |(name, limit, used, ends): (_, Option<u64>, _, _)| Some(Allowance { name, limit: limit?, used, ends });
        all.into_iter().filter_map(set).collect()
    }
}
