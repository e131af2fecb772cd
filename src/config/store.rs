//! `store`: where several replicas of the program meet.

use super::value::{ConfigError, Field};
use crate::secret::Secret;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Names the store where `url` does not.
const VARIABLE: &str = "GEMINI_PROXY_STORE_URL";
const EXPECTED: &str =
    "an address such as redis://host:6379, rediss://user:password@host:6379 or redis+unix:///path/of/socket";
const SCHEMES: [&str; 7] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"];

/// What several replicas share, and with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Address of a Redis or Valkey, maybe with a login. With sentinels its host is the name of the master.
    pub url: Secret,
    /// `url` comes from the environment.
    pub is_from_environment: bool,
    /// All names in the store begin with it.
    pub prefix: String,
    /// What this replica is called.
    pub replica: String,
    /// What becomes of keys with limits while the store is away.
    pub when_down: WhenDown,
    /// The only authorities to trust towards the store, as PEM.
    pub authorities: Option<Vec<u8>>,
    /// Goes before the one in `url`.
    pub password: Option<PasswordFile>,
    /// `host:port` of each Sentinel; none: `url` is the server itself.
    pub sentinels: Vec<String>,
    /// Encryption keys that open what the present one does not.
    pub old_keys: Vec<Secret>,
}

/// What becomes of keys with limits while the store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// Each replica gives its fair part.
    #[default]
    Share,
    /// They are refused.
    Refuse,
}

pub(super) fn store(unknown: &mut Vec<String>, field: &Field) -> Result<Option<Arc<StoreConfig>>, ConfigError> {
    let variable = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty());
    if !cfg!(feature = "replicas") {
        return match field.value() {
            Value::Null if variable.is_none() => Ok(None),
            _ => Err(ConfigError("store: this program was built without it (its feature `replicas`)".into())),
        };
    }
    if field.value().is_null() && variable.is_none() {
        return Ok(None);
    }
    let mut object = field.object()?;
    let [url, prefix, replica, when_down, ca_file, password_file, sentinels, old] =
        ["url", "prefix", "replica", "when_down", "ca_file", "password_file", "sentinels", "old_encryption_keys"]
            .map(|name| object.take(name));
    let given = url.filled()?;
    let is_from_environment = given.is_none();
    let Some(address) = given.or(variable) else {
        return Err(ConfigError(format!("{}: expected {EXPECTED}, here or in the variable {VARIABLE}", url.name)));
    };
    if let Some(reason) = fault(&address) {
        return Err(ConfigError(format!("{}: {reason}", url.name)));
    }
    let is_plain = |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
    let prefix = match prefix.filled()?.unwrap_or_else(|| "gop:".into()) {
        text if text.len() <= 64 && is_plain(&text, ":-_./") => text,
        text => return Err(prefix.wrong("at most 64 letters, digits and :-_./", &Value::String(text))),
    };
    let replica = match replica.filled()?.unwrap_or_else(host) {
        text if text.len() <= 64 && is_plain(&text, "-_.:") => text,
        text => return Err(replica.wrong("at most 64 letters, digits and -_.:", &Value::String(text))),
    };
    let authorities = match ca_file.path()? {
        Some(_) if !is_tls(&address) => {
            return Err(ConfigError(format!("{}: only an address that begins with rediss:// has one", ca_file.name)));
        }
        Some(path) => Some(read(&ca_file, path)?),
        None => None,
    };
    if authorities.as_ref().is_some_and(|pem| !pem.windows(17).any(|part| part == b"BEGIN CERTIFICATE")) {
        return Err(ConfigError(format!("{}: there is no certificate in it", ca_file.name)));
    }
    let password = match password_file.path()? {
        Some(path) => {
            Some(PasswordFile::read(path).map_err(|why| ConfigError(format!("{}: {why}", password_file.name)))?)
        }
        None => None,
    };
    let when_down = match when_down.given {
        None | Some(Value::Null) => WhenDown::default(),
        Some(_) => when_down.word(&[("share", WhenDown::Share), ("refuse", WhenDown::Refuse)])?,
    };
    let mut places = Vec::new();
    for item in sentinels.items() {
        match item.text()?.filter(|text| is_place(text)) {
            Some(text) => places.push(text),
            None => return Err(item.wrong("a host and a port such as sentinel-1:26379", &item.value())),
        }
    }
    let mut old_keys = Vec::new();
    for item in old.items() {
        match item.filled()? {
            Some(key) => old_keys.push(Secret::new(key)),
            None => return Err(ConfigError(format!("{}: expected an encryption key", item.name))),
        }
    }
    unknown.extend(object.unknown());
    let url = Secret::new(address);
    Ok(Some(Arc::new(StoreConfig {
        url,
        is_from_environment,
        prefix,
        replica,
        when_down,
        authorities,
        password,
        sentinels: places,
        old_keys,
    })))
}

/// A password in a file, which may become another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile {
    path: PathBuf,
    at_start: Secret,
}

impl PasswordFile {
    fn read(path: PathBuf) -> Result<PasswordFile, String> {
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match text_of(bytes) {
            Some(at_start) => Ok(PasswordFile { path, at_start }),
            None => Err("the file is empty or no text".into()),
        }
    }

    /// What the file holds now, or what it held at the start, where it has none.
    pub fn password(&self) -> Secret {
        // What is no file, such as a pipe, may be read once only.
        let is_file = std::fs::metadata(&self.path).is_ok_and(|about| about.is_file());
        let now = is_file.then(|| std::fs::read(&self.path).ok()).flatten().and_then(text_of);
        now.unwrap_or_else(|| self.at_start.clone())
    }
}

fn text_of(bytes: Vec<u8>) -> Option<Secret> {
    let text = String::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Secret::new(text))
}

fn read(field: &Field, path: PathBuf) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(&path).map_err(|error| ConfigError(format!("{}: {}: {error}", field.name, path.display())))
}

fn is_tls(url: &str) -> bool {
    url.starts_with("rediss:") || url.starts_with("valkeys:")
}

/// What is wrong with an address; it may hold a password and is not shown.
fn fault(url: &str) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme)) else {
        return Some(format!("expected {EXPECTED}"));
    };
    if url.contains('#') {
        return Some(
            "expected an address without #: certificates are always checked; # in a password is written %23".into(),
        );
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_unix = scheme.ends_with("unix");
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut numbers = query.split('&').filter_map(|pair| pair.strip_prefix("db="));
    if !numbers.all(|number| matches!(number, "" | "0")) || !(is_unix || matches!(path, "" | "/" | "/0")) {
        return Some("expected no number of a database: `store.prefix` keeps pools apart".into());
    }
    if is_unix {
        return (!rest.starts_with('/')).then(|| format!("expected {EXPECTED}"));
    }
    let host = place.rsplit('@').next().unwrap_or_default();
    (host.is_empty() || host.starts_with(':')).then(|| format!("expected {EXPECTED}"))
}

fn is_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    !host.is_empty() && host.chars().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What this machine is called.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    if name.is_empty() { "replica".into() } else { name }
}

/// For the page.
pub(super) fn shown(store: &Option<Arc<StoreConfig>>) -> Value {
    let Some(store) = store else { return Value::Null };
    let url = match store.is_from_environment {
        true => format!("${{{VARIABLE}}}"),
        false => super::keys::address(store.url.expose().split('?').next().unwrap_or_default()),
    };
    json!({
        "url": url,
        "prefix": store.prefix,
        "replica": store.replica,
        "when_down": super::keys::word(store.when_down),
        "sentinels": store.sentinels,
    })
}

#[cfg(all(test, feature = "replicas"))]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(store: Value) -> Result<StoreConfig, String> {
        let loaded = parse(&json!({"store": store}).to_string()).map_err(|error| error.to_string())?;
        Ok(StoreConfig::clone(&loaded.config.store.expect("a store")))
    }

    #[test]
    fn an_address_is_enough() {
        for url in [
            "redis://host",
            "redis://host:6379/",
            "rediss://user:p%40ss@host:6380/0?protocol=resp3",
            "valkey://10.0.0.1",
            "redis://[::1]:6379",
            "redis+unix:///run/redis/socket?pass=x&db=0",
        ] {
            let store = read(json!({"url": url})).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((store.prefix.as_str(), store.when_down), ("gop:", WhenDown::Share));
            assert!(!store.replica.is_empty());
        }
    }

    #[test]
    fn mistakes_name_the_key_and_show_no_password() {
        let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
        for (store, expected) in [
            (json!({}), "store.url: expected an address such as redis://host:6379"),
            (json!("redis://host"), "store: expected an object"),
            (json!({"url": "http://u:secret@host"}), "store.url: expected an address such as"),
            (json!({"url": "redis://"}), "store.url: expected an address such as"),
            (json!({"url": "redis://u:secret@:6379"}), "store.url: expected an address such as"),
            (json!({"url": "redis://u:secret@host/3"}), "store.url: expected no number of a database"),
            (json!({"url": "redis://u:secret@host?db=1"}), "store.url: expected no number of a database"),
            (json!({"url": "redis+unix:///x?pass=secret&db=3"}), "store.url: expected no number of a database"),
            (json!({"url": "rediss://u:secret@host#insecure"}), "store.url: expected an address without #"),
            (json!({"url": "redis://h", "prefix": "a{b}"}), "store.prefix: expected at most 64"),
            (json!({"url": "redis://h", "replica": "a b"}), "store.replica: expected at most 64"),
            (json!({"url": "redis://h", "when_down": "wait"}), "store.when_down: expected \"share\" or \"refuse\""),
            (json!({"url": "redis://h", "sentinels": ["a"]}), "store.sentinels[0]: expected a host and a port"),
            (json!({"url": "redis://h", "ca_file": certificate}), "store.ca_file: only an address that begins with"),
            (json!({"url": "rediss://h", "ca_file": "/gone.pem"}), "store.ca_file: /gone.pem: "),
            (
                json!({"url": "redis://h", "old_encryption_keys": [""]}),
                "store.old_encryption_keys[0]: expected an encryption key",
            ),
            (json!({"url": "redis://h", "password_file": "/gone"}), "store.password_file: /gone: "),
        ] {
            let error = read(store.clone()).expect_err(&store.to_string());
            assert!(error.starts_with(expected) && !error.contains("secret"), "{store}: {error}");
        }
        let loaded = parse(r#"{"store":{"url":"redis://h","colour":1}}"#).unwrap();
        assert_eq!(loaded.notes, ["config: unknown keys are ignored: store.colour"]);
    }

    #[test]
    fn a_password_is_the_one_that_its_file_holds_now() {
        let file = std::env::temp_dir().join(format!("password-of-a-store-{}", std::process::id()));
        std::fs::write(&file, "first\n").unwrap();
        let password = read(json!({"url": "redis://h", "password_file": file})).unwrap().password.expect("a password");
        for (now, expected) in [("first\n", "first"), ("second\r\n", "second"), ("", "first")] {
            std::fs::write(&file, now).unwrap();
            assert_eq!(password.password().expose(), expected);
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(password.password().expose(), "first", "nobody knows another one");
    }

    #[test]
    fn the_page_shows_no_password() {
        let url = "rediss://user:secret@host:6380/?protocol=resp3";
        let config = parse(&json!({"store": {"url": url, "replica": "a"}}).to_string()).unwrap().config;
        let shown = config.shown()["store"]["value"].clone();
        assert_eq!(shown["url"], "rediss://***@host:6380/");
        assert_eq!(shown["when_down"], "share");
        let url = "redis+unix:///run/socket?user=u&pass=secret";
        let config = parse(&json!({"store": {"url": url}}).to_string()).unwrap().config;
        assert!(!config.shown().to_string().contains("secret"));
    }

    #[test]
    fn a_reload_leaves_the_store_and_says_so() {
        let old = parse(r#"{"store":{"url":"redis://one"}}"#).unwrap().config;
        let new = parse(r#"{"store":{"url":"redis://two"}}"#).unwrap().config;
        let (merged, changes) = old.reloaded(&new).unwrap();
        assert_eq!(changes.to_string(), "reloaded, but a restart is needed for: store");
        assert_eq!(merged.store, old.store);
    }
}
