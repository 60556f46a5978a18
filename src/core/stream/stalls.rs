//! Finds shards that have made no progress for too long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::notice::{Notice, ShardState};

/// Checks all shards now and then, and reports each stall once.
#[derive(Debug)]
pub(crate) struct Stalls {
    after: Duration,
    stalled: BTreeSet<String>,
}

/// A shard that was started: what it does, and when it last made progress.
pub(crate) type Running = BTreeMap<String, (ShardState, Duration)>;
/// A shard that waits, and the parents that it waits for.
pub(crate) type Waiting = BTreeMap<String, Vec<String>>;

impl Stalls {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, stalled: BTreeSet::new() }
    }

    /// The notices to send now.
    // long: shards that run, shards that wait, and shards that are gone.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        running: &Running,
        waiting: &Waiting,
    ) -> Vec<Notice> {
        let (mut notices, mut known) = (Vec::new(), BTreeMap::new());
        let running_states = running.iter().map(|(id, (state, _))| (id, *state));
        let waiting_states = waiting.keys().map(|id| (id, ShardState::WaitingForParents));
        for (shard, state) in running_states.chain(waiting_states) {
            let progressed = progressed(shard, now, running, waiting, &mut known);
            let age = now.saturating_sub(progressed);
            if age < self.after {
                if self.stalled.remove(shard) {
                    notices.push(Notice::Resumed { shard: shard.clone() });
                }
            } else if self.stalled.insert(shard.clone()) {
                notices.push(Notice::Stalled { shard: shard.clone(), state, age });
            }
        }
        // A shard that has ended since is not checked any more.
        self.stalled.retain(|shard| {
            let is_there = running.contains_key(shard) || waiting.contains_key(shard);
            if !is_there {
                notices.push(Notice::Resumed { shard: shard.clone() });
            }
            is_there
        });
        notices
    }
}

/// When a shard last made progress. An idle shard makes progress all the time, and a shard that waits for its parents
/// makes progress when they do.
///
/// Each shard is checked once: splits and merges give more paths to ancestors than shards, twice as many after each
/// merge. There is no recursion: a stream may have been resharded ten thousand times.
// long: a walk without recursion keeps its path itself.
fn progressed<'a>(
    shard: &'a str,
    now: Duration,
    running: &Running,
    waiting: &'a Waiting,
    known: &mut BTreeMap<&'a str, Duration>,
) -> Duration {
    let mut path = vec![shard];
    while let Some(&shard) = path.last() {
        let parents = waiting.get(shard).into_iter().flatten().map(String::as_str);
        if let Some(parent) = parents.clone().find(|parent| !known.contains_key(parent)) {
            // A placeholder, never read: a family tree has no circles.
            known.insert(parent, Duration::ZERO);
            path.push(parent);
            continue;
        }
        let progressed = match running.get(shard) {
            Some((
                ShardState::Idle | ShardState::Paused | ShardState::Ended | ShardState::Lost,
                _,
            )) => now,
            Some((_, progressed)) => *progressed,
            // No shard waits for an unknown parent.
            None => parents.map(|parent| known[parent]).max().unwrap_or(now),
        };
        known.insert(shard, progressed);
        path.pop();
    }
    known[shard]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn running(shards: &[(&str, ShardState, u32)]) -> Running {
        let shard =
            |(id, state, minute): &(&str, _, u32)| ((*id).into(), (*state, MINUTE * *minute));
        shards.iter().map(shard).collect()
    }

    fn stalled(shard: &str, state: ShardState, minutes: u32) -> Notice {
        Notice::Stalled { shard: shard.into(), state, age: MINUTE * minutes }
    }

    #[test]
    fn a_stall_is_told_once_and_so_is_its_end() {
        let mut stalls = Stalls::new(MINUTE * 5);
        let waiting = Waiting::new();
        let mut look =
            |minute, shards: &[_]| stalls.look(MINUTE * minute, &running(shards), &waiting);
        let stuck = ("a", ShardState::Handling, 1);
        assert_eq!(look(5, &[stuck]), []);
        assert_eq!(look(6, &[stuck]), [stalled("a", ShardState::Handling, 5)]);
        assert_eq!(look(60, &[stuck]), []);
        let moved = ("a", ShardState::Calling, 61);
        assert_eq!(look(62, &[moved]), [Notice::Resumed { shard: "a".into() }]);
        assert_eq!(look(66, &[moved]), [stalled("a", ShardState::Calling, 5)]);
    }

    #[test]
    fn who_has_nothing_to_do_does_not_stall() {
        let mut stalls = Stalls::new(MINUTE * 5);
        let idle = [ShardState::Idle, ShardState::Paused, ShardState::Ended];
        let shards = [("a", idle[0], 0), ("b", idle[1], 0), ("c", idle[2], 0)];
        assert_eq!(stalls.look(MINUTE * 600, &running(&shards), &Waiting::new()), []);
    }

    #[test]
    fn a_child_stalls_only_with_all_that_hold_it_up() {
        let mut stalls = Stalls::new(MINUTE * 5);
        let waiting = Waiting::from([
            ("child".into(), vec!["a".into(), "b".into()]),
            ("grandchild".into(), vec!["child".into()]),
        ]);
        let a = ("a", ShardState::BackingOff, 0);
        let busy = running(&[a, ("b", ShardState::Calling, 9)]);
        let told = stalls.look(MINUTE * 10, &busy, &waiting);
        assert_eq!(told, [stalled("a", ShardState::BackingOff, 10)]);
        let stuck = running(&[a, ("b", ShardState::Calling, 9)]);
        let told = stalls.look(MINUTE * 14, &stuck, &waiting);
        let for_parents = ShardState::WaitingForParents;
        assert_eq!(
            told,
            [
                stalled("b", ShardState::Calling, 5),
                stalled("child", for_parents, 5),
                stalled("grandchild", for_parents, 5),
            ]
        );
    }

    #[test]
    fn a_stream_that_was_split_and_merged_many_times_is_looked_at_in_no_time() {
        let mut stalls = Stalls::new(MINUTE * 5);
        let mut waiting = Waiting::new();
        for round in 0..5_000 {
            let parent = format!("{round}");
            let [left, right] = ["left", "right"].map(|side| format!("{round} {side}"));
            waiting.insert(left.clone(), vec![parent.clone()]);
            waiting.insert(right.clone(), vec![parent]);
            waiting.insert(format!("{}", round + 1), vec![left, right]);
        }
        let first = running(&[("0", ShardState::Handling, 0)]);
        assert_eq!(stalls.look(MINUTE * 6, &first, &waiting).len(), 1 + 3 * 5_000);
        let first = running(&[("0", ShardState::Handling, 6)]);
        assert_eq!(stalls.look(MINUTE * 7, &first, &waiting).len(), 1 + 3 * 5_000);
    }
}
