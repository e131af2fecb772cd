//! The parsers of client bytes and what must hold of them, for the targets in `fuzz/`. Compiled by `cargo fuzz` only.

use super::chunked::{ChunkError, Decoder};
use super::{head, proxy_protocol, query_value, target};
#[cfg(feature = "tls")]
use std::io::{self, Read as _, Write as _};

/// Small, so that it is reached.
const LIMIT: usize = 200;

/// Finds and parses a request head.
pub fn head(bytes: &[u8]) {
    let whole = head::end(bytes, 0);
    for first in 0..bytes.len().min(64) {
        let found = head::end(&bytes[..first], 0).or_else(|| head::end(bytes, first));
        assert_eq!(found, whole, "cut at {first}");
    }
    head::request_line_is_too_long(bytes);
    let Some(end) = whole else { return };
    match head::parse(&bytes[..end]) {
        Ok(head) => {
            assert!(head.path.starts_with('/') && !head.path.contains(['\r', '\n']));
            assert!(head.headers.iter().all(|(name, value)| !name.is_empty() && !value.contains(['\r', '\n', '\0'])));
            assert!(head.is_11 || !head.keep_alive);
        }
        Err(refusal) => assert!((400..600).contains(&refusal.status)),
    }
}

/// Decodes a body at once and byte by byte.
pub fn chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, 1), whole);
    assert_eq!(decode(bytes, 3), whole);
    assert!(whole.1.len() <= LIMIT);
}

/// Reads a header of the PROXY protocol.
pub fn proxy_protocol(bytes: &[u8]) {
    use proxy_protocol::{Found, LONGEST, read};
    let whole = read(bytes);
    if let Found::Header(length, _) = whole {
        assert!(length <= bytes.len() && length <= LONGEST);
        assert_eq!(read(&bytes[..length]), whole, "what follows is nobody's");
        (0..length).for_each(|cut| assert_eq!(read(&bytes[..cut]), Found::Partial, "cut at {cut}"));
    }
    assert!(whole != Found::Partial || bytes.len() < LONGEST, "who sends so much has said it all");
}

/// Reads a target and its query.
pub fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for name in ["key", "alt", "q", ""] {
        query_value(text, name);
    }
    let Ok(read) = target::parse("GET", text) else { return };
    assert!(read.path.starts_with('/') && !text.contains(['\r', '\n', '\0', ' ']));
    query_value(read.query, "key");
}

/// What a client says over TLS, in records and pieces as the input has it, some of it changed on the way.
#[cfg(feature = "tls")]
pub fn tls(bytes: &[u8]) {
    let Some(([how, at, with], said)) = bytes.split_first_chunk() else { return };
    let (certificates, config) = PARTIES.get_or_init(parties);
    let (server, mut wire) = (certificates.session().expect("a session"), Wire::new(said));
    if how & 1 == 1 {
        wire.incoming.extend(said);
        let shaken = server.shake(&mut wire);
        return assert!(shaken.is_err(), "nobody shakes hands with noise");
    }
    let name = "localhost".try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(config.clone(), name).expect("a client");
    // In which flight of the client's something is changed, if at all.
    let changed = usize::from(how >> 1 & 3);
    for flight in 1..4 {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("room");
        }
        change(&mut sent, changed == flight, *at, *with);
        wire.incoming.extend(sent);
        let shaken = loop {
            match server.shake(&mut wire) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wire.incoming.is_empty() => {}
                shaken => break shaken,
            }
        };
        let mut answer = &std::mem::take(&mut wire.outgoing)[..];
        while !answer.is_empty() {
            client.read_tls(&mut answer).expect("a reader");
            if client.process_new_packets().is_err() {
                return assert!(changed > 0, "what the server says is understood");
            }
        }
        match shaken {
            Ok(true) if !client.is_handshaking() => break,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return assert!(changed > 0, "{error}"),
            _ => {}
        }
    }
    if client.is_handshaking() {
        return assert!(changed > 0, "three flights are enough");
    }
    let mut sent = Vec::new();
    for piece in said.chunks(usize::from(*with) + 1) {
        client.writer().write_all(piece).expect("room");
        client.write_tls(&mut sent).expect("room");
    }
    change(&mut sent, changed == 3, *at, *with);
    wire.incoming.extend(sent);
    let (mut heard, mut piece) = (Vec::new(), [0; 700]);
    loop {
        match server.read(&mut wire, &mut piece) {
            Ok(count) => heard.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wire.incoming.is_empty() => {}
            Err(_) => break,
        }
    }
    assert!(said.starts_with(&heard), "nothing is heard that was not said");
    assert!(changed > 0 || heard.len() == said.len(), "{} of {} bytes", heard.len(), said.len());
}

#[cfg(feature = "tls")]
static PARTIES: std::sync::OnceLock<(super::Certificates, std::sync::Arc<rustls::ClientConfig>)> =
    std::sync::OnceLock::new();

#[cfg(feature = "tls")]
fn parties() -> (super::Certificates, std::sync::Arc<rustls::ClientConfig>) {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let file =
        |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls_listener").join(name);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).expect("PEM")).expect("an authority");
    let builder = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let certificates = super::Certificates::load(&file("first.pem"), &file("first.key")).expect("a certificate");
    (certificates, builder.with_no_client_auth().into())
}

/// Changes a byte.
#[cfg(feature = "tls")]
fn change(sent: &mut [u8], is_due: bool, at: u8, with: u8) {
    let length = sent.len().max(1);
    if let Some(byte) = sent.get_mut(usize::from(at) * 7 % length).filter(|_| is_due) {
        *byte ^= with | 1;
    }
}

/// A socket that gives what is there in pieces of odd lengths.
#[cfg(feature = "tls")]
struct Wire<'a> {
    incoming: std::collections::VecDeque<u8>,
    outgoing: Vec<u8>,
    lengths: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    stalls: bool,
}

#[cfg(feature = "tls")]
impl Wire<'_> {
    fn new(lengths: &[u8]) -> Wire<'_> {
        Wire { incoming: Default::default(), outgoing: Vec::new(), lengths: lengths.iter().cycle(), stalls: false }
    }
}

#[cfg(feature = "tls")]
impl io::Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.lengths.next().map_or(1, |length| usize::from(*length));
        // Nothing for now, as sockets say it, but not twice.
        self.stalls = most == 0 && !self.stalls;
        if self.stalls || self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = most.max(1);
        let count = most.min(into.len());
        self.incoming.read(&mut into[..count])
    }
}

#[cfg(feature = "tls")]
impl io::Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How it ended, the body, and how many bytes belonged to it.
fn decode(bytes: &[u8], piece: usize) -> (Result<bool, ChunkError>, Vec<u8>, usize) {
    let mut decoder = Decoder::new(LIMIT);
    let (mut body, mut used) = (Vec::new(), 0);
    for input in bytes.chunks(piece) {
        match decoder.decode(input, &mut body) {
            Ok(taken) => used += taken,
            // How far it came before the error is not part of the contract.
            Err(error) => return (Err(error), body, 0),
        }
        if decoder.is_done() {
            break;
        }
    }
    (Ok(decoder.is_done()), body, used)
}
