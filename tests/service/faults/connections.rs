//! Connections that are refused, reset, or closed.

use std::time::Duration;

use kinesis_consumer::Error;

use super::trial::{OTHER_SHARD, Run, SHARD, Trial};
use crate::common::logs;
use crate::common::support::{Fault, Operation, Rule};

const HALF_SECOND: Duration = Duration::from_millis(500);

#[test]
fn a_server_that_is_away_is_waited_for() {
    let trial = Trial::new("refused", 2, 100);
    let away = Fault::Refused(HALF_SECOND);
    let run = trial.read_all_through(&away, |fault| {
        Rule::once(fault).on(Operation::GetRecords).of(SHARD).after(2)
    });
    assert!(run.took >= HALF_SECOND, "{:?}", run.took);
    // Every connection is closed: the other shard is away as well, which may have had nothing more to read.
    let warnings = logs::warnings("refused", "");
    let [failing, recovered @ ..] = &warnings[..] else { panic!("no warning") };
    assert!(failing.contains("no answer from http://127.0.0.1:"), "{failing}");
    let is_one = recovered.len() <= 1;
    assert!(
        is_one && recovered.iter().all(|it| it.contains("reads recovered after ")),
        "{warnings:?}"
    );
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() {
    let trial = Trial::new("refused-first", 2, 50);
    let away = Fault::Refused(HALF_SECOND);
    trial.read_all_through(&away, |fault| Rule::once(fault).on(Operation::ListShards));
    let warnings = logs::warnings("refused-first", "");
    let [failing, recovered] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(failing.contains("ListShards failed"), "{failing}");
    assert!(recovered.contains("listings recovered after "), "{recovered}");
}

#[test]
fn a_server_that_never_comes_is_an_error_when_start_patience_ends() {
    let trial = Trial::new("refused-ever", 1, 0);
    trial.faults.add(Rule::always(Fault::Refused(Duration::from_secs(10))));
    let config = Trial::config().start_patience(HALF_SECOND);
    let run = Run::of(trial.stream(config), 1, |_| {});
    assert!(matches!(run.result, Err(Error::Client { shard: None, .. })), "{:?}", run.result);
    assert!(run.took >= HALF_SECOND, "{:?}", run.took);
    let text = run.error();
    assert!(text.contains("refused-ever") && text.contains("http://127.0.0.1:"), "{text}");
    assert!(text.contains("ListShards") && text.contains("refused"), "{text}");
}

#[test]
fn an_outage_ends_reading_only_where_it_is_bounded() {
    let trial = Trial::new("outage", 1, 40);
    let down = Fault::Error { status: 503, code: None };
    trial.faults.add(Rule::always(down).on(Operation::GetRecords).after(2));
    let config = Trial::config().max_outage(HALF_SECOND);
    let run = Run::of(trial.stream(config), 40, |_| {});
    assert!(matches!(run.result, Err(Error::Client { shard: Some(_), .. })), "{:?}", run.result);
    assert!(run.took >= HALF_SECOND, "{:?}", run.took);
    assert_eq!(run.result.as_ref().unwrap_err().shard(), Some(SHARD));
    trial.faults.clear();
    trial.put(10);
    let rest = trial.read(50 - run.count());
    trial.check_all([&run, &rest]);
}

#[test]
fn a_connection_that_breaks_once_is_replaced_without_a_word() {
    for fault in [Fault::Reset, Fault::Closed, Fault::ClosedAfter] {
        let trial = Trial::new("broken-once", 2, 100);
        trial.read_all_through(&fault, |fault| Rule::every(3, fault));
        assert_eq!(logs::warnings("broken-once", ""), [""; 0], "{fault:?}");
    }
}

#[test]
fn connections_that_break_again_and_again_are_a_failure_that_ends() {
    for (name, fault) in [("resets", Fault::Reset), ("closes", Fault::Closed)] {
        let trial = Trial::new(name, 2, 100);
        // One more than the client tries at once.
        trial.read_all_through(&fault, |fault| {
            Rule::times(4, fault).on(Operation::GetRecords).of(SHARD).after(2)
        });
        trial.check_warnings(SHARD);
        assert_eq!(logs::warnings(name, OTHER_SHARD), [""; 0]);
    }
}

#[test]
fn a_server_that_closes_after_each_answer_is_read_from() {
    let trial = Trial::new("closed-after", 2, 100);
    let run = trial.read_all_through(&Fault::ClosedAfter, Rule::always);
    assert_eq!(run.count(), 100);
    assert_eq!(logs::warnings("closed-after", ""), [""; 0]);
}
