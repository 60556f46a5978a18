//! Records that are trimmed, and streams that are deleted, and perhaps created again.

use std::time::Instant;

use kinesis_consumer::{Config, Error, Gap, OnForeign, OnGap, OnTrimmed, Store};

use super::trial::{BORNE, PATIENCE, Run, SHARD, Trial};
use crate::common::logs;
use crate::common::support::{Fault, Operation, Rule};

/// After two batches the shard waits for `meanwhile`, after which its next call fails like this.
fn interrupted(
    trial: &Trial,
    config: Config,
    total: usize,
    meanwhile: impl Fn(),
    code: Option<&'static str>,
) -> Run {
    let held = Fault::refusal("ProvisionedThroughputExceededException");
    trial.faults.add(Rule::always(held).on(Operation::GetRecords).after(2));
    let mut batches = 0;
    Run::of(trial.stream(config), total, |_| {
        batches += 1;
        if batches == 2 {
            meanwhile();
            trial.faults.clear();
            if let Some(code) = code {
                trial.faults.add(Rule::once(Fault::refusal(code)).on(Operation::GetRecords));
            }
        }
    })
}

fn trimmed(trial: &Trial, config: Config) -> Run {
    let trim = || {
        trial.server.trim(trial.admin.stream(), 40);
        trial.put(20);
    };
    interrupted(trial, config, 36, trim, Some("ExpiredIteratorException"))
}

#[test]
fn records_trimmed_under_the_reader_are_reported_and_the_rest_is_read() {
    let trial = Trial::new("trimmed", 1, 40);
    let run = trimmed(&trial, Trial::config());
    run.result.as_ref().unwrap();
    let left: Vec<usize> = (0..16).chain(40..60).collect();
    assert_eq!(run.records[SHARD], left);
    let [Gap::Trimmed { shard, wanted: Some(wanted), available: Some(available), .. }] =
        &run.gaps[..]
    else {
        panic!("{:?}", run.gaps)
    };
    assert!(shard == SHARD && wanted < available);
    let warnings =
        logs::warnings("trimmed", "records may have left the stream before they were read");
    assert!(warnings.len() == 1 && warnings[0].contains("retention"), "{warnings:?}");
}

#[test]
fn records_trimmed_under_the_reader_are_an_error_if_that_is_wanted() {
    let trial = Trial::new("trimmed-fatal", 1, 40);
    let run = trimmed(&trial, Trial::config().on_gap(OnGap::new().trimmed(OnTrimmed::Fail)));
    let error = run.result.as_ref().unwrap_err();
    assert!(matches!(error, Error::Gap { gap: Gap::Trimmed { .. }, .. }), "{error:?}");
    assert_eq!(error.shard(), Some(SHARD));
    let text = run.error();
    assert!(text.contains("trimmed-fatal") && text.contains("retention"), "{text}");
    assert_eq!(run.count(), 16);
    // It was not read, so it is still there for whoever goes on.
    assert_eq!(trial.read(20).records[SHARD], (40..60).collect::<Vec<_>>());
}

#[test]
fn records_trimmed_while_nobody_read_are_reported_at_the_restart() {
    let trial = Trial::new("trimmed-between", 1, 40);
    assert_eq!(trial.read(40).count(), 40);
    trial.put(40);
    trial.server.trim("trimmed-between", 80);
    trial.put(20);
    let run = trial.read(20);
    assert_eq!(run.records[SHARD], (80..100).collect::<Vec<_>>());
    assert!(matches!(run.gaps[..], [Gap::Trimmed { .. }]), "{:?}", run.gaps);
}

/// Deletes the stream, and waits until it is gone.
fn delete(trial: &Trial) {
    trial.admin.delete().unwrap();
    let until = Instant::now() + PATIENCE;
    while trial.admin.shards().is_ok() {
        assert!(Instant::now() < until);
    }
}

/// The server's numbers hold the second in which a shard was made: in the same one they begin anew.
fn create_again(trial: &Trial) {
    let number = || {
        let shards = trial.admin.shards().unwrap();
        shards[0].sequence_number_range.starting_sequence_number.clone()
    };
    let (before, until) = (number(), Instant::now() + PATIENCE);
    while number() == before {
        assert!(Instant::now() < until);
        delete(trial);
        trial.admin.create(1).unwrap();
    }
    trial.put(20);
}

#[test]
fn a_stream_deleted_under_the_reader_is_an_error() {
    let trial = Trial::new("deleted", 1, 40);
    let config = Trial::config().max_outage(BORNE);
    let run = interrupted(&trial, config, 41, || delete(&trial), None);
    assert!(matches!(run.result, Err(Error::StreamNotFound { .. })), "{:?}", run.result);
    let text = run.error();
    assert!(text.contains("deleted") && text.contains("check its name"), "{text}");
    assert_eq!(run.records[SHARD], (0..16).collect::<Vec<_>>());
    // Started again, the same.
    let run = trial.read(1);
    assert!(matches!(run.result, Err(Error::StreamNotFound { .. })), "{:?}", run.result);
}

#[test]
fn a_stream_created_again_under_the_reader_is_a_gap() {
    for (name, choice) in [("again-fail", OnForeign::Fail), ("again-earliest", OnForeign::Earliest)]
    {
        let trial = Trial::new(name, 1, 40);
        let config = Trial::config().on_gap(OnGap::new().foreign(choice)).max_outage(BORNE * 20);
        let again = || create_again(&trial);
        let run = interrupted(&trial, config.clone(), 41, again, Some("ResourceNotFoundException"));
        // Whatever was chosen: the new stream may have other shards.
        let error = run.result.as_ref().unwrap_err();
        assert!(matches!(error, Error::Gap { gap: Gap::Foreign { .. }, .. }), "{error:?}");
        let text = run.error();
        assert!(
            text.contains(name) && text.contains(SHARD) && text.contains("choose where to start"),
            "{text}"
        );
        assert_eq!(run.records[SHARD], (0..16).collect::<Vec<_>>());
        let next = Run::of(trial.stream(config), 20, |_| {});
        if choice == OnForeign::Earliest {
            next.result.as_ref().unwrap();
            assert_eq!(next.records[SHARD], (40..60).collect::<Vec<_>>());
            assert!(matches!(next.gaps[..], [Gap::Recreated { .. }]), "{:?}", next.gaps);
        } else {
            assert!(matches!(next.result, Err(Error::Gap { .. })), "{:?}", next.result);
        }
    }
}

#[test]
fn a_stream_created_again_between_two_calls_is_read_from_its_start() {
    let trial = Trial::new("again-silently", 1, 40);
    let run = interrupted(&trial, Trial::config(), 36, || create_again(&trial), None);
    run.result.as_ref().unwrap();
    // The server takes the old token for the new stream.
    assert_eq!(run.records[SHARD], (0..16).chain(40..60).collect::<Vec<_>>());
}

#[test]
fn a_stream_created_again_while_nobody_read_is_a_gap_at_the_restart() {
    for (name, choice) in [
        ("anew-fail", OnForeign::Fail),
        ("anew-earliest", OnForeign::Earliest),
        ("anew-latest", OnForeign::Latest),
    ] {
        let trial = Trial::new(name, 1, 40);
        assert_eq!(trial.read(40).count(), 40);
        create_again(&trial);
        let failed = trial.read(20);
        let error = failed.result.as_ref().unwrap_err();
        assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error:?}");
        let text = failed.error();
        assert!(
            text.contains(name) && text.contains(SHARD) && text.contains("choose where to start"),
            "{text}"
        );
        let run = match choice {
            OnForeign::Fail => continue,
            OnForeign::Earliest => Run::of(
                trial.stream(Trial::config().on_gap(OnGap::new().foreign(choice))),
                20,
                |_| {},
            ),
            _ => {
                // It has begun when its position is stored; what is put then is new.
                let stream = trial.stream(Trial::config().on_gap(OnGap::new().foreign(choice)));
                let before = trial.store.get_shard_iterator(name, SHARD).unwrap();
                std::thread::scope(|scope| {
                    let run = scope.spawn(|| Run::of(stream, 10, |_| {}));
                    let until = Instant::now() + PATIENCE;
                    while trial.store.get_shard_iterator(name, SHARD).unwrap() == before {
                        assert!(Instant::now() < until);
                        std::thread::yield_now();
                    }
                    trial.put(10);
                    run.join().unwrap()
                })
            }
        };
        run.result.as_ref().unwrap();
        let wanted = if choice == OnForeign::Earliest { 40..60 } else { 60..70 };
        assert_eq!(run.records[SHARD], wanted.collect::<Vec<_>>());
        assert!(matches!(run.gaps[..], [Gap::Recreated { .. }]), "{:?}", run.gaps);
    }
}
