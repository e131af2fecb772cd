//! Files of the public API: uploads in pieces, what is known of each, and who may use it. A file belongs to the key that
//! uploaded it; sound must be looked at before it can be used.

use super::engine::list;
use super::errors::Refusal;
use super::routes::Call;
use super::server::Reply;
use super::state::State;
use serde_json::{Value, json};

/// How Google looks at a file of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looking {
    /// Done when it is asked for the second time.
    #[default]
    Soon,
    /// It goes on for ever.
    Forever,
    /// It finds nothing that can be used.
    InVain,
}

/// Files of our own that a request names are ready, and of this key.
pub fn usable(call: &Call, key: &str, inner: &Value) -> Result<(), Refusal> {
    let own = format!("{}/v1beta/", call.shared.base);
    let parts = list(&inner["contents"]).iter().flat_map(|turn| list(&turn["parts"]));
    for name in parts.filter_map(|part| part["fileData"]["fileUri"].as_str()?.strip_prefix(&own)) {
        let found = call.shared.read(|state| own_file(state, key, name).map(|at| state.files[at].clone()));
        let Some(file) = found else { return Err(denied()) };
        if file["state"] != "ACTIVE" {
            let sentence = format!("The File {name} is not in an ACTIVE state and usage is not allowed.");
            return Err(Refusal::new(400, sentence).named("FAILED_PRECONDITION"));
        }
    }
    Ok(())
}

/// The place of a file that is this key's; those that a test put there are everybody's.
fn own_file(state: &State, key: &str, name: &str) -> Option<usize> {
    let is_own = state.owners.get(name).is_none_or(|owner| owner == key);
    state.files.iter().position(|file| is_own && file["name"] == name)
}

fn denied() -> Refusal {
    Refusal::new(403, "You do not have permission to access the File or it may not exist.")
}

/// A file, or its end.
pub fn one(call: &Call, key: &str, name: &str) -> Result<Reply, Refusal> {
    let own = |state: &State| own_file(state, key, name).ok_or_else(denied);
    match call.request.method.as_str() {
        "GET" => {
            let seen = call.shared.change(|state| own(state).map(|at| look(state, at)))?;
            Ok(Reply::json(200, &seen))
        }
        "DELETE" => {
            call.shared.change(|state| own(state).map(|at| state.files.remove(at)))?;
            Ok(Reply::json(200, &json!({})))
        }
        _ => Err(Refusal::new(404, "Method not found.")),
    }
}

/// The file as it is, of which the next look may find more.
fn look(state: &mut State, at: usize) -> Value {
    let looking = state.settings.looking;
    let file = &mut state.files[at];
    let seen = file.clone();
    match (looking, file["state"] == "PROCESSING") {
        (Looking::Soon, true) => file["state"] = json!("ACTIVE"),
        (Looking::InVain, true) => {
            file["state"] = json!("FAILED");
            file["error"] = json!({"code": 3, "message": "The audio track has no samples."});
        }
        _ => {}
    }
    seen
}

/// The resumable protocol: `start` answers an address, `upload` there adds a piece, `upload, finalize` makes the file.
pub fn upload(call: &Call, key: &str) -> Result<Reply, Refusal> {
    let header = |name: &str| call.request.header(name).unwrap_or("");
    let commands = header("x-goog-upload-command");
    if commands == "start" {
        return start(call);
    }
    let id = call.request.query("upload_id").unwrap_or("");
    let mut announced = call.shared.change(|state| state.uploads.remove(id)).ok_or_else(Refusal::bare)?;
    let had = announced["size"].as_u64().unwrap_or(0);
    if !commands.contains("upload") || header("x-goog-upload-offset").parse() != Ok(had) {
        return Err(Refusal::bare());
    }
    let size = had + call.request.body.len() as u64;
    if !commands.contains("finalize") {
        announced["size"] = json!(size);
        call.shared.change(|state| state.uploads.insert(id.to_string(), announced));
        return Ok(Reply::new(200, "text/plain; charset=utf-8", "").header("x-goog-upload-status", "active"));
    }
    let length = announced["length"].as_str().unwrap_or("");
    if !length.is_empty() && length != size.to_string() {
        return Err(Refusal::bare());
    }
    let is_sound = announced["kind"].as_str().is_some_and(|kind| kind.starts_with("audio/"));
    let name = announced["name"].as_str().unwrap_or("").to_owned();
    let file = json!({"name": name, "displayName": announced["title"], "mimeType": announced["kind"],
        "sizeBytes": size.to_string(), "uri": format!("{}/v1beta/{name}", call.shared.base),
        "state": if is_sound { "PROCESSING" } else { "ACTIVE" }});
    call.shared.change(|state| {
        state.owners.insert(name, key.to_owned());
        state.files.push(file.clone());
    });
    Ok(Reply::json(200, &json!({"file": file})).header("x-goog-upload-status", "final"))
}

fn start(call: &Call) -> Result<Reply, Refusal> {
    let header = |name: &str| call.request.header(name).unwrap_or("");
    let kind = Some(header("x-goog-upload-header-content-type")).filter(|kind| !kind.is_empty());
    let about = call.json_body().unwrap_or_else(|_| json!({}));
    let wanted = about["file"]["name"].as_str();
    if let Some(wanted) = wanted {
        let id = wanted.strip_prefix("files/").unwrap_or("");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=40).contains(&id.len()) || !id.bytes().all(is_plain) || id.starts_with('-') || id.ends_with('-') {
            return Err(Refusal::invalid(format!("* CreateFileRequest.file.name: invalid name {wanted}")));
        }
        if call.shared.read(|state| state.owners.contains_key(wanted)) {
            return Err(Refusal::new(409, format!("File {wanted} already exists.")).named("ALREADY_EXISTS"));
        }
    }
    let id = call.shared.change(|state| {
        let number = state.next();
        let name = wanted.map_or_else(|| format!("files/fake{number}"), str::to_owned);
        let upload = json!({"kind": kind.unwrap_or("application/octet-stream"), "name": name,
            "title": about["file"]["display_name"], "length": header("x-goog-upload-header-content-length")});
        let id = format!("fake-upload-{number}");
        state.uploads.insert(id.clone(), upload);
        id
    });
    let url = format!("{}/upload/v1beta/files?upload_id={id}&upload_protocol=resumable", call.shared.base);
    Ok(Reply::new(200, "text/plain; charset=utf-8", "")
        .header("x-goog-upload-url", &url)
        .header("x-goog-upload-status", "active"))
}
