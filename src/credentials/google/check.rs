//! Whether a credential works, without spending a generation and without onboarding anybody: `loadCodeAssist` for an
//! account, one entry of the model list for an API key.

use super::oauth::{CallFault, Google};
use super::setup;
use super::trouble::{Block, Trouble};
use crate::message::Message;
use crate::secret::Secret;

/// A check that found nothing wrong.
pub(crate) struct Fine {
    pub(crate) message: Message,
    pub(crate) tier: Option<String>,
}

pub(crate) fn account(google: &Google, token: &Secret, hint: Option<&str>) -> Result<Fine, Trouble> {
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
        Err(fault @ CallFault::Status(400 | 401 | 403 | 404, _)) => Err(match setup::setup_fault(fault) {
            blocked @ Trouble::Blocked(_) => blocked,
            _ => Trouble::Blocked(Block::new("API_KEY_INVALID", Message::new("key_not_accepted"))),
        }),
        Err(fault) => Err(fault.passing("Gemini API")),
    }
}
