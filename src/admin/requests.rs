//! Requests as JSON and CSV: the last ones, or those that are looked for.

use super::stats::field;
use crate::http::query_value;
use crate::usage::{Query, Usage};
use serde_json::{Value, json};

/// What one answer holds unless it is told otherwise, and at most.
const LIMIT: usize = 200;
const MOST: usize = 100_000;

/// What the query string of a request looks for: `from`, `to`, `client`, `model`, `outcome`, `q`, `skip`, `limit`.
pub fn found(usage: &Usage, query: &str) -> Result<(Vec<Value>, bool), String> {
    let text = |name: &str| query_value(query, name).filter(|text| !text.is_empty());
    let time = |name: &str| match text(name) {
        None => Ok(None),
        Some(text) => Query::time(&text)
            .map(Some)
            .ok_or_else(|| format!("{name}: expected a time such as 2027-01-31T12:00:00Z or a day such as 2027-01-31")),
    };
    let number = |name: &str, otherwise: usize| match text(name) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| format!("{name}: expected a whole number")),
    };
    let outcome = text("outcome").filter(|word| word != "all");
    if outcome.as_ref().is_some_and(|word| !matches!(word.as_str(), "ok" | "failed") && word.parse::<u16>().is_err()) {
        return Err("outcome: expected ok, failed or a status".into());
    }
    let wanted = Query {
        from: time("from")?,
        before: time("to")?,
        key: text("client"),
        model: text("model"),
        outcome,
        words: text("q").unwrap_or_default().to_lowercase().split_whitespace().map(str::to_owned).collect(),
    };
    Ok(usage.requests(&wanted, number("skip", 0)?, number("limit", LIMIT)?.min(MOST)))
}

/// `GET /admin/requests`, newest first.
pub fn json((requests, is_more): (Vec<Value>, bool)) -> Value {
    json!({"requests": requests, "more": is_more})
}

/// The same for spreadsheets.
pub fn csv(requests: &[Value]) -> String {
    const COLUMNS: [&str; 15] = [
        "time",
        "id",
        "key",
        "surface",
        "model",
        "credential",
        "status",
        "attempts",
        "ms",
        "ttft_ms",
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "cost_usd",
        "error",
    ];
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => field(text),
        other => other.to_string(),
    };
    let row = |request: &Value| COLUMNS.map(|column| cell(&request[column])).join(",") + "\r\n";
    COLUMNS.join(",") + "\r\n" + &requests.iter().map(row).collect::<String>()
}
