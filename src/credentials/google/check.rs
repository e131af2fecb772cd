//! Whether a credential works, without spending a generation and without onboarding anybody: `loadCodeAssist` for an
//! account, one entry of the model list for an API key.

use super::oauth::{CallFault, Google};
use super::setup::{self, SetupFault};
use crate::credentials::pool::{Block, Trouble};
use crate::message::Message;
use crate::secret::Secret;

/// A check that found nothing wrong.
pub(crate) struct Fine {
    pub(crate) message: Message,
    pub(crate) tier: Option<String>,
}

pub(crate) fn account(google: &Google, token: &Secret, hint: Option<&str>) -> Result<Fine, SetupFault> {
    let tier = setup::current_tier(google, token, hint)?;
    let message = match &tier {
        Some(tier) => Message::new("account_served").with("tier", tier),
        None => Message::new("login_works"),
    };
    Ok(Fine { message, tier })
}

/// Whether Google takes the key: one entry of the model list, which costs nothing.
pub(crate) fn try_key(google: &Google, key: &Secret) -> Result<(), Trouble> {
    match google.model_page(key, 1, None) {
        Ok(_) => Ok(()),
        Err(fault @ CallFault::Status(400 | 401 | 403 | 404, _)) => match setup::setup_fault(fault) {
            SetupFault::Blocked(block) => Err(Trouble::Blocked(block, None)),
            _ => Err(Trouble::Blocked(Block::new("API_KEY_INVALID", Message::new("key_not_accepted")), None)),
        },
        Err(CallFault::Status(status, _)) => Err(Trouble::Transient(service_status("Gemini API", status))),
        Err(CallFault::Network(reason)) => Err(Trouble::Transient(service_unreachable("Gemini API", &reason))),
    }
}

/// One of Google's services answered with a status that says nothing of the credential.
pub(crate) fn service_status(service: &str, status: u16) -> Message {
    Message::new("service_status").with("service", service).with("status", status)
}

/// One of Google's services gave no answer.
pub(crate) fn service_unreachable(service: &str, why: &str) -> Message {
    Message::new("service_unreachable").with("service", service).with("why", why)
}
