//! A client's socket, whether its bytes are encrypted or not. It never blocks.

use super::tls;
use mio::net::TcpStream;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

pub(super) struct Socket {
    pub(super) tcp: TcpStream,
    /// `None`: bytes are as they are.
    pub(super) tls: Option<Box<tls::Session>>,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Socket {
        Socket { tcp, tls: None }
    }

    /// Reads what is there. [`io::ErrorKind::Interrupted`]: something came, and none of it is for us.
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.tcp).read(into),
            Some(session) => session.read(&self.tcp, into),
        }
    }

    /// Takes what the socket has room for; [`Socket::flush`] says whether all of it is with the kernel.
    pub(super) fn write_vectored(&self, pieces: &[IoSlice]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.tcp).write_vectored(pieces),
            Some(session) => session.write_vectored(&self.tcp, pieces),
        }
    }

    /// Sends what was encrypted and found no room.
    pub(super) fn flush(&self) -> io::Result<()> {
        match &self.tls {
            None => Ok(()),
            Some(session) => session.flush(&self.tcp),
        }
    }

    /// Whether all that was taken is with the kernel, or can never be.
    pub(super) fn is_flushed(&self) -> bool {
        !self.flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the client has sent something that was not read yet.
    pub(super) fn has_unread(&self) -> bool {
        self.tcp.peek(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Says that nothing more will be sent. False when the client is gone.
    pub(super) fn end(&self) -> bool {
        if let Some(session) = &self.tls {
            session.say_goodbye(&self.tcp);
        }
        self.tcp.shutdown(Shutdown::Write).is_ok()
    }

    /// Cuts it in both directions, so that reads and writes fail.
    pub(super) fn cut(&self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Has the close that follows look like a broken connection, where it would look like the end of an answer: without
    /// chunks only a reset tells the difference.
    pub(super) fn break_off(&self, has_chunks: bool) {
        if let Some(session) = &self.tls {
            session.be_silent();
        }
        if !has_chunks {
            let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(session) = &self.tls {
            session.say_goodbye(&self.tcp);
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.tcp.as_raw_fd()
    }
}
