//! A complete request as the handlers see it: no socket in it, so a test builds one by hand.

use super::CancelToken;
use crate::os::random;
use std::net::IpAddr;

/// A request whose body has arrived whole.
#[derive(Debug)]
pub struct Request {
    /// `X-Request-ID`: the client's, when it is 1 to 128 visible ASCII characters, else a fresh UUID.
    pub id: String,
    /// Upper case, as sent: `GET`, `POST`, ...
    pub method: String,
    /// The path of the target, still percent-encoded, without query; begins with `/`.
    pub path: String,
    /// The query, still encoded, without `?`; empty when there is none.
    pub query: String,
    /// All header fields.
    pub headers: Headers,
    /// The decoded body, empty when there is none.
    pub body: Vec<u8>,
    /// The peer's address, IPv4-mapped IPv6 made plain IPv4.
    pub peer: IpAddr,
    /// Cancelled when the client hangs up while its answer is being made.
    pub cancel: CancelToken,
}

#[cfg(test)]
impl Request {
    /// A request from this machine; `target` may have a query.
    pub(crate) fn sample(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut fields = Headers::default();
        headers.iter().for_each(|(name, value)| fields.push(*name, *value));
        Request {
            id: "r".into(),
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: fields,
            body: Vec::new(),
            peer: IpAddr::from([127, 0, 0, 1]),
            cancel: CancelToken::default(),
        }
    }
}

/// Header fields in the order they came. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Puts one field in the place of all of this name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.push(name, value);
    }

    /// Takes all fields of this name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The client's request ID when it is fit for headers and logs, else a fresh one.
pub(super) fn request_id(headers: &Headers) -> String {
    match headers.get("x-request-id") {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) => id.into(),
        _ => uuid(),
    }
}

/// A random UUID (RFC 9562 version 4).
pub(super) fn uuid() -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = random::unique();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let (mut text, mut at) = ([b'-'; 36], 0);
    for byte in bytes {
        at += usize::from([8, 13, 18, 23].contains(&at));
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_request_id_is_kept() {
        let long = "x".repeat(129);
        for (given, kept) in [("abc-1", true), ("", false), ("a b", false), ("caf\u{e9}", false), (&long, false)] {
            let mut headers = Headers::default();
            headers.push("X-Request-Id", given);
            assert_eq!(request_id(&headers) == given, kept, "{given}");
        }
    }

    #[test]
    fn a_uuid_is_random_and_of_version_4() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_ne!(id, uuid());
    }

    #[test]
    fn header_names_compare_without_case_and_keep_their_order() {
        let mut headers = Headers::default();
        headers.push("Accept", "a");
        headers.push("accept", "b");
        assert_eq!(headers.get("ACCEPT"), Some("a"));
        assert_eq!(headers.all("accept").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers.iter().next(), Some(("Accept", "a")));
    }
}
