//! Many credentials changed at once: some under each lock, so that requests need not wait for all, and the file is written
//! once.

use super::pool::{Effects, Now, Pool};
use super::{CredentialId, Credentials, ManageFault, VIEWS_AT_ONCE};

/// What becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkEdit {
    /// They may be lent out.
    Enable,
    /// They are kept, but not lent out.
    Disable,
    /// Cool-downs and blocks are forgotten.
    Reset,
    /// They leave the pool and the file.
    Remove,
}

impl Credentials {
    /// What the change of each came to, in their order.
    pub fn change_all(&self, ids: &[CredentialId], edit: BulkEdit) -> Vec<Result<(), ManageFault>> {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return sharing.waited(self.change_all_shared(sharing, ids, edit));
        }
        let mut results = Vec::new();
        for some in ids.chunks(VIEWS_AT_ONCE) {
            let mut all = Effects::default();
            {
                let memory = &mut *self.memory.lock();
                let now = Now::read();
                results.extend(some.iter().map(|id| change(&mut memory.pool, *id, edit, now).map(|one| all.add(one))));
                memory.unwritten.append(&mut all.edits);
            }
            self.carry_out(all);
        }
        self.poll_file();
        results
    }
}

fn change(pool: &mut Pool, id: CredentialId, edit: BulkEdit, now: Now) -> Result<Effects, ManageFault> {
    match edit {
        BulkEdit::Enable => pool.set_field(id, "disabled", None, now),
        BulkEdit::Disable => pool.set_field(id, "disabled", Some(true.into()), now),
        BulkEdit::Reset => pool.reset(id, now),
        BulkEdit::Remove => pool.remove(id),
    }
}
