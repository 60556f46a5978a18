//! What can go wrong with an import.

use crate::error::BoxError;
use crate::error::store::StoreError;

/// Why positions could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not JSON, or not of the form that [`export_positions`](crate::export_positions)
    /// shows.
    #[error("the exported positions are wrong at line {line}, column {column}")]
    #[non_exhaustive]
    Format {
        /// The line, from 1 on.
        line: usize,
        /// The byte in the line, from 1 on; 0 for the whole text.
        column: usize,
        /// What is wrong there.
        source: BoxError,
    },
    /// The text has a version that this version of the library does not know.
    #[error("the exported positions have version {found}, but only version 1 is known")]
    #[non_exhaustive]
    Version {
        /// The version of the text.
        found: u64,
    },
    /// A shard's entry is not one position.
    #[error("the exported positions are wrong at shard {shard:?}, {field:?}")]
    #[non_exhaustive]
    Position {
        /// The shard.
        shard: String,
        /// The member of its entry: `from`, `after`, `sub` or `end`.
        field: &'static str,
        /// What is wrong with it.
        source: BoxError,
    },
    /// The store could not be written.
    #[error("could not store the imported positions")]
    #[non_exhaustive]
    Store {
        /// What the store said.
        #[from]
        source: StoreError,
    },
}
