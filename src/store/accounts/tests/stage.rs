//! The stage: who has a step, what is lost, what Google says.

use super::*;
use parking_lot::Condvar;

/// Numbers that look random.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Google's token endpoint for one account.
#[derive(Default)]
pub(super) struct Endpoint {
    /// A refresh gives a new refresh token.
    pub(super) rotates: bool,
    /// The old one is dead then.
    pub(super) retires: bool,
    pub(super) last: u64,
    /// Refresh tokens that work, and who was given them; `None`: nobody got the answer.
    pub(super) valid: Vec<(String, Option<usize>)>,
    pub(super) granted: u64,
}

impl Endpoint {
    pub(super) fn refresh(&mut self, sent: &str, by: usize) -> Result<Tokens, Trouble> {
        if !self.valid.iter().any(|(token, _)| token == sent) {
            return Err(Trouble::Revoked(Message::new("refresh_slow")));
        }
        self.granted += 1;
        self.last += 1;
        let refresh = self.rotates.then(|| format!("refresh-{}", self.last));
        if let Some(refresh) = &refresh {
            if self.retires {
                self.valid.retain(|(token, _)| token != sent);
            }
            self.valid.push((refresh.clone(), Some(by)));
        }
        let access = Secret::new(format!("access-{}", self.last));
        Ok(Tokens { access, refresh: refresh.map(Secret::new), lifetime: HOUR, scope: None })
    }
}

/// What may happen beside.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    /// Of a thousand calls: lost before, lost afterwards, refused.
    pub(super) losses: [u64; 3],
    /// Of a thousand steps: somebody crashes, a lease ends.
    pub(super) crashes: u64,
    pub(super) ends: u64,
}

pub(super) const CALM: Weather = Weather { losses: [0; 3], crashes: 0, ends: 0 };

pub(super) struct Stage {
    pub(super) numbers: Numbers,
    pub(super) weather: Weather,
    /// Whose step it is.
    pub(super) turn: Option<usize>,
    /// Who waits for it.
    pub(super) waiting: Vec<usize>,
    pub(super) running: usize,
    pub(super) crashed: [bool; REPLICAS],
    pub(super) held: Vec<Held>,
    pub(super) endpoint: Endpoint,
}

pub(super) struct Play {
    pub(super) stage: Mutex<Stage>,
    pub(super) moved: Condvar,
}

/// A replica has crashed.
pub(super) struct Crash;

impl Play {
    /// Waits for one's step; the end of the thread if one has crashed meanwhile.
    pub(super) fn step(&self, who: usize) {
        let mut stage = self.stage.lock();
        stage.waiting.push(who);
        self.moved.notify_all();
        while stage.turn != Some(who) {
            self.moved.wait(&mut stage);
        }
        stage.turn = None;
        stage.waiting.retain(|waiting| *waiting != who);
        if stage.crashed[who] {
            drop(stage);
            std::panic::resume_unwind(Box::new(Crash));
        }
    }

    pub(super) fn leave(&self) {
        self.stage.lock().running -= 1;
        self.moved.notify_all();
    }

    /// Gives out steps until all have left.
    pub(super) fn direct(&self, store: &Accounts) {
        loop {
            let mut stage = self.stage.lock();
            while stage.turn.is_some() || stage.waiting.len() < stage.running {
                self.moved.wait(&mut stage);
            }
            if stage.running == 0 {
                return;
            }
            let Weather { crashes, ends, .. } = stage.weather;
            if !stage.held.is_empty() && stage.numbers.below(1000) < ends {
                let count = stage.held.len() as u64;
                let at = stage.numbers.below(count) as usize;
                let held = stage.held.swap_remove(at);
                store.release(&held, None);
            }
            let count = stage.waiting.len() as u64;
            let at = stage.numbers.below(count) as usize;
            let who = stage.waiting[at];
            if stage.numbers.below(1000) < crashes {
                stage.crashed[who] = true;
            }
            stage.turn = Some(who);
            self.moved.notify_all();
        }
    }
}

/// The store as one replica of the play sees it.
pub(super) struct Seat<'a> {
    pub(super) store: &'a Accounts,
    pub(super) play: &'a Play,
    pub(super) who: usize,
    /// Milliseconds that it is wrong about the time.
    pub(super) skew: i64,
}

impl fmt::Debug for Seat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.who)
    }
}

impl Seat<'_> {
    fn call<T>(&self, call: impl FnOnce() -> Result<T, Away>) -> Result<T, Away> {
        self.play.step(self.who);
        let fate = {
            let mut stage = self.play.stage.lock();
            let (fate, [before, after, refused]) = (stage.numbers.below(1000), stage.weather.losses);
            [before, before + after, before + after + refused].iter().position(|end| fate < *end)
        };
        match fate {
            Some(0) => Err(Away::Unsure),
            Some(1) => call().and(Err(Away::Unsure)),
            Some(_) => Err(Away::Down),
            None => call(),
        }
    }
}

impl Shared for Seat<'_> {
    fn now(&self) -> SystemTime {
        let now = self.store.now();
        let span = Duration::from_millis(self.skew.unsigned_abs());
        if self.skew > 0 { now + span } else { now - span }
    }

    fn must_answer(&self) -> Result<(), Away> {
        Ok(())
    }

    fn read(&self, id: CredentialId) -> Result<Known, Away> {
        self.call(|| self.store.read(id))
    }

    fn numbers(&self, items: &[Item]) -> Result<Vec<CredentialId>, Away> {
        self.call(|| self.store.numbers(items))
    }

    fn create(&self, entry: &Entry, wished: Option<CredentialId>) -> Result<(CredentialId, Kept, bool), Away> {
        self.call(|| self.store.create(entry, wished))
    }

    fn change(&self, id: CredentialId, was: &Kept, next: Option<&Entry>, with: With<'_>) -> Result<Changed, Away> {
        self.call(|| self.store.change(id, was, next, with))
    }

    fn lease(&self, work: Work, id: CredentialId, _: Duration) -> Result<Leased, Away> {
        self.call(|| {
            // It ends when the play says so.
            let leased = self.store.lease(work, id, 10 * HOUR);
            if let Ok(Leased::Mine(held, ..)) = &leased {
                self.play.stage.lock().held.push(held.clone());
            }
            leased
        })
    }

    fn release(&self, held: &Held, failed: Option<&Failed>) {
        let _ = self.call(|| {
            self.store.release(held, failed);
            Ok(())
        });
    }

    fn rest(&self, id: CredentialId, version: Option<u64>, rests: &[Rest]) -> Result<bool, Away> {
        self.call(|| self.store.rest(id, version, rests))
    }

    fn lift(&self, id: CredentialId, what: Lift) -> Result<(), Away> {
        self.call(|| self.store.lift(id, what))
    }

    fn wait(&self) {}

    fn wake(&self) {}
}
