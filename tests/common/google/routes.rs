//! Which path is which endpoint, who is asking, and the record of every request.

use super::errors::{self, Refusal};
use super::script::Step;
use super::server::{Reply, Request, parse_form};
use super::state::{CLOUD_PLATFORM, Recorded, User};
use super::{Shared, code_assist, federation, oauth, public, vertex};
use serde_json::Value;

/// Answers one request; also gives its place in the record.
pub fn answer(shared: &Shared, request: &Request) -> (usize, Reply) {
    let op = op_of(&request.path);
    let index = shared.change(|state| {
        let released = state.released;
        state.record(Recorded {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body: body_of(request),
            who: None,
            op: op.clone(),
            status: 0,
            refusal: None,
            outcome: None,
            released,
        })
    });
    let call = Call { shared, request, op, index };
    let result = match request.path.as_str() {
        "/o/oauth2/v2/auth" | "/o/oauth2/auth" => Ok(oauth::consent(&call)),
        "/token" => Ok(oauth::token(&call)),
        "/sts/v1/token" => Ok(federation::exchange(&call)),
        "/subject" => Ok(Reply::new(200, "text/plain", federation::SUBJECT)),
        path if path.starts_with("/computeMetadata/") => Ok(federation::metadata(&call)),
        path if path.starts_with("/v1/projects/-/serviceAccounts/") => federation::act_as(&call),
        "/revoke" => Ok(oauth::revoke(&call)),
        "/tokeninfo" => Ok(oauth::token_info(&call)),
        "/oauth2/v2/userinfo" | "/oauth2/v1/userinfo" | "/v1/userinfo" => oauth::user_info(&call),
        path if path.starts_with("/v1internal") => code_assist::answer(&call),
        path if path.starts_with("/v1beta1/") => vertex::answer(&call),
        path if path.starts_with("/v1beta/") || path.starts_with("/upload/v1beta/") => public::answer(&call),
        path => Ok(Reply::html(404, &format!("The requested URL {path} was not found on this server."))),
    };
    let reply = result.unwrap_or_else(|refusal| {
        let message = refusal.message.clone();
        shared.change(|state| state.recorded(index).map(|recorded| recorded.refusal = Some(message)));
        refusal.reply()
    });
    shared.change(|state| state.recorded(index).map(|recorded| recorded.status = reply.status));
    (index, reply)
}

/// One request on its way to an answer.
pub struct Call<'a> {
    pub shared: &'a Shared,
    pub request: &'a Request,
    pub op: String,
    index: usize,
}

impl Call<'_> {
    /// Notes who is asking.
    pub fn is_from(&self, who: &str) {
        self.shared.change(|state| state.recorded(self.index).map(|recorded| recorded.who = Some(who.to_string())));
    }

    pub fn json_body(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.request.body)
            .map_err(|err| Refusal::invalid(format!("Invalid JSON payload received. Expected a value.\n{err}")))
    }

    /// The account behind the bearer token.
    pub fn bearer_user(&self) -> Result<(User, Vec<String>), Refusal> {
        let header = self.request.header("authorization").ok_or_else(errors::missing_token)?;
        let token = header.strip_prefix("Bearer ").ok_or_else(errors::missing_token)?;
        let found = self.shared.read(|state| {
            let access = state.access.get(token)?;
            Some((state.user(&access.email)?.clone(), access.scopes.clone(), access.dead))
        });
        let (user, scopes, dead) = found.ok_or_else(errors::dead_token)?;
        self.is_from(&user.email);
        if dead {
            return Err(errors::dead_token());
        }
        Ok((user, scopes))
    }

    /// The account, when its token may use Code Assist.
    pub fn code_assist_user(&self) -> Result<User, Refusal> {
        let (user, scopes) = self.bearer_user()?;
        if !scopes.iter().any(|scope| scope == CLOUD_PLATFORM) {
            return Err(errors::scope_insufficient("cloudcode-pa.googleapis.com"));
        }
        Ok(user)
    }

    /// A scripted answer for an endpoint that has only status answers (not a generation).
    pub fn forced(&self, who: &str) -> Option<Reply> {
        self.step(who)?.plain_reply()
    }

    pub fn step(&self, who: &str) -> Option<Step> {
        self.shared.change(|state| state.take_step(who, &self.op, ""))
    }
}

fn op_of(path: &str) -> String {
    if path.starts_with("/v1internal/operations/") {
        return "operation".into();
    }
    let last = path.rsplit('/').next().unwrap_or("");
    last.rsplit(':').next().unwrap_or("").to_string()
}

fn body_of(request: &Request) -> Value {
    if request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        let text = String::from_utf8_lossy(&request.body);
        return Value::Object(parse_form(&text).into_iter().map(|(key, value)| (key, Value::String(value))).collect());
    }
    serde_json::from_slice(&request.body).unwrap_or_else(|_| match request.body.is_empty() {
        true => Value::Null,
        false => Value::String(String::from_utf8_lossy(&request.body).into_owned()),
    })
}
