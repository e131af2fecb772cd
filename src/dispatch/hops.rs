//! Long decode: an answer that Google gives over several calls, called hops, read as one (docs/gemini-4.md "Rules for
//! Gemini 4"). Whoever reads the events sees one answer with one finish and one usage.
//!
//! [`Hops`] is a machine without I/O: events in, events out, and what to do at the end of a call. [`Dispatcher`] asks for
//! the next hop on the same credential, and again where one fails.
//!
//! [`Dispatcher`]: super::Dispatcher

use super::grounding;
use super::said::Said;
use crate::gemini::UsageMetadata;
use crate::upstream::Event;
use serde_json::{Value, json};

/// Calls of the longest answer: so many of 65,536 tokens fill the window of a model.
const MOST_HOPS: u32 = 16;
/// Failures in a row, without anything new between them, after which the answer ends where it is.
pub(super) const MOST_FAILURES: u32 = 3;

/// The field of a request that asks for the next hop.
pub(super) const TOKEN: &str = "continuationToken";

/// What follows the present hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing is known yet: the hop has not ended as it should.
    #[default]
    Unknown,
    /// The next hop.
    Hop,
    /// What is left of the call: the answer has its finish.
    Rest,
    /// Nothing at all.
    End,
}

/// An answer of several hops so far.
#[derive(Debug, Default)]
pub(super) struct Hops {
    /// Of the present hop, from 1.
    number: u32,
    follows: Follows,
    /// From which Google goes on; the newest one.
    token: Option<String>,
    /// The one that the present hop was asked with.
    sent: Option<String>,
    /// Tokens that the client allows for the whole answer.
    limit: Option<u64>,
    /// What was given out since the newest token came.
    since: Said,
    /// What a repeated hop says once more, and nobody is told again.
    repeated: Said,
    pub failures: u32,
    /// Of the earlier hops, as the client is told: the prompt is that of the first.
    told: UsageMetadata,
    /// Of the present hop.
    usage: UsageMetadata,
    /// The same when the newest token came.
    marked: UsageMetadata,
    /// What is billed beyond what the client is told.
    unseen: UsageMetadata,
    grounding: grounding::Joined,
}

/// What a hop said cannot follow on what the client has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diverged;

impl Hops {
    /// Of an answer that may have this many tokens.
    pub fn new(limit: Option<u64>) -> Hops {
        Hops { number: 1, limit, ..Hops::default() }
    }

    /// What follows the present hop.
    pub fn follows(&self) -> Follows {
        self.follows
    }

    /// Whether Google could go on from here if the present call broke.
    pub fn can_go_on(&self) -> bool {
        self.token.is_some()
    }

    /// What Google counted and the client is not told: later hops read everything once more, and hops that broke.
    pub fn unseen(&self) -> UsageMetadata {
        let mut unseen = self.unseen.clone();
        if self.number > 1 {
            unseen.add(&prompt_of(&self.usage));
        }
        unseen
    }

    /// Begins the next hop, or the present one once more if it did not end. The token to ask it with.
    pub fn begin(&mut self) -> &str {
        let (usage, marked) = (std::mem::take(&mut self.usage), std::mem::take(&mut self.marked));
        let kept = if self.follows == Follows::Hop { &usage } else { &marked };
        if self.token == self.sent {
            self.unseen.add(&usage);
        } else {
            // A checkpoint in the middle of a call begins a hop of its own, and what came after it is said once more.
            self.unseen.add(&beyond(&usage, kept));
            if self.number > 1 {
                self.unseen.add(&prompt_of(kept));
            }
            self.told = self.sum(kept);
            self.number += 1;
        }
        self.repeated = match self.follows {
            Follows::Hop => Said::default(),
            _ => self.since.clone(),
        };
        if self.follows == Follows::Hop {
            // What Google found may come behind the token.
            self.grounding.mark();
        }
        self.grounding.end_hop();
        self.since = self.repeated.clone();
        self.follows = Follows::Unknown;
        self.sent.clone_from(&self.token);
        self.token.as_deref().unwrap_or_default()
    }

    /// Takes an event of Google's; gives what the reader is to see.
    pub fn take(&mut self, event: Event) -> Result<Event, Diverged> {
        let Ok(mut value) = serde_json::from_str::<Value>(event.json()) else { return Ok(event) };
        let mut is_changed = false;
        if let Some(usage) = value.get("usageMetadata").and_then(|usage| serde_json::from_value(usage.clone()).ok()) {
            self.usage.merge(&usage);
            if self.number > 1 || self.unseen != UsageMetadata::default() {
                value["usageMetadata"] = written(&self.sum(&self.usage));
                is_changed = true;
            }
        }
        if value.pointer("/promptFeedback/blockReason").is_some_and(Value::is_string) {
            self.follows = Follows::Rest;
        }
        let candidates = value.get_mut("candidates").and_then(Value::as_array_mut);
        let first = candidates.and_then(|all| all.iter_mut().find(|one| one["index"].as_u64().unwrap_or(0) == 0));
        if let Some(candidate) = first {
            is_changed |= self.candidate(candidate)?;
        }
        Ok(if is_changed { event.with_json(value.to_string()) } else { event })
    }

    /// Takes a candidate; whether it was changed.
    fn candidate(&mut self, candidate: &mut Value) -> Result<bool, Diverged> {
        let mut is_changed = false;
        if let Some(parts) = candidate.pointer_mut("/content/parts").and_then(Value::as_array_mut) {
            let before = parts.len();
            let mut kept = Vec::with_capacity(before);
            for mut part in std::mem::take(parts) {
                self.grounding.part(&part);
                if !self.repeated.is_empty() {
                    is_changed = true;
                    if !self.repeated.skip(&mut part).map_err(|()| Diverged)? {
                        continue;
                    }
                }
                self.since.push(&part);
                kept.push(part);
            }
            *parts = kept;
        }
        is_changed |= self.grounding.join(candidate);
        let token = candidate.as_object_mut().and_then(|fields| fields.shift_remove(TOKEN));
        if let Some(Value::String(token)) = token.filter(|token| token.as_str().is_some_and(|token| !token.is_empty()))
        {
            if self.token.as_ref() != Some(&token) {
                self.failures = 0;
                self.since = self.repeated.clone();
                self.marked = self.usage.clone();
                self.grounding.mark();
                self.token = Some(token);
            }
            is_changed = true;
        }
        match candidate.get("finishReason").and_then(Value::as_str) {
            None | Some("") => {}
            Some("CONTINUATION") if self.may_go_on() => {
                self.follows = Follows::Hop;
                candidate.as_object_mut().map(|fields| fields.shift_remove("finishReason"));
                is_changed = true;
            }
            Some(_) => self.follows = Follows::Rest,
        }
        Ok(is_changed)
    }

    /// A repeated token would give the same hop again, and one that came before the end would repeat what came after it.
    fn may_go_on(&self) -> bool {
        let spent = output_of(&self.sum(&self.usage));
        self.token.is_some()
            && self.token != self.sent
            && self.since.is_empty()
            && self.number < MOST_HOPS
            && self.limit.is_none_or(|limit| spent < limit)
    }

    /// The end of an answer that Google does not end: it is as long as it could become.
    pub fn ending(&mut self) -> Event {
        self.follows = Follows::End;
        let candidate = json!({"index": 0, "finishReason": "CONTINUATION"});
        let mut told = self.told.clone();
        if self.usage != UsageMetadata::default() {
            told = self.sum(&self.usage);
        }
        Event::new(json!({"candidates": [candidate], "usageMetadata": written(&told)}).to_string())
    }

    /// What the client is told with this usage of the present hop.
    fn sum(&self, usage: &UsageMetadata) -> UsageMetadata {
        if self.number == 1 {
            return usage.clone();
        }
        let mut sum = self.told.clone();
        sum.add(&UsageMetadata {
            prompt_token_count: None,
            cached_content_token_count: None,
            total_token_count: Some(output_of(usage)),
            prompt_tokens_details: Vec::new(),
            ..usage.clone()
        });
        sum
    }
}

/// What a usage counts beside the prompt. Some count thoughts among the candidates; the total tells.
fn output_of(usage: &UsageMetadata) -> u64 {
    let count = |value: Option<u64>| value.unwrap_or(0);
    match usage.total_token_count {
        Some(total) => total.saturating_sub(count(usage.prompt_token_count)),
        None => count(usage.candidates_token_count)
            .saturating_add(count(usage.thoughts_token_count))
            .saturating_add(count(usage.tool_use_prompt_token_count)),
    }
}

/// What a usage counts of an answer beyond an earlier one of the same call.
fn beyond(usage: &UsageMetadata, earlier: &UsageMetadata) -> UsageMetadata {
    let less = |count: Option<u64>, before: Option<u64>| Some(count?.saturating_sub(before.unwrap_or(0)));
    UsageMetadata {
        candidates_token_count: less(usage.candidates_token_count, earlier.candidates_token_count),
        thoughts_token_count: less(usage.thoughts_token_count, earlier.thoughts_token_count),
        tool_use_prompt_token_count: less(usage.tool_use_prompt_token_count, earlier.tool_use_prompt_token_count),
        total_token_count: less(Some(output_of(usage)), Some(output_of(earlier))),
        ..UsageMetadata::default()
    }
}

/// The part of a usage that counts the prompt.
fn prompt_of(usage: &UsageMetadata) -> UsageMetadata {
    UsageMetadata {
        prompt_token_count: usage.prompt_token_count,
        cached_content_token_count: usage.cached_content_token_count,
        total_token_count: usage.prompt_token_count,
        ..UsageMetadata::default()
    }
}

/// A usage as Google writes it; the first hop has told how its prompt is made up.
fn written(usage: &UsageMetadata) -> Value {
    let counts = [
        ("promptTokenCount", usage.prompt_token_count),
        ("cachedContentTokenCount", usage.cached_content_token_count),
        ("candidatesTokenCount", usage.candidates_token_count),
        ("thoughtsTokenCount", usage.thoughts_token_count),
        ("toolUsePromptTokenCount", usage.tool_use_prompt_token_count),
        ("totalTokenCount", usage.total_token_count),
    ];
    let counts = counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), json!(count?))));
    counts.chain(usage.tier().map(|tier| ("serviceTier".to_owned(), json!(tier.word())))).collect()
}
