//! What was logged before, so that it is logged once.

use std::collections::BTreeSet;

use parking_lot::Mutex;

/// Whether a text comes here for the first time. Keys are asked for often, and the same warning each time would hide
/// others. There are as few texts as settings and endpoints.
pub(crate) fn is_new(text: &str) -> bool {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    SAID.lock().insert(text.to_owned())
}
