//! What is asked of Google in the background, never a generation: does an idle member still work, and which models do
//! the pool's keys have.

use crate::config::ApiKey;
use crate::credentials::Credentials;
use crate::credentials::file::record::Record;
use crate::credentials::google::oauth::CallFault;
use crate::credentials::lease::{Kind, MemberId};
use crate::credentials::pool::clock::Now;
use crate::credentials::pool::member::Origin;
use crate::secret::Secret;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Instant;

/// More pages than this are a list that never ends.
const PAGES: usize = 10;
/// Keys that are asked for the list before it is given up for now.
const KEYS: usize = 3;

impl Credentials {
    /// Checks the member that was left alone for longest, if the server is idle and somebody is due. A suspected one is
    /// due at once. Says who it was; `None`: nobody is due. Blocks on Google.
    pub fn check_idle(&self) -> Option<MemberId> {
        let id = {
            let now = Now::read();
            let mut state = self.state.lock();
            let span = self.timing.idle_check;
            // Requests tell more than a check, and are not to be slowed down by one.
            if state.lent.is_some_and(|lent| now.monotonic.duration_since(lent) < span / 6) {
                return None;
            }
            state.members.iter_mut().for_each(|member| member.settle(now));
            let due = |at: &Instant| now.monotonic.duration_since(*at) >= span;
            let idle = state.members.iter_mut().filter(|member| {
                let free = member.is_usable() && member.blocked.is_none() && member.flight.is_none();
                free && (member.is_suspected() || due(&member.touched))
            });
            let member = idle.min_by_key(|member| (!member.is_suspected(), member.touched))?;
            member.touched = now.monotonic;
            member.id
        };
        let check = self.check(id).ok()?;
        if check.healthy {
            log::debug!("[CredManager] {}({}) was idle and works.", check.name, check.label);
        } else {
            log::warn!("[CredManager] {}({}) was idle and does not work: {}", check.name, check.label, check.reason);
            let timing = self.timing;
            if let Some(member) = self.state.lock().member(id) {
                member.suspect(timing.suspicion, timing.longest_suspicion);
            }
        }
        Some(id)
    }

    /// Google's whole model list, from the first key that gets it; `None`: no key in the pool. Blocks on Google.
    pub fn list_models(&self) -> Result<Option<Vec<Value>>, String> {
        let keys: Vec<Secret> = {
            let state = self.state.lock();
            let keys = state.members.iter().filter(|member| member.record.kind() == Ok(Kind::ApiKey));
            let free = keys.filter(|member| member.is_usable() && member.blocked.is_none());
            free.filter_map(|member| member.record.api_key().map(Secret::new)).take(KEYS).collect()
        };
        if keys.is_empty() {
            return Ok(None);
        }
        let mut last = String::new();
        for key in keys {
            match self.whole_list(&key) {
                Ok(list) => return Ok(Some(list)),
                Err(fault) => last = told(fault),
            }
        }
        Err(last)
    }

    fn whole_list(&self, key: &Secret) -> Result<Vec<Value>, CallFault> {
        let mut list = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let mut page = self.google.model_page(key, 1000, token.as_deref())?;
            if let Some(Value::Array(models)) = page.get_mut("models").map(Value::take) {
                list.extend(models);
            }
            token = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty()).map(Into::into);
            if token.is_none() {
                break;
            }
        }
        Ok(list)
    }

    /// Takes over what a person changed in the config while running: the map of projects, and the keys beside the file.
    pub fn reload(&self, project_id_map: HashMap<String, String>, api_keys: &[ApiKey]) {
        *self.project_id_map.write() = project_id_map;
        let wanted: Vec<Record> =
            api_keys.iter().map(|key| Record::api_key_item(&key.key, key.label.as_deref())).collect();
        let mut lines = Vec::new();
        let mut state = self.state.lock();
        state.members.retain(|member| {
            let stays = member.origin == Origin::File
                || wanted.iter().any(|record| member.identity().is_some() && record.identity() == member.identity());
            if !stays {
                lines.push(format!("[CredManager] {} is no longer in gemini_api_keys.", member.name()));
            }
            stays
        });
        for record in wanted {
            let known = state.members.iter_mut().find(|member| member.identity() == record.identity());
            match known {
                Some(member) if member.origin == Origin::Config => {
                    member.record.set("label", record.label().map(Into::into));
                }
                Some(_) => {}
                None => {
                    let member = state.join(Origin::Config, record, &self.timing);
                    lines.push(format!("[CredManager] {} comes from gemini_api_keys.", member.name()));
                }
            }
        }
        state.members.iter_mut().for_each(|member| self.settle_project(member));
        drop(state);
        self.work.notify_all();
        self.changed();
        lines.iter().for_each(|line| log::info!("{line}"));
    }
}

fn told(fault: CallFault) -> String {
    match fault {
        CallFault::Status(status, _) => format!("Google answered with status {status}"),
        CallFault::Network(reason) => reason,
    }
}
