//! The one way to answer a request.

use super::{EventWriter, Pings, Response};

/// The right to answer one request, once. Dropped without an answer it sends a 500, so that no client hangs.
pub struct Responder {
    _todo: (),
}

impl Responder {
    /// Adds a header field to whatever answer will be sent (`X-Request-ID`, CORS).
    pub fn add_header(&mut self, _name: &str, _value: &str) {
        todo!()
    }

    /// Sends a whole answer. A peer that went away is not an error.
    pub fn respond(self, _response: Response) {
        todo!()
    }

    /// Begins an answer that is written piece by piece. Nothing is sent before the first piece, or before
    /// `pings.first_after` has passed.
    pub fn events(self, _status: u16, _headers: Vec<(String, String)>, _pings: Pings) -> EventWriter {
        todo!()
    }
}
