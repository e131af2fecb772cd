//! Counters of this run for `/metrics`. They only rise, also when the statistics are reset, and have few labels: a client
//! can invent model names, but not a thousand time series.

use super::table::{OTHER, count, entry};
use super::{Finished, Histogram};

/// Different models that get a label of their own.
const MOST_MODELS: usize = 50;
/// Different classes of upstream errors.
const MOST_CLASSES: usize = 40;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Requests by surface, model and status.
    pub requests: Vec<(&'static str, String, u16, u64)>,
    /// Prompt, answer, thinking and cached tokens by model, and nanodollars.
    pub tokens: Vec<(String, [u64; 4], u64)>,
    /// Pictures, and milliseconds of speech, by model, where there were any.
    pub media: Vec<(String, [u64; 2])>,
    /// Requests without a key that is known.
    pub wrong_keys: u64,
    /// Failed attempts by class.
    pub upstream_errors: Vec<(String, u64)>,
    /// Latency and time to first token by surface.
    pub times: Vec<(&'static str, Histogram, Histogram)>,
}

impl Live {
    /// Counts a request and returns the label of its model.
    pub(super) fn request<'a>(&mut self, surface: &'static str, model: &'a str, status: u16) -> &'a str {
        let model = self.label(model);
        let is_it = |(s, m, t, _): &(&str, String, u16, u64)| *s == surface && m == model && *t == status;
        entry(&mut self.requests, is_it, || (surface, model.to_owned(), status, 0)).3 += 1;
        model
    }

    pub(super) fn finish(&mut self, finished: &Finished<'_>) {
        let model = self.request(finished.surface, &finished.line.model, finished.status);
        let usage = finished.usage;
        if !finished.answered && !usage.has_tokens() {
            return;
        }
        let counts = [
            usage.prompt_token_count,
            usage.candidates_token_count,
            usage.thoughts_token_count,
            usage.cached_content_token_count,
        ];
        let (_, sums, cost) = entry(&mut self.tokens, |(known, ..)| known == model, || (model.to_owned(), [0; 4], 0));
        *cost = cost.saturating_add(finished.cost.unwrap_or(0));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count.unwrap_or(0);
        }
        if usage.images + usage.audio_ms > 0 {
            let (_, sums) = entry(&mut self.media, |(known, _)| known == model, || (model.to_owned(), [0; 2]));
            (sums[0], sums[1]) = (sums[0] + usage.images, sums[1] + usage.audio_ms);
        }
        if !finished.answered {
            return;
        }
        let surface = finished.surface;
        let none = || (surface, Histogram::default(), Histogram::default());
        let (_, latency, first_token) = entry(&mut self.times, |(known, ..)| *known == surface, none);
        latency.record(finished.latency);
        finished.first_token.into_iter().for_each(|time| first_token.record(time));
    }

    pub(super) fn fail(&mut self, class: &str) {
        count(&mut self.upstream_errors, MOST_CLASSES, class, 1);
    }

    /// The model's own name, or the one that late comers share.
    fn label<'a>(&self, model: &'a str) -> &'a str {
        if self.requests.iter().any(|(_, known, ..)| known == model) {
            return model;
        }
        let mut known: Vec<&str> = self.requests.iter().map(|(_, model, ..)| model.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        if known.len() < MOST_MODELS { model } else { OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;
    use crate::gemini::UsageMetadata;
    use std::time::Duration;

    #[test]
    fn invented_models_share_one_label() {
        let mut live = Live::default();
        let usage = UsageMetadata { prompt_token_count: Some(1), ..UsageMetadata::default() };
        for model in 0..500 {
            let line = Line::new("k", "c", &format!("gemini-{model}"));
            live.finish(&Finished {
                line: &line,
                surface: "chat",
                status: 200,
                answered: true,
                usage: &usage,
                latency: Duration::from_millis(5),
                first_token: None,
                cost: None,
            });
        }
        assert_eq!((live.requests.len(), live.tokens.len()), (MOST_MODELS + 1, MOST_MODELS + 1));
        assert_eq!(live.requests.iter().map(|(.., count)| count).sum::<u64>(), 500);
        assert_eq!(live.tokens.iter().map(|(_, counts, _)| counts[0]).sum::<u64>(), 500);
        assert_eq!(live.times[0].1.count(), 500);
    }
}
