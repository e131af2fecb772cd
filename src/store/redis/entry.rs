//! Whether a server may be used: how it is set, and whose store it holds. Nothing is written into one that is not ours.

use super::names::WRONG_KEY;
use super::{Address, Names, Scripts};
use crate::credentials::Cipher;
use redis::{Connection, ErrorKind, RedisError, ServerErrorKind, cmd};
use rustls::{AlertDescription, CertificateError};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CONNECT: Duration = Duration::from_millis(300);

/// Why a server is not used that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Refused {
    pub(in crate::store) sentence: String,
    pub(in crate::store) is_wrong_key: bool,
}

/// What `check` sees.
pub(in crate::store) struct Look {
    pub(in crate::store) version: String,
    pub(in crate::store) round_trip: Duration,
    /// Milliseconds that this machine's clock is ahead.
    pub(in crate::store) ahead: i64,
    /// Whether what it holds outlives it; `None`: it does not say.
    pub(in crate::store) persists: Option<bool>,
    /// Nobody has used it yet.
    pub(in crate::store) is_new: bool,
}

/// Why a server cannot be entered.
pub(super) enum Entry {
    Down { reason: String, is_refused: bool },
    Refused(Refused),
}

impl Entry {
    pub(super) fn refused(sentence: impl Into<String>) -> Entry {
        let sentence = sentence.into();
        Entry::Refused(Refused { is_wrong_key: sentence == WRONG_KEY, sentence })
    }
}

impl From<RedisError> for Entry {
    fn from(error: RedisError) -> Entry {
        let reason = reason(&error);
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => Entry::refused(reason),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Entry::refused(reason),
            _ => Entry::Down { reason, is_refused: error.is_connection_refusal() },
        }
    }
}

/// A connection to a server that may be used, whose store is known.
pub(super) fn enter(
    address: &Address,
    scripts: &Scripts,
    prefix: &str,
    cipher: &Cipher,
    known: Option<Names>,
) -> Result<(Connection, Names), Entry> {
    let mut connection = address.connect(CONNECT)?;
    info(&mut connection)?;
    let name = Names::meta(prefix);
    let mut meta: HashMap<String, String> = cmd("HGETALL").arg(&name).query(&mut connection)?;
    if is_new(&meta) {
        if known.is_some() {
            log::warn!("store: {} is empty: was it restored from nothing? Limits count from zero", address);
        }
        let fresh = Names::fresh(known.as_ref(), cipher);
        meta = scripts.open(&mut connection, &name, &fresh)?;
    }
    let names = Names::read(prefix, &meta, cipher).map_err(Entry::refused)?;
    Ok((connection, names))
}

/// The same, and nothing is written.
pub(super) fn examine(address: &Address, prefix: &str, cipher: &Cipher) -> Result<Look, Entry> {
    let mut connection = address.connect(CONNECT)?;
    let said = info(&mut connection)?;
    let asked = Instant::now();
    let [seconds, micros]: [u64; 2] = cmd("TIME").query(&mut connection)?;
    let round_trip = asked.elapsed();
    let meta: HashMap<String, String> = cmd("HGETALL").arg(Names::meta(prefix)).query(&mut connection)?;
    if !is_new(&meta) {
        Names::read(prefix, &meta, cipher).map_err(Entry::refused)?;
    }
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let ahead = i128::try_from(own).unwrap_or_default() - i128::from(seconds * 1000 + micros / 1000);
    let word = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let log = word("aof_enabled").map(|word| word == "1");
    let saves = cmd("CONFIG").arg("GET").arg("save").query::<Vec<String>>(&mut connection).ok();
    let saves = saves.and_then(|found| found.get(1).map(|times| !times.is_empty()));
    let persists = match (log, saves) {
        (Some(true), _) => Some(true),
        (_, Some(saves)) => Some(saves),
        (_, None) => None,
    };
    Ok(Look {
        version: word("redis_version").unwrap_or("unknown").to_owned(),
        round_trip,
        ahead: i64::try_from(ahead).unwrap_or(i64::MAX),
        persists,
        is_new: is_new(&meta),
    })
}

/// Nobody has made it, or it was emptied and what lives on has been counted since.
fn is_new(meta: &HashMap<String, String>) -> bool {
    !meta.contains_key("schema")
}

/// What the server says of itself, where it may be used.
fn info(connection: &mut Connection) -> Result<String, Entry> {
    connection.set_read_timeout(Some(CONNECT))?;
    let info: String = cmd("INFO").query(connection)?;
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim);
    match policy.filter(|policy| *policy != "noeviction") {
        Some(policy) => Err(Entry::refused(format!(
            "its maxmemory-policy is {policy}, which throws away what replicas rely on; set it to noeviction"
        ))),
        None => Ok(info),
    }
}

/// For a log: nothing of what the server said, which may repeat what it was told.
pub(super) fn reason(error: &RedisError) -> String {
    match error.kind() {
        _ if error.is_timeout() => "no answer in time".into(),
        _ if error.is_connection_refusal() => "the connection is refused".into(),
        _ if error.is_connection_dropped() => "the connection was closed".into(),
        ErrorKind::AuthenticationFailed => "the user name or password is wrong".into(),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            "its user may not do what is needed (docs/scale-out.md, \"Secrets in the store\", has the rights)".into()
        }
        _ => match error.code() {
            Some("NOAUTH") => "it wants a password; set store.password_file".into(),
            Some("WRONGPASS") => "the user name or password is wrong".into(),
            Some(code) => {
                format!("it says {}", code.chars().filter(char::is_ascii_uppercase).take(20).collect::<String>())
            }
            None => tls_reason(error).unwrap_or(error.category()).to_owned(),
        },
    }
}

/// What TLS has against the server; `None`: nothing that is known.
fn tls_reason(error: &RedisError) -> Option<&'static str> {
    let wrapped = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let tls = match wrapped.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref()?.downcast_ref::<rustls::Error>(),
        None => wrapped.downcast_ref::<rustls::Error>(),
    };
    Some(match tls? {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "its certificate is of an authority that is not trusted; give that authority's in store.ca_file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for other names than the one in store.url"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet by this machine's clock"
            }
            _ => "its certificate is not accepted",
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of its client, and there is none to give; set tls-auth-clients no there"
        }
        _ => "TLS with it failed",
    })
}
