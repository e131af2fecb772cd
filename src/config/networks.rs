//! Networks, as proxies are named by them, and how connections from them begin.

use super::TlsFiles;
use super::value::{ConfigError, Field};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// The addresses that have their first bits in common, such as `10.0.0.0/8`; a single one is a network too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is one of its.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }

    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.find('/') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = bits.map_or(Some(most), |bits| Some(bits).filter(is_number)?.parse().ok())?;
        // One of IPv4 may be written as IPv6 has it.
        let canonical = address.to_canonical();
        let bits = if canonical == address { bits } else { bits.checked_sub(96)? };
        (bits <= most).then_some(Network { address: canonical, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

pub(super) fn networks(field: &Field) -> Result<Vec<Network>, ConfigError> {
    let network = |item: Field| match item.value() {
        Value::String(text) => Network::parse(text.trim()).ok_or_else(|| item.wrong(EXPECTED, &item.value())),
        other => Err(item.wrong(EXPECTED, &other)),
    };
    field.items().into_iter().map(network).collect()
}

/// Both files. Who asks for TLS never gets a listener without it.
pub(super) fn tls(unknown: &mut Vec<String>, field: &Field) -> Result<Option<TlsFiles>, ConfigError> {
    let mut object = field.object()?;
    let [certificate, key] = ["cert", "key"].map(|name| object.take(name));
    let files = match (certificate.path()?, key.path()?) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) if field.value().is_null() => None,
        (None, None) => return Err(certificate.wrong("the path of a file", &Value::Null)),
        (None, _) => return Err(certificate.wrong("the path of a file beside key", &Value::Null)),
        (_, None) => return Err(key.wrong("the path of a file beside cert", &Value::Null)),
    };
    unknown.extend(object.unknown());
    Ok(files)
}

const EXPECTED: &str = "an address or a network such as 10.0.0.0/8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fe80::/10", "fe80::1", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::1", "::2", false),
        ] {
            assert_eq!(
                Network::parse(network).unwrap().contains(address.parse().unwrap()),
                expected,
                "{network} {address}"
            );
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/8",
            "host",
            "::1/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "[::1]",
            "fe80::1%eth0",
            "::ffff:10.0.0.0/8",
            "10.0.0.0/8/8",
            " ",
        ] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
