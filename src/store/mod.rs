//! What several replicas of the program share, through a Redis or Valkey: today credentials, the keys of clients that are made on
//! the page, the limits of all, and usage. Without `store` in the config nothing of it exists: no thread, no connection
//! (docs/scale-out.md).

mod accounts;
mod brief;
mod copies;
mod keys;
mod limits;
mod look;
mod news;
mod notes;
mod peers;
mod redis;
mod signed;
mod sums;
mod unread;
mod visit;

pub use look::{Finding, can_be_asked, look, look_into};
pub use news::Cursor;
pub use unread::{Unread, unread};
pub use visit::{bring_page_keys, page_keys, reseal, visit};

use self::accounts::Accounts;
use self::brief::Brief;
use self::copies::{Records, Rests};
use self::keys::{KeyCopies, KeyRegistry};
use self::limits::Limits;
use self::news::{Copies, News};
use self::notes::SharedLogins;
use self::redis::{Address, Fault, Link, Standing, Trouble, jittered};
use self::signed::Signed;
use self::sums::Sums;
use crate::calendar;
use crate::config::{Config, StoreConfig};
use crate::credentials::consent::Logins;
use crate::credentials::{Cipher, Credentials};
use crate::keys::Keys;
use crate::message::Message;
use crate::storage::state::State;
use crate::usage::Usage;
use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const BEAT: Duration = Duration::from_secs(5);
/// The same while replicas wait for each other.
const SOON: Duration = Duration::from_millis(500);
/// The server is looked for again after so long, and twice as long each time.
const PROBE: Duration = Duration::from_millis(100);
const LONGEST_PROBE: Duration = Duration::from_secs(2);
/// A server that must not be used is looked at again after so long.
const REFUSED: Duration = Duration::from_secs(10);
/// A call to the server through TLS needs as much as one to Google (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;
/// How long a start waits until what the store holds is read, if it answers.
const FIRST_READING: Duration = Duration::from_secs(5);
/// A clock that is further off is told.
const SKEW: i64 = 2000;

/// Why replicas cannot meet.
#[derive(Debug)]
pub struct StoreFault {
    /// For the operator.
    pub message: String,
    /// The process ends with this.
    pub exit_code: u8,
}

/// This replica among the others.
pub struct Replicas {
    limits: Arc<Limits>,
    news: Arc<News>,
    brief: Arc<Brief>,
    signed: Arc<Signed>,
    pool: Arc<Credentials>,
    name: String,
    stopping: Arc<AtomicBool>,
    usage: Arc<Usage>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What `/metrics` shows of the store.
#[derive(Clone, Debug, Default)]
pub struct StoreFigures {
    /// This replica.
    pub replica: String,
    /// Whether it answers and takes changes.
    pub is_up: bool,
    /// Calls that failed, by what was wrong.
    pub errors: Vec<(&'static str, u64)>,
    /// Requests that this replica judged alone.
    pub alone: u64,
    /// Keys and batches of usage whose counts are not sent yet.
    pub waiting: u64,
    /// Replicas that lived last.
    pub replicas: u64,
    /// Seconds that this machine's clock is ahead of the store's.
    pub ahead: f64,
}

impl Replicas {
    /// Where the config names a store: looks at it and joins the others. One that is away is waited for in the background;
    /// one of another key ends the program. Tokens that wait to be told the others are in a section of the state file.
    pub fn start(
        config: &Config,
        keys: &Arc<Keys>,
        pool: &Arc<Credentials>,
        usage: &Arc<Usage>,
        state: &Arc<State>,
    ) -> Result<Option<Arc<Replicas>>, StoreFault> {
        let Some(store) = &config.store else { return Ok(None) };
        let (link, wake, woken) = link(store, cipher(config)?)?;
        if link.address().is_exposed() {
            log::warn!(
                "store: {} is reached without TLS and may be far away; use rediss:// or a private network",
                link.address()
            );
        }
        link.open();
        if let Standing::Refused { why, .. } = link.standing()
            && why.is_wrong_key
        {
            return Err(StoreFault { message: format!("FATAL: store: {}", why.sentence), exit_code: 3 });
        }
        let limits = Arc::new(Limits::new(link.clone(), &store.replica, store.when_down, wake.clone()));
        let accounts = Arc::new(Accounts::new(limits.clone()));
        share(pool, &accounts, state);
        if limits.link.is_up() {
            // How many there are is needed when it goes away.
            let _ = limits.beat(0, false);
            pool.settle_shared();
        }
        let brief = Arc::new(Brief::new(limits.clone()));
        let signed = Arc::new(Signed::new(limits.clone()));
        let copies: Vec<Arc<dyn Copies>> = vec![
            brief.clone(),
            Arc::new(KeyCopies(keys.clone())),
            Arc::new(Records::new(accounts.clone(), pool.clone())),
            Arc::new(Rests::new(accounts.clone(), pool.clone())),
        ];
        let news = Arc::new(News::new(link.clone(), copies, wake));
        accounts.follow(&news);
        keys.share(limits.clone());
        keys.register(Arc::new(KeyRegistry { link, news: news.clone() }));
        let stopping = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            limits: limits.clone(),
            accounts: accounts.clone(),
            news: news.clone(),
            brief: brief.clone(),
            signed: signed.clone(),
            pool: pool.clone(),
            stopping: stopping.clone(),
        };
        let keeper = begin("store", move || keeper.keep(&woken))?;
        let told = news.clone();
        let reader = begin("news", move || told.follow())?;
        news.wait_for_all(FIRST_READING);
        let sums = Arc::new(Sums::new(limits.clone(), usage.clone(), keys.clone(), news.clone()));
        usage.share(&limits.who, sums.clone());
        let stop = stopping.clone();
        let adder = begin("sums", move || sums.keep(&stop))?;
        let threads = Mutex::new(vec![keeper, reader, adder]);
        let (name, pool, usage) = (store.replica.clone(), pool.clone(), usage.clone());
        Ok(Some(Arc::new(Replicas { limits, news, brief, signed, pool, name, stopping, usage, threads })))
    }

    /// From now on logins that are begun here may end on another replica.
    pub fn share_logins(&self, logins: &Logins) {
        logins.share(Arc::new(SharedLogins(self.limits.link.clone())));
    }

    /// Sends what is owed, once more, and leaves.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.news.stop();
        self.limits.wake();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            thread.thread().unpark();
            // A panic was reported by the panic hook already.
            let _ = thread.join();
        }
    }

    /// What a client must present with its next request, on whichever replica, to see at least what it was told here.
    pub fn cursor(&self) -> Cursor {
        self.news.cursor()
    }

    /// Waits until this replica knows what a client was told elsewhere, for a second at most.
    pub fn wait_for(&self, cursor: Cursor) {
        self.news.wait_for(cursor);
    }

    /// What a person is told where the store has lost what replicas know.
    fn loss(&self) -> Option<Message> {
        match (self.news.is_emptied(), self.news.knows_loss()) {
            (false, _) => None,
            (true, true) => Some(Message::new("store_emptied")),
            (true, false) => Some(Message::new("store_emptied_elsewhere")),
        }
    }

    /// Why this replica should get no traffic. One that has read the store goes on without it, whatever is wrong there: all
    /// lose it together. But one that finds another pool's store in its place must not go on.
    pub fn unready(&self) -> Option<&'static str> {
        let is_read = self.news.age().is_some();
        match self.limits.link.standing() {
            Standing::Refused { why, .. } if why.is_foreign || !is_read => Some("the store must not be used"),
            _ if is_read => None,
            _ if self.news.is_emptied() => Some("the store has lost what other replicas know"),
            _ => Some("waiting for the store"),
        }
    }

    /// What a person should know of the store.
    pub fn alert(&self) -> Option<Message> {
        let link = &self.limits.link;
        let time = |since| calendar::iso(time_of(since));
        let away = |since, reason| Message::new("store_away").with("since", time(since)).with("reason", reason);
        match (link.standing(), link.trouble()) {
            (Standing::Down { since, reason }, _) => Some(away(since, reason)),
            (Standing::Refused { since, why }, _) => Some(away(since, why.sentence)),
            _ if self.news.is_emptied() => self.loss(),
            (Standing::Up, trouble) => {
                let full = |Trouble { since, reason, .. }| {
                    Message::new("store_full").with("since", time(since)).with("reason", reason)
                };
                trouble.map(full)
            }
        }
    }

    /// For `/health?verbose=1`.
    pub fn health(&self) -> Value {
        let link = &self.limits.link;
        let (state, since) = match (link.standing(), link.trouble()) {
            (Standing::Up, None) => ("up", None),
            (Standing::Up, Some(trouble)) => ("full", Some(trouble.since)),
            (Standing::Down { since, .. }, _) => ("down", Some(since)),
            (Standing::Refused { since, .. }, _) => ("refused", Some(since)),
        };
        let mut health = json!({
            "kind": "redis",
            "state": state,
            "replica": self.name,
            "incarnation": format!("{}-{}", self.name, self.limits.who),
            "replicas": self.limits.replicas(),
        });
        if let Some(since) = since {
            health["since"] = json!(calendar::iso(time_of(since)));
        }
        health["behind_seconds"] = json!(self.news.age().map(|age| age.as_secs()));
        health
    }

    /// For `/metrics`.
    pub fn figures(&self) -> StoreFigures {
        let errors = ["lost", "timeout", "refused"].into_iter().zip(&self.limits.link.errors);
        StoreFigures {
            replica: self.name.clone(),
            is_up: self.limits.link.is_up() && self.limits.link.trouble().is_none(),
            errors: errors.map(|(kind, count)| (kind, count.load(Ordering::Relaxed))).collect(),
            alone: self.limits.alone.load(Ordering::Relaxed),
            waiting: self.limits.waiting() + self.pool.untold_shared() as u64 + self.usage.waiting(),
            replicas: self.limits.replicas(),
            ahead: self.limits.ahead.load(Ordering::Relaxed) as f64 / 1000.0,
        }
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replicas({:?})", self.limits)
    }
}

fn time_of(when: Instant) -> SystemTime {
    SystemTime::now().checked_sub(when.elapsed()).unwrap_or(UNIX_EPOCH)
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreFault> {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(work);
    thread.map_err(|error| StoreFault { message: format!("a thread could not be started: {error}"), exit_code: 1 })
}

fn share(pool: &Arc<Credentials>, accounts: &Arc<Accounts>, state: &Arc<State>) {
    let saved = state.take("landings").value();
    let to = Arc::downgrade(state);
    let save = move || to.upgrade().into_iter().for_each(|state| drop(state.save()));
    pool.share(accounts.clone(), &saved, Box::new(save));
    let (changed, kept) = (pool.clone(), pool.clone());
    state.own("landings", move || changed.landings_version(), move |_, sink| kept.save_landings(sink));
}

/// With which records and names are sealed.
fn cipher(config: &Config) -> Result<Cipher, StoreFault> {
    Cipher::of(config).ok_or_else(|| {
        let message = "store: an encryption key is needed, the same for every replica: --encryption-key-file FILE or \
                       GEMINI_PROXY_ENCRYPTION_KEY; `generate-key` makes one";
        StoreFault { message: message.into(), exit_code: 1 }
    })
}

type Parts = (Arc<Link>, crossbeam_channel::Sender<()>, Receiver<()>);

fn link(store: &StoreConfig, cipher: Cipher) -> Result<Parts, StoreFault> {
    let address = Address::new(store).map_err(|message| StoreFault { message, exit_code: 1 })?;
    let (wake, woken) = bounded(1);
    Ok((Arc::new(Link::new(address, &store.prefix, cipher)), wake, woken))
}

/// What the thread `store` looks after.
struct Keeper {
    limits: Arc<Limits>,
    accounts: Arc<Accounts>,
    news: Arc<News>,
    brief: Arc<Brief>,
    signed: Arc<Signed>,
    pool: Arc<Credentials>,
    stopping: Arc<AtomicBool>,
}

impl Keeper {
    /// Looks for a store that is away, beats, and sends what is owed.
    fn keep(&self, woken: &Receiver<()>) {
        let limits = &*self.limits;
        let mut probe = PROBE;
        let mut next_probe = Instant::now() + probe;
        let mut next_beat = Instant::now() + BEAT;
        let mut is_skewed = false;
        loop {
            if !limits.link.is_up() && Instant::now() >= next_probe {
                limits.link.open();
                probe = match limits.link.standing() {
                    Standing::Up => PROBE,
                    Standing::Down { .. } => (probe * 2).min(LONGEST_PROBE),
                    Standing::Refused { .. } => REFUSED,
                };
                next_probe = Instant::now() + jittered(probe);
                if limits.link.is_up() {
                    limits.note(Fault::Down);
                    next_beat = Instant::now();
                }
            }
            if limits.link.is_up() {
                // How many there are is needed when it goes away.
                if Instant::now() >= next_beat || self.news.take_joined() {
                    limits.link.try_changes();
                    let is_settled = limits.settle_all().is_ok();
                    let beat = limits.beat(self.news.seen(), self.news.knows_loss());
                    if is_settled && beat.is_ok() {
                        limits.settled();
                    }
                    next_beat = Instant::now() + if limits.is_settling() { SOON } else { BEAT };
                    if beat == Ok(true) || self.news.is_emptied() {
                        self.news.doubt();
                    }
                    let _ = beat.and_then(|_| limits.hold()).and_then(|()| self.accounts.extend());
                    self.news.replicas.store(limits.replicas(), Ordering::Relaxed);
                    is_skewed = tell_skew(limits, is_skewed);
                }
                self.pool.settle_shared();
                let _ = self.signed.send().and_then(|()| self.brief.tell());
                if limits.settle_all() == Err(Fault::Down) && !limits.link.is_up() {
                    probe = PROBE;
                    next_probe = Instant::now() + jittered(probe);
                }
            }
            if self.stopping.load(Ordering::Acquire) {
                return limits.leave();
            }
            let next = if limits.link.is_up() { next_beat } else { next_probe };
            let _ = woken.recv_deadline(next);
        }
    }
}

/// Once, when it begins.
fn tell_skew(limits: &Limits, was: bool) -> bool {
    let ahead = limits.ahead.load(Ordering::Relaxed);
    let is = ahead.abs() > SKEW;
    if is && !was {
        let (seconds, word) = (ahead.abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" });
        log::warn!("store: this machine's clock is {seconds} s {word} the store's; limits go by the store's");
    }
    is
}
