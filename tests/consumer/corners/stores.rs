//! A store that fails once, for long, or for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kinesis_consumer::{
    Config, Error, IteratorType, LocalStore, Position, Store, StoreError, StoreErrorKind, Stream,
};

use super::{all, failure, read, up_to};
use crate::common::{Hooked, SOON, STREAM, StoreCall, id, kinesis, numbers, quick, stored, until};

fn busy() -> StoreError {
    StoreError::retry("busy")
}

fn impatient() -> Config {
    quick().store_patience(Duration::from_millis(300))
}

fn kind(error: &Error) -> (StoreErrorKind, Option<&str>) {
    let Error::Store { source, shard, .. } = error else { panic!("{error}") };
    (source.kind(), shard.as_deref())
}

/// Reads one shard of ten records in a store that fails the first so many calls of a kind.
fn with_failures(call: StoreCall, times: usize, config: Config) -> (Stream, Arc<LocalStore>) {
    let inside = Arc::new(LocalStore::new());
    let left = AtomicUsize::new(times);
    let fewer = |left: usize| left.checked_sub(1);
    let store = Hooked::new(&inside, move |called| {
        let fails =
            called == call && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        if fails { Err(busy()) } else { Ok(()) }
    });
    (Stream::new(kinesis(1, 10), STREAM, store, config).unwrap(), inside)
}

/// The same in a store that fails every such call, for good.
fn with_fatal(call: StoreCall, error: fn() -> StoreError, config: Config) -> Stream {
    let store = Hooked::new(
        &Arc::default(),
        move |called| {
            if called == call { Err(error()) } else { Ok(()) }
        },
    );
    Stream::new(kinesis(1, 10), STREAM, store, config).unwrap()
}

#[test]
fn a_store_that_cannot_be_read_at_once_is_waited_for() {
    let (stream, inside) = with_failures(StoreCall::Load, 2, quick());
    assert_eq!(all(&read(stream, up_to(10))), (0..10).collect::<Vec<_>>());
    assert!(stored(&inside, 0).is_some());
}

#[test]
fn a_store_that_cannot_be_read_for_longer_than_its_patience_is_an_error() {
    let (stream, _) = with_failures(StoreCall::Load, usize::MAX, impatient());
    assert_eq!(kind(&failure(stream)), (StoreErrorKind::Retry, None));
}

#[test]
fn a_store_that_is_lost_or_fails_for_good_stops_the_consumer_at_once() {
    let latest = || quick().iterator_type(IteratorType::Latest);
    let lost = || StoreError::lost("another owner");
    let fatal = || StoreError::fatal("no such table");
    for call in [StoreCall::Load, StoreCall::Update] {
        for config in [quick(), latest()] {
            let shard = (call == StoreCall::Update).then(|| id(0));
            let error = failure(with_fatal(call, lost, config.clone()));
            assert_eq!(kind(&error), (StoreErrorKind::Lost, shard.as_deref()));
            let error = failure(with_fatal(call, fatal, config));
            assert_eq!(kind(&error), (StoreErrorKind::Fatal, shard.as_deref()));
        }
    }
}

#[test]
fn a_commit_that_fails_is_stored_later_without_another_commit() {
    let (stream, inside) = with_failures(StoreCall::Update, 2, quick());
    let (batches, listener) = stream.receiver().unwrap();
    let batch = batches.recv_timeout(SOON).unwrap();
    let error = batch.commit().unwrap_err();
    assert_eq!(kind(&error), (StoreErrorKind::Retry, Some(id(0).as_str())));
    let through = batch.records().last().map(|last| last.position());
    until("the position is stored", || stored(&inside, 0) == through);
    drop(batch);
    listener.shutdown().now();
    listener.join().unwrap();
}

#[test]
fn a_handler_is_not_disturbed_by_commits_that_fail_for_a_while() {
    let (stream, inside) = with_failures(StoreCall::Update, 3, quick().limit(1));
    let (shutdown, mut handled) = (stream.shutdown(), 0);
    stream
        .listen(|batch| {
            handled += batch.len();
            if handled == 10 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert!(matches!(stored(&inside, 0), Some(Position::After { .. })));
}

#[test]
fn commits_that_fail_for_longer_than_the_patience_are_an_error_with_their_shard() {
    let (stream, _) = with_failures(StoreCall::Update, usize::MAX, impatient());
    assert_eq!(kind(&failure(stream)), (StoreErrorKind::Retry, Some(id(0).as_str())));
}

#[test]
fn a_start_that_cannot_be_stored_for_longer_than_the_patience_is_an_error() {
    let latest = impatient().iterator_type(IteratorType::Latest);
    let (stream, _) = with_failures(StoreCall::Update, usize::MAX, latest);
    assert_eq!(kind(&failure(stream)), (StoreErrorKind::Retry, Some(id(0).as_str())));
}

/// Commits everything of three shards while the store fails, then stops at the given state.
fn stop_after_an_outage(is_back: bool) -> (Result<(), Error>, Arc<LocalStore>) {
    let inside = Arc::new(LocalStore::new());
    let is_out = Arc::new(AtomicBool::new(true));
    let out = Arc::clone(&is_out);
    let store = Hooked::new(&inside, move |call| {
        let fails = call == StoreCall::Update && out.load(Ordering::SeqCst);
        if fails { Err(busy()) } else { Ok(()) }
    });
    let kinesis = kinesis(3, 0);
    (0..30).for_each(|at| drop(kinesis.put_to(STREAM, &id(at % 3), "key", b"0")));
    let stream = Stream::new(kinesis, STREAM, store, quick()).unwrap();
    let (batches, listener) = stream.receiver().unwrap();
    let taken: Vec<_> = (0..3).map(|_| batches.recv_timeout(SOON).unwrap()).collect();
    taken.iter().for_each(|batch| assert!(batch.commit().is_err()));
    assert!(inside.shard_iterators(STREAM).unwrap().is_empty());
    is_out.store(!is_back, Ordering::SeqCst);
    listener.shutdown().now();
    (listener.join(), inside)
}

#[test]
fn what_could_not_be_stored_is_stored_at_the_shutdown_at_the_latest() {
    let (result, inside) = stop_after_an_outage(true);
    result.unwrap();
    for shard in 0..3 {
        assert!(matches!(stored(&inside, shard), Some(Position::After { .. })));
    }
}

#[test]
fn what_cannot_be_stored_at_the_shutdown_either_is_an_error() {
    let (result, inside) = stop_after_an_outage(false);
    let error = result.unwrap_err();
    assert_eq!(kind(&error).0, StoreErrorKind::Retry);
    assert!(inside.shard_iterators(STREAM).unwrap().is_empty());
}

#[test]
fn the_handlers_error_is_told_and_not_that_of_the_store_that_fails_too() {
    let store = Hooked::new(&Arc::default(), |call| match call {
        StoreCall::Update => Err(busy()),
        StoreCall::Load | StoreCall::Updated | StoreCall::Reset => Ok(()),
    });
    let stream = Stream::new(kinesis(1, 10), STREAM, store, quick().limit(1)).unwrap();
    let mut handled = 0;
    let error = stream.listen(|_| {
        handled += 1;
        if handled < 3 { Ok(()) } else { Err("no room".into()) }
    });
    assert!(matches!(error, Err(Error::Handler { .. })), "{error:?}");
}

#[test]
fn a_commit_after_the_end_that_fails_can_be_made_again() {
    let (stream, inside) = with_failures(StoreCall::Update, 1, quick());
    let (batches, listener) = stream.receiver().unwrap();
    let batch = batches.recv_timeout(SOON).unwrap();
    drop(listener);
    batch.commit().unwrap_err();
    assert_eq!(stored(&inside, 0), None);
    batch.commit().unwrap();
    assert_eq!(stored(&inside, 0), batch.records().last().map(|last| last.position()));
}

#[test]
fn a_reset_that_fails_for_a_while_is_made_before_anything_is_read() {
    let inside = Arc::new(LocalStore::new());
    let foreign = Position::after("1".parse().unwrap());
    inside.update_shard_iterator(STREAM, &id(0), &foreign).unwrap();
    let left = AtomicUsize::new(2);
    let seen = Arc::clone(&inside);
    let store = Hooked::new(&inside, move |call| {
        let fewer = |left: usize| left.checked_sub(1);
        let fails = call == StoreCall::Reset
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        // No commit has replaced the unusable position.
        assert!(call != StoreCall::Update || stored(&seen, 0) != Some(foreign.clone()));
        if fails { Err(busy()) } else { Ok(()) }
    });
    let config = quick()
        .on_gap(kinesis_consumer::OnGap::new().foreign(kinesis_consumer::OnForeign::Earliest));
    let stream = Stream::new(kinesis(1, 10), STREAM, store, config).unwrap();
    assert_eq!(all(&read(stream, up_to(10))), (0..10).collect::<Vec<_>>());
    assert!(stored(&inside, 0).is_some_and(|stored| stored.sequence().is_some()));
}

#[test]
fn a_store_that_fails_for_one_shard_does_not_hold_up_the_others() {
    let inside = Arc::new(LocalStore::new());
    let fails = |call| if call == StoreCall::Load { Ok(()) } else { Err(busy()) };
    let store = Hooked::new(&inside, fails).only_for(&id(0));
    let kinesis = kinesis(2, 0);
    (0..20).for_each(|at| drop(kinesis.put_to(STREAM, &id(at % 2), "key", b"0")));
    let config = quick().limit(1).store_every(1, Duration::ZERO);
    let stream = Stream::new(kinesis.clone(), STREAM, store, config).unwrap();
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let held = kinesis.held(STREAM);
    let last = held.iter().rev().find(|held| held.shard == id(1)).unwrap();
    let is_stored = || stored(&inside, 1).is_some_and(|it| it.sequence() == Some(&last.sequence));
    until("the other shard's last position is stored", is_stored);
    assert!(!listener.is_finished() && stored(&inside, 0).is_none());
    drop(listener);
}

#[test]
fn the_lost_reply_of_a_write_neither_loses_nor_repeats_a_record() {
    for lost in 1..4 {
        let config = quick().limit(1);
        let (stream, inside) = with_failures(StoreCall::Updated, lost, config);
        let (shutdown, mut handled) = (stream.shutdown(), 0);
        let first = stream.listen(|batch| {
            assert_eq!(numbers(batch), [handled]);
            handled += 1;
            if handled == 3 {
                shutdown.now();
            }
            Ok(())
        });
        first.unwrap();
        let again = Stream::new(kinesis(1, 10), STREAM, inside, quick()).unwrap();
        assert_eq!(all(&read(again, up_to(7))), [3, 4, 5, 6, 7, 8, 9]);
    }
}
