//! Answers that are errors of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kinesis_consumer::{Credentials, Error, ErrorClass, Stream};

use super::trial::{BORNE, OTHER_SHARD, Run, SHARD, Trial, at_once};
use crate::common::logs;
use crate::common::support::{Fault, Operation, Rule};

/// No wait before another attempt is shorter, also where the interval is zero.
const FLOOR: Duration = Duration::from_millis(50);

#[test]
fn a_throttle_or_a_failing_service_is_waited_out() {
    let fault = |status, code| Fault::Error { status, code };
    let faults = [
        ("throughput", Fault::refusal("ProvisionedThroughputExceededException")),
        ("limit", Fault::refusal("LimitExceededException")),
        ("kms", Fault::refusal("KMSThrottlingException")),
        ("throttling", Fault::refusal("ThrottlingException")),
        ("429", fault(429, None)),
        ("500", fault(500, None)),
        ("500-json", fault(500, Some("InternalFailure"))),
        ("503", fault(503, None)),
        ("503-json", fault(503, Some("ServiceUnavailable"))),
        ("unknown", fault(599, Some("SomethingNewException"))),
    ];
    at_once(faults, |(name, fault)| {
        let trial = Trial::new(name, 2, 60);
        trial.faults.add(Rule::times(2, fault.clone()).on(Operation::GetShardIterator));
        trial.faults.add(Rule::once(fault.clone()).on(Operation::ListShards));
        let run = trial.read_all_through(&fault, |fault| {
            Rule::times(3, fault).on(Operation::GetRecords).of(SHARD).after(1)
        });
        assert_eq!((trial.faults.count(&fault), run.gaps.len()), (6, 0));
        assert!(trial.limits(SHARD).iter().all(|limit| *limit == 8), "{name}: no matter of size");
        // The token stays good.
        assert_eq!(trial.calls(Operation::GetShardIterator), 4, "{name}");
    });
}

#[test]
fn a_throttled_shard_waits_with_a_floor_and_says_so_once() {
    let trial = Trial::new("throttled", 2, 60);
    let throttled = Fault::refusal("ProvisionedThroughputExceededException");
    trial.faults.add(Rule::times(4, throttled).on(Operation::GetRecords).of(SHARD).after(1));
    // Not zero: the other shard would make more calls than the layer remembers.
    let config = Trial::config().interval(Duration::from_millis(1));
    let run = Run::of(trial.stream(config), 60, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    trial.check_warnings(SHARD);
    assert_eq!(logs::warnings("throttled", OTHER_SHARD), [""; 0], "the other shard goes on");
    let seen = trial.faults.seen();
    let calls: Vec<Instant> = seen
        .iter()
        .filter(|it| it.operation == Operation::GetRecords && it.shard.as_deref() == Some(SHARD))
        .map(|it| it.at)
        .collect();
    for pair in calls[1..6].windows(2) {
        assert!(pair[1] - pair[0] >= FLOOR, "{:?}", pair[1] - pair[0]);
    }
}

#[test]
fn an_expired_iterator_resumes_after_the_last_record_read_at_once() {
    let expired = Fault::refusal("ExpiredIteratorException");
    at_once([0, 1, 3, 6], |after| {
        let trial = Trial::new("expired", 1, 60);
        let run = trial.read_all_through(&expired, |fault| {
            Rule::once(fault).on(Operation::GetRecords).after(after)
        });
        assert_eq!(run.gaps, []);
        let types: Vec<_> =
            trial.faults.seen().into_iter().filter_map(|request| request.iterator_type).collect();
        let second = if after == 0 { "TRIM_HORIZON" } else { "AT_SEQUENCE_NUMBER" };
        assert_eq!(types, ["TRIM_HORIZON", second]);
    });
    assert_eq!(logs::warnings("expired", ""), [""; 0], "that is no failure");

    let trial = Trial::new("expired-often", 2, 60);
    // Of one shard: two that call in turns would let every call of one of them expire, for as long as they do.
    trial.read_all_through(&expired, |fault| {
        Rule::every(2, fault).on(Operation::GetRecords).of(SHARD)
    });
    let trial = Trial::new("expired-thrice", 2, 60);
    trial.read_all_through(&expired, |fault| {
        Rule::times(3, fault).on(Operation::GetRecords).of(SHARD).after(1)
    });
    trial.check_warnings(SHARD);
}

#[test]
fn an_iterator_that_really_expires_is_replaced() {
    let trial = Trial::with("expires", 1, 60, |mut options| {
        options.iterator_ttl_seconds = 1;
        options
    });
    // The token stays good while the service fails, but not for ever.
    let down = Fault::Error { status: 500, code: None };
    let run = trial
        .read_all_through(&down, |fault| Rule::times(5, fault).on(Operation::GetRecords).after(2));
    assert_eq!(run.gaps, []);
}

/// Reads until the fatal answer, then on without it: nothing is lost, nothing comes twice.
fn is_fatal(name: &str, code: &'static str, says: &str) {
    for operation in [Operation::GetRecords, Operation::GetShardIterator, Operation::ListShards] {
        let trial = Trial::new(name, 2, 60);
        let rule = Rule::always(Fault::refusal(code)).on(operation);
        let is_read = operation == Operation::GetRecords;
        let rule = if is_read { rule.of(SHARD).after(2) } else { rule };
        trial.faults.add(rule);
        // Some of them may pass, and are borne for a while.
        let config = Trial::config().start_patience(BORNE).max_outage(BORNE);
        let run = Run::of(trial.stream(config), 61, |_| {});
        let error = run.result.as_ref().unwrap_err();
        let Error::Client { stream, shard, source, .. } = error else { panic!("{error:?}") };
        assert_eq!((stream.as_str(), source.code()), (name, Some(code)));
        assert_eq!(shard.is_some(), operation != Operation::ListShards, "{error:?}");
        assert_eq!(source.class(), ErrorClass::Fatal);
        let text = run.error();
        assert!(text.contains(name) && text.contains(says), "{text}");
        assert!(!is_read || text.contains(SHARD), "{text}");
        assert!(text.contains(&format!("{operation:?} answered {code}")), "{text}");
        assert_eq!(is_read, run.count() > 0);

        trial.faults.clear();
        trial.check_all([&run, &trial.read(60 - run.count())]);
    }
}

#[test]
fn a_fatal_answer_stops_reading_with_what_to_do() {
    let codes = [
        ("denied", "AccessDeniedException", "the credentials need kinesis:"),
        ("kms-denied", "KMSAccessDeniedException", "kms:Decrypt"),
        ("kms-disabled", "KMSDisabledException", "enable the key"),
        ("kms-state", "KMSInvalidStateException", "check the state"),
        ("kms-missing", "KMSNotFoundException", "key exists in this region"),
        ("kms-opt-in", "KMSOptInRequired", "the account must subscribe"),
        ("clock", "RequestExpired", "check the clock"),
        ("signature", "InvalidSignatureException", "check the clock"),
    ];
    at_once(codes, |(name, code, says)| is_fatal(name, code, says));
}

/// A client whose keys are numbered, and how often it asked for new ones.
fn numbered(trial: &Trial) -> (Stream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let next = move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Ok(Credentials::new(format!("key{number}"), "secret").with_session_token("token"))
    };
    let client = trial.builder().credentials_provider(next).build().unwrap();
    let (name, store) = (trial.admin.stream(), Arc::clone(&trial.store));
    (Stream::new(client, name, store, Trial::config()).unwrap(), asked)
}

#[test]
fn expired_credentials_are_replaced_and_the_call_tried_again() {
    at_once(["ExpiredTokenException", "UnrecognizedClientException"], |code| {
        for operation in [Operation::GetRecords, Operation::GetShardIterator, Operation::ListShards]
        {
            let trial = Trial::new("credentials", 1, 60);
            trial.faults.add(Rule::once(Fault::refusal(code)).on(operation));
            let (stream, asked) = numbered(&trial);
            let run = Run::of(stream, 60, |_| {});
            run.result.as_ref().unwrap();
            trial.check_all([&run]);
            assert_eq!(asked.load(Ordering::SeqCst), 2);
            let seen = trial.faults.seen();
            let of_it = seen.iter().filter(|request| request.operation == operation);
            let keys: Vec<_> = of_it.filter_map(|request| request.key.clone()).collect();
            assert_eq!(keys[..2], ["key0", "key1"]);
        }
    });
}

#[test]
fn credentials_that_expire_for_all_shards_at_once_are_replaced_once() {
    let trial = Trial::new("credentials-all", 4, 120);
    let expired = Fault::refusal("ExpiredTokenException");
    for shard in 0..4 {
        let shard = format!("shardId-{shard:012}");
        let rule = Rule::once(expired.clone()).on(Operation::GetRecords);
        trial.faults.add(rule.of(&shard).after(1));
    }
    let (stream, asked) = numbered(&trial);
    let run = Run::of(stream, 120, |_| {});
    run.result.as_ref().unwrap();
    trial.check_all([&run]);
    assert_eq!(trial.faults.count(&expired), 4);
    assert!((2..=5).contains(&asked.load(Ordering::SeqCst)));
}

#[test]
fn a_refusal_that_passes_does_not_end_a_reader() {
    let codes = [
        "InvalidSignatureException",
        "RequestExpired",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    ];
    at_once(codes, |code| {
        let trial = Trial::new(&format!("passes-{}", code.len()), 2, 60);
        let refusal = Fault::refusal(code);
        trial.read_all_through(&refusal, |fault| {
            Rule::once(fault).on(Operation::GetRecords).of(SHARD).after(2)
        });
    });
}

#[test]
fn credentials_that_are_refused_again_are_fatal() {
    let trial = Trial::new("refused-keys", 2, 60);
    let refused = Fault::refusal("UnrecognizedClientException");
    trial.faults.add(Rule::always(refused).on(Operation::GetRecords).of(SHARD).after(2));
    let run = trial.read(61);
    let error = run.result.as_ref().unwrap_err();
    assert!(
        matches!(error, Error::Client { source, .. } if source.class() == ErrorClass::Credentials)
    );
    assert_eq!(error.shard(), Some(SHARD));
    let text = run.error();
    assert!(text.contains("refused-keys") && text.contains("check the access key"), "{text}");
    trial.faults.clear();
    trial.check_all([&run, &trial.read(60 - run.count())]);
}
