//! What the calls of a table of leases have come to, for people.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::fleet::steward::words::{Act, Call};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::lease_call::LeaseCall;
use crate::model::write::Applied;

/// Counts of one run. Nothing depends on them, so their parts need no order.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    calls: [AtomicU64; LeaseCall::ALL.len()],
    refused: AtomicU64,
    errors: [AtomicU64; LeaseTableErrorKind::ALL.len()],
}

impl Counts {
    /// A call is made.
    pub(super) fn called(&self, call: LeaseCall) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A read has failed, or not.
    pub(super) fn failed(&self, failure: Option<&LeaseTableError>) {
        if let Some(error) = failure {
            self.errors[error.kind() as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A write was done, was refused, or has failed.
    pub(super) fn applied(&self, outcome: &Result<Applied, LeaseTableError>) {
        if let Ok(Applied::Refused(_)) = outcome {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        self.failed(outcome.as_ref().err());
    }

    /// How many calls there were of each kind that was made.
    pub(crate) fn calls(&self) -> BTreeMap<LeaseCall, u64> {
        by_name(LeaseCall::ALL, &self.calls)
    }

    /// How many writes were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many calls failed with each kind of error.
    pub(crate) fn errors(&self) -> BTreeMap<LeaseTableErrorKind, u64> {
        by_name(LeaseTableErrorKind::ALL, &self.errors)
    }
}

/// What a call of a steward is for.
pub(super) fn kind(call: &Call) -> LeaseCall {
    match call {
        Call::Page { .. } => LeaseCall::Page,
        Call::Coordinator => LeaseCall::Coordinator,
        Call::Get { .. } => LeaseCall::Get,
        Call::Write(job) => match job.act {
            Act::Beat { .. } => LeaseCall::Beat,
            Act::Take { .. } => LeaseCall::Take,
            Act::Accept { .. } => LeaseCall::Accept,
            Act::Ask { .. } => LeaseCall::Ask,
            Act::HandOver { .. } => LeaseCall::HandOver,
            Act::Release { .. } | Act::LetGo => LeaseCall::Release,
            // It stores that the shard is done.
            Act::Expire { .. } => LeaseCall::Commit,
            Act::Create(_) => LeaseCall::Create,
            Act::Retire => LeaseCall::Retire,
        },
    }
}

fn by_name<K: Ord, const N: usize>(names: [K; N], counts: &[AtomicU64; N]) -> BTreeMap<K, u64> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    names.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}
