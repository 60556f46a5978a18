//! The table of leases: whole rows, read page by page and written one by one, each write under a condition.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod contract;
pub(crate) mod counts;
pub(crate) mod fleet;
pub(crate) mod keeper;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
#[cfg(any(test, feature = "testing"))]
mod number;

use std::sync::Arc;

use crate::error::lease_table::LeaseTableError;
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::write::{Applied, Write};

/// A table of leases, which the consumers of a [`Fleet`](crate::Fleet) share: what to implement for a table of your own.
/// Every implementation should pass [`lease_table_contract`](crate::testing::lease_table_contract).
///
/// A row is an [`Item`], and its attribute [`KEY`](crate::leases::KEY) is its key. Two keys are the same if their bytes are.
/// Other programs, for example Amazon's, may keep rows in the same table, and may change and delete any row at any time.
///
/// Several threads call it at once, and never while they hold a lock of the consumer. Each call must give up by itself
/// after a while, better within a sixth of [`Fleet::failover`](crate::Fleet::failover): nothing interrupts it, a stop waits
/// for it, and a late sign of life may come too late. A panic stops the consumer, and continues in the caller of `listen` or
/// `join`.
pub trait LeaseTable: Send + Sync {
    /// The rows after this place, or from the first one on, in any order that stays the same. They may be some seconds old.
    /// A page may be empty and not the last. A row that is there all the time is on one of the pages; the row that the
    /// place names may be gone meanwhile.
    ///
    /// # Errors
    /// If the table cannot be read.
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError>;

    /// What the coordinator of KCL 3 has written into a table of its own, under the key `Migration3.0`; `None` if there is
    /// no such row or table. That table has the name of the table of leases with `-CoordinatorState` after it, unless KCL is
    /// configured otherwise. By default there is none.
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

    /// Writes a row if the condition holds, in one step that no other write divides. A condition that does not hold is no
    /// error: it is [`Applied::Refused`], with the row that refused it.
    ///
    /// # Errors
    /// If it was not written, or if the outcome is unknown: the error's kind says which.
    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError>;
}

/// Hands every call on to what is pointed to.
macro_rules! forward {
    () => {
        fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
            (**self).page(after)
        }

        fn coordinator(&self) -> Result<Option<Item>, LeaseTableError> {
            (**self).coordinator()
        }

        fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
            (**self).get(key)
        }

        fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
            (**self).apply(write)
        }
    };
}

impl<T: LeaseTable + ?Sized> LeaseTable for Arc<T> {
    forward!();
}

impl<T: LeaseTable + ?Sized> LeaseTable for Box<T> {
    forward!();
}
