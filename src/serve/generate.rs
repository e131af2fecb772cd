//! The one generation handler, for every surface: parse, dispatch, translate back, write, count. It alone decides when an
//! answer may still move to another credential: until the first piece of content has gone out.

use crate::api::{Context, Exchange, Framing, Surface, Translator};
use crate::credentials::Lease;
use crate::dispatch::{self, Budget, Dispatched};
use crate::error::ApiError;
use crate::gemini::{self, Response as Event, UsageMetadata};
use crate::http::{CancelToken, EventWriter, Pings, Request, Responder, Response};
use crate::keys::{Key, Permit};
use crate::logging::{self, Field};
use crate::os::platform;
use crate::serve::affinity;
use crate::serve::app::App;
use crate::sse;
use crate::usage::{Entry, Finished, Line};
use std::time::{Duration, Instant, SystemTime};

/// How often a useless answer is asked for again before the first byte, at most: a translator decides for those it can
/// read (openai_chat.md 3.3), and a broken one is worth one more attempt.
const SECOND_CHANCES: u32 = 2;

/// Answers one generation request of `surface`, whose caller presented `key`.
pub fn generate(app: &App, surface: &dyn Surface, key: &Key, mut request: Request, mut responder: Responder) {
    let body = std::mem::take(&mut request.body);
    let context = Context {
        models: &app.models,
        signatures: &app.signatures,
        fetch: &*app.fetch,
        key_name: &key.name,
        settings: &app.config.settings,
    };
    let mut run = Run {
        app,
        surface,
        key,
        id: request.id.clone(),
        permit: None,
        model: String::new(),
        cancel: request.cancel.clone(),
        started: Instant::now(),
        first_content: None,
        chances: SECOND_CHANCES,
        attempts: 0,
        credential: String::new(),
        is_denied: false,
    };
    let mut exchange = match surface.parse(&request, body, &context) {
        Ok(exchange) => exchange,
        Err(error) => return run.turn_away(&request.path, responder, &error),
    };
    let call = exchange.call();
    call.affinity = match call.request.names_stored() {
        // Files and caches belong to the credential they were stored with.
        true => Some(crate::serve::passthrough::affinity(&key.name)),
        false => affinity::of(app.config.settings.affinity, &key.name, &request.headers, call),
    };
    run.model.clone_from(&call.model);
    let (permit, headers) = key.admit(Some(&run.model), &app.models);
    headers.iter().for_each(|(name, value)| responder.add_header(name, value));
    run.permit = match permit {
        Ok(permit) => Some(permit),
        Err(error) => return run.turn_away(&request.path, responder, &error),
    };
    let output = Output::new(responder, exchange.framing(), app);
    let outcome = run.answer(&mut *exchange, output);
    run.log(&request.path, &outcome);
}

/// How a request ended, for the log line.
struct Outcome {
    status: u16,
    usage: UsageMetadata,
    /// An error code or the word `gone`.
    word: String,
}

/// One request while it is being answered.
struct Run<'a> {
    app: &'a App,
    surface: &'a dyn Surface,
    key: &'a Key,
    id: String,
    /// Given back when the answer is complete, before its last piece goes out: who sends the next request at once must
    /// find the place free.
    permit: Option<Permit>,
    model: String,
    cancel: CancelToken,
    started: Instant,
    first_content: Option<Duration>,
    /// Further attempts that are left for useless answers.
    chances: u32,
    attempts: u32,
    /// Who answered or failed last.
    credential: String,
    /// Google answered that it does not answer such a prompt.
    is_denied: bool,
}

/// Why relaying an answer stopped before its end.
enum Broken {
    /// The client left.
    Cancelled,
    /// The answer is of no use; `again` says whether another attempt could do better.
    Answer { error: ApiError, again: bool },
}

impl Run<'_> {
    fn answer(&mut self, exchange: &mut dyn Exchange, mut output: Output) -> Outcome {
        let mut translator = exchange.translator();
        let mut first_call = true;
        let mut budget = Budget::new();
        loop {
            let answer = match self.send(exchange, &mut budget) {
                Ok(answer) => answer,
                Err(_) if self.cancel.is_stopped() => return self.fail(output, &mut *translator, stopping()),
                Err(error) => return self.fail(output, &mut *translator, error),
            };
            let credential = answer.lease.name.clone();
            match self.relay(answer, exchange, &mut *translator, &mut output) {
                Ok(None) => {
                    first_call = false;
                    budget = Budget::new();
                }
                Ok(Some(document)) => {
                    let outcome = Outcome { status: 200, usage: translator.usage(), word: String::new() };
                    self.count(true, &outcome);
                    output.finish(document);
                    return outcome;
                }
                Err(Broken::Cancelled) if self.cancel.is_stopped() => {
                    return self.fail(output, &mut *translator, stopping());
                }
                Err(Broken::Cancelled) => {
                    // Google was asked and counted it; nobody is at fault.
                    let outcome = Outcome { status: 499, usage: translator.usage(), word: "gone".into() };
                    self.count(true, &outcome);
                    return outcome;
                }
                // After the first of several calls a fresh translator would lack what that one brought.
                Err(Broken::Answer { again: true, .. })
                    if self.chances > 0
                        && first_call
                        && !output.has_content()
                        && self.app.dispatcher.may_ask_again(&budget) =>
                {
                    self.chances -= 1;
                    self.app.usage.failure(&self.line(&credential), "Exception");
                    translator = exchange.translator();
                }
                Err(Broken::Answer { error, .. }) => {
                    self.app.usage.failure(&self.line(&credential), "Exception");
                    return self.fail(output, &mut *translator, error);
                }
            }
        }
    }

    /// Asks Google, over as many credentials as it takes; counts the attempts that fail.
    fn send(&mut self, exchange: &mut dyn Exchange, budget: &mut Budget) -> Result<Dispatched, ApiError> {
        let mut failures: Vec<(String, String)> = Vec::new();
        let mut failed = |lease: &Lease, reason: &str| failures.push((lease.name.clone(), reason.to_owned()));
        let result = self.app.dispatcher.send(exchange.call(), budget, &self.cancel, &mut failed);
        for (credential, reason) in failures {
            self.attempts += 1;
            self.app.usage.failure(&self.line(&credential), &reason);
            self.credential = credential;
        }
        if let Ok(answer) = &result {
            self.attempts += 1;
            self.credential.clone_from(&answer.lease.name);
        }
        result
    }

    /// Passes events on until the upstream ends; returns what is left to send, or nothing when the answer takes another
    /// call.
    fn relay(
        &mut self,
        mut answer: Dispatched,
        exchange: &mut dyn Exchange,
        translator: &mut dyn Translator,
        output: &mut Output,
    ) -> Result<Option<Vec<u8>>, Broken> {
        let _watch = dispatch::watch(&self.cancel);
        let mut out = Vec::new();
        let mut next = Some(answer.first);
        let mut is_held = true;
        loop {
            let event = match next {
                Some(event) => event,
                None => match answer.rest.next_event() {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(_) if self.cancel.is_cancelled() => return Err(Broken::Cancelled),
                    Err(fault) => {
                        let error = self.app.dispatcher.judge(&answer.lease, &self.model, &fault);
                        return Err(Broken::Answer { error, again: self.chances == SECOND_CHANCES });
                    }
                },
            };
            next = None;
            if let Some(id) = &event.trace_id {
                translator.trace_id(id);
            }
            let parsed: Event = serde_json::from_str(event.json()).map_err(|_| Broken::Answer {
                error: ApiError::server(502, "upstream_invalid", "upstream: an event is not valid JSON"),
                again: self.chances == SECOND_CHANCES,
            })?;
            self.note_denial(&parsed);
            self.translated(translator.event(event.json(), &parsed, &mut out), translator)?;
            self.write(output, &mut out)?;
            if is_held && output.has_content() {
                is_held = false;
                // From here on there is no further attempt, and the answer may take minutes.
                exchange.call().request = gemini::Request::default();
                platform::release_stack();
            }
            if translator.done() {
                break;
            }
        }
        if exchange.advance() {
            return Ok(None);
        }
        self.translated(translator.end(&mut out), translator)?;
        if self.cancel.is_cancelled() {
            return Err(Broken::Cancelled);
        }
        Ok(Some(out))
    }

    /// A blocked prompt is an answer for the client, but the old program's usage counts it among the failures, too
    /// (drop_in_contract.md 6.9).
    fn note_denial(&mut self, event: &Event) {
        let reason = event.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_deref());
        if let Some(reason) = reason.filter(|_| !std::mem::replace(&mut self.is_denied, true)) {
            self.app.usage.failure(&self.line(&self.credential), &format!("Denied: {reason}"));
        }
    }

    fn translated(&self, result: Result<(), ApiError>, translator: &dyn Translator) -> Result<(), Broken> {
        result.map_err(|error| Broken::Answer { again: translator.retryable(&error), error })
    }

    fn write(&mut self, output: &mut Output, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.cancel.is_cancelled() {
            return Err(Broken::Cancelled);
        }
        if out.is_empty() {
            return Ok(());
        }
        self.first_content.get_or_insert_with(|| self.started.elapsed());
        output.write(out).map_err(|_| Broken::Cancelled)?;
        out.clear();
        Ok(())
    }

    fn fail(&mut self, output: Output, translator: &mut dyn Translator, error: ApiError) -> Outcome {
        let outcome = Outcome {
            status: error.status,
            usage: translator.usage(),
            word: error.code().unwrap_or("error").to_owned(),
        };
        self.count(false, &outcome);
        output.fail(self.surface, translator, &error);
        outcome
    }

    fn line(&self, credential: &str) -> Line {
        Line::new(&self.key.name, credential, &self.model)
    }

    /// Counts the request, once, before the client has the whole answer: who has it finds it counted.
    fn count(&mut self, answered: bool, outcome: &Outcome) {
        let usage = &outcome.usage;
        let latency = self.started.elapsed();
        self.app.usage.finish(&Finished {
            line: &self.line(&self.credential),
            surface: self.surface.name(),
            status: outcome.status,
            answered,
            usage,
            latency,
            first_token: self.first_content,
        });
        if let Some(permit) = self.permit.take() {
            let parts = [usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count];
            permit.spend(usage.total_token_count.unwrap_or_else(|| parts.iter().flatten().sum()));
        }
        self.remember(latency, outcome);
        self.app.state.touch();
    }

    fn remember(&self, latency: Duration, outcome: &Outcome) {
        let tokens = |count: Option<u64>| count.unwrap_or(0);
        let usage = &outcome.usage;
        self.app.usage.remember(Entry {
            time: SystemTime::now(),
            id: self.id.clone(),
            key: self.key.name.clone(),
            surface: self.surface.name(),
            model: self.model.clone(),
            credential: self.credential.clone(),
            status: outcome.status,
            attempts: self.attempts,
            latency,
            first_token: self.first_content,
            prompt_tokens: tokens(usage.prompt_token_count),
            completion_tokens: tokens(usage.candidates_token_count) + tokens(usage.thoughts_token_count),
            error: outcome.word.clone(),
        });
    }

    /// Answers a request that nobody is asked for: one that cannot be read or that the key may not make.
    fn turn_away(&self, path: &str, responder: Responder, error: &ApiError) {
        let word = error.code().unwrap_or(error.kind.openai_type()).to_owned();
        let outcome = Outcome { status: error.status, usage: UsageMetadata::default(), word };
        self.app.usage.note(self.surface.name(), &self.model, error.status);
        self.remember(self.started.elapsed(), &outcome);
        responder.respond(self.surface.error(error));
        self.log(path, &outcome);
    }

    /// One line per request; no body, no token, no prompt.
    fn log(&self, path: &str, outcome: &Outcome) {
        let usage = &outcome.usage;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        logging::access(&[
            ("key", Field::from(&self.key.name)),
            ("surface", self.surface.name().into()),
            ("path", path.into()),
            ("model", Field::from(&self.model)),
            ("credential", Field::from(&self.credential)),
            ("status", outcome.status.into()),
            ("error", Some(&outcome.word).filter(|word| !word.is_empty()).into()),
            ("attempts", u64::from(self.attempts).into()),
            ("ms", ms(self.started.elapsed()).into()),
            ("ttft_ms", self.first_content.map(ms).into()),
            ("prompt_tokens", usage.prompt_token_count.into()),
            ("completion_tokens", usage.candidates_token_count.into()),
            ("thinking_tokens", usage.thoughts_token_count.into()),
        ]);
    }
}

/// What clients are told whose answers outlive the time a stop gives them.
fn stopping() -> ApiError {
    ApiError::server(503, "shutting_down", "The server is shutting down; the answer is not complete.")
}

/// Where an answer goes.
enum Output {
    Whole(Responder),
    Pieces { writer: EventWriter, has_content: bool },
}

impl Output {
    fn new(responder: Responder, framing: Framing, app: &App) -> Output {
        let (media_type, piece): (_, &'static [u8]) = match framing {
            Framing::Whole => return Output::Whole(responder),
            Framing::Events => ("text/event-stream; charset=utf-8", sse::KEEP_ALIVE.as_bytes()),
            // White space before an element means nothing to a JSON parser.
            Framing::Array => ("application/json", b"\n"),
        };
        let headers = [("Content-Type", media_type), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pings = Pings { piece, first_after: app.config.early_head_after, every: app.config.keep_alive };
        Output::Pieces { writer: responder.events(200, headers.to_vec(), pings), has_content: false }
    }

    /// Whether the client has seen a piece of this answer; a ping is none.
    fn has_content(&self) -> bool {
        matches!(self, Output::Pieces { has_content: true, .. })
    }

    fn write(&mut self, piece: &[u8]) -> std::io::Result<()> {
        match self {
            // A whole answer is sent when it is complete.
            Output::Whole(_) => Ok(()),
            Output::Pieces { writer, has_content } => {
                *has_content = true;
                writer.write(piece)
            }
        }
    }

    fn finish(self, rest: Vec<u8>) {
        match self {
            Output::Whole(responder) => responder.respond(Response::new(200, "application/json", rest)),
            Output::Pieces { mut writer, .. } => {
                // A client that left now has left: nothing more to do for it.
                if rest.is_empty() || writer.write(&rest).is_ok() {
                    let _ = writer.finish();
                }
            }
        }
    }

    fn fail(self, surface: &dyn Surface, translator: &mut dyn Translator, error: &ApiError) {
        match self {
            Output::Whole(responder) => responder.respond(surface.error(error)),
            Output::Pieces { writer, .. } => {
                if let Err(mut writer) = writer.replace_with(surface.error(error)) {
                    let mut frame = Vec::new();
                    translator.fail(error, &mut frame);
                    if writer.write(&frame).is_ok() {
                        let _ = writer.finish();
                    }
                }
            }
        }
    }
}
