//! What a refused write means, by the row that came with the refusal.
//!
//! A write that was done, and whose reply was lost, is refused when it is tried again. The row tells.

use std::cmp::Ordering;
use std::time::Duration;

use crate::core::fleet::lease::checkpoint::Checkpoint;
use crate::core::fleet::lease::row::{Misread, Row, Seen, read};
use crate::core::fleet::lease::writes::Tenure;
use crate::model::item::Item;
use crate::model::time::spoken;

/// What a refused commit, reset or end means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The row says what was to be stored: an earlier attempt was done.
    Done {
        /// Whether the lease is still this tenure's.
        held: bool,
    },
    /// The row says more than what was to be stored, so that nothing is to be done.
    Ahead {
        /// Whether the lease is still this tenure's.
        held: bool,
    },
    /// The row says less, or something else, and is this tenure's: to be tried again after this.
    Again(Checkpoint),
    /// The lease is lost.
    Lost(Loss),
}

/// How a lease was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Loss {
    /// The row is gone, or is no lease any more.
    #[error("the row of its lease is gone")]
    Gone,
    /// It is another tenure's: this worker's, another worker's, or nobody's.
    #[error("{} holds its lease", by.as_deref().unwrap_or("nobody"))]
    Taken {
        /// Who has it now.
        by: Option<String>,
    },
    /// The row is not understood any more.
    #[error("{}", .0.clone().into_kind())]
    Misread(Misread),
    /// This process has given it up, because its handler stood still.
    #[error("nothing that was read of it was committed for {}", spoken(*after))]
    GivenUp {
        /// For how long nothing was committed.
        after: Duration,
    },
}

impl Tenure {
    /// What a refused commit or end means.
    pub(crate) fn commit_refused(&self, to: &Checkpoint, found: Option<&Item>) -> Verdict {
        self.verdict(found, |row| match row.checkpoint.reach(to) {
            Ordering::Less => None,
            Ordering::Equal => Some(Verdict::Done { held: self.holds(row) }),
            Ordering::Greater => Some(Verdict::Ahead { held: self.holds(row) }),
        })
    }

    /// What a refused reset means: it may go back, so that nothing is ahead of it.
    pub(crate) fn reset_refused(&self, to: &Checkpoint, found: Option<&Item>) -> Verdict {
        self.verdict(found, |row| {
            let is_there = row.checkpoint.reach(to) == Ordering::Equal;
            is_there.then(|| Verdict::Done { held: self.holds(row) })
        })
    }

    /// Why the lease is lost, after the refusal of a write; `None` if the row is this tenure's all the same: the reply to
    /// a take, an acceptance or a creation was lost before.
    pub(crate) fn loss(&self, found: Option<&Item>) -> Option<Loss> {
        match leased(found) {
            Ok(row) if self.holds(&row) => None,
            Ok(row) => Some(taken(&row)),
            Err(loss) => Some(loss),
        }
    }

    /// Whether the lease was handed over after all, when that was refused. If not, it is still held: the worker has
    /// withdrawn its request.
    ///
    /// # Errors
    /// The loss, if it was neither.
    pub(crate) fn is_handed_over(&self, to: &str, found: Option<&Item>) -> Result<bool, Loss> {
        let row = leased(found)?;
        if row.owner.as_deref() == Some(to) && row.checkpoint_owner.is_none() {
            return Ok(true);
        }
        if self.holds(&row) { Ok(false) } else { Err(taken(&row)) }
    }

    fn verdict(
        &self,
        found: Option<&Item>,
        of_row: impl FnOnce(&Row) -> Option<Verdict>,
    ) -> Verdict {
        match leased(found) {
            Ok(row) => of_row(&row).unwrap_or_else(|| {
                let is_held = self.holds(&row);
                if is_held { Verdict::Again(row.checkpoint) } else { Verdict::Lost(taken(&row)) }
            }),
            Err(loss) => Verdict::Lost(loss),
        }
    }
}

/// Whether a lease was asked for by this worker after all, when that was refused: its reply was lost before. It may be
/// handed over already.
pub(crate) fn is_asked(worker: &str, found: Option<&Item>) -> bool {
    leased(found).is_ok_and(|row| row.owner.as_deref() == Some(worker))
}

fn taken(row: &Row) -> Loss {
    Loss::Taken { by: row.owner.clone() }
}

fn leased(found: Option<&Item>) -> Result<Row, Loss> {
    match found.map(read) {
        Some(Ok(Seen::Lease(row))) => Ok(*row),
        Some(Ok(Seen::Protocol(_) | Seen::Other(_))) | None => Err(Loss::Gone),
        Some(Err(misread)) => Err(Loss::Misread(misread)),
    }
}
