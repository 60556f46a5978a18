//! Deadlines, which cover a call from its first byte to its last.

use std::time::{Duration, Instant};

use kinesis_consumer::{Call, Client, ClientError, ErrorClass, IteratorType, KinesisClient, Token};

use crate::logs;
use crate::support::{Fault, Operation, Rule};
use crate::trial::{DEADLINE, SHARD, Trial, at_once};

/// What the system may add to a deadline: it rounds the timeouts of sockets up by as much as an eighth.
const ROUNDING: f64 = 1.15;
/// What a busy machine may add before a thread runs.
const SLACK: Duration = Duration::from_millis(50);

const DRIP: Duration = Duration::from_millis(30);

/// Every fault in which nothing more comes, or too little.
fn silences() -> [Fault; 4] {
    let drip = Fault::Dripped { bytes: 1, every: DRIP };
    [Fault::NoAnswer, Fault::Stalled, Fault::LengthTooLong, drip]
}

fn holds(what: &str, deadline: Duration, taken: Duration) {
    holds_with(SLACK, what, deadline, taken);
}

fn holds_with(slack: Duration, what: &str, deadline: Duration, taken: Duration) {
    let share = taken.as_secs_f64() / deadline.as_secs_f64();
    println!("deadline {deadline:?}, {what}: {taken:?}, {:.1} %", share * 100.0);
    let latest = deadline.mul_f64(ROUNDING) + slack;
    assert!(taken >= deadline.mul_f64(0.98) && taken <= latest, "{what}: {taken:?}");
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
            let began = Instant::now();
            let error = call(&client, name, &token).unwrap_err();
            holds(&format!("{}, {name}", fault.name()), deadline, began.elapsed());
            assert_eq!(error.class(), ErrorClass::TooLarge, "{error}");
            let text = error.to_string();
            assert!(text.starts_with(name) && text.contains("deadline"), "{text}");
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
    // As the server sees it: until the client closes the connection.
    let waits = trial.faults.waits();
    assert_eq!(waits.len(), 4, "{waits:?}");
    for (fault, waited) in waits {
        // A drip learns of it when it sends the next pieces, the second of which fails.
        let slack = if fault == "slow drip" { SLACK + 2 * DRIP } else { SLACK };
        holds_with(slack, &format!("{fault}, seen by the server"), DEADLINE, waited);
    }
    assert!(run.took >= 4 * DEADLINE, "{:?}", run.took);
}

#[test]
fn a_stop_does_not_wait_for_a_deadline() {
    for fault in silences() {
        let trial = Trial::new("stopped", 2, 20);
        let client = trial.builder().deadline(Duration::from_secs(60)).build().unwrap();
        let store = std::sync::Arc::clone(&trial.store);
        let config = Trial::config();
        let stream = kinesis_consumer::Stream::new(client, "stopped", store, config).unwrap();
        trial.faults.add(Rule::always(fault.clone()).on(Operation::GetRecords));
        let listener = stream.spawn(|_| Ok(())).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while trial.faults.count(&fault) < 2 {
            assert!(Instant::now() < until, "{fault:?}");
            std::thread::yield_now();
        }
        let began = Instant::now();
        listener.shutdown().now();
        listener.join().unwrap();
        assert!(began.elapsed() < Duration::from_millis(500), "{fault:?}: {:?}", began.elapsed());
    }
    assert_eq!(logs::warnings("stopped", ""), [""; 0]);
}
