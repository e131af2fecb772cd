//! The whole policy of failover: what follows when a credential has failed a request.

use crate::upstream::Verdict;
use crate::upstream::error::{Blame, CoolDown, Then};
use std::time::Duration;

/// How often one request waits for trouble that is nobody's fault.
const MAX_WAITS: u32 = 2;

/// The bounds of one request, before the first byte of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Failures that send no credential to rest: Google's own trouble, a model that a credential does not know.
    pub attempts: u32,
    /// Credentials that are asked in all.
    pub credentials: u32,
    /// After this time no further credential is asked. An attempt that runs is not cut.
    pub patience: Duration,
}

/// How far a request has come, the failure in question included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub elapsed: Duration,
    /// Credentials asked.
    pub asked: u32,
    /// Failures among them that sent nobody to rest.
    pub counted: u32,
    pub waits: u32,
    /// The credential has a token that can still be refreshed for this request.
    pub can_renew: bool,
    /// Google may be asked the same again, even if nobody knows whether it did what it was asked.
    pub is_repeatable: bool,
    /// The model had no capacity for another request a moment ago.
    pub has_no_capacity: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask the same credential with a fresh token.
    Renew,
    /// Ask the same credential once the request is changed; if it cannot be changed, tell the client.
    Repair,
    /// Ask another credential.
    Other,
    /// Wait a moment, then ask another credential, or the same one if there is no other.
    Wait,
    /// Tell the client of this failure.
    Tell,
    /// The bounds are reached: tell the client that others are left.
    GiveUp,
}

/// Whether a failure is one of those that [`Bounds::attempts`] limits.
pub(super) fn is_counted(verdict: &Verdict) -> bool {
    match verdict.then {
        Then::Again => true,
        Then::Other | Then::Renew => {
            rests_nobody_yet(verdict) || !matches!(verdict.blame, Blame::Credential | Blame::CredentialAndModel)
        }
        Then::Stop | Then::Unsign | Then::Fill | Then::Rethink | Then::Shed | Then::Lead | Then::Simplify => false,
    }
}

/// Whether the failure may be about this request, so that only what happens beside it makes it the credential's.
pub(super) fn rests_nobody_yet(verdict: &Verdict) -> bool {
    verdict.error.status == 404 || matches!(verdict.cool_down, CoolDown::Confirmed(_))
}

/// What follows a failure. Without a verdict there was no token to ask with.
pub(super) fn next(verdict: Option<&Verdict>, at: &Progress, bounds: &Bounds) -> Next {
    let is_spent = at.asked >= bounds.credentials || at.elapsed >= bounds.patience;
    let is_last = is_spent || at.counted >= bounds.attempts;
    let Some(verdict) = verdict else { return if is_spent { Next::GiveUp } else { Next::Other } };
    match verdict.then {
        Then::Stop => Next::Tell,
        Then::Unsign | Then::Fill | Then::Rethink | Then::Shed | Then::Lead | Then::Simplify => Next::Repair,
        Then::Renew if at.can_renew => Next::Renew,
        Then::Again if is_last || !at.is_repeatable || at.has_no_capacity || at.waits >= MAX_WAITS => Next::Tell,
        Then::Again => Next::Wait,
        Then::Other | Then::Renew if is_counted(verdict) => {
            if is_last {
                Next::Tell
            } else {
                Next::Other
            }
        }
        // The credential rests from now on: this failure happens once per rest, not once per request.
        Then::Other | Then::Renew => {
            if is_spent {
                Next::GiveUp
            } else {
                Next::Other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Fault;
    use crate::upstream::error::Refusal;

    const BOUNDS: Bounds = Bounds { attempts: 3, credentials: 16, patience: Duration::from_secs(30) };
    const FIRST: Progress = Progress {
        elapsed: Duration::from_secs(1),
        asked: 1,
        counted: 1,
        waits: 0,
        can_renew: false,
        is_repeatable: true,
        has_no_capacity: false,
    };

    fn refused(status: u16, message: &str) -> Verdict {
        let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
        Refusal::read(status, body.as_bytes(), None).fault().verdict()
    }

    #[test]
    fn each_failure_has_its_sequel() {
        let limited = refused(429, "Resource has been exhausted");
        let blocked = refused(400, "API key not valid");
        let unknown = refused(404, "not found");
        let busy = refused(503, "overloaded");
        let expired = refused(401, "expired");
        let elsewhere = refused(403, "You do not have permission to access the File");
        let at = |change: fn(&mut Progress)| {
            let mut progress = FIRST;
            change(&mut progress);
            progress
        };
        for (name, verdict, progress, expected) in [
            ("a limit", Some(&limited), FIRST, Next::Other),
            ("a limit is not counted", Some(&limited), at(|at| at.counted = 9), Next::Other),
            ("the 16th limit", Some(&limited), at(|at| at.asked = 16), Next::GiveUp),
            ("the 16th refused key", Some(&blocked), at(|at| at.asked = 16), Next::GiveUp),
            ("a limit after 30 s", Some(&limited), at(|at| at.elapsed = Duration::from_secs(30)), Next::GiveUp),
            ("a limit before 30 s", Some(&limited), at(|at| at.elapsed = Duration::from_millis(29_999)), Next::Other),
            ("no token", None, FIRST, Next::Other),
            ("the 16th without a token", None, at(|at| at.asked = 16), Next::GiveUp),
            ("an unknown model", Some(&unknown), at(|at| at.counted = 2), Next::Other),
            ("a model unknown to three", Some(&unknown), at(|at| at.counted = 3), Next::Tell),
            ("a file of another key", Some(&elsewhere), at(|at| at.is_repeatable = false), Next::Other),
            ("trouble", Some(&busy), FIRST, Next::Wait),
            ("trouble after 30 s", Some(&busy), at(|at| at.elapsed = Duration::from_secs(30)), Next::Tell),
            ("the third wait", Some(&busy), at(|at| at.waits = 2), Next::Tell),
            ("the third trouble", Some(&busy), at(|at| at.counted = 3), Next::Tell),
            ("trouble that is known", Some(&busy), at(|at| at.has_no_capacity = true), Next::Tell),
            ("trouble with an upload", Some(&busy), at(|at| at.is_repeatable = false), Next::Tell),
            ("an old token", Some(&expired), at(|at| at.can_renew = true), Next::Renew),
            ("an old token that was renewed", Some(&expired), FIRST, Next::Other),
            ("a bad request", Some(&refused(400, "Invalid value")), FIRST, Next::Tell),
            ("a schema", Some(&refused(400, "Unknown name in schema")), FIRST, Next::Repair),
            ("a hang-up", Some(&Fault::Cancelled.verdict()), FIRST, Next::Tell),
        ] {
            assert_eq!(next(verdict, &progress, &BOUNDS), expected, "{name}");
        }
    }
}
