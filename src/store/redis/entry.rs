//! Whether a server may be used: how it is set, and whose store it holds. Nothing is written into one that is not ours.

use super::address::Unreached;
use super::names::WRONG_KEY;
use super::scripts::LOST;
use super::{Address, KEYS, Names, Scripts};
use crate::credentials::Cipher;
use redis::{Connection, ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
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
    /// It holds what is not this pool's, or what this version cannot read.
    pub(in crate::store) is_foreign: bool,
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
    /// Replicas know what it has lost.
    pub(in crate::store) is_lost: bool,
    /// How many credentials and keys of the page it holds.
    pub(in crate::store) records: u64,
    /// Why it takes no changes.
    pub(in crate::store) trouble: Option<String>,
}

/// A server that may be used.
pub(super) struct Entered {
    pub(super) connection: Connection,
    pub(super) names: Names,
    /// Why it takes no changes, though it answers.
    pub(super) trouble: Option<String>,
}

/// Why a server cannot be entered.
pub(super) enum Entry {
    Down { reason: String, is_refused: bool },
    Refused(Refused),
}

impl Entry {
    fn refused(sentence: String) -> Entry {
        Entry::Refused(Refused { sentence, is_foreign: false, is_wrong_key: false })
    }

    fn foreign(sentence: String) -> Entry {
        Entry::Refused(Refused { is_wrong_key: sentence == WRONG_KEY, sentence, is_foreign: true })
    }
}

impl From<RedisError> for Entry {
    fn from(error: RedisError) -> Entry {
        let reason = reason(&error);
        match error.kind() {
            ErrorKind::AuthenticationFailed => Entry::refused(reason),
            _ if is_denied(&error) || matches!(word(&error), Some("NOAUTH" | "WRONGPASS" | "DAMAGED")) => {
                Entry::refused(reason)
            }
            _ => Entry::Down { reason, is_refused: error.is_connection_refusal() },
        }
    }
}

impl From<Unreached> for Entry {
    fn from(why: Unreached) -> Entry {
        let reason = why.reason();
        match Entry::from(why.error) {
            Entry::Down { is_refused, .. } => Entry::Down { reason, is_refused },
            Entry::Refused(refused) => Entry::Refused(Refused { sentence: reason, ..refused }),
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
) -> Result<Entered, Entry> {
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
    let names = Names::read(prefix, &meta, cipher).map_err(Entry::foreign)?;
    let trouble = trouble(&mut connection, scripts, prefix, true)?;
    Ok(Entered { connection, names, trouble })
}

/// Why the server takes no changes, though it answers and may be read. One that is another's copy, or that may not change
/// anything, is an error: it must not be used.
pub(super) fn trouble(
    connection: &mut Connection,
    scripts: &Scripts,
    prefix: &str,
    enters: bool,
) -> RedisResult<Option<String>> {
    match scripts.trial(connection, prefix, enters) {
        Ok(()) => Ok(None),
        Err(error) if is_full(&error) => Ok(Some(reason(&error))),
        Err(error) => Err(error),
    }
}

/// Whether it says that it has no place for changes, in memory or on its disk.
pub(super) fn is_full(error: &RedisError) -> bool {
    matches!(word(error), Some("OOM" | "MISCONF"))
}

/// Whether the user may not do what was asked. What scripts may not do is no error of its own before Redis 7.2.
pub(super) fn is_denied(error: &RedisError) -> bool {
    let in_script = ["ACL failure in script", "The user executing the script can't run"];
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        || error.detail().is_some_and(|detail| in_script.iter().any(|text| detail.contains(text)))
}

/// The same, and nothing is written.
pub(super) fn examine(address: &Address, scripts: &Scripts, prefix: &str, cipher: &Cipher) -> Result<Look, Entry> {
    let mut connection = address.connect(CONNECT)?;
    let said = info(&mut connection)?;
    let asked = Instant::now();
    let [seconds, micros]: [u64; 2] = cmd("TIME").query(&mut connection)?;
    let round_trip = asked.elapsed();
    let meta: HashMap<String, String> = cmd("HGETALL").arg(Names::meta(prefix)).query(&mut connection)?;
    if !is_new(&meta) {
        Names::read(prefix, &meta, cipher).map_err(Entry::foreign)?;
    }
    let trouble = trouble(&mut connection, scripts, prefix, true)?;
    let mut records = 0;
    for table in ["cred", KEYS] {
        records += cmd("HLEN").arg(Names::table(prefix, table)).query::<u64>(&mut connection)?;
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
        is_lost: cmd("EXISTS").arg(Names::table(prefix, LOST)).query(&mut connection)?,
        records,
        trouble,
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
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "what answers there is no Redis".into(),
        ErrorKind::AuthenticationFailed => "the user name or password is wrong".into(),
        _ if is_denied(error) => {
            "its user may not do what is needed (docs/scale-out.md, \"Secrets in the store\", has the rights)".into()
        }
        _ => match word(error) {
            Some("NOAUTH") => "it wants a password; set store.password_file".into(),
            Some("WRONGPASS") => "the user name or password is wrong".into(),
            Some("READONLY") => "it is the copy of another server and takes no changes".into(),
            Some("NOREPLICAS") => "it takes no changes while too few copies follow it (min-replicas-to-write)".into(),
            Some("OOM") => "it is out of memory (maxmemory)".into(),
            Some("MISCONF") => "it cannot write to its disk and takes no changes".into(),
            Some("DAMAGED") => damaged(error),
            Some("LOADING") => "it is still reading what it holds".into(),
            Some("MASTERDOWN") => "it is the copy of a server that it does not reach".into(),
            Some(code) => {
                format!("it says {}", code.chars().filter(char::is_ascii_uppercase).take(20).collect::<String>())
            }
            None => {
                let known = tls_reason(error).map(str::to_owned).or_else(|| system_reason(error));
                known.unwrap_or_else(|| error.category().to_owned())
            }
        },
    }
}

/// The name of a table stands behind the word, and is said where it looks like one.
fn damaged(error: &RedisError) -> String {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"{}:-_.".contains(byte);
    let name = error.detail().and_then(|detail| detail.split(' ').next());
    let name = name.filter(|name| name.len() < 200 && name.as_bytes().iter().all(is_of_name));
    let name = name.unwrap_or("one of its tables");
    format!("{name} is something else than the pool has made it; delete it there, or restore it from a backup")
}

/// What the system says of the way to the server; `None`: nothing.
fn system_reason(error: &RedisError) -> Option<String> {
    let wrapped = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let said = wrapped.downcast_ref::<io::Error>()?;
    match said.to_string() {
        text if text.contains("lookup address") => {
            Some("the name cannot be resolved; check DNS and the network".into())
        }
        text => said.raw_os_error().map(|_| text),
    }
}

/// The word that an error of the server's begins with. Servers before version 7 put that of a script behind others.
pub(super) fn word(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let inner = || error.detail()?.split_once(": -")?.1.split(' ').next();
    match code {
        "ERR" => inner().or(Some(code)),
        _ => Some(code),
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

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    #[test]
    fn what_a_server_says_is_told_in_plain_words() {
        for (said, expected) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "it is out of memory (maxmemory)"),
            (
                "ERR Error running script (call to f_0123): @user_script:1: @user_script: 1: -OOM command not allowed",
                "it is out of memory (maxmemory)",
            ),
            ("READONLY You can't write against a read only replica.", "it is the copy of another server"),
            ("MISCONF Redis is configured to save RDB snapshots", "it cannot write to its disk"),
            ("LOADING Redis is loading the dataset in memory", "it is still reading what it holds"),
            ("ERR a secret - and more", "it says ERR"),
        ] {
            let value = parse_redis_value(format!("-{said}\r\n").as_bytes()).unwrap();
            let Value::ServerError(error) = value else { panic!("{value:?}") };
            let error = RedisError::from(error);
            assert!(reason(&error).starts_with(expected), "{said}: {}", reason(&error));
            assert_eq!(is_full(&error), said.contains("OOM ") || said.contains("MISCONF"), "{said}");
        }
    }
}
