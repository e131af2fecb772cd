//! The refresh over a real server, with the real code and scripts, in random schedules: each call to the store and each word of
//! Google's is a step, and numbers decide whose step is next, which answers are lost, who crashes, whose lease ends, whose
//! clock is wrong. Nothing else runs beside, so a seed tells the schedule.

mod server;
mod stage;

use self::server::Server;
use self::stage::{CALM, Crash, Endpoint, Numbers, Play, Seat, Stage, Weather};
use super::*;
use crate::credentials::shared::{
    Begun, Errand, Landed, Landing, Tokens, Trouble, Wish, begin, end, exchange, land_later,
};
use crate::secret::Secret;
use parking_lot::Condvar;

const REPLICAS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// What a replica has of the account: its copy, and what it must land, which outlives it.
struct Replica<'a> {
    seat: Seat<'a>,
    id: CredentialId,
    copy: Kept,
    landings: &'a Mutex<Vec<Landing>>,
}

impl Replica<'_> {
    fn ask(&self, record: &Item) -> Result<Tokens, Trouble> {
        let (play, who) = (self.seat.play, self.seat.who);
        play.step(who);
        let sent = record.refresh_token().unwrap_or_default().to_owned();
        let (answer, is_lost) = {
            let mut stage = play.stage.lock();
            let fate = stage.numbers.below(1000);
            let losses = stage.weather.losses;
            match fate {
                _ if fate < losses[0] => (Err(Trouble::Transient(Message::new("refresh_slow"))), false),
                _ => (stage.endpoint.refresh(&sent, who), fate < losses[0] + losses[1] / 4),
            }
        };
        if is_lost {
            // Nobody has what was given then.
            let mut stage = play.stage.lock();
            let last = format!("refresh-{}", stage.endpoint.last);
            if answer.is_ok() {
                stage.endpoint.valid.iter_mut().filter(|(token, _)| *token == last).for_each(|(_, by)| *by = None);
            }
            drop(stage);
            play.step(who);
            return Err(Trouble::Transient(Message::new("refresh_slow")));
        }
        play.step(who);
        answer
    }

    fn keep(&mut self, landing: Landing) {
        landing.merge(&mut self.copy.entry);
        self.landings.lock().push(landing);
    }

    /// As `Credentials` does it.
    fn refresh(&mut self, is_ahead: bool) -> Result<(), Trouble> {
        let known = self.copy.entry.token.as_ref().map(|token| token.access.clone());
        let wish = Wish { id: self.id, known: known.as_ref(), is_ahead, wants_project: false, patience: 1000 * HOUR };
        let pause = |_| {
            self.seat.play.step(self.seat.who);
            true
        };
        match begin(&self.seat, &wish, &pause)? {
            Begun::Done(kept) => self.copy = kept,
            Begun::Alone => {
                let tokens = self.ask(&self.copy.entry.record)?;
                let Tokens { access, refresh, lifetime, .. } = tokens;
                let landing = Landing::new(&self.copy.entry, access, refresh, lifetime, self.seat.now());
                self.keep(landing);
            }
            Begun::Mine(mut errand) => {
                self.copy = errand.kept.clone();
                let result = match errand.kept.entry.fresh(known.as_ref(), self.seat.now()) {
                    Some(_) => Ok(()),
                    None => self.exchange(&mut errand),
                };
                let transient = result.as_ref().err().filter(|trouble| matches!(trouble, Trouble::Transient(_)));
                let failed =
                    transient.map(|trouble| Failed { rest: Duration::ZERO, times: 0, message: trouble.message() });
                end(&self.seat, errand, &|_| {}, failed);
                result?;
            }
        }
        Ok(())
    }

    fn exchange(&mut self, errand: &mut Errand) -> Result<(), Trouble> {
        let (landing, landed) = exchange(&self.seat, errand, &mut |record| self.ask(record))?;
        match landed {
            Landed::Kept(kept) => self.copy = *kept,
            Landed::Later(landing) => self.keep(landing),
            Landed::Gone => panic!("nobody removes it: {landing:?}"),
        }
        Ok(())
    }

    fn settle(&self) {
        loop {
            let Some(first) = self.landings.lock().first().cloned() else { return };
            if land_later(&self.seat, self.id, &first) != Ok(true) {
                return;
            }
            self.landings.lock().remove(0);
        }
    }
}

/// What came of a schedule.
struct Outcome {
    granted: u64,
    /// Somebody has what works.
    lives: bool,
    blocked: bool,
    refreshed: bool,
    lost: Vec<String>,
}

fn play(stores: &[Accounts], seed: u64, weather: Weather, rotates: bool, retires: bool, errands: u64) -> Outcome {
    let first = format!("refresh-0-{seed}");
    let record = Item::new(json!({"refresh_token": first, "email": "ada@example.com"}));
    let (id, kept, is_new) = stores[0].create(&Entry::new(record, None, stores[0].now()), None).unwrap();
    assert!(is_new, "seed {seed}");
    let valid = vec![(first, Some(REPLICAS))];
    let stage = Stage {
        numbers: Numbers(seed),
        weather,
        turn: None,
        waiting: Vec::new(),
        running: REPLICAS,
        crashed: [false; REPLICAS],
        held: Vec::new(),
        endpoint: Endpoint { rotates, retires, valid, ..Endpoint::default() },
    };
    let play = Play { stage: Mutex::new(stage), moved: Condvar::new() };
    let landings: Vec<Mutex<Vec<Landing>>> = (0..REPLICAS).map(|_| Mutex::default()).collect();
    let seat = |who: usize| {
        let halves = if weather.crashes > 0 { (seed as i64 + who as i64) % 5 - 2 } else { 0 };
        Seat { store: &stores[who], play: &play, who, skew: halves * 1_800_000 }
    };
    std::thread::scope(|scope| {
        for (who, landings) in landings.iter().enumerate() {
            let mut replica = Replica { seat: seat(who), id, copy: kept.clone(), landings };
            let play = &play;
            scope.spawn(move || {
                let run = std::panic::AssertUnwindSafe(|| {
                    for number in 0..errands {
                        let is_ahead = (seed + number).is_multiple_of(3);
                        let _ = replica.refresh(is_ahead);
                        replica.settle();
                    }
                });
                let ended = std::panic::catch_unwind(run);
                play.leave();
                if let Err(panic) = ended
                    && !panic.is::<Crash>()
                {
                    std::panic::resume_unwind(panic);
                }
            });
        }
        play.direct(&stores[0]);
    });
    // All is well again, leases have ended, and who crashed has begun anew.
    let (granted, crashed) = {
        let mut stage = play.stage.lock();
        (stage.weather, stage.running) = (CALM, 0);
        stage.held.drain(..).for_each(|held| stores[0].release(&held, None));
        (stage.endpoint.granted, std::mem::take(&mut stage.crashed))
    };
    let quiet = &stores[0];
    for landings in &landings {
        landings.lock().iter().for_each(|landing| assert_eq!(land_later(quiet, id, landing), Ok(true), "seed {seed}"));
    }
    let kept = stores[0].read(id).unwrap().kept.unwrap();
    let has = |token: &str| {
        kept.entry.record.refresh_token() == Some(token) || kept.entry.spare.iter().any(|spare| spare.expose() == token)
    };
    let mut stage = play.stage.lock();
    let latest = stage.endpoint.valid.clone();
    let lost = latest.iter().filter(|(token, by)| {
        // Who crashed before it was on any disk has taken it along.
        let is_excused = by.is_none_or(|by| by < REPLICAS && crashed[by]);
        retires && !is_excused && !has(token)
    });
    let lost = lost.map(|(token, _)| token.clone()).collect();
    let lives = latest.iter().any(|(token, _)| has(token));
    let known = kept.entry.token.as_ref().map(|token| token.access.clone());
    let wish = Wish { id, known: known.as_ref(), is_ahead: false, wants_project: false, patience: HOUR };
    let Ok(Begun::Mine(mut errand)) = begin(quiet, &wish, &|_| true) else { panic!("seed {seed}: no lease") };
    let asked = exchange(quiet, &mut errand, &mut |record| {
        stage.endpoint.refresh(record.refresh_token().unwrap_or_default(), REPLICAS)
    });
    let refreshed = asked.is_ok();
    end(quiet, errand, &|_| {}, None);
    let known = stores[0].read(id).unwrap();
    let blocked = known.rests.unwrap().iter().any(|rest| rest.model.is_none());
    stores[0].change(id, &known.kept.unwrap(), None, With { lease: None, lift: Some(Lift::All) }).unwrap();
    Outcome { granted, lives, blocked, refreshed, lost }
}

/// One schedule.
fn run(stores: &[Accounts], seed: u64) {
    let mut numbers = Numbers(seed ^ 0x5eed);
    let (rotates, retires) = (numbers.below(4) > 0, numbers.below(4) > 0);
    let part = numbers.below(4);
    let losses = [numbers.below(100) * part / 3, numbers.below(200) * part / 3, numbers.below(100) * part / 3];
    let crashes = if part > 0 { numbers.below(20) } else { 0 };
    // Whoever waits for who has crashed waits until that lease ends.
    let ends = if part > 0 { 5 + numbers.below(200) } else { 0 };
    let errands = 1 + numbers.below(3);
    let weather = if part == 0 { CALM } else { Weather { losses, crashes, ends } };
    let outcome = play(stores, seed, weather, rotates, retires, errands);
    assert_eq!(outcome.lost, Vec::<String>::new(), "seed {seed}: a refresh token is lost");
    if outcome.lives {
        assert!(outcome.refreshed, "seed {seed}: it works, and nobody can use it");
        assert!(!outcome.blocked, "seed {seed}: it works, and is blocked for all");
    } else {
        assert!(outcome.blocked && !outcome.refreshed, "seed {seed}: it is dead, and nobody is told");
    }
    if part == 0 && errands == 1 {
        assert!(outcome.granted <= 1, "seed {seed}: asked {} times", outcome.granted);
    }
}

/// `make replicas` sets more.
#[test]
fn in_random_schedules_no_refresh_token_is_lost_and_nobody_is_blocked_who_works() {
    let server = Server::start("refresh-schedules");
    let stores: Vec<Accounts> = (0..REPLICAS).map(|_| server.accounts()).collect();
    let runs = std::env::var("GEMINI_PROXY_SCHEDULES").ok().and_then(|count| count.parse().ok());
    let from = std::env::var("GEMINI_PROXY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    (from..from + runs.unwrap_or(250)).for_each(|seed| run(&stores, seed));
}
