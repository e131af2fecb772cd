//! Passes the rest of Google's native API on to a pool member with an API key, as it is: files, caches, uploads, other
//! methods of models. Knows what such a request needs on the way, but not what it means.
//!
//! Files and caches belong to the project of the key that made them, so everything a client does with them prefers the
//! member that [`affinity`] chooses; where that one changes, dispatch asks the others, as a file of a stranger is refused.
//! An upload goes on at an address that Google gives; the client gets ours instead.

use crate::api::Surface;
use crate::api::gemini::GeminiSurface;
use crate::dispatch;
use crate::error::{ApiError, ErrorKind};
use crate::http::{EventWriter, Pings, Request, Responder, Response};
use crate::logging::{self, Field};
use crate::serve::app::App;
use crate::upstream::{Forward, RawReply};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::Read;
use std::time::{Duration, Instant};

/// A reply up to this length goes out in one piece, with its length.
const SMALL: usize = 256 << 10;
/// One read of a longer one.
const PIECE: usize = 64 << 10;
/// Google keeps an unfinished upload for days; who has not sent the next piece by then has given up.
const UPLOAD_AGE: Duration = Duration::from_secs(24 * 3600);
const MAX_UPLOADS: usize = 1024;

/// The name by which everything that this client key does with files and caches finds the same member.
pub fn affinity(key: &str) -> String {
    format!("files of {key}")
}

/// Uploads that were begun through us. The piece requests that follow carry no key in the SDKs: the id in their address,
/// which Google makes unguessable, is their only credential, at Google as here.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<VecDeque<Upload>>);

#[derive(Debug)]
struct Upload {
    id: String,
    key: String,
    begun: Instant,
}

impl Uploads {
    /// The name of the client key that began the upload which `request` goes on with.
    pub fn begun_by(&self, request: &Request) -> Option<String> {
        if !native_path(&request.path).starts_with("/upload/") {
            return None;
        }
        let id = crate::http::query_value(&request.query, "upload_id")?;
        let uploads = self.0.lock();
        let upload = uploads.iter().find(|upload| upload.id == id && upload.begun.elapsed() < UPLOAD_AGE)?;
        Some(upload.key.clone())
    }

    fn begin(&self, id: String, key: &str) {
        if id.is_empty() {
            return;
        }
        let mut uploads = self.0.lock();
        uploads.retain(|upload| upload.id != id && upload.begun.elapsed() < UPLOAD_AGE);
        if uploads.len() >= MAX_UPLOADS {
            uploads.pop_front();
        }
        uploads.push_back(Upload { id, key: key.to_owned(), begun: Instant::now() });
    }
}

/// Answers one request, whose caller presented the client key of this name.
pub fn forward(app: &App, key: &str, request: Request, responder: Responder) {
    let started = Instant::now();
    let path = native_path(&request.path);
    if path.is_empty() {
        // Such as an encoded `v1beta`, which no client writes.
        let error = ApiError::new(404, ErrorKind::InvalidRequest, "Not Found").with_code("unknown_url");
        return responder.respond(refusal(&error));
    }
    let asked = Forward {
        method: &request.method,
        path: &path,
        query: &request.query,
        headers: &request.headers,
        body: &request.body,
    };
    let (status, credential) =
        match app.dispatcher.forward(&asked, resource(&path), Some(&affinity(key)), &request.gone) {
            Ok((lease, mut reply)) => {
                let base = base_of(&app.config, &request);
                readdress(&mut reply, &base, &app.config.endpoints.generative_language, |id| {
                    app.uploads.begin(id, key)
                });
                (relay(reply, &request, responder), lease.name)
            }
            Err(error) => {
                responder.respond(refusal(&error));
                (error.status, String::new())
            }
        };
    let ms = started.elapsed().as_millis() as u64;
    app.usage.note("forward", resource(&path), status);
    app.state.touch();
    logging::access(&[
        ("key", key.into()),
        ("surface", "forward".into()),
        ("path", Field::from(&path)),
        ("credential", Field::from(&credential)),
        ("status", status.into()),
        ("ms", ms.into()),
    ]);
}

/// The model that a request is about, if it is about one: in the path, or in the body of those that name it there, such as
/// interactions. Both are read as Google will read them, for a key may be held to some models.
pub fn model_of(request: &Request) -> Option<String> {
    let path = native_path(&request.path);
    let path = percent_decode_str(&path).decode_utf8_lossy();
    let words: Vec<&str> = path.split('/').skip_while(|word| *word != "v1beta").skip(1).collect();
    let name = match words.as_slice() {
        ["models", "models", name, ..] | ["models", name, ..] | ["publishers", _, "models", name, ..] => {
            name.split(':').next().map(str::to_owned)
        }
        ["tunedModels", name, ..] => name.split(':').next().map(|name| format!("tunedModels/{name}")),
        ["models"] => None,
        // What is uploaded may be anything.
        _ if !path.starts_with("/v1beta/") => None,
        _ => named_in_body(&request.body),
    };
    name.map(|name| name.strip_prefix("models/").unwrap_or(&name).to_owned())
}

fn named_in_body(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    ["model", "agent"].iter().find_map(|name| body[*name].as_str().map(str::to_owned))
}

/// Sends the reply; returns the status for the log.
fn relay(reply: RawReply, request: &Request, responder: Responder) -> u16 {
    let _watch = dispatch::watch(&request.gone);
    let RawReply { status, mut headers, reader } = reply;
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    headers.retain(|(name, _)| name != "content-length");
    let pings = Pings { piece: b"", first_after: None, every: None };
    let sent = match length {
        Some(length) if length <= SMALL && request.method != "HEAD" => {
            let mut body = Vec::with_capacity(length);
            match reader.take(SMALL as u64).read_to_end(&mut body) {
                Ok(_) => {
                    responder.respond(Response { status, headers, body });
                    return status;
                }
                Err(_) => Err(responder.events(status, headers, pings)),
            }
        }
        _ => pass(reader, responder.events(status, headers, pings)),
    };
    match sent {
        Ok(()) => status,
        // Where something was sent, dropping the writer cuts the connection: the client sees that the rest is missing.
        Err(writer) if request.gone.is_set() || writer.head_sent() => 499,
        Err(writer) => {
            let error = ApiError::server(502, "upstream_incomplete", "upstream: the answer broke off before its end");
            // Cannot fail: no head was sent.
            let _ = writer.replace_with(refusal(&error));
            error.status
        }
    }
}

/// Sends each piece when it comes; a broken writer comes back.
fn pass(mut reader: Box<dyn Read + Send>, mut writer: EventWriter) -> Result<(), EventWriter> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            // A client that left now has left: it has everything.
            Ok(0) => {
                let _ = writer.finish();
                return Ok(());
            }
            Ok(length) if writer.write(&piece[..length]).is_ok() => {}
            _ => return Err(writer),
        }
    }
}

/// An error in Google's shape.
fn refusal(error: &ApiError) -> Response {
    GeminiSurface { model: String::new(), method: String::new(), sse: false }.error(error)
}

/// The path as Google writes it, without what users paste before it and without doubled slashes. Version `v1`, for which
/// newer SDKs ask, becomes `v1beta`, which has everything that `v1` has. Empty when it is no path of Google's.
fn native_path(path: &str) -> String {
    let mut words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    while words.first() == Some(&"v1") && matches!(words.get(1), Some(&("v1" | "v1beta"))) {
        words.remove(0);
    }
    let version = usize::from(matches!(words.first(), Some(&("upload" | "download"))));
    match words.get_mut(version) {
        Some(word) if matches!(*word, "v1" | "v1beta") => *word = "v1beta",
        _ => return String::new(),
    }
    words.iter().fold(String::new(), |path, word| path + "/" + word)
}

/// What cool-downs are for: the collection, or the model of a method.
fn resource(path: &str) -> &str {
    let mut words = path.split('/').skip_while(|word| *word != "v1beta").skip(1);
    match words.next().unwrap_or("") {
        "models" => words.next().and_then(|word| word.split([':', '%']).next()).unwrap_or("models"),
        collection => collection,
    }
}

/// Our own address as the client reached it.
fn base_of(config: &crate::config::Config, request: &Request) -> String {
    match (&config.public_url, request.headers.get("host")) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => {
            let forwarded = request.headers.get("x-forwarded-proto").unwrap_or("");
            let scheme = if forwarded.trim().eq_ignore_ascii_case("https") { "https" } else { "http" };
            format!("{scheme}://{host}")
        }
        (None, None) => config.base_url(config.port),
    }
}

/// Turns the addresses at which an upload goes on into ours, and tells `begun` of their ids.
fn readdress(reply: &mut RawReply, base: &str, google: &str, mut begun: impl FnMut(String)) {
    let own = |value: &'_ str| value.strip_prefix(google).filter(|rest| rest.starts_with('/')).map(str::to_owned);
    for (name, value) in &mut reply.headers {
        let ours = match name.as_str() {
            "x-goog-upload-url" | "x-goog-upload-control-url" => own(value).or_else(|| after_authority(value)),
            "location" => own(value),
            _ => None,
        };
        let Some(target) = ours else { continue };
        if let Some((_, query)) = target.split_once('?')
            && let Some(id) = crate::http::query_value(query, "upload_id")
        {
            begun(id);
        }
        *value = format!("{base}{target}");
    }
}

/// `/path?query` of an absolute address.
fn after_authority(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    rest.find('/').map(|at| rest[at..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Gone, Headers};
    use std::io::Cursor;

    fn request(path: &str, query: &str, headers: &[(&str, &str)]) -> Request {
        let mut fields = Headers::default();
        headers.iter().for_each(|(name, value)| fields.push(*name, *value));
        Request {
            id: "r".into(),
            method: "POST".into(),
            path: path.into(),
            query: query.into(),
            headers: fields,
            body: Vec::new(),
            peer: "127.0.0.1".parse().unwrap(),
            gone: Gone::default(),
        }
    }

    #[test]
    fn paths_lose_what_users_put_before_them() {
        for (path, expected, word) in [
            ("/v1beta/files/a%20b", "/v1beta/files/a%20b", "files"),
            ("//v1/v1beta//cachedContents/", "/v1beta/cachedContents", "cachedContents"),
            ("/upload/v1beta/files", "/upload/v1beta/files", "files"),
            ("/upload/v1/files", "/upload/v1beta/files", "files"),
            ("/v1/files/v1", "/v1beta/files/v1", "files"),
            ("/v1beta/models/imagen-4.0:predict", "/v1beta/models/imagen-4.0:predict", "imagen-4.0"),
            ("/v1beta/models/imagen-4.0%3Apredict", "/v1beta/models/imagen-4.0%3Apredict", "imagen-4.0"),
            ("/v1beta/models/veo/operations/x", "/v1beta/models/veo/operations/x", "veo"),
        ] {
            assert_eq!(native_path(path), expected);
            assert_eq!(resource(expected), word, "{path}");
            let model = expected.contains("/models/").then(|| word.to_owned());
            assert_eq!(model_of(&request(path, "", &[])), model, "{path}");
        }
    }

    #[test]
    fn the_model_is_found_wherever_google_finds_it() {
        for (path, body, expected) in [
            ("/v1beta/models", "", None),
            ("/v1beta/models/x%2Dy:predict", "", Some("x-y")),
            ("/v1beta/%6Dodels/x:predict", "", Some("x")),
            ("/v1beta/models%2Fx:predict", "", Some("x")),
            ("/v1beta/models/models/x:predict", "", Some("x")),
            ("/v1beta/publishers/google/models/x:predict", "", Some("x")),
            ("/v1beta/tunedModels/x:generateContent", "", Some("tunedModels/x")),
            ("/v1beta/interactions", r#"{"input":"hi","model":"models/x"}"#, Some("x")),
            ("/v1beta/interactions", r#"{"input":"hi","agent":"deep"}"#, Some("deep")),
            ("/v1beta/cachedContents", r#"{"model":"y","model":"x"}"#, Some("x")),
            ("/v1beta/files", r#"{"file":{}}"#, None),
            ("/v1beta/files", "no JSON", None),
            ("/upload/v1beta/files", r#"{"model":"x"}"#, None),
        ] {
            let asked = Request { body: body.into(), ..request(path, "", &[]) };
            assert_eq!(model_of(&asked).as_deref(), expected, "{path} {body}");
        }
    }

    #[test]
    fn an_upload_goes_on_at_our_address_and_its_id_is_remembered() {
        let google = "https://generativelanguage.googleapis.com";
        let headers = [
            ("x-goog-upload-url", "https://upload.googleapis.com/upload/v1beta/files?upload_id=AB%2Bc&x=1"),
            ("location", "https://generativelanguage.googleapis.com/v1beta/files/x"),
            ("location", "https://storage.googleapis.com/x"),
            ("etag", "https://storage.googleapis.com/x"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut reply = RawReply { status: 200, headers, reader: Box::new(Cursor::new([])) };
        let uploads = Uploads::default();
        readdress(&mut reply, "http://here:81", google, |id| uploads.begin(id, "alice"));
        let values: Vec<&str> = reply.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values,
            [
                "http://here:81/upload/v1beta/files?upload_id=AB%2Bc&x=1",
                "http://here:81/v1beta/files/x",
                "https://storage.googleapis.com/x",
                "https://storage.googleapis.com/x",
            ]
        );
        let asks = |path, query| uploads.begun_by(&request(path, query, &[]));
        assert_eq!(asks("/upload/v1beta/files", "upload_id=AB%2Bc").as_deref(), Some("alice"));
        assert_eq!(asks("/upload/v1beta/files", "upload_id=AB"), None);
        assert_eq!(asks("/upload/v1beta/files", ""), None);
        assert_eq!(asks("/v1beta/files", "upload_id=AB%2Bc"), None, "the id opens uploads only");
        assert_eq!(asks("/v1beta/upload/x", "upload_id=AB%2Bc"), None);
    }

    #[test]
    fn old_uploads_make_room_for_new_ones() {
        let uploads = Uploads::default();
        (0..=MAX_UPLOADS).for_each(|n| uploads.begin(n.to_string(), "k"));
        assert_eq!(uploads.0.lock().len(), MAX_UPLOADS);
        let asks = |id: usize| uploads.begun_by(&request("/upload/v1beta/files", &format!("upload_id={id}"), &[]));
        assert_eq!((asks(0), asks(1).is_some(), asks(MAX_UPLOADS).is_some()), (None, true, true));
    }

    #[test]
    fn our_address_is_the_one_the_client_used() {
        let plain = crate::config::parse("{}").unwrap().config;
        let mut public = plain.clone();
        public.public_url = Some("https://gw.example/ai".into());
        let here = [("host", "box:8000")];
        let proxied = [("host", "gw.example"), ("x-forwarded-proto", "https")];
        for (config, headers, expected) in [
            (&plain, here.as_slice(), "http://box:8000"),
            (&plain, proxied.as_slice(), "https://gw.example"),
            (&public, here.as_slice(), "https://gw.example/ai"),
        ] {
            assert_eq!(base_of(config, &request("/", "", headers)), expected);
        }
    }
}
