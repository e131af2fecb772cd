//! Who has signed in to the admin page: a cookie with 256 random bits, known here by its hash, until the person signs out,
//! does not come back for a while, or the login is another one. All end with the program, but for those of several replicas:
//! their cookies say for half a day that one of them has begun it.

use super::{Guard, origin};
use crate::config::{AdminLogin, Config};
use crate::http::{Request, Response};
use crate::os::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Sessions at a time; the one that was used longest ago makes room.
const MOST: usize = 100;
/// How long one lives unused, and in all.
const IDLE: Duration = Duration::from_secs(12 * 3600);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

type Hash = [u8; 32];

/// The open ones, by the hashes of their cookies.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<Hash, Session>>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    began: Instant,
    used: Instant,
    /// Of the login that it was begun with.
    login: Hash,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) > IDLE || now.duration_since(self.began) > LONGEST
    }
}

impl Sessions {
    /// Begins one, if it has not begun, whose cookie holds this.
    fn begin(&self, token: &str, login: &AdminLogin, now: Instant) {
        let (mut open, token) = (self.open.lock(), hash(&[token]));
        open.retain(|_, session| !session.is_over(now));
        if open.contains_key(&token) {
            return;
        }
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash)
        {
            open.remove(&oldest);
        }
        open.insert(token, Session { began: now, used: now, login: of_login(login) });
    }

    /// Whether one of the cookies is that of an open session for this login.
    pub(super) fn knows(&self, request: &Request, name: &str, login: &AdminLogin, now: Instant) -> bool {
        let mut open = self.open.lock();
        if open.is_empty() {
            return false;
        }
        let is_open = |token: &str| match open.get_mut(&hash(&[token])) {
            Some(session) if !session.is_over(now) && session.login == of_login(login) => {
                session.used = now;
                true
            }
            _ => false,
        };
        cookies(request, name).any(is_open)
    }

    /// Ends those of the request's cookies; whether there was one.
    pub(super) fn end(&self, request: &Request, name: &str) -> bool {
        let mut open = self.open.lock();
        cookies(request, name).filter(|token| open.remove(&hash(&[token])).is_some()).count() > 0
    }
}

impl Guard {
    /// What the cookie of a session is called.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Begins a session for who knows the password; what its cookie holds. Another site's page begins none.
    pub fn sign_in(&self, request: &Request, username: &str, password: &str) -> Result<String, Response> {
        let Some(login) = self.admin.as_ref().filter(|_| !origin::is_foreign(request)) else {
            return Err(Response::json(403, &json!({"detail": "Nobody signs in from here."})));
        };
        self.judge_password(request, login, username, password)?;
        let mut token = random::secret();
        let voucher = self.replicas.as_ref().and_then(|replicas| replicas.voucher(&begun(&token, login), IDLE));
        voucher.iter().for_each(|voucher| token.extend([".", voucher]));
        self.sessions.begin(&token, login, Instant::now());
        Ok(token)
    }

    /// Ends the request's session, on all replicas; whether there was one.
    pub fn sign_out(&self, request: &Request) -> bool {
        if let (Some(replicas), Some(login)) = (&self.replicas, &self.admin)
            && self.is_signed_in(request, login)
        {
            cookies(request, &self.cookie).for_each(|token| replicas.count(&ended(token), LONGEST));
        }
        self.sessions.end(request, &self.cookie)
    }

    /// Whether the request is one of an open session, which may have begun and ended on another replica.
    pub(super) fn is_signed_in(&self, request: &Request, login: &AdminLogin) -> bool {
        let now = Instant::now();
        if let Some(replicas) = &self.replicas {
            let vouches = |token: &str| {
                token.split_once('.').is_some_and(|(token, voucher)| replicas.vouches(&begun(token, login), voucher))
            };
            for token in cookies(request, &self.cookie) {
                if replicas.counted(&ended(token)).is_some() {
                    self.sessions.open.lock().remove(&hash(&[token]));
                } else if vouches(token) {
                    self.sessions.begin(token, login, now);
                }
            }
        }
        self.sessions.knows(request, &self.cookie, login, now)
    }
}

/// What the cookie is called: replicas may have several ports.
pub(super) fn cookie(config: &Config) -> String {
    let port = || config.port.to_string();
    let name =
        config.store.as_ref().map_or_else(port, |store| store.prefix.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    format!("gemini_proxy_{name}")
}

/// What a replica vouches for.
fn begun(token: &str, login: &AdminLogin) -> String {
    format!("session {token} {}", URL_SAFE_NO_PAD.encode(of_login(login)))
}

fn ended(token: &str) -> String {
    format!("ended session {token}")
}

fn cookies<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = request.headers.all("cookie").flat_map(|value| value.split(';'));
    pairs.filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn of_login(login: &AdminLogin) -> Hash {
    hash(&[&login.username, login.password.expose()])
}

fn hash(texts: &[&str]) -> Hash {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn login(password: &str) -> AdminLogin {
        AdminLogin { username: "chef".into(), password: Secret::new(password) }
    }

    fn begin(sessions: &Sessions, now: Instant) -> String {
        let token = random::secret();
        sessions.begin(&token, &login("right"), now);
        token
    }

    fn with(cookie: &str) -> Request {
        Request::sample("GET", "/", &[("Cookie", "theme=dark"), ("Cookie", cookie)])
    }

    #[test]
    fn a_session_ends_by_signing_out_by_time_and_with_the_login() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let token = begin(&sessions, now);
        let request = with(&format!("a=b; c={token}"));
        let knows =
            |login: &AdminLogin, after: u64| sessions.knows(&request, "c", login, now + Duration::from_secs(after));
        assert!(knows(&login("right"), 0));
        assert!(!sessions.knows(&with(&format!("cc={token}")), "c", &login("right"), now), "another cookie");
        assert!(!sessions.knows(&with("c="), "c", &login("right"), now));
        assert!(!knows(&login("changed"), 1));
        let hour = 3600;
        assert!(knows(&login("right"), 11 * hour) && knows(&login("right"), 22 * hour), "each use keeps it");
        assert!(!knows(&login("right"), 35 * hour), "it was not used for half a day");
        let token = begin(&sessions, now);
        let request = with(&format!("c={token}"));
        assert!((0..20).all(|at| at * 10 > 168
            || sessions.knows(&request, "c", &login("right"), now + Duration::from_secs(at * 10 * hour))));
        assert!(
            !sessions.knows(&request, "c", &login("right"), now + Duration::from_secs(169 * hour)),
            "a week is all"
        );
        assert!(sessions.end(&request, "c") && !sessions.end(&request, "c"));
        assert!(!sessions.knows(&request, "c", &login("right"), now));
    }

    #[test]
    fn there_is_a_bound_and_the_idlest_makes_room() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let tokens: Vec<String> = (0..=MOST as u64).map(|at| begin(&sessions, now + Duration::from_secs(at))).collect();
        let knows = |token: &str| {
            sessions.knows(&with(&format!("c={token}")), "c", &login("right"), now + Duration::from_secs(200))
        };
        assert!(!knows(&tokens[0]) && knows(&tokens[1]) && knows(&tokens[MOST]));
        assert_eq!(sessions.open.lock().len(), MOST);
    }
}
