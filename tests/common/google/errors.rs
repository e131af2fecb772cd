//! Google's error bodies: the google.rpc shape of both services. OAuth has its own shape and lives in `oauth`.

use super::server::Reply;
use serde_json::{Value, json};

/// A request the fake refuses as Google would.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub name: &'static str,
    pub message: String,
    pub details: Vec<Value>,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, name: status_name(status), message: message.into(), details: Vec::new() }
    }

    /// 400 `INVALID_ARGUMENT`.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, message)
    }

    /// The 400 that names nothing.
    pub fn bare() -> Refusal {
        Refusal::invalid("Request contains an invalid argument.")
    }

    pub fn named(mut self, name: &'static str) -> Refusal {
        self.name = name;
        self
    }

    pub fn reason(mut self, reason: &str, domain: &str, metadata: Value) -> Refusal {
        self.details.push(error_info(reason, domain, metadata));
        self
    }

    pub fn detail(mut self, detail: Value) -> Refusal {
        self.details.push(detail);
        self
    }

    pub fn body(&self) -> Value {
        let mut error = json!({"code": self.status, "message": self.message, "status": self.name});
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        json!({"error": error})
    }

    pub fn reply(&self) -> Reply {
        Reply::json(self.status, &self.body())
    }
}

/// The canonical name of a google.rpc code for an HTTP status.
pub fn status_name(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 => "INTERNAL",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}

pub fn error_info(reason: &str, domain: &str, metadata: Value) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata})
}

pub fn retry_info(delay: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
}

pub fn help(description: &str, url: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": description, "url": url}]})
}

/// 401 for a token that is expired, revoked or unknown.
pub fn dead_token() -> Refusal {
    Refusal::new(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    )
    .reason(
        "ACCESS_TOKEN_EXPIRED",
        "googleapis.com",
        json!({"service": "cloudcode-pa.googleapis.com", "method": "google.internal.cloud.code.v1internal.PredictionService"}),
    )
}

/// 401 without any credential.
pub fn missing_token() -> Refusal {
    Refusal::new(
        401,
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other \
         valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    )
    .reason("CREDENTIALS_MISSING", "googleapis.com", json!({"service": "cloudcode-pa.googleapis.com"}))
}

pub fn scope_insufficient(service: &str) -> Refusal {
    Refusal::new(403, "Request had insufficient authentication scopes.").reason(
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "googleapis.com",
        json!({"service": service}),
    )
}

pub fn validation_required() -> Refusal {
    let url = "https://accounts.google.com/signin/continue?sarp=1&scc=1&flowName=GlifWebSignIn";
    Refusal::new(403, "Verify your account to continue.")
        .reason(
            "VALIDATION_REQUIRED",
            "cloudcode-pa.googleapis.com",
            json!({"validation_error_message": "Verify your account to continue.",
                "validation_url_link_text": "Verify your account", "validation_url": url,
                "validation_learn_more_link_text": "Learn more",
                "validation_learn_more_url": "https://support.google.com/accounts?p=al_alert"}),
        )
        .detail(json!({"@type": "type.googleapis.com/google.rpc.Help", "links": [
            {"description": "Verify your account", "url": url},
            {"description": "Learn more", "url": "https://support.google.com/accounts?p=al_alert"}]}))
}

pub fn subscription_required() -> Refusal {
    Refusal::new(
        403,
        "You are missing a valid license of Gemini Code Assist. Please contact your billing administrator to purchase or \
         assign a license. (#3501)",
    )
    .reason("SUBSCRIPTION_REQUIRED", "cloudaicompanion.googleapis.com", json!({}))
    .detail(help("Request a license", "https://cloud.google.com/gemini/docs/codeassist/request-license"))
}

pub fn service_disabled(service: &str, title: &str, project: &str) -> Refusal {
    let url = format!("https://console.developers.google.com/apis/api/{service}/overview?project={project}");
    Refusal::new(
        403,
        format!(
            "{title} has not been used in project {project} before or it is disabled. Enable it by visiting {url} then \
             retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
        ),
    )
    .reason(
        "SERVICE_DISABLED",
        "googleapis.com",
        json!({"service": service, "serviceTitle": title, "consumer": format!("projects/{project}"),
            "containerInfo": project, "activationUrl": url}),
    )
    .detail(help("Google developers console API activation", &url))
}

pub fn wrong_project(project: &str) -> Refusal {
    Refusal::new(
        403,
        format!(
            "Permission 'cloudaicompanion.companions.generateChat' denied on resource \
             '//cloudaicompanion.googleapis.com/projects/{project}/locations/global' (or it may not exist)."
        ),
    )
    .reason(
        "IAM_PERMISSION_DENIED",
        "cloudaicompanion.googleapis.com",
        json!({"resource": format!("projects/{project}")}),
    )
}

/// 404 of Code Assist.
pub fn not_found() -> Refusal {
    Refusal::new(404, "Requested entity was not found.")
}
