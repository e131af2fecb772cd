//! What the pool wants to know again after a restart: rests, and what Google said about accounts. Holds no secret: a
//! member is named by a hash of its token or key.

use super::clock::{Deadline, Now};
use super::manage::millis;
use super::member::{Cooling, Member};
use super::pool::Pool;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, UNIX_EPOCH};

impl Pool {
    /// For the state file.
    pub fn snapshot(&self) -> Value {
        let now = Now::read();
        let mut state = self.state.lock();
        let mut members = Map::new();
        for member in &mut state.members {
            member.settle(now);
            if let Some(name) = fingerprint(member) {
                members.insert(name, describe(member, now));
            }
        }
        Value::Object(members)
    }

    /// Takes over an earlier [`Pool::snapshot`]; what does not fit is ignored. To be called before the first request.
    pub fn restore(&self, snapshot: &Value) {
        let now = Now::read();
        let mut state = self.state.lock();
        for member in &mut state.members {
            let Some(known) = fingerprint(member).and_then(|name| snapshot.get(name)) else { continue };
            let text = |name| known.get(name).and_then(Value::as_str).map(str::to_owned);
            member.email = member.email.take().or(text("email"));
            member.project = member.project.take().or(text("project"));
            member.tier = text("tier");
            self.settle_project(member);
            for (model, rest) in known.get("cooling").and_then(Value::as_object).into_iter().flatten() {
                let until =
                    rest.get("until").and_then(Value::as_u64).map(|until| UNIX_EPOCH + Duration::from_millis(until));
                let left = until.and_then(|until| until.duration_since(now.wall).ok());
                // A week is the longest quota there is; more than that is a clock that was wrong.
                if let Some(left) = left.filter(|left| *left < Duration::from_secs(8 * 86_400)) {
                    let text = |name| rest.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                    let (reason, sentence) = (text("reason"), text("sentence"));
                    // Older files do not say it.
                    let limit = rest.get("limit").and_then(Value::as_bool).unwrap_or(true);
                    let until = Deadline::after(now, left);
                    member.cooling.insert(model.clone(), Cooling { until, limit, reason, sentence });
                }
            }
        }
    }
}

fn describe(member: &Member, now: Now) -> Value {
    let mut cooling = Map::new();
    for (model, rest) in &member.cooling {
        let until = millis(rest.until.shown(now));
        let rest = json!({"until": until, "limit": rest.limit, "reason": rest.reason, "sentence": rest.sentence});
        cooling.insert(model.clone(), rest);
    }
    json!({"email": member.email, "project": member.project, "tier": member.tier, "cooling": cooling})
}

fn fingerprint(member: &Member) -> Option<String> {
    let digest = Sha256::digest(member.identity()?.expose());
    Some(digest[..12].iter().map(|byte| format!("{byte:02x}")).collect())
}
