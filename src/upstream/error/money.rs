//! What Google says of money. Its sentences change from month to month, so what they speak of and how that stands are told
//! apart, and each may be said in several ways.

use super::body::Details;

/// What says it all by itself.
const PLAIN: &[&str] = &[
    "prepayment",
    "prepaid",
    "spending cap",
    "spend cap",
    "spending limit",
    "spend limit",
    "credit balance",
    "credit limit",
    "insufficient balance",
    "insufficient funds",
    "outstanding balance",
    "payment required",
    "unpaid",
];
/// What can run out.
const MEANS: &[&str] = &["credit", "account balance", "budget", "payment", "invoice", "free trial", "funds"];
/// How it stands with them then.
const GONE: &[&str] = &[
    "deplet",
    "exhaust",
    "exceed",
    "insufficient",
    "run out",
    "ran out",
    "out of",
    "expire",
    "ended",
    "is over",
    "used up",
    "not enough",
    "no more",
    "past due",
    "overdue",
    "declin",
    "failed",
    "reached",
    "too low",
];
/// How it stands with a project's billing.
const CLOSED: &[&str] = &[
    "disabled",
    "not enabled",
    "not been enabled",
    "inactive",
    "not active",
    "closed",
    "suspended",
    "past due",
    "overdue",
    "delinquent",
    "not valid",
];

/// How far from the word that may stand.
const NEAR: usize = 100;

/// Whether what a project had to spend is gone.
pub(super) fn is_spent(message: &str, details: &Details) -> bool {
    let said = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let reason = details.reason.as_deref().unwrap_or_default();
    let by_word = ["PREPA", "SPEND", "CREDITS", "PAYMENT"].iter().any(|word| reason.contains(word));
    let by_quota = ["spend", "prepa"].iter().any(|word| details.quota.contains(word));
    !is_of_request(details) && (by_word || by_quota || said(PLAIN) || said(MEANS) && said(GONE))
}

/// Whether a project has no billing, or none any more. "Please check your plan and billing details" is said of every quota.
pub(super) fn is_unbilled(message: &str, details: &Details) -> bool {
    let by_word = details.reason.as_deref().is_some_and(|reason| reason.contains("BILLING"));
    let is_closed = message.split("billing").skip(1).filter(|after| !after.starts_with(" details")).any(|after| {
        let near = after.get(..NEAR).unwrap_or(after);
        CLOSED.iter().any(|word| near.contains(word))
    });
    let has_none = message.contains("no billing") || message.contains("without billing");
    !is_of_request(details) && (by_word || is_closed || has_none)
}

/// Such a message repeats words of the client's.
fn is_of_request(details: &Details) -> bool {
    details.status.as_deref() == Some("INVALID_ARGUMENT")
}
