//! The private Code Assist API: `/v1internal:<method>`, its envelopes, tiers and onboarding.

use super::engine::{self, Generation, count_tokens};
use super::errors::{self, Refusal};
use super::messages;
use super::proto::{self, Side};
use super::routes::Call;
use super::server::Reply;
use super::state::{OnboardAnswer, Operation, Tier, User};
use super::strict;
use serde_json::{Value, json};

const OPERATIONS: &str = "/v1internal/operations/";

pub fn answer(call: &Call) -> Result<Reply, Refusal> {
    let user = call.code_assist_user()?;
    if let Some(project) = call.request.header("x-goog-user-project") {
        return Err(errors::service_disabled("cloudcode-pa.googleapis.com", "Cloud Code Private API", project));
    }
    if let Some(name) = call.request.path.strip_prefix(OPERATIONS) {
        return operation(call, &user, name);
    }
    let method = call.request.path.strip_prefix("/v1internal:").unwrap_or("");
    if call.request.method != "POST" {
        return Err(errors::not_found());
    }
    match method {
        "generateContent" => generate(call, user, false),
        "streamGenerateContent" => generate(call, user, true),
        "loadCodeAssist" | "onboardUser" | "countTokens" | "retrieveUserQuota" => {
            if let Some(reply) = call.forced(&user.email) {
                return Ok(reply);
            }
            let body = call.json_body()?;
            match method {
                "loadCodeAssist" => load(&user, &body),
                "onboardUser" => onboard(call, &user, &body),
                "countTokens" => count(&body),
                _ => quota(call, &user, &body),
            }
        }
        _ => Ok(Reply::html(404, "The requested URL was not found on this server.")),
    }
}

fn generate(call: &Call, user: User, stream: bool) -> Result<Reply, Refusal> {
    let raw = call.json_body()?;
    let body = proto::read(&messages::ENVELOPE, &raw, Side::CodeAssist)?;
    let id = body["model"].as_str().unwrap_or("");
    let model =
        call.shared.read(|state| state.models.iter().find(|model| model.id == id && model.code_assist).cloned());
    let hidden = user.hidden_models.iter().any(|hidden| hidden == id);
    allowed(&user, body["project"].as_str().unwrap_or(""))?;
    // Also what a `models/` prefix gets.
    let model = model.filter(|_| !hidden).ok_or_else(errors::not_found)?;
    let model = call.shared.read(|state| state.serving(&user.email, model));
    if body.get("enabledCreditTypes").is_some() && !stream {
        return Err(Refusal::bare());
    }
    let inner = body.get("request").cloned().unwrap_or_else(|| json!({}));
    call.shared.read(|state| strict::check(state, &model, &inner, Side::CodeAssist))?;
    let sse = call.request.query("alt") == Some("sse");
    engine::generate(call, &Generation { model, inner, code_assist: true, stream, sse, who: user.email })
}

/// May this account generate in that project?
fn allowed(user: &User, project: &str) -> Result<(), Refusal> {
    match user.tier {
        Tier::ValidationRequired => return Err(errors::validation_required()),
        Tier::UnsupportedClient | Tier::NewFree { .. } => return Err(errors::subscription_required()),
        _ => {}
    }
    if project == user.project {
        return Ok(());
    }
    match user.tier {
        Tier::Free => Err(errors::subscription_required()),
        _ => Err(errors::wrong_project(if project.is_empty() { "unknown" } else { project })),
    }
}

fn tier(id: &str) -> Value {
    match id {
        "free-tier" => json!({"id": id, "name": "Gemini Code Assist for individuals",
            "description": "Gemini-powered code suggestions and chat in multiple IDEs",
            "privacyNotice": {"showNotice": true, "noticeText": "Notice."}}),
        _ => json!({"id": id, "name": "Gemini Code Assist",
            "description": "Unlimited coding assistant with the most powerful Gemini models",
            "userDefinedCloudaicompanionProject": true, "privacyNotice": {}}),
    }
}

fn default_tier(id: &str) -> Value {
    let mut tier = tier(id);
    tier["isDefault"] = json!(true);
    tier
}

fn ineligible(code: &str, message: &str) -> Value {
    json!({"reasonCode": code, "reasonMessage": message, "tierId": "free-tier", "tierName": "Gemini Code Assist for individuals"})
}

fn load(user: &User, raw: &Value) -> Result<Reply, Refusal> {
    proto::read(&messages::LOAD, raw, Side::CodeAssist)?;
    let body = match user.tier {
        Tier::Licensed => json!({"currentTier": tier("standard-tier"), "allowedTiers": [default_tier("standard-tier")],
            "cloudaicompanionProject": user.project}),
        Tier::Free => json!({"currentTier": tier("free-tier"),
            "allowedTiers": [default_tier("free-tier"), tier("standard-tier")], "cloudaicompanionProject": user.project}),
        Tier::NewFree { .. } => json!({"allowedTiers": [default_tier("free-tier"), tier("standard-tier")]}),
        Tier::UnsupportedClient => json!({"ineligibleTiers": [ineligible("UNSUPPORTED_CLIENT",
            "This client is no longer supported for Gemini Code Assist for individuals. To continue using Gemini, please \
             migrate to the Antigravity suite of products: https://antigravity.google")]}),
        Tier::ValidationRequired => {
            let mut entry = ineligible("VALIDATION_REQUIRED", "Verify your account to continue.");
            entry["validationUrl"] = json!("https://accounts.google.com/signin/continue?sarp=1&scc=1");
            entry["validationErrorMessage"] = json!("Verify your account to continue.");
            entry["validationUrlLinkText"] = json!("Verify your account");
            json!({"allowedTiers": [default_tier("standard-tier")], "ineligibleTiers": [entry]})
        }
        Tier::VpcServiceControls => {
            return Err(Refusal::new(
                403,
                "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: fake",
            )
            .reason(
                "SECURITY_POLICY_VIOLATED",
                "googleapis.com",
                json!({"service": "cloudcode-pa.googleapis.com"}),
            ));
        }
        Tier::Paid => json!({"currentTier": tier("standard-tier"), "allowedTiers": [default_tier("standard-tier")],
            "cloudaicompanionProject": user.project, "gcpManaged": false, "manageSubscriptionUri": "https://one.google.com",
            "paidTier": {"id": "g1-pro-tier", "name": "Gemini Code Assist in Google One AI Pro",
                "availableCredits": [{"creditType": "GOOGLE_ONE_AI", "creditAmount": "1000"}]}}),
    };
    Ok(Reply::json(200, &body))
}

fn onboard(call: &Call, user: &User, raw: &Value) -> Result<Reply, Refusal> {
    let body = proto::read(&messages::ONBOARD, raw, Side::CodeAssist)?;
    let project = body.get("cloudaicompanionProject").or(body["metadata"].get("duetProject"));
    match (body["tierId"].as_str().unwrap_or(""), project) {
        ("free-tier", Some(_)) => {
            return Err(Refusal::new(400, "Precondition check failed.").named("FAILED_PRECONDITION"));
        }
        ("free-tier" | "standard-tier" | "legacy-tier", _) => {}
        _ => return Err(Refusal::bare()),
    }
    if matches!(user.tier, Tier::UnsupportedClient) {
        return Err(errors::subscription_required());
    }
    if let Some(project) = project.and_then(Value::as_str).filter(|project| *project != user.project) {
        return Err(errors::wrong_project(project));
    }
    let name = format!("cc-onboard-{}", user.email.replace('@', "-at-"));
    let polls = if let Tier::NewFree { polls, .. } = user.tier { polls } else { 0 };
    call.shared.change(|state| {
        let record = || Operation { email: user.email.clone(), polls_left: polls };
        state.operations.entry(name.clone()).or_insert_with(record);
    });
    operation(call, user, &name)
}

/// A look at the operation, by GET or by asking to onboard again; each one brings it nearer to its end.
fn operation(call: &Call, user: &User, name: &str) -> Result<Reply, Refusal> {
    let full = format!("operations/{name}");
    let left = call.shared.change(|state| {
        let record = state.operations.get_mut(name).filter(|record| record.email == user.email)?;
        let left = record.polls_left;
        record.polls_left = left.saturating_sub(1);
        Some(left)
    });
    if left.ok_or_else(errors::not_found)? > 0 {
        return Ok(Reply::json(200, &json!({"name": full, "done": false})));
    }
    let kind = if let Tier::NewFree { answer, .. } = user.tier { answer } else { OnboardAnswer::Object };
    if kind == OnboardAnswer::Error {
        let error = json!({"code": 9, "message": "Onboarding failed."});
        return Ok(Reply::json(200, &json!({"name": full, "done": true, "error": error})));
    }
    let project = match kind {
        OnboardAnswer::Text => json!(user.project),
        OnboardAnswer::EmptyObject => json!({}),
        _ => json!({"id": user.project, "name": user.project, "projectNumber": "123456789012"}),
    };
    call.shared.change(|state| {
        let known = state.users.iter_mut().find(|known| known.email == user.email);
        if let Some(known) = known {
            known.tier = match known.tier {
                Tier::NewFree { .. } => Tier::Free,
                ref other => other.clone(),
            };
        }
        state.operations.remove(name);
    });
    let response = json!({
        "@type": "type.googleapis.com/google.internal.cloud.code.v1internal.OnboardUserResponse",
        "cloudaicompanionProject": project,
        "status": {"statusCode": "NOTICE", "displayMessage": "You've successfully connected your Google Account."},
    });
    Ok(Reply::json(200, &json!({"name": full, "done": true, "response": response})))
}

fn count(raw: &Value) -> Result<Reply, Refusal> {
    let body = proto::read(&messages::COUNT, raw, Side::CodeAssist)?;
    let request = &body["request"];
    if !request["model"].as_str().is_some_and(|model| model.starts_with("models/")) {
        return Err(Refusal::bare());
    }
    strict::countable(request)?;
    Ok(Reply::json(200, &json!({"totalTokens": count_tokens(request)})))
}

fn quota(call: &Call, user: &User, raw: &Value) -> Result<Reply, Refusal> {
    let body = proto::read(&messages::QUOTA, raw, Side::CodeAssist)?;
    allowed(user, body["project"].as_str().unwrap_or(""))?;
    let buckets = call.shared.read(|state| {
        let used = |id: &str| {
            let mine =
                state.generations().filter(|done| done.who.as_deref() == Some(&user.email) && done.status == 200);
            mine.filter(|done| done.body["model"] == json!(id)).count() as i64
        };
        let bucket = |id: &str| {
            let left = (1000 - used(id)).max(0);
            json!({"modelId": id, "tokenType": "REQUESTS", "remainingFraction": left as f64 / 1000.0,
                "remainingAmount": left.to_string(), "resetTime": "2030-01-01T00:00:00Z"})
        };
        let served = state.models.iter().filter(|model| model.code_assist);
        served.map(|model| bucket(&model.id)).collect::<Vec<_>>()
    });
    Ok(Reply::json(200, &json!({"buckets": buckets})))
}
