//! Lines to the server: a few that calls share, none waited for longer than [`PATIENCE`], and a breaker. While it is open every
//! call fails at once; who keeps the store looks for the server again ([`Link::open`]).

mod breaker;

pub(in crate::store) use self::breaker::Trouble;
use super::entry::{self, Entered, Entry, Look, Refused};
use super::{Address, Names, Scripts};
use crate::credentials::Cipher;
use crate::os::random;
use parking_lot::{Condvar, Mutex};
use redis::{Connection, ErrorKind, RedisError, RedisResult};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest that a call takes, with all that it waits for.
const PATIENCE: Duration = Duration::from_millis(250);
/// For the first of two tries.
const FIRST: Duration = Duration::from_millis(125);
const SOON: Duration = Duration::from_millis(50);
/// What a person has who changes something.
const PATIENCE_OF_EDITS: Duration = Duration::from_secs(2);
/// Lines beside each other: at 0.3 ms a call they are enough for 26,000 a second.
const MOST: usize = 8;
/// Failures in a row that open the breaker, unless there was an answer of late: lines break one by one too, and who judges
/// alone while others count gives too much.
const FAILURES: u32 = 3;
const OF_LATE: Duration = Duration::from_secs(1);

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// Nothing was done, and nobody is asked.
    Down,
    /// It may have been done, and others are still asked.
    Unsure,
    /// Nothing was done: the server has no place for changes.
    Full,
    /// Nothing was done: the server does not know of changes that are known here.
    Behind,
}

impl Fault {
    /// What a server means that has refused.
    fn said(error: &RedisError) -> Fault {
        match entry::word(error) {
            _ if entry::is_full(error) => Fault::Full,
            Some("BEHIND") => Fault::Behind,
            _ => Fault::Down,
        }
    }
}

/// How it stands with the server.
#[derive(Clone, Debug)]
pub(in crate::store) enum Standing {
    /// It answers.
    Up,
    /// It does not, or not yet.
    Down { since: Instant, reason: String },
    /// It is not ours to use; it is looked at again less often.
    Refused { since: Instant, why: Refused },
}

struct Line {
    connection: Connection,
    /// Of this line; it is never given again.
    id: u64,
    asked: u64,
    timeout: Duration,
}

/// What an ask is known by when it comes again.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Ticket {
    pub(in crate::store) line: u64,
    pub(in crate::store) number: u64,
}

#[derive(Default)]
struct Lines {
    idle: Vec<Line>,
    open: usize,
}

pub(in crate::store) struct Link {
    pub(super) address: Address,
    pub(super) prefix: String,
    pub(in crate::store) cipher: Cipher,
    pub(super) scripts: Scripts,
    pub(super) names: Mutex<Option<Names>>,
    lines: Mutex<Lines>,
    freed: Condvar,
    next_line: AtomicU64,
    is_up: AtomicBool,
    standing: Mutex<Standing>,
    failures: AtomicU32,
    trouble: Mutex<Option<Trouble>>,
    began: Instant,
    /// Milliseconds from `began` to the last answer.
    answered: AtomicU64,
    /// Calls that failed: refused or cut, too late, told that they are wrong.
    pub(in crate::store) errors: [AtomicU64; 3],
}

impl Link {
    pub(in crate::store) fn new(address: Address, prefix: &str, cipher: Cipher) -> Link {
        let now = Instant::now();
        Link {
            address,
            prefix: prefix.into(),
            cipher,
            scripts: Scripts::new(),
            names: Mutex::default(),
            lines: Mutex::default(),
            freed: Condvar::new(),
            next_line: AtomicU64::new(1),
            is_up: AtomicBool::new(false),
            standing: Mutex::new(Standing::Down { since: now, reason: "it was not asked yet".into() }),
            failures: AtomicU32::new(0),
            trouble: Mutex::default(),
            began: now,
            answered: AtomicU64::new(0),
            errors: Default::default(),
        }
    }

    pub(in crate::store) fn address(&self) -> &Address {
        &self.address
    }

    pub(in crate::store) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    pub(in crate::store) fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// What things are called, once the store was seen.
    pub(in crate::store) fn names(&self) -> Option<Names> {
        self.names.lock().clone()
    }

    /// Looks for the server and at what it is; then calls go through. Nothing is written into a store that is not ours.
    pub(in crate::store) fn open(&self) {
        let was = self.standing();
        let now = Instant::now();
        let (standing, line) =
            match entry::enter(&self.address, &self.scripts, &self.prefix, &self.cipher, self.names()) {
                Ok(Entered { connection, names, trouble }) => {
                    *self.names.lock() = Some(names);
                    (Standing::Up, Some((connection, trouble)))
                }
                Err(Entry::Refused(why)) => {
                    if !matches!(&was, Standing::Refused { why: known, .. } if *known == why) {
                        log::error!("store: {} is not used: {}", self.address, why.sentence);
                    }
                    (Standing::Refused { since: since(&was, now), why }, None)
                }
                Err(Entry::Down { reason, .. }) => {
                    if self.names.lock().is_none()
                        && matches!(&was, Standing::Down { reason: known, .. } if *known != reason)
                    {
                        log::warn!("store: {} cannot be used: {reason}", self.address);
                    }
                    (Standing::Down { since: since(&was, now), reason }, None)
                }
            };
        *self.standing.lock() = standing;
        let Some((connection, trouble)) = line else { return };
        match was {
            Standing::Down { since, .. } | Standing::Refused { since, .. } => {
                log::info!("store: {} answers, after {} s", self.address, since.elapsed().as_secs());
            }
            Standing::Up => {}
        }
        self.learn(trouble);
        self.failures.store(0, Ordering::Relaxed);
        self.stamp();
        self.lines.lock().open += 1;
        self.is_up.store(true, Ordering::Release);
        self.give(self.line(connection));
    }

    /// For `check`: nothing is written.
    pub(in crate::store) fn look(&self) -> Result<Look, String> {
        entry::examine(&self.address, &self.scripts, &self.prefix, &self.cipher).map_err(|entry| match entry {
            Entry::Down { reason, .. } => reason,
            Entry::Refused(why) => why.sentence,
        })
    }

    fn line(&self, connection: Connection) -> Line {
        Line { connection, id: self.next_line.fetch_add(1, Ordering::Relaxed), asked: 0, timeout: Duration::ZERO }
    }

    /// Asks, and once more where the answer was lost: what is asked must count once for a ticket, however often it comes.
    pub(in crate::store) fn ask<T>(
        &self,
        ask: impl Fn(&Scripts, &mut Connection, Ticket) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        self.ask_within([FIRST, PATIENCE], ask)
    }

    /// The same for what is of use only at once.
    pub(in crate::store) fn ask_soon<T>(
        &self,
        ask: impl Fn(&Scripts, &mut Connection, Ticket) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        self.ask_within([SOON, SOON], ask)
    }

    /// The same for a change of what all hold, with more patience. It is told whether it was sent before; `Unsure` says that
    /// it may have been made, and the others that surely nothing was changed.
    pub(in crate::store) fn edit<T>(
        &self,
        ask: impl Fn(&Scripts, &mut Connection, bool) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let (is_sent, is_lost, said) = (Cell::new(false), Cell::new(false), Cell::new(Fault::Down));
        let told = |scripts: &Scripts, connection: &mut Connection, _| {
            ask(scripts, connection, is_sent.replace(true)).inspect_err(|error| match error.kind() {
                ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
                    said.set(Fault::said(error));
                }
                _ => is_lost.set(true),
            })
        };
        let answer = self.ask_within([PATIENCE_OF_EDITS / 2, PATIENCE_OF_EDITS], told);
        answer.map_err(|_| if is_lost.get() { Fault::Unsure } else { said.get() })
    }

    fn ask_within<T>(
        &self,
        patience: [Duration; 2],
        ask: impl Fn(&Scripts, &mut Connection, Ticket) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let mut answer = None;
        self.ask_any(patience, &mut |scripts, connection, ticket| {
            answer = Some(ask(scripts, connection, ticket)?);
            Ok(())
        })?;
        answer.ok_or(Fault::Unsure)
    }

    /// One for all kinds of answers: a copy for each would be a good part of the program.
    fn ask_any(
        &self,
        patience: [Duration; 2],
        ask: &mut dyn FnMut(&Scripts, &mut Connection, Ticket) -> RedisResult<()>,
    ) -> Result<(), Fault> {
        let deadline = Instant::now() + patience[1];
        let mut ticket = None;
        for patience in patience {
            let mut line = match self.take(deadline) {
                Ok(line) => line,
                Err(Fault::Unsure) => break,
                Err(fault) => return Err(fault),
            };
            line.asked += 1;
            let ticket = *ticket.get_or_insert(Ticket { line: line.id, number: line.asked });
            let left = patience.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
            let answer = line.wait_for(left).and_then(|()| ask(&self.scripts, &mut line.connection, ticket));
            match answer {
                Ok(()) => {
                    self.give(line);
                    return Ok(());
                }
                Err(error) => {
                    drop(line);
                    self.lose();
                    if self.judge(&error) == Fault::Down {
                        return Err(Fault::Down);
                    }
                }
            }
        }
        // Who may not be asked any more is away.
        Err(if self.is_up() { Fault::Unsure } else { Fault::Down })
    }

    fn take(&self, deadline: Instant) -> Result<Line, Fault> {
        let mut lines = self.lines.lock();
        loop {
            if !self.is_up() {
                return Err(Fault::Down);
            }
            if let Some(line) = lines.idle.pop() {
                return Ok(line);
            }
            if lines.open < MOST {
                break;
            }
            if self.freed.wait_until(&mut lines, deadline).timed_out() {
                self.errors[1].fetch_add(1, Ordering::Relaxed);
                return Err(Fault::Unsure);
            }
        }
        lines.open += 1;
        drop(lines);
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.address.connect(left).map(|connection| self.line(connection)).map_err(|why| {
            self.lose();
            // What little of the patience was left may have been too short.
            if why.error.is_timeout() {
                return self.judge(&why.error);
            }
            self.note(&why.error);
            self.trip(why.into());
            Fault::Down
        })
    }

    fn give(&self, line: Line) {
        self.stamp();
        let mut lines = self.lines.lock();
        match self.is_up() {
            true => lines.idle.push(line),
            false => lines.open -= 1,
        }
        self.freed.notify_one();
    }

    fn lose(&self) {
        self.lines.lock().open -= 1;
        self.freed.notify_one();
    }

    fn stamp(&self) {
        self.failures.store(0, Ordering::Relaxed);
        let passed = self.began.elapsed().as_millis();
        self.answered.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Line {
    fn wait_for(&mut self, timeout: Duration) -> RedisResult<()> {
        if self.timeout != timeout {
            self.connection.set_read_timeout(Some(timeout))?;
            self.connection.set_write_timeout(Some(timeout))?;
            self.timeout = timeout;
        }
        Ok(())
    }
}

fn since(was: &Standing, now: Instant) -> Instant {
    match was {
        Standing::Down { since, .. } | Standing::Refused { since, .. } => *since,
        Standing::Up => now,
    }
}

/// A random beginning, so that replicas that lose the server together do not all come back at once.
pub(in crate::store) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + random::fraction() / 2.0)
}
