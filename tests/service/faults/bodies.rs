//! Answers with wrong bytes.

use std::sync::Arc;
use std::time::Duration;

use kinesis_consumer::Stream;

use super::trial::{DEADLINE, OTHER_SHARD, Run, SHARD, Trial, at_once};
use crate::common::logs;
use crate::common::support::{Fault, Operation, Rule};

/// Reads through the fault in mid-stream, once, which is a failure with its two warnings.
fn is_survived(name: &str, fault: &Fault) -> Trial {
    let trial = Trial::new(name, 2, 100);
    trial.read_all_through(fault, |fault| {
        Rule::once(fault).on(Operation::GetRecords).of(SHARD).after(2)
    });
    trial.check_warnings(SHARD);
    assert_eq!(logs::warnings(name, OTHER_SHARD), [""; 0]);
    trial
}

/// Checks that the call after the third, which failed, asked for half, and the ones after it for more.
fn has_halved(trial: &Trial) {
    assert_eq!(trial.limits(SHARD)[..6], [8, 8, 8, 4, 8, 8]);
    assert!(trial.limits(OTHER_SHARD).iter().all(|limit| *limit == 8));
}

#[test]
fn a_truncated_body_is_asked_for_again_with_half_the_limit() {
    has_halved(&is_survived("truncated", &Fault::Truncated));
}

#[test]
fn a_reset_in_mid_body_is_a_failure_that_ends() {
    is_survived("reset-in-body", &Fault::ResetInBody);
}

#[test]
fn a_stall_in_mid_body_is_given_up_and_asked_for_again_with_half_the_limit() {
    has_halved(&is_survived("stalled", &Fault::Stalled));
}

#[test]
fn a_body_shorter_than_announced_is_given_up_at_the_deadline() {
    has_halved(&is_survived("too-long", &Fault::LengthTooLong));
}

#[test]
fn a_body_longer_than_announced_is_asked_for_again_with_half_the_limit() {
    let trial = is_survived("too-short", &Fault::LengthTooShort);
    has_halved(&trial);
    // What is left of the body must not be taken for the next answer.
    let warnings = logs::warnings("too-short", "");
    assert!(warnings[0].contains("ends too early"), "{warnings:?}");
}

#[test]
fn a_drip_that_is_too_slow_is_given_up_and_one_that_is_not_is_read() {
    let every = Duration::from_millis(50);
    has_halved(&is_survived("drip", &Fault::Dripped { bytes: 10, every: 2 * every }));

    let trial = Trial::new("quick-drip", 2, 30);
    let quick = Fault::Dripped { bytes: 400, every };
    trial.read_all_through(&quick, Rule::always);
    assert_eq!(logs::warnings("quick-drip", ""), [""; 0]);
}

#[test]
fn the_limit_falls_to_one_and_doubles_back() {
    let trial = Trial::new("halving", 1, 100);
    trial.read_all_through(&Fault::Truncated, |fault| {
        Rule::times(4, fault).on(Operation::GetRecords).after(1)
    });
    assert_eq!(trial.limits(SHARD)[..10], [8, 8, 4, 2, 1, 1, 2, 4, 8, 8]);
    trial.check_warnings(SHARD);
}

#[test]
fn malformed_json_is_asked_for_again() {
    let trial = is_survived("malformed", &Fault::Malformed);
    let warnings = logs::warnings("malformed", "");
    assert!(warnings[0].contains("application/x-amz-json-1.1"), "{warnings:?}");
    assert!(trial.limits(SHARD).iter().all(|limit| *limit == 8), "it is no matter of size");
}

#[test]
fn a_gateways_page_is_no_answer() {
    is_survived("html", &Fault::Html);
    assert!(logs::warnings("html", "")[0].contains("text/html"));
}

#[test]
fn a_header_that_is_no_ascii_harms_nobody() {
    let trial = Trial::new("foreign-header", 2, 100);
    trial.read_all_through(&Fault::ForeignHeader, Rule::always);
    assert_eq!(logs::warnings("foreign-header", ""), [""; 0]);
}

#[test]
fn answers_about_the_stream_may_be_broken_too() {
    let every = DEADLINE / 10; // in more than ten pieces
    let faults = [
        Fault::Reset,
        Fault::Closed,
        Fault::NoAnswer,
        Fault::Stalled,
        Fault::Dripped { bytes: 10, every },
        Fault::Truncated,
        Fault::ResetInBody,
        Fault::LengthTooLong,
        Fault::LengthTooShort,
        Fault::Malformed,
        Fault::Html,
    ];
    at_once(faults, |fault| {
        let trial = Trial::new("about-the-stream", 2, 20);
        trial.faults.add(Rule::once(fault.clone()).on(Operation::ListShards));
        trial.read_all_through(&fault, |fault| Rule::once(fault).on(Operation::GetShardIterator));
        assert_eq!(trial.faults.count(&fault), 2, "{fault:?}");
    });
}

/// A gateway that lets no large body pass would otherwise stop the shard for good.
#[test]
fn bodies_that_a_gateway_cuts_are_asked_for_in_smaller_pieces() {
    let trial = Trial::new("gateway", 1, 60);
    let cut = Fault::CutTo(1_500);
    let config = Trial::config().max_outage(DEADLINE * 5);
    trial.faults.add(Rule::always(cut).on(Operation::GetRecords));
    let run = Run::of(trial.stream(config), 60, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    assert!(trial.limits(SHARD).contains(&4), "{:?}", trial.limits(SHARD));
}

/// The embedded server gives all at once, while Amazon gives 10 MiB at most.
#[test]
fn an_answer_of_more_than_32_mib_is_asked_for_in_smaller_pieces() {
    let trial = Trial::new("huge", 1, 0);
    trial.put_of_size(40, 900_000);
    let config = Trial::config().limit(64).max_outage(DEADLINE * 5);
    let client = trial.builder().deadline(DEADLINE * 20).build().unwrap();
    let stream = Stream::new(client, "huge", Arc::clone(&trial.store), config).unwrap();
    let run = Run::of(stream, 40, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    assert_eq!(trial.limits(SHARD)[..2], [64, 32]);
}
