//! The one way to answer a request.

use super::caller::Part;
use super::event_writer::EventWriter;
use super::exchange::Exchange;
use super::refusal::internal_error;
use super::{Pings, Response};

/// The right to answer one request, once. Dropped without an answer it sends a 500, so that no client hangs.
pub struct Responder {
    /// Taken by the answer.
    exchange: Option<Box<Exchange>>,
}

impl Responder {
    pub(super) fn new(exchange: Exchange) -> Responder {
        Responder { exchange: Some(Box::new(exchange)) }
    }

    /// Adds a header field to whatever answer will be sent (CORS, for example). `X-Request-ID` is always there already.
    pub fn add_header(&mut self, name: &str, value: &str) {
        if let Some(exchange) = &mut self.exchange {
            exchange.headers.push((name.into(), value.into()));
        }
    }

    /// The same for fields as they stand in a head, see [`Response::fields`].
    pub fn add_fields(&mut self, fields: &'static str) {
        if let Some(exchange) = &mut self.exchange {
            exchange.fields = fields;
        }
    }

    /// Sends a whole answer. A peer that went away is not an error.
    pub fn respond(mut self, response: Response) {
        if let Some(exchange) = self.exchange.take() {
            exchange.respond(response);
        }
    }

    /// Begins an answer that is written piece by piece. Nothing is sent before the first piece, or before
    /// `pings.first_after` has passed.
    pub fn events(mut self, status: u16, headers: Vec<(String, String)>, pings: Pings) -> EventWriter {
        EventWriter::new(self.exchange.take().map(|exchange| *exchange), status, headers, pings)
    }

    /// Whether a worker is meant to have it.
    pub(super) fn is_admitted(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.slot.is_some())
    }

    /// Now a worker is.
    pub(super) fn admit(&mut self, slot: Part) {
        if let Some(exchange) = &mut self.exchange {
            exchange.slot = Some(slot);
        }
    }

    /// Lets go without an answer: the client is gone already.
    pub(super) fn abandon(mut self) {
        self.exchange = None;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.respond(internal_error());
        }
    }
}
