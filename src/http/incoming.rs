//! A request on its way in: the bytes of its head, its judgement, the bytes of its body. There is no socket here.

use super::caller::{OWN_PART, Part};
use super::chunked::{ChunkError, Decoder, is_name_byte};
use super::counters::BodyShare;
use super::head::{self, Framing, Head};
use super::refusal::Refusal;
use super::request::{Request, request_id};
use super::server::{Admitted, Limits, Shared};
use super::{CancelToken, Response};
use std::net::IpAddr;
use std::time::Instant;

/// Bytes of empty lines that may stand before a request line (RFC 9112 section 2.2 asks for tolerance).
const MAX_LEADING: usize = 8;
/// Reserved for a body when its head has come; more is reserved only for bytes that arrived (docs/crates.md "What a
/// listener must survive").
const FIRST_RESERVE: usize = 64 * 1024;

/// What a client has sent and nobody has understood yet.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// How much of `bytes` is known to hold no end of a head.
    scanned: usize,
    leading: usize,
    /// The request in hand asks for a head alone, so a refusal has no body. Known even of a head that is refused.
    pub(super) is_head: bool,
}

impl Input {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes wait.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing of a further request has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.leading == 0
    }

    /// Whether a further request has begun; empty lines before it do not count.
    pub(super) fn has_begun(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Takes out the next head once it is whole.
    pub(super) fn take_head(&mut self, max_head: usize) -> Result<Option<Head>, Refusal> {
        if self.scanned == 0 {
            let leading = self.bytes.chunks_exact(2).take_while(|line| *line == b"\r\n").count() * 2;
            self.bytes.drain(..leading);
            self.leading += leading;
            if self.leading > MAX_LEADING {
                return Err(Refusal::bad_request("There are too many empty lines before the request."));
            }
        }
        if self.bytes == b"\r" {
            return Ok(None);
        }
        // Every method begins with a letter (RFC 9110 section 9.1), TLS, SOCKS and the second PROXY protocol do not.
        if self.bytes.first().is_some_and(|first| !is_name_byte(*first)) {
            return Err(Refusal::not_http());
        }
        self.is_head = self.bytes.starts_with(b"HEAD ");
        let end = head::end(&self.bytes, self.scanned);
        if head::request_line_is_too_long(&self.bytes) {
            return Err(Refusal::new(414, "The request line is too long."));
        }
        if end.unwrap_or(self.bytes.len()) > max_head {
            return Err(Refusal::new(431, "The request head is too large."));
        }
        let Some(end) = end else {
            if head::begins_without_version(&self.bytes) {
                return Err(Refusal::not_http());
            }
            self.scanned = self.bytes.len();
            return Ok(None);
        };
        let head = head::parse(&self.bytes[..end])?;
        self.discard(end);
        self.scanned = 0;
        self.leading = 0;
        Ok(Some(head))
    }

    fn discard(&mut self, count: usize) {
        self.bytes.drain(..count);
        if self.bytes.is_empty() {
            // An idle connection holds no memory.
            self.bytes = Vec::new();
        }
    }
}

/// A request that no worker answers.
pub(super) struct Refused {
    pub(super) response: Response,
    pub(super) id: Option<String>,
    pub(super) keep_alive: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { response: refusal.response(), id: None, keep_alive: false }
    }
}

/// A request whose head was judged good and whose body arrives.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) admitted: Admitted,
    /// HTTP/1.1.
    pub(super) is_11: bool,
    /// The client's wish.
    pub(super) keep_alive: bool,
    /// Of the requests that may be under way.
    pub(super) part: Part,
    pub(super) body_share: BodyShare,
    rest: Rest,
    /// When the body must be whole.
    pub(super) ends: Instant,
}

enum Rest {
    Bytes(u64),
    Chunks(Decoder),
}

impl Incoming {
    /// Has the head judged.
    pub(super) fn new(head: Head, peer: IpAddr, shared: &Shared) -> Result<Incoming, Refused> {
        let limits = &shared.limits;
        let Head { method, path, query, headers, is_11, keep_alive, framing, .. } = head;
        let (id, cancel) = (request_id(&headers), CancelToken::default());
        let mut request = Request { id, method, path, query, headers, body: Vec::new(), peer, cancel };
        let admitted = (shared.judge)(&request).map_err(|response| {
            // A body that comes all the same would be taken for the next request.
            let keep_alive = keep_alive && matches!(framing, Framing::None | Framing::Length(0));
            Refused { response, id: Some(request.id.clone()), keep_alive }
        })?;
        let refused = |refusal: Refusal| Refused {
            response: (admitted.refuse)(&refusal),
            id: Some(request.id.clone()),
            keep_alive: false,
        };
        let (rest, expected) = match framing {
            Framing::None => (Rest::Bytes(0), 0),
            Framing::Length(length) => (Rest::Bytes(length), usize::try_from(length).unwrap_or(usize::MAX)),
            Framing::Chunked => (Rest::Chunks(Decoder::new(limits.max_body)), 0),
        };
        if expected > limits.max_body {
            return Err(refused(Refusal::too_large(limits.max_body)));
        }
        let body_share =
            BodyShare { all: shared.body_bytes.hold_empty(), own: admitted.caller.body_bytes.hold_empty() };
        // Said before the upload rather than in the middle of it, where that can be known.
        body_share.room(expected, limits).map_err(refused)?;
        let mut part = Part::of(&shared.requests, &admitted.caller.requests);
        // Workers may still be busy with requests whose connections are gone, which takes nothing from one who is alone.
        let most = if admitted.is_alone { usize::MAX } else { limits.max_connections };
        if !part.take(most, admitted.is_alone) {
            return Err(refused(OWN_PART));
        }
        request.body.reserve_exact(expected.min(FIRST_RESERVE));
        let ends = Instant::now() + limits.body_timeout;
        Ok(Incoming { request, admitted, is_11, keep_alive, part, body_share, rest, ends })
    }

    /// How much of the body is here.
    pub(super) fn came(&self) -> usize {
        self.request.body.len()
    }

    /// Whether all of the body is here.
    pub(super) fn is_whole(&self) -> bool {
        match &self.rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunks(decoder) => decoder.is_done(),
        }
    }

    /// A refusal in the request's own dialect. Its connection is closed: what else comes of the body is nobody's.
    pub(super) fn refused(&self, refusal: &Refusal) -> Refused {
        Refused { response: (self.admitted.refuse)(refusal), id: Some(self.request.id.clone()), keep_alive: false }
    }

    /// Moves arrived bytes into the body.
    pub(super) fn take(&mut self, input: &mut Input, limits: &Limits) -> Result<(), Refusal> {
        let body = &mut self.request.body;
        let before = body.len();
        let used = match &mut self.rest {
            Rest::Bytes(left) => {
                let used = input.bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                body.extend_from_slice(&input.bytes[..used]);
                *left -= used as u64;
                used
            }
            Rest::Chunks(decoder) => decoder.decode(&input.bytes, body).map_err(|error| match error {
                ChunkError::Malformed => Refusal::bad_request("The chunked body is malformed."),
                ChunkError::TooLarge => Refusal::too_large(limits.max_body),
            })?,
        };
        input.discard(used);
        self.body_share.grow(body.len() - before, limits)
    }
}
