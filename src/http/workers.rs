//! The worker threads of one lane: a fixed number, started when first needed, and a bounded queue before them.

use super::caller::{Caller, OWN_PART, Part, may_take};
use super::counters::{Counter, Held};
use super::refusal::Refusal;
use super::request::Request;
use super::responder::Responder;
use super::stay;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Enough for TLS and for JSON 127 levels deep, measured; debug builds need four times as much (docs/crates.md "Stacks
/// of threads").
const STACK: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { 256 * 1024 };

/// A request for a worker.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) responder: Responder,
    pub(super) answer: Box<dyn FnOnce(Request, Responder) + Send>,
    pub(super) caller: Caller,
}

/// What the snapshot reads of a lane.
#[derive(Clone, Default)]
pub(super) struct Load {
    /// Requests admitted and not yet answered.
    pub(super) in_flight: Counter,
    /// Jobs whose handler has not returned.
    unfinished: Counter,
    /// Jobs of callers who have their part of the workers.
    waiting: Counter,
    /// Jobs whose handler runs.
    running: Counter,
    /// Workers that wait for the next request of a connection.
    pub(super) staying: Counter,
}

impl Load {
    pub(super) fn busy(&self) -> usize {
        self.running.value()
    }

    pub(super) fn queued(&self) -> usize {
        self.unfinished.value().saturating_sub(self.running.value()) + self.waiting.value()
    }
}

pub(super) const BUSY: Refusal = Refusal::overloaded("The server is busy; try again in a moment.");

/// One lane. Owned by the front, the only one that admits and submits.
pub(super) struct Workers {
    name: &'static str,
    size: usize,
    backlog: usize,
    load: Load,
    /// Those who wait until their callers have fewer workers.
    waiting: VecDeque<(Box<Job>, Held)>,
    /// Closed when this end is dropped; then the threads end once no job is left.
    queue: Sender<(Box<Job>, Held)>,
    jobs: Receiver<(Box<Job>, Held)>,
    /// Never used to send: it is disconnected when the last worker has ended.
    alive: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(super) fn new(name: &'static str, size: usize, backlog: usize, load: Load, alive: Sender<()>) -> Workers {
        let (size, waiting) = (size.max(1), VecDeque::new());
        // How many jobs may wait is known by `admit`.
        let (queue, jobs) = unbounded();
        Workers { name, size, backlog, load, waiting, queue, jobs, alive, threads: Vec::new() }
    }

    /// A place for one more request of a caller, who `is_alone` where there are no others; `None`: it has its part of the
    /// workers and waits. By a counter, not by the queue's length: a burst is faster than the wake-up of idle workers, and a
    /// queue of the backlog's size refused 88 of 1000 (docs/crates.md "Admission by a counter").
    pub(super) fn admit(&self, caller: &Caller, is_alone: bool) -> Result<Option<Part>, Refusal> {
        if let Some(slot) = self.slot(caller, is_alone) {
            return Ok(Some(slot));
        }
        let own = self.waiting.iter().filter(|(job, _)| job.caller.is(caller)).count();
        let free = self.backlog.saturating_sub(self.waiting.len());
        match is_alone || free == 0 {
            true => Err(BUSY),
            false => may_take(own, free).then_some(None).ok_or(OWN_PART),
        }
    }

    /// A worker, if the caller may have it. Who has none goes ahead of all who have some, also where none is free.
    fn slot(&self, caller: &Caller, is_alone: bool) -> Option<Part> {
        let mut slot = Part::of(&self.load.in_flight, &caller.answered);
        let is_first = is_alone || slot.own.total() == 0;
        slot.take(if is_first { self.size + self.backlog } else { self.size }, is_alone).then_some(slot)
    }

    /// Hands a job with an admitted request to a worker, now or later. Never blocks. Given back when no thread can be had for it.
    pub(super) fn submit(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        if !job.responder.is_admitted() {
            self.waiting.push_back((job, self.load.waiting.hold()));
            return Ok(());
        }
        let unfinished = self.load.unfinished.hold();
        let taken = self.load.unfinished.value() + self.load.staying.value();
        if taken > self.threads.len() && self.threads.len() < self.size {
            match self.start_thread() {
                Ok(thread) => self.threads.push(thread),
                Err(error) if self.threads.is_empty() => {
                    log::error!("http: cannot start a worker thread: {error}");
                    return Err(job);
                }
                Err(error) => log::warn!("http: works with {} threads: {error}", self.threads.len()),
            }
        }
        // This side holds a receiver too, so the queue is never without one.
        let _ = self.queue.send((job, unfinished));
        Ok(())
    }

    /// Hands on those that waited until their callers have fewer workers.
    pub(super) fn resume(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some((mut job, waiting)) = self.waiting.pop_front() else { break };
            if job.request.cancel.is_cancelled() {
                job.responder.abandon();
            } else if let Some(slot) = self.slot(&job.caller, false) {
                job.responder.admit(slot);
                if let Err(job) = self.submit(job) {
                    job.responder.abandon();
                }
            } else {
                self.waiting.push_back((job, waiting));
            }
        }
    }

    fn start_thread(&self) -> io::Result<JoinHandle<()>> {
        let (jobs, load) = (self.jobs.clone(), self.load.clone());
        let (alive, size) = (self.alive.clone(), self.size);
        let name = format!("{}-{}", self.name, self.threads.len() + 1);
        Builder::new().name(name).stack_size(STACK).spawn(move || {
            let _alive = alive;
            while let Ok(mut next) = jobs.recv() {
                loop {
                    let (job, unfinished) = next;
                    let running = load.running.hold();
                    run(*job);
                    // In this order, or the snapshot would show it as queued again.
                    drop(unfinished);
                    drop(running);
                    let Some(job) = stay::next_job(&load, size, || !jobs.is_empty() || load.waiting.value() > 0) else {
                        break;
                    };
                    next = (job, load.unfinished.hold());
                }
            }
        })
    }

    /// Lets the threads end once the queue is empty.
    pub(super) fn into_threads(self) -> Vec<JoinHandle<()>> {
        self.threads
    }
}

/// Answers one request. The responder inside answers for itself when the handler panics.
fn run(Job { request, responder, answer, .. }: Job) {
    if request.cancel.is_cancelled() {
        responder.abandon();
        return;
    }
    if catch_unwind(AssertUnwindSafe(|| answer(request, responder))).is_err() {
        log::error!("http: a request panicked; its client was told 500 or cut off");
    }
}
