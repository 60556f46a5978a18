//! Amazon's limits, and everything at once.

use std::time::Duration;

use crate::support::{Fault, Operation, Rule};
use crate::trial::{DEADLINE, Run, SHARD, Trial};

const OVER: &str = "over the limits of a shard";

#[test]
fn five_calls_a_second_are_all_that_a_shard_gives() {
    let trial = Trial::new("five-calls", 1, 88);
    trial.faults.throttle_like_amazon();
    let run = Run::of(trial.stream(Trial::config()), 88, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    // Eleven answers: five, five a second later, and one.
    assert!(run.took >= Duration::from_secs(2), "{:?}", run.took);
    assert!(trial.faults.counts()[OVER] > 0);
    assert_eq!(trial.calls(Operation::GetShardIterator), 1, "the token stays good");
    trial.check_warnings_in_pairs(SHARD);
}

#[test]
fn a_reader_at_amazons_pace_is_not_throttled() {
    let trial = Trial::new("pace", 2, 40);
    trial.faults.throttle_like_amazon();
    let config = Trial::config().interval(Duration::from_millis(210));
    let run = Run::of(trial.stream(config), 40, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    assert_eq!(trial.faults.counts().get(OVER), None);
}

#[test]
fn two_megabytes_a_second_are_all_that_a_shard_gives() {
    let trial = Trial::new("two-megabytes", 1, 0);
    trial.put_of_size(6, 900_000);
    trial.faults.throttle_like_amazon();
    let run = Run::of(trial.stream(Trial::config().limit(3)), 6, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    // The first three must be paid before the next three come.
    assert!(run.took >= Duration::from_millis(1_300), "{:?}", run.took);
    assert!(trial.faults.counts()[OVER] > 0);
}

#[test]
fn an_empty_answer_is_not_the_end() {
    let trial = Trial::new("empty", 2, 60);
    // Of one shard: every second call of two that take turns would be all calls of one.
    trial.read_all_through(&Fault::Empty, |fault| {
        Rule::every(2, fault).on(Operation::GetRecords).of(SHARD)
    });
}

#[test]
fn a_mix_of_all_faults_loses_nothing() {
    let trial = Trial::new("mix", 4, 300);
    let faults = Fault::transport(DEADLINE).into_iter().chain(Fault::answers());
    for fault in faults {
        trial.faults.add(Rule::rate(0.02, fault));
    }
    let run = trial.read(300);
    println!("{:?}: {:?}", run.took, trial.faults.counts());
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    assert!(trial.faults.counts().len() >= 10, "{:?}", trial.faults.counts());
}
