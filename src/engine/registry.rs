//! The shards of a run: the active ones, the last state of the finished ones, and those that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::delivery::commits::ShardCommits;
use crate::model::notice::ShardState;
use crate::observe::fleet::FleetProgress;
use crate::observe::progress::{Progress, ShardProgress};
use crate::sync::{self, Mutex};

/// A run writes and reads it; it outlives the run, for later readers. A clone is the same registry.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    started: Option<Instant>,
    budget: Option<Budget>,
    /// The commits of the active shards.
    all_commits: Vec<Arc<ShardCommits>>,
    /// The last progress of the finished shards, by their ids, and when it was read.
    ended: BTreeMap<String, (ShardProgress, Duration)>,
    /// The shards that wait for their parents.
    waiting: BTreeSet<String>,
    fleet: Fleet,
}

/// What is known of the consumer's fleet, if it is in one.
#[derive(Clone, Default)]
enum Fleet {
    #[default]
    None,
    Running(Arc<Look>),
    /// At this time, as it was last known.
    Ended(FleetProgress, Duration),
}

type Look = dyn Fn() -> FleetProgress + Send + Sync;

impl Registry {
    /// How far the consumer has come: empty before a run, and its last state after one.
    pub(crate) fn progress(&self) -> Progress {
        let started = self.0.lock().started;
        self.progress_at(started.map(sync::since).unwrap_or_default())
    }

    fn progress_at(&self, now: Duration) -> Progress {
        let state = self.0.lock();
        let ended = state.ended.values().map(|(last, seen)| last.after(now.saturating_sub(*seen)));
        let mut shards: Vec<_> = ended.collect();
        let (all_commits, waiting) = (state.all_commits.clone(), state.waiting.clone());
        let (budget, fleet) = (state.budget.clone(), state.fleet.clone());
        drop(state);
        let waiting =
            waiting.iter().map(|id| ShardProgress::new(id, ShardState::WaitingForParents));
        let started = all_commits.iter().map(|commits| commits.progress(now));
        shards.extend(started.chain(waiting));
        shards.sort_by(|one, other| one.shard.cmp(&other.shard));
        // A shard may have been started in the meantime.
        shards.dedup_by(|one, other| one.shard == other.shard);
        let budget_used = budget.map_or(0, |budget| budget.used());
        Progress { shards, budget_used, fleet: fleet.progress(now) }
    }

    /// What is known of the consumer's fleet, if it is in one.
    pub(crate) fn fleet(&self) -> Option<FleetProgress> {
        let state = self.0.lock();
        let (started, fleet) = (state.started, state.fleet.clone());
        drop(state);
        fleet.progress(started.map(sync::since).unwrap_or_default())
    }

    /// The consumer is one of a fleet, of which `look` tells.
    pub(crate) fn joins(&self, look: impl Fn() -> FleetProgress + Send + Sync + 'static) {
        self.0.lock().fleet = Fleet::Running(Arc::new(look));
    }

    /// The run is over: only what was last known of the fleet is kept. Returns that.
    pub(crate) fn leaves_fleet(&self, now: Duration) -> Option<FleetProgress> {
        let last = self.fleet()?;
        self.0.lock().fleet = Fleet::Ended(last.clone(), now);
        Some(last)
    }

    /// A run begins.
    pub(crate) fn begins(&self, started: Instant, budget: Budget) {
        let mut state = self.0.lock();
        (state.started, state.budget) = (Some(started), Some(budget));
    }

    /// A shard starts, perhaps again after it was given up.
    pub(crate) fn starts(&self, commits: Arc<ShardCommits>) {
        let mut state = self.0.lock();
        if commits.epoch().is_some() {
            // A former tenure of the shard is over, though it may not be retired yet.
            state.all_commits.retain(|former| {
                let is_former = former.shard() == commits.shard();
                if is_former {
                    former.status().ends();
                }
                !is_former
            });
        }
        state.ended.remove(commits.shard());
        state.all_commits.push(commits);
    }

    /// Some shards begin to wait for their parents, and some stop waiting.
    pub(crate) fn waits(&self, begun: Vec<String>, over: &[String]) {
        let mut state = self.0.lock();
        state.waiting.extend(begun);
        over.iter().for_each(|shard| drop(state.waiting.take(shard)));
    }

    /// The commits of the active shards.
    pub(crate) fn all_commits(&self) -> Vec<Arc<ShardCommits>> {
        self.0.lock().all_commits.clone()
    }

    /// Keeps only the last progress of finished shards: a stream may have been resharded ten thousand times. The same
    /// thread also refreshes, so that no gauge is set after its last value.
    pub(crate) fn retire(&self, now: Duration) {
        let mut state = self.0.lock();
        let State { all_commits, ended, .. } = &mut *state;
        all_commits.retain(|commits| {
            let is_settled = commits.is_settled();
            if is_settled {
                commits.status().ends();
                // What was handed over is another process's to show.
                if !commits.is_drained() {
                    ended.insert(commits.shard().to_owned(), (commits.progress(now), now));
                }
            }
            !is_settled
        });
    }

    /// Tells the meters of the shards the values that change by themselves. Returns how many shards are in each state.
    pub(crate) fn refresh(&self, now: Duration) -> [u32; ShardState::ALL.len()] {
        let mut counts = [0; ShardState::ALL.len()];
        for commits in self.all_commits() {
            commits.status().refresh(now, commits.uncommitted(now));
            counts[commits.state() as usize] += 1;
        }
        let state = self.0.lock();
        counts[ShardState::WaitingForParents as usize] += state.waiting.len() as u32;
        state.ended.values().for_each(|(last, _)| counts[last.state as usize] += 1);
        counts
    }
}

impl Fleet {
    fn progress(&self, now: Duration) -> Option<FleetProgress> {
        match self {
            Self::None => None,
            Self::Running(look) => Some(look()),
            Self::Ended(last, at) => Some(last.after(now.saturating_sub(*at))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{never, unbounded};

    use super::*;
    use crate::delivery::commits::{CommitContext, flush_all};
    use crate::error::store::StoreError;
    use crate::model::position::Position;
    use crate::store::local::LocalStore;

    fn commits(id: &str) -> Arc<ShardCommits> {
        let context = CommitContext::of_test(Arc::new(LocalStore::new()), unbounded().0);
        Arc::new(ShardCommits::new(context, id, never()))
    }

    /// A shard that was read to its end; the end is stored or not.
    fn ended(id: &str, is_stored: bool) -> Arc<ShardCommits> {
        let commits = commits(id);
        commits.status().sent(7, 70);
        commits.reads(ShardState::Ended);
        let batch = commits.hand_out(Position::End { sequence: "9".parse().unwrap() });
        if is_stored {
            commits.commit(batch, None).unwrap();
        }
        commits
    }

    #[test]
    fn shards_that_have_ended_are_shown_and_not_walked_any_more() {
        let registry = Registry::default();
        registry.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        let all: Vec<_> = (0..2_000).map(|at| ended(&format!("{at:04}"), true)).collect();
        all.iter().for_each(|commits| registry.starts(Arc::clone(commits)));
        registry.starts(commits("open"));
        registry.starts(ended("unstored", false));
        registry.retire(Duration::ZERO);
        let walked = registry.all_commits();
        let ids: Vec<_> = walked.iter().map(|commits| commits.shard()).collect();
        assert_eq!(ids, ["open", "unstored"]);
        assert!(flush_all(&walked).is_ok());
        assert!(all.iter().all(|commits| Arc::strong_count(commits) == 1), "they are not kept");

        let progress = registry.progress();
        assert_eq!((progress.shards.len(), progress.records()), (2_002, 7 * 2_001));
        let shard = progress.shard("1999").unwrap();
        assert_eq!(shard.state, ShardState::Ended);
        assert!(shard.stored.as_ref().is_some_and(Position::is_end));
        let counts = registry.refresh(Duration::ZERO);
        assert_eq!(counts[ShardState::Ended as usize], 2_001);
        assert_eq!(counts[ShardState::Idle as usize], 1);
    }

    #[test]
    fn a_shard_that_was_given_up_is_shown_once_and_not_written_also_if_it_starts_again() {
        let registry = Registry::default();
        registry.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        let former = commits("a");
        registry.starts(Arc::clone(&former));
        let batch = former.hand_out(Position::after("7".parse().unwrap()));
        former.give_up(StoreError::lost("another owner"));
        registry.retire(Duration::ZERO);
        assert_eq!(registry.all_commits().len(), 1, "its thread has not ended");
        former.status().leaves(Duration::ZERO);
        registry.retire(Duration::ZERO);
        let states = || registry.progress().shards.iter().map(|it| it.state).collect::<Vec<_>>();
        assert_eq!(states(), [ShardState::Lost]);
        assert_eq!(registry.refresh(Duration::ZERO)[ShardState::Lost as usize], 1);

        registry.starts(commits("a"));
        assert_eq!(states(), [ShardState::Idle]);
        assert!(former.commit(batch, None).is_err() && former.flush().is_ok());
        assert_eq!(former.progress(Duration::ZERO).stored, None, "a late commit writes nothing");
    }

    #[test]
    fn a_shard_whose_lease_was_given_back_is_not_shown_any_more_until_it_is_leased_again() {
        let registry = Registry::default();
        registry.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        let leased = |epoch| {
            let context = CommitContext::of_test(Arc::new(LocalStore::new()), unbounded().0);
            Arc::new(ShardCommits::new(context, "a", never()).in_tenure(Some(epoch)))
        };
        let former = leased(1);
        registry.starts(Arc::clone(&former));
        former.drains();
        registry.retire(Duration::ZERO);
        assert_eq!(registry.all_commits().len(), 1, "its thread has not ended");
        former.leaves();
        registry.retire(Duration::ZERO);
        assert!(registry.all_commits().is_empty() && registry.progress().shards.is_empty());
        let lost = leased(2);
        registry.starts(Arc::clone(&lost));
        assert_eq!(registry.progress().shards.len(), 1);
        lost.give_up(StoreError::lost("another owner"));
        lost.leaves();
        // At once, before anything is retired.
        registry.starts(leased(3));
        registry.retire(Duration::ZERO);
        let states = registry.progress().shards.iter().map(|it| it.state).collect::<Vec<_>>();
        assert_eq!((states, registry.all_commits().len()), (vec![ShardState::Idle], 1));
    }

    #[test]
    fn what_is_read_and_not_committed_grows_old_and_a_silent_shard_does_not() {
        let commits = commits("a");
        let seconds = Duration::from_secs;
        assert_eq!(commits.uncommitted(seconds(3_600)), Duration::ZERO);
        let after = |number: &str| Position::after(number.parse().unwrap());
        let [first, second] = ["1", "2"].map(|number| commits.hand_out(after(number)));
        assert_eq!(commits.uncommitted(seconds(60)), seconds(60));
        commits.commit(second, None).unwrap();
        assert_eq!(commits.uncommitted(seconds(60)), seconds(60), "the position has not moved");
        commits.commit(first, None).unwrap();
        assert_eq!(commits.uncommitted(seconds(3_600)), Duration::ZERO);
        commits.dropped(commits.hand_out(after("3")));
        assert_eq!(commits.uncommitted(seconds(60)), seconds(60), "nobody will commit it");
    }

    #[test]
    fn what_is_known_of_a_fleet_is_looked_up_while_the_run_lasts_and_grows_older_after_it() {
        let registry = Registry::default();
        registry.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        assert_eq!(registry.progress().fleet, None);
        assert_eq!(registry.leaves_fleet(Duration::from_secs(60)), None);
        let held = Arc::new(std::sync::atomic::AtomicUsize::new(1));
        let now = Arc::clone(&held);
        registry.joins(move || FleetProgress {
            held: now.load(std::sync::atomic::Ordering::Relaxed),
            surveyed: Some(Duration::from_secs(7)),
            ..FleetProgress::default()
        });
        let held_now = || registry.progress().fleet.map(|fleet| fleet.held);
        assert_eq!(held_now(), Some(1));
        held.store(2, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(held_now(), Some(2));
        let last = registry.leaves_fleet(Duration::from_secs(20)).unwrap();
        assert_eq!((last.held, Arc::strong_count(&held)), (2, 1), "nobody is asked any more");
        let later = registry.progress_at(Duration::from_secs(60)).fleet.unwrap();
        assert_eq!(later.surveyed, Some(Duration::from_secs(47)));
    }

    #[test]
    fn what_was_seen_of_a_shard_that_has_ended_grows_older() {
        let registry = Registry::default();
        registry.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        registry.starts(ended("a", true));
        registry.retire(Duration::from_millis(100));
        assert!(registry.all_commits().is_empty());
        let committed = |seconds| {
            let progress = registry.progress_at(Duration::from_secs(seconds));
            progress.shard("a").and_then(|shard| shard.committed).unwrap()
        };
        assert_eq!(committed(60) - committed(20), Duration::from_secs(40));
    }
}
