//! Amazon's limits, and everything at once.

use std::time::{Duration, Instant};

use super::trial::{DEADLINE, OTHER_SHARD, Run, SHARD, Trial};
use crate::common::support::{Fault, Operation, Rule};

const SECOND: Duration = Duration::from_secs(1);
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
    was_refused(&trial, SECOND / 5);
    assert_eq!(trial.calls(Operation::GetShardIterator), 1, "the token stays good");
    trial.check_warnings_in_pairs(SHARD);
}

/// Some call was over the limits, unless the machine is so busy that the calls are further apart.
fn was_refused(trial: &Trial, apart: Duration) {
    let refused = trial.faults.counts().get(OVER).copied().unwrap_or_default();
    let seen = trial.faults.seen();
    let calls = seen.iter().filter(|it| it.operation == Operation::GetRecords).map(|it| it.at);
    let calls: Vec<Instant> = calls.collect();
    let is_slow = calls.windows(2).any(|pair| pair[1] - pair[0] > apart);
    assert!(refused > 0 || is_slow, "{refused} of {} calls were refused", calls.len());
}

#[test]
fn a_reader_makes_no_more_calls_than_its_interval_allows() {
    let trial = Trial::new("pace", 2, 200);
    let (interval, began) = (SECOND / 5, Instant::now());
    let run = Run::of(trial.stream(Trial::config().interval(interval)), 200, |_| {});
    let allowed = began.elapsed().as_secs_f64() / interval.as_secs_f64() + 1.0;
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    for shard in [SHARD, OTHER_SHARD] {
        let calls = trial.limits(shard).len();
        assert!(calls > 8 && calls as f64 <= allowed, "{calls} of {allowed}");
    }
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
    was_refused(&trial, SECOND);
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
