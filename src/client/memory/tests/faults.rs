//! Faults on demand, hanging calls, counters.

use std::convert::Infallible;
use std::thread;

use crossbeam_channel::bounded;

use super::*;

/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn faults_come_in_the_order_in_which_they_were_asked_for() {
    let (kinesis, _) = with_records(&["a"]);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.fail_next(Operation::GetRecords, 2, ErrorClass::Throttled);
    kinesis.fail_next(Operation::GetRecords, 0, ErrorClass::Fatal);
    kinesis.fail_next(Operation::GetRecords, 1, ErrorClass::Transient);
    let throttled = refused(ErrorClass::Throttled, "ProvisionedThroughputExceededException");
    assert_eq!(refusal(read(&kinesis, &token, 1)), throttled);
    assert!(begin(&kinesis, FIRST, &Latest).is_ok(), "other operations go on");
    assert_eq!(refusal(read(&kinesis, &token, 1)), throttled);
    let transient = refused(ErrorClass::Transient, "InternalFailure");
    assert_eq!(refusal(read(&kinesis, &token, 1)), transient);
    assert_eq!(data(&read(&kinesis, &token, 1).unwrap()), ["a"], "the token stays good");
}

#[test]
fn every_operation_fails_under_its_own_name() {
    let kinesis = with_shards(1);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    let call = Call::unbounded();
    let error = |operation| {
        kinesis.fail_next(operation, 1, ErrorClass::Credentials);
        match operation {
            Operation::DescribeStreamSummary => kinesis.describe_stream("s", &call).err(),
            Operation::ListShards => list(&kinesis, None).err(),
            Operation::GetShardIterator => begin(&kinesis, FIRST, &Latest).err(),
            Operation::GetRecords => read(&kinesis, &token, 1).err(),
        }
    };
    use Operation::{DescribeStreamSummary, GetRecords, GetShardIterator, ListShards};
    for operation in [DescribeStreamSummary, ListShards, GetShardIterator, GetRecords] {
        let error = error(operation).unwrap();
        assert_eq!((error.operation(), error.class()), (operation.name(), ErrorClass::Credentials));
        assert_eq!(error.code(), Some("ExpiredTokenException"));
    }
}

#[test]
fn a_fault_of_one_shard_leaves_the_others_alone() {
    let kinesis = with_shards(2);
    let other = token(&kinesis, "shardId-000000000001", &TrimHorizon);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.fail_shard("s", FIRST, 1, ErrorClass::TooLarge);
    assert!(read(&kinesis, &other, 1).is_ok());
    assert_eq!(refusal(read(&kinesis, &token, 1)), (ErrorClass::TooLarge, None));
    assert!(read(&kinesis, &token, 1).is_ok());
}

#[test]
fn calls_are_counted_with_those_that_fail() {
    let kinesis = with_shards(1);
    kinesis.fail_next(Operation::ListShards, 1, ErrorClass::Transient);
    for _ in 0..3 {
        let _ = list(&kinesis, None); // the first fails
    }
    let _ = read(&kinesis, &Token::new("made up"), 1); // refused, but a call
    assert_eq!(kinesis.calls(Operation::ListShards), 3);
    assert_eq!(kinesis.calls(Operation::GetRecords), 1);
    assert_eq!(kinesis.calls(Operation::GetShardIterator), 0);
}

#[test]
fn a_hanging_call_ends_at_its_deadline() {
    let kinesis = with_shards(1);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.create_stream("t", 1);
    kinesis.hang("s", true);
    let call = Call::unbounded().with_deadline(Duration::from_millis(20));
    assert_eq!(refusal(kinesis.get_records(&token, 1, &call)).0, ErrorClass::TooLarge);
    assert_eq!(refusal(kinesis.list_shards("s", None, &call)).0, ErrorClass::TooLarge);
    assert!(kinesis.list_shards("t", None, &Call::unbounded()).is_ok(), "the other stream");
    kinesis.hang_all(true);
    assert_eq!(refusal(kinesis.list_shards("t", None, &call)).0, ErrorClass::TooLarge);
    assert_eq!(kinesis.calls(Operation::ListShards), 3);
}

#[test]
fn a_hanging_call_ends_when_it_is_stopped() {
    let kinesis = with_shards(1);
    kinesis.hang("s", true);
    let (stop, stopped) = bounded::<Infallible>(0);
    let call = Call::new(stopped).with_deadline(LONG);
    let (done, ended) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(|| done.send(kinesis.describe_stream("s", &call).is_err()));
        drop(stop);
        assert_eq!(ended.recv_timeout(LONG), Ok(true));
    });
}

#[test]
fn a_hanging_call_goes_on_when_every_gate_is_lifted() {
    let (kinesis, _) = with_records(&["a"]);
    let token = token(&kinesis, FIRST, &TrimHorizon);
    kinesis.hang("s", true);
    kinesis.hang_all(true);
    let (done, ended) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let call = Call::unbounded().with_deadline(LONG);
            done.send(kinesis.get_records(&token, 1, &call).map(|answer| data(&answer)))
        });
        assert!(ended.recv_timeout(Duration::from_millis(20)).is_err());
        kinesis.hang("s", false);
        assert!(ended.recv_timeout(Duration::from_millis(20)).is_err());
        kinesis.hang_all(false);
        assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap(), ["a"]);
    });
}

#[test]
fn deleting_a_stream_ends_its_hanging_calls() {
    let kinesis = with_shards(1);
    kinesis.hang("s", true);
    let (done, ended) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let call = Call::unbounded().with_deadline(LONG);
            done.send(refusal(kinesis.describe_stream("s", &call)))
        });
        kinesis.delete_stream("s");
        assert_eq!(ended.recv_timeout(LONG), Ok(not_found()));
    });
}
