//! What a table of leases is called for.

/// What a consumer of a fleet calls its table of leases for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LeaseCall {
    /// To read a page of its rows, in a survey.
    Page,
    /// To read what the coordinator of KCL 3 has written in its own table.
    Coordinator,
    /// To read the row of a lease that was asked for.
    Get,
    /// To show that the consumer lives, and still holds a lease.
    Beat,
    /// To store a position, and at the end of a shard also its children.
    Commit,
    /// To take a lease that nobody holds, or whose holder is gone.
    Take,
    /// To ask another worker for a lease.
    Ask,
    /// To begin to hold a lease that was handed over.
    Accept,
    /// To hand a lease over to the worker that has asked for it.
    HandOver,
    /// To give a lease up, or the request for one.
    Release,
    /// To create the row of a shard.
    Create,
    /// To delete the row of a shard that is done.
    Retire,
}

impl LeaseCall {
    /// Every kind, in the order of their numbers.
    pub(crate) const ALL: [Self; 12] = [
        Self::Page,
        Self::Coordinator,
        Self::Get,
        Self::Beat,
        Self::Commit,
        Self::Take,
        Self::Ask,
        Self::Accept,
        Self::HandOver,
        Self::Release,
        Self::Create,
        Self::Retire,
    ];

    /// The value of the label `call`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Coordinator => "coordinator",
            Self::Get => "get",
            Self::Beat => "beat",
            Self::Commit => "commit",
            Self::Take => "take",
            Self::Ask => "ask",
            Self::Accept => "accept",
            Self::HandOver => "hand_over",
            Self::Release => "release",
            Self::Create => "create",
            Self::Retire => "retire",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_stand_at_their_numbers_and_have_labels_of_their_own() {
        for (number, call) in LeaseCall::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, number);
        }
        let labels: BTreeSet<_> = LeaseCall::ALL.map(LeaseCall::label).into();
        assert_eq!(labels.len(), LeaseCall::ALL.len());
    }
}
