//! Pages of a table.

use crate::model::item::Item;

/// Some rows of a table, as [`LeaseTable::page`](crate::leases::LeaseTable::page) gives them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The rows.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<PageToken>,
    /// What the page cost, in read units: one for 8 KiB that may be some seconds old. It counts for
    /// [`Fleet::read_budget`](crate::Fleet::read_budget); 0.0 if reading costs nothing.
    pub units: f64,
}

/// The place after a page: the key of its last row, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageToken(String);

impl Page {
    /// A page of these rows.
    pub fn new(items: Vec<Item>, next: Option<PageToken>, units: f64) -> Self {
        Self { items, next, units }
    }
}

impl PageToken {
    /// The place after the row of this key.
    pub fn after(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key of the row.
    pub fn key(&self) -> &str {
        &self.0
    }
}
