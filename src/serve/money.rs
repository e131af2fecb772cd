//! What requests cost, by the prices that are known for a model or for the one that serves its name, and what a key with a
//! budget in money may ask for: nothing whose cost nobody can count.

use crate::calendar;
use crate::error::{ApiError, ErrorKind};
use crate::gemini::UsageMetadata;
use crate::keys::Key;
use crate::serve::app::App;
use crate::usage::{self, Snapshot, dollars, sum_by};
use std::time::{SystemTime, UNIX_EPOCH};

/// US dollars that old billing programs are told where there is no budget. They compute what is left from it.
const WITHOUT_LIMIT: f64 = 1_000_000.0;
/// 9999-12-31: never.
const FOREVER: u64 = 253_402_214_400;

/// In nanodollars.
pub(super) fn cost(app: &App, model: &str, counts: &UsageMetadata) -> Option<u64> {
    let (own, now) = (&app.config.prices, SystemTime::now());
    let of_what_serves = || usage::cost(own, &app.dispatcher.serving().of(model)?, counts, now);
    usage::cost(own, model, counts, now).or_else(of_what_serves)
}

/// Whether what the key asks of this model can be counted against its budget.
pub(super) fn is_countable(app: &App, key: &Key, model: &str) -> Result<(), ApiError> {
    if !key.limits.has_money() || cost(app, model, &UsageMetadata::default()).is_some() {
        return Ok(());
    }
    let why = format!("no price is known for the model {model:?}");
    Err(uncountable(
        key,
        &why,
        "Use another model, or ask whoever runs this proxy for a price in prices of config.json.",
    ))
}

fn uncountable(key: &Key, why: &str, instead: &str) -> ApiError {
    let message = format!("The key {:?} has a budget in money, and {why}. {instead}", key.name);
    ApiError::new(403, ErrorKind::Permission, message).with_code("price_unknown").with_param("model")
}

/// What old billing programs call a limit, in US dollars: they take from it what the month has cost so far, and what is
/// left then is what is left of the budget that ends first.
pub(super) fn limit(app: &App, key: &Key) -> f64 {
    let snapshot = app.usage.snapshot();
    let used = key.used();
    let month = calendar::day_text(calendar::first_of_month(calendar::day(snapshot.now)));
    let days = spent(&snapshot, key, Some(month), None);
    let spent: f64 = days.iter().flat_map(|(_, models)| models).map(|(_, cost)| cost).sum();
    let left = |limit: Option<u64>, cost: u64| limit.map(|limit| dollars(limit) - dollars(cost));
    let budgets =
        [left(key.limits.dollars_per_day, used.today.cost), left(key.limits.dollars_per_month, used.month.cost)];
    budgets.into_iter().flatten().min_by(f64::total_cmp).map_or(WITHOUT_LIMIT, |left| left + spent)
}

/// Until when the key may be used, in seconds since 1970.
pub(super) fn access_until(key: &Key) -> u64 {
    let end = key.limits.expires_at.and_then(|end| end.duration_since(UNIX_EPOCH).ok());
    end.map_or(FOREVER, |end| end.as_secs())
}

/// What the key has spent by day and model, from one day to before another one, where they are given.
pub(super) fn spent(
    snapshot: &Snapshot,
    key: &Key,
    from: Option<String>,
    until: Option<String>,
) -> Vec<(String, Vec<(String, f64)>)> {
    let is_meant =
        |day: &String| from.as_ref().is_none_or(|from| day >= from) && until.as_ref().is_none_or(|until| day < until);
    let mark = key.mark.to_string();
    let days = snapshot.days.iter().map(|(day, table)| {
        let rows = table.rows().iter().filter(|(line, _)| line.key == mark);
        let sums = sum_by(rows, |line| &line.model).into_iter().filter(|(_, counts)| counts.cost > 0);
        (calendar::day_text(*day), sums.map(|(model, counts)| (model, dollars(counts.cost))).collect::<Vec<_>>())
    });
    days.filter(|(day, models)| is_meant(day) && !models.is_empty()).collect()
}
