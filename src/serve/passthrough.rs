//! Passes the rest of Google's native API on to a credential with an API key, as it is: files, caches, uploads, other
//! methods of models. Knows what such a request needs on the way, but not what it means.
//!
//! Files and caches belong to the project of the key that made them, so everything a client does with them prefers the
//! credential that [`affinity`] chooses; where that one changes, dispatch asks the others, as a file of a stranger is refused.

use crate::api::gemini::error_response;
use crate::dispatch;
use crate::error::ApiError;
use crate::http::{EventWriter, Pings, Request, Responder, Response};
use crate::keys::{Key, Permit};
use crate::logging::{self, Field};
use crate::serve::app::App;
use crate::serve::ended;
use crate::serve::passing;
use crate::serve::route::Passthrough;
use crate::serve::tally::Tally;
use crate::serve::uploads;
use crate::upstream::{RawReply, RawRequest};
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

/// A reply up to this length goes out in one piece, with its length.
const SMALL: usize = 256 << 10;
/// One read of a longer one.
const PIECE: usize = 64 << 10;

/// The name by which everything that this client key does with files and caches finds the same credential.
pub fn affinity(key: &str) -> String {
    format!("files of {key}")
}

/// Answers one request, whose caller presented this client key; the permit is for all the time until the reply is out.
pub(super) fn pass_on(
    app: &App,
    key: &Arc<Key>,
    permit: &Permit,
    target: &Passthrough,
    mut request: Request,
    responder: Responder,
) {
    let started = Instant::now();
    let Passthrough { path, resource, .. } = target;
    let asked = RawRequest {
        method: &request.method,
        path,
        query: &uploads::without_voucher(app, &request.query),
        headers: &request.headers,
        body: &request.body,
    };
    let (status, credential) =
        match app.dispatcher.send_raw(&asked, resource, Some(&affinity(&key.name)), &request.cancel) {
            Ok((lease, mut reply)) => {
                // Nobody asks again, and the reply may take minutes.
                request.body = Vec::new();
                uploads::readdress(&mut reply, app, &request, key);
                let tally = (!passing::is_free(target, &request)).then(|| Tally::new(permit));
                (relay(reply, tally, &request, responder), lease.name)
            }
            Err(error) => {
                let error = ended::early(&request.cancel).unwrap_or(error);
                responder.respond(error_response(&error));
                (error.status, String::new())
            }
        };
    let ms = started.elapsed().as_millis() as u64;
    app.usage.note("forward", resource, status);
    logging::access(&[
        ("key", (&*key.name).into()),
        ("surface", "forward".into()),
        ("path", Field::from(path)),
        ("credential", Field::from(&credential)),
        ("status", status.into()),
        ("ms", ms.into()),
    ]);
}

/// Sends the reply; returns the status for the log.
fn relay(reply: RawReply, mut tally: Option<Tally<'_>>, request: &Request, responder: Responder) -> u16 {
    let _watch = dispatch::watch(&request.cancel);
    let RawReply { status, mut headers, reader } = reply;
    if matches!(status, 204 | 304) {
        responder.respond(Response { status, headers, ..Response::default() });
        return status;
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    headers.retain(|(name, _)| name != "content-length");
    let pings = Pings { piece: b"", first_after: None, every: None };
    let sent = match length {
        Some(length) if length <= SMALL && request.method != "HEAD" => {
            let mut body = Vec::with_capacity(length);
            match reader.take(SMALL as u64).read_to_end(&mut body) {
                Ok(_) => {
                    tally.iter_mut().for_each(|tally| tally.read(&body));
                    responder.respond(Response { status, headers, body, ..Response::default() });
                    return status;
                }
                Err(_) => Err(responder.events(status, headers, pings)),
            }
        }
        _ => pass(reader, tally, responder.events(status, headers, pings)),
    };
    match sent {
        Ok(()) => status,
        // Where something was sent, dropping the writer cuts the connection: the client sees that the rest is missing.
        Err(writer) if writer.head_sent() => ended::early(&request.cancel).map_or(499, |error| error.status),
        Err(writer) => {
            let error = match ended::early(&request.cancel) {
                Some(error) => error,
                None if request.cancel.is_cancelled() => return 499,
                None => ApiError::server(502, "upstream_incomplete", "upstream: the answer broke off before its end"),
            };
            // Cannot fail: no head was sent.
            let _ = writer.replace_with(error_response(&error));
            error.status
        }
    }
}

/// Sends each piece when it comes; a broken writer comes back.
fn pass(
    mut reader: Box<dyn Read + Send>,
    mut tally: Option<Tally<'_>>,
    mut writer: EventWriter,
) -> Result<(), EventWriter> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            // A client that left now has left: it has everything.
            Ok(0) => {
                let _ = writer.finish();
                return Ok(());
            }
            Ok(length) => {
                // Before the client has it: who has an answer finds it counted.
                tally.iter_mut().for_each(|tally| tally.read(&piece[..length]));
                if writer.write(&piece[..length]).is_err() {
                    return Err(writer);
                }
            }
            Err(_) => return Err(writer),
        }
    }
}
