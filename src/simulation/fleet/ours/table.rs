//! The table as a worker of ours reaches it without delay: for each write it says which tenure writes.

use crate::core::fleet::lease::names;
use crate::error::lease_table::LeaseTableError;
use crate::model::item::{Attribute, Item};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Act, Applied, Change, Condition, Write};
use crate::simulation::fleet::table::WorkersTable;
use crate::store::leases::LeaseTable;

/// The table of one worker.
pub(super) struct Told(pub(super) WorkersTable);

impl LeaseTable for Told {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.0.page(after)
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.0.get(key)
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        match tenure_of(write) {
            Some(tenure) => self.0.clone().in_tenure(&tenure).apply(write),
            None => self.0.apply(write),
        }
    }
}

/// The tenure that a write begins, or that it requires. An ask requires one too, but is not that one's write.
pub(super) fn tenure_of(write: &Write) -> Option<String> {
    let text = |attribute: &Attribute| attribute.text().map(str::to_owned);
    match write.act() {
        Act::Put(row) => row.get(names::HOLDER).and_then(text),
        Act::Delete => None,
        Act::Update(update) => {
            let changes = update.changes();
            if matches!(changes.get(names::CHECKPOINT_OWNER), Some(Change::Set(_))) {
                return None;
            }
            match changes.get(names::HOLDER) {
                Some(Change::Set(holder)) => text(holder),
                _ => required(write.condition()),
            }
        }
    }
}

fn required(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Equals(names::HOLDER, holder) => holder.text().map(str::to_owned),
        Condition::All(pair) | Condition::Any(pair) => pair.iter().find_map(required),
        Condition::Exists(_)
        | Condition::Absent(_)
        | Condition::Equals(..)
        | Condition::Same(..) => None,
    }
}
