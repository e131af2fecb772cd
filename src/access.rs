//! Who may call: client keys on the API, a Basic login on the admin pages (drop_in_contract.md 6.5). Secrets are compared
//! in constant time.

use crate::config::{AdminLogin, ClientKey, Config};
use crate::error::{ApiError, ErrorKind};
use crate::http::{Request, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;

/// The old program's sentence, word for word: scripts compare it.
const KEY_NEEDED: &str = "Invalid or missing API Key. Provide it via 'Authorization: Bearer <key>', \
    'Authorization: Basic ...', '?key=<key>', or 'x-goog-api-key' header.";

const DEFAULT_KEY_IS_LOCAL: &str = "The built-in key 123456 answers callers on this machine only. \
    Set auth_keys in config.json to let others in.";

const ADMIN_IS_LOCAL: &str = "The admin pages have no password and answer callers on this machine only. \
    Set admin_username and admin_password in config.json to reach them from elsewhere.";

/// The rules of one server.
#[derive(Clone, Debug)]
pub struct Guard {
    keys: Vec<ClientKey>,
    default_keys: bool,
    admin: Option<AdminLogin>,
    /// With a public address every caller may be a stranger behind a local reverse proxy.
    public: bool,
}

impl Guard {
    /// Takes the rules from the config.
    pub fn new(config: &Config) -> Guard {
        Guard {
            keys: config.auth_keys.clone(),
            default_keys: config.default_keys,
            admin: config.admin.clone(),
            public: config.public_url.is_some(),
        }
    }

    /// The key that the caller presented, in any of the accepted places; a wrong one does not mask a right one.
    pub fn client(&self, request: &Request) -> Result<&ClientKey, ApiError> {
        let presented = presented_keys(request);
        let known = presented.iter().find_map(|text| {
            // Every key is compared, so that the time does not tell which one came near.
            self.keys.iter().fold(None, |found, key| if key.key.matches(text) { found.or(Some(key)) } else { found })
        });
        let refused = |sentence| ApiError::new(401, ErrorKind::InvalidRequest, sentence).with_code("invalid_api_key");
        match known {
            None => Err(refused(KEY_NEEDED)),
            Some(_) if self.default_keys && !self.is_local(request) => Err(refused(DEFAULT_KEY_IS_LOCAL)),
            Some(key) => Ok(key),
        }
    }

    /// Whether the caller may use the admin pages; if not, the answer to give.
    pub fn admin(&self, request: &Request) -> Result<(), Response> {
        let Some(login) = &self.admin else {
            if self.is_local(request) {
                return Ok(());
            }
            return Err(Response::json(403, &json!({"detail": ADMIN_IS_LOCAL})));
        };
        let unauthorized = |detail: &str| {
            Response::json(401, &json!({"detail": detail}))
                .with_header("WWW-Authenticate", "Basic realm=\"admin\", charset=\"UTF-8\"")
        };
        let Some((username, password)) = request.headers.all("authorization").find_map(basic) else {
            return Err(unauthorized("Admin credentials are required"));
        };
        let name_matches = crate::secret::Secret::new(login.username.clone()).matches(&username);
        if login.password.matches(&password) & name_matches {
            Ok(())
        } else {
            Err(unauthorized("Incorrect username or password"))
        }
    }

    /// Whether the caller is certainly on this machine: a loopback peer that no proxy speaks for, asking for a loopback
    /// name (a page in the user's browser can point its own name at 127.0.0.1, but cannot forge `Host`).
    fn is_local(&self, request: &Request) -> bool {
        const FORWARDING: [&str; 6] =
            ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "cf-connecting-ip"];
        !self.public
            && request.peer.is_loopback()
            && !FORWARDING.iter().any(|name| request.headers.get(name).is_some())
            && request.headers.get("host").is_none_or(is_loopback_name)
    }
}

/// Whether a request that changes something comes from our own page, or from no browser at all: the browser of somebody who
/// is logged in, or sits at this machine, can be sent here by any page on the web. If not, the answer to give.
pub fn same_origin(request: &Request) -> Result<(), Response> {
    let (site, origin) = (request.headers.get("sec-fetch-site"), request.headers.get("origin"));
    if site.is_none() && origin.is_none() {
        return Ok(());
    }
    let marked = request.headers.get("x-requested-with") == Some("gemini-proxy");
    let own_site = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let own_origin = origin.is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.zip(request.headers.get("host")).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    });
    if marked && own_site && own_origin {
        return Ok(());
    }
    Err(Response::json(403, &json!({"detail": "This request did not come from the admin page of this server."})))
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
        if let Some((scheme, rest)) = value.trim().split_once(char::is_whitespace)
            && scheme.eq_ignore_ascii_case("bearer")
        {
            keys.push(rest.trim().to_owned());
        }
    }
    keys.extend(request.headers.all("authorization").filter_map(basic).map(|(_, password)| password));
    keys.extend(query_value(&request.query, "key"));
    for name in ["x-goog-api-key", "x-api-key"] {
        keys.extend(request.headers.all(name).map(|value| value.trim().to_owned()));
    }
    keys.retain(|key| !key.is_empty());
    keys
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

/// The first value of `name` in a query, decoded; `+` is a space, as forms write it.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        (decode(key) == name).then(|| decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Gone, Headers};

    fn request(peer: &str, query: &str, headers: &[(&str, &str)]) -> Request {
        let mut fields = Headers::default();
        for (name, value) in headers {
            fields.push(*name, *value);
        }
        Request {
            id: "r".into(),
            method: "GET".into(),
            path: "/v1/models".into(),
            query: query.into(),
            headers: fields,
            body: Vec::new(),
            peer: peer.parse().unwrap(),
            gone: Gone::default(),
        }
    }

    fn guard(config: &str) -> Guard {
        Guard::new(&crate::config::parse(config).unwrap().config)
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
        assert!(public.client(&request("127.0.0.1", "", &[bearer])).is_err());
        let chosen = guard(r#"{"auth_keys":["123456"]}"#);
        assert!(chosen.client(&request("203.0.113.9", "", &[bearer])).is_ok(), "a key the user set works everywhere");
    }

    #[test]
    fn admin_needs_the_login_or_this_machine() {
        let open = guard("{}");
        assert!(open.admin(&request("127.0.0.1", "", &[])).is_ok());
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
}
