//! What a check of a member leaves in the pool.

use super::clock::Now;
use super::member::Login;
use super::{Effects, Pool, Trouble};
use crate::credentials::Check;
use crate::credentials::google::check::Fine;
use crate::credentials::lease::{Kind, MemberId};
use crate::mask;
use crate::secret::Secret;

/// A check that is under way.
pub(crate) struct CheckUp {
    login: Login,
    previous: &'static str,
    pub(crate) kind: Result<Kind, &'static str>,
    pub(crate) key: Option<Secret>,
}

impl Pool {
    pub(crate) fn begin_check(&mut self, id: MemberId, now: Now) -> Option<CheckUp> {
        self.change(id, now, |member, _| CheckUp {
            login: member.login(),
            previous: member.view(now).status,
            kind: member.record.kind(),
            key: member.record.api_key().map(Secret::new),
        })
    }

    /// A block that is over ends, a fault that was found blocks. `None`: the login is gone.
    pub(crate) fn finish_check(
        &mut self,
        check_up: CheckUp,
        result: Result<Fine, Trouble>,
        now: Now,
    ) -> (Option<Check>, Effects) {
        let check = self.change_login(check_up.login, now, |member, _| {
            let (healthy, reason, link) = match result {
                Ok(fine) => {
                    member.blocked = None;
                    member.recover();
                    member.restore_priority();
                    member.tier = fine.tier.or(member.tier.take());
                    let disabled = member.record.disabled();
                    (!disabled, if disabled { "it works, and is disabled".into() } else { fine.sentence }, None)
                }
                Err(Trouble::Blocked(block, span)) => {
                    let (reason, link) = (block.sentence.clone(), block.link.clone());
                    // An item that cannot be used says so by itself.
                    if check_up.kind.is_ok() {
                        member.block(block, span, now);
                    }
                    (false, reason, link)
                }
                Err(Trouble::Config(sentence) | Trouble::Transient(sentence)) => (false, sentence, None),
            };
            let view = member.view(now);
            Check {
                name: view.name,
                label: view.label.unwrap_or_else(|| mask::email(view.email.as_deref())),
                kind: view.kind,
                previous: check_up.previous,
                now: view.status,
                healthy,
                reason,
                tier: view.tier,
                link,
            }
        });
        (check, Effects::of_change())
    }

    pub(crate) fn kind(&self, id: MemberId) -> Option<Result<Kind, &'static str>> {
        self.members.get(&id).map(|member| member.record.kind())
    }

    /// The project to name to Google when it may have none for the account.
    pub(crate) fn project_hint(&self, id: MemberId) -> Option<String> {
        let member = self.members.get(&id)?;
        member.project.clone().or_else(|| member.record.project_hint().map(str::to_owned))
    }

    pub(crate) fn set_email(&mut self, id: MemberId, email: String, now: Now) {
        self.change(id, now, |member, settings| {
            member.email = Some(email);
            member.settle_project(settings);
        });
    }
}
