//! Where tokens come from beside the token endpoint: Google's security token service, the IAM credentials API, and the metadata
//! server of a machine in Google Cloud.

use super::super::written;
use super::errors::Refusal;
use super::routes::Call;
use super::server::{Reply, parse_form};
use super::state::{CLOUD_PLATFORM, State};
use serde_json::{Value, json};

/// The token of another provider that the token service takes.
pub const SUBJECT: &str = "subject-token-of-another-provider";
/// Whom the machine, and those from elsewhere, are.
pub const MACHINE: &str = "machine@project-v.iam.gserviceaccount.com";

fn issue(state: &mut State, email: &str) -> Value {
    let token = state.issue_access(email, &[CLOUD_PLATFORM.to_owned()]);
    *state.refreshed.entry(email.to_owned()).or_default() += 1;
    json!({"access_token": token, "expires_in": state.settings.expires_in, "token_type": "Bearer"})
}

/// `POST /sts/v1/token`.
pub fn exchange(call: &Call) -> Reply {
    written::secret(SUBJECT);
    let form = parse_form(&String::from_utf8_lossy(&call.request.body));
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let is_right = field("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange"
        && field("subject_token") == SUBJECT
        && field("scope") == CLOUD_PLATFORM
        && field("audience").starts_with("//iam.googleapis.com/")
        && !field("subject_token_type").is_empty();
    match is_right {
        true => Reply::json(200, &call.shared.change(|state| issue(state, MACHINE))),
        false => Reply::json(400, &json!({"error": "invalid_grant", "error_description": "wrong subject token"})),
    }
}

/// `POST /v1/projects/-/serviceAccounts/E:generateAccessToken`.
pub fn act_as(call: &Call) -> Result<Reply, Refusal> {
    let (caller, _) = call.bearer_user()?;
    let rest = call.request.path.strip_prefix("/v1/projects/-/serviceAccounts/").unwrap_or("");
    let email = rest.strip_suffix(":generateAccessToken").unwrap_or("").to_owned();
    let may =
        call.shared.read(|state| state.user(&email).is_some() && !state.vertex.without_role.contains(&caller.email));
    if !may || call.json_body()?["scope"] != json!([CLOUD_PLATFORM]) {
        return Err(Refusal::new(403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource."));
    }
    let token = call.shared.change(|state| issue(state, &email))["access_token"].clone();
    let end = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    let end = end.format(&time::format_description::well_known::Rfc3339).expect("a time");
    Ok(Reply::json(200, &json!({"accessToken": token, "expireTime": end})))
}

/// `/computeMetadata/v1/...`; only those that ask as they should are answered.
pub fn metadata(call: &Call) -> Reply {
    if call.request.header("metadata-flavor") != Some("Google") {
        return Reply::html(403, "Missing Metadata-Flavor:Google header.");
    }
    let reply = match call.request.path.as_str() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            Reply::json(200, &call.shared.change(|state| issue(state, MACHINE)))
        }
        "/computeMetadata/v1/project/project-id" => Reply::new(200, "application/text", "project-v"),
        _ => Reply::html(404, "not found"),
    };
    reply.header("Metadata-Flavor", "Google")
}
