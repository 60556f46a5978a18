//! Where reading could not resume exactly.

use std::fmt;

use crate::model::position::Position;
use crate::model::sequence::SequenceNumber;

/// Reading a shard could not resume exactly where it had stopped.
///
/// It is never silent: it is an error, or, if the configuration chose to continue, it is logged and
/// stored in the first batch that follows ([`Batch::gap`](crate::Batch::gap)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// Records may have left the stream before they were read: its retention was too short, or nobody read.
    /// Records between the two positions, if there were any, are lost. If a record left the stream after it was read,
    /// and the shard was known to hold nothing newer, that is no gap.
    #[non_exhaustive]
    Trimmed {
        /// The shard.
        shard: String,
        /// The last record that was read; `None` if the shard aged out before its first read.
        wanted: Option<SequenceNumber>,
        /// The oldest record that the shard still held; `None` if it held none.
        available: Option<SequenceNumber>,
    },
    /// The service does not know the position: it comes from another stream, or another service.
    /// [`OnGap::foreign`](crate::OnGap::foreign) chooses where to start instead.
    #[non_exhaustive]
    Foreign {
        /// The shard.
        shard: String,
        /// The stored position.
        wanted: Position,
    },
    /// The position is older than the shard: the stream was deleted and created again under the
    /// same name. [`OnGap::foreign`](crate::OnGap::foreign) chooses where to start instead.
    #[non_exhaustive]
    Recreated {
        /// The shard.
        shard: String,
        /// The stored position.
        wanted: Position,
        /// The number at which the shard starts now.
        available: SequenceNumber,
    },
}

impl Gap {
    /// The shard.
    pub fn shard(&self) -> &str {
        match self {
            Self::Trimmed { shard, .. }
            | Self::Foreign { shard, .. }
            | Self::Recreated { shard, .. } => shard,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |number: &Option<SequenceNumber>, none: &str| match number {
            Some(number) => number.to_string(),
            None => none.into(),
        };
        match self {
            Self::Trimmed { shard, wanted, available } => write!(
                f,
                "shard {shard:?}: records may have left the stream before they were read, after {}, up to {}; \
                 raise the stream's retention, or read more often",
                or(wanted, "its start"),
                or(available, "its end"),
            ),
            Self::Foreign { shard, wanted } => write!(
                f,
                "shard {shard:?}: the service does not know the stored position ({wanted}): it comes \
                 from another stream; use another store, or let the program choose where to start instead",
            ),
            Self::Recreated { shard, wanted, available } => write!(
                f,
                "shard {shard:?}: the stored position ({wanted}) is older than the shard, which starts \
                 at {available}: the stream was created again; let the program choose where to start instead",
            ),
        }
    }
}
