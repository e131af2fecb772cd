//! TLS on the listener: sessions over non-blocking sockets, and the certificate that is shown. The front does the
//! handshakes; nothing here has a thread, and no session holds more than a record in each direction.

mod certificates;

pub use certificates::Certificates;

use mio::net::TcpStream;
use parking_lot::Mutex;
use rustls::ServerConnection;
use std::io::{self, IoSlice, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of answers that may be encrypted and wait for room: a slow reader costs no more. A record holds as many.
const OUTGOING: usize = 16 * 1024;
/// The first byte of a record in which a handshake begins (RFC 8446 section 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// A client's session. The lock is held for one read or write, and front and worker do not use it at the same time.
pub(super) struct Session {
    connection: Mutex<ServerConnection>,
    /// An answer broke off, so its end must not look like one.
    silent: AtomicBool,
}

impl Session {
    fn new(mut connection: ServerConnection) -> Session {
        connection.set_buffer_limit(Some(OUTGOING));
        Session { connection: Mutex::new(connection), silent: AtomicBool::new(false) }
    }

    /// Goes on with the handshake; true once it is done. An error has been told the client.
    pub(super) fn shake(&self, mut tcp: impl Read + Write) -> io::Result<bool> {
        let mut session = self.connection.lock();
        while session.is_handshaking() {
            receive(&mut session, &mut tcp)?;
        }
        Ok(true)
    }

    /// Whether what costs in its handshake is behind it: keys are agreed on and the certificate is signed. TLS 1.2 has more to come.
    pub(super) fn is_agreed(&self) -> bool {
        let session = self.connection.lock();
        session.negotiated_cipher_suite().is_some_and(|suite| suite.tls13().is_some())
    }

    pub(super) fn read(&self, mut tcp: impl Read + Write, into: &mut [u8]) -> io::Result<usize> {
        let mut session = self.connection.lock();
        match decrypted(&mut session, into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        receive(&mut session, &mut tcp)?;
        match decrypted(&mut session, into) {
            // A part of a record, or one without data.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::Interrupted.into()),
            read => read,
        }
    }

    pub(super) fn write_vectored(&self, mut tcp: &TcpStream, pieces: &[IoSlice]) -> io::Result<usize> {
        let mut session = self.connection.lock();
        send(&mut session, &mut tcp)?;
        let taken = session.writer().write_vectored(pieces)?;
        match send(&mut session, &mut tcp) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    pub(super) fn flush(&self, mut tcp: &TcpStream) -> io::Result<()> {
        send(&mut self.connection.lock(), &mut tcp)
    }

    /// Without it the end would look like a connection that was cut.
    pub(super) fn say_goodbye(&self, mut tcp: &TcpStream) {
        let mut session = self.connection.lock();
        if session.is_handshaking() || self.silent.load(Ordering::Acquire) {
            return;
        }
        session.send_close_notify();
        // It is short, and who has no room for it does not read.
        let _ = send(&mut session, &mut tcp);
    }

    /// Has nothing said at the end.
    pub(super) fn be_silent(&self) {
        self.silent.store(true, Ordering::Release);
    }
}

/// What has been decrypted and not been read. A client need not say that it sends no more: requests tell their own end.
fn decrypted(session: &mut ServerConnection, into: &mut [u8]) -> io::Result<usize> {
    match session.reader().read(into) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// Reads once from the socket, and answers what belongs to TLS alone.
fn receive(session: &mut ServerConnection, tcp: &mut (impl Read + Write)) -> io::Result<()> {
    let ended = session.read_tls(tcp)? == 0;
    let processed = session.process_new_packets();
    let sent = send(session, tcp);
    processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    match sent {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ if ended && session.is_handshaking() => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn send(session: &mut ServerConnection, tcp: &mut impl Write) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(tcp) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
