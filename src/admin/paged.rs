//! Long lists in pages: what the query of `GET /admin/credentials` and `GET /admin/keys` asks for. Without any of its
//! words the answer is the whole list, as scripts know it.

use super::keys::shown;
use super::malformed;
use super::view::credential;
use crate::credentials::{CoolingModel, View};
use crate::http::{Response, query_value};
use crate::keys::{Key, Keys};
use memchr::memmem::Finder;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

const LIMIT: usize = 100;
const MOST: usize = 1000;
const WRONG_LIMIT: &str = "limit: expected a number from 1 to 1000";
const WRONG_SORT: &str =
    "sort: expected name, state, used, last_used or expires, with - before it for the other way round";

/// A part of a list.
pub(super) struct Page {
    limit: usize,
    /// How many are left out before the first one.
    skip: usize,
    /// The number of the item before the first one.
    after: Option<u64>,
    words: Vec<Finder<'static>>,
    state: Option<String>,
    /// By what, and whether the other way round.
    order: Option<(Order, bool)>,
}

/// By what a list is sorted.
#[derive(Clone, Copy)]
enum Order {
    Name,
    State,
    Used,
    LastUsed,
    Expires,
}

/// Where an item stands among the others.
enum Rank<'a> {
    Number(u64),
    Text(&'a str),
}

impl Rank<'_> {
    fn cmp(&self, other: &Rank) -> Ordering {
        match (self, other) {
            (Rank::Number(one), Rank::Number(other)) => one.cmp(other),
            (Rank::Text(one), Rank::Text(other)) => {
                let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
                match one.is_ascii() && other.is_ascii() {
                    true => one
                        .bytes()
                        .map(|byte| byte.to_ascii_lowercase())
                        .cmp(other.bytes().map(|byte| byte.to_ascii_lowercase())),
                    false => lower(one).cmp(&lower(other)),
                }
            }
            _ => Ordering::Equal,
        }
    }

    fn time(time: Option<SystemTime>, never: u64) -> Rank<'static> {
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Rank::Number(since.map_or(never, |since| since.as_millis() as u64))
    }
}

impl Page {
    /// `limit`, `skip`, `after`, `q`, `state` and `sort`; `None` when the query has none of them.
    pub(super) fn of(query: &str) -> Result<Option<Page>, Response> {
        let [limit, skip, after, words, state, sort] =
            ["limit", "skip", "after", "q", "state", "sort"].map(|name| query_value(query, name));
        if [&limit, &skip, &after, &words, &state, &sort].iter().all(|value| value.is_none()) {
            return Ok(None);
        }
        let number =
            |text: Option<String>, sentence| match text.filter(|text| !text.is_empty()).map(|text| text.parse()) {
                None => Ok(None),
                Some(Ok(number)) => Ok(Some(number)),
                Some(Err(_)) => Err(malformed(400, sentence)),
            };
        let limit = match number(limit, WRONG_LIMIT)? {
            Some(0) => return Err(malformed(400, WRONG_LIMIT)),
            limit => limit.map_or(LIMIT, |limit: u64| limit.min(MOST as u64) as usize),
        };
        let skip = number(skip, "skip: expected a whole number")?.map_or(0, |skip: u64| skip as usize);
        let after = number(after, "after: expected the next of an earlier page")?;
        let order = match sort.as_deref().map(|sort| (sort.trim_start_matches('-'), sort.starts_with('-'))) {
            None | Some(("", _)) => None,
            Some(("name", back)) => Some((Order::Name, back)),
            Some(("state", back)) => Some((Order::State, back)),
            Some(("used", back)) => Some((Order::Used, back)),
            Some(("last_used", back)) => Some((Order::LastUsed, back)),
            Some(("expires", back)) => Some((Order::Expires, back)),
            Some(_) => return Err(malformed(400, WRONG_SORT)),
        };
        let words = words.unwrap_or_default().to_lowercase();
        let words = words.split_whitespace().map(|word| Finder::new(word).into_owned()).collect();
        Ok(Some(Page { limit, skip, after, words, state: state.filter(|state| !state.is_empty()), order }))
    }

    /// Whether the texts have every word, whatever the case. `buffer` is lent, so that a long list costs one.
    fn matches<'a>(&self, buffer: &mut String, texts: impl IntoIterator<Item = &'a str>) -> bool {
        if self.words.is_empty() {
            return true;
        }
        buffer.clear();
        texts.into_iter().for_each(|text| {
            buffer.push_str(text);
            buffer.push(' ');
        });
        match buffer.is_ascii() {
            true => buffer.make_ascii_lowercase(),
            false => *buffer = buffer.to_lowercase(),
        }
        self.words.iter().all(|word| word.find(buffer.as_bytes()).is_some())
    }
}

/// An item that is looked for.
struct Found<'a, T> {
    rank: Rank<'a>,
    number: u64,
    item: &'a T,
}

impl Page {
    /// The page of all that were found, which come in order of their numbers.
    fn cut<T>(&self, name: &str, total: usize, mut found: Vec<Found<T>>, show: impl Fn(&T) -> Value) -> Value {
        let count = found.len();
        let after = self.after.unwrap_or(0);
        found.retain(|item| self.after.is_none() || item.number > after);
        let (begin, end) = (self.skip.min(found.len()), (self.skip.saturating_add(self.limit)).min(found.len()));
        if let Some((_, is_backwards)) = self.order.filter(|_| cfg!(feature = "console")) {
            let compare = |one: &Found<T>, other: &Found<T>| {
                let order = one.rank.cmp(&other.rank);
                (if is_backwards { order.reverse() } else { order }).then(one.number.cmp(&other.number))
            };
            // Of many only those that are shown need be in order.
            if end < found.len() {
                found.select_nth_unstable_by(end, compare);
            }
            found[..end].sort_unstable_by(compare);
        }
        let next = (self.order.is_none() && end < found.len()).then(|| found[end - 1].number.to_string());
        let shown = found[begin..end].iter().map(|found| show(found.item)).collect::<Vec<_>>();
        json!({name: shown, "total": total, "found": count, "next": next})
    }
}

/// A page of `GET /admin/keys`, and how many of all are in which state.
pub(super) fn keys(keys: &Keys, page: &Page) -> Value {
    let list = keys.numbered();
    let mut states = BTreeMap::new();
    let found = found_keys(&list, page, Some(&mut states));
    let mut answer = page.cut("keys", list.len(), found, |key| shown(key));
    answer["summary"] = json!({"states": states});
    answer
}

fn found_keys<'a>(
    list: &'a [(u32, Arc<Key>)],
    page: &Page,
    mut states: Option<&mut BTreeMap<&'static str, usize>>,
) -> Vec<Found<'a, Arc<Key>>> {
    let (mut found, mut buffer, now) = (Vec::new(), String::new(), SystemTime::now());
    for (number, key) in list {
        let state = key_state(key, now);
        if let Some(states) = &mut states {
            *states.entry(state).or_insert(0) += 1;
        }
        let is_wanted = page.state.as_ref().is_none_or(|wanted| wanted == state);
        let id = if page.words.is_empty() { String::new() } else { key.id() };
        if is_wanted && page.matches(&mut buffer, texts(key, &id)) {
            let rank = match page.order {
                None => Rank::Number(0),
                Some((Order::Name, _)) => Rank::Text(&key.name),
                Some((Order::State, _)) => Rank::Number(urgency(state)),
                Some((Order::Used, _)) => Rank::Number(key.used().today.requests),
                Some((Order::LastUsed, _)) => Rank::time(key.used().last_used, 0),
                Some((Order::Expires, _)) => Rank::time(key.limits.expires_at, u64::MAX),
            };
            found.push(Found { rank, number: u64::from(*number), item: key });
        }
    }
    found
}

/// The ids of all that are looked for, whatever the page.
pub(super) fn key_ids(keys: &Keys, page: &Page) -> Vec<String> {
    found_keys(&keys.numbered(), page, None).iter().map(|found| found.item.id()).collect()
}

/// How the page shows it: good, at a limit of its day or month, ended, or switched off.
fn key_state(key: &Key, now: SystemTime) -> &'static str {
    let limits = &key.limits;
    if key.disabled {
        return "off";
    }
    if limits.expires_at.is_some_and(|end| end <= now) {
        return "bad";
    }
    let is_over = key.allowances().iter().any(|allowance| allowance.percent() >= 100);
    if is_over { "warn" } else { "good" }
}

/// What needs somebody comes first.
fn urgency(state: &str) -> u64 {
    ["bad", "warn", "good", "off"].iter().position(|known| *known == state).unwrap_or(0) as u64
}

fn texts<'a>(key: &'a Key, id: &'a str) -> impl Iterator<Item = &'a str> {
    [&*key.name, &*key.masked, id].into_iter().chain(key.limits.models.iter().map(String::as_str))
}

/// A page of `GET /admin/credentials`, and how all of them are.
pub(super) fn credentials(views: &[View], page: &Page) -> Value {
    let mut answer = page.cut("credentials", views.len(), found_credentials(views, page), credential);
    answer["summary"] = summary(views);
    answer
}

fn found_credentials<'a>(views: &'a [View], page: &Page) -> Vec<Found<'a, View>> {
    let (mut found, mut buffer) = (Vec::new(), String::new());
    for view in views {
        let is_wanted = page.state.as_ref().is_none_or(|wanted| wanted == state(view));
        if is_wanted && page.matches(&mut buffer, words(view)) {
            let number = view.name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let rank = match page.order {
                None => Rank::Number(0),
                Some((Order::Name, _)) => Rank::Text(view.label.as_ref().or(view.email.as_ref()).unwrap_or(&view.name)),
                Some((Order::State, _)) => Rank::Number(urgency(state(view))),
                Some((Order::Used, _)) => Rank::Number(view.usage_count),
                Some((Order::LastUsed, _)) => Rank::time((view.usage_count > 0).then_some(view.last_used_at), 0),
                Some((Order::Expires, _)) => Rank::time(view.expiry, u64::MAX),
            };
            found.push(Found { rank, number, item: view });
        }
    }
    found
}

/// The ids of all that are looked for, whatever the page.
pub(super) fn credential_ids(views: &[View], page: &Page) -> Vec<String> {
    found_credentials(views, page).iter().map(|found| found.item.name.clone()).collect()
}

fn words(view: &View) -> impl Iterator<Item = &str> {
    let kind = match view.kind {
        crate::credentials::Kind::Oauth => "oauth",
        crate::credentials::Kind::ApiKey => "api_key",
        crate::credentials::Kind::Vertex => "vertex",
    };
    let texts = [&view.label, &view.email, &view.project, &view.tier, &view.reason_code];
    let texts = texts.into_iter().flatten().map(String::as_str);
    texts.chain([view.name.as_str(), kind, view.status]).chain(view.cooling.iter().map(|model| model.model.as_str()))
}

/// How the page shows it: ready, cooling down, needing a person, or switched off.
fn state(view: &View) -> &'static str {
    match view {
        _ if view.disabled => "off",
        _ if view.status == "refreshing" => "good",
        _ if view.status == "error" => "bad",
        _ if !view.available && view.exhausted_until.is_some() => "warn",
        _ if view.status == "expired" => "good",
        _ if !view.available => "bad",
        _ if !view.cooling.is_empty() => "warn",
        _ => "good",
    }
}

/// The figures of all: how many can serve, in which state, which models those cool down for that can, and when the first
/// of the others is over.
fn summary(views: &[View]) -> Value {
    let mut states = BTreeMap::new();
    views.iter().for_each(|view| *states.entry(state(view)).or_insert(0) += 1);
    let available = views.iter().filter(|view| view.available);
    let mut cooling: BTreeMap<&str, (usize, SystemTime)> = BTreeMap::new();
    for model in available.clone().flat_map(|view| &view.cooling) {
        let entry = cooling.entry(&model.model).or_insert((0, model.until));
        *entry = (entry.0 + 1, entry.1.min(model.until));
    }
    let cooling = cooling.into_iter().map(|(model, (credentials, until))| {
        json!({"model": model, "credentials": credentials, "until": super::view::iso(Some(until))})
    });
    let ends = |view: &View| view.exhausted_until.into_iter().chain(view.cooling.iter().map(until)).min();
    json!({
        "available": available.count(),
        "states": states,
        "cooling": cooling.collect::<Vec<_>>(),
        "recovers_at": super::view::iso(views.iter().filter(|view| !view.disabled).filter_map(ends).min()),
        "usage_count": views.iter().map(|view| view.usage_count).sum::<u64>(),
    })
}

fn until(model: &CoolingModel) -> SystemTime {
    model.until
}
