//! The user's credentials: the file they live in, the pool that lends them out, login and refresh, project discovery.
//!
//! [`Credentials`] is the face. The pool itself (`pool`) is memory without locks; every change of it says in its effects what
//! follows, and [`Credentials::change`] is the one place where that is carried out. The file and its records are private to
//! this folder. Others see a [`Lease`] (who was chosen), an [`Access`] (what a request needs) and [`View`]s (what an admin
//! may see).

mod bulk;
mod check;
mod enrol;
mod file;
mod google;
mod lease;
mod options;
mod place;
mod pool;
mod refresh;
#[cfg(feature = "replicas")]
pub(crate) mod shared;

use self::file::edits::{self, Edit};
use self::file::record::Record;
use self::file::store::Store;
use self::google::oauth::Google;
use self::pool::{Effects, Now, Origin, Pool, Settings};
use crate::config::ApiKey;
use crate::storage::state::{Part, Sink, reread};
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

pub use bulk::BulkEdit;
pub use check::Check;
pub use enrol::{AddFault, Added, Candidate, UNAVAILABLE, exchange_code, label, untried};
pub(crate) use file::cipher::Cipher;
pub use file::store::StoreError;
pub use file::{import, rekey};
pub use google::consent;
pub use google::quota::{Bucket, Quota, QuotaFault};
pub use lease::*;
pub use options::{Options, Timing};
pub use place::{Failing, LocationView, VertexPlace};
pub use pool::{CoolingModel, View};
pub use refresh::Refresher;
#[cfg(feature = "replicas")]
pub use shared::Brought;

/// Views that are made under one lock.
const VIEWS_AT_ONCE: usize = 64;

/// The credentials. All methods take `&self`; one short lock over the memory, never held over I/O, logging or a refresh, and
/// one that puts the writes of the file in order. Who holds the first does not ask for the second.
pub struct Credentials {
    google: Google,
    /// The machine is one of the credentials.
    is_machine: bool,
    /// What the pool changes is in no file.
    is_shared: bool,
    memory: Mutex<Memory>,
    /// What waiting threads wait for: a refresh has ended or may be due, or the program is stopping.
    woken: Condvar,
    /// `None`: what replicas share is in no file.
    store: Mutex<Option<Store>>,
    /// Other replicas, where there are any.
    #[cfg(feature = "replicas")]
    sharing: std::sync::OnceLock<shared::Sharing>,
    #[cfg(feature = "replicas")]
    cipher: Option<Cipher>,
    /// What the store said last; beside it, so that reading it waits for no write.
    unsaved: Mutex<Option<String>>,
    /// Of the snapshot.
    version: AtomicU64,
}

struct Memory {
    pool: Pool,
    /// Edits that the store has not been given yet, in the order of the changes.
    unwritten: Vec<Edit>,
    stopping: bool,
}

impl Credentials {
    /// Reads the credentials file. Asks Google nothing: that is the refresher's work, and the requests'.
    pub fn open(options: Options) -> Result<Credentials, StoreError> {
        let (store, records) = match options.is_shared {
            true => (None, Vec::new()),
            false => {
                let (store, records) = Store::open(&options.credentials_file, options.encryption_key.as_ref())?;
                log::info!("[CredManager] Loading {} credentials from file.", records.len());
                (Some(store), records)
            }
        };
        let file = records.into_iter().map(|record| (Origin::File, record));
        let config = items(&options.api_keys, options.is_machine).into_iter().map(|record| (Origin::Config, record));
        let settings = Settings {
            project_id_map: options.project_id_map,
            prefer: options.prefer,
            timing: options.timing,
            is_shared: options.is_shared,
        };
        let (pool, effects) = Pool::new(file.chain(config), settings, &options.remembered, Now::read());
        let credentials = Credentials {
            is_machine: options.is_machine,
            is_shared: options.is_shared,
            google: Google::new(options.agent, options.endpoints, options.oauth_client),
            unsaved: Mutex::new(store.as_ref().and_then(Store::unsaved).map(str::to_owned)),
            store: Mutex::new(store),
            #[cfg(feature = "replicas")]
            sharing: std::sync::OnceLock::new(),
            #[cfg(feature = "replicas")]
            cipher: options.encryption_key.as_ref().map(|key| Cipher::with_old(key, &options.old_encryption_keys)),
            memory: Mutex::new(Memory { pool, unwritten: Vec::new(), stopping: false }),
            woken: Condvar::new(),
            version: AtomicU64::new(0),
        };
        credentials.carry_out(effects);
        Ok(credentials)
    }

    /// Changes the pool and does what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut Pool, Now) -> (T, Effects)) -> T {
        let (value, is_written) = self.change_unwritten(change);
        if !is_written {
            self.poll_file();
        }
        value
    }

    /// The same without the file; whether that has nothing to be told.
    fn change_unwritten<T>(&self, change: impl FnOnce(&mut Pool, Now) -> (T, Effects)) -> (T, bool) {
        let (value, effects, is_written) = {
            let memory = &mut *self.memory.lock();
            let (value, mut effects) = change(&mut memory.pool, Now::read());
            if self.is_shared {
                effects.edits.clear();
            }
            let is_written = effects.edits.is_empty();
            memory.unwritten.append(&mut effects.edits);
            (value, effects, is_written)
        };
        self.carry_out(effects);
        (value, is_written)
    }

    /// As [`Credentials::change`], for changes that may be refused.
    fn try_change<E>(&self, change: impl FnOnce(&mut Pool, Now) -> Result<Effects, E>) -> Result<(), E> {
        self.change(|pool, now| match change(pool, now) {
            Ok(effects) => (Ok(()), effects),
            Err(fault) => (Err(fault), Effects::default()),
        })
    }

    /// Reads the pool, or changes what nobody has to hear of.
    fn with<T>(&self, read: impl FnOnce(&mut Pool, Now) -> T) -> T {
        read(&mut self.memory.lock().pool, Now::read())
    }

    fn carry_out(&self, effects: Effects) {
        if effects.wake {
            self.woken.notify_all();
        }
        self.version.fetch_add(effects.save.into(), Ordering::Release);
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            sharing.tell(effects.tells);
        }
        effects.lines.iter().for_each(|(level, line)| log::log!(*level, "{line}"));
    }

    /// Writes what is not in the file yet, and takes over what somebody else changed there.
    pub fn poll_file(&self) {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return sharing.waited(());
        }
        let mut store = self.store.lock();
        let Some(store) = &mut *store else { return };
        let edits = std::mem::take(&mut self.memory.lock().unwritten);
        let records = store.sync(edits);
        *self.unsaved.lock() = store.unsaved().map(str::to_owned);
        let Some(mut records) = records else { return };
        let effects = {
            let memory = &mut *self.memory.lock();
            // The pool may have changed while the file was written.
            edits::apply(&memory.unwritten, &mut records);
            memory.pool.adopt(records, Now::read())
        };
        self.carry_out(effects);
    }

    /// Why changes are not in the file yet, so that a restart would lose them; `None`: all are. Does not wait for a write.
    pub fn unsaved(&self) -> Option<String> {
        self.unsaved.lock().clone()
    }

    /// Rises with every change of the snapshot; 0: it is as [`Options::remembered`] was.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Writes the section for the state file: ids, cool-downs, blocks, and what Google said about accounts.
    pub fn save(&self, part: Part, sink: &mut Sink<'_>) {
        self.with(|pool, now| pool.save(part, sink, now));
    }

    /// The section as one value, as [`Options::remembered`] takes it.
    pub fn snapshot(&self) -> Value {
        reread(|sink| self.save(Part::Whole, sink)).value()
    }

    /// Takes over what a person changed in the config while running: the map of projects, and the keys beside the file.
    pub fn reload(&self, project_id_map: HashMap<String, String>, api_keys: &[ApiKey]) {
        self.change(|pool, now| ((), pool.reload(project_id_map, items(api_keys, self.is_machine), now)));
    }

    /// The pool's patience.
    pub fn timing(&self) -> Timing {
        self.with(|pool, _| pool.settings.timing)
    }

    /// Chooses a credential that can serve `want`; who has to ask Google for a token first comes last.
    pub fn checkout(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        self.with(|pool, now| pool.checkout(want, now))
    }

    /// Why nobody can serve `want`, as a reason word.
    pub fn reason(&self, want: &Want<'_>) -> Option<String> {
        self.with(|pool, _| pool.reason(want))
    }

    /// Whether a credential can serve `want` now.
    pub fn can_serve(&self, want: &Want<'_>) -> bool {
        self.with(|pool, now| pool.can_serve(want, now))
    }

    /// Takes note of how an attempt ended.
    pub fn report(&self, id: CredentialId, model: &str, report: Report) {
        self.change(|pool, now| ((), pool.report(id, model, report, now)));
    }

    /// The credential of this name (`cred-0`).
    pub fn find(&self, name: &str) -> Option<CredentialId> {
        self.with(|pool, _| pool.find(name))
    }

    /// What an admin may see of one credential.
    pub fn view(&self, id: CredentialId) -> Option<View> {
        self.with(|pool, now| pool.view(id, now))
    }

    /// All credentials, in the order of their ids. Some at a time, so that requests need not wait for all.
    pub fn views(&self) -> Vec<View> {
        let mut views = Vec::new();
        let mut ids = self.with(|pool, _| pool.ids()).into_iter().peekable();
        while ids.peek().is_some() {
            let some = ids.by_ref().take(VIEWS_AT_ONCE);
            self.with(|pool, now| views.extend(some.filter_map(|id| pool.view(id, now))));
        }
        views
    }

    /// Takes the credential out of the pool and the file.
    pub fn remove(&self, id: CredentialId) -> Result<(), ManageFault> {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return sharing.waited(self.remove_shared(sharing, id));
        }
        self.try_change(|pool, _| pool.remove(id))
    }

    /// Lets the credential be lent out again.
    pub fn enable(&self, id: CredentialId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", None)
    }

    /// Keeps the credential, its tokens included, but lends it out no more.
    pub fn disable(&self, id: CredentialId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", Some(true.into()))
    }

    /// Sets the user's own word for the credential, or removes it.
    pub fn set_label(&self, id: CredentialId, label: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "label", label.map(Into::into))
    }

    /// Sets the project in the file, or removes it so that Google is asked. `project_id_map` still wins.
    pub fn set_project(&self, id: CredentialId, project: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "project_id", project.map(Into::into))?;
        self.reset(id)
    }

    fn set_field(&self, id: CredentialId, name: &'static str, value: Option<Value>) -> Result<(), ManageFault> {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return sharing.waited(self.set_shared(sharing, id, name, value.as_ref()));
        }
        self.try_change(|pool, now| pool.set_field(id, name, value, now))
    }

    /// Forgets cool-downs, blocks and what is known of the project: the credential starts anew.
    pub fn reset(&self, id: CredentialId) -> Result<(), ManageFault> {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return sharing.waited(self.reset_shared(sharing, id));
        }
        self.try_change(|pool, now| pool.reset(id, now))
    }
}

/// The config's keys as items, and the machine. One without a text is none.
fn items(keys: &[ApiKey], is_machine: bool) -> Vec<Record> {
    let machine = is_machine.then(Record::machine);
    let items = keys.iter().map(|key| Record::api_key_item(&key.key, key.label.as_deref()));
    items.chain(machine).filter(|item| item.kind().is_ok()).collect()
}
