//! Media that are too large to go inside a request: they go to the Files API of the key that is asked, and leave it after the
//! answer (docs/media.md "Large recordings").

use super::cancel;
use super::error::{Fault, Refusal};
use super::raw::{self, RawReply, RawRequest};
use crate::api::Call;
use crate::credentials::Access;
use crate::gemini::{Content, FileData, Part, Request};
use crate::http::{CancelToken, Headers};
use crate::os::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use std::cmp::Reverse;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{self, Uri};

/// Google takes 20 MiB as a whole; so much of it may be media in base64, and the rest is for texts.
const MOST_INLINE: usize = 18 << 20;
/// How long Google may look at files where the config bounds no silence.
const PREPARING: Duration = Duration::from_secs(90);
/// How often it is asked whether it is done.
const AGAIN: Duration = Duration::from_millis(250);
/// For taking all files of a call away, when everybody has what they wanted.
const PARTING: Duration = Duration::from_secs(5);
/// Letters of a file's name; Google allows 40.
const NAME: usize = 32;

/// What was uploaded for one call. It leaves Google when this is dropped.
pub(super) struct Files {
    agent: Agent,
    base: String,
    access: Access,
    /// `files/...`, chosen here: so they are known also where Google's answer to an upload is lost.
    names: Vec<String>,
}

/// A file as Google tells of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    uri: String,
    state: String,
    error: Trouble,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trouble {
    message: String,
}

#[derive(Deserialize)]
struct Uploaded {
    file: File,
}

/// Whether its media do not fit inside a request, as far as Google's public API allows.
pub(crate) fn is_needed(request: &Request) -> bool {
    media(request).map(size).sum::<usize>() > MOST_INLINE
}

impl Files {
    /// The call with addresses in the place of its largest media, and their files; `None` where all fit inside.
    pub(super) fn store(
        agent: &Agent,
        base: &str,
        access: &Access,
        call: &Call,
    ) -> Result<Option<(Call, Files)>, Fault> {
        if !is_needed(&call.request) {
            return Ok(None);
        }
        let mut order: Vec<&Part> = media(&call.request).collect();
        order.sort_by_key(|part| Reverse(size(part)));
        let mut left: usize = order.iter().map(|part| size(part)).sum();
        let mut files = Files { agent: agent.clone(), base: base.into(), access: access.clone(), names: Vec::new() };
        let mut uploaded = Vec::new();
        for part in order {
            let Some(blob) = part.inline_data.as_ref().filter(|_| left > MOST_INLINE) else { break };
            // What is no base64 stays where it is, for Google to refuse.
            let Ok(bytes) = STANDARD.decode(&blob.data) else { continue };
            left -= blob.data.len();
            uploaded.push((part, &*blob.mime_type, files.upload(&blob.mime_type, &bytes)?));
        }
        let stored = files.wait(uploaded)?;
        let request = with_parts(&call.request, |part| match stored.iter().find(|(of, _)| std::ptr::eq(*of, part)) {
            None => part.clone(),
            Some((_, file)) => Part {
                file_data: Some(Box::new(file.clone())),
                thought: part.thought,
                thought_signature: part.thought_signature.clone(),
                other: part.other.clone(),
                ..Part::default()
            },
        });
        let light = Call {
            long_decode: call.long_decode,
            streams_arguments: call.streams_arguments,
            ..Call::new(&*call.model, call.operation, request)
        };
        Ok(Some((light, files)))
    }

    /// Uploads a file, which Google may still have to look at.
    fn upload(&mut self, kind: &str, bytes: &[u8]) -> Result<File, Fault> {
        let name = format!("files/{}", random::id(NAME).to_ascii_lowercase());
        let size = bytes.len().to_string();
        let start = [
            ("X-Goog-Upload-Protocol", "resumable"),
            ("X-Goog-Upload-Command", "start"),
            ("X-Goog-Upload-Header-Content-Length", size.as_str()),
            ("X-Goog-Upload-Header-Content-Type", kind),
            ("Content-Type", "application/json"),
        ];
        let about = json!({"file": {"name": name}}).to_string();
        let begun = self.ask("POST", ("/upload/v1beta/files", ""), &start, about.as_bytes())?;
        let address = begun.headers.into_iter().find(|(name, _)| name == "x-goog-upload-url").map(|(_, value)| value);
        // Only its own service is sent the key, whatever the address says.
        let place = address.and_then(|address| address.parse::<Uri>().ok()).unwrap_or_default();
        if !place.path().starts_with("/upload/") {
            return Err(Fault::Invalid("it names no address for an upload".into()));
        }
        self.names.push(name);
        let whole = [("X-Goog-Upload-Command", "upload, finalize"), ("X-Goog-Upload-Offset", "0")];
        let sent = self.ask("POST", (place.path(), place.query().unwrap_or("")), &whole, bytes)?;
        Ok(read::<Uploaded>(sent)?.file)
    }

    /// Waits until all can be used, as long as Google may be silent; they are in the order of their names.
    fn wait<'a>(&self, uploaded: Vec<(&'a Part, &str, File)>) -> Result<Vec<(&'a Part, FileData)>, Fault> {
        let patience = self.agent.config().timeout_per_read().unwrap_or(PREPARING);
        let end = Instant::now() + patience;
        let mut ready = Vec::new();
        for ((part, kind, mut file), name) in uploaded.into_iter().zip(&self.names) {
            while file.state == "PROCESSING" {
                if Instant::now() >= end {
                    let why = format!("it still looks at a file ({kind}) after {} s", patience.as_secs());
                    return Err(refused(504, &why));
                }
                thread::sleep(AGAIN);
                file = read(self.ask("GET", (&format!("/v1beta/{name}"), ""), &[], b"")?)?;
            }
            if file.state == "FAILED" || file.uri.is_empty() {
                let why = if file.error.message.is_empty() { "it failed" } else { &file.error.message };
                return Err(refused(400, &format!("it cannot use a file ({kind}): {why}")));
            }
            let mime_type = Some(kind.to_owned());
            ready.push((part, FileData { mime_type, file_uri: file.uri, ..FileData::default() }));
        }
        Ok(ready)
    }

    fn ask(
        &self,
        method: &str,
        (path, query): (&str, &str),
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<RawReply, Fault> {
        let mut headers = Headers::default();
        fields.iter().for_each(|(name, value)| headers.push(*name, *value));
        let request = RawRequest { method, path, query, headers: &headers, body };
        let reply = raw::send(&self.agent, &self.base, &self.access, &request)?;
        if reply.status >= 400 { Err(reply.refusal().0) } else { Ok(reply) }
    }

    fn remove(&self, name: &str, end: Instant) -> bool {
        let request = http::Request::delete(format!("{}/v1beta/{name}", self.base));
        let Ok(request) = request.header("x-goog-api-key", self.access.secret.expose()).body(()) else { return false };
        let left = end.saturating_duration_since(Instant::now());
        let request = self.agent.configure_request(request).timeout_global(Some(left)).build();
        // Google refuses a file that is not there: its upload did not end.
        matches!(self.agent.run(request).map(|reply| reply.status().as_u16()), Ok(200..300 | 403 | 404))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Also when the client has left.
        let _scope = cancel::scope(&CancelToken::default());
        let end = Instant::now() + PARTING;
        let kept = self.names.iter().filter(|name| !self.remove(name, end)).count();
        if kept > 0 {
            log::warn!("[ApiClient] {kept} uploaded files could not be removed. Google keeps them for two days.");
        }
    }
}

fn media(request: &Request) -> impl Iterator<Item = &Part> {
    request.contents.iter().flat_map(|turn| &turn.parts).filter(|part| size(part) > 0)
}

fn size(part: &Part) -> usize {
    part.inline_data.as_ref().map_or(0, |blob| blob.data.len())
}

/// As if Google had said it in an answer.
fn refused(status: u16, why: &str) -> Fault {
    let body = json!({"error": {"message": format!("Google has the upload, but {why}.")}});
    Refusal::read(status, body.to_string().as_bytes(), None).fault()
}

fn read<T: for<'a> Deserialize<'a>>(reply: RawReply) -> Result<T, Fault> {
    let mut text = Vec::new();
    let read = reply.reader.take(64 << 10).read_to_end(&mut text);
    read.ok()
        .and_then(|_| serde_json::from_slice(&text).ok())
        .ok_or_else(|| Fault::Invalid("what it says of an uploaded file cannot be read".into()))
}

/// The request with other parts in its turns. What is replaced is not copied.
fn with_parts(request: &Request, part: impl Fn(&Part) -> Part) -> Request {
    let turn = |turn: &Content| Content {
        role: turn.role.clone(),
        parts: turn.parts.iter().map(&part).collect(),
        other: turn.other.clone(),
    };
    Request {
        contents: request.contents.iter().map(turn).collect(),
        system_instruction: request.system_instruction.clone(),
        tools: request.tools.clone(),
        tool_config: request.tool_config.clone(),
        generation_config: request.generation_config.clone(),
        safety_settings: request.safety_settings.clone(),
        cached_content: request.cached_content.clone(),
        other: request.other.clone(),
    }
}
