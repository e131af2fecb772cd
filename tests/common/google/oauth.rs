//! Google's OAuth: consent page, token endpoint, revocation, token info and the three user info addresses.

use super::super::written;
use super::errors::{self, Refusal};
use super::routes::Call;
use super::script::Step;
use super::server::{Reply, parse_form};
use super::state::{AuthCode, State};
use super::vertex;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const AUTH_CODE_PAGE: &str = "https://codeassist.google.com/authcode";

/// The consent page: agrees by itself, unless told to deny.
pub fn consent(call: &Call) -> Reply {
    let get = |name| call.request.query(name).unwrap_or("");
    let client = get("client_id");
    let known = call.shared.read(|state| match &state.settings.client {
        Some((id, _)) => id == client,
        None => !client.is_empty(),
    });
    if !known {
        return Reply::html(401, "Error 401: invalid_client. The OAuth client was not found.");
    }
    let redirect = get("redirect_uri");
    if !allowed_redirect(redirect) {
        return Reply::html(400, "Error 400: redirect_uri_mismatch");
    }
    if get("response_type") != "code" {
        return Reply::html(400, "Error 400: invalid_request. Required parameter is missing: response_type");
    }
    if get("scope").is_empty() {
        return Reply::html(400, "Error 400: invalid_request. Missing required parameter: scope");
    }
    let challenge = get("code_challenge");
    let method = get("code_challenge_method");
    if !challenge.is_empty() && !matches!(method, "S256" | "plain" | "") {
        return Reply::html(400, "Error 400: invalid_request. Invalid code_challenge_method");
    }
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let joint = if redirect.contains('?') { '&' } else { '?' };
    let state_part = call.request.query("state").map(|state| format!("state={}&", encode(state))).unwrap_or_default();
    let granted = call.shared.change(|state| {
        if state.settings.deny_consent {
            return None;
        }
        let hint = call.request.query("login_hint").map(String::from);
        let email = hint.or_else(|| state.settings.consent_as.clone());
        let email = email.or_else(|| state.users.first().map(|user| user.email.clone()))?;
        let user = state.user(&email)?.clone();
        let asked: Vec<&str> = get("scope").split(' ').collect();
        let scopes: Vec<String> =
            user.scopes.iter().filter(|scope| asked.contains(&scope.as_str()) || *scope == "openid").cloned().collect();
        let code = format!("4/0Afake-{}", state.next());
        let challenge = (!challenge.is_empty()).then(|| (challenge.to_string(), method.to_string()));
        let record = AuthCode {
            email,
            client: client.into(),
            redirect_uri: redirect.into(),
            challenge,
            scopes: scopes.clone(),
            used: false,
        };
        written::secret(&code);
        state.codes.insert(code.clone(), record);
        Some((code, scopes))
    });
    let location = match granted {
        None => format!("{redirect}{joint}error=access_denied&{}", state_part.trim_end_matches('&')),
        Some((code, scopes)) => {
            format!("{redirect}{joint}{state_part}code={}&scope={}", encode(&code), encode(&scopes.join(" ")))
        }
    };
    Reply::new(302, "text/html; charset=UTF-8", "").header("location", &location)
}

fn allowed_redirect(redirect: &str) -> bool {
    if redirect == AUTH_CODE_PAGE {
        return true;
    }
    let Some(rest) = redirect.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or("");
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    matches!(host, "127.0.0.1" | "localhost" | "::1")
}

/// The token endpoint: code exchange and refresh.
pub fn token(call: &Call) -> Reply {
    let reply = match exchange(call) {
        Ok(reply) | Err(reply) => reply,
    };
    let kind =
        reply.headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("application/json"));
    let reply = reply.header("cache-control", "no-cache, no-store, max-age=0, must-revalidate");
    if kind { reply.header("content-type", "application/json; charset=utf-8") } else { reply }
}

fn exchange(call: &Call) -> Result<Reply, Reply> {
    if call.request.method != "POST" {
        return Err(Reply::html(404, "The requested URL was not found on this server."));
    }
    if !call.request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Err(fail(400, "invalid_request", "Invalid content type; a form is expected."));
    }
    let form = parse_form(&String::from_utf8_lossy(&call.request.body));
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("grant_type") == Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return by_assertion(call, need(&form, "assertion")?);
    }
    // A forced error belongs to an account, so it is looked for before the client is checked.
    let account = call.shared.read(|state| {
        let by_code = field("code").and_then(|code| state.codes.get(code)).map(|code| code.email.clone());
        by_code.or_else(|| {
            field("refresh_token").and_then(|token| state.refresh.get(token)).map(|token| token.email.clone())
        })
    });
    if let Some(email) = &account {
        call.is_from(email);
    }
    let step = call.step(account.as_deref().unwrap_or("*"));
    if let Some(reply) = step.as_ref().filter(|step| !step.is_late()).and_then(Step::plain_reply) {
        return Ok(reply);
    }
    let granted = granted(call, &form);
    // What was granted is granted, whenever the answer goes out.
    let Some(step) = step else { return granted };
    granted.map(|reply| step.decorate(reply)).map_err(|reply| step.decorate(reply))
}

fn need<'a>(form: &'a [(String, String)], name: &str) -> Result<&'a str, Reply> {
    let field = form.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str());
    field.ok_or_else(|| fail(400, "invalid_request", &format!("Missing required parameter: {name}")))
}

fn granted(call: &Call, form: &[(String, String)]) -> Result<Reply, Reply> {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let need = |name: &str| need(form, name);
    let client = field("client_id").filter(|id| !id.is_empty());
    let client = client.ok_or_else(|| fail(400, "invalid_request", "Could not determine client ID from request."))?;
    let secret = field("client_secret").filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| fail(400, "invalid_request", "client_secret is missing."))?;
    let wanted = call.shared.read(|state| state.settings.client.clone());
    if let Some((id, right)) = wanted {
        if id != client {
            return Err(fail(401, "invalid_client", "The OAuth client was not found."));
        }
        if right != secret {
            return Err(fail(401, "invalid_client", "Unauthorized"));
        }
    }
    match need("grant_type")? {
        "authorization_code" => {
            let (code, redirect) = (need("code")?, need("redirect_uri")?);
            call.shared.change(|state| by_code(state, code, redirect, client, field("code_verifier")))
        }
        "refresh_token" => {
            let token = need("refresh_token")?;
            call.shared.change(|state| by_refresh(state, token))
        }
        other => Err(fail(400, "unsupported_grant_type", &format!("Invalid grant_type: {other}"))),
    }
}

fn by_code(
    state: &mut State,
    code: &str,
    redirect: &str,
    client: &str,
    verifier: Option<&str>,
) -> Result<Reply, Reply> {
    if !code.starts_with("4/") {
        return Err(fail(400, "invalid_grant", "Malformed auth code."));
    }
    let record = state.codes.get_mut(code).filter(|record| !record.used && record.client == client);
    let record = record.ok_or_else(|| fail(400, "invalid_grant", "Bad Request"))?;
    if record.redirect_uri != redirect {
        return Err(fail(400, "redirect_uri_mismatch", "Bad Request"));
    }
    record.used = true;
    if let Some((challenge, method)) = &record.challenge {
        let verifier = verifier.ok_or_else(|| fail(400, "invalid_grant", "Missing code verifier."))?;
        written::secret(verifier);
        let made = match method.as_str() {
            "S256" => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
            _ => verifier.to_string(),
        };
        if made != *challenge || !(43..=128).contains(&verifier.len()) {
            return Err(fail(400, "invalid_grant", "Invalid code verifier."));
        }
    }
    let record = record.clone();
    let mut body = tokens(state, &record.email, &record.scopes);
    body["refresh_token"] = json!(state.issue_refresh(&record.email));
    Ok(Reply::json(200, &body))
}

fn by_refresh(state: &mut State, token: &str) -> Result<Reply, Reply> {
    let known = state.refresh.get(token).cloned().ok_or_else(|| fail(400, "invalid_grant", "Bad Request"))?;
    let user = state.user(&known.email).cloned();
    let user = user.filter(|_| !known.revoked);
    let user = user.ok_or_else(|| fail(400, "invalid_grant", "Token has been expired or revoked."))?;
    let mut body = tokens(state, &user.email, &user.scopes);
    *state.refreshed.entry(user.email.clone()).or_default() += 1;
    if state.settings.rotate_refresh {
        body["refresh_token"] = json!(state.issue_refresh(&user.email));
        if state.settings.retire_refresh {
            state.refresh.entry(token.to_owned()).and_modify(|token| token.revoked = true);
        }
    }
    Ok(Reply::json(200, &body))
}

/// What a service account has signed is its login.
fn by_assertion(call: &Call, assertion: &str) -> Result<Reply, Reply> {
    written::secret(assertion);
    let email = call.shared.read(|state| vertex::signer(state, assertion));
    let email = email.map_err(|description| fail(400, "invalid_grant", &description))?;
    call.is_from(&email);
    if let Some(reply) = call.forced(&email) {
        return Ok(reply);
    }
    Ok(call.shared.change(|state| {
        let scopes = state.user(&email).map(|user| user.scopes.clone()).unwrap_or_default();
        *state.refreshed.entry(email.clone()).or_default() += 1;
        let seconds = state.settings.expires_in;
        let body =
            json!({"access_token": state.issue_access(&email, &scopes), "expires_in": seconds, "token_type": "Bearer"});
        Reply::json(200, &body)
    }))
}

fn tokens(state: &mut State, email: &str, scopes: &[String]) -> Value {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims =
        json!({"iss": "https://accounts.google.com", "sub": subject(email), "email": email, "email_verified": true});
    let id_token = format!("{}.{}.ZmFrZQ", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    written::secret(&id_token);
    json!({
        "access_token": state.issue_access(email, scopes),
        "expires_in": state.settings.expires_in,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
        "id_token": id_token,
    })
}

fn fail(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}

/// Revoking either token ends the whole grant.
pub fn revoke(call: &Call) -> Reply {
    let form = parse_form(&String::from_utf8_lossy(&call.request.body));
    let token = form.iter().find(|(key, _)| key == "token").map(|(_, value)| value.as_str());
    let token = token.or(call.request.query("token")).unwrap_or("");
    let done = call.shared.change(|state| {
        let by_access = state.access.get(token).filter(|found| !found.dead).map(|found| found.email.clone());
        let by_refresh = state.refresh.get(token).filter(|found| !found.revoked).map(|found| found.email.clone());
        let Some(email) = by_access.or(by_refresh) else { return false };
        state.access.values_mut().filter(|found| found.email == email).for_each(|found| found.dead = true);
        state.refresh.values_mut().filter(|found| found.email == email).for_each(|found| found.revoked = true);
        true
    });
    if done { Reply::json(200, &json!({})) } else { fail(400, "invalid_token", "Token expired or revoked") }
}

/// What a token is good for; numbers are strings.
pub fn token_info(call: &Call) -> Reply {
    let bearer = call.request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let token = bearer.or(call.request.query("access_token")).unwrap_or("");
    let found = call.shared.read(|state| state.access.get(token).filter(|found| !found.dead).cloned());
    let Some(found) = found else { return fail(400, "invalid_token", "Invalid Value") };
    let body = json!({
        "azp": "fake-client", "aud": "fake-client", "sub": subject(&found.email), "scope": found.scopes.join(" "),
        "exp": (super::now_ms() / 1000 + 3488).to_string(), "expires_in": "3488", "email": found.email,
        "email_verified": "true", "access_type": "offline",
    });
    Reply::json(200, &body)
}

/// v1 and v2 name the fields `id` and `verified_email`, OIDC `sub` and `email_verified`.
pub fn user_info(call: &Call) -> Result<Reply, Refusal> {
    let (user, scopes) = call.bearer_user()?;
    if let Some(reply) = call.forced(&user.email) {
        return Ok(reply);
    }
    if !scopes.iter().any(|scope| scope == super::state::EMAIL_SCOPE || scope == "openid") {
        return Err(errors::scope_insufficient("openidconnect.googleapis.com"));
    }
    let name = user.email.split('@').next().unwrap_or("");
    let mut body = json!({"name": name, "given_name": name, "family_name": "Example", "email": user.email,
        "picture": "https://lh3.googleusercontent.com/a/fake"});
    if call.request.path == "/v1/userinfo" {
        body["sub"] = json!(subject(&user.email));
        body["email_verified"] = json!(true);
    } else {
        body["id"] = json!(subject(&user.email));
        body["verified_email"] = json!(true);
    }
    Ok(Reply::json(200, &body))
}

fn subject(email: &str) -> String {
    let digest = Sha256::digest(email.as_bytes());
    let number = digest.iter().take(7).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("1{number:020}")
}
