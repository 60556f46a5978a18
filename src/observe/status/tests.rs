use super::*;

#[test]
fn every_state_is_read_back() {
    let status = Status::new(Duration::ZERO, Meter::new("stream", "shard"));
    for (number, state) in ShardState::ALL.into_iter().enumerate() {
        assert_eq!(state as usize, number);
        status.reads(Duration::ZERO, state);
        assert_eq!(status.state(), state);
    }
    status.handles(Duration::ZERO, Some(ShardState::Parked));
    assert_eq!(status.state(), ShardState::Parked);
    status.handles(Duration::ZERO, None);
    assert_eq!(status.state(), ShardState::Lost);
}

#[test]
fn progress_never_goes_back() {
    let status = Status::new(Duration::from_secs(5), Meter::new("stream", "shard"));
    status.progresses(Duration::from_secs(3));
    assert_eq!(status.progressed(), Duration::from_secs(5));
}

#[test]
fn who_had_nothing_to_do_has_not_stalled_when_it_goes_on() {
    let seconds = Duration::from_secs;
    for idle in [ShardState::Idle, ShardState::Paused] {
        let status = Status::new(seconds(0), Meter::new("stream", "shard"));
        status.reads(seconds(1), idle);
        status.reads(seconds(3_600), ShardState::Calling);
        status.reads(seconds(3_700), ShardState::BackingOff);
        assert_eq!(status.progressed(), seconds(3_600));
    }
}

#[test]
fn answers_are_no_progress_while_the_handler_has_a_batch() {
    let seconds = Duration::from_secs;
    let status = Status::new(seconds(0), Meter::new("stream", "shard"));
    status.handles(seconds(7), Some(ShardState::Handling));
    status.handles(seconds(8), Some(ShardState::Parked));
    status.progresses(seconds(9));
    assert_eq!(status.progressed(), seconds(7));
    status.handles(seconds(10), None);
    assert_eq!(status.progressed(), seconds(9));
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn behind(status: &Status, now: u64) -> Option<u64> {
    let mut progress = ShardProgress::new("shard", ShardState::Idle);
    status.tell(seconds(now), &mut progress);
    progress.behind_latest.map(|behind| behind.as_secs())
}

#[test]
fn who_fails_falls_behind_until_it_is_answered_again() {
    let status = Status::new(seconds(0), Meter::new("stream", "shard"));
    status.answered(seconds(10), seconds(0), Some(seconds(2)));
    status.reads(seconds(10), ShardState::Idle);
    assert_eq!(behind(&status, 11), Some(2));
    for failure in [11, 15] {
        status.reads(seconds(failure), ShardState::Calling);
        assert_eq!(behind(&status, failure), Some(if failure == 11 { 2 } else { 7 }));
        status.failed(seconds(failure), ErrorClass::Throttled);
        status.reads(seconds(failure), ShardState::BackingOff);
    }
    assert_eq!(behind(&status, 3_610), Some(3_602));
    status.answered(seconds(3_611), seconds(0), Some(seconds(0)));
    assert_eq!(behind(&status, 3_611), Some(0));
}

#[test]
fn who_is_held_up_falls_behind_whatever_the_last_answer_said() {
    use ShardState::{Paused, WaitingForBudget, WaitingForChannel};
    for state in [WaitingForBudget, WaitingForChannel, Paused] {
        let status = Status::new(seconds(0), Meter::new("stream", "shard"));
        status.answered(seconds(1), seconds(0), Some(seconds(0)));
        status.reads(seconds(1), state);
        assert_eq!(behind(&status, 10), Some(9), "{state}");
    }
}

#[test]
fn a_call_that_hangs_falls_behind_and_a_usual_one_does_not() {
    let status = Status::new(seconds(0), Meter::new("stream", "shard"));
    status.answered(seconds(1), seconds(0), Some(seconds(0)));
    status.reads(seconds(3_601), ShardState::Calling);
    assert_eq!(behind(&status, 3_601), Some(0), "the interval is an hour");
    assert_eq!(behind(&status, 3_609), Some(8));
}

#[test]
fn who_waits_for_the_interval_or_was_read_to_its_end_does_not_fall_behind() {
    let status = Status::new(seconds(0), Meter::new("stream", "shard"));
    assert_eq!(behind(&status, 9), None, "nobody knows");
    status.answered(seconds(9), seconds(0), Some(seconds(7)));
    status.reads(seconds(9), ShardState::Idle);
    assert_eq!(behind(&status, 3_600), Some(7));
    status.reads(seconds(3_600), ShardState::Ended);
    assert_eq!(behind(&status, 9_999), Some(0));
}

#[test]
fn who_was_never_answered_falls_behind_from_its_start_on() {
    let status = Status::new(seconds(5), Meter::new("stream", "shard"));
    status.failed(seconds(6), ErrorClass::Transient);
    assert_eq!(behind(&status, 65), Some(60));
    status.leaves(seconds(66));
    assert_eq!(behind(&status, 9_999), Some(61), "the run is over");
}
