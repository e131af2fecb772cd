//! Usage over time: JSON for the page's plots and tables, CSV for spreadsheets. Pure: a snapshot in, text out.

use crate::calendar;
use crate::credentials::View;
use crate::mask;
use crate::usage::{Counts, Line, OTHER, Snapshot, Table, dollars, most_first, seconds, sum_by};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

/// What time a request for statistics is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// By hour.
    Day,
    /// By day.
    Days(u32),
}

impl Range {
    /// `24h` (also when nothing is said), `7d`, `30d`.
    pub fn parse(word: Option<&str>) -> Result<Range, String> {
        match word {
            None | Some("" | "24h") => Ok(Range::Day),
            Some("7d") => Ok(Range::Days(7)),
            Some("30d") => Ok(Range::Days(30)),
            Some(other) => Err(format!("range: expected 24h, 7d or 30d, found {:?}", other)),
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Range::Day => "24h",
            Range::Days(7) => "7d",
            Range::Days(_) => "30d",
        }
    }

    /// The periods up to now with their tables; a period without requests has none.
    fn periods(self, snapshot: &Snapshot) -> Vec<(SystemTime, Option<Arc<Table>>)> {
        let (tables, last, count) = match self {
            Range::Day => (&snapshot.hours, calendar::hour(snapshot.now), 24),
            Range::Days(count) => (&snapshot.days, calendar::day(snapshot.now), count),
        };
        let start =
            |number| if self == Range::Day { calendar::hour_start(number) } else { calendar::day_start(number) };
        let table = |number| tables.iter().find(|(known, _)| *known == number).map(|(_, table)| table.clone());
        (last.saturating_sub(count - 1)..=last).map(|number| (start(number), table(number))).collect()
    }
}

/// `GET /admin/stats`. `failed` counts requests, `turned_away` those of them for which Google was not asked, and
/// `failed_attempts` what Google refused; `failures` has the reasons of the latter two.
/// Models, keys and credentials come by use: all, or the `top` ones and one row for the rest.
pub fn stats(snapshot: &Snapshot, views: &[View], range: Range, top: usize) -> Value {
    let periods = range.periods(snapshot);
    let buckets: Vec<Value> = periods.iter().map(|(start, table)| bucket(*start, table.as_deref())).collect();
    let tables: Vec<&Table> = periods.iter().filter_map(|(_, table)| table.as_deref()).collect();
    let credential = |(name, counts): (String, Counts)| {
        let view = views.iter().find(|view| view.name == name);
        let mut entry = sums(&counts);
        let label = view.and_then(|view| match &view.email {
            Some(email) => Some(mask::email(Some(email))),
            None => view.label.clone(),
        });
        entry["label"] = json!(label);
        entry["credential"] = json!(name);
        entry
    };
    let named = |field: &'static str| {
        move |(name, counts): (String, Counts)| {
            let mut entry = sums(&counts);
            entry[field] = json!(name);
            entry
        }
    };
    let total = sum(&tables);
    let by =
        |who: &'static str| move |(reason, count): &(String, u64)| json!({"reason": reason, "count": count, "by": who});
    let failures = total.failed.iter().map(by("google")).chain(total.turned_away.iter().map(by("proxy")));
    let today = snapshot.days.iter().find(|(day, _)| *day == calendar::day(snapshot.now)).map(|(_, table)| &**table);
    json!({
        "range": range.word(),
        "since": calendar::iso(snapshot.since),
        "buckets": buckets,
        "models": group(&tables, top, |line| &line.model).into_iter().map(named("model")).collect::<Vec<_>>(),
        "keys": group(&tables, top, |line| snapshot.key_name(&line.key)).into_iter().map(named("key")).collect::<Vec<_>>(),
        "credentials": group(&tables, top, |line| &line.credential).into_iter().map(credential).collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
        "today": sums(&sum(today.as_slice())),
    })
}

fn bucket(start: SystemTime, table: Option<&Table>) -> Value {
    let mut entry = json!({"start": calendar::iso(start)});
    let sums = sums(&sum(table.as_slice()));
    for field in TOKENS_AND_REQUESTS {
        entry[field] = sums[field].clone();
    }
    entry
}

const TOKENS_AND_REQUESTS: [&str; 9] = [
    "requests",
    "failed",
    "turned_away",
    "prompt_tokens",
    "completion_tokens",
    "thinking_tokens",
    "cached_tokens",
    "total_tokens",
    "cost_usd",
];

fn sums(counts: &Counts) -> Value {
    let quantiles = |histogram: &crate::usage::Histogram| json!({"p50": histogram.quantile_ms(0.5), "p95": histogram.quantile_ms(0.95)});
    json!({
        "requests": counts.requests(),
        "failed": counts.refused,
        "turned_away": counts.turned_away.iter().map(|(_, count)| count).sum::<u64>(),
        "failed_attempts": counts.failures(),
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.candidates_tokens,
        "thinking_tokens": counts.thoughts_tokens,
        "cached_tokens": counts.cached_tokens,
        "total_tokens": counts.total_tokens,
        "images": counts.images,
        "audio_seconds": seconds(counts.audio_ms),
        "cost_usd": dollars(counts.cost),
        "unpriced": counts.unpriced,
        "latency_ms": quantiles(&counts.latency),
        "ttft_ms": quantiles(&counts.first_token),
    })
}

fn sum(tables: &[&Table]) -> Counts {
    let mut sum = Counts::default();
    tables.iter().flat_map(|table| table.rows()).for_each(|(_, counts)| sum.add(counts));
    sum
}

/// Sums by one of the names, the most used first.
fn group<'a>(tables: &[&'a Table], top: usize, name: impl Fn(&'a Line) -> &'a str) -> Vec<(String, Counts)> {
    let mut groups = sum_by(tables.iter().flat_map(|table| table.rows()), name);
    most_first(&mut groups, |counts| (counts.requests() + counts.failures(), 0));
    if groups.len() > top {
        let mut others = Counts::default();
        groups.drain(top..).for_each(|(_, counts)| others.add(&counts));
        groups.push((OTHER.into(), others));
    }
    groups
}

/// `GET /admin/stats.csv`: a row per period, key, credential and model (RFC 4180).
pub fn csv(snapshot: &Snapshot, range: Range) -> String {
    let mut text = String::from(
        "day,key,credential,model,requests,failed,failed_attempts,prompt_tokens,completion_tokens,thinking_tokens,\
         cached_tokens,total_tokens,latency_p50_ms,latency_p95_ms,ttft_p50_ms,ttft_p95_ms,cost_usd,unpriced,images,\
         audio_seconds\r\n",
    );
    for (start, table) in range.periods(snapshot) {
        let start = match range {
            Range::Day => calendar::iso(start),
            Range::Days(_) => calendar::day_text(calendar::day(start)),
        };
        for (line, counts) in table.iter().flat_map(|table| table.rows()) {
            let names = [snapshot.key_name(&line.key), &line.credential, &line.model].map(field);
            let _ = write!(text, "{start},{}", names.join(","));
            for number in [
                counts.requests(),
                counts.refused,
                counts.failures(),
                counts.prompt_tokens,
                counts.candidates_tokens,
                counts.thoughts_tokens,
                counts.cached_tokens,
                counts.total_tokens,
            ] {
                let _ = write!(text, ",{number}");
            }
            for histogram in [&counts.latency, &counts.first_token] {
                for part in [0.5, 0.95] {
                    let time = histogram.quantile_ms(part).map(|time| time.to_string());
                    let _ = write!(text, ",{}", time.unwrap_or_default());
                }
            }
            let (images, audio) = (counts.images, seconds(counts.audio_ms));
            let _ = write!(text, ",{},{},{images},{audio}\r\n", dollars(counts.cost), counts.unpriced);
        }
    }
    text
}

/// A text field. Clients choose model names, and spreadsheets run what begins like a formula.
pub(super) fn field(text: &str) -> String {
    let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains([',', '"', '\r', '\n']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::UsageMetadata;
    use crate::usage::{Finished, Usage};
    use std::time::Duration;

    fn used() -> Snapshot {
        let usage = Usage::default();
        let tokens = UsageMetadata { prompt_token_count: Some(7), total_token_count: Some(9), ..Default::default() };
        for (model, answered) in [("m", true), ("m", true), ("=cmd(),\"x\"", false)] {
            usage.finish(&Finished {
                line: &Line::new("a,b", "cred-0", model),
                surface: "chat",
                status: 200,
                answered,
                usage: &tokens,
                latency: Duration::from_millis(100),
                first_token: None,
                cost: None,
            });
        }
        usage.failure(&Line::new("a,b", "cred-0", "=cmd(),\"x\""), "429");
        usage.snapshot()
    }

    #[test]
    fn buckets_are_contiguous_and_end_now() {
        let snapshot = used();
        for (word, count, step) in [("24h", 24, 3600), ("7d", 7, 86_400), ("30d", 30, 86_400)] {
            let range = Range::parse(Some(word)).unwrap();
            let starts: Vec<SystemTime> = range.periods(&snapshot).iter().map(|(start, _)| *start).collect();
            assert_eq!(starts.len(), count);
            assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + Duration::from_secs(step)), "{word}");
            let stats = stats(&snapshot, &[], range, usize::MAX);
            let buckets = stats["buckets"].as_array().unwrap();
            let sum: u64 = buckets.iter().map(|bucket| bucket["requests"].as_u64().unwrap()).sum();
            assert_eq!((buckets.len(), sum), (count, 3), "{word}");
            assert_eq!(stats["models"][0]["model"], "m");
            assert_eq!(stats["models"][0]["total_tokens"], 18);
            assert_eq!(stats["keys"][0]["failed"], 1);
            assert_eq!(stats["failures"], json!([{"reason": "429", "count": 1, "by": "google"}]));
            assert_eq!(stats["today"]["requests"], 3);
        }
        assert!(Range::parse(Some("1y")).is_err());
    }

    #[test]
    fn the_most_used_are_named_and_the_others_summed() {
        let snapshot = used();
        let models = |top| stats(&snapshot, &[], Range::Day, top)["models"].as_array().unwrap().clone();
        let named = |models: &[Value]| {
            let of = |row: &Value| (row["model"].as_str().unwrap().to_owned(), row["requests"].as_u64().unwrap());
            models.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(named(&models(1)), [("m".to_owned(), 2), (OTHER.to_owned(), 1)]);
        assert_eq!(named(&models(2)), [("m".to_owned(), 2), ("=cmd(),\"x\"".to_owned(), 1)]);
    }

    #[test]
    fn csv_quotes_what_needs_it_and_disarms_formulas() {
        let text = csv(&used(), Range::Days(7));
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[1].contains(",\"a,b\",cred-0,m,2,0,0,14,0,0,0,18,"), "{}", lines[1]);
        assert!(lines[2].contains(",\"a,b\",cred-0,\"'=cmd(),\"\"x\"\"\",1,1,1,7,"), "{}", lines[2]);
        assert_eq!(lines.len(), 4, "header, two rows, the end of the last line");
    }
}
