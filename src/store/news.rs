//! The copies that a replica holds of what all of them share, kept fresh by the stream in which each change is told: one
//! thread reads it and is the only one that changes the copies. A number that is missed, a stream that was cut or restored,
//! and counts that are unlike read the tables anew; a store that was emptied is not taken over, neither by who knows what was
//! in it nor by who comes while others know it.

use super::limits::SILENCE;
use super::redis::{Answer, Event, Link, Position, Reader, Record};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the reader waits for news; as long its end may take.
const WAIT: Duration = Duration::from_millis(200);
/// Between two reads, so that changes come in bundles: each waiting reader costs the server 34 us for each of them.
const REST: Duration = Duration::from_millis(100);
const REST_OF_MANY: Duration = Duration::from_millis(250);
const MANY: u64 = 50;
/// How often the position and the counts are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How long a change is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(100);
const LONGEST_AGAIN: Duration = Duration::from_secs(2);

/// A copy of a table. One thread calls it.
pub(super) trait Copies: Send + Sync {
    /// The end of the table's name in the store, and what the news call it.
    fn table(&self) -> &'static str;
    /// All there are: what is not among them is gone.
    fn replace(&self, all: Vec<Record>);
    /// Some, as they are now.
    fn update(&self, changed: Vec<Record>);
    /// How many it holds.
    fn count(&self) -> u64;
    /// Whether its records are there until somebody takes them out.
    fn lasts(&self) -> bool {
        true
    }
}

/// What the store has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loss {
    /// Nothing that anybody knows of.
    #[default]
    Nothing,
    /// What this replica knows.
    Known,
    /// What others know and this replica does not.
    Unknown,
}

/// The place of a change in the stream: a time of the server in ms, and a number in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(u64, u64);

impl Cursor {
    /// `None` for what is none.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (ms, number) = text.split_once('-')?;
        Some(Cursor(ms.parse().ok()?, number.parse().ok()?))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

pub(super) struct News {
    link: Arc<Link>,
    copies: Vec<Arc<dyn Copies>>,
    state: Mutex<State>,
    moved: Condvar,
    /// Ends the reader's rest.
    wake: Sender<()>,
    woken: Receiver<()>,
    stopping: AtomicBool,
    /// Somebody was refused who knew of more changes than the store may.
    doubted: AtomicBool,
    /// As many replicas there are.
    pub(super) replicas: AtomicU64,
    pub(super) reloads: AtomicU64,
    /// A replica may have come that was not counted yet.
    has_joined: AtomicBool,
    /// Wakes who counts them.
    keeper: Sender<()>,
}

#[derive(Default)]
struct State {
    /// All that was told before it is known.
    reached: Cursor,
    /// When the copies were surely as new as the store; `None`: never.
    current: Option<Instant>,
    /// The last change that this replica made.
    own: Cursor,
    /// How many changes of the store are known.
    seen: u64,
    loss: Loss,
    /// Whose store it was that was read last, and whose it is.
    read: String,
    there: String,
}

/// Where the reader is.
struct At {
    cursor: String,
    version: u64,
}

impl News {
    pub(super) fn new(link: Arc<Link>, copies: Vec<Arc<dyn Copies>>, keeper: Sender<()>) -> News {
        let (wake, woken) = bounded(1);
        News {
            link,
            copies,
            state: Mutex::default(),
            moved: Condvar::new(),
            wake,
            woken,
            stopping: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            replicas: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            has_joined: AtomicBool::new(false),
            keeper,
        }
    }

    /// How old the copies may be; `None`: the store was never read.
    pub(super) fn age(&self) -> Option<Duration> {
        self.state.lock().current.map(|when| when.elapsed())
    }

    /// Whether the store has lost what is known, here or elsewhere.
    pub(super) fn is_emptied(&self) -> bool {
        self.state.lock().loss != Loss::Nothing
    }

    /// Whether the store has lost what is known here.
    pub(super) fn knows_loss(&self) -> bool {
        self.state.lock().loss == Loss::Known
    }

    /// Whether replicas are to be counted.
    pub(super) fn take_joined(&self) -> bool {
        self.has_joined.swap(false, Ordering::AcqRel)
    }

    fn joined(&self) {
        self.has_joined.store(true, Ordering::Release);
        let _ = self.keeper.try_send(());
    }

    /// How many changes of the store are known.
    pub(super) fn seen(&self) -> u64 {
        self.state.lock().seen
    }

    /// Has the reader look soon whether the store holds what is known.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// What a client must present to see at least what it was told.
    pub(super) fn cursor(&self) -> Cursor {
        let state = self.state.lock();
        state.reached.max(state.own)
    }

    /// Waits until a change of this replica's own is known here.
    pub(super) fn wait_for_own(&self, cursor: &str) {
        let Some(cursor) = Cursor::parse(cursor) else { return };
        let mut state = self.state.lock();
        state.own = state.own.max(cursor);
        drop(state);
        let _ = self.wake.try_send(());
        self.wait_for(cursor);
    }

    /// Waits until what was told before is known here, or as long as is worth it.
    pub(super) fn wait_for(&self, cursor: Cursor) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        while state.reached < cursor && self.link.is_up() && !self.stopping.load(Ordering::Acquire) {
            if self.moved.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Waits for the first reading of the store, where there is one.
    pub(super) fn wait_for_all(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        let is_waited_for = |state: &State| state.current.is_none() && state.loss == Loss::Nothing;
        while is_waited_for(&state) && self.link.is_up() && !self.moved.wait_until(&mut state, deadline).timed_out() {}
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }

    /// The thread.
    pub(super) fn follow(&self) {
        let mut again = AGAIN;
        let mut at = None;
        while !self.stopping.load(Ordering::Acquire) {
            if self.link.is_up()
                && let Some(mut reader) = self.link.reader(WAIT)
            {
                again = AGAIN;
                // Whatever goes wrong, it begins with a look.
                let _ = self.read(&mut reader, &mut at);
            } else if self.link.is_up() {
                again = (again * 2).min(LONGEST_AGAIN);
            }
            self.moved.notify_all();
            let _ = self.woken.recv_timeout(again);
        }
    }

    fn read(&self, reader: &mut Reader<'_>, at: &mut Option<At>) -> Answer<()> {
        self.look(reader, at)?;
        let mut next_look = Instant::now() + LOOK;
        while !self.stopping.load(Ordering::Acquire) {
            let Some(known) = at else { return Ok(()) };
            // One that begins anew is entered anew.
            if self.state.lock().there != reader.pool() {
                return Ok(());
            }
            let asked = Instant::now();
            let events = reader.news(&known.cursor, WAIT)?;
            if events.is_empty() {
                self.reach(None, asked);
            } else {
                let taken = if self.is_emptied() { None } else { self.take(reader, known, events)? };
                match taken {
                    Some((now, reached)) => {
                        *known = now;
                        self.state.lock().seen = known.version;
                        self.reach(reached, asked);
                    }
                    None => self.load(reader, at)?,
                }
                let rest = if self.replicas.load(Ordering::Relaxed) >= MANY { REST_OF_MANY } else { REST };
                let _ = self.woken.recv_timeout(rest);
            }
            if self.doubted.swap(false, Ordering::AcqRel) || Instant::now() >= next_look {
                self.look(reader, at)?;
                next_look = Instant::now() + LOOK;
            }
        }
        Ok(())
    }

    /// The copies have all that was told before.
    fn reach(&self, reached: Option<Cursor>, when: Instant) {
        let mut state = self.state.lock();
        state.current = Some(when).filter(|_| state.loss != Loss::Unknown);
        state.reached = reached.map_or(state.reached, |reached| state.reached.max(reached));
        self.moved.notify_all();
    }

    /// Reads what the events tell of; `None` if some were missed.
    fn take(&self, reader: &mut Reader<'_>, known: &At, events: Vec<Event>) -> Answer<Option<(At, Option<Cursor>)>> {
        let mut now = At { cursor: known.cursor.clone(), version: known.version };
        let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in events {
            if event.version != now.version + 1 {
                return Ok(None);
            }
            now = At { cursor: event.cursor, version: event.version };
            if event.table == "alive" {
                self.joined();
            }
            changed.entry(event.table).or_default().extend(event.ids);
        }
        for copy in &self.copies {
            let Some(mut ids) = changed.remove(copy.table()) else { continue };
            ids.sort_unstable();
            ids.dedup();
            copy.update(reader.some(copy.table(), ids)?);
        }
        let reached = Cursor::parse(&now.cursor);
        Ok(Some((now, reached)))
    }

    fn tables(&self) -> Vec<&'static str> {
        self.copies.iter().map(|copy| copy.table()).collect()
    }

    /// Whether the position and the counts are what they are here; else all is read anew.
    fn look(&self, reader: &mut Reader<'_>, at: &mut Option<At>) -> Answer<()> {
        let Some(known) = &at else { return self.load(reader, at) };
        let is = reader.position(&self.tables(), SILENCE)?;
        let are_counts_right = || self.copies.iter().map(|copy| copy.count()).eq(is.counts.iter().copied());
        let is_right = match (Cursor::parse(&is.cursor), Cursor::parse(&known.cursor)) {
            // The news will tell.
            (Some(is), Some(known)) if is > known => true,
            (Some(one), Some(other)) if one == other => is.version == known.version && are_counts_right(),
            _ => false,
        };
        let is_well = !self.is_emptied() && self.loss(Some(known), &is) == Loss::Nothing;
        if is_right && is_well { Ok(()) } else { self.load_at(reader, at, &is) }
    }

    fn load(&self, reader: &mut Reader<'_>, at: &mut Option<At>) -> Answer<()> {
        let is = reader.position(&self.tables(), SILENCE)?;
        self.load_at(reader, at, &is)
    }

    fn load_at(&self, reader: &mut Reader<'_>, at: &mut Option<At>, is: &Position) -> Answer<()> {
        let asked = Instant::now();
        let loss = self.loss(at.as_ref(), is);
        let was = {
            let mut state = self.state.lock();
            state.there.clone_from(&is.pool);
            std::mem::replace(&mut state.loss, loss)
        };
        if loss != was {
            self.tell_loss(loss);
        }
        if loss == Loss::Nothing {
            let read: Vec<_> = self.copies.iter().map(|copy| reader.all(copy.table())).collect::<Answer<_>>()?;
            self.copies.iter().zip(read).for_each(|(copy, all)| copy.replace(all));
            self.reloads.fetch_add(1, Ordering::Relaxed);
            let mut state = self.state.lock();
            state.seen = is.version;
            state.read.clone_from(&is.pool);
            drop(state);
            self.joined();
        }
        *at = Some(At { cursor: is.cursor.clone(), version: is.version });
        // What was told until the moment before is read, also by a stream that begins anew.
        let until = Cursor(is.now.saturating_sub(1), u64::MAX);
        self.reach(Cursor::parse(&is.cursor).max(Some(until)), asked);
        Ok(())
    }

    /// How many records this replica holds that last.
    fn held(&self) -> u64 {
        self.copies.iter().filter(|copy| copy.lasts()).map(|copy| copy.count()).sum()
    }

    /// What is known of a store that is at this position is either in it, or it has lost it.
    fn loss(&self, at: Option<&At>, is: &Position) -> Loss {
        let lasting = || self.copies.iter().zip(&is.counts).filter(|(copy, _)| copy.lasts());
        if self.held() == 0 {
            let is_empty = lasting().all(|(_, count)| *count == 0);
            return if is_empty && is.lost > 0 { Loss::Unknown } else { Loss::Nothing };
        }
        let are_gone = lasting().all(|(copy, count)| copy.count() == 0 || *count == 0);
        let counts_anew = |known: &At| is.version <= known.version && is.cursor != known.cursor;
        let state = self.state.lock();
        // Wrong passwords are counted in an empty store as well, so that it has changes again.
        let is_behind = is.version == 0 || state.loss == Loss::Known || at.is_some_and(counts_anew);
        // Somebody who knew of nothing has made it: what was restored is as it was.
        let is_other = !is.pool.is_empty() && is.pool != state.read;
        if is_other || (is_behind && are_gone) { Loss::Known } else { Loss::Nothing }
    }

    fn tell_loss(&self, loss: Loss) {
        let address = self.link.address();
        match loss {
            Loss::Nothing => {}
            Loss::Known => log::error!(
                "store: {address} is empty, and this replica knows of {} records that were in it: was it restored from \
                 nothing? They stay as they are known, and nothing is changed",
                self.held()
            ),
            Loss::Unknown => log::error!(
                "store: {address} is empty, and other replicas know what was in it: was it restored from nothing? This \
                 one is not ready until it is restored, or all of them have been stopped"
            ),
        }
    }
}
