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
use std::collections::BTreeMap;
use std::time::SystemTime;

const LIMIT: usize = 100;
const MOST: usize = 1000;
const WRONG_LIMIT: &str = "limit: expected a number from 1 to 1000";

/// A part of a list.
pub(super) struct Page {
    limit: usize,
    /// The number of the item before the first one.
    after: Option<u64>,
    words: Vec<Finder<'static>>,
    state: Option<String>,
}

impl Page {
    /// `limit`, `after`, `q` and `state`; `None` when the query has none of them.
    pub(super) fn of(query: &str) -> Result<Option<Page>, Response> {
        let [limit, after, words, state] = ["limit", "after", "q", "state"].map(|name| query_value(query, name));
        if limit.is_none() && after.is_none() && words.is_none() && state.is_none() {
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
        let after = number(after, "after: expected the next of an earlier page")?;
        let words = words.unwrap_or_default().to_lowercase();
        let words = words.split_whitespace().map(|word| Finder::new(word).into_owned()).collect();
        Ok(Some(Page { limit, after, words, state: state.filter(|state| !state.is_empty()) }))
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

/// What a page is made of: the items that match, of which it shows some.
struct Found {
    limit: usize,
    after: Option<u64>,
    shown: Vec<Value>,
    last: u64,
    count: usize,
    /// Whether there are more behind the last one.
    more: bool,
}

impl Found {
    fn new(page: &Page) -> Found {
        Found { limit: page.limit, after: page.after, shown: Vec::new(), last: 0, count: 0, more: false }
    }

    fn add(&mut self, number: u64, show: impl FnOnce() -> Value) {
        self.count += 1;
        if self.after.is_some_and(|after| number <= after) {
            return;
        }
        if self.shown.len() == self.limit {
            self.more = true;
            return;
        }
        self.shown.push(show());
        self.last = number;
    }

    fn page(self, name: &str, total: usize) -> Value {
        let next = self.more.then(|| self.last.to_string());
        json!({name: self.shown, "total": total, "found": self.count, "next": next})
    }
}

/// A page of `GET /admin/keys`.
pub(super) fn keys(keys: &Keys, page: &Page) -> Value {
    let (mut found, mut buffer) = (Found::new(page), String::new());
    let list = keys.numbered();
    for (number, key) in &list {
        let state = if key.disabled { "off" } else { "good" };
        let is_wanted = page.state.as_ref().is_none_or(|wanted| wanted == state);
        let id = if page.words.is_empty() { String::new() } else { key.id() };
        if is_wanted && page.matches(&mut buffer, texts(key, &id)) {
            found.add(u64::from(*number), || shown(key));
        }
    }
    found.page("keys", list.len())
}

fn texts<'a>(key: &'a Key, id: &'a str) -> impl Iterator<Item = &'a str> {
    [&*key.name, &*key.masked, id].into_iter().chain(key.limits.models.iter().map(String::as_str))
}

/// A page of `GET /admin/credentials`, and how all of them are.
pub(super) fn credentials(views: &[View], page: &Page) -> Value {
    let (mut found, mut buffer) = (Found::new(page), String::new());
    for view in views {
        let is_wanted = page.state.as_ref().is_none_or(|wanted| wanted == state(view));
        if is_wanted && page.matches(&mut buffer, words(view)) {
            let number = view.name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            found.add(number, || credential(view));
        }
    }
    let mut answer = found.page("credentials", views.len());
    answer["summary"] = summary(views);
    answer
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
