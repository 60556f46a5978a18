//! What can go wrong with an import.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::error::store::StoreError;
use crate::error::{BoxError, chain};

/// Why positions could not be imported; `{error:#}` shows the source too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not JSON, or not of the form that [`export_positions`](crate::export_positions)
    /// shows.
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
    #[non_exhaustive]
    Version {
        /// The version of the text.
        found: u64,
    },
    /// A shard's entry is not one position.
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
    #[non_exhaustive]
    Store {
        /// What the store said.
        #[from]
        source: StoreError,
    },
}

impl ImportError {
    /// What it says without its source.
    fn text(&self) -> String {
        match self {
            Self::Format { line, column, .. } => {
                format!("the exported positions are wrong at line {line}, column {column}")
            }
            Self::Version { found } => {
                format!("the exported positions have version {found}, but only version 1 is known")
            }
            Self::Position { shard, field, .. } => {
                format!("the exported positions are wrong at shard {shard:?}, {field:?}")
            }
            Self::Store { .. } => "could not store the imported positions".into(),
        }
    }
}

impl Display for ImportError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        chain::write(f, self.text(), self.source())
    }
}
