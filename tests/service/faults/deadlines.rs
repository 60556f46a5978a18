//! Deadlines, which cover a call from its first byte to its last.

use std::time::{Duration, Instant};

use kinesis_consumer::{Call, Client, ClientError, ErrorClass, IteratorType, KinesisClient, Token};

use super::trial::{DEADLINE, PATIENCE, SHARD, Trial, at_once};
use crate::common::logs;
use crate::common::promptly::promptly;
use crate::common::support::{Fault, Operation, Rule};

/// What the system may add to a deadline: it rounds the timeouts of sockets up by as much as an eighth.
const ROUNDING: f64 = 1.15;
/// What the machine may add before a thread runs.
const SLACK: Duration = Duration::from_millis(50);

const DRIP: Duration = Duration::from_millis(30);
/// No stop takes so long, on a machine that is busy either.
const LONG: Duration = Duration::from_secs(20);

/// Every fault in which nothing more comes, or too little.
fn silences() -> [Fault; 4] {
    let drip = Fault::Dripped { bytes: 1, every: DRIP };
    [Fault::NoAnswer, Fault::Stalled, Fault::LengthTooLong, drip]
}

/// Not before the deadline, and in one of several attempts not after it.
fn holds(what: &str, deadline: Duration, mut attempt: impl FnMut() -> Duration) {
    promptly(deadline.mul_f64(ROUNDING) + SLACK, what, || {
        let taken = attempt();
        let share = taken.as_secs_f64() / deadline.as_secs_f64();
        println!("deadline {deadline:?}, {what}: {taken:?}, {:.1} %", share * 100.0);
        assert!(taken >= deadline.mul_f64(0.98), "{what}: {taken:?}");
        taken
    });
}

/// Each call of a consumer, by name.
fn call(client: &KinesisClient, name: &str, token: &Token) -> Result<(), ClientError> {
    let call = Call::unbounded();
    match name {
        "DescribeStreamSummary" => client.describe_stream("deadlines", &call).map(drop),
        "ListShards" => client.list_shards("deadlines", None, &call).map(drop),
        "GetRecords" => client.get_records(token, 10, &call).map(drop),
        _ => {
            let at = IteratorType::TrimHorizon;
            client.get_shard_iterator("deadlines", SHARD, &at, &call).map(drop)
        }
    }
}

#[test]
fn every_call_ends_at_its_deadline_whatever_is_missing() {
    let trial = Trial::new("deadlines", 1, 20);
    let at = IteratorType::TrimHorizon;
    let token = trial.client().get_shard_iterator("deadlines", SHARD, &at, &Call::unbounded());
    let token = token.unwrap().token;
    // The system rounds more or less, depending on the length.
    for (deadline, fault) in [400, 700, 1_000, 1_300].into_iter().zip(silences()) {
        let deadline = Duration::from_millis(deadline);
        let client = trial.builder().deadline(deadline).build().unwrap();
        trial.faults.clear();
        trial.faults.add(Rule::always(fault.clone()));
        let names = ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"];
        at_once(names, |name| {
            holds(&format!("{}, {name}", fault.name()), deadline, || {
                let began = Instant::now();
                let error = call(&client, name, &token).unwrap_err();
                let taken = began.elapsed();
                assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
                let text = error.to_string();
                assert!(text.starts_with(name) && text.contains("deadline"), "{text}");
                taken
            });
        });
    }
}

#[test]
fn a_consumers_calls_end_at_their_deadline_and_it_goes_on() {
    let trial = Trial::new("silence", 1, 60);
    for (number, fault) in (0..).zip(silences()) {
        trial.faults.add(Rule::once(fault).on(Operation::GetRecords).after(number));
    }
    let run = trial.read(60);
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    trial.check_warnings_in_pairs(SHARD);
    // As the server sees it: until the client closes the connection. It counts from when it has read the
    // call, a little later than the client.
    let waits = trial.faults.waits();
    assert_eq!(waits.len(), 4, "{waits:?}");
    assert!(run.took >= 4 * DEADLINE.mul_f64(0.98), "{:?}", run.took);
}

#[test]
fn a_stop_does_not_wait_for_a_deadline() {
    for fault in silences() {
        let trial = Trial::new("stopped", 2, 20);
        let client = trial.builder().deadline(3 * LONG).build().unwrap();
        let store = std::sync::Arc::clone(&trial.store);
        let config = Trial::config();
        let stream = kinesis_consumer::Stream::new(client, "stopped", store, config).unwrap();
        trial.faults.add(Rule::always(fault.clone()).on(Operation::GetRecords));
        let listener = stream.spawn(|_| Ok(())).unwrap();
        let until = Instant::now() + PATIENCE;
        while trial.faults.count(&fault) < 2 {
            assert!(Instant::now() < until, "{fault:?}");
            std::thread::yield_now();
        }
        let began = Instant::now();
        listener.shutdown().now();
        listener.join().unwrap();
        assert!(began.elapsed() < LONG, "{fault:?}: {:?}", began.elapsed());
    }
    assert_eq!(logs::warnings("stopped", ""), [""; 0]);
}
