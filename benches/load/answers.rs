//! What the scripted Google says. A request's own text tells what it wants, so that the load needs no second channel:
//! `events=N every_us=M` gives a stream of so many events, `after_us=N` an answer that takes so long, `fail=STATUS` that failure, `fail=STATUS once=ID` the failure
//! at the first sight of the number and an answer at the second. A request with tools gets a call of one of them, the
//! call's result an answer. Tokens end after seconds and are looked at, so that refreshes can be counted and judged.

use crate::upstream::{now, number};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a token lasts.
pub const LIFETIME: Duration = Duration::from_secs(20);
/// What begins every signature; the rest makes it as long as those of long thoughts.
const SIGNATURE: &str = "bGlnaHRob3VzZQ";
const SIGNATURE_LENGTH: usize = 8_000;

/// What is to be sent.
pub enum Answer {
    /// Status line and JSON.
    Whole(&'static str, String),
    /// JSON after a while.
    Late(Duration, String),
    Stream(Script),
}

/// What is left to send of a stream.
#[derive(Clone, Copy)]
pub struct Script {
    pub left: usize,
    pub every: Duration,
    /// Bytes that its texts are longer than usual.
    pad: usize,
    enveloped: bool,
    /// The only event calls a tool.
    call: bool,
}

/// What was seen of one account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Tokens granted.
    pub refreshes: u64,
    /// Tokens that were taken back by `fail=401`.
    pub revoked: u64,
    /// Requests with a token after its end.
    pub stale: u64,
    /// Tokens granted before are not taken; nanoseconds.
    valid_from: u64,
}

/// What Google remembers, by all its listeners.
#[derive(Default)]
pub struct Books(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    accounts: HashMap<u64, Account>,
    /// `once=` numbers that were refused.
    told: HashSet<u64>,
}

impl Books {
    /// The account with this refresh token, `r` and the number.
    pub fn account(&self, number: u64) -> Account {
        self.lock().accounts.get(&number).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics with the books open")
    }

    /// What is said to `request`, the head with the body.
    pub fn answer(&self, request: &str, clock: Instant) -> Answer {
        let target = request.split(' ').nth(1).unwrap_or("");
        let mut pages = self.lock();
        if target.starts_with("/token") {
            return pages.grant(number(request, "refresh_token=r").unwrap_or(0), now(clock));
        }
        let account = number(request, "Bearer a");
        if account.is_some_and(|account| !pages.accepts(account, request, now(clock))) {
            return refusal(401);
        }
        if target.contains("loadCodeAssist") {
            let tier = r#"{"currentTier":{"id":"standard-tier"},"cloudaicompanionProject":"project"}"#;
            return Answer::Whole("200 OK", tier.into());
        }
        if target.starts_with("/userinfo") {
            return Answer::Whole("200 OK", format!(r#"{{"email":"load{}@example.com"}}"#, account.unwrap_or(0)));
        }
        if let Some(status) = pages.failure(request, account, now(clock)) {
            return refusal(status);
        }
        drop(pages);
        let answered = request.contains("functionResponse");
        // Google refuses a call that comes back without its signature; here a placeholder will not do either.
        if answered && !request.contains(SIGNATURE) {
            return refusal(400);
        }
        let script = Script {
            left: number(request, "events=").unwrap_or(1) as usize,
            every: Duration::from_micros(number(request, "every_us=").unwrap_or(0)),
            pad: number(request, "pad=").unwrap_or(0) as usize,
            enveloped: target.contains("v1internal"),
            call: request.contains("functionDeclarations") && !answered,
        };
        if target.contains("streamGenerateContent") {
            return Answer::Stream(script);
        }
        let event = Script { left: 0, ..script }.event(clock);
        match number(request, "after_us=") {
            Some(after) => Answer::Late(Duration::from_micros(after), event),
            None => Answer::Whole("200 OK", event),
        }
    }
}

impl Pages {
    fn grant(&mut self, account: u64, now: u64) -> Answer {
        self.accounts.entry(account).or_default().refreshes += 1;
        let seconds = LIFETIME.as_secs();
        let token = format!(r#"{{"access_token":"a{account}-{now}","expires_in":{seconds},"token_type":"Bearer"}}"#);
        Answer::Whole("200 OK", token)
    }

    /// Whether the token is one that still counts.
    fn accepts(&mut self, account: u64, request: &str, now: u64) -> bool {
        let granted = number(request, &format!("Bearer a{account}-")).unwrap_or(0);
        let account = self.accounts.entry(account).or_default();
        let over = u128::from(now) > u128::from(granted) + LIFETIME.as_nanos();
        account.stale += u64::from(over);
        !over && granted >= account.valid_from
    }

    /// The failure that the request asks for, unless it was told once and asked for no more. Keys have no token to lose.
    fn failure(&mut self, request: &str, account: Option<u64>, now: u64) -> Option<u64> {
        let status = number(request, "fail=").filter(|status| *status != 401 || account.is_some())?;
        if let Some(id) = number(request, "once=")
            && !self.told.insert(id)
        {
            self.told.remove(&id);
            return None;
        }
        if status == 401 {
            let account = self.accounts.entry(account?).or_default();
            account.revoked += 1;
            account.valid_from = now;
        }
        Some(status)
    }
}

/// Google's error of this status. The limit names its end, and it is a short one.
fn refusal(status: u64) -> Answer {
    let (line, word, details) = match status {
        400 => ("400 Bad Request", "INVALID_ARGUMENT", ""),
        401 => ("401 Unauthorized", "UNAUTHENTICATED", ""),
        429 => (
            "429 Too Many Requests",
            "RESOURCE_EXHAUSTED",
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}"#,
        ),
        503 => ("503 Service Unavailable", "UNAVAILABLE", ""),
        _ => ("500 Internal Server Error", "INTERNAL", ""),
    };
    let body = format!(
        r#"{{"error":{{"code":{status},"message":"as it was asked for","status":"{word}","details":[{details}]}}}}"#
    );
    Answer::Whole(line, body)
}

impl Script {
    /// The next event, stamped with the time; the last one when nothing is left.
    pub fn event(self, clock: Instant) -> String {
        let part = if self.call { call() } else { text(clock, self.pad) };
        let finish = if self.left == 0 { r#","finishReason":"STOP""# } else { "" };
        let event = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}}{finish},"index":0}}],"usageMetadata":{{"promptTokenCount":24,"candidatesTokenCount":48,"totalTokenCount":212,"promptTokensDetails":[{{"modality":"TEXT","tokenCount":24}}],"thoughtsTokenCount":140}},"modelVersion":"gemini-2.5-flash","responseId":"kQ0YaZ-3Cdf4vdIPmZq1oQs"}}"#
        );
        if self.enveloped { format!(r#"{{"response":{event},"traceId":"t"}}"#) } else { event }
    }
}

/// Makes an event of about 600 bytes, as Google's are; `@` and the nanoseconds are what the clients look for.
fn text(clock: Instant, pad: usize) -> String {
    let pad = "x".repeat(pad);
    format!(
        r#"{{"text":"@{} and then the lighthouse keeper wrote down what he had seen that night, in a small and careful hand,\nas he had done on every other night of that year: \"wind from the west, two ships, no fog\".{pad}"}}"#,
        now(clock)
    )
}

fn call() -> String {
    let rest = "A".repeat(SIGNATURE_LENGTH - SIGNATURE.len());
    format!(
        r#"{{"functionCall":{{"name":"weather","args":{{"city":"Oslo"}}}},"thoughtSignature":"{SIGNATURE}{rest}"}}"#
    )
}
