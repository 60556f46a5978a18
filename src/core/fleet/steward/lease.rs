//! One lease that a process holds.

use std::collections::BTreeSet;

use crate::core::fleet::held::Held;
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::Tenure;
use crate::core::fleet::steward::answers::row;
use crate::model::item::Item;
use crate::model::shard::ChildShard;

/// A lease that this process holds.
#[derive(Debug)]
pub(super) struct Lease {
    /// Which tenure it is.
    pub(super) tenure: Tenure,
    /// The number of the tenure.
    pub(super) epoch: u64,
    /// Until when it is held.
    pub(super) held: Held,
    /// The row, as the last answer showed it.
    pub(super) row: Row,
    /// What is done with it.
    pub(super) stage: Stage,
    /// Whether a beat is on its way.
    pub(super) is_beating: bool,
    /// Whether the end of its shard may be stored, which gives the lease up.
    pub(super) is_ending: bool,
    /// Whether the consumer was told that it is lost, though it may not be given back yet.
    pub(super) is_given_up: bool,
    /// The shard's children, as its last answer named them.
    pub(super) children: Vec<ChildShard>,
    /// The children that this process is to hold from their births, while it stores the shard's end: they take its place.
    pub(super) heirs: BTreeSet<String>,
    /// How many listings there were before it was held.
    pub(super) listings: u64,
    /// How many there were when its shard's end was first to be stored.
    pub(super) listings_at_end: Option<u64>,
}

/// What is done with a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its shard waits for its parents, or for a listing that shows it.
    Waiting,
    /// Its shard is read.
    Reading,
    /// It is given up when everything that was read is handled; somebody may have asked for it.
    Draining { to: Option<String> },
    /// It is being given up.
    Leaving,
    /// Its shard is done to its end; the row keeps its holder, as KCL expects of its own.
    Ended,
}

impl Lease {
    /// Whether this process has it as load.
    pub(super) fn is_load(&self) -> bool {
        self.stage != Stage::Ended
    }

    /// Whether this row shows that the end of its shard was stored, which has given the lease up.
    pub(super) fn has_ended(&self, found: Option<&Item>) -> bool {
        self.is_ending && found.and_then(row).is_some_and(|it| it.checkpoint.is_end())
    }

    /// Whether the consumer still waits for what becomes of it. Nobody reads what is done to its end, and what was given up
    /// was told to be lost.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_load() && !self.row.checkpoint.is_end() && !self.is_given_up
    }
}
