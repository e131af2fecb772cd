//! What a check of a credential leaves in the pool.

use super::clock::Now;
use super::credential::Login;
use super::{Effects, Pool};
use crate::credentials::Check;
use crate::credentials::google::check::Fine;
use crate::credentials::google::trouble::Trouble;
use crate::credentials::lease::{CredentialId, Kind};
use crate::mask;
use crate::message::Message;
use crate::secret::Secret;

/// A check that is under way.
pub(crate) struct CheckUp {
    login: Login,
    previous: &'static str,
    pub(crate) kind: Result<Kind, &'static str>,
    pub(crate) key: Option<Secret>,
}

impl Pool {
    pub(crate) fn begin_check(&mut self, id: CredentialId, now: Now) -> Option<CheckUp> {
        self.change(id, now, |credential, _| CheckUp {
            login: credential.login(),
            previous: credential.view(now).status,
            kind: credential.record.kind(),
            key: credential.record.api_key().map(Secret::new),
        })
    }

    /// A block that is over ends, a fault that was found blocks. `None`: the login is gone.
    pub(crate) fn finish_check(
        &mut self,
        check_up: CheckUp,
        result: Result<Fine, Trouble>,
        now: Now,
    ) -> (Option<Check>, Effects) {
        #[cfg_attr(not(feature = "replicas"), expect(unused_mut))]
        let mut effects = Effects::of_change();
        let check = self.change_login(check_up.login, now, |credential, settings| {
            let (healthy, message, link) = match result {
                Ok(fine) => {
                    let _was = credential.blocked.take();
                    #[cfg(feature = "replicas")]
                    effects.tells.extend(_was.map(|_| credential.tell_end(None)));
                    credential.recover();
                    credential.restore_priority();
                    credential.tier = fine.tier.or(credential.tier.take());
                    let disabled = credential.record.disabled();
                    (!disabled, if disabled { Message::new("works_disabled") } else { fine.message }, None)
                }
                Err(trouble) => {
                    let (message, link) = (trouble.message(), trouble.link());
                    // An item that cannot be used says so by itself.
                    if check_up.kind.is_ok() {
                        #[cfg(feature = "replicas")]
                        let is_told = matches!(trouble, Trouble::Revoked(_) | Trouble::Later { .. });
                        credential.block_for(trouble, settings, now);
                        #[cfg(feature = "replicas")]
                        effects.tells.extend(credential.tell_block().filter(|_| !is_told));
                    }
                    (false, message, link)
                }
            };
            let view = credential.view(now);
            Check {
                name: view.name,
                label: view.label.unwrap_or_else(|| mask::email(view.email.as_deref())),
                kind: view.kind,
                previous: check_up.previous,
                now: view.status,
                healthy,
                message,
                tier: view.tier,
                link,
            }
        });
        (check, effects)
    }

    pub(crate) fn kind(&self, id: CredentialId) -> Option<Result<Kind, &'static str>> {
        self.credentials.get(&id).map(|credential| credential.record.kind())
    }

    /// Whether it has a key and no tokens.
    pub(crate) fn is_key(&self, id: CredentialId) -> bool {
        self.credentials.get(&id).is_some_and(|credential| credential.record.is_key())
    }

    /// The project to name to Google when it may have none for the account.
    pub(crate) fn project_hint(&self, id: CredentialId) -> Option<String> {
        let credential = self.credentials.get(&id)?;
        credential.project.clone().or_else(|| credential.record.project_hint().map(str::to_owned))
    }

    pub(crate) fn set_email(&mut self, id: CredentialId, email: String, now: Now) {
        self.change(id, now, |credential, settings| {
            credential.email = Some(email);
            credential.settle_project(settings);
        });
    }
}
