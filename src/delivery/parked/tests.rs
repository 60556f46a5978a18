use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crossbeam_channel::{never, unbounded};

use super::*;
use crate::core::shard::step::Delivery;
use crate::delivery::commits::{CommitContext, ShardCommits};
use crate::delivery::in_flight::Slots;
use crate::record::builder::RecordsBuilder;
use crate::store::Store;
use crate::store::local::LocalStore;

/// Records arrive at their number's second.
struct Shard {
    commits: Arc<ShardCommits>,
    store: Arc<LocalStore>,
}

impl Shard {
    fn new(id: &str) -> Self {
        let store = Arc::new(LocalStore::new());
        let context = CommitContext::of_test(Arc::clone(&store), unbounded().0);
        Self { commits: Arc::new(ShardCommits::new(context, id, never())), store }
    }

    fn batch(&self, numbers: std::ops::Range<u64>) -> Batch {
        self.batch_of(numbers, |number| Some(UNIX_EPOCH + Duration::from_secs(number)))
    }

    fn batch_of(
        &self,
        numbers: std::ops::Range<u64>,
        arrival: impl Fn(u64) -> Option<SystemTime>,
    ) -> Batch {
        let mut records = RecordsBuilder::default();
        for number in numbers {
            let arrival = arrival(number);
            records.push(&number.to_string().parse().unwrap(), "key", arrival, b"");
        }
        let records = records.build();
        let through = records.last().unwrap().position();
        let delivery = Delivery { records, through, behind_latest: None, gap: None };
        Batch::new(&self.commits, delivery, Slots::new(false).take(&never()).unwrap())
    }

    fn stored(&self) -> Option<String> {
        let stored = self.store.get_shard_iterator("orders", self.commits.shard()).unwrap();
        Some(stored?.sequence()?.to_string())
    }
}

fn at(seconds: u64) -> Time {
    let now = Duration::from_secs(seconds);
    Time { now, wall: UNIX_EPOCH + now }
}

fn fail(parking: &mut Parking, time: Time, batch: Batch) -> Verdict {
    parking.failed(time, &mut fastrand::Rng::with_seed(1), batch, &"refused".into())
}

fn numbers(batch: &Batch) -> Vec<&str> {
    batch.records().iter().map(|record| record.sequence_number()).collect()
}

#[test]
fn a_batch_is_tried_so_many_times_and_no_more() {
    let mut parking = Parking::new(OnError::retry(3));
    let mut batch = Shard::new("a").batch(1..3);
    for second in [10, 100] {
        assert!(matches!(fail(&mut parking, at(second), batch), Verdict::Parked));
        let due = parking.due().unwrap();
        assert!(due > at(second).now && due <= at(second + 10).now);
        assert!(parking.take(at(second).now).is_none());
        batch = parking.take(due).unwrap();
        assert!(parking.due().is_none());
    }
    let verdict = fail(&mut parking, at(200), batch);
    assert!(matches!(verdict, Verdict::GivenUp { attempts: 3, .. }));
}

#[test]
fn only_the_shard_that_failed_waits() {
    let (a, b) = (Shard::new("a"), Shard::new("b"));
    let mut parking = Parking::new(OnError::retry(None));
    assert!(
        parking
            .pass(a.batch(1..3))
            .is_some_and(|batch| { matches!(fail(&mut parking, at(0), batch), Verdict::Parked) })
    );
    assert!(parking.pass(b.batch(1..3)).is_some());
    assert!(parking.pass(a.batch(3..5)).is_none());
    let first = parking.take(at(60).now).unwrap();
    assert_eq!(numbers(&first), ["1", "2"]);
    assert!(parking.take(at(60).now).is_none(), "the second overtook the first");
    first.commit().unwrap();
    parking.done(at(60).now, &first);
    let second = parking.take(at(60).now).unwrap();
    assert_eq!(numbers(&second), ["3", "4"]);
    parking.done(at(60).now, &second);
    assert!(parking.is_empty() && parking.pass(a.batch(5..6)).is_some());
}

#[test]
fn an_old_record_is_not_tried_again() {
    let mut parking = Parking::new(OnError::retry(None).max_record_age(Duration::from_secs(60)));
    let shard = Shard::new("a");
    assert!(matches!(fail(&mut parking, at(61), shard.batch(1..9)), Verdict::Parked));
    let batch = parking.take(at(100).now).unwrap();
    assert!(matches!(fail(&mut parking, at(62), batch), Verdict::GivenUp { attempts: 2, .. }));
}

#[test]
fn a_record_of_unknown_age_is_not_old() {
    let mut parking = Parking::new(OnError::retry(4).max_record_age(Duration::from_secs(60)));
    let mut batch = Shard::new("a").batch_of(1..2, |_| None);
    for _ in 0..3 {
        assert!(matches!(fail(&mut parking, at(1_000_000), batch), Verdict::Parked));
        batch = parking.take(at(2_000_000).now).unwrap();
    }
    let verdict = fail(&mut parking, at(1_000_000), batch);
    assert!(matches!(verdict, Verdict::GivenUp { attempts: 4, .. }));
}

#[test]
fn halving_finds_the_one_record_and_commits_all_before_it() {
    let shard = Shard::new("a");
    let mut parking = Parking::new(OnError::retry(2).halve(true));
    let mut next = parking.pass(shard.batch(10..18));
    let (mut handled, mut refused, mut waits) = (Vec::new(), Vec::new(), 0);
    while let Some(batch) = next {
        if !numbers(&batch).contains(&"13") {
            handled.extend(numbers(&batch).iter().map(ToString::to_string));
            batch.commit().unwrap();
            assert_eq!(shard.stored().as_ref(), handled.last(), "halves are stored in order");
            parking.done(at(0).now, &batch);
        } else if let Verdict::GivenUp { batch, attempts } = fail(&mut parking, at(0), batch) {
            assert_eq!((numbers(&batch), attempts), (vec!["13"], 2));
            assert_eq!(shard.stored().as_deref(), Some("12"));
            refused.push("13");
            batch.commit().unwrap();
            parking.done(at(0).now, &batch);
        } else if parking.due() > Some(at(0).now) {
            waits += 1;
        }
        next = parking.take(at(60).now);
    }
    assert_eq!(handled, ["10", "11", "12", "14", "15", "16", "17"]);
    assert_eq!((refused.len(), waits), (1, 1));
    assert_eq!(shard.stored().as_deref(), Some("17"));
    assert!(parking.is_empty());
}

#[test]
fn a_fenced_batch_is_looked_at_later_each_time_up_to_a_second_and_each_fence_begins_anew() {
    let (shard, ms) = (Shard::new("a"), Duration::from_millis);
    let mut parking = Parking::new(OnError::retry(3));
    let mut now = at(0).now;
    parking.fenced(now, shard.batch(1..3), None);
    assert!(parking.pass(shard.batch(3..5)).is_none(), "the second overtook the first");
    for wait in [50, 100, 200, 400, 800, 1_000, 1_000] {
        assert_eq!(parking.due(), Some(now + ms(wait)));
        now += ms(wait);
        let batch = parking.take(now).unwrap();
        assert_eq!(numbers(&batch), ["1", "2"]);
        assert!(parking.take(now).is_none());
        parking.fenced(now, batch, None);
    }
    let batch = parking.take(at(60).now).unwrap();
    assert!(matches!(fail(&mut parking, at(60), batch), Verdict::Parked));
    let batch = parking.take(at(80).now).unwrap();
    parking.fenced(at(80).now, batch, None);
    assert_eq!(parking.due(), Some(at(80).now + ms(50)), "it was handed over in between");
    let batch = parking.take(at(90).now).unwrap();
    assert!(matches!(fail(&mut parking, at(90), batch), Verdict::Parked));
    let batch = parking.take(at(110).now).unwrap();
    let verdict = fail(&mut parking, at(110), batch);
    assert!(matches!(verdict, Verdict::GivenUp { attempts: 3, .. }), "{verdict:?}");
}

#[test]
fn a_dead_letter_that_waits_keeps_its_error_and_attempts_and_a_lost_one_leaves_none() {
    let (lost, held) = (Shard::new("a"), Shard::new("a"));
    let mut parking = Parking::new(OnError::retry(2));
    assert!(matches!(fail(&mut parking, at(0), lost.batch(1..3)), Verdict::Parked));
    let batch = parking.take(at(20).now).unwrap();
    let Verdict::GivenUp { mut batch, attempts: 2 } = fail(&mut parking, at(20), batch) else {
        panic!("it is not given up")
    };
    for second in [30, 40] {
        parking.fenced(at(second).now, *batch, Some("refused".into()));
        *batch = parking.take(at(second + 5).now).unwrap();
        let (error, attempts) = parking.take_refusal(&batch).unwrap();
        assert_eq!((error.to_string().as_str(), attempts), ("refused", 2));
        assert!(parking.take_refusal(&batch).is_none());
    }
    parking.fenced(at(50).now, *batch, Some("refused".into()));
    // Somebody else had the shard, and it was taken again.
    assert!(parking.pass(lost.batch(3..5)).is_none());
    assert!(parking.pass(held.batch(3..5)).is_none());
    lost.commits.give_up(crate::error::store::StoreError::lost("somebody else owns it"));
    let batch = parking.take(at(60).now).unwrap();
    parking.forget(at(60).now, &batch);
    let next = parking.take(at(60).now).unwrap();
    assert!(next.is_current() && numbers(&next) == ["3", "4"]);
    assert!(parking.take_refusal(&next).is_none(), "it was another batch");
    parking.done(at(60).now, &next);
    assert!(parking.is_empty());
}
