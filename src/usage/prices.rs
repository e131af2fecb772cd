//! What a request cost: Google's token counts by a table of prices, `prices.json`, whose rows say where and when they were read. What
//! the operator says of a model goes before it. A model without a price costs nothing here, and is counted as such.

use crate::calendar;
use crate::config::{Price, nanodollars};
use crate::gemini::{ModalityCount, UsageMetadata};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::SystemTime;

/// Tokens of a prompt beyond which the prices for long ones hold.
const LONG: u64 = 200_000;

struct Row {
    model: String,
    from: String,
    until: String,
    price: Price,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows: Vec<Value> = serde_json::from_str(include_str!("prices.json")).unwrap_or_default();
    rows.iter().map(row).collect()
});

fn row(row: &Value) -> Row {
    let text = |name: &str, otherwise: &str| row[name].as_str().unwrap_or(otherwise).to_owned();
    let (input, output) = (row["input"].as_f64().unwrap_or(0.0), row["output"].as_f64().unwrap_or(0.0));
    let long = row["long_input"].as_f64().zip(row["long_output"].as_f64());
    let [cached, audio, image] = ["cached", "audio", "image"].map(|name| row[name].as_f64());
    Row {
        model: text("model", ""),
        from: text("from", ""),
        until: text("until", "9999"),
        price: Price { input, output, cached, audio, image, long },
    }
}

/// What a request cost in nanodollars; `None` where no price is known. `own` are the operator's prices.
pub fn cost(own: &[(String, Price)], model: &str, usage: &UsageMetadata, now: SystemTime) -> Option<u64> {
    price(own, model, now).map(|price| by(price, usage))
}

/// Whether requests for this model cost what is known.
pub fn is_priced(own: &[(String, Price)], model: &str, now: SystemTime) -> bool {
    price(own, model, now).is_some()
}

fn price<'a>(own: &'a [(String, Price)], model: &str, now: SystemTime) -> Option<&'a Price> {
    if !cfg!(feature = "ledger") {
        return None;
    }
    if let Some((_, price)) = own.iter().find(|(known, _)| known == model) {
        return Some(price);
    }
    let mut rows = ROWS.iter().filter(|row| row.model == model).peekable();
    rows.peek()?;
    let today = calendar::day_text(calendar::day(now));
    rows.find(|row| *row.from <= *today && *today < *row.until).map(|row| &row.price)
}

fn by(price: &Price, usage: &UsageMetadata) -> u64 {
    let count = |tokens: Option<u64>| tokens.unwrap_or(0);
    let of = |list: &[ModalityCount], modality: &str| -> u64 {
        list.iter()
            .filter(|entry| entry.modality.eq_ignore_ascii_case(modality))
            .map(|entry| count(entry.token_count))
            .sum()
    };
    let prompt = count(usage.prompt_token_count) + count(usage.tool_use_prompt_token_count);
    let cached = count(usage.cached_content_token_count).min(prompt);
    // What of the audio came from the cache costs what the cache costs.
    let heard = of(&usage.prompt_tokens_details, "AUDIO").saturating_sub(of(&usage.cache_tokens_details, "AUDIO"));
    let audio = heard.min(prompt - cached);
    let answer = count(usage.candidates_token_count);
    let image = of(&usage.candidates_tokens_details, "IMAGE").min(answer);
    let is_long = count(usage.prompt_token_count) > LONG;
    let (input, output) = price.long.filter(|_| is_long).unwrap_or((price.input, price.output));
    // What is cheap in the cache is as much dearer in long prompts as the rest.
    let factor = if price.input > 0.0 { input / price.input } else { 1.0 };
    let dollars = (prompt - cached - audio) as f64 * input
        + cached as f64 * price.cached.map_or(input, |cached| cached * factor)
        + audio as f64 * price.audio.unwrap_or(input)
        + (answer - image + count(usage.thoughts_token_count)) as f64 * output
        + image as f64 * price.image.unwrap_or(output);
    nanodollars(dollars / 1e6)
}

#[cfg(all(test, feature = "ledger"))]
mod tests {
    use super::*;
    use crate::config::dollars;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(day: &str) -> SystemTime {
        calendar::read(&format!("{day}T12:00:00Z")).unwrap()
    }

    fn usage(prompt: u64, cached: u64, answer: u64, thoughts: u64) -> UsageMetadata {
        UsageMetadata {
            prompt_token_count: Some(prompt),
            cached_content_token_count: Some(cached),
            candidates_token_count: Some(answer),
            thoughts_token_count: Some(thoughts),
            ..UsageMetadata::default()
        }
    }

    #[test]
    fn every_row_has_its_source_and_prices_that_can_be_meant() {
        let rows: Vec<Value> = serde_json::from_str(include_str!("prices.json")).unwrap();
        assert_eq!(rows.len(), ROWS.len());
        for row in &rows {
            assert!(row["source"].as_str().is_some_and(|source| source.len() > 10), "{row}");
            assert!(row["read"].as_str().is_some_and(|read| read.len() == 10), "{row}");
            assert!(
                row["input"].as_f64() > Some(0.0)
                    && (row["output"] == 0 || row["output"].as_f64() > row["input"].as_f64()),
                "{row}"
            );
        }
    }

    #[test]
    fn tokens_cost_by_kind_by_length_and_by_day() {
        let found = |model: &str, usage: &UsageMetadata, day: &str| cost(&[], model, usage, at(day)).map(dollars);
        let million = usage(1_000_000, 0, 1_000_000, 0);
        for (model, day, usage, expected) in [
            (
                "gemini-4-argon",
                "2026-11-30",
                usage(100_000, 40_000, 10_000, 5_000),
                Some(0.06 * 2.0 + 0.04 * 0.1 + 0.015 * 10.0),
            ),
            (
                "gemini-4-argon",
                "2026-12-01",
                usage(100_000, 40_000, 10_000, 5_000),
                Some(0.06 * 4.0 + 0.04 * 0.2 + 0.015 * 20.0),
            ),
            ("gemini-3.1-pro-preview", "2026-11-26", usage(200_000, 0, 1000, 0), Some(0.2 * 2.0 + 0.001 * 12.0)),
            ("gemini-3.1-pro-preview", "2026-11-26", usage(200_001, 0, 1000, 0), Some(0.200_001 * 4.0 + 0.001 * 18.0)),
            ("gemini-2.5-pro", "2026-11-26", usage(200_001, 0, 1000, 0), Some(0.200_001 * 2.5 + 0.001 * 15.0)),
            // 100,000 of 300,000 from the cache, in a long prompt: twice what they cost in a short one.
            (
                "gemini-2.5-pro",
                "2026-11-26",
                usage(300_000, 100_000, 0, 2_000),
                Some(0.2 * 2.5 + 0.1 * 0.25 + 0.002 * 15.0),
            ),
            ("gemini-3.8-flash", "2026-12-31", usage(1000, 0, 0, 0), Some(0.000_75)),
            ("gemini-3.8-flash", "2027-01-01", usage(1000, 0, 100, 0), Some(0.001_5 + 0.000_75)),
            ("gemini-2.5-flash", "2026-11-26", million.clone(), Some(2.8)),
            ("gemini-99", "2026-11-26", million.clone(), None),
        ] {
            let priced = found(model, &usage, day);
            let is_equal = priced.zip(expected).map_or(priced == expected, |(a, b)| (a - b).abs() < 1e-9);
            assert!(is_equal, "{model} {day}: {priced:?}");
        }
        let heard = UsageMetadata {
            prompt_tokens_details: vec![ModalityCount { modality: "AUDIO".into(), token_count: Some(600_000) }],
            ..million.clone()
        };
        assert_eq!(found("gemini-3-flash-preview", &heard, "2026-11-26"), Some(0.4 * 0.5 + 0.6 + 3.0));
        // A million with 600,000 of audio, of which 400,000 came from the cache together with 100,000 of text.
        let kept = UsageMetadata {
            cached_content_token_count: Some(500_000),
            cache_tokens_details: vec![
                ModalityCount { modality: "AUDIO".into(), token_count: Some(400_000) },
                ModalityCount { modality: "TEXT".into(), token_count: Some(100_000) },
            ],
            ..heard.clone()
        };
        let expected = 0.3 * 0.5 + 0.2 + 0.5 * 0.05 + 3.0;
        assert_eq!(found("gemini-3-flash-preview", &kept, "2026-11-26"), Some(expected));
        // What Google's own tools read is prompt, too.
        let searched = UsageMetadata { tool_use_prompt_token_count: Some(500_000), ..million.clone() };
        assert_eq!(found("gemini-2.5-flash", &searched, "2026-11-26"), Some(1.5 * 0.3 + 2.5));
        assert!(is_priced(&[], "gemini-2.5-flash", at("2026-11-26")) && !is_priced(&[], "gemini-99", at("2026-11-26")));
        let own = Price { input: 1.0, output: 2.0, image: Some(30.0), ..Price::default() };
        let own = [("gemini-2.5-flash".to_owned(), own), ("mine".to_owned(), own)];
        let drawn = UsageMetadata {
            candidates_tokens_details: vec![ModalityCount { modality: "IMAGE".into(), token_count: Some(500_000) }],
            ..million.clone()
        };
        let later = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        assert_eq!(cost(&own, "mine", &drawn, later).map(dollars), Some(1.0 + 1.0 + 15.0));
        assert_eq!(cost(&own, "gemini-2.5-flash", &million, later).map(dollars), Some(3.0));
    }
}
