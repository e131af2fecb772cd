//! What the pool wants to know again after a restart: rests, blocks, and what Google said about accounts. Holds no secret: a
//! member is named by a hash of its token or key, so another login or key of the same person starts anew.

use super::clock::{Deadline, Now};
use super::member::{Blocked, Cooling, Member};
use crate::credentials::Credentials;
use crate::credentials::google::setup::Block;
use crate::credentials::manage::millis;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Credentials {
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

    /// Who is called `cred-0` and so on in this run: the same hash as in [`Credentials::snapshot`].
    pub fn names(&self) -> Map<String, Value> {
        let state = self.state.lock();
        state.members.iter().filter_map(|member| Some((member.name(), fingerprint(member)?.into()))).collect()
    }

    /// Takes over an earlier [`Credentials::snapshot`]; what does not fit is ignored. To be called before the first request.
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
                if let Some(until) = time(rest, "until").and_then(|until| deadline(until, now)) {
                    let (reason, sentence) = (word(rest, "reason"), word(rest, "sentence"));
                    // Older files do not say it.
                    let limit = rest.get("limit").and_then(Value::as_bool).unwrap_or(true);
                    member.cooling.insert(model.clone(), Cooling { until, limit, reason, sentence });
                }
            }
            // Another project in the config or the file is what the person was asked for.
            if text("project") == member.project {
                member.blocked = known.get("blocked").and_then(|blocked| blocked_again(blocked, now));
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
    let blocked = member.blocked.as_ref().map(|blocked| {
        let until = blocked.until.map(|until| millis(until.shown(now)));
        let why = &blocked.why;
        json!({"until": until, "at": millis(blocked.at), "reason": why.reason, "sentence": why.sentence, "link": why.link})
    });
    json!({
        "email": member.email,
        "project": member.project,
        "tier": member.tier,
        "cooling": cooling,
        "blocked": blocked,
    })
}

/// `None`: its time is over, or it is not understood.
fn blocked_again(saved: &Value, now: Now) -> Option<Blocked> {
    let until = match saved.get("until")? {
        Value::Null => None,
        _ => Some(deadline(time(saved, "until")?, now)?),
    };
    let link = saved.get("link").and_then(Value::as_str).map(str::to_owned);
    let why = Block { reason: word(saved, "reason"), sentence: word(saved, "sentence"), link };
    Some(Blocked { until, why, at: time(saved, "at").unwrap_or(now.wall) })
}

/// `None`: it has passed, or the clock was wrong: a week is the longest quota there is.
fn deadline(until: SystemTime, now: Now) -> Option<Deadline> {
    let left = until.duration_since(now.wall).ok()?;
    (left < Duration::from_secs(8 * 86_400)).then(|| Deadline::after(now, left))
}

fn time(saved: &Value, name: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(saved.get(name)?.as_u64()?))
}

fn word(saved: &Value, name: &str) -> String {
    saved.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn fingerprint(member: &Member) -> Option<String> {
    let digest = Sha256::digest(member.identity()?.expose());
    Some(digest[..12].iter().map(|byte| format!("{byte:02x}")).collect())
}
