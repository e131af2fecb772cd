//! Uploads in pieces, which go on at an address that Google gives; the client gets ours instead.

use crate::config::Config;
use crate::http::{Request, query_value};
use crate::keys::Key;
use crate::serve::app::App;
use crate::serve::route::Passthrough;
use crate::upstream::RawReply;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Google keeps an unfinished upload for days; who has not sent the next piece by then has given up.
const UPLOAD_AGE: Duration = Duration::from_secs(24 * 3600);
const MAX_UPLOADS: usize = 1024;

/// Uploads that were begun through us. The piece requests that follow carry no key in the SDKs: the id in their address,
/// which Google makes unguessable, is their only credential, at Google as here.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<VecDeque<Upload>>);

#[derive(Debug)]
struct Upload {
    id: String,
    key: Arc<Key>,
    begun: Instant,
}

impl Uploads {
    /// The client key that began the upload which a request goes on with, as it was then.
    pub fn begun_by(&self, target: &Passthrough, query: &str) -> Option<Arc<Key>> {
        let id = query_value(query, "upload_id").filter(|_| target.is_upload)?;
        let uploads = self.0.lock();
        let upload = uploads.iter().find(|upload| upload.id == id && upload.begun.elapsed() < UPLOAD_AGE)?;
        Some(upload.key.clone())
    }

    fn begin(&self, id: String, key: &Arc<Key>) {
        if id.is_empty() {
            return;
        }
        let mut uploads = self.0.lock();
        uploads.retain(|upload| upload.id != id && upload.begun.elapsed() < UPLOAD_AGE);
        if uploads.len() >= MAX_UPLOADS {
            // The oldest one of who has most: nobody takes the place of others' by beginning many.
            let mut counts: HashMap<&str, usize> = HashMap::new();
            uploads.iter().for_each(|upload| *counts.entry(&upload.key.mark).or_default() += 1);
            let most = uploads.iter().enumerate().max_by_key(|(at, upload)| (counts[&*upload.key.mark], Reverse(*at)));
            most.map(|(at, _)| at).and_then(|at| uploads.remove(at));
        }
        uploads.push_back(Upload { id, key: key.clone(), begun: Instant::now() });
    }
}

/// The word in an address by which every replica knows whose upload it is.
const VOUCHER: &str = "proxy_upload";

fn about(id: &str, mark: &str) -> String {
    format!("upload {mark} {id}")
}

/// The client key that began the upload which a request goes on with, on whichever replica.
pub fn begun_by(app: &App, target: &Passthrough, query: &str) -> Option<Arc<Key>> {
    if let Some(key) = app.uploads.begun_by(target, query) {
        return app.keys.present(&key);
    }
    let replicas = app.replicas.as_ref().filter(|_| target.is_upload)?;
    let (id, voucher) = (query_value(query, "upload_id")?, query_value(query, VOUCHER)?);
    let (mark, voucher) = voucher.split_once('.')?;
    replicas.vouches(&about(&id, mark), voucher).then(|| app.keys.marked(mark)).flatten()
}

/// A query as Google knows it.
pub fn without_voucher<'a>(app: &App, query: &'a str) -> Cow<'a, str> {
    let is_ours = |pair: &&str| pair.strip_prefix(VOUCHER).is_some_and(|rest| rest.starts_with('='));
    if app.replicas.is_none() || !query.split('&').any(|pair| is_ours(&pair)) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(|pair| !is_ours(pair)).collect::<Vec<_>>().join("&"))
}

/// Turns the addresses at which an upload of `key` goes on into ours, and remembers the upload.
pub fn readdress(reply: &mut RawReply, app: &App, request: &Request, key: &Arc<Key>) {
    let base = base_of(&app.config, request);
    let begun = |id: String| {
        let voucher = app.replicas.as_ref().and_then(|replicas| {
            let voucher = replicas.voucher(&about(&id, &key.mark), UPLOAD_AGE)?;
            Some(format!("&{VOUCHER}={}.{voucher}", &*key.mark))
        });
        app.uploads.begin(id, key);
        voucher
    };
    rewrite(reply, &base, &app.config.endpoints.generative_language, begun);
}

/// Our own address as the client reached it.
fn base_of(config: &Config, request: &Request) -> String {
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

/// As [`readdress`]; tells `begun` of the ids of uploads, and adds to the address what that says.
fn rewrite(reply: &mut RawReply, base: &str, google: &str, mut begun: impl FnMut(String) -> Option<String>) {
    let own = |value: &'_ str| value.strip_prefix(google).filter(|rest| rest.starts_with('/')).map(str::to_owned);
    for (name, value) in &mut reply.headers {
        let ours = match name.as_str() {
            "x-goog-upload-url" | "x-goog-upload-control-url" => own(value).or_else(|| after_authority(value)),
            "location" => own(value),
            _ => None,
        };
        let Some(target) = ours else { continue };
        let id = target.split_once('?').and_then(|(_, query)| query_value(query, "upload_id"));
        let also = id.and_then(&mut begun).unwrap_or_default();
        *value = format!("{base}{target}{also}");
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
    use crate::keys::Keys;
    use crate::serve::route::{Route, Target};
    use crate::storage::state::Section;
    use std::io::Cursor;

    /// Two keys of these names.
    fn keys() -> [Arc<Key>; 2] {
        let config = crate::config::parse(r#"{"auth_keys":[{"key":"sk-1","name":"alice"},{"key":"sk-2","name":"k"}]}"#);
        let keys = Keys::new(&config.unwrap().config.auth_keys, &Section::default());
        ["sk-1", "sk-2"].map(|key| keys.find(key).unwrap())
    }

    /// Who began the upload that a request for this address goes on with.
    fn begun_by(uploads: &Uploads, target: &str) -> Option<String> {
        let request = Request::sample("POST", target, &[]);
        let Ok(Route::Passthrough(target)) = Target::of(&request).route else { panic!("{target} is not passed on") };
        uploads.begun_by(&target, &request.query).map(|key| key.name.to_string())
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
        let (uploads, [alice, _]) = (Uploads::default(), keys());
        rewrite(&mut reply, "http://here:81", google, |id| {
            uploads.begin(id, &alice);
            None
        });
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
        let asks = |target| begun_by(&uploads, target);
        assert_eq!(asks("/upload/v1beta/files?upload_id=AB%2Bc").as_deref(), Some("alice"));
        assert_eq!(asks("/upload/v1alpha/files?upload_id=AB%2Bc").as_deref(), Some("alice"));
        assert_eq!(asks("/upload/v1beta/files?upload_id=AB"), None);
        assert_eq!(asks("/upload/v1beta/files"), None);
        assert_eq!(asks("/v1beta/files?upload_id=AB%2Bc"), None, "the id opens uploads only");
        assert_eq!(asks("/v1beta/upload/x?upload_id=AB%2Bc"), None);
    }

    #[test]
    fn old_uploads_make_room_for_new_ones() {
        let (uploads, [other, k]) = (Uploads::default(), keys());
        (0..=MAX_UPLOADS).for_each(|n| uploads.begin(n.to_string(), &k));
        assert_eq!(uploads.0.lock().len(), MAX_UPLOADS);
        let asks = |id: usize| begun_by(&uploads, &format!("/upload/v1beta/files?upload_id={id}"));
        assert_eq!((asks(0), asks(1).is_some(), asks(MAX_UPLOADS).is_some()), (None, true, true));
        uploads.begin("mine".into(), &other);
        (0..MAX_UPLOADS).for_each(|n| uploads.begin(format!("again-{n}"), &k));
        assert_eq!(begun_by(&uploads, "/upload/v1beta/files?upload_id=mine").as_deref(), Some("alice"));
        assert_eq!(uploads.0.lock().len(), MAX_UPLOADS);
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
            assert_eq!(base_of(config, &Request::sample("POST", "/", headers)), expected);
        }
    }
}
