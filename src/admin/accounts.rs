//! Adding, changing, checking and removing credentials (docs/compatibility.md "Admin routes of the last version"). What
//! goes in may hold secrets, what comes out never does.

use super::view::{credential, now};
use super::{known_fields, malformed, missing, object, refuse};
use crate::credentials::{AccessFault, Added, CredentialId, Credentials, Kind, ManageFault, UNAVAILABLE};
use crate::http::{Request, Response};
use crate::mask;
use crate::message::Message;
use crate::serve::app::App;
use serde_json::{Value, json};

/// A label is shown in one line.
const LONGEST_LABEL: usize = 64;

/// `POST /admin/credentials/add`.
pub(super) fn add(app: &App, request: &Request) -> Response {
    let fields = match object(request) {
        Ok(fields) => fields,
        Err(refusal) => return refusal,
    };
    let Some(item) = fields.get("credential").filter(|item| item.is_object()) else {
        return missing(["body", "credential"]);
    };
    match app.pool.add(item.clone()) {
        Ok(added) => {
            welcome(app, [&added]);
            Response::json(200, &success(app, &added))
        }
        // The old program's word for scripts, and a sentence for people.
        Err(fault) => Response::json(
            if fault.reason == UNAVAILABLE { 503 } else { 400 },
            &json!({"detail": fault.reason, "message": fault.message.to_string(), "told": fault.message.json()}),
        ),
    }
}

/// What every way of adding one credential answers.
pub(super) fn success(app: &App, added: &Added) -> Value {
    let message = if added.updated { "credential_updated" } else { "credential_added" };
    let answer = json!({
        "status": "success",
        "message": message,
        "email": mask::email(added.email.as_deref()),
        "label": added.label,
        "note": added.doubt.as_ref().map(Message::to_string),
    });
    with_warning(app, answer)
}

/// What was known of credentials whose places these took is over.
pub(super) fn welcome<'a>(app: &App, added: impl IntoIterator<Item = &'a Added>) {
    app.dispatcher.forget(&added.into_iter().filter(|added| added.updated).map(|added| added.id).collect());
}

/// That a restart would undo changes, why, and what to do; `None`: all are in the file.
pub fn unsaved(app: &App) -> Option<Message> {
    Some(Message::new("credentials_unsaved").with("reason", app.pool.unsaved()?))
}

/// The answer of a change, with a `warning` if it is not in the file.
pub(super) fn with_warning(app: &App, mut answer: Value) -> Value {
    if let Some(warning) = unsaved(app) {
        answer["warning"] = warning.to_string().into();
        answer["told"] = warning.json();
    }
    answer
}

/// `DELETE /admin/credentials/{id}`.
pub(super) fn remove(app: &App, name: &str) -> Response {
    match find(app, name).and_then(|id| app.pool.remove(id).map_err(|fault| refused(name, fault))) {
        Ok(()) => {
            let answer = json!({"status": "success", "message": "credential_deleted"});
            Response::json(200, &with_warning(app, answer))
        }
        Err(refusal) => refusal,
    }
}

/// `POST /admin/credentials/{id}`: label and project.
pub(super) fn change(app: &App, name: &str, request: &Request) -> Response {
    let fields = match known_fields(request, &["label", "project_id"]) {
        Ok(fields) => fields,
        Err(refusal) => return refusal,
    };
    let field = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) => Ok(Some(Some(text.trim()).filter(|text| !text.is_empty()))),
        Some(_) => Err(malformed(422, &format!("{name}: expected a text or null"))),
    };
    let (label, project) = match (field("label"), field("project_id")) {
        (Ok(None), Ok(None)) => return malformed(422, "expected label or project_id"),
        (Ok(label), Ok(project)) => (label, project),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal,
    };
    if let Some(Some(label)) = label
        && (label.chars().count() > LONGEST_LABEL || label.chars().any(char::is_control))
    {
        return refuse(400, &Message::new("label_long").with("most", LONGEST_LABEL));
    }
    if let Some(Some(project)) = project
        && let Err(message) = check_project(project)
    {
        return refuse(400, &message);
    }
    manage(app, name, "credential_changed", |pool, id| {
        if let Some(label) = label {
            pool.set_label(id, label)?;
        }
        match project {
            Some(project) => {
                pool.set_project(id, project)?;
                app.dispatcher.forget(&[id].into());
                Ok(())
            }
            None => Ok(()),
        }
    })
}

fn check_project(project: &str) -> Result<(), Message> {
    if project.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Message::new("project_number"));
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-:.".contains(&byte);
    if project.len() > 100 || !project.bytes().all(fits) {
        return Err(Message::new("project_wrong"));
    }
    Ok(())
}

/// `GET` or `POST /admin/credentials/{id}/check`: the old program's shape, and what we know beside it.
pub(super) fn check(app: &App, name: &str) -> Response {
    let unknown = json!({"error": "Credential not found", "credential_id": name, "detail": not_found(name)});
    let Some(id) = app.pool.find(name) else { return Response::json(404, &unknown) };
    let Ok(check) = app.pool.check(id) else { return Response::json(404, &unknown) };
    let checker = match check.kind {
        Kind::Oauth => "loadCodeAssist",
        Kind::ApiKey => "models.list",
        Kind::Vertex => "countTokens",
    };
    Response::json(
        200,
        &json!({
            "credential_id": check.name,
            "check_time": now(),
            "previous_status": check.previous,
            "new_status": check.now,
            "check_details": {"checker_name": checker, "is_healthy": check.healthy,
                "reason": check.message.to_string(), "told": check.message.json()},
            "status": "success",
            "tier": check.tier,
            "link": check.link,
            "credential": app.pool.view(id).as_ref().map(credential),
        }),
    )
}

/// `POST /admin/credentials/{id}/refresh`.
pub(super) fn refresh(app: &App, name: &str) -> Response {
    let id = match find(app, name) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    if app.pool.view(id).is_some_and(|view| view.kind == Kind::ApiKey) {
        return refuse(409, &Message::new("key_has_no_token"));
    }
    match app.pool.refresh(id) {
        Ok(()) => changed(app, id, "credential_refreshed"),
        Err(AccessFault::Dead(message)) => refuse(400, &message),
        Err(AccessFault::Transient(message)) => refuse(503, &message),
    }
}

/// A change that asks nobody.
pub(super) fn manage(
    app: &App,
    name: &str,
    message: &str,
    change: impl FnOnce(&Credentials, CredentialId) -> Result<(), ManageFault>,
) -> Response {
    let id = match find(app, name) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    match change(&app.pool, id) {
        Ok(()) => changed(app, id, message),
        Err(fault) => refused(name, fault),
    }
}

fn changed(app: &App, id: CredentialId, message: &str) -> Response {
    let view = app.pool.view(id).as_ref().map(credential);
    let answer = json!({"status": "success", "message": message, "credential": view});
    Response::json(200, &with_warning(app, answer))
}

fn find(app: &App, name: &str) -> Result<CredentialId, Response> {
    app.pool.find(name).ok_or_else(|| refused(name, ManageFault::Unknown))
}

fn refused(name: &str, fault: ManageFault) -> Response {
    match fault {
        ManageFault::Unknown => malformed(404, &not_found(name)),
        ManageFault::InConfig | ManageFault::Unusable => refuse(409, &fault.message()),
        #[cfg(feature = "replicas")]
        ManageFault::Store(_) => refuse(503, &fault.message()),
    }
}

/// The old program's sentence.
fn not_found(name: &str) -> String {
    format!("Credential with id '{name}' not found.")
}
