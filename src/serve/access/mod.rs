//! Who may call: client keys on the API, a Basic login on the admin pages (docs/compatibility.md "Keys and logins").
//! Secrets are compared in constant time.

mod address;
mod forwarding;
mod hint;
mod origin;
mod password;
mod session;
mod wrong;

pub use origin::same_origin;

use crate::config::{AdminLogin, Config, Network, is_example_key};
use crate::error::{ApiError, ErrorKind};
use crate::http::{Request, Response, query_value};
use crate::keys::{Key, Keys, Source};
use crate::secret::Secret;
use crate::store::Replicas;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use session::Sessions;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrong::Wrong;

/// The old program's sentence, word for word: scripts compare it.
pub const KEY_NEEDED: &str = "Invalid or missing API Key. Provide it via 'Authorization: Bearer <key>', \
    'Authorization: Basic ...', '?key=<key>', or 'x-goog-api-key' header.";

const DEFAULT_KEY_IS_LOCAL: &str = "The built-in key 123456 answers callers on this machine only. \
    Set auth_keys in config.json to let others in.";

const EXAMPLE_KEY_IS_NOT_FOR_SITES: &str = "This key stands in examples, so any web page could present it; it answers no \
    page of another site. Set a key of your own in auth_keys of config.json.";

const ADMIN_IS_LOCAL: &str = "The admin pages have no password and answer callers on this machine only. \
    Set admin_username and admin_password in config.json to reach them from elsewhere.";

/// What a client waits while nobody can say whether its key is one.
const AWAY: Duration = Duration::from_secs(2);

/// The rules of one server.
#[derive(Debug)]
pub struct Guard {
    keys: Arc<Keys>,
    default_keys: bool,
    admin: Option<AdminLogin>,
    metrics_token: Option<Secret>,
    /// Wrong passwords of late, then wrong keys. Shared with the guards of later configs: a reload is no fresh start for
    /// guessing.
    wrong: Arc<(Wrong, Wrong)>,
    /// Who has signed in, shared in the same way.
    sessions: Arc<Sessions>,
    /// What their cookie is called: browsers send cookies to every port of a host.
    cookie: String,
    /// Those who are asked as well.
    replicas: Option<Arc<Replicas>>,
    trusted_proxies: Vec<Network>,
    /// With a public address, or by the PROXY protocol, every caller may be a stranger behind a local proxy.
    public: bool,
}

impl Guard {
    /// Takes the rules from the config.
    pub fn new(config: &Config, keys: Arc<Keys>, replicas: Option<Arc<Replicas>>) -> Guard {
        let guard = Guard::build(config, keys, Arc::new((Wrong::passwords(), Wrong::keys())), Arc::default());
        Guard { replicas, ..guard }
    }

    /// The rules of another config for the same keys and callers.
    pub fn with(&self, config: &Config) -> Guard {
        let guard = Guard::build(config, self.keys.clone(), self.wrong.clone(), self.sessions.clone());
        Guard { replicas: self.replicas.clone(), ..guard }
    }

    fn build(config: &Config, keys: Arc<Keys>, wrong: Arc<(Wrong, Wrong)>, sessions: Arc<Sessions>) -> Guard {
        Guard {
            keys,
            default_keys: config.default_keys,
            admin: config.admin.clone(),
            metrics_token: config.metrics.token.clone(),
            wrong,
            sessions,
            cookie: session::cookie(config),
            replicas: None,
            trusted_proxies: config.trusted_proxies.clone(),
            public: config.public_url.is_some() || config.proxy_protocol,
        }
    }

    /// Whether a proxy at this address is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        address::is_trusted(address, &self.trusted_proxies)
    }

    /// Whose request it is, as far as trusted proxies tell.
    pub fn address(&self, request: &Request) -> IpAddr {
        address::of(request, &self.trusted_proxies)
    }

    /// The key that the caller presented, in any of the accepted places; a wrong one does not mask a right one. An address
    /// that sends none but wrong ones is not looked at any more for a while.
    pub fn client(&self, request: &Request) -> Result<Arc<Key>, ApiError> {
        let presented = presented_keys(request);
        let (wrong, address, now) = (&self.wrong.1, self.address(request), Instant::now());
        let braked = wrong.wait(address, now).filter(|_| !presented.is_empty());
        if let Some(wait) = braked {
            let sentence = "Too many wrong API keys from this address; try again later.";
            let error = ApiError::new(429, ErrorKind::RateLimit, sentence).with_code("too_many_wrong_keys");
            return Err(error.with_retry_after(wait).with_should_retry(false));
        }
        let known = presented.iter().find_map(|text| Some((text, self.keys.find(text)?)));
        match known {
            Some(_) => wrong.is_right(address, now),
            None if presented.is_empty() => {}
            None => wrong.count(address, now),
        }
        let refused =
            |sentence: &str| ApiError::new(401, ErrorKind::InvalidRequest, sentence).with_code("invalid_api_key");
        match known {
            None if !presented.is_empty() && !self.keys.knows_all() => Err(unknown_while_away()),
            None => Err(refused(&format!("{KEY_NEEDED} {}", hint::of(request, &presented)))),
            Some((_, key)) if self.default_keys && key.source == Source::Config && !self.is_local(request) => {
                Err(refused(DEFAULT_KEY_IS_LOCAL))
            }
            // Any page could present it.
            Some((text, _)) if is_example_key(text) && origin::is_foreign(request) => {
                let error = ApiError::new(403, ErrorKind::Permission, EXAMPLE_KEY_IS_NOT_FOR_SITES);
                Err(error.with_code("origin_not_allowed"))
            }
            Some((_, key)) => match key.refusal() {
                Some(error) => Err(error),
                None => Ok(key),
            },
        }
    }

    /// Whether the caller may read `/metrics`: with its own token or the admin login.
    pub fn metrics(&self, request: &Request) -> Result<(), Response> {
        if let Some(token) = &self.metrics_token {
            let bearer = request.headers.all("authorization").find_map(bearer);
            if bearer.is_some_and(|presented| token.matches(presented)) {
                return Ok(());
            }
        }
        self.admin(request)
    }

    /// Whether the caller may use the admin pages; if not, the answer to give. After five wrong passwords in a minute
    /// an address gets 429 until the minute is over, also with the right one: else guessing would not be slower.
    pub fn admin(&self, request: &Request) -> Result<(), Response> {
        let Some(login) = &self.admin else {
            if self.is_local(request) {
                return Ok(());
            }
            return Err(Response::json(403, &json!({"detail": ADMIN_IS_LOCAL})));
        };
        if self.is_signed_in(request, login) {
            return Ok(());
        }
        let Some((username, password)) = request.headers.all("authorization").find_map(basic) else {
            return Err(unauthorized("Admin credentials are required"));
        };
        self.judge_password(request, login, &username, &password)
    }

    /// Whether the caller is certainly on this machine: a loopback peer that no proxy speaks for, asking for a loopback
    /// name (a page in the user's browser can point its own name at 127.0.0.1, but cannot forge `Host`, and who names no host
    /// may have come from anywhere, through a relay that only passes bytes on).
    fn is_local(&self, request: &Request) -> bool {
        !self.public
            && request.peer.is_loopback()
            && !request.headers.iter().any(|(name, _)| forwarding::is_told_by(name))
            && request.headers.get("host").is_some_and(is_loopback_name)
    }
}

/// A key may have been made elsewhere that nobody can be asked about.
fn unknown_while_away() -> ApiError {
    let message = "This API key is not known here, and the store that knows all keys cannot be reached at the moment.";
    ApiError::new(503, ErrorKind::Server, message).with_code("store_unavailable").with_retry_after(AWAY)
}

fn unauthorized(detail: &str) -> Response {
    Response::json(401, &json!({"detail": detail}))
        .with_header("WWW-Authenticate", "Basic realm=\"admin\", charset=\"UTF-8\"")
}

/// Whether a Host header names this machine's loopback.
pub fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// All keys in the request, in the old program's order: Bearer, Basic (the password), `?key=`, `x-goog-api-key`, and
/// `x-api-key` for Anthropic-style clients.
fn presented_keys(request: &Request) -> Vec<String> {
    let mut keys = Vec::new();
    for value in request.headers.all("authorization") {
        keys.extend(bearer(value).map(str::to_owned));
    }
    keys.extend(request.headers.all("authorization").filter_map(basic).map(|(_, password)| password));
    keys.extend(query_value(&request.query, "key"));
    for name in ["x-goog-api-key", "x-api-key"] {
        keys.extend(request.headers.all(name).map(|value| value.trim().to_owned()));
    }
    keys.retain(|key| !key.is_empty());
    keys
}

/// The token of a Bearer header.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// User and password of a Basic header; UTF-8, so that passwords may hold any letter.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::state::Section;

    fn request(peer: &str, query: &str, headers: &[(&str, &str)]) -> Request {
        Request { peer: peer.parse().unwrap(), ..Request::sample("GET", &format!("/v1/models?{query}"), headers) }
    }

    fn guard(config: &str) -> Guard {
        let config = crate::config::parse(config).unwrap().config;
        Guard::new(&config, Arc::new(Keys::new(&config.auth_keys, &Section::default())), None)
    }

    #[test]
    fn a_key_is_found_wherever_clients_put_it() {
        let guard = guard(r#"{"auth_keys":["sk-one"]}"#);
        let basic = format!("Basic {}", STANDARD.encode(":sk-one"));
        for (query, headers) in [
            ("", vec![("Authorization", "Bearer sk-one")]),
            ("", vec![("authorization", "bearer   sk-one ")]),
            ("", vec![("Authorization", basic.as_str())]),
            ("key=sk-one", vec![("Authorization", "Bearer wrong")]),
            ("a=b&key=sk%2Done", vec![]),
            ("", vec![("x-goog-api-key", "sk-one")]),
            ("", vec![("X-Api-Key", "sk-one")]),
        ] {
            assert!(guard.client(&request("203.0.113.9", query, &headers)).is_ok(), "{query} {headers:?}");
        }
        for (query, headers) in [
            ("", vec![]),
            ("key=", vec![("Authorization", "Bearer ")]),
            ("", vec![("Authorization", "Bearer wrong")]),
            ("apikey=sk-one", vec![]),
        ] {
            let error = guard.client(&request("203.0.113.9", query, &headers)).unwrap_err();
            assert_eq!((error.status, error.code()), (401, Some("invalid_api_key")), "{query} {headers:?}");
        }
    }

    #[test]
    fn the_default_key_answers_this_machine_only() {
        let bearer = ("Authorization", "Bearer 123456");
        let open = guard("{}");
        assert!(open.client(&request("127.0.0.1", "", &[bearer, ("Host", "localhost:8889")])).is_ok());
        assert!(open.client(&request("::1", "", &[bearer, ("Host", "[::1]:8889")])).is_ok());
        for (peer, extra) in [
            ("203.0.113.9", ("Host", "localhost")),
            ("127.0.0.1", ("X-Forwarded-For", "203.0.113.9")),
            ("127.0.0.1", ("Host", "rebound.example:8889")),
        ] {
            assert!(open.client(&request(peer, "", &[bearer, extra])).is_err(), "{peer} {extra:?}");
        }
        let public = guard(r#"{"public_url":"https://p.example"}"#);
        assert!(public.client(&request("127.0.0.1", "", &[bearer, ("Host", "localhost")])).is_err());
        assert!(open.client(&request("127.0.0.1", "", &[bearer])).is_err(), "an HTTP/1.0 client that names no host");
        let chosen = guard(r#"{"auth_keys":["123456"]}"#);
        assert!(chosen.client(&request("203.0.113.9", "", &[bearer])).is_ok(), "a key the user set works everywhere");
    }

    #[test]
    fn admin_needs_the_login_or_this_machine() {
        let open = guard("{}");
        assert!(open.admin(&request("127.0.0.1", "", &[("Host", "127.0.0.1:8889")])).is_ok());
        for headers in [&[][..], &[("Host", "")], &[("Host", "rebound.example")]] {
            assert_eq!(open.admin(&request("127.0.0.1", "", headers)).unwrap_err().status, 403, "{headers:?}");
        }
        assert_eq!(open.admin(&request("203.0.113.9", "", &[])).unwrap_err().status, 403);
        let closed = guard(r#"{"admin_username":"chef","admin_password":"pässword"}"#);
        let login = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(closed.admin(&request("203.0.113.9", "", &[("Authorization", &login("chef:pässword"))])).is_ok());
        for wrong in ["chef:password", "x:pässword", "chef:", ":"] {
            let answer = closed.admin(&request("127.0.0.1", "", &[("Authorization", &login(wrong))])).unwrap_err();
            assert_eq!(answer.body, br#"{"detail":"Incorrect username or password"}"#);
            assert!(answer.headers.iter().any(|(name, _)| name == "WWW-Authenticate"));
        }
        let answer = closed.admin(&request("127.0.0.1", "", &[])).unwrap_err();
        assert_eq!((answer.status, answer.body), (401, br#"{"detail":"Admin credentials are required"}"#.to_vec()));
    }

    #[test]
    fn wrong_passwords_are_slowed_down_for_their_address_only() {
        let closed = guard(r#"{"admin_username":"chef","admin_password":"right"}"#);
        let login = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let ask = |peer: &str, text: &str| {
            closed.admin(&request(peer, "", &[("Authorization", &login(text))])).map_err(|answer| answer.status)
        };
        for _ in 0..5 {
            assert_eq!(ask("203.0.113.9", "chef:wrong"), Err(401));
        }
        assert_eq!(ask("203.0.113.9", "chef:right"), Err(429));
        assert_eq!(ask("203.0.113.10", "chef:right"), Ok(()));
        for _ in 0..4 {
            assert_eq!(ask("203.0.113.10", "chef:wrong"), Err(401));
        }
        assert_eq!(ask("203.0.113.10", "chef:right"), Ok(()), "a right one clears the count");
        assert_eq!(ask("203.0.113.10", "chef:wrong"), Err(401));
        assert_eq!(closed.admin(&request("203.0.113.9", "", &[])).unwrap_err().status, 401, "no password, no guess");
    }

    #[test]
    fn metrics_have_their_own_token() {
        let closed = guard(r#"{"admin_username":"chef","admin_password":"right","metrics":{"token":"tick"}}"#);
        let ask = |value: &str| closed.metrics(&request("203.0.113.9", "", &[("Authorization", value)])).is_ok();
        assert!(ask("Bearer tick") && ask(&format!("Basic {}", STANDARD.encode("chef:right"))));
        assert!(!ask("Bearer tock") && !ask("Bearer ") && !ask("Basic tick"));
        assert!(closed.admin(&request("203.0.113.9", "", &[("Authorization", "Bearer tick")])).is_err());
        let here = request("127.0.0.1", "", &[("Host", "localhost")]);
        assert!(guard("{}").metrics(&here).is_ok(), "open to this machine without a login");
    }
}
