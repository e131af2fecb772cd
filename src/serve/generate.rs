//! The one generation handler, for every dialect: parse, dispatch, translate back, write, count. It alone decides when an
//! answer may still move to another credential: until the first piece of content has gone out.

use crate::api::{self, Context, Exchange, Surface, Translator};
use crate::credentials::{Kind, Lease};
use crate::dispatch::{self, Budget, Dispatched};
use crate::error::ApiError;
use crate::gemini::models::ModelTable;
use crate::gemini::{self, Response as Event, UsageMetadata};
use crate::http::{CancelToken, Request, Responder};
use crate::keys::{Key, Permit};
use crate::os::{platform, room};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::output::Output;
use crate::serve::record::{Outcome, Record};
use crate::serve::{affinity, ended, money, passthrough};
use crate::upstream::{Fault, Verdict};
use std::cell::OnceCell;
use std::slice;
use std::time::Duration;

mod instead;

/// How often a useless answer is asked for again before the first byte, at most: a translator decides for those it can
/// read, and a broken one is worth one more attempt.
const SECOND_CHANCES: u32 = 2;

/// What may be kept of an answer, which is in memory several times when it is written.
const MOST_KEPT: usize = 5 * crate::sse::MAX_EVENT;

/// What is told where another credential answers what only an API key could answer wholly.
const NOT_BOTH: &str =
    "Google's own tools were left out: only a Gemini API key takes them beside functions, no login and no Vertex AI.";

/// Answers one generation request of `surface`, whose caller presented `key`.
pub fn generate(app: &App, surface: &dyn Surface, key: &Key, request: Request, responder: Responder) {
    if let Some(begun) = begin(app, surface, key, request, responder) {
        let Begun { mut generation, exchange, output } = *begun;
        let outcome = generation.answer(exchange, output);
        generation.record.log(&outcome);
    }
}

/// A request that was read and may be answered.
struct Begun<'a> {
    generation: Box<Generation<'a>>,
    exchange: Box<dyn Exchange>,
    output: Output,
}

/// Reads the request; what cannot be answered is told at once. Not a part of its caller: the memory that it takes on the
/// stack would be taken by each stream as long as it runs.
#[inline(never)]
fn begin<'a>(
    app: &'a App,
    surface: &'a dyn Surface,
    key: &'a Key,
    mut request: Request,
    mut responder: Responder,
) -> Option<Box<Begun<'a>>> {
    let cancel = request.cancel.clone();
    let mut record = Record::new(app, surface, key, &request);
    // Who has used up the day is told so before anything is made of the body.
    let (room, headers) = key.room();
    let full = headers.into_iter().filter(|_| room.is_err());
    full.for_each(|(name, value)| responder.add_header(name, &value));
    let decoded = room.and_then(|()| body::decode(&mut request, app.config.sizes.max_body));
    let body = (!app.spare_models.is_empty()).then(|| request.body.clone());
    let asked = OnceCell::new();
    let read = decoded.and_then(|()| read(app, surface, key, &mut request, &app.models, Some(&asked))).and_then(
        |mut exchange| {
            record.model.clone_from(&exchange.call().model);
            money::is_countable(app, key, &record.model)?;
            let (permit, headers) = key.admit_several(exchange.requests(), [&*record.model], &app.models);
            headers.into_iter().for_each(|(name, value)| responder.add_header(name, &value));
            Ok((exchange, permit?))
        },
    );
    let (exchange, permit) = match read {
        Ok(read) => read,
        Err(error) => {
            record.asked(asked.get().map_or("", String::as_str));
            let outcome = Outcome::failed(&error, UsageMetadata::default(), error.kind.openai_type());
            record.count_refused(&outcome);
            responder.respond(surface.error(&error));
            record.log(&outcome);
            return None;
        }
    };
    let mut output = Output::new(responder, exchange.framing(), exchange.media_type(), app);
    exchange.notices().iter().for_each(|sentence| output.notice(sentence));
    request.body = body.unwrap_or_default();
    let generation = Box::new(Generation {
        app,
        surface,
        key,
        request,
        spare_models: app.spare_models.iter(),
        record,
        permit: Some(permit),
        asked: room::taken(),
        kept: 0,
        thinking: false,
        cancel,
        chances: SECOND_CHANCES,
        is_denied: false,
        unseen: UsageMetadata::default(),
    });
    Some(Box::new(Begun { generation, exchange, output }))
}

/// Reads the request for the model that serves it by this table.
fn read(
    app: &App,
    surface: &dyn Surface,
    key: &Key,
    request: &mut Request,
    models: &ModelTable,
    asked: Option<&OnceCell<String>>,
) -> Result<Box<dyn Exchange>, ApiError> {
    match surface.reads_form(request) {
        true => api::room::take_form(request.body.len()),
        false => api::room::take([&*request.body]),
    }?;
    let body = std::mem::take(&mut request.body);
    let mut exchange = surface.parse(request, body, &Context { models, asked, ..app.context(&key.mark) })?;
    let call = exchange.call();
    api::room::take_written(&call.request)?;
    call.affinity = match call.request.names_stored() {
        // Files and caches belong to the credential they were stored with.
        true => Some(passthrough::affinity(&key.name)),
        false => affinity::of(app.config.settings.affinity, &key.name, &request.headers, call),
    };
    Ok(exchange)
}

/// One request while it is being answered.
struct Generation<'a> {
    app: &'a App,
    surface: &'a dyn Surface,
    key: &'a Key,
    /// The request as it came, with its body only where another model may serve it.
    request: Request,
    spare_models: slice::Iter<'a, ModelTable>,
    record: Record<'a>,
    /// Given back when the answer is complete, before its last piece goes out: who sends the next request at once must
    /// find the place free.
    permit: Option<Permit>,
    /// What the request takes of the memory, until nobody needs it any more.
    asked: usize,
    /// What its answer takes, and whether the last of it was a thought.
    kept: usize,
    thinking: bool,
    cancel: CancelToken,
    /// Further attempts that are left for useless answers.
    chances: u32,
    /// Google answered that it does not answer such a prompt.
    is_denied: bool,
    /// What Google counted of long answers and the client is not told.
    unseen: UsageMetadata,
}

/// Why relaying an answer stopped before its end.
enum Broken {
    /// The client left, or the server stops.
    Cancelled,
    /// The answer is of no use; `again` says whether another attempt could do better.
    Answer { error: ApiError, again: bool },
}

impl Generation<'_> {
    fn answer(&mut self, mut exchange: Box<dyn Exchange>, mut output: Output) -> Outcome {
        let mut first_failure = None;
        let mut translator = exchange.translator();
        let mut first_call = true;
        let mut budget = Budget::new();
        loop {
            let mut answer = match self.send(&mut *exchange, &mut budget) {
                Ok(answer) => {
                    if answer.lease.kind != Kind::ApiKey && exchange.call().request.circulates() {
                        output.notice(NOT_BOTH);
                    }
                    exchange.call().left_out.into_iter().for_each(|sentence| output.notice(sentence));
                    answer
                }
                Err(error) => {
                    if let Some(error) = ended::early(&self.cancel) {
                        return self.fail(output, &mut *translator, error);
                    }
                    if translator.stands() {
                        return self.end(output, &mut *translator, Err(error));
                    }
                    let next = match first_call && !output.has_content() {
                        true => self.with_next_model(&mut *exchange, &error),
                        false => None,
                    };
                    match next {
                        Some(next) => exchange = next,
                        None if first_call && !output.has_content() && self.asks_instead(&mut *exchange, &error) => {}
                        None => return self.fail(output, &mut *translator, sooner(first_failure, error)),
                    }
                    first_failure = Some(sooner(first_failure, error));
                    translator = exchange.translator();
                    budget = Budget::new();
                    continue;
                }
            };
            output.tell_model(&self.record.model, answer.tier());
            let relayed = self.relay(&mut answer, &mut *exchange, &mut *translator, &mut output);
            self.unseen.add(&answer.unseen());
            match relayed {
                Ok(None) => {
                    first_call = false;
                    budget = Budget::new();
                }
                Ok(Some(document)) => return self.end(output, &mut *translator, Ok(document)),
                Err(Broken::Cancelled) => {
                    if let Some(error) = ended::early(&self.cancel) {
                        return self.fail(output, &mut *translator, error);
                    }
                    // Google was asked and counted it; nobody is at fault.
                    let outcome = Outcome { status: 499, usage: self.billed(&*translator), word: "gone".into() };
                    self.record.count(true, &outcome, self.permit.take());
                    return outcome;
                }
                Err(Broken::Answer { error, again }) => {
                    self.record.spoil(&error);
                    if translator.stands() {
                        return self.end(output, &mut *translator, Err(error));
                    }
                    // After the first of several calls a fresh translator would lack what that one brought.
                    let may_repeat = again && self.chances > 0 && first_call && !output.has_content();
                    if !may_repeat || !self.app.dispatcher.may_ask_again(&budget) {
                        return self.fail(output, &mut *translator, error);
                    }
                    self.chances -= 1;
                    room::give_back(std::mem::take(&mut self.kept));
                    translator = exchange.translator();
                }
            }
        }
    }

    /// Asks Google, over as many credentials as it takes; counts the attempts that fail.
    #[inline(never)]
    fn send(&mut self, exchange: &mut dyn Exchange, budget: &mut Budget) -> Result<Dispatched, ApiError> {
        let mut failed = |lease: &Lease, verdict: &Verdict| self.record.attempt(lease.name.clone(), Some(verdict));
        let answer = self.app.dispatcher.send(exchange.call(), budget, &self.cancel, &mut failed)?;
        self.record.attempt(answer.lease.name.clone(), None);
        Ok(answer)
    }

    /// Passes events on until the upstream ends; returns what is left to send, or nothing when the answer takes another
    /// call.
    #[inline(never)] // As `begin`.
    fn relay(
        &mut self,
        answer: &mut Dispatched,
        exchange: &mut dyn Exchange,
        translator: &mut dyn Translator,
        output: &mut Output,
    ) -> Result<Option<Vec<u8>>, Broken> {
        let _watch = dispatch::watch(&self.cancel);
        self.record.reason("");
        let mut out = Vec::with_capacity(512);
        let mut is_held = true;
        loop {
            let event = match self.app.dispatcher.next_event(answer, exchange.call()) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(_) if self.cancel.is_cancelled() => return Err(Broken::Cancelled),
                Err(fault) => return Err(self.broken(answer, &fault)),
            };
            if let Some(id) = &event.trace_id {
                translator.trace_id(id);
            }
            let parsed = answer.parse(&event).map_err(|fault| self.broken(answer, &fault))?;
            self.note_reason(&parsed);
            if let Some(model) = self.app.dispatcher.note(answer, &self.record.model, &parsed) {
                translator.served_by(&model);
            }
            self.keep(&parsed, translator)?;
            self.translated(translator.event(event.json(), &parsed, &mut out), translator)?;
            self.write(output, &mut out)?;
            if is_held && output.has_content() {
                is_held = false;
                // From here on there is no further attempt, and the answer may take minutes.
                if !answer.may_go_on() {
                    exchange.call().replace(gemini::Request::default());
                    room::give_back(std::mem::take(&mut self.asked));
                }
                self.request.body = Vec::new();
                platform::release_stack();
            }
            if translator.done() {
                break;
            }
        }
        if exchange.advance() {
            // What was asked first cannot be asked again any more.
            translator.next(&mut out).map_err(|error| Broken::Answer { error, again: false })?;
            self.write(output, &mut out)?;
            return Ok(None);
        }
        self.translated(translator.end(&mut out), translator)?;
        if self.cancel.is_cancelled() {
            return Err(Broken::Cancelled);
        }
        Ok(Some(out))
    }

    /// What becomes of an answer whose next event is none.
    fn broken(&self, answer: &Dispatched, fault: &Fault) -> Broken {
        let error = self.app.dispatcher.judge(&answer.lease, &self.record.model, fault);
        Broken::Answer { error, again: self.chances == SECOND_CHANCES }
    }

    /// Takes the memory for what is kept of an event until the answer has ended.
    fn keep(&mut self, event: &Event, translator: &dyn Translator) -> Result<(), Broken> {
        let kept = event.kept(translator.keeps(), &mut self.thinking);
        self.kept = self.kept.saturating_add(kept);
        let error = match () {
            () if self.kept > MOST_KEPT => {
                ApiError::server(502, "upstream_invalid", "upstream: the answer is longer than is kept in memory")
            }
            () if kept > 0 && !room::take(kept) => ApiError::no_room("an answer"),
            () => return Ok(()),
        };
        Err(Broken::Answer { error, again: false })
    }

    /// What is counted: all that Google counts.
    fn billed(&self, translator: &dyn Translator) -> UsageMetadata {
        let mut usage = translator.usage();
        usage.add(&self.unseen);
        usage
    }

    /// A blocked prompt is an answer for the client, but the old program's usage counts it among the failures, too.
    fn note_reason(&mut self, event: &Event) {
        let blocked = event.prompt_feedback.as_ref().and_then(|feedback| feedback.word());
        if let Some(reason) = blocked.filter(|_| !std::mem::replace(&mut self.is_denied, true)) {
            self.record.count_failure(&format!("Denied: {reason}"));
        }
        let finished = event.candidates.iter().filter_map(|candidate| candidate.finish_reason.as_deref()).next_back();
        if let Some(word) = finished.or(blocked) {
            self.record.reason(if word == "STOP" { "" } else { word });
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
        self.record.content();
        output.write(out).map_err(|_| Broken::Cancelled)?;
        out.clear();
        Ok(())
    }

    /// Gives the client the rest of an answer, or of what came before a later one of its calls failed.
    #[inline(never)] // As `begin`.
    fn end(&mut self, output: Output, translator: &mut dyn Translator, rest: Result<Vec<u8>, ApiError>) -> Outcome {
        let rest = rest.or_else(|error| {
            log::warn!("the answer is shorter than was asked for: {}", error.message);
            let mut out = Vec::new();
            translator.end(&mut out).map(|()| out)
        });
        let document = match rest {
            Ok(document) => document,
            Err(error) => return self.fail(output, translator, error),
        };
        let outcome = Outcome { status: 200, usage: self.billed(translator), word: String::new() };
        self.record.count(true, &outcome, self.permit.take());
        output.finish(document);
        outcome
    }

    #[inline(never)] // As `begin`.
    fn fail(&mut self, output: Output, translator: &mut dyn Translator, error: ApiError) -> Outcome {
        let outcome = Outcome::failed(&error, self.billed(translator), "error");
        self.record.count(false, &outcome, self.permit.take());
        output.fail(self.surface, translator, &error);
        outcome
    }
}

/// Of two failures, the one that is over first.
fn sooner(first: Option<ApiError>, other: ApiError) -> ApiError {
    let wait = |error: &ApiError| error.retry_after.unwrap_or(Duration::MAX);
    first.filter(|first| wait(first) <= wait(&other)).unwrap_or(other)
}
