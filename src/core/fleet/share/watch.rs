//! The part of the table that a worker looks at often, so that all workers together read the whole table often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::fleet::share::plan::{Move, taking};
use crate::core::fleet::share::survey::{Holding, Row, Seen, Survey};

/// One worker's watch. By its rank among the workers of its last survey it has a segment of the table of its own; it
/// watches that and, as a substitute, the segment of the next worker.
#[derive(Debug)]
pub(crate) struct Watch {
    /// How long a counter may stand still.
    failover: Duration,
    /// Rows of both segments.
    seen: Survey,
    /// Rows that were free at the last look, and that this worker did not take.
    waiting: BTreeSet<Arc<str>>,
}

/// Segments of a parallel scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// This worker's own.
    pub(crate) own: usize,
    /// The next worker's; `None` if there is no other worker.
    pub(crate) next: Option<usize>,
    /// How many there are.
    pub(crate) of: usize,
}

/// What a look comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Rows to take.
    pub(crate) moves: Vec<Move>,
    /// Rows stay free: this worker may not take them, and nobody else does. A survey of the whole table must tell who is
    /// gone.
    pub(crate) is_stuck: bool,
}

impl Part {
    /// The part of this worker, after a survey.
    pub(crate) fn of(survey: &Survey) -> Self {
        let (own, of) = survey.rank();
        Self { own, next: (of > 1).then_some((own + 1) % of), of }
    }
}

impl Watch {
    /// For the worker and with the times of its survey.
    pub(crate) fn new(me: &str, failover: Duration, patience: Duration) -> Self {
        Self { failover, seen: Survey::new(me, failover, patience), waiting: BTreeSet::new() }
    }

    /// The time from one look to the next: two looks are a little further apart than the failover time, so that the
    /// second one after the first sight of a row may prove that it stands still.
    pub(crate) fn next(&self, rng: &mut fastrand::Rng) -> Duration {
        self.failover.mul_f64(0.515 + 0.02 * rng.f64())
    }

    /// Takes in a look at both segments. `may_take` is how many rows the worker may take by its last plan. Free rows of its
    /// own segment are taken at once; those of the next worker if it left them at the last look, so that two do not take
    /// the same row.
    pub(crate) fn looked<'a>(
        &mut self,
        begun: Duration,
        ended: Duration,
        own: impl IntoIterator<Item = Seen<'a>>,
        next: impl IntoIterator<Item = Seen<'a>>,
        may_take: usize,
    ) -> Found {
        let mut count = 0;
        let own = own.into_iter().inspect(|_| count += 1);
        self.seen.scanned(begun, ended, own.chain(next));
        let free = |(_, row): &(usize, &Row)| matches!(row.holding, Holding::Free { .. });
        let was_free = std::mem::take(&mut self.waiting);
        let mut found = Found::default();
        for (at, row) in self.seen.rows().iter().enumerate().filter(free) {
            let is_old = was_free.contains(&row.key);
            if found.moves.len() < may_take && (at < count || is_old) {
                found.moves.push(taking(row));
            } else {
                found.is_stuck |= is_old;
                self.waiting.insert(Arc::clone(&row.key));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows without an owner.
    fn rows(keys: &[&'static str]) -> Vec<Seen<'static>> {
        let row = |key: &&'static str| Seen {
            key,
            owner: None,
            giver: None,
            counter: 7,
            limit: None,
            failover: None,
            is_end: false,
        };
        keys.iter().map(row).collect()
    }

    /// A second after the other: the keys that are taken, and whether it is stuck.
    fn look(
        watch: &mut Watch,
        own: &[&'static str],
        next: &[&'static str],
        may_take: usize,
    ) -> String {
        let found = watch.looked(Duration::ZERO, Duration::ZERO, rows(own), rows(next), may_take);
        let key = |it: &Move| match it {
            Move::Take { key, .. } | Move::Ask { key, .. } => format!("{key} "),
        };
        let stuck = if found.is_stuck { "stuck" } else { "" };
        found.moves.iter().map(key).collect::<String>() + stuck
    }

    fn watch() -> Watch {
        Watch::new("m", Duration::from_secs(10), Duration::from_secs(50))
    }

    #[test]
    fn rows_of_the_own_segment_are_taken_at_once_and_those_of_the_next_if_they_were_left() {
        let mut watch = watch();
        assert_eq!(look(&mut watch, &["a"], &["b"], 9), "a ");
        assert_eq!(look(&mut watch, &["c"], &["b", "d"], 9), "c b ");
        assert_eq!(look(&mut watch, &[], &["b", "d"], 9), "d ");
    }

    #[test]
    fn rows_that_nobody_may_take_call_for_a_survey() {
        let mut watch = watch();
        assert_eq!(look(&mut watch, &["a", "b"], &["c"], 1), "a ");
        assert_eq!(look(&mut watch, &["b"], &["c"], 1), "b stuck");
        assert_eq!(look(&mut watch, &["d"], &["e"], 0), "");
        assert_eq!(look(&mut watch, &[], &["e"], 0), "stuck");
        assert_eq!(look(&mut watch, &[], &[], 0), "");
    }

    #[test]
    fn a_part_is_the_own_rank_and_the_next_one() {
        let scan = |owners: &[&'static str]| {
            let owner =
                |owner: &&'static str| Seen { owner: Some(owner), key: owner, ..rows(&["-"])[0] };
            let mut survey = Survey::new("m", Duration::from_secs(10), Duration::from_secs(50));
            survey.scanned(Duration::ZERO, Duration::ZERO, owners.iter().map(owner));
            Part::of(&survey)
        };
        assert_eq!(scan(&[]), Part { own: 0, next: None, of: 1 });
        assert_eq!(scan(&["a", "n", "o"]), Part { own: 1, next: Some(2), of: 4 });
        assert_eq!(scan(&["a", "b"]), Part { own: 2, next: Some(0), of: 3 });
    }

    #[test]
    fn two_looks_after_its_first_sight_a_row_that_stands_still_is_free() {
        let mut rng = fastrand::Rng::with_seed(1);
        let watch = watch();
        for _ in 0..1_000 {
            let two = watch.next(&mut rng) + watch.next(&mut rng);
            assert!((10.3..10.7).contains(&two.as_secs_f64()), "{two:?}");
        }
    }
}
