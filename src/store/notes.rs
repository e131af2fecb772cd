//! What one replica begins and another one may end: logins with Google, and uploads, whose addresses say themselves that a
//! replica has given them out.

use super::Replicas;
use super::redis::{Fault, Link};
use crate::credentials::consent::{Shared, Stale, Taken};
use crate::keys::Quota;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use subtle::ConstantTimeEq;

const LOGIN: &str = "login";

/// The logins that are under way on all replicas.
pub(super) struct SharedLogins(pub(super) Arc<Link>);

impl Shared for SharedLogins {
    fn keep(&self, state: &str, login: &str, span: Duration) -> Result<(), Stale> {
        self.0.keep(LOGIN, state, login, span).map_err(stale)
    }

    fn take(&self, state: &str, least: Duration) -> Result<Taken, Stale> {
        self.0.take_note(LOGIN, state, least).map_err(stale)
    }
}

fn stale(fault: Fault) -> Stale {
    if fault == Fault::Full { Stale::Full } else { Stale::Away }
}

impl Replicas {
    /// A text by which every replica knows that one of them has said this, for so long; `None` before the store was seen.
    pub fn voucher(&self, about: &str, span: Duration) -> Option<String> {
        let until = (self.limits.now() + span).duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(format!("{until}.{}", self.vouched(about, until)?))
    }

    /// Whether one of the replicas has said this, and it still holds.
    pub fn vouches(&self, about: &str, voucher: &str) -> bool {
        let Some((until, proof)) = voucher.split_once('.') else { return false };
        let Ok(until) = until.parse() else { return false };
        let is_over = self.limits.now().duration_since(UNIX_EPOCH).is_ok_and(|now| now.as_secs() >= until);
        let expected = self.vouched(about, until).filter(|_| !is_over);
        expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(proof.as_bytes())))
    }

    fn vouched(&self, about: &str, until: u64) -> Option<String> {
        Some(self.limits.link.names()?.hidden(b"voucher", format!("{until} {about}").as_bytes(), 16))
    }
}
