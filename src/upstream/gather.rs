//! Sends the head of a request together with its body. ureq writes one after the other, which is two system calls and two
//! packets where one would do, and wakes the other side twice.
//!
//! This sits between ureq's TCP and TLS layers: the first small piece after an answer is held back until the next piece
//! comes, or an answer is waited for.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Pieces of more bytes are not held back.
const SMALL: usize = 4 << 10;

/// Wraps what the connectors before it made.
#[derive(Debug, Default)]
pub(super) struct GatherConnector;

impl<In: Transport> Connector<In> for GatherConnector {
    type Out = Gathering<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Gathering<In>>, Error> {
        Ok(chained.map(|transport| Gathering { transport, held: Vec::new(), is_first: true }))
    }
}

/// A transport that sends the first piece with the second.
#[derive(Debug)]
pub(super) struct Gathering<T> {
    transport: T,
    held: Vec<u8>,
    /// Nothing was written since the last answer.
    is_first: bool,
}

impl<T: Transport> Gathering<T> {
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let count = self.held.len();
        if count == 0 {
            return Ok(());
        }
        self.transport.buffers().output()[..count].copy_from_slice(&self.held);
        self.held.clear();
        self.transport.transmit_output(count, timeout)
    }
}

impl<T: Transport> Transport for Gathering<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.transport.buffers().output();
        if std::mem::take(&mut self.is_first) && amount <= SMALL {
            self.held.extend_from_slice(&output[..amount]);
            return Ok(());
        }
        let held = self.held.len();
        if held + amount <= output.len() {
            output.copy_within(..amount, held);
            output[..held].copy_from_slice(&self.held);
            self.held.clear();
            return self.transport.transmit_output(held + amount, timeout);
        }
        let piece = output[..amount].to_vec();
        self.flush(timeout)?;
        self.transport.buffers().output()[..amount].copy_from_slice(&piece);
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.flush(timeout.for_write())?;
        self.is_first = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::unversioned::transport::LazyBuffers;

    /// Remembers what was sent, piece by piece.
    #[derive(Debug)]
    struct Wire {
        buffers: LazyBuffers,
        sent: Vec<Vec<u8>>,
    }

    impl Transport for Wire {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
            self.sent.push(self.buffers.output()[..amount].to_vec());
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    fn write(transport: &mut Gathering<Wire>, piece: &[u8]) {
        transport.buffers().output()[..piece.len()].copy_from_slice(piece);
        transport.transmit_output(piece.len(), NextTimeout::default()).unwrap();
    }

    #[test]
    fn a_head_waits_for_its_body_and_nothing_is_lost_or_reordered() {
        let big = vec![b'b'; 8 << 10];
        type Pieces<'a> = &'a [&'a [u8]];
        let cases: [(Pieces, Pieces); 5] = [
            (&[b"head", b"body"], &[b"headbody"]),
            (&[b"head"], &[b"head"]),
            (&[b"head", &big, b"rest"], &[b"head", &big, b"rest"]),
            (&[&big, b"rest"], &[&big, b"rest"]),
            (&[b"head", b"one", b"two"], &[b"headone", b"two"]),
        ];
        let wire = Wire { buffers: LazyBuffers::new(16, 8 << 10), sent: Vec::new() };
        let mut transport = Gathering { transport: wire, held: Vec::new(), is_first: true };
        for (pieces, sent) in cases {
            pieces.iter().for_each(|piece| write(&mut transport, piece));
            transport.await_input(NextTimeout::default()).unwrap();
            assert_eq!(std::mem::take(&mut transport.transport.sent), sent);
        }
    }
}
