//! What a failure of Google means. A [`Fault`] says what was seen, a [`Verdict`] whose fault it is, what to do next and
//! what to tell whom; between them stands one table (`table.rs`). Knows no pool and no surface.

mod body;
mod duration;
mod money;
mod table;

use crate::error::{ApiError, ErrorKind};
use crate::message::Message;
pub use body::Details;
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
pub use table::{Blame, CoolDown, Then};
use table::{Client, ROWS, Row};

/// The longest message of Google's that is passed on, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Why a call to Google, or the reading of its answer, failed.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Google answered with an error.
    Refused(Box<Refusal>),
    /// No connection: name, address, proxy, TLS.
    Connect(String),
    /// No connection to the outgoing proxy at this address, and why.
    Proxy(String, String),
    /// The connection ended before an answer.
    Broken(String),
    /// Nothing came for the read timeout.
    Timeout,
    /// The answer ended in the middle.
    Incomplete(String),
    /// The answer is not what Google's protocol says.
    Invalid(String),
    /// The client hung up; nobody is to blame and nobody listens.
    Cancelled,
    /// The memory of this program has no room for the answer now.
    NoRoom,
    /// This service does not have the operation.
    Unsupported(&'static str),
}

/// An error answer of Google.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status, or the code of an error inside a 200.
    pub status: u16,
    /// What its body says.
    pub details: Details,
}

impl Refusal {
    /// Reads an error answer: `retry_after` is the header of that name.
    pub fn read(status: u16, body: &[u8], retry_after: Option<Duration>) -> Refusal {
        Refusal::read_at(status, body, retry_after, SystemTime::now())
    }

    /// As a fault.
    pub fn fault(self) -> Fault {
        Fault::Refused(Box::new(self))
    }

    fn read_at(status: u16, body: &[u8], retry_after: Option<Duration>, now: SystemTime) -> Refusal {
        Refusal { status, details: body::read(body, retry_after, now) }
    }

    /// Reads an error inside a 200: the status is in the body, or behind its status word.
    pub fn within(body: &[u8]) -> Refusal {
        let details = body::read(body, None, SystemTime::now());
        let status = match details.code {
            Some(code) if (300..600).contains(&code) => code,
            _ => details.status.as_deref().map_or(502, status_of_word),
        };
        Refusal { status, details }
    }

    fn row(&self) -> &'static Row {
        // Gateways have codes of their own up there.
        let status = if self.status >= 505 { 502 } else { self.status };
        // The last row fits everything.
        ROWS.iter().find(|row| row.fits(status, &self.details)).unwrap_or(&ROWS[ROWS.len() - 1])
    }
}

/// HTTP statuses of google.rpc.Code.
fn status_of_word(word: &str) -> u16 {
    match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => 500,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => 502,
    }
}

/// What a fault means.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One word for logs and the admin page, such as `RATE_LIMIT_EXCEEDED`.
    pub reason: Cow<'static, str>,
    /// Whose fault it is.
    pub blame: Blame,
    /// How long what is to blame must rest.
    pub cool_down: CoolDown,
    /// The rest in time; `None` with [`CoolDown::No`] and [`CoolDown::Person`].
    pub duration: Option<Duration>,
    /// What to do with the request.
    pub then: Then,
    /// What the client is told when nothing helps.
    pub error: ApiError,
    /// What the person who runs the proxy is told; holds no account data.
    pub message: Message,
    /// Where that person can act.
    pub link: Option<String>,
    /// How usage counts it: the HTTP status, or `Exception`.
    pub word: Cow<'static, str>,
}

impl Fault {
    /// Judges the fault.
    pub fn verdict(&self) -> Verdict {
        let nobody = |reason, client, message: Message| Verdict {
            reason: Cow::Borrowed(reason),
            blame: Blame::Nobody,
            cool_down: CoolDown::No,
            duration: None,
            then: Then::Again,
            error: tell(client, client.status, &message.to_string()),
            message,
            link: None,
            word: Cow::Borrowed("Exception"),
        };
        let code = |code| Client { code: Some(code), ..table::GATEWAY };
        match self {
            Fault::Refused(refusal) => refused(refusal),
            Fault::Connect(why) => {
                nobody("CONNECT", table::GATEWAY, Message::new("google_unreachable").with("why", why))
            }
            Fault::Proxy(address, why) => {
                let message = Message::new("proxy_unreachable").with("address", address).with("why", why);
                nobody("CONNECT", table::GATEWAY, message)
            }
            Fault::Broken(why) => {
                nobody("CONNECTION", table::GATEWAY, Message::new("connection_broke").with("why", why))
            }
            Fault::Timeout => nobody("TIMEOUT", table::TIMEOUT, Message::new("google_silent")),
            Fault::Incomplete(why) => {
                nobody("INCOMPLETE", code("upstream_incomplete"), Message::new("answer_cut").with("why", why))
            }
            Fault::Invalid(why) => {
                nobody("INVALID", code("upstream_invalid"), Message::new("answer_invalid").with("why", why))
            }
            Fault::Cancelled => Verdict {
                then: Then::Stop,
                // Nobody reads this; 499 is what logs of proxies call it.
                error: ApiError::new(499, ErrorKind::Server, "client closed the connection"),
                ..nobody("GONE", table::GATEWAY, Message::new("client_gone"))
            },
            Fault::NoRoom => {
                let error = ApiError::no_room("an answer");
                let message = Message::said(&error.message);
                Verdict { then: Then::Stop, error, ..nobody("NO_ROOM", table::GATEWAY, message) }
            }
            Fault::Unsupported(what) => Verdict {
                blame: Blame::Request,
                then: Then::Other,
                error: ApiError::bad_request(*what),
                ..nobody("UNSUPPORTED", table::BAD_REQUEST, Message::said(*what))
            },
        }
    }
}

impl Verdict {
    /// The same of an API key, which has no login that could be renewed.
    #[must_use]
    pub fn of_key(mut self) -> Verdict {
        if self.reason == table::NO_TOKEN {
            self.message = Message::new("api_key_refused");
            self.link.get_or_insert_with(|| table::KEYS_PAGE.to_owned());
            self.error.message = format!("API request failed: {}", self.message);
        }
        self
    }
}

fn refused(refusal: &Refusal) -> Verdict {
    let Refusal { status, details } = refusal;
    let row = refusal.row();
    let duration = match row.cool_down {
        CoolDown::No | CoolDown::Person => None,
        CoolDown::Fixed(seconds) | CoolDown::Growing(seconds) | CoolDown::Confirmed(seconds) => {
            Some(Duration::from_secs(seconds))
        }
        CoolDown::Told(otherwise, least, most) => {
            let told = details.delay.unwrap_or(Duration::from_secs(otherwise));
            Some(told.clamp(Duration::from_secs(least), Duration::from_secs(most)))
        }
    };
    let reason: Cow<'static, str> = match (row.word, &details.reason, &details.status) {
        ("", Some(word), _) | ("", None, Some(word)) => Cow::Owned(word.chars().take(64).collect()),
        ("", None, None) => Cow::Owned(format!("HTTP_{status}")),
        (word, ..) => Cow::Borrowed(word),
    };
    // Messages about a credential can name its project or owner, so the client gets our sentence. HTML is never passed on.
    let names_project =
        ["project_number:", "projects/", "resource project "].iter().any(|word| details.message.contains(word));
    let own = Message::new(row.message);
    let message: Cow<'_, str> = match row.blame {
        Blame::Credential => Cow::Owned(own.to_string()),
        Blame::CredentialAndModel if names_project => Cow::Owned(own.to_string()),
        _ if !details.message.trim().is_empty() => Cow::Borrowed(cut(details.message.trim())),
        _ => Cow::Owned(format!("Google answered with status {status}")),
    };
    let client_status = match row.client.status {
        0 if (400..500).contains(status) => *status,
        0 => 502,
        own => own,
    };
    let mut error = tell(row.client, client_status, &message);
    let told = details.delay.map(|delay| if delay.is_zero() { Duration::from_secs(1) } else { delay });
    match (row.client.kind, client_status) {
        // The SDKs would sleep and try in vain.
        (kind, _) if kind.is_long() => {
            error.retry_after = duration.or(told);
            error.should_retry = Some(false);
        }
        // How long a growing rest is, is known to whoever counts.
        (ErrorKind::RateLimit, _) => {
            error.retry_after = told.or(duration.filter(|_| !matches!(row.cool_down, CoolDown::Growing(_))));
        }
        (_, 503) => error.retry_after = told,
        _ => {}
    }
    let link = details.link.clone().or_else(|| Some(row.link.to_string())).filter(|link| !link.is_empty());
    Verdict {
        reason,
        blame: row.blame,
        cool_down: row.cool_down,
        duration,
        then: row.then,
        error,
        message: own,
        link,
        word: Cow::Owned(status.to_string()),
    }
}

/// What a client is told while all credentials rest for what this word says; `None` for words of others.
pub fn resting(word: &str) -> Option<ApiError> {
    let is_a_rest = |row: &&table::Row| matches!(row.blame, Blame::Credential | Blame::CredentialAndModel);
    let denied = |row: &&table::Row| word == "PERMISSION_DENIED" && row.message == "model_denied";
    let rows = || table::ROWS.iter().filter(is_a_rest);
    let row = rows().find(|row| row.word == word).or_else(|| rows().find(denied))?;
    let mut error = tell(row.client, row.client.status, "");
    error.message = Message::new(row.message).to_string();
    if !error.message.ends_with('.') {
        error.message.push('.');
    }
    error.should_retry = row.client.kind.is_long().then_some(false);
    Some(error)
}

fn tell(client: Client, status: u16, message: &str) -> ApiError {
    let mut error = ApiError::new(status, client.kind, format!("API request failed: {message}"));
    error.code = client.code.map(Cow::Borrowed);
    if client.code == Some("model_not_found") {
        error.param = Some("model".into());
    }
    if client.code == Some("context_length_exceeded") {
        error.param = Some("messages".into());
    }
    error
}

/// At most [`MAX_MESSAGE`] bytes, whole characters.
fn cut(message: &str) -> &str {
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Each line: what Google answered, and the parts of the verdict that it must give.
    const CASES: &str = include_str!("../../../tests/fixtures/errors/google.jsonl");

    #[test]
    fn every_error_of_google_gets_its_verdict() {
        let mut seen = vec![false; ROWS.len()];
        for line in CASES.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let name = case["name"].as_str().unwrap();
            let body = match &case["body"] {
                Value::String(text) => text.clone(),
                json => json.to_string(),
            };
            let status = case["status"].as_u64().unwrap() as u16;
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
            let refusal = Refusal::read_at(status, body.as_bytes(), None, now);
            seen[ROWS.iter().position(|row| std::ptr::eq(row, refusal.row())).unwrap()] = true;
            let verdict = refusal.fault().verdict();
            let headers = verdict.error.headers();
            for (key, expected) in case["expect"].as_object().unwrap() {
                let found: Value = match key.as_str() {
                    "reason" => verdict.reason.as_ref().into(),
                    "blame" => format!("{:?}", verdict.blame).into(),
                    "then" => format!("{:?}", verdict.then).into(),
                    "rest" => format!("{:?}", verdict.cool_down).split('(').next().unwrap().into(),
                    "seconds" => verdict.duration.map(|duration| duration.as_secs()).into(),
                    "http" => verdict.error.status.into(),
                    "type" => verdict.error.kind.openai_type().into(),
                    "code" => verdict.error.code().into(),
                    "param" => verdict.error.param.clone().into(),
                    "message" => verdict.error.message.clone().into(),
                    "link" => verdict.link.clone().into(),
                    "contains" => match verdict.error.message.contains(expected.as_str().unwrap()) {
                        true => expected.clone(),
                        false => verdict.error.message.clone().into(),
                    },
                    "absent" => {
                        assert!(!verdict.error.message.contains(expected.as_str().unwrap()), "{name}: {verdict:?}");
                        continue;
                    }
                    "headers" => {
                        for (header, value) in expected.as_object().unwrap() {
                            let found =
                                headers.iter().find(|(name, _)| name == header).map(|(_, value)| value.as_str());
                            assert_eq!(found, value.as_str(), "{name}: {header}");
                        }
                        continue;
                    }
                    other => panic!("{name}: unknown expectation {other}"),
                };
                assert_eq!(&found, expected, "{name}: {key}");
            }
            assert_eq!(verdict.word, status.to_string(), "{name}");
            assert!(verdict.error.message.starts_with("API request failed: "), "{name}: {}", verdict.error.message);
            assert!(!verdict.error.message.contains('<'), "{name}: HTML is passed on");
            assert_ne!(verdict.error.status, 401, "{name}: the client would doubt its own key");
        }
        let unseen: Vec<&Row> = ROWS.iter().zip(seen).filter(|(_, seen)| !seen).map(|(row, _)| row).collect();
        assert!(unseen.is_empty(), "rows without a case: {unseen:?}");
    }

    #[test]
    fn faults_without_an_answer_are_nobodys() {
        for (fault, status, code) in [
            (Fault::Connect("refused".into()), 502, "bad_gateway"),
            (Fault::Broken("reset".into()), 502, "bad_gateway"),
            (Fault::Timeout, 504, "timeout"),
            (Fault::Incomplete("cut".into()), 502, "upstream_incomplete"),
            (Fault::Invalid("HTML".into()), 502, "upstream_invalid"),
        ] {
            let verdict = fault.verdict();
            assert_eq!(
                (verdict.blame, verdict.then, verdict.cool_down),
                (Blame::Nobody, Then::Again, CoolDown::No),
                "{fault:?}"
            );
            assert_eq!((verdict.error.status, verdict.error.code()), (status, Some(code)), "{fault:?}");
            assert_eq!(verdict.word, "Exception");
        }
        assert_eq!(Fault::Cancelled.verdict().then, Then::Stop);
    }

    #[test]
    fn an_error_inside_a_200_takes_its_status_from_the_body() {
        for (body, status) in [
            (r#"{"error":{"code":429}}"#, 429),
            (r#"{"error":{"status":"UNAVAILABLE"}}"#, 503),
            (r#"{"error":{"code":8,"status":"RESOURCE_EXHAUSTED"}}"#, 429),
            (r#"{"error":"plain"}"#, 502),
            (r#"{"error":{"code":200}}"#, 502),
        ] {
            assert_eq!(Refusal::within(body.as_bytes()).status, status, "{body}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let body = serde_json::json!({"error": {"message": "é".repeat(MAX_MESSAGE)}}).to_string();
        let verdict = Refusal::read(400, body.as_bytes(), None).fault().verdict();
        assert!(verdict.error.message.len() <= MAX_MESSAGE + 32);
    }
}
