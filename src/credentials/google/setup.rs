//! Finds the project of an account on Code Assist, and onboards the account if Google asks for it.
//!
//! The order is docs/google-login.md "How a project is found". Knows no pool and no file; talks through [`Google`].

use super::oauth::{CallFault, Google};
use super::trouble::{Block, Trouble};
use crate::message::Message;
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// What set-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) project: String,
    pub(crate) tier: Option<String>,
}

/// How patiently onboarding is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Between two questions.
    pub(crate) poll: Duration,
    /// In all.
    pub(crate) limit: Duration,
}

/// Finds the project. `hint` is offered to Google where a tier wants the user's own project. `pause` waits and says
/// whether to go on (`false`: the program is stopping).
pub(crate) fn find_project(
    google: &Google,
    access: &Secret,
    hint: Option<&str>,
    patience: Patience,
    pause: &dyn Fn(Duration) -> bool,
) -> Result<Found, Trouble> {
    let hint = hint.filter(is_id);
    let loaded = load(google, access, hint)?;
    let current = loaded.get("currentTier").filter(|tier| tier.is_object());
    if let Some(current) = current {
        let paid = loaded.get("paidTier").and_then(tier_id);
        let tier = paid.or_else(|| tier_id(current)).unwrap_or("standard-tier").to_owned();
        let project = project_id(&loaded).or(hint).ok_or_else(|| no_project(&loaded))?;
        return Ok(Found { project: project.to_owned(), tier: Some(tier) });
    }
    if let Some(block) = validation(&loaded) {
        return Err(Trouble::Blocked(block));
    }
    let tier = default_tier(&loaded);
    let project = onboard(google, access, tier, hint, patience, pause).map_err(|fault| match fault {
        // Why no tier fits says more than why the attempt was refused.
        Trouble::Blocked(_) if ineligible(&loaded).next().is_some() => no_project(&loaded),
        fault => fault,
    })?;
    match project.or_else(|| hint.map(str::to_owned)) {
        Some(project) => Ok(Found { project, tier: Some(tier.to_owned()) }),
        None => Err(no_project(&loaded)),
    }
}

/// The tier of an account, changing nothing at Google; `None`: it still has to be onboarded, and can be.
pub(crate) fn current_tier(google: &Google, access: &Secret, hint: Option<&str>) -> Result<Option<String>, Trouble> {
    let hint = hint.filter(is_id);
    let loaded = load(google, access, hint)?;
    if let Some(current) = loaded.get("currentTier").filter(|tier| tier.is_object()) {
        if project_id(&loaded).or(hint).is_none() {
            return Err(no_project(&loaded));
        }
        let paid = loaded.get("paidTier").and_then(tier_id);
        return Ok(Some(paid.or_else(|| tier_id(current)).unwrap_or("standard-tier").to_owned()));
    }
    if let Some(block) = validation(&loaded) {
        return Err(Trouble::Blocked(block));
    }
    // One tier that is closed to it says nothing as long as another is the default.
    let default = loaded.get("allowedTiers").and_then(Value::as_array).is_some_and(|tiers| !tiers.is_empty());
    if !default && ineligible(&loaded).next().is_some() { Err(no_project(&loaded)) } else { Ok(None) }
}

fn load(google: &Google, access: &Secret, hint: Option<&str>) -> Result<Value, Trouble> {
    match google.code_assist("loadCodeAssist", access, &load_request(hint)) {
        Ok(loaded) => Ok(loaded),
        // An organization with VPC Service Controls: licensed, but it has to name its project.
        Err(CallFault::Status(403, body)) if reason(&body) == Some("SECURITY_POLICY_VIOLATED") => {
            Ok(json!({"currentTier": {"id": "standard-tier"}}))
        }
        Err(fault) => Err(setup_fault(fault)),
    }
}

/// Project numbers are refused, ids begin with a letter.
fn is_id(project: &&str) -> bool {
    !project.bytes().all(|byte| byte.is_ascii_digit())
}

/// `None`: done, and Google gave no project.
fn onboard(
    google: &Google,
    access: &Secret,
    tier: &str,
    hint: Option<&str>,
    patience: Patience,
    pause: &dyn Fn(Duration) -> bool,
) -> Result<Option<String>, Trouble> {
    // The free tier brings its own project; naming one fails with "Precondition check failed".
    let hint = hint.filter(|_| tier != "free-tier");
    let mut request = load_request(hint);
    request["tierId"] = tier.into();
    let started = Instant::now();
    let mut operation = google.code_assist("onboardUser", access, &request).map_err(setup_fault)?;
    while operation.get("done") != Some(&Value::Bool(true)) {
        if started.elapsed() >= patience.limit {
            return Err(Trouble::Transient(Message::new("onboarding_slow")));
        }
        if !pause(patience.poll) {
            return Err(Trouble::Transient(Message::new("onboarding_interrupted")));
        }
        // Some answers carry no name; asking again is harmless, onboarding is idempotent.
        operation = match operation.get("name").and_then(Value::as_str).filter(|name| is_path(name)) {
            Some(name) => google.operation(name, access),
            None => google.code_assist("onboardUser", access, &request),
        }
        .map_err(setup_fault)?;
    }
    if let Some(error) = operation.get("error").filter(|error| error.is_object()) {
        return Err(setup_fault(CallFault::Status(http_status(error), json!({"error": error}))));
    }
    let project = operation.get("response").and_then(project_id);
    Ok(project.map(str::to_owned))
}

fn load_request(project: Option<&str>) -> Value {
    let mut metadata = Map::new();
    for (name, value) in
        [("ideType", "IDE_UNSPECIFIED"), ("platform", "PLATFORM_UNSPECIFIED"), ("pluginType", "GEMINI")]
    {
        metadata.insert(name.into(), value.into());
    }
    let Some(project) = project else { return json!({"metadata": metadata}) };
    metadata.insert("duetProject".into(), project.into());
    json!({"cloudaicompanionProject": project, "metadata": metadata})
}

/// A text in one answer, an object with `id` in another, and an empty object for "none".
fn project_id(answer: &Value) -> Option<&str> {
    let project = answer.get("cloudaicompanionProject")?;
    project.as_str().or_else(|| project.get("id")?.as_str()).filter(|id| !id.is_empty())
}

fn tier_id(tier: &Value) -> Option<&str> {
    tier.get("id")?.as_str()
}

fn default_tier(loaded: &Value) -> &str {
    let tiers = loaded.get("allowedTiers").and_then(Value::as_array);
    let default = tiers.and_then(|tiers| tiers.iter().find(|tier| tier.get("isDefault") == Some(&Value::Bool(true))));
    default.and_then(tier_id).unwrap_or("legacy-tier")
}

fn ineligible(loaded: &Value) -> impl Iterator<Item = &Value> {
    loaded.get("ineligibleTiers").and_then(Value::as_array).into_iter().flatten()
}

fn validation(loaded: &Value) -> Option<Block> {
    let tier = ineligible(loaded).find(|tier| text(tier, "reasonCode") == Some("VALIDATION_REQUIRED"))?;
    let link = text(tier, "validationUrl")?;
    let said = text(tier, "validationErrorMessage").or(text(tier, "reasonMessage"));
    let message = said.map_or_else(|| Message::new("verify_account"), Message::said);
    Some(Block { link: Some(link.into()), ..Block::new("VALIDATION_REQUIRED", message) })
}

/// Google ended without a project: its own reasons, if it gave any.
fn no_project(loaded: &Value) -> Trouble {
    let Some(tier) = ineligible(loaded).next() else {
        return Trouble::Blocked(Block::new("PROJECT_REQUIRED", Message::new("project_required")));
    };
    let reason = text(tier, "reasonCode").unwrap_or("INELIGIBLE");
    let said = text(tier, "reasonMessage").map_or_else(|| Message::new("not_offered"), Message::said);
    let message = match reason {
        // Since 2026-06-18 the Gemini CLI's login serves licensed accounts only.
        "UNSUPPORTED_CLIENT" => Message::new("licence_only").with_message("said", said),
        _ => said,
    };
    let way_out = (reason == "UNSUPPORTED_CLIENT").then_some("https://aistudio.google.com/apikey");
    Trouble::Blocked(Block {
        link: text(tier, "validationUrl").or(way_out).map(str::to_owned),
        ..Block::new(reason, message)
    })
}

pub(crate) fn setup_fault(fault: CallFault) -> Trouble {
    match fault {
        CallFault::Status(401, _) => Trouble::Unauthorized,
        CallFault::Status(status @ (400 | 403 | 404), body) => {
            let said = body.pointer("/error/message").and_then(Value::as_str);
            let refused = || Message::new("account_refused").with("status", status);
            Trouble::Blocked(Block {
                reason: reason(&body).map_or_else(|| format!("HTTP_{status}"), str::to_owned),
                message: said.map_or_else(refused, |said| Message::said(first_line(said))),
                link: link(&body).map(str::to_owned),
            })
        }
        fault => fault.passing("Code Assist"),
    }
}

fn details(body: &Value) -> impl Iterator<Item = &Value> {
    body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten()
}

fn reason(body: &Value) -> Option<&str> {
    details(body).find_map(|detail| text(detail, "reason"))
}

fn link(body: &Value) -> Option<&str> {
    let metadata = |name| details(body).find_map(|detail| text(detail.get("metadata")?, name));
    metadata("validation_url")
        .or_else(|| metadata("activationUrl"))
        .or_else(|| details(body).find_map(|detail| detail.pointer("/links/0/url")?.as_str()))
        .or_else(|| metadata("validation_link"))
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// A google.rpc code as the HTTP status it goes with.
fn http_status(error: &Value) -> u16 {
    match error.get("code").and_then(Value::as_u64) {
        Some(7) => 403,
        Some(16) => 401,
        Some(3 | 9 | 11) => 400,
        Some(5) => 404,
        Some(code @ 400..600) => code as u16,
        _ => 500,
    }
}

/// An operation's name goes into an address as it is.
fn is_path(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    !name.is_empty() && name.bytes().all(safe) && !name.contains("..")
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Block, CallFault, Trouble, default_tier, is_path, load_request, no_project, project_id, setup_fault};
    use crate::message::Message;
    use serde_json::json;

    #[test]
    fn a_project_is_a_text_or_an_object_and_never_an_empty_one() {
        for (project, expected) in [
            (json!("p"), Some("p")),
            (json!({"id": "p", "name": "p"}), Some("p")),
            (json!({}), None),
            (json!({"id": ""}), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(project_id(&json!({"cloudaicompanionProject": project})), expected);
        }
    }

    #[test]
    fn the_tier_to_onboard_is_the_default_one() {
        let tiers = json!({"allowedTiers": [{"id": "standard-tier"}, {"id": "free-tier", "isDefault": true}]});
        assert_eq!(default_tier(&tiers), "free-tier");
        for none in [json!({}), json!({"allowedTiers": null}), json!({"allowedTiers": [{"id": "x"}]})] {
            assert_eq!(default_tier(&none), "legacy-tier");
        }
    }

    #[test]
    fn no_project_is_sent_when_none_is_known() {
        let none = json!({"metadata": {"ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI"}});
        assert_eq!(load_request(None), none);
        let some = load_request(Some("p"));
        assert_eq!((&some["cloudaicompanionProject"], &some["metadata"]["duetProject"]), (&json!("p"), &json!("p")));
    }

    #[test]
    fn an_account_without_project_says_googles_reason() {
        let tiers = json!({"ineligibleTiers": [{"reasonCode": "UNSUPPORTED_CLIENT", "reasonMessage": "Use another."}]});
        let Trouble::Blocked(Block { reason, message, .. }) = no_project(&tiers) else { panic!() };
        assert_eq!(reason, "UNSUPPORTED_CLIENT");
        let sentence = message.to_string();
        assert!(sentence.starts_with("Use another.") && sentence.contains("API key"), "{sentence}");
        let Trouble::Blocked(Block { reason, .. }) = no_project(&json!({})) else { panic!() };
        assert_eq!(reason, "PROJECT_REQUIRED");
    }

    #[test]
    fn a_refusal_keeps_googles_link_and_trouble_is_nobodys_fault() {
        let body = json!({"error": {"message": "Verify your account to continue.\nmore", "details": [
            {"reason": "VALIDATION_REQUIRED", "metadata": {"validation_url": "https://accounts.google.com/x"}}]}});
        let expected = Block {
            reason: "VALIDATION_REQUIRED".into(),
            message: Message::said("Verify your account to continue."),
            link: Some("https://accounts.google.com/x".into()),
        };
        assert_eq!(setup_fault(CallFault::Status(403, body)), Trouble::Blocked(expected));
        assert_eq!(setup_fault(CallFault::Status(401, json!(null))), Trouble::Unauthorized);
        for status in [429, 500, 502, 503] {
            assert!(matches!(setup_fault(CallFault::Status(status, json!(null))), Trouble::Transient(_)));
        }
    }

    #[test]
    fn an_operation_name_cannot_leave_its_path() {
        assert!(is_path("operations/cc-onboard-1a2b") && is_path("projects/p/operations/1"));
        assert!(!is_path("") && !is_path("../x") && !is_path("a?b") && !is_path("a b"));
    }
}
