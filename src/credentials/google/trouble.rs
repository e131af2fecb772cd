//! What keeps a credential from working, as Google's answers about it tell.

use super::oauth::CallFault;
use crate::credentials::lease::AccessFault;
use crate::message::Message;

/// What keeps an account from working, in words for the admin page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Google's reason word, or one of ours.
    pub(crate) reason: String,
    pub(crate) message: Message,
    pub(crate) link: Option<String>,
}

impl Block {
    pub(crate) fn new(reason: &str, message: Message) -> Block {
        Block { reason: reason.into(), message, link: None }
    }
}

/// Why asking Google came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The access token is not accepted.
    Unauthorized,
    /// `invalid_grant`: the refresh token or code is dead for good.
    Revoked(Message),
    /// The account cannot serve; it is asked again after a while.
    Blocked(Block),
    /// The configuration or the request is wrong, which is no account's fault; it may be corrected any time.
    Config(Message),
    /// Google or the network has trouble.
    Transient(Message),
    /// Another replica asks, or has just failed and lets it rest; for so long.
    #[cfg(feature = "replicas")]
    Later { message: Message, left: std::time::Duration, is_rest: bool },
}

impl Trouble {
    pub(crate) fn message(&self) -> Message {
        match self {
            Trouble::Unauthorized => Message::new("new_token_refused"),
            Trouble::Blocked(block) => block.message.clone(),
            Trouble::Revoked(message) | Trouble::Config(message) | Trouble::Transient(message) => message.clone(),
            #[cfg(feature = "replicas")]
            Trouble::Later { message, .. } => message.clone(),
        }
    }

    /// Where the person can act.
    pub(crate) fn link(&self) -> Option<String> {
        match self {
            Trouble::Blocked(block) => block.link.clone(),
            _ => None,
        }
    }

    /// What is told to those who wanted a token.
    pub(crate) fn fault(&self) -> AccessFault {
        match self {
            Trouble::Unauthorized | Trouble::Revoked(_) | Trouble::Blocked(_) => AccessFault::Dead(self.message()),
            Trouble::Config(_) | Trouble::Transient(_) => AccessFault::Transient(self.message()),
            #[cfg(feature = "replicas")]
            Trouble::Later { .. } => AccessFault::Transient(self.message()),
        }
    }
}

impl CallFault {
    /// Of a call that says nothing of the credential.
    pub(crate) fn passing(&self, service: &str) -> Trouble {
        Trouble::Transient(match self {
            CallFault::Status(status, _) => service_status(service, *status),
            CallFault::Network(reason) => service_unreachable(service, reason),
        })
    }
}

/// One of Google's services answered with a status that says nothing of the credential.
pub(super) fn service_status(service: &str, status: u16) -> Message {
    Message::new("service_status").with("service", service).with("status", status)
}

/// One of Google's services gave no answer.
pub(super) fn service_unreachable(service: &str, why: &str) -> Message {
    Message::new("service_unreachable").with("service", service).with("why", why)
}
