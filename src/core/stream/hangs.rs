//! Finds handlers that stand still: batches of a shard were read, and for too long none of them was committed.

use std::collections::BTreeMap;
use std::time::Duration;

/// Looks at all tenures of a process of a fleet now and then.
#[derive(Debug)]
pub(crate) struct Hangs {
    after: Duration,
    /// When a shard with uncommitted batches was last held back.
    held_back: BTreeMap<String, Duration>,
}

/// A tenure, as one look shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) shard: String,
    pub(crate) epoch: u64,
    /// For how long the position has waited for the commit of a batch; zero if every batch is committed.
    pub(crate) uncommitted: Duration,
    /// Whether the user has paused the shard, or its batches may not be handed over for now. That is not the handler's
    /// fault: its time begins again when the shard is held back no more.
    pub(crate) is_held_back: bool,
}

impl Hangs {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, held_back: BTreeMap::new() }
    }

    /// The tenures that are to be given up, and for how long nothing of each was committed.
    pub(crate) fn look(&mut self, now: Duration, all: &[Standing]) -> Vec<(String, u64, Duration)> {
        let earlier = std::mem::take(&mut self.held_back);
        let mut found = Vec::new();
        for it in all.iter().filter(|it| !it.uncommitted.is_zero()) {
            let last = earlier.get(&it.shard).copied();
            let last = if it.is_held_back { Some(now) } else { last };
            let free = last.map_or(Duration::MAX, |last| now.saturating_sub(last));
            let age = it.uncommitted.min(free);
            if age >= self.after {
                found.push((it.shard.clone(), it.epoch, age));
            }
            self.held_back.extend(last.map(|last| (it.shard.clone(), last)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn standing(uncommitted: u32, is_held_back: bool) -> Standing {
        let (shard, uncommitted) = ("a".to_owned(), MINUTE * uncommitted);
        Standing { shard, epoch: 7, uncommitted, is_held_back }
    }

    #[test]
    fn a_shard_of_which_nothing_is_committed_for_the_time_is_given_up() {
        let mut hangs = Hangs::new(MINUTE * 5);
        let look = |hangs: &mut Hangs, of| hangs.look(MINUTE * 100, &[standing(of, false)]);
        assert_eq!(look(&mut hangs, 4), []);
        assert_eq!(look(&mut hangs, 5), [("a".to_owned(), 7, MINUTE * 5)]);
        assert_eq!(look(&mut hangs, 0), [], "nothing is read");
    }

    #[test]
    fn what_is_held_back_is_given_its_time_after_that() {
        let mut hangs = Hangs::new(MINUTE * 5);
        let mut look = |minute: u32, is_held_back| {
            hangs.look(MINUTE * minute, &[standing(minute, is_held_back)])
        };
        for minute in 1..60 {
            assert_eq!(look(minute, true), [], "in minute {minute}");
        }
        assert_eq!(look(63, false), []);
        assert_eq!(look(64, false), [("a".to_owned(), 7, MINUTE * 5)]);
    }

    #[test]
    fn what_was_held_back_before_the_batch_was_read_gives_it_no_time() {
        let mut hangs = Hangs::new(MINUTE * 5);
        assert_eq!(hangs.look(MINUTE, &[standing(1, true)]), []);
        assert_eq!(hangs.look(MINUTE * 2, &[standing(0, false)]), []);
        assert!(hangs.held_back.is_empty(), "it is forgotten with the batch");
        assert_eq!(hangs.look(MINUTE * 9, &[standing(5, false)]).len(), 1);
    }

    #[test]
    fn a_time_of_nothing_gives_up_nothing_that_is_not_read() {
        let mut hangs = Hangs::new(Duration::ZERO);
        assert_eq!(hangs.look(MINUTE, &[standing(0, false)]), []);
    }
}
