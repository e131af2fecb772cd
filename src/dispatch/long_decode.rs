//! Reads the events of an answer, over as many calls as it takes. All of them go to the credential that began: whether
//! the state of an answer is of use to another one is not known (docs/gemini-4.md "Rules for Gemini 4").

use super::failover::{linger, pause};
use super::hops::{Diverged, Follows, Hops, MOST_FAILURES, TOKEN};
use super::{Dispatched, Dispatcher};
use crate::api::Call;
use crate::credentials::{Kind, Lease};
use crate::gemini::{Response, Tier, UsageMetadata};
use crate::upstream::error::{CoolDown, Then};
use crate::upstream::{Event, EventStream, Fault, Verdict, cancel};
use serde_json::Value;
use std::time::Duration;

/// The longest wait before a hop is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Takes out of a request what it says of an earlier attempt; a client's own is left as it is.
pub(super) fn forget(call: &mut Call) {
    if call.serves.is_some() {
        call.request.other.shift_remove(TOKEN);
    }
}

/// For an answer that may be long.
pub(super) fn begin(call: &Call) -> Option<Box<Hops>> {
    if !call.long_decode {
        return None;
    }
    let config = call.request.generation_config.as_ref();
    let limit = config.and_then(|config| config.other.get("maxOutputTokens")).and_then(Value::as_u64);
    Some(Box::new(Hops::new(limit)))
}

impl Dispatched {
    /// Whether its request may be needed again.
    pub fn may_go_on(&self) -> bool {
        self.hops.is_some()
    }

    /// The next event of the present call.
    fn read(&mut self) -> Result<Option<Event>, Fault> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.next_event(),
        }
    }

    /// What one of its events says. Which capacity serves stands in some answers in their head only.
    pub fn parse<'a>(&self, event: &'a Event) -> Result<Response<'a>, Fault> {
        let mut parsed = event.read()?;
        if let Some(tier) = self.tier() {
            parsed.usage_metadata.get_or_insert_default().service_tier.get_or_insert(tier);
        }
        Ok(parsed)
    }

    /// The capacity that serves it, where Google's head says so.
    pub fn tier(&self) -> Option<Tier> {
        self.rest.tier()
    }

    /// What Google counted and the events do not tell.
    pub fn unseen(&self) -> UsageMetadata {
        self.hops.as_ref().map(|hops| hops.unseen()).unwrap_or_default()
    }
}

impl Dispatcher {
    /// Waits for the next event of the answer to `call`, under a [`cancel::scope`] of its request. `None` is a proper end
    /// of what Google sent; whether the answer was complete shows in its finish reason only.
    pub fn next_event(&self, answer: &mut Dispatched, call: &mut Call) -> Result<Option<Event>, Fault> {
        match answer.hops.take() {
            None => answer.read(),
            Some(mut hops) => {
                let event = self.next_of_hops(answer, &mut hops, call);
                answer.hops = Some(hops);
                event
            }
        }
    }

    /// Not a part of its caller, whose place on the stack each stream keeps while it waits.
    #[inline(never)]
    fn next_of_hops(&self, answer: &mut Dispatched, hops: &mut Hops, call: &mut Call) -> Result<Option<Event>, Fault> {
        loop {
            let follows = hops.follows();
            if follows == Follows::End {
                return Ok(None);
            }
            let read = answer.read();
            let failed = match (read, follows) {
                (Err(Fault::Cancelled), _) => return Err(Fault::Cancelled),
                (Ok(Some(event)), _) => {
                    return Ok(Some(hops.take(event).unwrap_or_else(|Diverged| {
                        log::warn!("[ApiClient] Google repeats a long answer in other words. It ends here.");
                        hops.ending()
                    })));
                }
                (_, Follows::Rest) => return Ok(None),
                (_, Follows::Hop) => None,
                (read, _) if !hops.can_go_on() => return read,
                (Ok(None), _) => Some(Fault::Incomplete("it has no finish reason".into())),
                (Err(fault), _) => Some(fault),
            };
            match self.go_on(&answer.lease, call, hops, failed)? {
                Some(events) => answer.rest = events,
                None => return Ok(Some(hops.ending())),
            }
        }
    }

    /// Asks for the next hop, or for the present one again if it failed. `None`: there is no more to be had.
    fn go_on(
        &self,
        lease: &Lease,
        call: &mut Call,
        hops: &mut Hops,
        mut failed: Option<Fault>,
    ) -> Result<Option<EventStream>, Fault> {
        loop {
            if let Some(fault) = failed {
                let mut verdict = fault.verdict();
                self.report(lease, &call.model, &mut verdict);
                hops.failures += 1;
                let pause = pause_after(&verdict, hops.failures);
                let what = if pause.is_some() { "Asking for it again." } else { "The answer ends here." };
                log::warn!(
                    "[ApiClient] A part of a long answer failed for {}. {what} ({})",
                    lease.name,
                    verdict.reason
                );
                match pause {
                    Some(pause) => linger(pause, &cancel::cancelled)?,
                    None => return Ok(None),
                }
            }
            call.request.other.insert(TOKEN.into(), hops.begin().into());
            failed = match self.ask_for_hop(lease, call) {
                Ok(events) => return Ok(Some(events)),
                Err(Fault::Cancelled) => return Err(Fault::Cancelled),
                Err(fault) => Some(fault),
            };
        }
    }

    fn ask_for_hop(&self, lease: &Lease, call: &Call) -> Result<EventStream, Fault> {
        let no_token = |_| Fault::Connect("there is no token".into());
        let upstream = self.upstream(lease.kind);
        let access = self.pool.access(lease.id).map_err(no_token)?;
        match upstream.send(&access, call) {
            // Tokens live for an hour, long answers may take longer.
            Err(fault) if lease.kind != Kind::ApiKey && fault.verdict().then == Then::Renew => {
                upstream.send(&self.pool.renew(lease.id, &access.secret).map_err(no_token)?, call)
            }
            result => result,
        }
    }
}

/// How long to wait before a hop is asked for once more, if that is of use.
fn pause_after(verdict: &Verdict, failures: u32) -> Option<Duration> {
    let is_of_use = match verdict.then {
        Then::Again => true,
        Then::Other => verdict.error.status == 429 && verdict.cool_down != CoolDown::Person,
        _ => false,
    };
    let told = match verdict.cool_down {
        CoolDown::Told(..) => verdict.duration,
        _ => None,
    };
    (is_of_use && failures <= MOST_FAILURES).then(|| told.unwrap_or(pause(failures)).min(LONGEST_PAUSE))
}
