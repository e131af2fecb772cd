//! Every route of the program on one screen: the head of a request in, a [`Target`] out, once per request.
//!
//! Users paste base addresses in every form, so a path is read generously: repeated slashes and a trailing one do not
//! count, `/v1` may be missing or doubled, and a whole endpoint pasted as a base is understood.

mod google;
mod split;
#[cfg(test)]
mod tests;

#[cfg(feature = "media")]
use crate::api::openai_media::Endpoint;
use crate::http::{Lane, Request, query_value};
use google::GooglePath;
pub use google::Passthrough;

/// What a request is about. Whatever depends on the path reads this and not the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked for, or why nothing is.
    pub route: Result<Route, NoRoute>,
    /// Whose errors and headers the answer has, known even when there is no route.
    pub dialect: Dialect,
    /// Which worker pool answers.
    pub lane: Lane,
}

/// Whose errors and headers an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI-style API: client keys, CORS, OpenAI's error shape.
    OpenAi,
    /// Anthropic's API: client keys, CORS, Anthropic's error shape.
    Anthropic,
    /// Google's native API: client keys, CORS, Google's error shape.
    Google,
    /// Pages and admin: no CORS, `{"detail"}`.
    Admin,
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// 404.
    UnknownPath,
    /// 426 for a WebSocket, whereupon Codex asks by HTTP.
    WebSocket,
    /// 405 with these words for `Allow`.
    WrongMethod(&'static str),
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A browser asks whether it may send a request to another origin.
    Preflight,
    Home,
    /// The name of a file of the admin page, maybe behind its version.
    Static(String),
    Health,
    /// Whether the process lives.
    Live,
    /// Whether it may get traffic.
    Ready,
    Metrics,
    /// A person signs in to the page.
    SignIn,
    SignOut,
    /// The page of who holds a client key.
    #[cfg(feature = "ledger")]
    Me,
    /// What that page shows, by the key.
    #[cfg(feature = "ledger")]
    MyStatus,
    AdminCredentials,
    Account(Account),
    AdminUsage,
    AdminUsageReset,
    AdminStats,
    AdminModels,
    AdminStatsCsv,
    AdminStatus,
    AdminRequests,
    AdminRequestsCsv,
    AdminLog,
    /// All keys of clients: list them or make one.
    AdminKeys,
    /// Many of them are changed.
    AdminKeysBulk,
    /// One of them, by its id: change or delete it.
    AdminKey(String),
    Chat,
    Completions,
    Embeddings,
    /// Pictures, speech and transcripts.
    #[cfg(feature = "media")]
    Media(Endpoint),
    Responses,
    /// Tokens of a request of it are counted.
    CountResponse,
    /// A conversation of it is replaced by a summary.
    CompactResponse,
    /// One response that was kept, by its id: read or forgotten.
    Response(String),
    /// The items it was given.
    ResponseItems(String),
    CancelResponse(String),
    /// Anthropic's.
    Messages,
    /// The tokens of a message of Anthropic's are counted.
    CountTokens,
    BillingUsage,
    BillingSubscription,
    /// The list in OpenAI's or Anthropic's shape.
    Models,
    Model(String),
    GeminiModels,
    GeminiModel(String),
    /// `{model}:{method}` of Google's API; the model as written, maybe with prefix and suffixes.
    GeminiCall {
        model: String,
        method: String,
    },
    /// Everything else of Google's API is passed on as it is: files, caches, uploads, other methods of models.
    Passthrough(Passthrough),
}

/// What a person does about credentials. The texts are ids such as `cred-0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// The browser goes to Google's consent page.
    Login,
    /// The browser comes back from it.
    Callback,
    /// The consent page's address is wanted as JSON.
    StartLogin,
    /// A code or a callback address was pasted.
    FinishLogin,
    /// One credential comes in the old program's shape.
    Add,
    /// Any number of credentials comes in any shape.
    Import,
    /// Many are changed.
    Bulk,
    /// POST changes one, DELETE removes it.
    Credential(String),
    Check(String),
    Quota(String),
    Refresh(String),
    Enable(String),
    Disable(String),
    /// Cool-downs and blocks are forgotten.
    Reset(String),
}

/// A route and the methods that it takes.
type Found = Option<(Route, &'static str)>;

/// HEAD is allowed where GET changes nothing.
const READ: &str = "GET, HEAD";
const ANY: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";

impl Target {
    /// Reads the head of a request.
    pub fn of(request: &Request) -> Target {
        let segments = split::split(&request.path);
        let words: Vec<&str> = segments.iter().map(|segment| &*segment.word).collect();
        let (dialect, found) = if let Some(found) = page(&words) {
            (Dialect::Admin, Some(found))
        } else if let Some(found) = openai(&words) {
            (Dialect::OpenAi, Some(found))
        } else if let ["v1", "messages", rest @ ..] = &words[..] {
            (Dialect::Anthropic, anthropic(rest))
        } else if let Some(path) = GooglePath::read(&segments) {
            native(&path, request)
        } else {
            (unknown(&words, request), None)
        };
        let route = match found {
            _ if request.method == "OPTIONS" => Ok(Route::Preflight),
            Some((Route::Responses, _)) if request.headers.get("upgrade").is_some() => Err(NoRoute::WebSocket),
            Some((route, allowed)) if allowed.split(", ").any(|method| method == request.method) => Ok(route),
            Some((_, allowed)) => Err(NoRoute::WrongMethod(allowed)),
            None => Err(NoRoute::UnknownPath),
        };
        Target { lane: route.as_ref().map_or(Lane::Short, lane), route, dialect }
    }
}

/// Pages and admin.
fn page(words: &[&str]) -> Found {
    Some(match words {
        [] => (Route::Home, READ),
        ["static", name] => (Route::Static((*name).to_owned()), READ),
        ["static", version, name] => (Route::Static(format!("{version}/{name}")), READ),
        ["health"] => (Route::Health, READ),
        ["livez"] => (Route::Live, READ),
        ["readyz"] => (Route::Ready, READ),
        ["metrics"] => (Route::Metrics, READ),
        #[cfg(feature = "ledger")]
        ["me"] => (Route::Me, READ),
        // Of a page that was opened with a slash at its end, relative addresses stand below it.
        #[cfg(feature = "ledger")]
        ["me", "status"] | ["me", "me", "status"] => (Route::MyStatus, READ),
        #[cfg(feature = "ledger")]
        ["me", "static", version, name] => (Route::Static(format!("{version}/{name}")), READ),
        ["oauth2", "login"] => (Route::Account(Account::Login), READ),
        // A preview of the address must not use the code up.
        ["oauth2", "callback"] => (Route::Account(Account::Callback), "GET"),
        ["admin", "oauth", "start"] => (Route::Account(Account::StartLogin), "POST"),
        ["admin", "oauth", "finish"] => (Route::Account(Account::FinishLogin), "POST"),
        ["admin", "credentials"] => (Route::AdminCredentials, READ),
        ["admin", "credentials", "add"] => (Route::Account(Account::Add), "POST"),
        ["admin", "credentials", "import"] => (Route::Account(Account::Import), "POST"),
        ["admin", "credentials", "bulk"] => (Route::Account(Account::Bulk), "POST"),
        ["admin", "credentials", id] => (Route::Account(Account::Credential((*id).to_owned())), "POST, DELETE"),
        ["admin", "credentials", id, word] => match credential_action(id, word)? {
            action @ Account::Check(_) => (Route::Account(action), "GET, POST"),
            action @ Account::Quota(_) => (Route::Account(action), READ),
            action => (Route::Account(action), "POST"),
        },
        ["admin", "usage"] => (Route::AdminUsage, READ),
        ["admin", "usage", "reset"] => (Route::AdminUsageReset, "POST"),
        ["admin", "models"] => (Route::AdminModels, READ),
        ["admin", "stats"] => (Route::AdminStats, READ),
        ["admin", "stats.csv"] => (Route::AdminStatsCsv, READ),
        ["admin", "sign-in"] => (Route::SignIn, "POST"),
        ["admin", "sign-out"] => (Route::SignOut, "POST"),
        ["admin", "status"] => (Route::AdminStatus, READ),
        ["admin", "requests"] => (Route::AdminRequests, READ),
        ["admin", "requests.csv"] => (Route::AdminRequestsCsv, READ),
        ["admin", "log"] => (Route::AdminLog, READ),
        ["admin", "keys"] => (Route::AdminKeys, "GET, HEAD, POST"),
        ["admin", "keys", "bulk"] => (Route::AdminKeysBulk, "POST"),
        ["admin", "keys", id] => (Route::AdminKey((*id).to_owned()), "DELETE, POST"),
        _ => return None,
    })
}

fn credential_action(id: &str, word: &str) -> Option<Account> {
    let action = match word {
        "check" => Account::Check,
        "quota" => Account::Quota,
        "refresh" => Account::Refresh,
        "enable" => Account::Enable,
        "disable" => Account::Disable,
        "reset" => Account::Reset,
        _ => return None,
    };
    Some(action(id.to_owned()))
}

/// What only OpenAI's clients ask for.
fn openai(words: &[&str]) -> Found {
    Some(match words {
        [.., "chat", "completions"] => (Route::Chat, "POST"),
        ["v1", .., "completions"] => (Route::Completions, "POST"),
        ["v1", .., "embeddings"] => (Route::Embeddings, "POST"),
        #[cfg(feature = "media")]
        ["v1", group, word] if let Some(endpoint) = Endpoint::of(group, word) => {
            (Route::Media(endpoint), endpoint.methods())
        }
        ["v1", "responses"] => (Route::Responses, "POST"),
        ["v1", "responses", "input_tokens"] => (Route::CountResponse, "POST"),
        ["v1", "responses", "compact"] => (Route::CompactResponse, "POST"),
        ["v1", "responses", id] => (Route::Response((*id).to_owned()), "DELETE, GET, HEAD"),
        ["v1", "responses", id, "input_items"] => (Route::ResponseItems((*id).to_owned()), READ),
        ["v1", "responses", id, "cancel"] => (Route::CancelResponse((*id).to_owned()), "POST"),
        ["v1", "dashboard", "billing", "usage"] => (Route::BillingUsage, READ),
        ["v1", "dashboard", "billing", "subscription"] => (Route::BillingSubscription, READ),
        _ => return None,
    })
}

/// What Anthropic's clients ask for, behind `/v1/messages`.
fn anthropic(rest: &[&str]) -> Found {
    match rest {
        [] => Some((Route::Messages, "POST")),
        ["count_tokens"] => Some((Route::CountTokens, "POST")),
        _ => None,
    }
}

/// What Google's clients ask for. Plain `/v1` is OpenAI's, too: there it shows in other signs who asks.
fn native(path: &GooglePath, request: &Request) -> (Dialect, Found) {
    if !path.is_shared || path.is_googles_own() {
        return (Dialect::Google, path.route());
    }
    let is_models = path.is_models();
    let is_google = is_googles(request) || (is_models && query_value(&request.query, "key").is_some());
    let dialect = match () {
        () if is_google => Dialect::Google,
        () if is_anthropics(request) => Dialect::Anthropic,
        () => Dialect::OpenAi,
    };
    let found = match path.route() {
        // Google's SDKs name themselves; everybody else gets the list that the old program gave.
        Some((Route::GeminiModels, allowed)) if !is_sdk(request) => Some((Route::Models, allowed)),
        Some((Route::GeminiModel(id), allowed)) if !is_sdk(request) => Some((Route::Model(id), allowed)),
        found => found.filter(|_| is_models || (is_google && path.is_collection())),
    };
    (dialect, found)
}

fn is_sdk(request: &Request) -> bool {
    request.headers.get("x-goog-api-client").is_some()
}

fn is_googles(request: &Request) -> bool {
    is_sdk(request) || request.headers.get("x-goog-api-key").is_some()
}

fn is_anthropics(request: &Request) -> bool {
    request.headers.get("anthropic-version").is_some()
}

/// Whose errors a path gets that nobody knows.
fn unknown(words: &[&str], request: &Request) -> Dialect {
    let version = words.first().map_or("", |word| word.split(':').next().unwrap_or_default());
    let number = version.strip_prefix('v').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    match (version, number) {
        ("upload" | "download", _) => Dialect::Google,
        _ if is_googles(request) => Dialect::Google,
        _ if is_anthropics(request) => Dialect::Anthropic,
        // `v2`; the others are Google's: `v1beta2`, `v1internal`.
        (_, Some(number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => Dialect::OpenAi,
        (_, Some(_)) => Dialect::Google,
        _ => Dialect::Admin,
    }
}

/// What waits for Google may take minutes; everything else answers at once and must not wait behind it.
fn lane(route: &Route) -> Lane {
    match route {
        #[cfg(feature = "media")]
        Route::Media(endpoint) if !endpoint.is_list() => Lane::Long,
        Route::Chat
        | Route::Completions
        | Route::Embeddings
        | Route::Responses
        | Route::CompactResponse
        | Route::Messages
        | Route::GeminiCall { .. }
        | Route::Passthrough(_) => Lane::Long,
        Route::Account(
            Account::Callback
            | Account::FinishLogin
            | Account::Add
            | Account::Import
            | Account::Bulk
            | Account::Check(_)
            | Account::Quota(_)
            | Account::Refresh(_),
        ) => Lane::Long,
        _ => Lane::Short,
    }
}
