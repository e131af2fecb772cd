//! Limits of keys over all replicas: the scripts judge by the server's clock. While the server is away each replica gives its
//! part, or nothing, as the config says; what it gave is told the server when it is back.

use super::accounts::ms;
use super::peers::Introduction;
use super::redis::{Beat, Fault, Link, Scripts, at};
use crate::config::WhenDown;
use crate::keys::{Ask, Away, Counted, Meter, Portion, Quota};
use crate::os::random;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Who was silent for longer gives no part.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
/// Places that could not be given back and are tried again; those beyond it end by themselves.
const MOST_PLACES: usize = 10_000;

pub(super) struct Limits {
    pub(super) link: Arc<Link>,
    /// This start of this replica, in eight digits.
    pub(super) who: String,
    pub(super) name: String,
    when_down: WhenDown,
    pub(super) began: SystemTime,
    /// What it says of itself besides.
    pub(super) introduction: Mutex<Option<Introduction>>,
    /// What the server's clock said, and when.
    clock: Mutex<Option<(Instant, u64)>>,
    /// Milliseconds that this machine's clock is ahead.
    pub(super) ahead: AtomicI64,
    /// This replica among those that lived when they were counted last; `None`: they never were.
    part: Mutex<Option<Portion>>,
    /// Requests that this replica judged alone.
    pub(super) alone: AtomicU64,
    /// When nobody answered last, in ms of the server's time; 0: all have told since what they gave alone.
    unanswered: AtomicU64,
    /// When the replica beat that was silent for longest, in the same.
    eldest: AtomicU64,
    number: AtomicU64,
    /// Of which key each place among the running requests is that was given out.
    places: Mutex<HashMap<u64, u64>>,
    /// Places that are to be given back, by key.
    freed: Mutex<Vec<(u64, u64)>>,
    /// Meters that owe something, each once.
    owing: Mutex<Vec<Arc<Meter>>>,
    wake: Sender<()>,
}

impl Limits {
    pub(super) fn new(link: Arc<Link>, name: &str, when_down: WhenDown, wake: Sender<()>) -> Limits {
        Limits {
            link,
            who: random::bytes::<4>().iter().map(|byte| format!("{byte:02x}")).collect(),
            name: name.into(),
            when_down,
            began: SystemTime::now(),
            introduction: Mutex::default(),
            clock: Mutex::default(),
            ahead: AtomicI64::new(0),
            part: Mutex::default(),
            alone: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            eldest: AtomicU64::new(0),
            number: AtomicU64::new(1),
            places: Mutex::default(),
            freed: Mutex::default(),
            owing: Mutex::default(),
            wake,
        }
    }

    pub(super) fn wake(&self) {
        let _ = self.wake.try_send(());
    }

    /// Meters that owe something, and places that are not given back yet.
    pub(super) fn waiting(&self) -> u64 {
        (self.owing.lock().len() + self.freed.lock().len()) as u64
    }

    /// How many lived when they were counted last; 0: they never were.
    pub(super) fn replicas(&self) -> u64 {
        self.part.lock().map_or(0, |part| part.of)
    }

    pub(super) fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn set_clock(&self, time: SystemTime) {
        let ms = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        *self.clock.lock() = Some((Instant::now(), u64::try_from(ms).unwrap_or(u64::MAX)));
    }

    /// Tells the others that this replica lives, how many changes it has seen, and whether it knows what the store has lost.
    /// Counts the others; whether anybody knows of a loss.
    pub(super) fn beat(&self, seen: u64, knows_loss: bool) -> Result<bool, Fault> {
        let names = self.link.names().ok_or(Fault::Down)?;
        let what = self.said(&names);
        let beat = Beat { who: &self.who, what: &what, silence: SILENCE, seen, knows_loss };
        let beat = self.link.ask(|scripts, line, _| scripts.beat(line, &names, &beat));
        let [now, replicas, rank, lost, eldest] = beat.inspect_err(|fault| self.note(*fault))?;
        self.eldest.store(eldest, Ordering::Relaxed);
        // Its clock may have been set back.
        self.unanswered.fetch_min(now, Ordering::AcqRel);
        *self.part.lock() = Some(Portion { of: replicas.max(1), rank });
        let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let ahead = i64::try_from(own).unwrap_or(i64::MAX).saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
        self.ahead.store(ahead, Ordering::Relaxed);
        self.set_clock(at(now));
        Ok(lost > 0)
    }

    /// Nobody answers: each replica gives its part, and the server does not know of it.
    pub(super) fn note(&self, fault: Fault) {
        // Who has never counted the replicas gives nothing.
        if fault == Fault::Down && self.clock.lock().is_some() {
            self.unanswered.store(ms(self.now()).max(1), Ordering::Release);
        }
    }

    /// Whether others may have given what the server does not know of yet. Until then each goes on with its part.
    pub(super) fn is_settling(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) > 0
    }

    /// This replica has told what it gave. So has each that beat since, for it tells that first.
    pub(super) fn settled(&self) {
        let unanswered = self.unanswered.load(Ordering::Acquire);
        if self.eldest.load(Ordering::Relaxed) > unanswered {
            let _ = self.unanswered.compare_exchange(unanswered, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether one that beat last then counts as gone.
    pub(super) fn is_silent(&self, beat: SystemTime) -> bool {
        self.now().duration_since(beat).is_ok_and(|silence| silence > SILENCE)
    }

    /// Prolongs the places of running requests.
    pub(super) fn hold(&self) -> Result<(), Fault> {
        let names = self.link.names().ok_or(Fault::Down)?;
        let mut by_key: HashMap<u64, Vec<u64>> = HashMap::new();
        for (place, mark) in &*self.places.lock() {
            by_key.entry(*mark).or_default().push(*place);
        }
        for (mark, places) in by_key {
            for some in places.chunks(500) {
                self.link.ask(|scripts, line, _| scripts.hold(line, &names, &self.who, mark, some))?;
                // Those that were given back meanwhile have come back by it.
                let running = self.places.lock();
                let ended: Vec<u64> = some.iter().filter(|place| !running.contains_key(place)).copied().collect();
                drop(running);
                ended.into_iter().for_each(|place| self.free(mark, place));
            }
        }
        Ok(())
    }

    /// Tells the server what is owed, until it does not answer.
    pub(super) fn settle_all(&self) -> Result<(), Fault> {
        let owing = std::mem::take(&mut *self.owing.lock());
        for (at, meter) in owing.iter().enumerate() {
            if let Err(fault) = self.settle(meter, &[]) {
                let mut waiting = self.owing.lock();
                // The others are still marked as queued.
                waiting.extend(meter.queue().then(|| meter.clone()));
                waiting.extend_from_slice(&owing[at + 1..]);
                return Err(fault);
            }
        }
        let names = self.link.names().ok_or(Fault::Down)?;
        let freed = std::mem::take(&mut *self.freed.lock());
        for (at, (mark, place)) in freed.iter().enumerate() {
            let free =
                |scripts: &Scripts, line: &mut _, _| scripts.settle(line, &names, &self.who, *mark, None, &[*place]);
            if let Err(fault) = self.link.ask(free) {
                self.freed.lock().extend(&freed[at..]);
                return Err(fault);
            }
        }
        Ok(())
    }

    fn settle(&self, meter: &Meter, places: &[u64]) -> Result<(), Fault> {
        let mut batch = meter.owed(self, || self.next());
        if batch.is_none() && places.is_empty() {
            return Ok(());
        }
        let names = self.link.names().ok_or(Fault::Down)?;
        let mark = meter.key();
        loop {
            let owed = batch.as_ref();
            let settle =
                |scripts: &Scripts, line: &mut _, _| scripts.settle(line, &names, &self.who, mark, owed, places);
            let numbers = self.link.ask(settle)?;
            self.set_clock(numbers.at);
            if !meter.settle(owed, &numbers) {
                return Ok(());
            }
            batch = meter.owed(self, || self.next());
        }
    }

    /// Tells the others that this replica ends.
    pub(super) fn leave(&self) {
        let Some(names) = self.link.names() else { return };
        let _ = self.link.ask(|_, line, _| Scripts::leave(line, &names, &self.who));
    }

    /// What it gives while nobody counts for all. Who has never counted the replicas gives nothing.
    fn shared(&self) -> Option<Portion> {
        self.part.lock().filter(|_| self.when_down == WhenDown::Share)
    }

    fn free(&self, mark: u64, place: u64) {
        let mut freed = self.freed.lock();
        if freed.len() < MOST_PLACES {
            freed.push((mark, place));
        }
    }
}

impl Quota for Limits {
    fn now(&self) -> SystemTime {
        let clock = *self.clock.lock();
        clock.map_or_else(SystemTime::now, |(read, ms)| at(ms) + read.elapsed())
    }

    fn admit(&self, ask: &Ask<'_>) -> Result<Counted, Away> {
        let Some(names) = self.link.names() else { return Err(Away::Refuse) };
        let admit = |scripts: &Scripts, line: &mut _, ticket| scripts.admit(line, &names, &self.who, ask, ticket);
        let answer = self.link.ask(admit).inspect_err(|fault| self.note(*fault));
        let is_running = match &answer {
            Ok(counted) => {
                self.set_clock(counted.numbers.at);
                counted.refused.is_none()
            }
            Err(Fault::Unsure) => false,
            Err(_) => self.when_down == WhenDown::Share,
        };
        match ask.place {
            // Not before: who is prolonged counts as one that runs.
            Some(place) if is_running => _ = self.places.lock().insert(place, ask.mark),
            Some(place) if answer.is_err() => self.free(ask.mark, place),
            Some(_) | None => {}
        }
        match answer {
            Ok(counted) => Ok(counted),
            Err(Fault::Unsure) => Err(Away::Unsure),
            Err(_) => {
                self.alone.fetch_add(1, Ordering::Relaxed);
                Err(self.shared().map_or(Away::Refuse, Away::Share))
            }
        }
    }

    fn settling(&self) -> Option<Portion> {
        self.shared().filter(|_| self.is_settling())
    }

    fn place(&self) -> u64 {
        self.next()
    }

    /// A place is given back at once: who sends the next request when the answer is there must find it free, on any replica.
    fn ended(&self, meter: &Arc<Meter>, place: Option<u64>) {
        if let Some(place) = place {
            self.places.lock().remove(&place);
            if self.link.is_up() && self.settle(meter, &[place]).is_ok() {
                return;
            }
            self.free(meter.key(), place);
        }
        if meter.queue() {
            self.owing.lock().push(meter.clone());
        }
        self.wake();
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limits({:?})", self.link.address())
    }
}
