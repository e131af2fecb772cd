//! What comes before the first request of a connection: a proxy's word on whose it is, and the TLS handshake. Both are read
//! by the front as their bytes come, and have the time of a head.

use super::Refusal;
use super::proxy_protocol::{self, Found};
use super::server::Shared;
use super::socket::Socket;
use super::tls;
use std::io::{self, Read as _};
use std::net::IpAddr;

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) proxied: bool,
    pub(super) encrypted: bool,
}

/// How far it came.
pub(super) enum Opened {
    Wait,
    /// Requests may follow.
    Done,
    /// The client is told so, as it speaks HTTP in clear.
    Refused(Refusal),
    /// TLS has told the client what is wrong.
    Failed,
    Close,
}

const NEEDS_TLS: Refusal = Refusal {
    status: 400,
    message: std::borrow::Cow::Borrowed(
        "This plain HTTP request came to a port that speaks HTTPS: write https:// in the address.",
    ),
    code: Some("https_required"),
};

impl Opening {
    /// Reads what is there. `peer` becomes the address that the proxy names.
    pub(super) fn advance(&mut self, socket: &mut Socket, peer: &mut IpAddr, shared: &Shared) -> Opened {
        if self.proxied {
            match take_header(socket, peer) {
                Ok(true) => self.proxied = false,
                Ok(false) => return Opened::Wait,
                Err(error) => return closed(error, *peer, shared),
            }
        }
        match (self.encrypted, &shared.certificates) {
            (true, Some(certificates)) => shake(socket, certificates, *peer, shared),
            _ => Opened::Done,
        }
    }
}

/// Whether the header is there and was taken.
fn take_header(socket: &Socket, peer: &mut IpAddr) -> io::Result<bool> {
    let mut bytes = [0; proxy_protocol::LONGEST];
    let count = socket.tcp.peek(&mut bytes)?;
    match proxy_protocol::read(&bytes[..count]) {
        Found::Header(length, source) => {
            // These bytes are there, as was just seen.
            (&socket.tcp).read_exact(&mut bytes[..length])?;
            *peer = source.map_or(*peer, |source| source.to_canonical());
            Ok(true)
        }
        Found::Partial if count > 0 => Ok(false),
        Found::Partial => Err(io::ErrorKind::UnexpectedEof.into()),
        Found::Wrong => Err(io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol")),
    }
}

fn shake(socket: &mut Socket, certificates: &tls::Certificates, peer: IpAddr, shared: &Shared) -> Opened {
    if socket.tls.is_none() {
        let mut first = [0];
        match socket.tcp.peek(&mut first) {
            Err(error) => return closed(error, peer, shared),
            Ok(0) => return Opened::Close,
            Ok(_) if first[0] == tls::HANDSHAKE => {}
            Ok(_) if first[0].is_ascii_alphabetic() => {
                if shared.foreign.is_due() {
                    log::info!("http: {peer} speaks plain HTTP where TLS is spoken; others are not told");
                }
                return Opened::Refused(NEEDS_TLS);
            }
            Ok(_) => return closed(io::Error::new(io::ErrorKind::InvalidData, "no TLS"), peer, shared),
        }
        socket.tls = certificates.session().map(Box::new);
    }
    let Some(session) = &socket.tls else { return Opened::Close };
    match session.shake(&socket.tcp) {
        Ok(true) => Opened::Done,
        Ok(false) => Opened::Wait,
        Err(error) => {
            let opened = closed(error, peer, shared);
            if matches!(opened, Opened::Failed) {
                // What else comes is discarded as it is.
                socket.tls = None;
            }
            opened
        }
    }
}

/// What an error means. Strangers cause it, so it is told now and then.
fn closed(error: io::Error, peer: IpAddr, shared: &Shared) -> Opened {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Opened::Wait,
        io::ErrorKind::InvalidData => {
            if shared.foreign.is_due() {
                log::info!("http: a connection of {peer} did not begin as it should: {error}; others are not told");
            }
            Opened::Failed
        }
        _ => Opened::Close,
    }
}
