//! Gets media that a client named by address, without becoming the client's way into private networks.
//!
//! The guard sits in the resolver: it sees the addresses that a name, or a number in any notation, leads to, and the
//! connection is made to those very addresses, so that no second lookup can lead elsewhere. Redirects are followed here,
//! each through the same guard. The environment's proxy is not used, since it would look names up itself, behind the
//! guard; where the internet is reachable through a proxy only, media cannot be fetched by address.

mod address;
mod location;
mod media;
#[cfg(test)]
mod tests;

use super::agent::USER_AGENT;
use super::cancel::CancelConnector;
use super::tcp::TcpConnector;
use crate::api::Fetch;
use crate::os::room;
use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::{Response, Uri, header};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, RustlsConnector};
use ureq::{Agent, Body, Error};

/// Gemini takes 20 MB in a request, base64 included.
const MAX_BYTES: usize = 20 << 20;
/// For everything: names, redirects, body.
const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;
const ACCEPT: &str = "image/*, audio/*, video/*, application/pdf;q=0.9";

// One sentence for a private address, an unknown name and a closed port: a client must not learn which hosts exist in
// the network behind this program.
const UNREACHABLE: &str = "the address cannot be reached on the public internet";
const TOO_LARGE: &str = "the file is too large";
const TOO_SLOW: &str = "the file did not arrive in time";

/// Fetches media from the public internet.
#[derive(Debug)]
pub struct Fetcher {
    agent: Agent,
    max_bytes: usize,
    max_time: Duration,
}

impl Fetcher {
    /// A fetcher for public addresses.
    pub fn new() -> Fetcher {
        Fetcher::guarded(Guard { also: |_| false })
    }

    /// A fetcher that also reaches the addresses that `also` allows: for tests, whose servers are on this machine. No
    /// setting leads here.
    pub fn allowing(also: fn(SocketAddr) -> bool) -> Fetcher {
        Fetcher::guarded(Guard { also })
    }

    fn guarded(guard: Guard) -> Fetcher {
        let config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .accept(ACCEPT)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .input_buffer_size(32 << 10)
            .output_buffer_size(8 << 10);
        let connector = ().chain(TcpConnector).chain(CancelConnector).chain(RustlsConnector::default());
        let agent = Agent::with_parts(config.build(), connector, guard);
        Fetcher { agent, max_bytes: MAX_BYTES, max_time: MAX_TIME }
    }

    fn get(&self, uri: &Uri, deadline: Instant) -> Result<Response<Body>, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TOO_SLOW.into());
        }
        // This timeout includes the body. ureq starts a thread for the lookup then, which also bounds that.
        let request = self.agent.get(uri).config().timeout_global(Some(left)).build();
        request.call().map_err(|error| match error {
            Error::Timeout(_) => TOO_SLOW.into(),
            Error::Protocol(_) => "the server's answer is not valid HTTP".into(),
            Error::Tls(_) | Error::Rustls(_) => "the server's certificate or TLS is not valid".into(),
            _ => UNREACHABLE.into(),
        })
    }

    fn read(&self, response: Response<Body>) -> Result<(String, Vec<u8>), String> {
        let text = |name: header::HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        if text(header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err("the file is compressed, which was not asked for".into());
        }
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(TOO_LARGE.into());
        }
        let declared = text(header::CONTENT_TYPE).map(str::to_owned);
        let no_media = || "the address does not lead to an image, audio, video or PDF file".to_owned();
        // A page is refused before it is read. Undeclared bytes get the benefit of the doubt until then.
        if declared.is_some() && media::media_type(declared.as_deref(), b"%PDF-").is_none() {
            return Err(no_media());
        }
        // It is made base64, and that is written into a request.
        let most = length.map_or(self.max_bytes, |length| length as usize) * 4;
        if !room::take(most) {
            return Err("the server has no memory left for a file of this size; try again in a moment".into());
        }
        let mut bytes = Vec::with_capacity(length.map_or(0, |length| length as usize));
        let body = response.into_body().into_reader();
        body.take(self.max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() > self.max_bytes {
            return Err(TOO_LARGE.into());
        }
        room::give_back(most.saturating_sub(bytes.len() * 4));
        if bytes.is_empty() {
            return Err("the file is empty".into());
        }
        let media_type = media::media_type(declared.as_deref(), &bytes).ok_or_else(no_media)?;
        Ok((media_type, bytes))
    }
}

impl Default for Fetcher {
    fn default() -> Fetcher {
        Fetcher::new()
    }
}

impl Fetch for Fetcher {
    /// At most 20 MiB, 10 s and 3 redirects. Ends early in a [`super::cancel::scope`] whose client left.
    fn fetch(&self, url: &str) -> Result<(String, Vec<u8>), String> {
        let deadline = Instant::now() + self.max_time;
        let mut uri = location::parse(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.get(&uri, deadline)?;
            match response.status().as_u16() {
                200 => return self.read(response),
                301 | 302 | 303 | 307 | 308 => {
                    let leads = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                    uri = location::redirect(&uri, leads.ok_or("the server redirects to nowhere")?)?;
                }
                status => return Err(format!("the server answered with status {status}")),
            }
        }
        Err("the address redirects too often".into())
    }
}

fn broken(error: io::Error) -> String {
    match error.downcast::<Error>() {
        Ok(Error::Timeout(_)) => TOO_SLOW.into(),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => TOO_SLOW.into(),
        _ => "the connection broke before the file was complete".into(),
    }
}

/// Resolves names and refuses those that lead anywhere but to the public internet. One refused address of several is
/// enough: a name that mixes both kinds was made to deceive.
struct Guard {
    also: fn(SocketAddr) -> bool,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if found.iter().all(|address| address::is_public(address.ip()) || (self.also)(*address)) {
            return Ok(found);
        }
        Err(Error::HostNotFound)
    }
}
