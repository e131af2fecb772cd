//! Messages that wait to be sent: few, each tried again with longer waits, and given up after a while. None holds a secret.

use super::Alert;
use crate::calendar;
use crate::config::{AlertTarget, Template};
use crate::message::Language;
use crate::upstream::Poster;
use serde_json::json;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// Messages that wait at most. Beyond it the oldest is given up.
const MOST: usize = 200;
/// The first wait after a failure; each next one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After these tries, which take some hours, it is given up.
const TRIES: u32 = 24;

const NAME: &str = env!("CARGO_PKG_NAME");

/// What is posted.
pub(super) struct Letter {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Letter {
    /// In the receiver's shape.
    pub(super) fn new(target: &AlertTarget, alert: &Alert, server: &str) -> Letter {
        let language = if target.is_chinese { Language::Chinese } else { Language::English };
        let sentence = alert.message.text(language);
        let link = alert.link.as_deref().unwrap_or("");
        let text = format!("{NAME} ({server}): {sentence} {link}");
        let text = text.trim_end();
        let kind = |kind: &str| ("Content-Type", kind.to_owned());
        let (mut headers, body) = match target.template {
            Template::Json => {
                let mut body = alert.message.json();
                body["program"] = NAME.into();
                body["server"] = server.into();
                body["level"] = if alert.is_error { "error" } else { "warning" }.into();
                body["text"] = sentence.as_str().into();
                body["link"] = alert.link.clone().into();
                body["time"] = calendar::iso(SystemTime::now()).into();
                (vec![kind("application/json")], body.to_string())
            }
            Template::Slack => {
                // Its own markup begins with these.
                let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                (vec![kind("application/json")], json!({"text": text}).to_string())
            }
            Template::Telegram => {
                let body = json!({"chat_id": target.chat_id, "text": text, "disable_web_page_preview": true});
                (vec![kind("application/json")], body.to_string())
            }
            Template::Ntfy => {
                let (priority, tag) = if alert.is_error { ("4", "rotating_light") } else { ("3", "warning") };
                let mut headers = vec![kind("text/plain; charset=utf-8")];
                headers
                    .extend([("Title", NAME), ("Priority", priority), ("Tags", tag)].map(|(n, v)| (n, v.to_owned())));
                headers.extend(alert.link.clone().map(|link| ("Click", link)));
                (headers, text.to_owned())
            }
        };
        headers.extend(target.token.as_ref().map(|token| ("Authorization", format!("Bearer {}", token.expose()))));
        Letter { headers, body }
    }
}

/// Why it was not taken.
pub(super) struct Failure {
    pub(super) why: String,
    /// Another try would end the same way.
    is_final: bool,
    wait: Option<Duration>,
}

/// Posts it once.
pub(super) fn send(poster: &Poster, target: &AlertTarget, letter: &Letter) -> Result<(), Failure> {
    let failure = |why, is_final, wait| Err(Failure { why, is_final, wait });
    match poster.post(target.url.expose(), &letter.headers, &letter.body) {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, wait)) => {
            let is_final = (300..500).contains(&status) && !matches!(status, 408 | 425 | 429);
            failure(format!("the receiver answers {status}"), is_final, wait)
        }
        Err(why) => failure(why, false, None),
    }
}

struct Waiting {
    /// Which matter it is about.
    id: String,
    target: AlertTarget,
    letter: Letter,
    tries: u32,
    due: Instant,
}

pub(super) struct Outbox {
    poster: Poster,
    waiting: VecDeque<Waiting>,
}

impl Outbox {
    pub(super) fn new(poster: Poster) -> Outbox {
        Outbox { poster, waiting: VecDeque::new() }
    }

    /// Whether a message about it waits.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.waiting.iter().any(|waiting| waiting.id == id)
    }

    /// How many more messages it takes.
    pub(super) fn room(&self) -> usize {
        MOST - self.waiting.len()
    }

    pub(super) fn put(&mut self, target: &AlertTarget, alert: &Alert, server: &str) {
        self.waiting.push_back(Waiting {
            id: alert.id.clone(),
            target: target.clone(),
            letter: Letter::new(target, alert, server),
            tries: 0,
            due: Instant::now(),
        });
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Sends what is due, until `is_over`; the matters of which nothing waits any more. Who has just failed is not asked
    /// for other messages either.
    pub(super) fn send_due(&mut self, is_over: impl Fn() -> bool) -> Vec<String> {
        let (mut settled, mut failed) = (Vec::new(), Vec::<(String, Instant)>::new());
        for mut one in std::mem::take(&mut self.waiting) {
            let url = one.target.url.expose();
            if let Some((_, until)) = failed.iter().find(|(failed, _)| failed == url) {
                one.due = one.due.max(*until);
            }
            if one.due > Instant::now() || is_over() {
                self.waiting.push_back(one);
                continue;
            }
            let Err(failure) = send(&self.poster, &one.target, &one.letter) else {
                settled.push(one.id);
                continue;
            };
            one.tries += 1;
            if failure.is_final || one.tries >= TRIES {
                log::warn!("alerts: a message is given up: {}", failure.why);
                settled.push(one.id);
                continue;
            }
            if one.tries == 1 {
                log::warn!("alerts: a message could not be sent and is tried again: {}", failure.why);
            }
            let grown = FIRST_WAIT * 2_u32.saturating_pow(one.tries - 1).min(4096);
            one.due = Instant::now() + failure.wait.unwrap_or(grown).min(LONGEST_WAIT);
            failed.push((url.to_owned(), one.due));
            self.waiting.push_back(one);
        }
        settled.retain(|id| !self.holds(id));
        settled
    }
}
