//! Every route of the program on one screen, and which lane each takes. Pure: method and path in, a [`Route`] out.
//!
//! Users paste base addresses in every form (clients.md 4.0), so a path is read generously: repeated slashes and a
//! trailing one do not count, `/v1` may be missing or doubled, and a whole endpoint pasted as a base is understood.

use crate::http::Lane;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The admin page.
    Home,
    /// A file of the admin page.
    Static(String),
    /// Is it up?
    Health,
    /// The pool as JSON.
    AdminCredentials,
    /// Connecting and managing credentials.
    Account(Account),
    /// Usage as JSON, by model.
    AdminUsage,
    /// Forgets the usage.
    AdminUsageReset,
    /// Usage over time as JSON.
    AdminStats,
    /// The same as a table.
    AdminStatsCsv,
    /// How the program is.
    AdminStatus,
    /// The last requests.
    AdminRequests,
    /// The last log lines.
    AdminLog,
    /// The clients' keys: list and make.
    AdminKeys,
    /// One of them: change and delete.
    AdminKey(String),
    /// Figures for Prometheus.
    Metrics,
    /// OpenAI's chat.
    Chat,
    /// OpenAI's legacy completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's old billing: what was spent.
    BillingUsage,
    /// OpenAI's old billing: what may be spent.
    BillingSubscription,
    /// OpenAI's models.
    Models,
    /// One of them.
    Model(String),
    /// Google's models.
    GeminiModels,
    /// One of them.
    GeminiModel(String),
    /// `{model}:{method}` of Google's API.
    GeminiCall {
        /// As written, maybe with prefix and suffixes.
        model: String,
        /// After the colon.
        method: String,
    },
    /// Everything else of Google's API, passed on as it is: files, caches, uploads, other methods of models. For Google's
    /// clients only: OpenAI has paths such as `/v1/files` of its own.
    GeminiForward,
}

/// Methods of models that are translated, so that every member of the pool can serve them; others are passed on.
const TRANSLATED: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];

/// Google's collections, which its SDKs also ask for under `/v1`. OpenAI has some of the same names, so whose a request
/// is shows in its headers.
const COLLECTIONS: [&str; 8] =
    ["batches", "cachedContents", "corpora", "fileSearchStores", "files", "interactions", "operations", "tunedModels"];

const FORWARDED: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";

/// What a person does about credentials. The texts are ids such as `cred-0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// To Google's consent page.
    Login,
    /// Back from it.
    Callback,
    /// The consent page's address as JSON.
    StartLogin,
    /// A pasted code or callback address.
    FinishLogin,
    /// One credential, as the old program took it.
    Add,
    /// Any number, in any shape.
    Import,
    /// Change (POST) or remove (DELETE).
    Member(String),
    /// Does it work?
    Check(String),
    /// What is left of its quota?
    Quota(String),
    /// A new token.
    Refresh(String),
    /// Lend it out again.
    Enable(String),
    /// Lend it out no more.
    Disable(String),
    /// Forget rests and blocks.
    Reset(String),
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404.
    UnknownPath,
    /// 405 with these words for `Allow`.
    WrongMethod(&'static str),
}

/// Whose errors and headers a path gets, known even when the route is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// OpenAI-style API: client keys, CORS, OpenAI's error shape.
    OpenAi,
    /// Google's native API: client keys, CORS, Google's error shape.
    Gemini,
    /// Pages and admin: no CORS, `{"detail"}`.
    Admin,
}

/// Finds the route. HEAD is allowed where GET changes nothing.
pub fn route(method: &str, path: &str) -> Result<Route, Refusal> {
    let segments = segments(path);
    let words: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let (route, allowed) = match words.as_slice() {
        [] => (Route::Home, "GET, HEAD"),
        ["static", name] => (Route::Static((*name).to_owned()), "GET, HEAD"),
        ["health"] => (Route::Health, "GET, HEAD"),
        ["admin", "credentials"] => (Route::AdminCredentials, "GET, HEAD"),
        ["oauth2", "login"] => (Route::Account(Account::Login), "GET, HEAD"),
        ["oauth2", "callback"] => (Route::Account(Account::Callback), "GET"),
        ["admin", "oauth", "start"] => (Route::Account(Account::StartLogin), "POST"),
        ["admin", "oauth", "finish"] => (Route::Account(Account::FinishLogin), "POST"),
        ["admin", "credentials", "add"] => (Route::Account(Account::Add), "POST"),
        ["admin", "credentials", "import"] => (Route::Account(Account::Import), "POST"),
        ["admin", "credentials", id] => (Route::Account(Account::Member((*id).to_owned())), "POST, DELETE"),
        ["admin", "credentials", id, word] => match member_action(id, word) {
            Some(action @ Account::Check(_)) => (Route::Account(action), "GET, POST"),
            Some(action @ Account::Quota(_)) => (Route::Account(action), "GET, HEAD"),
            Some(action) => (Route::Account(action), "POST"),
            None => return Err(Refusal::UnknownPath),
        },
        ["admin", "usage"] => (Route::AdminUsage, "GET, HEAD"),
        ["admin", "usage", "reset"] => (Route::AdminUsageReset, "POST"),
        ["admin", "stats"] => (Route::AdminStats, "GET, HEAD"),
        ["admin", "stats.csv"] => (Route::AdminStatsCsv, "GET, HEAD"),
        ["admin", "status"] => (Route::AdminStatus, "GET, HEAD"),
        ["admin", "requests"] => (Route::AdminRequests, "GET, HEAD"),
        ["admin", "log"] => (Route::AdminLog, "GET, HEAD"),
        ["admin", "keys"] => (Route::AdminKeys, "GET, HEAD, POST"),
        ["admin", "keys", id] => (Route::AdminKey((*id).to_owned()), "DELETE, POST"),
        ["metrics"] => (Route::Metrics, "GET, HEAD"),
        [.., "chat", "completions"] => (Route::Chat, "POST"),
        ["v1", .., "completions"] => (Route::Completions, "POST"),
        ["v1", .., "embeddings"] => (Route::Embeddings, "POST"),
        ["v1", "dashboard", "billing", "usage"] => (Route::BillingUsage, "GET, HEAD"),
        ["v1", "dashboard", "billing", "subscription"] => (Route::BillingSubscription, "GET, HEAD"),
        ["v1", "models"] => (Route::Models, "GET, HEAD"),
        ["v1beta", "models"] => (Route::GeminiModels, "GET, HEAD"),
        // Google's own server need not agree on where such a path leads.
        ["v1" | "v1beta" | "upload" | "download", ..] if words.iter().any(|word| [".", ".."].contains(word)) => {
            return Err(Refusal::UnknownPath);
        }
        ["v1" | "v1beta", rest @ ..] if model_call(rest).is_some() => {
            // The guard has just found it.
            let (model, method) = model_call(rest).unwrap_or_default();
            // Tuned models are in no table and on no other service.
            match TRANSLATED.contains(&method.as_str()) && !model.starts_with("tunedModels/") {
                true => (Route::GeminiCall { model, method }, "POST"),
                false => (Route::GeminiForward, FORWARDED),
            }
        }
        ["v1" | "v1beta", "models", _, "operations", _, ..] => (Route::GeminiForward, FORWARDED),
        ["v1", "models", id @ ..] => (Route::Model(id.join("/")), "GET, HEAD"),
        ["v1beta", "models", id @ ..] => (Route::GeminiModel(id.join("/")), "GET, HEAD"),
        ["v1beta", _, ..] | ["upload" | "download", "v1" | "v1beta", _, ..] => (Route::GeminiForward, FORWARDED),
        ["v1", word, ..] if COLLECTIONS.iter().any(|name| word.split(':').next() == Some(name)) => {
            (Route::GeminiForward, FORWARDED)
        }
        _ => return Err(Refusal::UnknownPath),
    };
    if allowed.split(", ").any(|word| word == method) { Ok(route) } else { Err(Refusal::WrongMethod(allowed)) }
}

fn member_action(id: &str, word: &str) -> Option<Account> {
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

/// Which side of the program a path belongs to.
pub fn side(path: &str) -> Side {
    let segments = segments(path);
    let words: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["v1beta", ..] | ["upload" | "download", "v1" | "v1beta", ..] => Side::Gemini,
        ["v1", rest @ ..] if model_call(rest).is_some() => Side::Gemini,
        ["v1", ..] | [.., "chat", "completions"] => Side::OpenAi,
        _ => Side::Admin,
    }
}

/// What waits for Google may take minutes; everything else answers at once and must not wait behind it.
pub fn lane(method: &str, path: &str) -> Lane {
    match route(method, path) {
        Ok(Route::Chat | Route::Completions | Route::Embeddings | Route::GeminiCall { .. } | Route::GeminiForward) => {
            Lane::Long
        }
        Ok(Route::Account(
            Account::Callback
            | Account::FinishLogin
            | Account::Add
            | Account::Import
            | Account::Check(_)
            | Account::Quota(_)
            | Account::Refresh(_),
        )) => Lane::Long,
        _ => Lane::Short,
    }
}

/// `models/x:method`, `tunedModels/x:method`, `publishers/google/models/x:method`: the model and the method.
fn model_call(words: &[&str]) -> Option<(String, String)> {
    let (last, before) = words.split_last()?;
    let (name, method) = last.rsplit_once(':')?;
    match before {
        ["tunedModels"] => Some((format!("tunedModels/{name}"), method.to_owned())),
        ["models", between @ ..] | ["publishers", "google", "models", between @ ..] => {
            let mut path: Vec<&str> = between.to_vec();
            path.push(name);
            Some((path.join("/"), method.to_owned()))
        }
        _ => None,
    }
}

/// The path in decoded segments, with the spellings users paste folded into one.
fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let mut segments: Vec<Cow<str>> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    let is = |segments: &[Cow<str>], at: usize, words: &[&str]| {
        segments.get(at).is_some_and(|segment| words.contains(&segment.as_ref()))
    };
    // `/openai/v1/x` and `/v1beta/openai/x` are `/v1/x`.
    if is(&segments, 0, &["openai"]) {
        segments.remove(0);
    } else if is(&segments, 0, &["v1beta"]) && is(&segments, 1, &["openai"]) {
        segments.splice(0..2, ["v1".into()]);
    }
    while is(&segments, 0, &["v1"]) && is(&segments, 1, &["v1", "v1beta"]) {
        segments.remove(0);
    }
    let bare = ["chat", "models", "responses", "messages", "embeddings", "completions", "dashboard"];
    // Whoever pastes the whole chat endpoint as a base asks there for the models, too.
    let at = usize::from(is(&segments, 0, &["v1"]));
    let is_chat = is(&segments, at, &["chat"]) && is(&segments, at + 1, &["completions"]);
    if is_chat && (is(&segments, at + 2, &["v1"]) || is(&segments, at + 2, &bare)) {
        segments.drain(..at + 2);
    }
    if is(&segments, 0, &bare) {
        segments.insert(0, "v1".into());
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_endpoint_is_found_in_every_spelling() {
        for path in [
            "/v1/chat/completions",
            "/v1/chat/completions/",
            "//v1//chat/completions",
            "/v1/v1/chat/completions",
            "/chat/completions",
            "/openai/v1/chat/completions",
            "/v1beta/openai/chat/completions",
            "/v1/chat/completions/v1/chat/completions",
            "/v1/chat/completions/chat/completions",
        ] {
            assert_eq!(route("POST", path), Ok(Route::Chat), "{path}");
            assert_eq!(side(path), Side::OpenAi, "{path}");
            assert_eq!(lane("POST", path), Lane::Long, "{path}");
        }
        assert_eq!(route("GET", "/v1/chat/completions"), Err(Refusal::WrongMethod("POST")));
        for path in
            ["/v1/chat/completions/models", "/chat/completions/v1/models", "/openai/v1/chat/completions/models/"]
        {
            assert_eq!(route("GET", path), Ok(Route::Models), "{path}");
        }
        // A stored completion of OpenAI's, which nobody has here.
        assert_eq!(route("GET", "/v1/chat/completions/chatcmpl-1"), Err(Refusal::UnknownPath));
        assert_eq!(side("/v1/chat/completions/chatcmpl-1"), Side::OpenAi);
    }

    #[test]
    fn native_paths_name_model_and_method() {
        let call = |model: &str, method: &str| Ok(Route::GeminiCall { model: model.into(), method: method.into() });
        for (path, expected) in [
            ("/v1beta/models/x:generateContent", call("x", "generateContent")),
            ("/v1beta/models/x%3AgenerateContent", call("x", "generateContent")),
            ("/v1beta/models/models/x:generateContent", call("models/x", "generateContent")),
            ("/v1/models/x:streamGenerateContent", call("x", "streamGenerateContent")),
            ("/v1beta/tunedModels/x:generateContent", Ok(Route::GeminiForward)),
            ("/v1/tunedModels/x:generateContent", Ok(Route::GeminiForward)),
            ("/v1beta/publishers/google/models/x:countTokens", call("x", "countTokens")),
        ] {
            assert_eq!(route("POST", path), expected, "{path}");
            assert_eq!(side(path), Side::Gemini, "{path}");
        }
        assert_eq!(route("GET", "/v1beta/models/"), Ok(Route::GeminiModels));
        assert_eq!(route("GET", "/v1beta/models/a/b"), Ok(Route::GeminiModel("a/b".into())));
    }

    #[test]
    fn the_smaller_endpoints_are_found_with_and_without_v1() {
        for (method, path, expected, expected_lane) in [
            ("POST", "/v1/completions", Route::Completions, Lane::Long),
            ("POST", "/completions/", Route::Completions, Lane::Long),
            ("POST", "/v1/completions/v1/completions", Route::Completions, Lane::Long),
            ("POST", "/v1/embeddings", Route::Embeddings, Lane::Long),
            ("POST", "/embeddings", Route::Embeddings, Lane::Long),
            ("POST", "/v1beta/openai/embeddings", Route::Embeddings, Lane::Long),
            ("GET", "/dashboard/billing/usage", Route::BillingUsage, Lane::Short),
            ("GET", "/v1/dashboard/billing/usage", Route::BillingUsage, Lane::Short),
            ("GET", "/dashboard/billing/subscription", Route::BillingSubscription, Lane::Short),
            ("GET", "/v1/dashboard/billing/subscription/", Route::BillingSubscription, Lane::Short),
        ] {
            assert_eq!(route(method, path), Ok(expected), "{path}");
            assert_eq!(side(path), Side::OpenAi, "{path}");
            assert_eq!(lane(method, path), expected_lane, "{path}");
        }
        assert_eq!(route("GET", "/v1/embeddings"), Err(Refusal::WrongMethod("POST")));
    }

    #[test]
    fn other_native_paths_are_passed_on() {
        for (method, path) in [
            ("GET", "/v1beta/files"),
            ("DELETE", "/v1beta/files/x"),
            ("GET", "/v1beta/files/x:download"),
            ("POST", "/upload/v1beta/files"),
            ("PUT", "/upload/v1beta/files"),
            ("PATCH", "/v1beta/cachedContents/x"),
            ("GET", "/v1beta/operations/x"),
            ("GET", "/v1beta/models/veo-3.0/operations/x"),
            ("POST", "/v1beta/models/imagen-4.0:predict"),
            ("GET", "/v1beta/tunedModels"),
            ("POST", "/upload/v1/files"),
            ("POST", "/v1/models/imagen-4.0:predict"),
        ] {
            assert_eq!(route(method, path), Ok(Route::GeminiForward), "{path}");
            assert_eq!(side(path), Side::Gemini, "{path}");
            assert_eq!(lane(method, path), Lane::Long, "{path}");
        }
        for path in ["/v1/files", "/v1/files/x", "/v1/cachedContents", "/v1/models/veo-3.0/operations/x"] {
            assert_eq!(route("GET", path), Ok(Route::GeminiForward), "{path}");
        }
        for path in [
            "/v1/files/../x",
            "/v1beta/files/../../x",
            "/v1beta/%2e%2e/x",
            "/upload/v1beta/./x",
            "/v1beta",
            "/upload/x",
        ] {
            assert_eq!(route("GET", path), Err(Refusal::UnknownPath), "{path}");
        }
    }

    #[test]
    fn short_requests_take_the_short_lane() {
        for path in ["/", "/health", "/v1/models", "/v1/models/x", "/admin/usage", "/nothing", "/v1beta/models"] {
            assert_eq!(lane("GET", path), Lane::Short, "{path}");
        }
        assert_eq!(lane("OPTIONS", "/v1/chat/completions"), Lane::Short);
    }

    #[test]
    fn credentials_are_managed_by_id_and_what_asks_google_takes_the_long_lane() {
        let id = || "cred-0".to_owned();
        for (method, path, expected, wanted) in [
            ("GET", "/oauth2/login", Account::Login, Lane::Short),
            ("GET", "/oauth2/callback", Account::Callback, Lane::Long),
            ("POST", "/admin/credentials/add", Account::Add, Lane::Long),
            ("DELETE", "/admin/credentials/cred-0", Account::Member(id()), Lane::Short),
            ("GET", "/admin/credentials/cred-0/check", Account::Check(id()), Lane::Long),
            ("POST", "/admin/credentials/cred-0/check/", Account::Check(id()), Lane::Long),
            ("POST", "/admin/credentials/cred-0/reset", Account::Reset(id()), Lane::Short),
        ] {
            assert_eq!(route(method, path), Ok(Route::Account(expected)), "{path}");
            assert_eq!((lane(method, path), side(path)), (wanted, Side::Admin), "{path}");
        }
        assert_eq!(route("GET", "/admin/credentials/cred-0/reset"), Err(Refusal::WrongMethod("POST")));
        assert_eq!(route("POST", "/admin/credentials/cred-0/frob"), Err(Refusal::UnknownPath));
    }

    #[test]
    fn the_rest_is_refused() {
        assert_eq!(route("GET", "/nothing"), Err(Refusal::UnknownPath));
        assert_eq!(route("GET", "/v1"), Err(Refusal::UnknownPath));
        assert_eq!(route("POST", "/health"), Err(Refusal::WrongMethod("GET, HEAD")));
        assert_eq!(route("HEAD", "/health"), Ok(Route::Health));
        // A preview of the address must not use the code up.
        assert_eq!(route("HEAD", "/oauth2/callback"), Err(Refusal::WrongMethod("GET")));
    }
}
