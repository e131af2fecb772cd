//! The pool: who is lent out next, who is cooling down, who needs a person.

use crate::secret::Secret;
use std::time::{Duration, SystemTime};

/// Which member of the pool, stable while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Which of Google's services a member can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OAuth credential: Code Assist.
    Oauth,
    /// API key: the public Generative Language API.
    ApiKey,
}

/// What a request needs of a member.
#[derive(Clone, Debug)]
pub struct Want<'a> {
    /// Google's model name; cool-downs are per member and model.
    pub model: &'a str,
    /// Only members of this kind.
    pub kind: Option<Kind>,
    /// Members that this request has tried already.
    pub tried: &'a [MemberId],
    /// The conversation's name, for affinity.
    pub affinity: Option<&'a str>,
}

/// A member that was chosen for one attempt.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Who.
    pub id: MemberId,
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
    /// The pool has no usable member of the wanted kind at all.
    None,
    /// All that could serve are cooling down; the earliest returns after this.
    Cooling(Duration),
    /// Every usable member was tried by this request already.
    AllTried,
}

/// What a request to Google needs: the token or key, and the project for Code Assist.
#[derive(Clone, Debug)]
pub struct Access {
    /// OAuth access token or API key.
    pub secret: Secret,
    /// Code Assist's project, once known.
    pub project: Option<String>,
}

/// Why a member has no working token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// It needs a person (revoked, no refresh token, no project). The sentence is for logs and the admin page.
    Dead(String),
    /// Google's token endpoint or the network has trouble; the member is fine and rests for a moment.
    Transient(String),
}

/// What an attempt says about the member that served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It worked.
    Success,
    /// It must rest for this model, this long.
    Cool {
        /// How long.
        rest: Duration,
        /// A reason word such as `RATE_LIMIT_EXCEEDED`.
        reason: String,
        /// One sentence for the admin page.
        sentence: String,
    },
    /// It cannot serve anything until a person acts or the time is over.
    Block {
        /// How long before it is tried again; `None`: until a person acts.
        rest: Option<Duration>,
        /// A reason word such as `VALIDATION_REQUIRED`.
        reason: String,
        /// One sentence for the admin page.
        sentence: String,
        /// Where the person can act.
        link: Option<String>,
    },
}

/// What an admin may see of a member (drop_in_contract.md 6.8). Holds no secret.
#[derive(Clone, Debug)]
pub struct View {
    /// `cred-0`.
    pub name: String,
    /// Which service.
    pub kind: Kind,
    /// In clear; mask it before it leaves the program.
    pub email: Option<String>,
    /// In clear; mask it before it leaves the program.
    pub project: Option<String>,
    /// A label the user gave, or the tail of an API key.
    pub label: Option<String>,
    /// `active`, `expired`, `refreshing`, `exhausted`, `error`.
    pub status: &'static str,
    /// Whether it can be lent out now, for some model.
    pub available: bool,
    /// When the access token ends.
    pub expiry: Option<SystemTime>,
    /// Successful uses in this run.
    pub usage_count: u64,
    /// When it came into the pool.
    pub created_at: SystemTime,
    /// When it was last lent out; creation time before that.
    pub last_used_at: SystemTime,
    /// When its token was last refreshed.
    pub last_refreshed_at: Option<SystemTime>,
    /// End of the longest present cool-down.
    pub exhausted_until: Option<SystemTime>,
    /// When it was blocked or last failed.
    pub failed_at: Option<SystemTime>,
    /// In words.
    pub failure_reason: Option<String>,
    /// A reason word.
    pub reason_code: Option<String>,
    /// Where a person can act.
    pub link: Option<String>,
    /// Code Assist's tier.
    pub tier: Option<String>,
    /// Present cool-downs: model, end, reason.
    pub cooling: Vec<(String, SystemTime, String)>,
}

/// The pool. All methods take `&self`; one short lock inside, never held over I/O.
pub struct Pool {
    _todo: (),
}

impl Pool {
    /// Chooses a member: round-robin over those that can serve `want` now, in file order.
    pub fn checkout(&self, _want: &Want<'_>) -> Result<Lease, Unavailable> {
        todo!()
    }

    /// The member's token or key, refreshed first when it is missing or about to end. Blocks on Google; one refresh per
    /// member at a time, other callers wait for its result.
    pub fn access(&self, _id: MemberId) -> Result<Access, AccessFault> {
        todo!()
    }

    /// After a 401: a token other than `stale`, refreshed unless somebody already did.
    pub fn renew(&self, _id: MemberId, _stale: &Secret) -> Result<Access, AccessFault> {
        todo!()
    }

    /// Takes note of how an attempt ended.
    pub fn report(&self, _id: MemberId, _model: &str, _report: Report) {
        todo!()
    }

    /// Whether there is any member of this kind, usable or not.
    pub fn has(&self, _kind: Kind) -> bool {
        todo!()
    }

    /// All members, in file order.
    pub fn views(&self) -> Vec<View> {
        todo!()
    }
}
