//! Batches that the handler refuses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::unbounded;
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{Batch, BoxError, Error, LocalStore, OnError, Progress, Stream};
use log::Level;
use parking_lot::Mutex;

use crate::common::{SOON, STREAM, id, kinesis, logs, numbers, quick, stored, until};

/// A stream of one shard with the records 0 to 7, in one batch.
fn one_batch() -> (MemoryKinesis, Arc<LocalStore>) {
    (kinesis(1, 8), Arc::new(LocalStore::new()))
}

fn open(kinesis: &MemoryKinesis, store: &Arc<LocalStore>, on_error: OnError) -> Stream {
    Stream::new(kinesis.clone(), STREAM, Arc::clone(store), quick().on_error(on_error)).unwrap()
}

/// The data of the last record that is stored as done.
fn stored_number(kinesis: &MemoryKinesis, store: &Arc<LocalStore>) -> Option<usize> {
    let position = stored(store, 0)?;
    let held = kinesis.held(STREAM);
    let last = held.iter().find(|record| Some(&record.sequence) == position.sequence())?;
    std::str::from_utf8(&last.data).unwrap().parse().ok()
}

#[test]
fn an_error_never_advances_the_position() {
    let (kinesis, store) = one_batch();
    let mut attempts = 0;
    let error = open(&kinesis, &store, OnError::retry(3)).listen(|batch| {
        assert_eq!((batch.len(), stored(&store, 0)), (8, None));
        attempts += 1;
        Err("refused".into())
    });
    assert!(matches!(error, Err(Error::Handler { .. })) && attempts == 3);
    assert_eq!(stored(&store, 0), None);
}

#[test]
fn a_panic_never_advances_the_position_and_stops_unless_it_is_caught() {
    let (kinesis, store) = one_batch();
    let stream = open(&kinesis, &store, OnError::retry(None));
    let panic = catch_unwind(AssertUnwindSafe(|| stream.listen(|_| panic!("out of paper"))));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"out of paper"));
    assert_eq!(stored(&store, 0), None);

    let stream = open(&kinesis, &store, OnError::retry(None).catch_panics(true));
    let (shutdown, mut attempts) = (stream.shutdown(), 0);
    let handled = stream.listen(|_| {
        assert_eq!(stored(&store, 0), None);
        attempts += 1;
        assert!(attempts > 2, "out of ink");
        shutdown.now();
        Ok(())
    });
    assert!(handled.is_ok() && attempts == 3);
    assert_eq!(stored_number(&kinesis, &store), Some(7));
}

#[test]
fn a_batch_that_fails_at_first_comes_again_and_is_stored_once_it_is_handled() {
    let (kinesis, store) = one_batch();
    let stream = open(&kinesis, &store, OnError::retry(5));
    let (shutdown, mut attempts) = (stream.shutdown(), 0);
    stream
        .listen(|batch| {
            attempts += 1;
            if attempts < 3 {
                return Err("not yet".into());
            }
            assert_eq!(numbers(batch), [0, 1, 2, 3, 4, 5, 6, 7]);
            shutdown.now();
            Ok(())
        })
        .unwrap();
    assert_eq!((attempts, stored_number(&kinesis, &store)), (3, Some(7)));
}

#[test]
fn a_failing_shard_does_not_hold_up_others_nor_fill_the_channel() {
    let (kinesis, store) = (kinesis(2, 0), Arc::new(LocalStore::new()));
    let config = quick().limit(1).capacity(2).on_error(OnError::retry(None));
    (0..50).for_each(|number: usize| {
        (0..2).for_each(|shard| {
            kinesis.put_to(STREAM, &id(shard), "key", number.to_string().as_bytes());
        });
    });
    let stream = Stream::new(kinesis, STREAM, Arc::clone(&store), config).unwrap();
    let (shutdown, mut seen) = (stream.shutdown(), Vec::new());
    stream
        .listen(|batch| {
            if batch.shard() == id(0) {
                assert_eq!(numbers(batch), [0], "a later batch overtook the one that failed");
                return Err("refused".into());
            }
            seen.extend(numbers(batch));
            if seen.len() == 50 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!(stored(&store, 0), None);
}

#[test]
fn children_wait_for_a_parked_batch_of_their_parent() {
    let (kinesis, store) = one_batch();
    let children = kinesis.split(STREAM, &id(0));
    for child in &children {
        kinesis.put_to(STREAM, child, "key", b"100");
    }
    let stream = open(&kinesis, &store, OnError::retry(None));
    let (shutdown, mut order) = (stream.shutdown(), Vec::new());
    let mut refusals = 3;
    stream
        .listen(|batch| {
            if batch.shard() == id(0) && refusals > 0 {
                refusals -= 1;
                return Err("refused".into());
            }
            order.extend(numbers(batch));
            if order.len() == 10 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7, 100, 100]);
}

/// What the handler had, and what was put aside, when one record is refused always.
fn with_a_poison(on_error: OnError) -> (Vec<usize>, Vec<usize>, Result<(), Error>, Option<usize>) {
    let (kinesis, store) = one_batch();
    let aside = Arc::new(Mutex::new(Vec::new()));
    let letters = Arc::clone(&aside);
    let on_error = on_error.dead_letter(move |letter| {
        assert_eq!((letter.batch().shard(), letter.error().to_string()), (&*id(0), "5!".into()));
        let last = letter.batch().records().last().unwrap();
        assert_eq!(*letter.batch().position(), last.position());
        letters.lock().push((numbers(letter.batch()), letter.attempts()));
        Ok(())
    });
    let stream = open(&kinesis, &store, on_error);
    let (shutdown, mut handled) = (stream.shutdown(), Vec::new());
    let done = Arc::clone(&aside);
    let result = stream.listen(|batch: &Batch| {
        let is_last = numbers(batch).contains(&8);
        if numbers(batch).contains(&5) {
            kinesis.put_to(STREAM, &id(0), "key", b"8");
            return Err("5!".into());
        }
        handled.extend(numbers(batch));
        if is_last && !done.lock().is_empty() {
            shutdown.now();
        }
        Ok(())
    });
    let aside = aside.lock();
    assert!(aside.iter().all(|(_, attempts)| *attempts == 2));
    handled.retain(|number| *number < 8);
    let aside = aside.iter().flat_map(|(numbers, _)| numbers.clone()).collect();
    (handled, aside, result, stored_number(&kinesis, &store))
}

#[test]
fn what_is_refused_for_the_last_time_is_put_aside_and_the_rest_goes_on() {
    let (handled, aside, result, stored) = with_a_poison(OnError::retry(2));
    result.unwrap();
    assert_eq!((handled, aside), (vec![], vec![0, 1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(stored, Some(8));
}

#[test]
fn halving_puts_only_the_poison_aside() {
    let (handled, aside, result, stored) = with_a_poison(OnError::retry(2).halve(true));
    result.unwrap();
    assert_eq!((handled, aside), (vec![0, 1, 2, 3, 4, 6, 7], vec![5]));
    assert_eq!(stored, Some(8));
}

#[test]
fn a_dead_letter_that_nobody_takes_stops_the_consumer_before_it() {
    let (kinesis, store) = one_batch();
    let on_error = OnError::stop().halve(true).dead_letter(|_| Err("the disk is full".into()));
    let error = open(&kinesis, &store, on_error)
        .listen(|batch| if numbers(batch).contains(&5) { Err("5!".into()) } else { Ok(()) });
    let Err(Error::DeadLetter { handler, source, .. }) = error else { panic!("{error:?}") };
    assert_eq!((handler.to_string(), source.to_string()), ("5!".into(), "the disk is full".into()));
    assert_eq!(stored_number(&kinesis, &store), Some(4));
}

#[test]
fn a_panic_in_the_dead_letter_callback_reaches_the_caller() {
    let (kinesis, store) = one_batch();
    let on_error = OnError::stop().catch_panics(true).dead_letter(|_| panic!("no stamps"));
    let listener = open(&kinesis, &store, on_error).spawn(|_| panic!("refused")).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| listener.join()));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"no stamps"));
    assert_eq!(stored(&store, 0), None);
}

#[test]
fn a_stop_does_not_wait_for_a_parked_batch_and_a_drain_works_it_off() {
    for is_drained in [false, true] {
        let (kinesis, store) = one_batch();
        let stream = open(&kinesis, &store, OnError::retry(None));
        let shutdown = stream.shutdown();
        let (tell, attempts) = unbounded();
        let listener = stream.spawn(move |_| {
            tell.send(()).unwrap();
            if tell.len() < 4 { Err("not yet".into()) } else { Ok(()) }
        });
        let listener = listener.unwrap();
        until("three attempts", || attempts.len() == 3);
        if is_drained {
            shutdown.drain(SOON)
        } else {
            shutdown.now()
        }
        listener.join().unwrap();
        assert_eq!(attempts.len(), 3 + usize::from(is_drained));
        assert_eq!(stored_number(&kinesis, &store), is_drained.then_some(7));
    }
}

/// What a stream of this name logs as warnings while its records are handled, and what has come of it. There is one
/// record in a batch, or all; the last one, which is the number of records, stops the consumer.
fn warned(
    name: &str,
    records: usize,
    limit: u32,
    on_error: OnError,
    mut handle: impl FnMut(&Batch) -> Result<(), BoxError>,
) -> (Vec<String>, Progress, MemoryKinesis) {
    logs::keep();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream(name, 1);
    for record in 0..=records {
        kinesis.put(name, "key", record.to_string().as_bytes());
    }
    let config = quick().limit(limit).on_error(on_error);
    let stream = Stream::new(kinesis.clone(), name, LocalStore::new(), config).unwrap();
    let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
    let result = stream.listen(|batch| {
        handle(batch)?;
        if numbers(batch).contains(&records) {
            shutdown.now();
        }
        Ok(())
    });
    result.unwrap();
    (logs::lines(Level::Warn, name), monitor.progress(), kinesis)
}

/// The number that a record has in the stream.
fn number(kinesis: &MemoryKinesis, name: &str, record: usize) -> String {
    kinesis.held(name)[record].sequence.to_string()
}

fn refuse(record: usize) -> impl FnMut(&Batch) -> Result<(), BoxError> {
    move |batch| if numbers(batch).contains(&record) { Err("5!".into()) } else { Ok(()) }
}

#[test]
fn a_record_that_is_put_aside_is_named_and_is_not_said_to_be_handled() {
    let on_error = OnError::retry(2).halve(true).dead_letter(|_| Ok(()));
    let (lines, progress, kinesis) = warned("aside", 7, 100, on_error, refuse(5));
    let five = number(&kinesis, "aside", 5);
    let shard = format!("shard {:?}", id(0));
    let expected = [
        format!("{shard}: the handler failed on 8 records; they are halved: 5!"),
        format!("{shard}: put aside after attempt 2: 1 record, {five}: 5!"),
    ];
    assert_eq!(lines, expected);
    let shard = progress.shard(&id(0)).unwrap();
    // Of eight, of four, of two, and twice of the one.
    assert_eq!((shard.handler_failures, shard.dead_letters), (5, 1));
}

#[test]
fn a_batch_that_is_put_aside_at_once_is_named_too() {
    let on_error = OnError::retry(1).dead_letter(|_| Ok(()));
    let mut refuse = refuse(5);
    let (lines, progress, kinesis) = warned("at-once", 6, 1, on_error, move |batch| refuse(batch));
    let five = number(&kinesis, "at-once", 5);
    let line = format!("shard {:?}: put aside after attempt 1: 1 record, {five}: 5!", id(0));
    assert_eq!(lines, [line]);
    let shard = progress.shard(&id(0)).unwrap();
    assert_eq!((shard.handler_failures, shard.dead_letters), (1, 1));
}

#[test]
fn a_handler_that_takes_what_it_had_refused_has_recovered() {
    let mut attempts = 0;
    let handle = |_: &Batch| {
        attempts += 1;
        if attempts < 3 { Err("not yet".into()) } else { Ok(()) }
    };
    let (lines, ..) = warned("recovers", 3, 100, OnError::retry(None), handle);
    let [failed, recovered] = &lines[..] else { panic!("{lines:?}") };
    assert!(failed.ends_with("the handler failed, and is called again: not yet"), "{failed}");
    assert!(recovered.contains("the handler recovered after "), "{recovered}");
}

#[test]
fn a_thousand_records_that_are_put_aside_are_counted_and_not_named() {
    let begun = Instant::now();
    let on_error = OnError::retry(1).dead_letter(|_| Ok(()));
    let handle = |batch: &Batch| {
        if numbers(batch).contains(&1_000) { Ok(()) } else { Err("refused".into()) }
    };
    let (lines, progress, _) = warned("thousand", 1_000, 1, on_error, handle);
    assert_eq!(progress.shard(&id(0)).unwrap().dead_letters, 1_000);
    let summaries = begun.elapsed().as_secs() as usize / 10 + 1;
    assert!(lines.len() <= 1 + summaries, "{lines:#?}");
    let more =
        lines.iter().filter_map(|line| line.split_once(" more failures, ")?.1.split_once(' '));
    let more: usize = more.map(|(records, _)| records.parse::<usize>().unwrap()).sum();
    assert_eq!(more, 999, "{lines:#?}");
}
