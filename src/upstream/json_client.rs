//! Plain calls beside generation, for the commands in the terminal: is an address reachable, and JSON to and from a running
//! proxy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io;
use std::time::Duration;
use ureq::{Agent, Body, Error, RequestBuilder, http};

/// No answer of these is longer.
const LIMIT: u64 = 4 << 20;

/// User and password of a Basic login.
pub type Login<'a> = Option<(&'a str, &'a str)>;

/// Whether anything answers HTTP at this address; if not, why and what to do, in one sentence.
pub fn reach(agent: &Agent, url: &str, limit: Duration) -> Result<(), String> {
    let answer = agent.get(url).config().timeout_global(Some(limit)).build().call();
    answer.map(drop).map_err(|error| match outgoing(agent, url) {
        Some(proxy) => format!("by the outgoing proxy {proxy} (proxy_url, or HTTPS_PROXY): {}", advice(&error)),
        None => advice(&error),
    })
}

/// Where the proxy listens by which this address is asked.
fn outgoing(agent: &Agent, url: &str) -> Option<String> {
    let (proxy, url) = (agent.config().proxy()?, url.parse().ok()?);
    (!proxy.is_no_proxy(&url)).then(|| format!("{}:{}", proxy.host(), proxy.port()))
}

/// GET. Status, and the body if it is JSON.
pub fn get_json(agent: &Agent, url: &str, login: Login<'_>) -> Result<(u16, Value), String> {
    read(with(login, agent.get(url)).call())
}

/// POST. Status, and the body if it is JSON.
pub fn post_json(agent: &Agent, url: &str, login: Login<'_>, body: &Value) -> Result<(u16, Value), String> {
    read(with(login, agent.post(url).header("Content-Type", "application/json")).send(body.to_string()))
}

fn with<B>(login: Login<'_>, request: RequestBuilder<B>) -> RequestBuilder<B> {
    login.into_iter().fold(request, |request, login| request.header("Authorization", basic(login)))
}

/// What stands in the field `Authorization`.
pub(super) fn basic((username, password): (&str, &str)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn read(answer: Result<http::Response<Body>, Error>) -> Result<(u16, Value), String> {
    let mut answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(LIMIT).read_to_vec().map_err(|error| error.to_string())?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn advice(error: &Error) -> String {
    match error {
        Error::HostNotFound => "the name cannot be resolved; check DNS and the network".into(),
        Error::Timeout(_) => {
            "no answer in time; check the firewall, or set HTTPS_PROXY if this network needs a proxy".into()
        }
        Error::ConnectProxyFailed(reason) => {
            format!("the outgoing proxy refuses the connection ({reason}); check HTTPS_PROXY and NO_PROXY")
        }
        Error::InvalidProxyUrl => "the outgoing proxy's address is wrong; correct HTTPS_PROXY".into(),
        Error::Tls(reason) => tls(reason),
        Error::Rustls(reason) => tls(&reason.to_string()),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => advice(inner),
            None if error.kind() == io::ErrorKind::InvalidData => tls(&error.to_string()),
            None if is_lookup(error) => "the name cannot be resolved; check DNS and the network".into(),
            None => format!("no connection ({error}); check the network, the firewall and HTTPS_PROXY"),
        },
        Error::ConnectionFailed => "no connection; check the network, the firewall and HTTPS_PROXY".into(),
        error => format!("no usable answer ({error}); check the address in endpoints"),
    }
}

fn tls(reason: &str) -> String {
    format!("TLS fails ({reason}); check this machine's clock, and programs that open TLS on the way")
}

/// The standard library has no kind for a failed lookup.
fn is_lookup(error: &io::Error) -> bool {
    error.to_string().contains("lookup address")
}
