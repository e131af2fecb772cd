//! The index against a walk over all credentials, as the rules are said in words.

use super::*;
use crate::credentials::file::record::Record;
use crate::credentials::google::trouble::{Block, Trouble};
use crate::credentials::lease::{Report, Unavailable};
use crate::credentials::pool::{Grant, Job, Origin, Pool, Settings, Step};
use crate::message::Message;
use crate::secret::Secret;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

const PREFERENCES: [&[Kind]; 3] = [&[], &[Kind::ApiKey], &[Kind::Vertex, Kind::Oauth]];
const MODELS: [&str; 3] = ["pro", "flash", "lite"];

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn seconds(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.below(end * 1000) as u64)
    }
}

fn key(number: usize) -> Record {
    let kind = if cfg!(feature = "vertex") && number.is_multiple_of(5) { "vertex_key" } else { "api_key" };
    Record::new(json!({"type": kind, "api_key": format!("AIza-{number:08}")}))
}

fn account(number: usize, now: Now, lifetime: Duration) -> Record {
    let expiry = (now.wall + lifetime).duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    Record::new(json!({
        "refresh_token": format!("r-{number}"), "email": format!("User{}@example.com", number % 7), "access_token": "a", "expiry_date": expiry, "project_id": "p",
    }))
}

fn pool(records: impl IntoIterator<Item = Record>, now: Now) -> Pool {
    Pool::new(records.into_iter().map(|record| (Origin::File, record)), Settings::default(), &json!(null), now).0
}

fn want<'a>(model: &'a str, kinds: Kinds, tried: &'a [CredentialId], affinity: Option<&'a str>) -> Want<'a> {
    Want { model, kinds, tried, affinity }
}

fn cool(rest: Duration, limit: bool) -> Report {
    Report::Cool { rest, limit, reason: "r".into(), message: Message::said("s") }
}

/// How long until the credential can serve; `None`: now.
fn wait(credential: &Credential, model: &str, now: Now) -> Option<Duration> {
    let blocked = credential.blocked.as_ref().and_then(|blocked| blocked.until);
    let backoff = credential.backoff.as_ref().filter(|_| !credential.is_ready(now)).map(|backoff| backoff.until);
    let cooling = credential.cooling.get(model).map(|cool_down| cool_down.until);
    let left = [blocked, backoff, cooling].into_iter().flatten().map(|until| until.left(now)).max();
    left.filter(|left| !left.is_zero())
}

/// A walk over all credentials.
fn expected(pool: &Pool, want: &Want<'_>, prefer: &[Kind], now: Now) -> Result<CredentialId, Unavailable> {
    let is_wanted = |credential: &&Credential| credential.record.kind().is_ok_and(|kind| want.kinds.has(kind));
    let usable: Vec<&Credential> =
        pool.credentials.values().filter(is_wanted).filter(|credential| credential.is_usable()).collect();
    let (waiting, free): (Vec<&Credential>, Vec<&Credential>) =
        usable.into_iter().partition(|credential| wait(credential, want.model, now).is_some());
    let rank = |credential: &Credential| {
        let place = prefer.iter().position(|kind| credential.record.kind() == Ok(*kind));
        let is_deprioritised = credential.deprioritised.is_some_and(|until| !until.is_over(now));
        (!credential.is_ready(now), is_deprioritised, place.unwrap_or(prefer.len()))
    };
    let turn = |credential: &Credential| (pool.last.is_some_and(|last| credential.id <= last), credential.id);
    let distance = |credential: &Credential| {
        let from = |number| place(&credential.id).wrapping_sub(place(&(want.affinity.unwrap(), number)));
        ((0..PROBES).map(from).min(), credential.id)
    };
    let untried = free.iter().filter(|credential| !want.tried.contains(&credential.id));
    let best = untried.clone().map(|credential| rank(credential)).min();
    let best = untried.filter(|credential| Some(rank(credential)) == best);
    let chosen = match want.affinity {
        Some(_) => best.min_by_key(|credential| distance(credential)),
        None => best.min_by_key(|credential| turn(credential)),
    };
    let limited = waiting.iter().any(|credential| {
        credential.cooling.get(want.model).is_some_and(|cool_down| cool_down.limit && !cool_down.until.is_over(now))
    });
    match (chosen, waiting.iter().filter_map(|credential| wait(credential, want.model, now)).min()) {
        (Some(credential), _) => Ok(credential.id),
        _ if !free.is_empty() => Err(Unavailable::AllTried),
        (None, None) => Err(Unavailable::None),
        (None, Some(wait)) if limited => Err(Unavailable::Cooling(wait)),
        (None, Some(wait)) => Err(Unavailable::Resting(wait)),
    }
}

/// Compares every kind of question.
fn compare(pool: &mut Pool, numbers: &mut Numbers, now: Now, step: &str) {
    pool.advance(now);
    let some: Vec<CredentialId> = pool.credentials.keys().copied().filter(|_| numbers.below(2) == 0).collect();
    let all: Vec<CredentialId> = pool.credentials.keys().copied().collect();
    for model in MODELS {
        for kinds in [Kinds::ALL, Kinds::only(Kind::Oauth), Kinds::only(Kind::ApiKey).or(Kind::Vertex)] {
            for tried in [&[][..], &some, &all] {
                for affinity in [None, Some("one")] {
                    let want = want(model, kinds, tried, affinity);
                    let prefer = PREFERENCES[numbers.below(PREFERENCES.len())];
                    let found = pool.index.choose(&want, prefer, pool.last, now);
                    assert_eq!(found, expected(pool, &want, prefer, now), "{want:?} {prefer:?} after {step}");
                }
            }
        }
    }
    let due = pool.credentials.values().filter_map(|credential| {
        let held = [
            credential.blocked.as_ref().and_then(|blocked| blocked.until),
            credential.backoff.as_ref().map(|b| b.until),
        ];
        let until = held.into_iter().flatten().chain(credential.due()?);
        Some(until.map(|until| until.left(now)).max().unwrap_or_default())
    });
    let found = pool.index.first_due().map(|(at, _)| at.saturating_duration_since(now.monotonic));
    assert_eq!(found, due.min(), "the next refresh after {step}");
    let names = |credential: &Credential| {
        let email = credential.email.as_deref().map(super::account);
        [Some(credential.record.name()), email]
            .into_iter()
            .flatten()
            .map(|name| (name, credential.id))
            .collect::<Vec<_>>()
    };
    let names: BTreeSet<_> = pool.credentials.values().flat_map(names).collect();
    assert_eq!(pool.index.names, names, "after {step}");
}

/// What happens to a pool in its life, in any order.
fn happen(pool: &mut Pool, jobs: &mut Vec<Job>, numbers: &mut Numbers, now: &mut Now) -> &'static str {
    let ids: Vec<CredentialId> = pool.credentials.keys().copied().collect();
    let id = ids.get(numbers.below(ids.len().max(1))).copied().unwrap_or(CredentialId(0));
    let model = MODELS[numbers.below(3)];
    match numbers.below(20) {
        0..=3 => {
            let affinity = (numbers.below(3) == 0).then_some("one");
            let _ = pool.checkout(&want(model, Kinds::ALL, &[], affinity), *now);
            "a choice"
        }
        4..=6 => {
            let _ = pool.report(id, model, cool(numbers.seconds(60), numbers.below(2) == 0), *now);
            "a cool-down"
        }
        7 => {
            let rest = (numbers.below(4) > 0).then(|| numbers.seconds(60));
            let _ = pool.report(
                id,
                model,
                Report::Block { rest, reason: "r".into(), message: Message::said("s"), link: None },
                *now,
            );
            "a block"
        }
        8 => {
            let _ = pool.report(id, model, Report::Success, *now);
            "a success"
        }
        9 => {
            let _ = pool.report(id, model, Report::Deprioritise, *now);
            "a setback"
        }
        10 => {
            match numbers.below(2) {
                0 => jobs.extend(pool.next_due(*now)),
                _ => jobs.extend(pool.access(id, None, None, *now).into_iter().filter_map(|step| match step {
                    Step::Ask(job) => Some(job),
                    _ => None,
                })),
            }
            "a refresh that begins"
        }
        11 | 12 => {
            if let Some(mut job) = jobs.pop() {
                let result = match numbers.below(5) {
                    0 => Err(Trouble::Transient(Message::said("t"))),
                    1 => Err(Trouble::Config(Message::said("c"))),
                    2 => Err(Trouble::Blocked(Block::new("r", Message::said("s")))),
                    _ => {
                        let grant = Grant { access: Secret::new("b"), refresh: None, lifetime: numbers.seconds(1200) };
                        let _ = pool.granted(&mut job, grant, *now);
                        job.project = Some("p".into());
                        pool.found(&job, *now);
                        Ok(())
                    }
                };
                let _ = pool.finish(job.login, result, *now);
            }
            "a refresh that ends"
        }
        13 => {
            let value = (numbers.below(2) == 0).then(|| true.into());
            let _ = pool.set_field(id, "disabled", value, *now);
            "a switch"
        }
        14 if ids.len() > 4 => {
            let _ = pool.remove(id);
            "a removal"
        }
        14 | 15 if ids.len() < 12 => {
            let number = numbers.below(1 << 30);
            let lifetime = numbers.seconds(1200);
            let record = if numbers.below(2) == 0 { key(number) } else { account(number, *now, lifetime) };
            let _ = pool.enrol(record, None, *now);
            "a new one"
        }
        16 => {
            let _ = pool.reset(id, *now);
            "a reset"
        }
        17 if numbers.below(8) == 0 => {
            now.wall =
                if numbers.below(2) == 0 { now.wall + numbers.seconds(900) } else { now.wall - numbers.seconds(900) };
            "a jump of the clock"
        }
        _ => {
            let longest = [20, 20, 400][numbers.below(3)];
            let span = numbers.seconds(longest);
            *now = Now { monotonic: now.monotonic + span, wall: now.wall + span };
            "a while"
        }
    }
}

#[test]
fn the_index_chooses_as_a_walk_over_all_credentials_would() {
    for seed in 1..=6 {
        let (mut numbers, mut now) = (Numbers(seed * 0x9E37_79B9), Now::read());
        let records = [key(1), key(2), account(3, now, Duration::from_secs(400)), account(4, now, Duration::ZERO)];
        let (mut pool, mut jobs) = (pool(records, now), Vec::new());
        for number in 0..200 {
            let what = happen(&mut pool, &mut jobs, &mut numbers, &mut now);
            compare(&mut pool, &mut numbers, now, &format!("{what} ({seed}/{number})"));
        }
    }
}

#[test]
fn cool_downs_and_blocks_end_whichever_way_the_clock_jumps() {
    let start = Now::read();
    let hour = Duration::from_secs(3600);
    let block = Report::Block { rest: Some(hour / 2), reason: "r".into(), message: Message::said("s"), link: None };
    for (name, now) in [
        ("set back", Now { monotonic: start.monotonic + hour, wall: start.wall - 365 * 24 * hour }),
        ("set forward", Now { monotonic: start.monotonic, wall: start.wall + 365 * 24 * hour }),
    ] {
        let mut pool = pool([key(1)], start);
        for report in [cool(hour, true), block.clone()] {
            let _ = pool.report(CredentialId(0), "pro", report, start);
        }
        let want = want("pro", Kinds::ALL, &[], None);
        assert_eq!(pool.checkout(&want, start).unwrap_err(), Unavailable::Cooling(hour), "{name}");
        assert_eq!(pool.checkout(&want, now).unwrap().id, CredentialId(0), "{name}");
    }
}

#[test]
fn a_clock_that_is_slowly_put_right_moves_ends_by_moments_only() {
    let start = Now::read();
    let mut pool = pool([key(1)], start);
    let _ = pool.report(CredentialId(0), "pro", cool(Duration::from_secs(600), true), start);
    let at = |monotonic: u64, wall: u64| Now {
        monotonic: start.monotonic + Duration::from_millis(monotonic),
        wall: start.wall + Duration::from_millis(wall),
    };
    // The wall clock runs fast by half a thousandth.
    for second in 0..599 {
        assert!(
            pool.checkout(&want("pro", Kinds::ALL, &[], None), at(second * 1000, second * 1000 + second / 2)).is_err()
        );
    }
    assert!(pool.checkout(&want("pro", Kinds::ALL, &[], None), at(599_801, 600_101)).is_ok());
}

#[test]
fn conversations_are_spread_and_stay_while_their_credential_can_serve() {
    let now = Now::read();
    let mut pool = pool((0..8).map(key), now);
    let names: Vec<String> = (0..4000).map(|number| format!("conversation {number}")).collect();
    let homes = |pool: &mut Pool| -> Vec<CredentialId> {
        let home = |name: &String| pool.checkout(&want("pro", Kinds::ALL, &[], Some(name)), now).unwrap().id;
        names.iter().map(home).collect()
    };
    let before = homes(&mut pool);
    let mut counts: HashMap<CredentialId, u32> = HashMap::new();
    before.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
    assert!(counts.len() == 8 && counts.values().all(|count| (300..700).contains(count)), "{counts:?}");
    let gone = [CredentialId(2), CredentialId(5)];
    gone.iter().for_each(|id| drop(pool.report(*id, "pro", cool(Duration::from_secs(60), true), now)));
    let after = homes(&mut pool);
    let mut heirs: HashMap<CredentialId, u32> = HashMap::new();
    for (before, after) in before.iter().zip(&after) {
        match gone.contains(before) {
            true => *heirs.entry(*after).or_default() += 1,
            false => assert_eq!(before, after),
        }
    }
    assert_eq!(heirs.len(), 6, "what a credential leaves is shared: {heirs:?}");
    gone.iter().for_each(|id| drop(pool.reset(*id, now)));
    assert_eq!(homes(&mut pool), before, "and comes back");
}

/// The least time that one request of a round takes.
fn time_per_request(pool: &mut Pool, now: Now, request: impl Fn(&mut Pool, usize, Now)) -> Duration {
    let round = |round: usize| {
        let start = Instant::now();
        (0..20).for_each(|number| request(pool, round * 20 + number, now));
        start.elapsed() / 20
    };
    (0..100).map(round).min().unwrap()
}

#[test]
fn a_choice_among_ten_thousand_costs_a_fraction_of_a_millisecond() {
    let now = Now::read();
    let mut pool = pool((0..10_000).map(key), now);
    let turn = time_per_request(&mut pool, now, |pool, _, now| {
        let id = pool.checkout(&want("pro", Kinds::ALL, &[], None), now).unwrap().id;
        let _ = pool.report(id, "pro", Report::Success, now);
    });
    let named = time_per_request(&mut pool, now, |pool, number, now| {
        let id = pool.checkout(&want("pro", Kinds::ALL, &[], Some(&number.to_string())), now).unwrap().id;
        let _ = pool.report(id, "pro", Report::Success, now);
    });
    let limited = time_per_request(&mut pool, now, |pool, number, now| {
        let id = pool.checkout(&want(MODELS[number % 3], Kinds::ALL, &[], None), now).unwrap().id;
        let _ = pool.report(id, MODELS[number % 3], cool(Duration::from_secs(60), true), now);
    });
    (0..9_999).for_each(|id| drop(pool.report(CredentialId(id), "pro", cool(Duration::from_secs(60), true), now)));
    let last = time_per_request(&mut pool, now, |pool, _, now| {
        assert_eq!(pool.checkout(&want("pro", Kinds::ALL, &[], None), now).unwrap().id, CredentialId(9_999));
        let _ = pool.report(CredentialId(9_999), "pro", Report::Success, now);
    });
    drop(pool.report(CredentialId(9_999), "pro", cool(Duration::from_secs(60), true), now));
    let nobody = time_per_request(&mut pool, now, |pool, _, now| {
        assert!(matches!(pool.checkout(&want("pro", Kinds::ALL, &[], None), now), Err(Unavailable::Cooling(_))));
    });
    println!("turn {turn:?}, named {named:?}, limited {limited:?}, last {last:?}, nobody {nobody:?}");
    // A walk takes 10 ms in a build without optimisation.
    for (name, time) in [("turn", turn), ("named", named), ("limited", limited), ("last", last), ("nobody", nobody)] {
        assert!(time < Duration::from_millis(2), "{name}: {time:?}");
    }
}
