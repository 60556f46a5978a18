//! Pages of a table.

use crate::model::item::Item;

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    /// The rows.
    pub(crate) items: Vec<Item>,
    /// Where the next page begins; `None` after the last one.
    pub(crate) next: Option<PageToken>,
    /// What the page cost, in read units: one for 8 KiB that may be some seconds old.
    pub(crate) units: f64,
}

/// The place after a page: the key of its last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageToken(pub(crate) String);
