//! A login with Google from the consent page's address to the code that comes back: state, PKCE verifier, redirect
//! address, and which logins are under way (docs/google-login.md "Login flow").
//!
//! Knows no pool, no socket and no HTTP client: who redeems the code is told what it needs.

use crate::config::OauthClient;
use crate::http::query_value;
use crate::message::Message;
use crate::os::random;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The Gemini CLI's scopes; Code Assist refuses tokens without the first (docs/google-login.md "The OAuth client").
const SCOPES: &str = "https://www.googleapis.com/auth/cloud-platform \
    https://www.googleapis.com/auth/userinfo.email \
    https://www.googleapis.com/auth/userinfo.profile";

/// Google's page that shows the code for copying: the one address beside loopback that is registered for the Gemini
/// CLI's client.
const CODE_PAGE: &str = "https://codeassist.google.com/authcode";

/// Where nobody listens: the browser shows an error, and the address bar has the code. Clients of the user's own do not
/// know Google's page.
const NOWHERE: &str = "http://localhost:8085/oauth2callback";

/// More logins than this at once are nobody's wish; the oldest is forgotten.
const MOST: usize = 64;

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One login under way.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What has to come back with the code.
    pub state: String,
    /// Proves to the token endpoint that the code was asked for by us (RFC 7636).
    pub verifier: Secret,
    /// Byte for byte what the token endpoint must be told as well.
    pub redirect_uri: String,
}

impl Attempt {
    /// A new login.
    pub fn new(redirect_uri: impl Into<String>) -> Attempt {
        Attempt { state: random::secret(), verifier: Secret::new(random::secret()), redirect_uri: redirect_uri.into() }
    }

    /// The consent page's address.
    pub fn url(&self, authorize: &str, client: &OauthClient) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose()));
        let fields = [
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", SCOPES),
            ("state", &self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("access_type", "offline"),
            // Without it Google may leave out the refresh token for somebody who agreed before.
            ("prompt", "consent"),
            ("include_granted_scopes", "true"),
        ];
        let query = fields.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).join("&");
        let joint = if authorize.contains('?') { '&' } else { '?' };
        format!("{authorize}{joint}{query}")
    }
}

/// The redirect address of a login whose code a person carries over.
pub fn paste_redirect(client: &OauthClient) -> &'static str {
    if client.id == OauthClient::default().id { CODE_PAGE } else { NOWHERE }
}

/// Why a state that came back is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// No login of this server's, or one from before its restart.
    Unknown,
    /// It took too long.
    Expired,
    /// It was redeemed already.
    Used,
    /// A code without a state, and several logins that it may belong to.
    Ambiguous,
    /// Nobody can say: the store of the replicas is away.
    Away,
    /// The store of the replicas has no place for it.
    Full,
}

impl Stale {
    /// What happened, for a person.
    pub fn message(self) -> Message {
        Message::new(match self {
            Stale::Unknown => "login_unknown",
            Stale::Expired => "login_expired",
            Stale::Used => "login_used",
            Stale::Ambiguous => "login_ambiguous",
            Stale::Away => "store_unwritten",
            Stale::Full => "store_full_unwritten",
        })
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        if matches!(self, Stale::Away | Stale::Full) { 503 } else { 400 }
    }
}

/// Where logins are that any of several replicas may end.
pub trait Shared: Send + Sync {
    /// Keeps a login under its state for so long. Its text is a secret.
    fn keep(&self, state: &str, login: &str, span: Duration) -> Result<(), Stale>;
    /// The login of this state, once, if more than so much of its time is left.
    fn take(&self, state: &str, least: Duration) -> Result<Taken, Stale>;
}

/// What is known of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What was kept.
    Here(String),
    /// It is too late.
    Late,
    /// It was taken already.
    Used,
    /// Nothing.
    Unknown,
}

/// The logins that are under way on one server. Each can be redeemed once.
pub struct Logins {
    lifetime: Duration,
    /// Oldest first. Those that ended stay until newer ones push them out, to be told from unknown ones.
    entries: Mutex<Vec<Entry>>,
    shared: OnceLock<Arc<dyn Shared>>,
}

struct Entry {
    state: String,
    started: Instant,
    /// `None`: redeemed.
    attempt: Option<Attempt>,
}

impl Logins {
    /// None yet; each will live this long.
    pub fn new(lifetime: Duration) -> Logins {
        Logins { lifetime, entries: Mutex::new(Vec::new()), shared: OnceLock::new() }
    }

    /// From now on they may end on any of several replicas.
    pub fn share(&self, shared: Arc<dyn Shared>) {
        let _ = self.shared.set(shared);
    }

    /// Begins a login.
    pub fn start(&self, redirect_uri: &str) -> Result<Attempt, Stale> {
        let attempt = Attempt::new(redirect_uri);
        if let Some(shared) = self.shared.get() {
            let login = json!([attempt.verifier.expose(), attempt.redirect_uri]).to_string();
            // The second half of the time tells those that took too long from unknown ones.
            shared.keep(&attempt.state, &login, self.lifetime * 2)?;
        }
        let mut entries = self.entries.lock();
        if entries.len() == MOST {
            entries.remove(0);
        }
        let entry = Entry { state: attempt.state.clone(), started: Instant::now(), attempt: Some(attempt.clone()) };
        entries.push(entry);
        Ok(attempt)
    }

    /// The login that this state belongs to; not a second time.
    pub fn take(&self, state: &str) -> Result<Attempt, Stale> {
        match self.shared.get() {
            Some(shared) => self.take_shared(&**shared, state),
            None => self.take_own(state),
        }
    }

    fn take_shared(&self, shared: &dyn Shared, state: &str) -> Result<Attempt, Stale> {
        let taken = shared.take(state, self.lifetime)?;
        // It is under way no more, whoever began it.
        let _ = self.take_own(state);
        match taken {
            Taken::Here(login) => {
                let (verifier, redirect_uri): (String, String) =
                    serde_json::from_str(&login).map_err(|_| Stale::Unknown)?;
                Ok(Attempt { state: state.to_owned(), verifier: Secret::new(verifier), redirect_uri })
            }
            Taken::Late => Err(Stale::Expired),
            Taken::Used => Err(Stale::Used),
            Taken::Unknown => Err(Stale::Unknown),
        }
    }

    fn take_own(&self, state: &str) -> Result<Attempt, Stale> {
        let mut entries = self.entries.lock();
        let entry = entries.iter_mut().find(|entry| entry.state == state).ok_or(Stale::Unknown)?;
        let attempt = entry.attempt.take().ok_or(Stale::Used)?;
        if entry.started.elapsed() < self.lifetime {
            return Ok(attempt);
        }
        entry.attempt = Some(Attempt { verifier: Secret::default(), ..attempt });
        Err(Stale::Expired)
    }

    /// The only login under way, for a code that came without a state. Of several replicas it is the one that began it.
    pub fn take_only(&self) -> Result<Attempt, Stale> {
        let entries = self.entries.lock();
        let is_live = |entry: &&Entry| entry.attempt.is_some() && entry.started.elapsed() < self.lifetime;
        let mut live = entries.iter().filter(is_live).map(|entry| entry.state.clone());
        let state = match (live.next(), live.next()) {
            (Some(state), None) => state,
            (Some(_), Some(_)) => return Err(Stale::Ambiguous),
            (None, _) => return Err(Stale::Unknown),
        };
        drop(live);
        drop(entries);
        self.take(&state)
    }
}

/// What came back from the consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Return {
    /// Google's code, which may be redeemed once.
    Code {
        /// Decoded.
        code: String,
        /// Missing where only the code was copied.
        state: Option<String>,
    },
    /// Google's word for why there is none, such as `access_denied`.
    Refused {
        /// The word. Comes from outside; escape it.
        error: String,
        /// The login's state.
        state: Option<String>,
    },
}

impl Return {
    /// From a callback's query; `None` when it holds neither code nor error.
    pub fn from_query(query: &str) -> Option<Return> {
        let value = |name| query_value(query, name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = value("state");
        match (value("error"), value("code")) {
            (Some(error), _) => Some(Return::Refused { error, state }),
            (None, Some(code)) => Some(Return::Code { code, state }),
            (None, None) => None,
        }
    }

    /// From what a person pasted: the code alone, or the whole address of the callback. The error is for the person.
    pub fn from_pasted(text: &str) -> Result<Return, Message> {
        // Neither has white space in it; line breaks come from terminals and mail.
        let text: String = text.split_whitespace().collect();
        if text.is_empty() {
            return Err(Message::new("code_not_pasted"));
        }
        let query = match text.split_once('?') {
            Some((_, query)) => Some(query),
            None => Some(text.as_str()).filter(|text| text.starts_with("code=") || text.contains("&code=")),
        };
        let no_code = || Message::new("address_without_code");
        if let Some(query) = query {
            let query = query.split('#').next().unwrap_or_default();
            return Return::from_query(query).ok_or_else(no_code);
        }
        if text.contains("://") {
            return Err(no_code());
        }
        // Copied out of an address bar the code is still encoded: `4%2F0A...`. Decoded once and no more.
        let code = percent_decode_str(&text).decode_utf8().map_err(|_| Message::new("no_code"))?;
        Ok(Return::Code { code: code.into_owned(), state: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str, state: Option<&str>) -> Result<Return, Message> {
        Ok(Return::Code { code: code.into(), state: state.map(str::to_owned) })
    }

    const LIFETIME: Duration = Duration::from_secs(600);

    #[test]
    fn a_state_works_once_and_not_for_ever() {
        let logins = Logins::new(LIFETIME);
        let (one, two) = (logins.start("http://127.0.0.1/1").unwrap(), logins.start("http://127.0.0.1/2").unwrap());
        assert_ne!(one.state, two.state);
        assert_ne!(one.verifier, two.verifier);
        assert_eq!(logins.take("nonsense").unwrap_err(), Stale::Unknown);
        assert_eq!(logins.take(&one.state).unwrap().redirect_uri, "http://127.0.0.1/1");
        assert_eq!(logins.take(&one.state).unwrap_err(), Stale::Used);
        assert_eq!(logins.take(&two.state).unwrap().verifier, two.verifier);

        let short = Logins::new(Duration::ZERO);
        let attempt = short.start("http://127.0.0.1/").unwrap();
        for _ in 0..2 {
            assert_eq!(short.take(&attempt.state).unwrap_err(), Stale::Expired);
        }
        assert_eq!(short.take_only().unwrap_err(), Stale::Unknown);
    }

    #[test]
    fn a_code_without_state_belongs_to_the_only_login() {
        let logins = Logins::new(LIFETIME);
        assert_eq!(logins.take_only().unwrap_err(), Stale::Unknown);
        let one = logins.start("a").unwrap();
        let two = logins.start("a").unwrap();
        assert_eq!(logins.take_only().unwrap_err(), Stale::Ambiguous);
        logins.take(&two.state).unwrap();
        assert_eq!(logins.take_only().unwrap().state, one.state);
    }

    #[test]
    fn too_many_logins_push_out_the_oldest() {
        let logins = Logins::new(LIFETIME);
        let states: Vec<String> = (0..=MOST).map(|_| logins.start("a").unwrap().state).collect();
        assert_eq!(logins.take(&states[0]).unwrap_err(), Stale::Unknown);
        assert!(logins.take(&states[1]).is_ok() && logins.take(&states[MOST]).is_ok());
    }

    #[test]
    fn the_consent_address_asks_for_what_the_contract_says() {
        // The example of RFC 7636, appendix B.
        let attempt = Attempt {
            state: "st".into(),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            redirect_uri: "http://127.0.0.1:1/oauth2/callback".into(),
        };
        let client = OauthClient { id: "id".into(), secret: Secret::default() };
        assert_eq!(
            attempt.url("https://a.example/auth", &client),
            "https://a.example/auth?response_type=code&client_id=id\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Foauth2%2Fcallback\
             &scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.email%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.profile\
             &state=st&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
             &access_type=offline&prompt=consent&include_granted_scopes=true"
        );
    }

    #[test]
    fn codes_are_read_from_whatever_was_pasted() {
        for (text, expected) in [
            (" 4/0Abc-_\n", code("4/0Abc-_", None)),
            ("4%2F0Abc", code("4/0Abc", None)),
            ("4%252F0Abc", code("4%2F0Abc", None)),
            ("4/0Ab\n c", code("4/0Abc", None)),
            ("http://localhost:1/cb?state=s&code=4%2F0A&scope=x%20y", code("4/0A", Some("s"))),
            ("127.0.0.1/cb?code=4/0A&state=s#frag", code("4/0A", Some("s"))),
            ("https://codeassist.google.com/authcode?state=a%2Bb&code=4%252F0A", code("4%2F0A", Some("a+b"))),
            ("code=4%2F0A&state=s", code("4/0A", Some("s"))),
            (
                "http://localhost/cb?error=access_denied&state=s",
                Ok(Return::Refused { error: "access_denied".into(), state: Some("s".into()) }),
            ),
        ] {
            assert_eq!(Return::from_pasted(text), expected, "{text}");
        }
        for text in ["", " \n", "http://localhost/cb?state=s", "http://localhost/cb", "%FF", "http://l/?code="] {
            assert!(Return::from_pasted(text).is_err(), "{text}");
        }
    }
}
