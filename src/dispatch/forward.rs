//! The raw pass-through of the native surface over the pool's API keys: the same failover, but the reply stays Google's.

use super::{Dispatcher, give_up};
use crate::credentials::{Kind, Lease, Report, Unavailable, Want};
use crate::error::ApiError;
use crate::http::Gone;
use crate::upstream::error::{Blame, Then};
use crate::upstream::{Fault, Forward, RawReply, cancel};
use std::io::Cursor;

impl Dispatcher {
    /// Passes a request on to the public API. A reply of any status comes back as it is, except where a credential is to
    /// blame: then the next one is asked. `resource` names what cool-downs are for, such as a model or `files`; requests
    /// of one `affinity` prefer the same member.
    pub fn forward(
        &self,
        request: &Forward<'_>,
        resource: &str,
        affinity: Option<&str>,
        gone: &Gone,
    ) -> Result<(Lease, RawReply), ApiError> {
        let _scope = cancel::scope(gone);
        let kind = Some(Kind::ApiKey);
        let mut tried = Vec::new();
        let mut last = None;
        for _ in 0..self.max_attempts {
            let lease = match self.pool.checkout(&Want { model: resource, kind, tried: &tried, affinity }) {
                Ok(lease) => lease,
                Err(unavailable) => {
                    return match last {
                        Some(Last::Reply(lease, reply)) => Ok((lease, reply)),
                        Some(Last::Error(error)) => Err(error),
                        None => Err(give_up(unavailable, kind, None)),
                    };
                }
            };
            tried.push(lease.id);
            let Ok(access) = self.pool.access(lease.id) else { continue };
            let reply = match self.upstream(Kind::ApiKey).forward(&access, request) {
                Ok(reply) if reply.status < 400 => {
                    self.pool.report(lease.id, resource, Report::Success);
                    return Ok((lease, reply));
                }
                Ok(reply) => reply,
                // No other member is asked: nobody knows whether an upload or a deletion was done.
                Err(fault) => return Err(fault.verdict().error),
            };
            let (status, headers) = (reply.status, reply.headers.clone());
            let (fault, body) = reply.refusal();
            if gone.is_set() {
                return Err(Fault::Gone.verdict().error);
            }
            let verdict = fault.verdict();
            let headers = headers.into_iter().filter(|(name, _)| name != "content-length").collect();
            let reply = RawReply { status, headers, reader: Box::new(Cursor::new(body)) };
            // A 404 is about the thing that was asked for, which another key may own.
            if verdict.error.status != 404 {
                self.report(&lease, resource, &verdict);
            }
            if !matches!(verdict.then, Then::Other | Then::Renew) {
                return Ok((lease, reply));
            }
            last = Some(match verdict.blame {
                Blame::Credential => Last::Error(verdict.error),
                _ => Last::Reply(lease, reply),
            });
        }
        match last {
            Some(Last::Reply(lease, reply)) => Ok((lease, reply)),
            Some(Last::Error(error)) => Err(error),
            None => Err(give_up(Unavailable::None, kind, None)),
        }
    }
}

/// What the client gets when nobody is left.
enum Last {
    Reply(Lease, RawReply),
    Error(ApiError),
}
