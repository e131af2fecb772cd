//! Whether a credential works, without spending a generation and without onboarding anybody: `loadCodeAssist` for an
//! account, one entry of the model list for an API key.

use super::oauth::{CallFault, Google};
use super::setup::{self, SetupFault};
use crate::credentials::pool::{Block, Trouble};
use crate::secret::Secret;

/// A check that found nothing wrong.
pub(crate) struct Fine {
    pub(crate) sentence: String,
    pub(crate) tier: Option<String>,
}

pub(crate) fn account(google: &Google, token: &Secret, hint: Option<&str>) -> Result<Fine, SetupFault> {
    let tier = setup::current_tier(google, token, hint)?;
    let sentence = match &tier {
        Some(tier) => format!("Code Assist serves this account ({tier})"),
        None => "the login works; Code Assist sets the account up at its first use".to_owned(),
    };
    Ok(Fine { sentence, tier })
}

/// Whether Google takes the key: one entry of the model list, which costs nothing.
pub(crate) fn try_key(google: &Google, key: &Secret) -> Result<(), Trouble> {
    match google.model_page(key, 1, None) {
        Ok(_) => Ok(()),
        Err(fault @ CallFault::Status(400 | 401 | 403 | 404, _)) => match setup::setup_fault(fault) {
            SetupFault::Blocked(block) => Err(Trouble::Blocked(block, None)),
            _ => Err(Trouble::Blocked(block("API_KEY_INVALID", "Google does not accept this API key"), None)),
        },
        Err(CallFault::Status(status, _)) => Err(Trouble::Transient(format!("Gemini API: status {status}"))),
        Err(CallFault::Network(reason)) => Err(Trouble::Transient(format!("Gemini API: {reason}"))),
    }
}

pub(crate) fn block(reason: &str, sentence: &str) -> Block {
    Block { reason: reason.into(), sentence: sentence.into(), link: None }
}
