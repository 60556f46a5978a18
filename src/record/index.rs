//! The places of an answer's records in its buffers.

use std::ops::Deref;

use super::Entry;
#[cfg(feature = "kpl")]
use crate::budget::Budget;

/// The entries of all records. If user records have replaced aggregates it is the largest part of an answer:
/// its memory is then reused, like the memory of the data.
pub(super) struct Index {
    entries: Vec<Entry>,
    #[cfg(feature = "kpl")]
    budget: Option<Budget>,
}

impl From<Vec<Entry>> for Index {
    fn from(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            #[cfg(feature = "kpl")]
            budget: None,
        }
    }
}

impl Deref for Index {
    type Target = Vec<Entry>;

    fn deref(&self) -> &Vec<Entry> {
        &self.entries
    }
}

#[cfg(feature = "kpl")]
impl Index {
    /// Entries whose memory the budget keeps afterwards.
    pub(super) fn of(entries: Vec<Entry>, budget: Option<Budget>) -> Self {
        Self { entries, budget }
    }

    /// Room for this many entries, from the budget's kept memory if that fits.
    pub(super) fn room(entries: usize, budget: Option<&Budget>) -> Vec<Entry> {
        let kept = budget.and_then(|budget| budget.take_index(entries * size_of::<Entry>()));
        let kept = kept.and_then(|index| index.downcast::<Vec<Entry>>().ok());
        kept.map_or_else(|| Vec::with_capacity(entries), |index| *index)
    }
}

#[cfg(feature = "kpl")]
impl Drop for Index {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            let mut entries = std::mem::take(&mut self.entries);
            entries.clear();
            let bytes = entries.capacity() * size_of::<Entry>();
            budget.keep_index(Box::new(entries), bytes);
        }
    }
}
