//! The one table of Google's failures: how each is recognised, whose fault it is, how long it lasts, what is done next
//! and what people are told. The first row that fits counts. Facts are from docs/google.md "Errors", docs/google.md
//! "The public Gemini API", the clients' column from docs/openai-chat.md "Error bodies and statuses". Messages are
//! matched by short, lower-case pieces, never whole.

use super::body::Details;
use super::money;
use crate::error::ErrorKind;
use std::time::Duration;

/// Whose fault a failure is, which is also what must rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client's request: every credential would answer the same.
    Request,
    /// This credential, for this model only.
    CredentialAndModel,
    /// This credential, for everything.
    Credential,
    /// The model has no capacity; credentials are fine.
    Model,
    /// Google, the network, or nobody can say.
    Nobody,
}

/// How long what is to blame must rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoolDown {
    /// Not at all.
    No,
    /// As long as Google says within these bounds; the first is used when it says nothing. Seconds.
    Told(u64, u64, u64),
    /// This many seconds.
    Fixed(u64),
    /// Longer each time it happens in a row, because Google says nothing. The first is this many seconds.
    Growing(u64),
    /// This many seconds, once a second, different request has met it on the same credential: one may be to blame itself.
    Confirmed(u64),
    /// Until a person acts.
    Person,
}

/// What is done with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing helps: tell the client.
    Stop,
    /// Another credential may serve it.
    Other,
    /// A fresh token may do, once; then another credential.
    Renew,
    /// A short wait may do, on another credential if there is one.
    Again,
    /// Without thought signatures it may do, once.
    Unsign,
    /// With placeholders where thought signatures are missing it may do, else without any, once each.
    Fill,
    /// With thinking as another generation of models controls it, it may do, once.
    Rethink,
    /// Without a file of an older turn it may do, once for each type.
    Shed,
    /// With the system instruction as the user's text it may do, once.
    Lead,
    /// With results in one turn, with simpler schemas, without penalties and token probabilities it may do, once each.
    Simplify,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// HTTP status; 0: Google's own.
    pub status: u16,
    /// OpenAI's type.
    pub kind: ErrorKind,
    /// OpenAI's code.
    pub code: Option<&'static str>,
}

const fn client(status: u16, kind: ErrorKind, code: &'static str) -> Client {
    Client { status, kind, code: Some(code) }
}

/// 400 without a code.
pub const BAD_REQUEST: Client = Client { status: 400, kind: ErrorKind::InvalidRequest, code: None };
const AS_IS: Client = Client { status: 0, kind: ErrorKind::InvalidRequest, code: None };
const TOO_LONG: Client = client(400, ErrorKind::InvalidRequest, "context_length_exceeded");
const TOO_LARGE: Client = client(413, ErrorKind::InvalidRequest, "request_too_large");
const NO_MODEL: Client = client(404, ErrorKind::InvalidRequest, "model_not_found");
const REGION: Client = client(403, ErrorKind::Permission, "unsupported_country_region_territory");
const PRECONDITION: Client = client(403, ErrorKind::Permission, "failed_precondition");
const DENIED: Client = client(403, ErrorKind::Permission, "permission_denied");
const VALIDATION: Client = client(403, ErrorKind::Permission, "account_validation_required");
const NO_ACCOUNT: Client = client(503, ErrorKind::Server, "no_available_account");
// Not 401: the client would think its own key is bad.
const AUTH: Client = client(503, ErrorKind::Server, "upstream_auth_error");
const LIMITED: Client = client(429, ErrorKind::RateLimit, "rate_limit_exceeded");
const QUOTA: Client = client(429, ErrorKind::InsufficientQuota, "insufficient_quota");
const BILLING: Client = client(429, ErrorKind::Billing, "insufficient_quota");
const CANCELLED: Client = client(503, ErrorKind::Server, "upstream_cancelled");
const INTERNAL: Client = Client { status: 500, kind: ErrorKind::Server, code: None };
const OVERLOADED: Client = client(503, ErrorKind::Server, "overloaded");
/// 504 `timeout`.
pub const TIMEOUT: Client = client(504, ErrorKind::Server, "timeout");
/// 502 `bad_gateway`.
pub const GATEWAY: Client = client(502, ErrorKind::Server, "bad_gateway");

/// How a row recognises a failure.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// ErrorInfo's reason, in any case.
    Reason(&'static str),
    /// The status word.
    Status(&'static str),
    /// A piece of the message, lower case.
    Text(&'static str),
    /// A piece of a quota id, limit or unit, lower case.
    Quota(&'static str),
    /// A delay beyond what anybody waits for: 300 s, as Google's own client has it.
    LongDelay,
    /// Any delay or any detail that makes this a limit with an end.
    Delay,
    /// The project has no billing.
    Unbilled,
    /// Its money is used up, by what is paid in advance or by a cap.
    Spent,
    /// `limit: 0` in the message: the plan does not include the model.
    LimitZero,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// HTTP statuses; empty: any.
    pub status: &'static [u16],
    /// Any of these; empty: no more is needed.
    pub signs: &'static [Sign],
    /// The reason word for logs and the admin page; empty: Google's own.
    pub word: &'static str,
    /// Whose fault.
    pub blame: Blame,
    /// How long.
    pub cool_down: CoolDown,
    /// What next.
    pub then: Then,
    /// What the client is told.
    pub client: Client,
    /// The code of the message for the person who runs the proxy.
    pub message: &'static str,
    /// Where that person can act, unless Google names a place; empty: nowhere.
    pub link: &'static str,
}

impl Row {
    /// Whether this row is meant.
    pub fn fits(&self, status: u16, details: &Details) -> bool {
        let message = details.message.to_ascii_lowercase();
        (self.status.is_empty() || self.status.contains(&status))
            && (self.signs.is_empty() || self.signs.iter().any(|sign| sign.fits(&message, details)))
    }
}

impl Sign {
    fn fits(&self, message: &str, details: &Details) -> bool {
        let is =
            |word: &Option<String>, wanted: &str| word.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        match *self {
            Sign::Reason(reason) => is(&details.reason, reason),
            Sign::Status(status) => is(&details.status, status),
            Sign::Text(piece) => message.contains(piece),
            Sign::Quota(piece) => details.quota.contains(piece),
            Sign::LongDelay => details.delay.is_some_and(|delay| delay > Duration::from_secs(300)),
            Sign::Delay => details.delay.is_some(),
            Sign::Unbilled => money::is_unbilled(message, details),
            Sign::Spent => money::is_spent(message, details),
            Sign::LimitZero => message
                .match_indices("limit: 0")
                .any(|(at, found)| !message[at + found.len()..].starts_with(|c: char| c.is_ascii_digit() || c == '.')),
        }
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The reason word of a token that Google does not take.
pub const NO_TOKEN: &str = "UNAUTHENTICATED";
/// Where API keys are made.
pub const KEYS_PAGE: &str = "https://aistudio.google.com/apikey";
const LICENSE_PAGE: &str = "https://cloud.google.com/gemini/docs/codeassist/request-license";
const LIMITS_PAGE: &str = "https://ai.google.dev/gemini-api/docs/rate-limits";
const REGIONS_PAGE: &str = "https://ai.google.dev/gemini-api/docs/available-regions";

use Blame::{Credential, CredentialAndModel, Model, Nobody, Request};
use CoolDown::{Confirmed, Fixed, Growing, No, Person, Told};
use Sign::{Delay, LimitZero, LongDelay, Quota, Reason, Spent, Status, Text, Unbilled};
use Then::{Again, Fill, Lead, Other, Renew, Rethink, Shed, Simplify, Stop, Unsign};

type Judgement = (Blame, CoolDown, Then, Client);

const fn row(
    status: &'static [u16],
    signs: &'static [Sign],
    word: &'static str,
    judgement: Judgement,
    message: &'static str,
    link: &'static str,
) -> Row {
    let (blame, cool_down, then, client) = judgement;
    Row { status, signs, word, blame, cool_down, then, client, message, link }
}

/// The table. The last row fits everything.
#[rustfmt::skip] // three lines a row: how it looks; what it means; what the person reads
pub static ROWS: &[Row] = &[
    // The request.
    row(&[400], &[Text("missing a thought_signature"), Text("missing a `thought_signature`"), Text("missing thought_signature"),
                   Text("missing a thought signature"), Text("missing thought signature")],
        "THOUGHT_SIGNATURE", (Request, No, Fill, BAD_REQUEST),
        "thought_signature", ""),
    row(&[400], &[Text("thought_signature"), Text("thought signature"), Text("thoughtsignature")],
        "THOUGHT_SIGNATURE", (Request, No, Unsign, BAD_REQUEST),
        "thought_signature", ""),
    row(&[400], &[Text("thinking_level"), Text("thinking level"), Text("thinkinglevel"), Text("thinking_budget"), Text("thinking budget"),
                   Text("thinkingbudget"), Text("thinking_config"), Text("thinkingconfig"), Text("thinking is not"), Text("not support thinking")],
        "THINKING_CONTROL", (Request, No, Rethink, BAD_REQUEST),
        "thinking_control", ""),
    row(&[400], &[Text("unsupported mime type"), Text("mime type is not supported"), Text("mimetype is not supported"), Text("unable to process input")],
        "MEDIA_UNSUPPORTED", (Request, No, Shed, BAD_REQUEST),
        "media_unsupported", ""),
    row(&[400], &[Text("developer instruction is not"), Text("developer instructions are not"), Text("system instruction is not"),
                   Text("system instructions are not"), Text("system_instruction is not"), Text("systeminstruction is not"), Text("system prompt is not"), Text("system role is not")],
        "SYSTEM_INSTRUCTION", (Request, No, Lead, BAD_REQUEST),
        "system_refused", ""),
    row(&[400], &[Text("number of function response parts")],
        "INVALID_ARGUMENT", (Request, No, Simplify, BAD_REQUEST),
        "request_refused", ""),
    row(&[400, 413], &[Text("payload size exceeds"), Text("request entity too large"), Text("request is too large")],
        "REQUEST_TOO_LARGE", (Request, No, Stop, TOO_LARGE),
        "request_too_large", ""),
    row(&[413], &[],
        "REQUEST_TOO_LARGE", (Request, No, Stop, TOO_LARGE),
        "request_too_large", ""),
    row(&[400], &[Text("input token count"), Text("maximum number of tokens"), Text("token count exceeds"), Text("context window"), Text("context length"),
                   Text("prompt is too long")],
        "CONTEXT_LENGTH", (Request, No, Stop, TOO_LONG),
        "context_length", ""),

    // API keys. A bad one is a 400 on the public API (docs/google.md "The public Gemini API").
    row(&[], &[Reason("API_KEY_INVALID"), Reason("API_KEY_EXPIRED"), Text("api key not valid"), Text("api key expired"), Text("api key not found")],
        "API_KEY_INVALID", (Credential, Person, Other, NO_ACCOUNT),
        "api_key_invalid", KEYS_PAGE),
    row(&[], &[Text("reported as leaked")],
        "API_KEY_LEAKED", (Credential, Person, Other, DENIED),
        "api_key_leaked", KEYS_PAGE),
    row(&[], &[Reason("CONSUMER_SUSPENDED"), Reason("CONSUMER_INVALID"), Text("has been suspended")],
        "CONSUMER_SUSPENDED", (Credential, Person, Other, DENIED),
        "consumer_suspended", KEYS_PAGE),
    row(&[], &[Reason("API_KEY_SERVICE_BLOCKED"), Reason("API_KEY_HTTP_REFERRER_BLOCKED"), Reason("API_KEY_IP_ADDRESS_BLOCKED"),
               Reason("API_KEY_ANDROID_APP_BLOCKED"), Reason("API_KEY_IOS_APP_BLOCKED")],
        "API_KEY_RESTRICTED", (Credential, Fixed(6 * HOUR), Other, DENIED),
        "api_key_restricted", KEYS_PAGE),
    row(&[403], &[Text("unregistered callers"), Text("missing a valid api key")],
        "API_KEY_MISSING", (Credential, Person, Other, DENIED),
        "api_key_missing", KEYS_PAGE),

    // The account.
    row(&[], &[Reason("UNSUPPORTED_CLIENT"), Text("no longer supported for gemini code assist")],
        "UNSUPPORTED_CLIENT", (Credential, Person, Other, DENIED),
        "unsupported_client", KEYS_PAGE),
    row(&[], &[Reason("VALIDATION_REQUIRED"), Text("verify your account")],
        "VALIDATION_REQUIRED", (Credential, Fixed(HOUR), Other, VALIDATION),
        "validation_required", "https://accounts.google.com/"),
    row(&[], &[Reason("SUBSCRIPTION_REQUIRED"), Text("missing a valid license"), Text("must be a named user"), Text("#3501")],
        "SUBSCRIPTION_REQUIRED", (Credential, Fixed(6 * HOUR), Other, DENIED),
        "subscription_required", LICENSE_PAGE),
    row(&[], &[Reason("TOS_VIOLATION"), Text("violation of terms of service")],
        "TOS_VIOLATION", (Credential, Person, Other, DENIED),
        "tos_violation", ""),
    row(&[], &[Reason("SERVICE_DISABLED"), Reason("accessNotConfigured"), Text("it is disabled. enable it by visiting")],
        "SERVICE_DISABLED", (Credential, Fixed(600), Other, DENIED),
        "service_disabled", "https://console.cloud.google.com/apis/library"),
    row(&[], &[Reason("SECURITY_POLICY_VIOLATED"), Text("prohibited by organization's policy"), Quota("vpc_service_controls")],
        "SECURITY_POLICY_VIOLATED", (Credential, Fixed(HOUR), Other, DENIED),
        "security_policy", ""),
    row(&[401, 403], &[Reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Text("insufficient authentication scopes")],
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT", (Credential, Person, Other, DENIED),
        "scope_insufficient", ""),
    // docs/vertex.md "Vertex quota and errors".
    row(&[403], &[Text("'aiplatform.endpoints.predict'")],
        "IAM_PERMISSION_DENIED", (Credential, Fixed(HOUR), Other, DENIED),
        "vertex_role", "https://console.cloud.google.com/iam-admin/iam"),
    row(&[403], &[Reason("IAM_PERMISSION_DENIED"), Text("permission 'cloudaicompanion")],
        "IAM_PERMISSION_DENIED", (Credential, Fixed(HOUR), Other, DENIED),
        "iam_denied", "https://console.cloud.google.com/iam-admin/iam"),
    row(&[400, 403], &[Text("user location is not supported"), Text("not available in your location"), Text("not available in your country")],
        "LOCATION_UNSUPPORTED", (Credential, Fixed(HOUR), Other, REGION),
        "location_unsupported", REGIONS_PAGE),
    row(&[], &[Reason("INSUFFICIENT_G1_CREDITS_BALANCE")],
        "INSUFFICIENT_G1_CREDITS_BALANCE", (CredentialAndModel, Fixed(HOUR), Other, BILLING),
        "credits_used_up", ""),
    // Money is no rate limit: nothing comes back in seconds. The words of a quota ("check your plan and billing details")
    // must not fit.
    row(&[400, 402, 403], &[Text("enable billing"), Text("requires billing")],
        "BILLING_DISABLED", (Credential, Fixed(HOUR), Other, BILLING),
        "billing_disabled", "https://console.cloud.google.com/billing"),
    row(&[], &[Unbilled],
        "BILLING_DISABLED", (Credential, Fixed(HOUR), Other, BILLING),
        "billing_disabled", "https://console.cloud.google.com/billing"),
    row(&[400, 402, 403, 429], &[Spent],
        "BILLING_EXHAUSTED", (Credential, Fixed(HOUR), Other, BILLING),
        "billing_exhausted", "https://aistudio.google.com/usage"),
    row(&[401], &[],
        NO_TOKEN, (Credential, Fixed(600), Renew, AUTH),
        "token_refused", ""),
    // Files and caches belong to the project that made them: another credential may own this one.
    row(&[403], &[Text("access the file"), Text("cachedcontent"), Text("cached content"), Text("tunedmodel"), Text("tuned model")],
        "PERMISSION_DENIED", (Nobody, No, Other, DENIED),
        "foreign_file", ""),
    row(&[403], &[],
        "", (CredentialAndModel, Confirmed(1800), Other, DENIED),
        "model_denied", ""),
    row(&[404], &[],
        "NOT_FOUND", (CredentialAndModel, Fixed(HOUR), Other, NO_MODEL),
        "model_unknown", ""),

    // Limits. Rate limit and quota share their message: only reason and delay tell them apart.
    row(&[429, 499, 503], &[LimitZero],
        "MODEL_NOT_IN_PLAN", (CredentialAndModel, Fixed(DAY), Other, QUOTA),
        "model_not_in_plan", LIMITS_PAGE),
    row(&[429], &[Reason("MODEL_CAPACITY_EXHAUSTED"), Reason("MODEL_CAPACITY_EXCEEDED"), Text("no capacity available")],
        "MODEL_CAPACITY_EXHAUSTED", (Model, Told(2, 1, 10), Again, LIMITED),
        "no_capacity", ""),
    row(&[], &[Reason("MODEL_CAPACITY_EXHAUSTED"), Reason("MODEL_CAPACITY_EXCEEDED"), Text("no capacity available")],
        "MODEL_CAPACITY_EXHAUSTED", (Model, Told(2, 1, 10), Again, OVERLOADED),
        "no_capacity", ""),
    row(&[429], &[Reason("QUOTA_EXHAUSTED"), Text("individual quota reached"), LongDelay],
        "QUOTA_EXHAUSTED", (CredentialAndModel, Told(HOUR, 60, 8 * DAY), Other, QUOTA),
        "quota_exhausted", ""),
    // Daily quotas of keys reset at midnight Pacific time, while RetryInfo says some seconds: asking once an hour finds
    // the reset without a calendar.
    row(&[429], &[Quota("perday"), Quota("daily"), Quota("per day"), Quota("1/d/"), Text("per day")],
        "DAILY_QUOTA", (CredentialAndModel, Told(HOUR, HOUR, DAY), Other, QUOTA),
        "daily_quota", LIMITS_PAGE),
    row(&[429], &[Quota("perminute"), Quota("per minute")],
        "RATE_LIMIT_EXCEEDED", (CredentialAndModel, Told(60, 1, 300), Other, LIMITED),
        "minute_limit", LIMITS_PAGE),
    row(&[429], &[Reason("RATE_LIMIT_EXCEEDED"), Reason("rateLimitExceeded"), Delay],
        "RATE_LIMIT_EXCEEDED", (CredentialAndModel, Told(30, 1, 300), Other, LIMITED),
        "rate_limit", ""),
    row(&[429], &[Text("error-code-429")],
        "SHARED_QUOTA", (Model, Told(5, 1, 10), Again, LIMITED),
        "shared_quota", ""),
    row(&[429], &[],
        "RESOURCE_EXHAUSTED", (CredentialAndModel, Growing(30), Other, LIMITED),
        "limited", ""),
    row(&[402], &[],
        "PAYMENT_REQUIRED", (Credential, Fixed(HOUR), Other, BILLING),
        "payment_required", "https://console.cloud.google.com/billing"),

    // Google's own trouble.
    row(&[499], &[],
        "CANCELLED", (Nobody, No, Again, CANCELLED),
        "google_cancelled", ""),
    row(&[503], &[],
        "UNAVAILABLE", (Model, Told(2, 1, 10), Again, OVERLOADED),
        "model_overloaded", ""),
    row(&[500], &[],
        "INTERNAL", (Nobody, No, Again, INTERNAL),
        "google_internal", ""),
    row(&[504, 408], &[],
        "DEADLINE_EXCEEDED", (Nobody, No, Again, TIMEOUT),
        "google_too_late", ""),
    row(&[201, 202, 203, 204, 205, 206, 501, 502], &[],
        "BAD_GATEWAY", (Nobody, No, Again, GATEWAY),
        "google_gateway", ""),
    row(&[300, 301, 302, 303, 304, 307, 308], &[],
        "REDIRECT", (Nobody, No, Stop, GATEWAY),
        "redirected", ""),

    // What is left of 400: the request, unless it is said to be the account.
    row(&[400], &[Text("not in an active state")],
        "FAILED_PRECONDITION", (Request, No, Stop, BAD_REQUEST),
        "file_not_ready", ""),
    row(&[400], &[Status("FAILED_PRECONDITION")],
        "FAILED_PRECONDITION", (Nobody, No, Other, PRECONDITION),
        "precondition", ""),
    row(&[400], &[Text("invalid function name"), Text("function call turn"), Text("function response parts")],
        "INVALID_ARGUMENT", (Request, No, Stop, BAD_REQUEST),
        "request_refused", ""),
    row(&[400], &[Text("schema"), Text("function_declarations"), Text("functiondeclarations"), Text("too many states"), Text("request contains an invalid argument"),
                   Text("penalty is not enabled"), Text("logprobs is not")],
        "INVALID_ARGUMENT", (Request, No, Simplify, BAD_REQUEST),
        "schema_refused", ""),
    row(&[400], &[],
        "INVALID_ARGUMENT", (Request, No, Stop, BAD_REQUEST),
        "request_refused", ""),
    row(&[], &[],
        "", (Request, No, Stop, AS_IS),
        "request_refused", ""),
];
