//! What the log, the counters and the list of the last requests learn of one generation request.

use crate::api::Surface;
use crate::error::ApiError;
use crate::gemini::UsageMetadata;
use crate::http::Request;
use crate::keys::{Key, Permit};
use crate::logging::{self, Field};
use crate::serve::app::App;
use crate::serve::money;
use crate::upstream::Verdict;
use crate::usage::{Entry, Finished, Line, Try};
use std::time::{Duration, Instant, SystemTime};

/// Letters of a model's name that is not known.
const LONGEST_NAME: usize = 64;
/// Letters of what Google said of an attempt.
const LONGEST_WORDS: usize = 300;

/// One request so far.
pub(super) struct Record<'a> {
    app: &'a App,
    key: &'a Key,
    /// The dialect's name.
    surface: &'static str,
    id: String,
    path: String,
    /// Known once the request was read.
    pub model: String,
    /// The name of the model that the client wrote, where the request could not be served by it.
    asked: String,
    /// Google's finish or block reason, where the answer did not just end.
    reason: String,
    started: Instant,
    first_content: Option<Duration>,
    tries: Vec<Try>,
    cost: Option<u64>,
    /// Who answered or failed last.
    credential: String,
}

/// Google's words, or ours of them.
fn said(error: &ApiError) -> String {
    error.said().chars().take(LONGEST_WORDS).collect()
}

/// How a request ended.
pub(super) struct Outcome {
    pub status: u16,
    pub usage: UsageMetadata,
    /// An error code or the word `gone`.
    pub word: String,
}

impl Outcome {
    /// An answer that could not be made.
    pub fn failed(error: &ApiError, usage: UsageMetadata, otherwise: &str) -> Outcome {
        Outcome { status: error.status, usage, word: error.code().unwrap_or(otherwise).to_owned() }
    }
}

impl<'a> Record<'a> {
    pub fn new(app: &'a App, surface: &dyn Surface, key: &'a Key, request: &Request) -> Record<'a> {
        Record {
            app,
            key,
            surface: surface.name(),
            id: request.id.clone(),
            path: request.path.clone(),
            model: String::new(),
            asked: String::new(),
            reason: String::new(),
            started: Instant::now(),
            first_content: None,
            tries: Vec::new(),
            cost: None,
            credential: String::new(),
        }
    }

    /// A credential was asked, and failed for this reason or begins to answer.
    pub fn attempt(&mut self, credential: String, failure: Option<&Verdict>) {
        let mut one = Try { credential: credential.clone(), status: "200".into(), ..Try::default() };
        self.credential = credential;
        one.at = self.started.elapsed();
        if let Some(verdict) = failure {
            one.status = verdict.word.to_string();
            one.reason = verdict.reason.to_string();
            // What the client, a stop or a revoked key has ended is nobody's failure.
            if verdict.reason != "GONE" {
                one.said = said(&verdict.error);
                self.count_failure(&verdict.word);
            }
        }
        self.tries.push(one);
    }

    /// The answer that had begun is of no use.
    pub fn spoil(&mut self, error: &ApiError) {
        self.count_failure("Exception");
        if let Some(last) = self.tries.last_mut() {
            last.status = "Exception".into();
            last.reason = error.code().unwrap_or_default().to_owned();
            last.said = said(error);
            last.at = self.started.elapsed();
        }
    }

    /// Counts a failure of the credential that was asked last.
    pub fn count_failure(&self, reason: &str) {
        self.app.usage.failure(&self.line(), reason);
    }

    /// A request that is refused names this model. It is for the log and the list only: counted by it, names that clients
    /// invent would take the places of others.
    pub fn asked(&mut self, name: &str) {
        self.asked = name.chars().take(LONGEST_NAME).collect();
    }

    fn model_name(&self) -> &String {
        if self.model.is_empty() { &self.asked } else { &self.model }
    }

    /// Google says why it ended the answer; the last word counts. An answer that begins anew has none.
    pub fn reason(&mut self, word: &str) {
        self.reason = word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    }

    /// A piece of the answer goes out.
    pub fn content(&mut self) {
        self.first_content.get_or_insert_with(|| self.started.elapsed());
    }

    fn line(&self) -> Line {
        Line::new(&self.key.mark, &self.credential, &self.model)
    }

    /// Counts the request, once, before the client has the whole answer: who has it finds it counted, and its place free.
    pub fn count(&mut self, answered: bool, outcome: &Outcome, permit: Option<Permit>) {
        let usage = &outcome.usage;
        let is_paid = answered || usage.has_tokens();
        self.cost = is_paid.then(|| money::cost(self.app, &self.model, usage)).flatten();
        self.app.usage.finish(&Finished {
            line: &self.line(),
            surface: self.surface,
            status: outcome.status,
            answered,
            usage,
            latency: self.started.elapsed(),
            first_token: self.first_content,
            cost: self.cost,
        });
        if let Some(permit) = permit {
            let parts = [usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count];
            let tokens = usage.total_token_count.unwrap_or_else(|| parts.iter().flatten().sum());
            permit.spend(tokens, self.cost.unwrap_or(0));
        }
        self.remember(outcome);
    }

    /// Counts a request for which nobody was asked: one that cannot be read or that the key may not make.
    pub fn count_refused(&self, outcome: &Outcome) {
        self.app.usage.turn_away(&self.line(), self.surface, outcome.status, &outcome.word);
        self.remember(outcome);
    }

    fn remember(&self, outcome: &Outcome) {
        let tokens = |count: Option<u64>| count.unwrap_or(0);
        let usage = &outcome.usage;
        self.app.usage.remember(Entry {
            time: SystemTime::now(),
            id: self.id.clone(),
            key: self.key.name.to_string(),
            key_id: self.key.mark.to_string(),
            surface: self.surface,
            model: self.model_name().clone(),
            credential: self.credential.clone(),
            status: outcome.status,
            tries: self.tries.clone(),
            latency: self.started.elapsed(),
            first_token: self.first_content,
            prompt_tokens: tokens(usage.prompt_token_count),
            cached_tokens: tokens(usage.cached_content_token_count),
            completion_tokens: tokens(usage.candidates_token_count) + tokens(usage.thoughts_token_count),
            images: usage.images,
            audio_ms: usage.audio_ms,
            cost: self.cost,
            error: [&*outcome.word, &*self.reason]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
        });
    }

    /// One line per request; no body, no token, no prompt.
    pub fn log(&self, outcome: &Outcome) {
        let usage = &outcome.usage;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        logging::access(&[
            ("key", Field::from(&*self.key.name)),
            ("surface", self.surface.into()),
            ("path", Field::from(&self.path)),
            ("model", Field::from(self.model_name())),
            ("credential", Field::from(&self.credential)),
            ("status", outcome.status.into()),
            ("error", Some(&outcome.word).filter(|word| !word.is_empty()).into()),
            ("reason", Some(&self.reason).filter(|word| !word.is_empty()).into()),
            ("attempts", (self.tries.len() as u64).into()),
            ("ms", ms(self.started.elapsed()).into()),
            ("ttft_ms", self.first_content.map(ms).into()),
            ("prompt_tokens", usage.prompt_token_count.into()),
            ("completion_tokens", usage.candidates_token_count.into()),
            ("thinking_tokens", usage.thoughts_token_count.into()),
            ("images", Some(usage.images).filter(|count| *count > 0).into()),
            ("audio_ms", Some(usage.audio_ms).filter(|count| *count > 0).into()),
        ]);
    }
}
