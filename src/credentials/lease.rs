//! What the rest of the program sees of a credential: who was chosen, for what, and how it went.

use super::place::VertexPlace;
pub use crate::config::Kind;
use crate::message::Message;
use crate::secret::Secret;
use std::sync::Arc;
use std::time::Duration;

/// Numbers from here on are this replica's own, until the store has said which it is.
pub(super) const PROVISIONAL: u64 = 1 << 47;

/// Which credential of the pool, stable while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub u64);

impl CredentialId {
    /// Whether the store of the replicas has yet to give it its number.
    #[must_use]
    pub fn is_provisional(self) -> bool {
        self.0 >= PROVISIONAL
    }
}

/// Some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Whoever there is.
    pub const ALL: Kinds = Kinds(0b111);

    /// One kind only.
    pub const fn only(kind: Kind) -> Kinds {
        Kinds(1 << kind as u8)
    }

    /// Either.
    pub const fn or(self, kind: Kind) -> Kinds {
        Kinds(self.0 | Kinds::only(kind).0)
    }

    /// Those that are in both.
    pub const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    /// Whether the kind is one of them.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & Kinds::only(kind).0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a request needs of a credential.
#[derive(Clone, Debug)]
pub struct Want<'a> {
    /// Google's model name; cool-downs are per credential and model.
    pub model: &'a str,
    /// Only credentials of these kinds.
    pub kinds: Kinds,
    /// Credentials that this request has tried already.
    pub tried: &'a [CredentialId],
    /// The conversation's name, for affinity.
    pub affinity: Option<&'a str>,
}

/// A credential that was chosen for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub id: CredentialId,
    /// Which service.
    pub kind: Kind,
    /// `cred-0`, as in the admin list.
    pub name: String,
    /// The masked e-mail or key tail, safe to log.
    pub label: String,
}

/// Why nobody could be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The pool has no usable credential of the wanted kind at all.
    None,
    /// All that could serve are cooling down, at least one for a limit; the earliest returns after this.
    Cooling(Duration),
    /// Nobody can serve for another reason that will pass: token endpoint in trouble, account blocked or model
    /// refused for a while. The earliest is tried again after this.
    Resting(Duration),
    /// Every usable credential was tried by this request already.
    AllTried,
}

/// What a request to Google needs: the token or key, and the project for Code Assist.
#[derive(Clone, Debug)]
pub struct Access {
    /// OAuth access token or API key.
    pub secret: Secret,
    /// The project, once known: Code Assist's, or that of Vertex AI.
    pub project: Option<String>,
    /// Where it is served, if that is Vertex AI.
    pub place: Option<Arc<VertexPlace>>,
}

/// Why a credential has no working token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// It needs a person (revoked, no refresh token, no project).
    Dead(Message),
    /// Google's token endpoint or the network has trouble; the credential is fine and rests for a moment.
    Transient(Message),
}

/// What an attempt says about the credential that served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It worked.
    Success,
    /// It failed for nobody's fault where another credential then did well: others go first for a while.
    Deprioritise,
    /// It must rest for this model, this long.
    Cool {
        /// How long.
        rest: Duration,
        /// Whether a rate or quota was used up, and not the model refused to this credential.
        limit: bool,
        /// A reason word such as `RATE_LIMIT_EXCEEDED`.
        reason: String,
        /// What people are told.
        message: Message,
    },
    /// It cannot serve anything until a person acts or the time is over.
    Block {
        /// How long before it is tried again; `None`: until a person acts.
        rest: Option<Duration>,
        /// A reason word such as `VALIDATION_REQUIRED`.
        reason: String,
        /// What people are told.
        message: Message,
        /// Where the person can act.
        link: Option<String>,
    },
}

/// Why a credential was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManageFault {
    /// There is no such credential.
    Unknown,
    /// It stands in the config, where a person has to change it.
    InConfig,
    /// The item is not one this program understands.
    Unusable,
    /// The store that replicas share does not answer: what the person is told.
    #[cfg(feature = "replicas")]
    Store(&'static str),
}

impl ManageFault {
    /// What the person is told.
    pub fn message(self) -> Message {
        Message::new(match self {
            ManageFault::Unknown => "credential_unknown",
            ManageFault::InConfig => "key_in_config",
            ManageFault::Unusable => "credential_unusable",
            #[cfg(feature = "replicas")]
            ManageFault::Store(code) => code,
        })
    }
}
