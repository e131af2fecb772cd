//! What a person does to a member: remove, disable, label, reset, refresh. A config member changes for this run only.

use crate::credentials::file::store::Edit;
use crate::credentials::lease::{AccessFault, MemberId};
use crate::credentials::pool::clock::Now;
use crate::credentials::pool::member::Origin;
use crate::credentials::pool::view::View;
use crate::credentials::{Credentials, State};
use serde_json::Value;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a member was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManageFault {
    /// There is no such member.
    Unknown,
    /// It stands in the config, where a person has to change it.
    InConfig,
    /// The item is not one this program understands.
    Unusable,
}

impl fmt::Display for ManageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ManageFault::Unknown => "there is no such credential",
            ManageFault::InConfig => "this key stands in the config; change it there, then restart or send SIGHUP",
            ManageFault::Unusable => "this item of the credentials file cannot be used, only removed",
        })
    }
}

impl Credentials {
    /// The member of this name (`cred-0`).
    pub fn find(&self, name: &str) -> Option<MemberId> {
        self.state.lock().members.iter().find(|member| member.name() == name).map(|member| member.id)
    }

    /// What an admin may see of one member.
    pub fn view(&self, id: MemberId) -> Option<View> {
        let now = Now::read();
        self.state.lock().member(id).map(|member| {
            member.settle(now);
            member.view(now)
        })
    }

    /// Takes the member out of the pool and the file.
    pub fn remove(&self, id: MemberId) -> Result<(), ManageFault> {
        self.edit(|state| {
            let member = state.member(id).ok_or(ManageFault::Unknown)?;
            if member.origin == Origin::Config {
                return Err(ManageFault::InConfig);
            }
            let record = member.record.clone();
            state.members.retain(|member| member.id != id);
            Ok(Some(Edit::Remove(record)))
        })
    }

    /// Lets the member be lent out again.
    pub fn enable(&self, id: MemberId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", None)
    }

    /// Keeps the member, its tokens included, but lends it out no more.
    pub fn disable(&self, id: MemberId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", Some(true.into()))
    }

    /// Sets the user's own word for the member, or removes it.
    pub fn set_label(&self, id: MemberId, label: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "label", label.map(Into::into))
    }

    /// Sets the project in the file, or removes it so that Google is asked. `project_id_map` still wins.
    pub fn set_project(&self, id: MemberId, project: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "project_id", project.map(Into::into))?;
        self.reset(id)
    }

    /// Forgets rests, blocks and what is known of the project: the member starts anew.
    pub fn reset(&self, id: MemberId) -> Result<(), ManageFault> {
        let mut state = self.state.lock();
        let member = state.member(id).ok_or(ManageFault::Unknown)?;
        member.cooling.clear();
        member.blocked = None;
        member.recover();
        member.trust();
        (member.project, member.tier, member.email_settled) = (None, None, false);
        self.settle_project(member);
        drop(state);
        self.work.notify_all();
        self.changed();
        Ok(())
    }

    /// Gets a new token now, whatever is known of the old one. Blocks on Google.
    pub fn refresh(&self, id: MemberId) -> Result<(), AccessFault> {
        let token = {
            let mut state = self.state.lock();
            let gone = || AccessFault::Dead(ManageFault::Unknown.to_string());
            let member = state.member(id).ok_or_else(gone)?;
            member.blocked = None;
            member.recover();
            member.token.as_ref().map(|token| token.secret.clone())
        };
        self.obtain(id, token.as_ref()).map(drop)
    }

    fn set_field(&self, id: MemberId, name: &'static str, value: Option<Value>) -> Result<(), ManageFault> {
        self.edit(|state| {
            let member = state.member(id).ok_or(ManageFault::Unknown)?;
            let of = member.identity().ok_or(ManageFault::Unusable)?;
            member.record.set(name, value.clone());
            Ok((member.origin == Origin::File).then_some(Edit::Field { of, name, value }))
        })
    }

    /// A change of a member and, unless it is the config's, of the file.
    fn edit(&self, change: impl FnOnce(&mut State) -> Result<Option<Edit>, ManageFault>) -> Result<(), ManageFault> {
        let mut result = Ok(());
        self.write(|state| {
            change(state).unwrap_or_else(|fault| {
                result = Err(fault);
                None
            })
        });
        self.work.notify_all();
        self.changed();
        result
    }
}

/// Milliseconds since 1970, as the file and the state have times.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
