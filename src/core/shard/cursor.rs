//! How far a shard has been read, and where its next token starts.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::core::event::StartAt;
use crate::model::position::{IteratorType, Position};
use crate::model::sequence::SequenceNumber;
use crate::record::Records;

/// A place in a shard.
#[derive(Clone, Debug)]
pub(crate) enum Cursor {
    /// At the user's start.
    Fresh(IteratorType),
    /// At a stored time.
    Time(SystemTime),
    /// After this record, of which `sub` user records are done.
    After { sequence: SequenceNumber, sub: u64 },
}

/// The span of an answer from the service: from its first record to the end of its last one.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) first: SequenceNumber,
    pub(crate) through: Position,
}

impl Span {
    /// `None` without a record.
    pub(crate) fn of(records: &Records) -> Option<Self> {
        let through = records.last()?.position();
        let first = records.first()?.sequence_number().parse().ok()?;
        Some(Self { first, through })
    }
}

impl Cursor {
    pub(crate) fn new(start: StartAt) -> Self {
        match start {
            StartAt::Fresh(at) | StartAt::Reset(at) => Self::Fresh(at),
            StartAt::Stored(Position::Since(time)) | StartAt::Reopened(Position::Since(time)) => {
                Self::Time(time)
            }
            StartAt::Stored(Position::After { sequence, sub })
            | StartAt::Reopened(Position::After { sequence, sub }) => Self::After { sequence, sub },
            // `Lineage` starts no shard that is done; after its last record the end is found again.
            StartAt::Stored(Position::End { sequence })
            | StartAt::Reopened(Position::End { sequence }) => {
                Self::After { sequence, sub: u64::MAX }
            }
        }
    }

    /// The place to request a token for.
    pub(crate) fn iterator_type(&self) -> IteratorType {
        match self {
            Self::Fresh(at) => at.clone(),
            Self::Time(UNIX_EPOCH) => IteratorType::TrimHorizon,
            Self::Time(time) => IteratorType::AtTimestamp(*time),
            // At, not after: whether the record is still there shows whether any is missing.
            Self::After { sequence, .. } => IteratorType::AtSequenceNumber(sequence.clone()),
        }
    }

    pub(crate) fn is_latest(&self) -> bool {
        matches!(self, Self::Fresh(IteratorType::Latest))
    }

    /// The last record read.
    pub(crate) fn sequence(&self) -> Option<&SequenceNumber> {
        match self {
            Self::After { sequence, .. } => Some(sequence),
            Self::Fresh(_) | Self::Time(_) => None,
        }
    }

    /// The position for a store; `None` before the first one.
    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Self::After { sequence, sub } => {
                Some(Position::After { sequence: sequence.clone(), sub: *sub })
            }
            Self::Time(time) => Some(Position::Since(*time)),
            Self::Fresh(_) => None,
        }
    }

    /// Leaves out the records that were read before.
    pub(crate) fn skip_read(&self, records: &mut Records) {
        if let Self::After { sequence, sub } = self {
            records.skip_through(sequence, *sub);
        }
    }

    /// Whether an answer's span ends later.
    pub(crate) fn is_before(&self, span: &Span) -> bool {
        self.position().as_ref() < Some(&span.through)
    }

    /// Moves to the end of an answer's span.
    pub(crate) fn advance(&mut self, span: &Span) {
        if let Position::After { sequence, sub } = &span.through {
            *self = Self::After { sequence: sequence.clone(), sub: *sub };
        }
    }
}
