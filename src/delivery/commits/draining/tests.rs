//! When the tenure of a shard has drained, and what is refused after that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded, never, unbounded};

use crate::core::event::Event;
use crate::core::settings::StoreEvery;
use crate::core::shard::step::Delivery;
use crate::delivery::batch::Batch;
use crate::delivery::commits::{CommitContext, ShardCommits, flush_all};
use crate::delivery::in_flight::Slots;
use crate::delivery::tenancy::Tenancy;
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::model::shard::ChildShard;
use crate::record::builder::RecordsBuilder;
use crate::store::Store;
use crate::store::local::LocalStore;
use crate::sync::Mutex;

/// A store that refuses while it is told to.
#[derive(Default)]
struct Moody {
    inside: LocalStore,
    mood: Mutex<Option<StoreError>>,
    writes: Mutex<u32>,
}

impl Store for Moody {
    fn get_shard_iterator(&self, stream: &str, id: &str) -> Result<Option<Position>, StoreError> {
        self.inside.get_shard_iterator(stream, id)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        *self.writes.lock() += 1;
        match self.mood.lock().clone() {
            Some(error) => Err(error),
            None => self.inside.update_shard_iterator(stream, shard, to),
        }
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.inside.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.inside.reset_shard_iterator(stream, shard, to)
    }
}

struct Trial {
    commits: Arc<ShardCommits>,
    store: Arc<Moody>,
    events: Receiver<Event>,
    _stop: Sender<Infallible>,
}

fn trial_of(epoch: Option<u64>, every: Option<StoreEvery>) -> Trial {
    let (store, (sender, events)) = (Arc::new(Moody::default()), unbounded());
    let context = CommitContext { every, ..CommitContext::of_test(Arc::clone(&store), sender) };
    let (_stop, stopped) = bounded(0);
    let commits = Arc::new(ShardCommits::new(context, "a", stopped).in_tenure(epoch));
    Trial { commits, store, events, _stop }
}

fn trial() -> Trial {
    trial_of(Some(7), None)
}

impl Trial {
    /// A batch with two records, of this number and the next one.
    fn batch(&self, number: u64) -> Batch {
        let mut records = RecordsBuilder::default();
        for number in [number, number + 1] {
            records.push(&number.to_string().parse().unwrap(), "key", UNIX_EPOCH, b"");
        }
        let (records, through) = (records.build(), after(number + 1));
        let delivery = Delivery { records, through, behind_latest: None, gap: None };
        Batch::new(&self.commits, delivery, Slots::new(false).take(&never()).unwrap())
    }

    /// The shard was stopped, and its thread has ended.
    fn stops(&self) {
        self.commits.drains();
        self.commits.leaves();
    }

    /// How often it was told that the shard has drained.
    fn drained(&self) -> usize {
        let is_drained =
            |event: &Event| matches!(event, Event::Drained { shard, epoch: 7 } if shard == "a");
        self.events.try_iter().filter(is_drained).count()
    }

    /// What was told of the end of the tenure.
    fn told(&self) -> Vec<&'static str> {
        let told = |event: Event| match event {
            Event::Drained { shard, epoch: 7 } if shard == "a" => Some("drained"),
            Event::Emptied { shard, epoch: 7 } if shard == "a" => Some("emptied"),
            _ => None,
        };
        self.events.try_iter().filter_map(told).collect()
    }

    fn stored(&self) -> Option<Position> {
        self.store.get_shard_iterator("orders", "a").unwrap()
    }
}

fn after(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

fn kind(committed: Result<(), Error>) -> StoreErrorKind {
    match committed {
        Err(Error::Store { source, .. }) => source.kind(),
        other => panic!("{other:?}"),
    }
}

/// A tenancy whose fence a test moves.
#[derive(Default)]
struct Fence(Mutex<bool>);

impl Tenancy for Fence {
    fn left(&self) -> Duration {
        if *self.0.lock() { Duration::ZERO } else { Duration::from_secs(1) }
    }

    fn ends_with(&self, _: &[ChildShard]) {}
}

#[test]
fn a_shard_shows_that_it_is_fenced_or_drains_unless_it_is_handled_or_has_ended() {
    use ShardState::{Calling, Draining, Ended, Fenced, Handling, Lost, Parked};
    let fence = Arc::new(Fence::default());
    let context = CommitContext::of_test(Arc::new(LocalStore::new()), unbounded().0);
    let context = CommitContext { tenancy: Some(fence.clone()), ..context };
    let commits = ShardCommits::new(context, "a", never()).in_tenure(Some(7));
    let states = |states: [ShardState; 4]| {
        let looks =
            [(Calling, None), (Calling, Some(Handling)), (Calling, Some(Parked)), (Ended, None)];
        for ((reads, handles), state) in looks.into_iter().zip(states) {
            commits.reads(reads);
            commits.handles(handles);
            assert_eq!(commits.state(), state, "{reads:?}, {handles:?}");
        }
    };
    states([Calling, Handling, Parked, Ended]);
    *fence.0.lock() = true;
    states([Fenced, Handling, Fenced, Ended]);
    *fence.0.lock() = false;
    commits.drains();
    states([Draining, Handling, Draining, Ended]);
    *fence.0.lock() = true;
    states([Fenced, Handling, Fenced, Ended]);
    // With the tenure its right is over, which is no fence.
    commits.leaves();
    assert!(commits.is_drained());
    states([Draining, Handling, Draining, Ended]);
    commits.give_up(StoreError::lost("another owner"));
    states([Lost; 4]);
}

#[test]
fn a_shard_has_drained_once_after_the_stop_the_end_of_its_thread_and_the_last_commit() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let trial = trial();
        let batch = trial.batch(1);
        for (place, step) in order.into_iter().enumerate() {
            match step {
                0 => trial.commits.drains(),
                1 => trial.commits.leaves(),
                _ => batch.commit().unwrap(),
            }
            assert_eq!(trial.drained(), usize::from(place == 2), "{order:?}");
        }
        trial.commits.drains();
        trial.commits.flush().unwrap();
        drop(batch);
        assert_eq!((trial.drained(), trial.stored()), (0, Some(after(2))));
    }
}

#[test]
fn a_shard_that_sent_nothing_has_drained_when_its_thread_has_ended() {
    let trial = trial();
    trial.commits.drains();
    assert_eq!(trial.drained(), 0);
    trial.commits.leaves();
    assert_eq!(trial.drained(), 1);
}

#[test]
fn a_dropped_batch_is_over_and_a_later_one_is_still_waited_for() {
    let trial = trial();
    let [first, second] = [1, 3].map(|number| trial.batch(number));
    drop(first);
    // The positions after it are not remembered.
    let third = trial.batch(5);
    trial.stops();
    drop(third);
    assert_eq!(trial.drained(), 0, "the handler has the second one");
    second.commit().unwrap();
    assert_eq!((trial.drained(), trial.stored()), (1, None));
}

#[test]
fn a_batch_whose_end_was_moved_elsewhere_is_waited_for() {
    let trial = trial();
    let (records, commit) = trial.batch(1).into_parts();
    drop(records);
    trial.stops();
    assert_eq!(trial.drained(), 0);
    commit.commit().unwrap();
    assert_eq!(trial.drained(), 1);
}

#[test]
fn a_batch_that_is_committed_twice_or_up_to_a_record_counts_once() {
    let trial = trial();
    let [first, second] = [1, 3].map(|number| trial.batch(number));
    trial.stops();
    first.commit_through(&first.records().get(0).unwrap()).unwrap();
    assert_eq!(trial.drained(), 0, "its rest is open");
    first.commit().unwrap();
    first.commit().unwrap();
    drop(first);
    assert_eq!(trial.drained(), 0, "the second one is open");
    second.commit_through(&second.records().get(1).unwrap()).unwrap();
    assert_eq!(trial.drained(), 1);
}

#[test]
fn both_halves_of_a_batch_are_waited_for() {
    let trial = trial();
    let mut first = trial.batch(1);
    let rest = first.split_half();
    trial.stops();
    first.commit().unwrap();
    drop(first);
    assert_eq!((trial.drained(), trial.stored()), (0, Some(after(1))));
    rest.commit().unwrap();
    assert_eq!((trial.drained(), trial.stored()), (1, Some(after(2))));

    let trial = self::trial();
    let mut first = trial.batch(1);
    let rest = first.split_half();
    trial.stops();
    drop(first);
    assert_eq!(trial.drained(), 0, "somebody may have the rest");
    drop(rest);
    assert_eq!((trial.drained(), trial.stored()), (1, None));
}

#[test]
fn a_position_that_could_not_be_stored_holds_the_drain_up_until_it_is() {
    let trial = trial();
    let batch = trial.batch(1);
    trial.stops();
    *trial.store.mood.lock() = Some(StoreError::retry("busy"));
    assert_eq!(kind(batch.commit()), StoreErrorKind::Retry);
    drop(batch);
    assert!(flush_all(&[Arc::clone(&trial.commits)]).is_err());
    assert_eq!(trial.drained(), 0);
    *trial.store.mood.lock() = None;
    flush_all(&[Arc::clone(&trial.commits)]).unwrap();
    assert_eq!((trial.drained(), trial.stored()), (1, Some(after(2))));
}

#[test]
fn a_position_that_was_left_for_later_is_waited_for_and_none_is_left_while_draining() {
    let every = StoreEvery { batches: 100, time: Duration::from_secs(100) };
    let trial = trial_of(Some(7), Some(every));
    let [first, second] = [1, 3].map(|number| trial.batch(number));
    first.commit().unwrap();
    trial.stops();
    drop(first);
    assert_eq!((trial.drained(), trial.stored()), (0, None));
    second.commit().unwrap();
    assert_eq!((trial.drained(), trial.stored()), (1, Some(after(4))));

    let trial = trial_of(Some(7), Some(every));
    trial.batch(1).commit().unwrap();
    trial.stops();
    assert_eq!((trial.drained(), trial.stored()), (0, None));
    trial.commits.flush().unwrap();
    assert_eq!((trial.drained(), trial.stored()), (1, Some(after(2))));
}

#[test]
fn a_commit_after_the_drain_is_refused_and_writes_nothing() {
    let trial = trial();
    let [first, second] = [1, 3].map(|number| trial.batch(number));
    trial.stops();
    first.commit().unwrap();
    assert!(first.is_current());
    second.commit().unwrap();
    assert_eq!(trial.drained(), 1);
    assert!(!first.is_current());
    let (writes, stored) = (*trial.store.writes.lock(), trial.stored());
    // As of a thread that numbers a batch when all is over.
    let late = trial.commits.hand_out(after(9));
    assert_eq!(kind(trial.commits.commit(late, None)), StoreErrorKind::Lost);
    assert_eq!(kind(second.commit()), StoreErrorKind::Lost);
    let record = first.records().get(0).unwrap();
    assert_eq!(kind(first.commit_through(&record)), StoreErrorKind::Lost);
    trial.commits.flush().unwrap();
    assert_eq!((*trial.store.writes.lock(), trial.stored()), (writes, stored));
    assert_eq!(trial.events.try_iter().count(), 0, "that is no loss of the shard");
}

#[test]
fn a_shard_that_was_given_up_never_drains_and_takes_no_commit() {
    let trial = trial();
    let [first, second] = [1, 3].map(|number| trial.batch(number));
    trial.commits.drains();
    trial.commits.give_up(StoreError::lost("another worker has it"));
    trial.commits.leaves();
    assert_eq!(kind(first.commit()), StoreErrorKind::Lost);
    drop((first, second));
    assert_eq!((trial.drained(), *trial.store.writes.lock()), (0, 0));
    assert!(trial.commits.is_settled() && !trial.commits.is_drained());
}

#[test]
fn a_store_that_says_lost_is_told_of_with_the_tenure_and_the_shard_does_not_drain() {
    let trial = trial();
    let batch = trial.batch(1);
    trial.stops();
    *trial.store.mood.lock() = Some(StoreError::lost("another worker has it"));
    assert_eq!(kind(batch.commit()), StoreErrorKind::Lost);
    drop(batch);
    let told: Vec<_> = trial.events.try_iter().collect();
    assert!(matches!(&told[..], [Event::LeaseLost { epoch: 7, .. }]), "{told:?}");
    assert_eq!(kind(self::trial_of(None, None).refused()), StoreErrorKind::Lost);
}

impl Trial {
    /// A commit that the store refuses as lost, alone.
    fn refused(self) -> Result<(), Error> {
        let batch = self.batch(1);
        *self.store.mood.lock() = Some(StoreError::lost("another worker has it"));
        let refused = batch.commit();
        let told: Vec<_> = self.events.try_iter().collect();
        assert!(matches!(&told[..], [Event::Unstored { .. }]), "{told:?}");
        refused
    }
}

#[test]
fn a_lost_lease_is_no_failure_of_a_round_of_writes() {
    for (epoch, is_failure) in [(Some(7), false), (None, true)] {
        let every = StoreEvery { batches: 100, time: Duration::from_secs(100) };
        let trial = trial_of(epoch, Some(every));
        trial.batch(1).commit().unwrap();
        *trial.store.mood.lock() = Some(StoreError::lost("another worker has it"));
        assert_eq!(flush_all(&[Arc::clone(&trial.commits)]).is_err(), is_failure);
        assert!(trial.commits.is_lost());
    }
}

#[test]
fn alone_nothing_drains_and_a_commit_is_always_taken() {
    let trial = trial_of(None, None);
    let batch = trial.batch(1);
    trial.stops();
    batch.commit().unwrap();
    batch.commit().unwrap();
    assert!(trial.events.try_iter().next().is_none());
    assert!(!trial.commits.is_drained() && !trial.commits.is_settled());
}

#[test]
fn what_hangs_is_empty_once_after_it_was_given_up_its_thread_has_ended_and_its_batch_was_dropped() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let trial = trial();
        let mut batch = Some(trial.batch(1));
        for (place, step) in order.into_iter().enumerate() {
            match step {
                0 => {
                    trial.commits.hangs();
                    trial.commits.give_up(StoreError::lost("it hangs"));
                }
                1 => trial.commits.leaves(),
                _ => drop(batch.take()),
            }
            let expected: &[_] = if place == 2 { &["emptied"] } else { &[] };
            assert_eq!(trial.told(), expected, "{order:?}");
        }
        trial.commits.hangs();
        assert!(trial.told().is_empty(), "it is told once");
    }
}

#[test]
fn a_late_commit_of_what_hangs_is_lost_and_shows_that_its_user_is_done_with_it() {
    let trial = trial();
    let batch = trial.batch(1);
    trial.commits.hangs();
    trial.commits.give_up(StoreError::lost("it hangs"));
    trial.commits.leaves();
    assert!(trial.told().is_empty(), "its user still has it");
    assert_eq!(kind(batch.commit()), StoreErrorKind::Lost);
    assert_eq!(trial.stored(), None);
    assert_eq!(trial.told(), ["emptied"]);
    drop(batch);
    assert!(trial.told().is_empty(), "it is told once");
}

#[test]
fn what_hangs_while_it_is_drained_is_only_emptied() {
    let trial = trial();
    let batch = trial.batch(1);
    trial.stops();
    trial.commits.hangs();
    batch.commit().unwrap();
    drop(batch);
    assert_eq!(trial.told(), ["emptied"]);
}

#[test]
fn a_tenure_stands_while_it_is_neither_lost_nor_drained() {
    let second = Duration::from_secs(1);
    let alone = trial_of(None, None);
    assert_eq!(alone.commits.standing(second), None, "alone nobody could read the shard on");
    let lost = trial();
    assert_eq!(lost.commits.standing(second), Some((7, Duration::ZERO)));
    let _batch = lost.batch(1);
    let (_, uncommitted) = lost.commits.standing(second).unwrap();
    assert!(!uncommitted.is_zero());
    lost.commits.give_up(StoreError::lost("another has it"));
    assert_eq!(lost.commits.standing(second), None);
    let drained = trial();
    drained.stops();
    assert_eq!(drained.commits.standing(second), None);
}
