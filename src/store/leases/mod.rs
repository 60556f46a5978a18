//! The table of leases: whole rows, read page by page and written one by one, each write under a condition.

pub(crate) mod contract;
pub(crate) mod keeper;
pub(crate) mod memory;
mod number;

use crate::error::lease_table::LeaseTableError;
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};

/// A table of leases, which a fleet of workers shares.
///
/// Several threads call it at once. Each call gives up by itself after a while.
pub(crate) trait LeaseTable: Send + Sync {
    /// The rows after this place, or from the first one on, in any order. They may be some seconds old. A page may be
    /// empty and not the last.
    ///
    /// # Errors
    /// If the table cannot be read.
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError>;

    /// What the coordinator of KCL 3 has written in a table of its own; `None` if there is none.
    ///
    /// # Errors
    /// If that table cannot be read.
    fn coordinator(&self) -> Result<Option<Item>, LeaseTableError> {
        Ok(None)
    }

    /// The row as it was last written; `None` if there is none.
    ///
    /// # Errors
    /// If the table cannot be read.
    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError>;

    /// Writes a row if the condition holds, in one step that no other write divides.
    ///
    /// # Errors
    /// If it was not written, or if the outcome is unknown: the error's kind says which.
    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError>;
}
