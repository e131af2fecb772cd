//! The way to Google: an outgoing proxy, and whom to trust.

use super::value::{ConfigError, Field};
use crate::secret::Secret;
use percent_encoding::percent_decode_str;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::net::Ipv6Addr;

/// Which outgoing proxy is used.
#[derive(Clone, Debug, Default)]
pub enum ProxyChoice {
    /// `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, in this order and in either case, less what `NO_PROXY` names.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This address, which may hold a password.
    Fixed(Secret),
}

/// The choice of `proxy_url`. An address that does not read is not repeated, for the password that it may hold.
pub(super) fn proxy(field: &Field) -> Result<ProxyChoice, ConfigError> {
    const EXPECTED: &str = "an address such as http://proxy:3128 or socks5://user:password@proxy:1080";
    match field.text()?.as_deref().map(str::trim) {
        None => Ok(ProxyChoice::Environment),
        Some("") => Ok(ProxyChoice::Direct),
        Some(url) if is_proxy(url) => Ok(ProxyChoice::Fixed(Secret::new(url))),
        Some(_) => Err(ConfigError(format!("{}: expected {EXPECTED}", field.name))),
    }
}

/// Whether it is an address with nothing behind host and port; a path would be ignored silently.
fn is_proxy(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    let rest = rest.trim_end_matches('/');
    let (login, address) = rest.rsplit_once('@').unwrap_or(("", rest));
    let plain = |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
    let (host, port) = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, port))) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return false,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    known.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        && plain(login, "-._~!$&'()*+,;=:%")
        && percent_decode_str(login).decode_utf8().is_ok()
        && (address.starts_with('[') || !host.is_empty() && plain(host, "-._"))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

/// All certificates of the PEM file that `ca_file` names, as DER.
pub(super) fn authorities(field: &Field) -> Result<Option<Vec<Vec<u8>>>, ConfigError> {
    let Some(path) = field.filled()? else { return Ok(None) };
    let wrong = |reason: &str| ConfigError(format!("{}: {path}: {reason}", field.name));
    let text = std::fs::read(&path).map_err(|error| wrong(&error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&text).map(|found| found.map(|found| found.to_vec()));
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(|_| wrong("not valid PEM"))?;
    if certificates.is_empty() {
        return Err(wrong("there is no certificate in it"));
    }
    Ok(Some(certificates))
}
