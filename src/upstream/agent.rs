//! The one HTTP client of the program. Everything that talks to Google shares it: its connections, TLS sessions, name
//! cache and timeouts. The measured reasons for each setting are in docs/crates.md "ureq: latency and memory",
//! docs/crates.md "ureq: timeouts", docs/crates.md "ureq: names, connections and redirects".

use super::cancel::CancelConnector;
use super::tcp::TcpConnector;
use crate::config::{ProxyChoice, Timeouts};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, RustlsConnector, SocksConnector};
use ureq::{Agent, Error, Proxy};

/// What every request says this program is. It never claims to be another one.
pub const USER_AGENT: &str = concat!("gemini-openai-proxy/", env!("CARGO_PKG_VERSION"));

/// Google's front ends close idle connections after minutes; this stays well below.
const IDLE: Duration = Duration::from_secs(20);
/// One write of at most the output buffer.
const WRITE: Duration = Duration::from_secs(30);
/// Of TLS and of proxies; both are held per connection. A response head must fit in the first, each line of a request head
/// in the second; Google's heads have less than 4 KiB, its tokens at most 2 KiB.
const INPUT_BUFFER: usize = 8 << 10;
const OUTPUT_BUFFER: usize = 4 << 10;
/// How long a looked-up address is used.
const NAME_AGE: Duration = Duration::from_secs(60);

/// What the client is built from.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Connect and read timeouts.
    pub timeouts: Timeouts,
    /// How many calls can run at once: so many connections are kept.
    pub workers: usize,
    /// Outgoing proxy.
    pub proxy: ProxyChoice,
    /// The only certificate authorities to trust, as DER; `None`: Mozilla's, compiled in.
    pub authorities: Option<Vec<Vec<u8>>>,
}

/// Builds the client. Build it once: a second one shares neither connections nor TLS sessions.
pub fn build(options: &AgentOptions) -> Agent {
    let mut config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        // A redirect of an API call is a misconfigured endpoint, to be seen rather than followed with a token.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(options.timeouts.connect)
        // There is no timeout for a whole call: it would cut long answers, and ureq would start a thread for each
        // name lookup.
        .timeout_per_read(options.timeouts.read)
        .timeout_per_write(Some(WRITE))
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .max_idle_connections(options.workers)
        .max_idle_connections_per_host(options.workers)
        .max_idle_age(IDLE);
    // ureq's default is the environment's proxy.
    match &options.proxy {
        ProxyChoice::Environment => {}
        ProxyChoice::Direct => config = config.proxy(None),
        ProxyChoice::Fixed(url) => {
            let proxy = Proxy::new(url.expose()).expect("the config takes only what is an address here");
            config = config.proxy(Some(proxy));
        }
    }
    if let Some(authorities) = &options.authorities {
        let roots = authorities.iter().map(|der| Certificate::from_der(der).to_owned());
        config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(roots)).build());
    }
    // ureq's own chain, with our layers where they see the socket's waits and writes.
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector)
            .chain(CancelConnector)
            .chain(RustlsConnector::default());
    Agent::with_parts(config.build(), connector, CachingResolver::default())
}

/// Remembers addresses for a while: ureq resolves a name before every call, even for a kept connection. Failures are
/// not remembered.
#[derive(Debug, Default)]
struct CachingResolver {
    inner: DefaultResolver,
    known: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl Resolver for CachingResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let name = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        let Some(name) = name else { return self.inner.resolve(uri, config, timeout) };
        if let Some((since, addresses)) = self.known.lock().get(&name)
            && since.elapsed() < NAME_AGE
        {
            let mut found = self.empty();
            addresses.iter().for_each(|address| found.push(*address));
            return Ok(found);
        }
        let found = self.inner.resolve(uri, config, timeout)?;
        self.known.lock().insert(name, (Instant::now(), found.to_vec()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(resolver: &CachingResolver, uri: &str) -> Result<Vec<SocketAddr>, Error> {
        let uri: Uri = uri.parse().unwrap();
        resolver.resolve(&uri, &Config::default(), NextTimeout::default()).map(|found| found.to_vec())
    }

    #[test]
    fn a_name_is_looked_up_once_and_a_failure_again() {
        let resolver = CachingResolver::default();
        let first = resolve(&resolver, "http://127.0.0.1:9/a").unwrap();
        assert_eq!(first, ["127.0.0.1:9".parse().unwrap()]);
        let planted = vec!["127.0.0.2:9".parse().unwrap()];
        resolver.known.lock().get_mut("127.0.0.1:9").unwrap().1 = planted.clone();
        assert_eq!(resolve(&resolver, "http://127.0.0.1:9/b").unwrap(), planted, "from the cache");

        // A label of 64 bytes is refused before anything is asked of the network.
        assert!(resolve(&resolver, &format!("http://{}/", "a".repeat(64))).is_err());
        assert_eq!(resolver.known.lock().len(), 1, "a failure must not be remembered");

        let old = Instant::now().checked_sub(NAME_AGE).unwrap();
        resolver.known.lock().get_mut("127.0.0.1:9").unwrap().0 = old;
        assert_eq!(resolve(&resolver, "http://127.0.0.1:9/c").unwrap(), first, "an old entry is looked up again");
    }
}
