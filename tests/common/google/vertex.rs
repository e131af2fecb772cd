//! Vertex AI: `/v1beta1/[projects/P/locations/L/]publishers/google/models/M:method`, and the service accounts whose signed
//! assertions the token endpoint takes. One listener plays all of Google's hosts.

use super::super::written;
use super::engine::{self, Generation, count_tokens, list, text};
use super::errors::{self, Refusal};
use super::models::Model;
use super::proto::{self, Side};
use super::routes::Call;
use super::server::Reply;
use super::state::{CLOUD_PLATFORM, State, User};
use super::{FakeGoogle, messages, now_ms, public, strict};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The key of every service account that says nothing else.
pub const KEY: &str = include_str!("../../fixtures/vertex/key.pem");
/// For whom an assertion has to be.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// A service account with one key.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    pub email: String,
    pub key_id: String,
    public_key: Vec<u8>,
}

/// What Vertex AI knows and how it is.
#[derive(Clone, Debug, Default)]
pub struct Vertex {
    pub accounts: Vec<ServiceAccount>,
    /// Express keys.
    pub keys: HashSet<String>,
    /// E-mails without the role `aiplatform.user`.
    pub without_role: HashSet<String>,
    /// Calls with ids are refused, as they were until 2026-09.
    pub refuses_ids: bool,
    /// Answers 429 without details in these locations.
    pub full: HashSet<String>,
}

impl FakeGoogle {
    /// A service account with the role, as its JSON file.
    pub fn add_service_account(&self, email: &str, project: &str) -> Value {
        self.add_service_account_with(email, project, KEY)
    }

    pub fn add_service_account_with(&self, email: &str, project: &str, pem: &str) -> Value {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).expect("a PEM file");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("an RSA key");
        let user = User { scopes: vec![CLOUD_PLATFORM.into()], ..User::licensed(email, project) };
        let key_id = self.change(|state| {
            state.users.retain(|known| known.email != email);
            state.users.push(user);
            let key_id = format!("key{}", state.next());
            let public_key = pair.public().as_ref().to_vec();
            state.vertex.accounts.push(ServiceAccount { email: email.into(), key_id: key_id.clone(), public_key });
            key_id
        });
        let item = json!({
            "type": "service_account", "project_id": project, "private_key_id": key_id, "private_key": pem,
            "client_email": email, "client_id": "104", "token_uri": format!("{}/token", self.base()),
            "universe_domain": "googleapis.com",
        });
        written::secrets_in(&item);
        item
    }

    /// An express key, as an item of the credentials file.
    pub fn add_vertex_key(&self, key: &str) -> Value {
        written::secret(key);
        self.change(|state| state.vertex.keys.insert(key.to_string()));
        json!({"type": "vertex_key", "api_key": key})
    }

    pub fn vertex(&self, act: impl FnOnce(&mut Vertex)) {
        self.change(|state| act(&mut state.vertex));
    }
}

/// Who signed an assertion, if all of it is right; else the description of an `invalid_grant`.
pub fn signer(state: &State, assertion: &str) -> Result<String, String> {
    let bad = |what: &str| format!("Invalid JWT: {what}");
    let (signed, signature) = assertion.rsplit_once('.').ok_or_else(|| bad("no signature"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| bad("no claims"))?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| bad("not base64url"));
    let read = |part| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| bad("not JSON"));
    let (header, claims) = (read(header)?, read(claims)?);
    if header["alg"] != "RS256" || header["typ"] != "JWT" {
        return Err(bad("alg"));
    }
    if claims["aud"] != AUDIENCE || claims["scope"] != CLOUD_PLATFORM {
        return Err(bad("Failed audience check."));
    }
    let mut keys = state.vertex.accounts.iter().filter(|account| claims["iss"] == json!(account.email)).peekable();
    keys.peek().ok_or("Invalid grant: account not found")?;
    let signature = decode(signature)?;
    let signed_by = |account: &&ServiceAccount| {
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &account.public_key);
        header["kid"] == json!(account.key_id) && public.verify(signed.as_bytes(), &signature).is_ok()
    };
    let account = keys.find(signed_by).ok_or("Invalid JWT Signature.")?;
    let (now, issued, ends) =
        (now_ms() / 1000, claims["iat"].as_u64().unwrap_or(0), claims["exp"].as_u64().unwrap_or(0));
    if issued > now + 300 || ends < now || ends > now + 3900 || ends.saturating_sub(issued) > 3600 {
        return Err(bad(
            "Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values.",
        ));
    }
    Ok(account.email.clone())
}

struct Path {
    project: Option<String>,
    location: String,
    model: String,
    op: String,
}

fn path(path: &str) -> Option<Path> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (project, location, last) = match segments[..] {
        ["v1beta1", "projects", project, "locations", location, "publishers", "google", "models", last] => {
            (Some(project.to_owned()), location, last)
        }
        ["v1beta1", "publishers", "google", "models", last] => (None, "global", last),
        _ => return None,
    };
    let (model, op) = last.split_once(':')?;
    Some(Path { project, location: location.into(), model: model.into(), op: op.into() })
}

pub fn answer(call: &Call) -> Result<Reply, Refusal> {
    let Some(path) = path(&call.request.path) else {
        return Ok(Reply::html(404, "The requested URL was not found on this server."));
    };
    let who = who(call, &path)?;
    let model = model(call, &path)?;
    let model = call.shared.read(|state| state.serving(&who, model));
    if call.shared.read(|state| state.vertex.full.contains(&path.location)) {
        return Err(shared_quota());
    }
    let generates = path.op.ends_with("enerateContent");
    if let Some(reply) = (!generates).then(|| call.forced(&who)).flatten() {
        return Ok(reply);
    }
    let raw = call.json_body()?;
    match path.op.as_str() {
        "countTokens" => {
            let flat = ["contents", "systemInstruction", "tools", "generationConfig"];
            if let Some((name, _)) =
                raw.as_object().into_iter().flatten().find(|(name, _)| !flat.contains(&name.as_str()))
            {
                return Err(proto::unknown_name(name, ""));
            }
            roles(&raw)?;
            Ok(Reply::json(200, &json!({"totalTokens": count_tokens(&raw), "totalBillableCharacters": 9})))
        }
        "embedContent" => {
            embed(&raw, &model).map(|values| Reply::json(200, &json!({"embedding": values, "truncated": false})))
        }
        "batchEmbedContents" => {
            let made: Result<Vec<Value>, Refusal> =
                list(&raw["requests"]).iter().map(|one| embed(one, &model)).collect();
            Ok(Reply::json(200, &json!({"embeddings": made?})))
        }
        "predict" => predict(&raw, &model),
        "generateContent" | "streamGenerateContent" => {
            roles(&raw)?;
            if call.shared.read(|state| state.vertex.refuses_ids) && has_ids(&raw) {
                return Err(Refusal::invalid(
                    "Invalid JSON payload received. Unknown name \"id\" at 'contents[1].parts[0].function_call': Cannot find field.",
                ));
            }
            if raw.get("sessionId").is_some() {
                return Err(proto::unknown_name("sessionId", ""));
            }
            let inner = proto::read(&messages::GENERATE, &raw, Side::Vertex)?;
            let stream = path.op == "streamGenerateContent";
            if !stream && raw["toolConfig"]["functionCallingConfig"].get("streamFunctionCallArguments").is_some() {
                return Err(Refusal::invalid(
                    "stream_function_call_arguments is supported only in streaming requests.",
                ));
            }
            call.shared.read(|state| strict::check(state, &model, &inner, Side::Vertex))?;
            let sse = call.request.query("alt") == Some("sse");
            engine::generate(call, &Generation { model, inner, code_assist: false, stream, sse, who })
        }
        _ => Err(Refusal::new(404, "Method not found.")),
    }
}

/// Who calls, with a token and a project or with an express key and neither.
fn who(call: &Call, path: &Path) -> Result<String, Refusal> {
    let Some(project) = &path.project else {
        let key = call.request.header("x-goog-api-key").unwrap_or("");
        call.is_from(key);
        return match call.shared.read(|state| state.vertex.keys.contains(key)) {
            true => Ok(key.to_owned()),
            false => Err(Refusal::new(
                401,
                "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that \
                 assert a principal.",
            )
            .reason("CREDENTIALS_MISSING", "googleapis.com", json!({"service": "aiplatform.googleapis.com"}))),
        };
    };
    let (user, scopes) = call.bearer_user()?;
    if !scopes.iter().any(|scope| scope == CLOUD_PLATFORM) {
        return Err(errors::scope_insufficient("aiplatform.googleapis.com"));
    }
    let has_role = call.shared.read(|state| !state.vertex.without_role.contains(&user.email));
    if !has_role || user.project != *project {
        return Err(Refusal::new(
            403,
            format!(
                "Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/projects/{project}/\
                 locations/{}/publishers/google/models/{}' (or it may not exist).",
                path.location, path.model
            ),
        )
        .reason("IAM_PERMISSION_DENIED", "aiplatform.googleapis.com", json!({"permission": "aiplatform.endpoints.predict"})));
    }
    Ok(user.email)
}

/// Gemini 3 and later is in `global`, `us` and `eu`; what is older in regions and `global`.
fn model(call: &Call, path: &Path) -> Result<Model, Refusal> {
    let is_multi = ["us", "eu"].contains(&path.location.as_str());
    let known = call.shared.read(|state| state.models.iter().find(|model| model.id == path.model).cloned());
    let is_here = |model: &Model| match path.location.as_str() {
        "global" => true,
        _ if model.embedding => true,
        _ => model.is_three() == is_multi,
    };
    known.filter(is_here).ok_or_else(|| {
        Refusal::new(
            404,
            format!(
                "Publisher Model `projects/{}/locations/{}/publishers/google/models/{}` was not found or your project does not \
                 have access to it. Please ensure you are using a valid model version.",
                path.project.as_deref().unwrap_or("-"),
                path.location,
                path.model
            ),
        )
    })
}

/// No capacity now, without any detail.
pub fn shared_quota() -> Refusal {
    Refusal::new(
        429,
        "Resource exhausted. Please try again later. Please refer to \
         https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.",
    )
}

fn roles(raw: &Value) -> Result<(), Refusal> {
    let fits = |turn: &Value| ["user", "model"].contains(&text(&turn["role"]));
    if list(&raw["contents"]).iter().all(fits) {
        return Ok(());
    }
    Err(Refusal::invalid("Please use a valid role: user, model."))
}

fn has_ids(raw: &Value) -> bool {
    list(&raw["contents"])
        .iter()
        .flat_map(|turn| list(&turn["parts"]))
        .any(|part| ["functionCall", "functionResponse"].iter().any(|name| part[*name].get("id").is_some()))
}

fn embed(raw: &Value, model: &Model) -> Result<Value, Refusal> {
    if let Some((name, _)) = raw
        .as_object()
        .into_iter()
        .flatten()
        .find(|(name, _)| !["content", "embedContentConfig"].contains(&name.as_str()))
    {
        return Err(proto::unknown_name(name, ""));
    }
    let mut flat = raw["embedContentConfig"].clone();
    if flat.is_null() {
        flat = json!({});
    }
    flat["content"] = raw["content"].clone();
    flat.as_object_mut().expect("an object").remove("autoTruncate");
    Ok(json!({"values": public::embed(&flat, model)?}))
}

fn predict(raw: &Value, model: &Model) -> Result<Reply, Refusal> {
    let instances = list(&raw["instances"]);
    if instances.is_empty() || model.id.contains("gemini") {
        return Err(Refusal::invalid("Model does not support predict."));
    }
    let size = raw["parameters"]["outputDimensionality"].as_u64().unwrap_or(768);
    let made: Result<Vec<Value>, Refusal> = instances
        .iter()
        .map(|one| {
            let flat = json!({"content": {"parts": [{"text": one["content"]}]}, "outputDimensionality": size});
            let values = public::embed(&flat, model)?;
            Ok(json!({"embeddings": {"values": values, "statistics": {"token_count": 2, "truncated": false}}}))
        })
        .collect();
    Ok(Reply::json(200, &json!({"predictions": made?})))
}
