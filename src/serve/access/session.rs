//! Who has signed in to the admin page: a cookie with 256 random bits, known here by its hash, until the person signs out,
//! does not come back for a while, or the login is another one. All end with the program.

use super::{Guard, origin};
use crate::config::AdminLogin;
use crate::http::{Request, Response};
use crate::os::random;
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
    /// Begins one; returns what the cookie holds.
    pub(super) fn begin(&self, login: &AdminLogin, now: Instant) -> String {
        let token = random::secret();
        let mut open = self.open.lock();
        open.retain(|_, session| !session.is_over(now));
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash)
        {
            open.remove(&oldest);
        }
        open.insert(hash(&[&token]), Session { began: now, used: now, login: of_login(login) });
        token
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
        Ok(self.sessions.begin(login, Instant::now()))
    }

    /// Ends the request's session; whether there was one.
    pub fn sign_out(&self, request: &Request) -> bool {
        self.sessions.end(request, &self.cookie)
    }
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

    fn with(cookie: &str) -> Request {
        Request::sample("GET", "/", &[("Cookie", "theme=dark"), ("Cookie", cookie)])
    }

    #[test]
    fn a_session_ends_by_signing_out_by_time_and_with_the_login() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.begin(&login("right"), now);
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
        let token = sessions.begin(&login("right"), now);
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
        let tokens: Vec<String> =
            (0..=MOST as u64).map(|at| sessions.begin(&login("right"), now + Duration::from_secs(at))).collect();
        let knows = |token: &str| {
            sessions.knows(&with(&format!("c={token}")), "c", &login("right"), now + Duration::from_secs(200))
        };
        assert!(!knows(&tokens[0]) && knows(&tokens[1]) && knows(&tokens[MOST]));
        assert_eq!(sessions.open.lock().len(), MOST);
    }
}
