//! An answer in pieces: Server-Sent Events, a JSON array that grows, a download passed through.

use super::Response;
use std::io;
use std::time::Duration;

/// What the keep-alive thread writes into a silent answer, and when.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// A piece that the answer's format ignores, such as `: keepalive\n\n`; empty: never write one.
    pub piece: &'static [u8],
    /// Send head and piece when nothing was sent for this long; `None`: the head waits for the first piece.
    pub first_after: Option<Duration>,
    /// Send the piece after this much silence once the head is out; `None`: never.
    pub every: Option<Duration>,
}

/// Writes one answer piece by piece, each piece in one write to the socket. Dropped without [`EventWriter::finish`] it
/// cuts the connection, so that the client can tell a broken answer from a whole one.
pub struct EventWriter {
    _todo: (),
}

impl EventWriter {
    /// Sends `piece` (with the head before it, in the same write, if the head is not out yet). An error means the client
    /// is gone or does not read; the answer is over.
    pub fn write(&mut self, _piece: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// Whether the head has been sent, by a piece or by a ping.
    pub fn head_sent(&self) -> bool {
        todo!()
    }

    /// Gives a whole answer instead, if nothing has been sent yet; else hands the writer back.
    pub fn replace_with(self, _response: Response) -> Result<(), EventWriter> {
        todo!()
    }

    /// Ends the answer properly; a kept-alive connection goes back to the front.
    pub fn finish(self) -> io::Result<()> {
        todo!()
    }
}
