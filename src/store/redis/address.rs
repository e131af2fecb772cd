//! Where the server is, and a connection to it: straight, or by way of Sentinels, which know the master. Every step has an end.

use super::entry::reason;
use crate::config::{PasswordFile, StoreConfig};
use percent_encoding::percent_decode_str;
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult,
};
use redis::{TlsCertificates, cmd};
use socket2::TcpKeepalive;
use std::fmt;
use std::time::Duration;

const PORT: u16 = 6379;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(in crate::store) struct Address {
    info: ConnectionInfo,
    authorities: Option<Vec<u8>>,
    sentinels: Vec<(String, u16)>,
    password: Option<PasswordFile>,
}

/// Why there is no connection.
pub(super) struct Unreached {
    pub(super) error: RedisError,
    /// Says more than the error.
    sentence: Option<String>,
}

impl From<RedisError> for Unreached {
    fn from(error: RedisError) -> Unreached {
        Unreached { error, sentence: None }
    }
}

impl Unreached {
    fn saying(sentence: String) -> Unreached {
        Unreached { error: (ErrorKind::Client, "the Sentinels").into(), sentence: Some(sentence) }
    }

    /// For a log.
    pub(super) fn reason(&self) -> String {
        self.sentence.clone().unwrap_or_else(|| reason(&self.error))
    }
}

impl Address {
    /// The error says nothing of the address, which may hold a password.
    pub(in crate::store) fn new(config: &StoreConfig) -> Result<Address, String> {
        let wrong = |error: RedisError| format!("store.url: {}", error.category());
        let (place, user, password) = read(config.url.expose()).map_err(|why| format!("store.url: {why}"))?;
        let info = place.into_connection_info().map_err(wrong)?;
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if !user.is_empty() {
            settings = settings.set_username(user);
        }
        if !password.is_empty() {
            settings = settings.set_password(password);
        }
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(TcpKeepalive::new().with_time(KEEP_ALIVE));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(UNACKNOWLEDGED);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        if !config.sentinels.is_empty() && matches!(info.addr(), ConnectionAddr::Unix(_)) {
            return Err("store.sentinels: the master's name is the host of store.url, and a socket has none".into());
        }
        let place = |text: &String| {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, "26379"));
            (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(26379))
        };
        let sentinels = config.sentinels.iter().map(place).collect();
        let address =
            Address { info, authorities: config.authorities.clone(), sentinels, password: config.password.clone() };
        // Certificates that cannot be read are told at once.
        address.client(address.info.addr().clone(), &address.info).map_err(wrong)?;
        Ok(address)
    }

    fn client(&self, place: ConnectionAddr, like: &ConnectionInfo) -> RedisResult<Client> {
        let info = like.clone().set_addr(place);
        match (&self.authorities, info.addr()) {
            (Some(pem), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) })
            }
            _ => Client::open(info),
        }
    }

    /// `timeout` is for each step.
    pub(super) fn connect(&self, timeout: Duration) -> Result<Connection, Unreached> {
        let mut info = self.info.clone();
        if let Some(file) = &self.password {
            let settings = info.redis_settings().clone().set_password(file.password().expose());
            info = info.set_redis_settings(settings);
        }
        match self.sentinels.is_empty() {
            true => Ok(self.connect_to(info.addr().clone(), &info, timeout)?),
            false => self.connect_by_sentinels(&info, timeout),
        }
    }

    fn connect_to(&self, place: ConnectionAddr, like: &ConnectionInfo, timeout: Duration) -> RedisResult<Connection> {
        let connection = self.client(place, like)?.get_connection_with_timeout(timeout)?;
        // The client has taken them away again.
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        Ok(connection)
    }

    /// By way of the first Sentinel that leads to the master.
    fn connect_by_sentinels(&self, info: &ConnectionInfo, timeout: Duration) -> Result<Connection, Unreached> {
        let mut last = Unreached::saying(String::new());
        let mut said = Vec::new();
        for (host, port) in &self.sentinels {
            match self.connect_by(host, *port, info, timeout) {
                Ok(connection) => return Ok(connection),
                Err(why) => {
                    said.push(format!("Sentinel {host}:{port}: {}", why.reason()));
                    last = why;
                }
            }
        }
        last.sentence = Some(said.join("; "));
        Err(last)
    }

    fn connect_by(
        &self,
        host: &str,
        port: u16,
        info: &ConnectionInfo,
        timeout: Duration,
    ) -> Result<Connection, Unreached> {
        let bare = info.clone().set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
        let mut sentinel = self.connect_to(self.at(host, port), &bare, timeout)?;
        let mut call = cmd("SENTINEL");
        call.arg("GET-MASTER-ADDR-BY-NAME").arg(self.master());
        let (host, port) = match call.query::<Option<(String, u16)>>(&mut sentinel) {
            Ok(Some(place)) => place,
            Ok(None) => return Err(Unreached::saying("it knows no master of this name".into())),
            Err(error) if error.code() == Some("ERR") => {
                return Err(Unreached { error, sentence: Some("what answers there is no Sentinel".into()) });
            }
            Err(error) => return Err(error.into()),
        };
        let of_master = |error: RedisError| {
            let sentence = Some(format!("it names {host}:{port}: {}", reason(&error)));
            Unreached { error, sentence }
        };
        let mut master = self.connect_to(self.at(&host, port), info, timeout).map_err(of_master)?;
        match is_master(&mut master).map_err(of_master)? {
            true => Ok(master),
            false => Err(Unreached::saying(format!("it names {host}:{port}, which is no master"))),
        }
    }

    /// What the Sentinels call the server.
    fn master(&self) -> String {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => String::new(),
        }
    }

    /// Another place of the same kind.
    fn at(&self, host: &str, port: u16) -> ConnectionAddr {
        match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => {
                ConnectionAddr::TcpTls { host: host.into(), port, insecure: false, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host.into(), port),
        }
    }

    /// Whether what is said can be read on the way to a place that is none of a private network.
    pub(in crate::store) fn is_exposed(&self) -> bool {
        let ConnectionAddr::Tcp(host, _) = self.info.addr() else { return false };
        match host.parse() {
            Ok(std::net::IpAddr::V4(ip)) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
            Ok(std::net::IpAddr::V6(ip)) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
            // A name with a dot may be anywhere; those of containers have none.
            Err(_) => {
                self.sentinels.is_empty()
                    && host.contains('.')
                    && !host.ends_with(".local")
                    && !host.ends_with(".internal")
            }
        }
    }
}

/// The place, the user and the password of an address that `config` has let pass, so that its scheme is known. The client's own reader
/// would bring a library for all kinds of URLs.
fn read(url: &str) -> Result<(ConnectionAddr, String, String), &'static str> {
    let plain = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("what follows % is no UTF-8"),
    };
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if scheme.ends_with("unix") {
        let of = |name: &str| plain(query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default());
        return Ok((ConnectionAddr::Unix(plain(rest)?.into()), of("user=")?, of("pass=")?));
    }
    let place = &rest[..rest.find('/').unwrap_or(rest.len())];
    let (login, place) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, port) = match place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| "the port is no number up to 65535")?),
        None => (place, PORT),
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    let place = match scheme {
        "rediss" | "valkeys" => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        _ => ConnectionAddr::Tcp(host, port),
    };
    Ok((place, plain(user)?, plain(password)?))
}

fn is_master(connection: &mut Connection) -> RedisResult<bool> {
    let role: redis::Value = cmd("ROLE").query(connection)?;
    let redis::Value::Array(parts) = &role else { return Ok(false) };
    Ok(matches!(parts.first(), Some(redis::Value::BulkString(word)) if word == b"master"))
}

/// For logs: without a login.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sentinels.is_empty() {
            true => write!(f, "{}", self.info.addr()),
            false => write!(f, "{} of the Sentinels", self.master()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionAddr, read};

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (url, place, user, password) in [
            ("redis://localhost", "localhost:6379", "", ""),
            ("valkey://h:7000/", "h:7000", "", ""),
            ("redis://:p%40ss@10.0.0.1:6380/0", "10.0.0.1:6380", "", "p@ss"),
            ("rediss://me:a:b@h.example:6380?x=1", "h.example:6380", "me", "a:b"),
            ("redis://me@[::1]:6380", "::1:6380", "me", ""),
            ("redis://a@b:c@[::1]", "::1:6379", "a@b", "c"),
            ("redis+unix:///run/a%20b.sock?db=0&user=me&pass=p%26q", "/run/a b.sock", "me", "p&q"),
            ("unix:///run/s", "/run/s", "", ""),
        ] {
            let (found, name, secret) = read(url).unwrap();
            assert_eq!((found.to_string().as_str(), name.as_str(), secret.as_str()), (place, user, password), "{url}");
            assert_eq!(matches!(found, ConnectionAddr::TcpTls { .. }), url.starts_with("rediss"), "{url}");
        }
        for url in ["redis://h:99999", "redis://h:", "redis://h:x", "redis://%ff@h"] {
            assert!(read(url).is_err(), "{url}");
        }
    }
}
