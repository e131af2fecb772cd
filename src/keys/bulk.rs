//! Many keys of the page changed at once: one pass over all of them, however many are meant.

use super::{Key, Keys, Source};
use crate::message::Message;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkEdit {
    /// They may be used.
    Enable,
    /// They are kept, but may not be used.
    Disable,
    /// They are taken away.
    Delete,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct BulkDone {
    /// Those that were changed, as they are now or were last.
    pub changed: Vec<Arc<Key>>,
    /// Those of the config, which stay.
    pub of_config: Vec<Arc<Key>>,
    /// Those that were not changed, or not surely, and why.
    pub failed: Vec<(Arc<Key>, Message)>,
}

impl Keys {
    /// Changes those that are wanted.
    pub fn change_all(&self, wanted: impl Fn(&Key) -> bool, edit: BulkEdit) -> BulkDone {
        #[cfg(feature = "replicas")]
        if let Some(registry) = self.registry() {
            return super::registered::change_all(self, registry, wanted, edit);
        }
        let mut list = self.list.write();
        let found = list.places().filter(|(_, key)| wanted(key)).map(|(place, key)| (place, key.clone()));
        let (mut of_page, of_config): (Vec<_>, Vec<_>) = found.partition(|(_, key)| key.source == Source::Page);
        match edit {
            BulkEdit::Delete => list.remove_all(of_page.iter().map(|(place, _)| *place)),
            BulkEdit::Enable | BulkEdit::Disable => {
                for (place, key) in &mut of_page {
                    let changed = Key { disabled: edit == BulkEdit::Disable, ..Key::clone(key) };
                    list.replace(*place, changed.clone());
                    *key = Arc::new(changed);
                }
            }
        }
        self.changed.lock().extend(of_page.iter().map(|(_, key)| key.number));
        self.changes.count.fetch_add(1, Ordering::Release);
        let keys = |list: Vec<(u32, Arc<Key>)>| list.into_iter().map(|(_, key)| key).collect();
        BulkDone { changed: keys(of_page), of_config: keys(of_config), failed: Vec::new() }
    }
}
