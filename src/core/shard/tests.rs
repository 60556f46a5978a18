//! Each corner of reading one shard, step by step.

use std::time::SystemTime;

use super::*;
use crate::config::Config;
use crate::core::event::Proof;
use crate::core::settings::{OnForeign, OnGap, OnTrimmed};
use crate::core::shard::probing::{MAX_QUIET, QUICK};
use crate::core::shard::step::Write;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::error::store::StoreError;
use crate::model::listed::StreamStatus;
use crate::model::position::IteratorType;
use crate::model::shard::{ChildShard, HashKeyRange};
use crate::record::builder::RecordsBuilder;

const NOON: SystemTime = UNIX_EPOCH;

struct Trial {
    poller: Poller,
    rng: fastrand::Rng,
    now: Duration,
    /// The last call that was asked for, and when the last one for records was.
    last: Call,
    called: Duration,
}

fn number(value: u64) -> SequenceNumber {
    value.to_string().parse().unwrap()
}

fn shard() -> Shard {
    Shard::new("shardId-000000000000", HashKeyRange::ALL, number(100))
}

fn trial_of(shard: Shard, at: StartAt, config: Config) -> Trial {
    let start = Start { shard, at, gap: None };
    let poller = Poller::new("orders".into(), start, config.shard_settings(false), Duration::ZERO);
    Trial {
        poller,
        rng: fastrand::Rng::with_seed(3),
        now: Duration::ZERO,
        last: Call::GetIterator,
        called: Duration::ZERO,
    }
}

fn trial_with(at: StartAt, config: Config) -> Trial {
    trial_of(shard(), at, config)
}

/// Of a shard that a listing shows closed which was made after its end was claimed.
fn closed_trial() -> Trial {
    let mut trial = trial(fresh()).begun();
    assert!(matches!(trial.gets_claim(&[]), Step::Confirm));
    assert!(matches!(trial.is_told(Proof::Closed), Step::GetIterator(_)));
    trial.gets_iterator();
    trial
}

/// This machine's clock.
fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn trial(at: StartAt) -> Trial {
    trial_with(at, Config::new())
}

fn fresh() -> StartAt {
    StartAt::Fresh(IteratorType::TrimHorizon)
}

fn resumed(value: u64) -> StartAt {
    StartAt::Stored(Position::after(number(value)))
}

fn answer(numbers: &[u64], next: Option<&str>) -> Answer {
    let mut records = RecordsBuilder::default();
    for value in numbers {
        records.push(&number(*value), "key", NOON, b"data");
    }
    Answer::new(records.build(), next.map(Token::new))
}

fn numbers(delivery: &Delivery) -> Vec<u64> {
    delivery.records.iter().map(|record| record.sequence_number().parse().unwrap()).collect()
}

impl Trial {
    fn step(&mut self, outcome: Outcome) -> Step {
        let step = self.poller.step(self.now, &mut self.rng, outcome);
        match &step {
            Step::GetIterator(_) => self.last = Call::GetIterator,
            Step::GetRecords { .. } => (self.last, self.called) = (Call::GetRecords, self.now),
            Step::Describe => self.last = Call::Describe,
            _ => {}
        }
        step
    }

    fn troubles(&mut self) -> Vec<Trouble> {
        let news = self.poller.take_news().into_iter();
        news.filter_map(|news| match news {
            News::Trouble(trouble) => Some(trouble),
            News::Gap(_) => None,
        })
        .collect()
    }

    fn answers(&mut self, answer: Answer) -> Step {
        self.reads(answer.into())
    }

    fn reads(&mut self, read: Read) -> Step {
        self.step(Outcome::Records { begun: self.called, read: Ok(read) })
    }

    fn fails(&mut self, class: ErrorClass) -> Step {
        let error = ClientError::new(class, "GetRecords", "");
        match self.last {
            Call::GetIterator => self.step(Outcome::Iterator(Err(error), wall())),
            Call::GetRecords => {
                self.step(Outcome::Records { begun: self.called, read: Err(error) })
            }
            Call::Describe => self.step(Outcome::Status(Err(error))),
        }
    }

    fn gets_iterator(&mut self) -> Step {
        self.gets_iterator_at(Some(UNIX_EPOCH + Duration::from_secs(50)))
    }

    fn gets_iterator_at(&mut self, server_time: Option<SystemTime>) -> Step {
        let iterator = ShardIterator::new(Token::new("t"), server_time);
        self.step(Outcome::Iterator(Ok(iterator), wall()))
    }

    fn gets(&mut self, numbers: &[u64]) -> Step {
        self.answers(answer(numbers, Some("next")))
    }

    /// The answer that ends the shard, with its children.
    fn gets_last(&mut self, numbers: &[u64]) -> Step {
        let child = ChildShard::new("shardId-000000000001", Vec::new(), HashKeyRange::ALL);
        let answer = answer(numbers, None).with_children([child]);
        self.answers(answer)
    }

    /// An answer that claims the shard's end, and names no children.
    fn gets_claim(&mut self, numbers: &[u64]) -> Step {
        let answer = answer(numbers, None).with_behind_latest(Duration::ZERO);
        self.answers(answer)
    }

    /// An answer without records that is not behind, at this time of the service.
    fn catches_up(&mut self, server_time: SystemTime) -> Step {
        let answer = answer(&[], Some("next")).with_behind_latest(Duration::ZERO);
        self.answers(answer.with_server_time(server_time))
    }

    fn is_told(&mut self, proof: Proof) -> Step {
        self.step(Outcome::Confirmed(proof))
    }

    /// Up to the first `GetRecords`.
    fn begun(mut self) -> Self {
        assert!(matches!(self.step(Outcome::Waited), Step::GetIterator(_)));
        assert!(matches!(self.gets_iterator(), Step::GetRecords { .. }));
        self
    }

    /// The same call fails again and again, until the next step is not a wait.
    fn fails_until_it_is_final(&mut self, class: ErrorClass) -> Step {
        let mut step = self.fails(class);
        while let Step::Wait(wait) = step {
            assert!(self.now < Duration::from_secs(90));
            self.now += wait;
            self.step(Outcome::Waited);
            step = self.fails(class);
        }
        assert!(self.now >= Duration::from_secs(60));
        step
    }

    fn iterator_of(&self, step: &Step) -> IteratorType {
        let Step::GetIterator(at) = step else { panic!("{step:?}") };
        at.clone()
    }
}

fn delivered(step: Step) -> Delivery {
    let Step::Deliver(delivery) = step else { panic!("{step:?}") };
    *delivery
}

#[test]
fn the_interval_runs_from_call_to_call() {
    let mut trial = trial(fresh()).begun();
    trial.now = Duration::from_millis(300);
    assert_eq!(numbers(&delivered(trial.gets(&[101, 102]))), [101, 102]);
    trial.now = Duration::from_millis(400);
    let step = trial.step(Outcome::Delivered);
    assert!(matches!(step, Step::Wait(wait) if wait == Duration::from_millis(600)), "{step:?}");
    trial.now = Duration::from_millis(1000);
    assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
    // After a handler that took longer than the interval there is no further wait.
    trial.now = Duration::from_millis(2500);
    assert!(matches!(trial.gets(&[]), Step::GetRecords { .. }));
}

#[test]
fn a_shard_that_is_behind_may_be_read_at_a_shorter_interval() {
    let millis = Duration::from_millis;
    let config = Config::new().catch_up_interval(millis(200));
    let mut trial = trial_with(fresh(), config).begun();
    let mut wait_when = |behind: u64| {
        let behind_latest = Some(millis(behind));
        let answer = Answer { behind_latest, ..answer(&[], Some("next")) };
        let Step::Wait(wait) = trial.answers(answer) else { panic!() };
        trial.now += wait;
        assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
        wait
    };
    assert_eq!([0, 5000, 1, 0].map(&mut wait_when), [1000, 200, 200, 1000].map(millis));
}

#[test]
fn an_expired_iterator_resumes_after_the_last_record_read() {
    let mut trial = trial(fresh()).begun();
    delivered(trial.gets(&[101, 102]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    let step = trial.fails(ErrorClass::ExpiredIterator);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(102)));
    trial.gets_iterator();
    let delivery = delivered(trial.gets(&[102, 103]));
    assert_eq!(numbers(&delivery), [103]);
    assert_eq!(delivery.gap, None);
}

#[test]
fn an_old_token_is_replaced_before_use() {
    let mut trial = trial(fresh()).begun();
    delivered(trial.gets(&[101]));
    trial.now = TOKEN_LIFE;
    let step = trial.step(Outcome::Delivered);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(101)));
}

#[test]
fn tokens_that_do_not_outlive_the_interval_still_come_to_the_shards_end() {
    let config = Config::new().interval(Duration::from_secs(3600)).limit(1);
    let mut trial = trial_with(fresh(), config).begun();
    delivered(trial.gets(&[101]));
    trial.step(Outcome::Delivered);
    trial.now += Duration::from_secs(3600);
    trial.step(Outcome::Waited);
    let step = trial.gets_iterator();
    assert!(matches!(step, Step::GetRecords { limit: 2, .. }), "{step:?}");
    for numbers in [vec![101], vec![], vec![]] {
        let step = trial.gets(&numbers);
        assert!(matches!(step, Step::Wait(wait) if wait == QUICK), "{step:?}");
        assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
    }
    assert!(delivered(trial.gets_last(&[])).through.is_end());
}

#[test]
fn an_idle_shard_is_probed_a_few_times_and_then_left_in_peace() {
    let config = Config::new().interval(Duration::from_secs(3600));
    let mut trial = trial_with(fresh(), config).begun();
    assert!(matches!(trial.gets(&[]), Step::Wait(wait) if wait > TOKEN_LIFE));
    trial.now += Duration::from_secs(3600);
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    let mut quick = 0;
    while matches!(trial.gets(&[]), Step::Wait(wait) if wait == QUICK) {
        trial.step(Outcome::Waited);
        quick += 1;
    }
    assert_eq!(quick, MAX_QUIET);
}

#[test]
fn a_restart_resumes_without_repeating_and_a_batch_of_nothing_new_is_not_sent() {
    let mut trial = trial(resumed(105)).begun();
    // An empty answer proves nothing about missing records.
    assert!(matches!(trial.gets(&[]), Step::Wait(_)));
    trial.step(Outcome::Waited);
    let delivery = delivered(trial.gets(&[105, 106]));
    assert_eq!((numbers(&delivery), delivery.gap), (vec![106], None));
}

#[test]
fn only_the_record_resumed_at_is_nothing_to_deliver() {
    let mut trial = trial(resumed(105)).begun();
    assert!(matches!(trial.gets(&[105]), Step::Wait(_)));
}

#[test]
fn a_trimmed_position_is_reported_and_read_on() {
    let mut trial = trial(resumed(105)).begun();
    let delivery = delivered(trial.gets(&[109]));
    assert_eq!(numbers(&delivery), [109]);
    let shard = "shardId-000000000000".into();
    let (wanted, available) = (Some(number(105)), Some(number(109)));
    assert_eq!(delivery.gap, Some(Gap::Trimmed { shard, wanted, available }));
}

#[test]
fn a_trimmed_position_is_an_error_if_asked_also_at_the_shards_end() {
    for last in [vec![109], vec![]] {
        let config = Config::new().on_gap(OnGap::new().trimmed(OnTrimmed::Fail));
        let mut trial = trial_with(resumed(105), config).begun();
        let step = trial.gets_last(&last);
        assert!(matches!(step, Step::Fail(Error::Gap { gap: Gap::Trimmed { .. }, .. })));
    }
}

#[test]
fn latest_is_stored_as_the_servers_time_before_the_first_read() {
    let mut trial = trial(StartAt::Fresh(IteratorType::Latest));
    trial.step(Outcome::Waited);
    let time = UNIX_EPOCH + Duration::from_secs(49);
    let step = trial.gets_iterator();
    assert!(
        matches!(&step, Step::Store { to: Position::Since(at), how: Write::Forward } if *at == time),
        "{step:?}"
    );
    // The store fails once: the same time is stored, no later one.
    let step = trial.step(Outcome::Stored(Err(StoreError::retry("busy"))));
    assert!(matches!(step, Step::Wait(_)));
    let step = trial.step(Outcome::Waited);
    assert!(matches!(step, Step::Store { to: Position::Since(at), .. } if at == time));
    assert!(matches!(trial.step(Outcome::Stored(Ok(()))), Step::GetRecords { .. }));
}

#[test]
fn an_unread_latest_that_expires_falls_back_to_its_time() {
    let mut trial = trial(StartAt::Fresh(IteratorType::Latest));
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    trial.step(Outcome::Stored(Ok(())));
    let step = trial.fails(ErrorClass::ExpiredIterator);
    let time = UNIX_EPOCH + Duration::from_secs(49);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtTimestamp(time));
}

#[test]
fn throttling_backs_off_even_with_an_interval_of_zero_and_keeps_the_token() {
    let mut trial = trial_with(fresh(), Config::new().interval(Duration::ZERO)).begun();
    for _ in 0..50 {
        let Step::Wait(wait) = trial.fails(ErrorClass::Throttled) else { panic!() };
        assert!(wait >= Duration::from_millis(50));
        trial.now += wait;
        assert!(
            trial.now >= TOKEN_LIFE
                || matches!(trial.step(Outcome::Waited), Step::GetRecords { .. })
        );
    }
}

#[test]
fn two_records_that_are_too_large_together_are_resumed_at_one_by_one() {
    let mut trial = trial(resumed(105)).begun();
    let mut limits = Vec::new();
    for _ in 0..15 {
        assert!(matches!(trial.fails(ErrorClass::TooLarge), Step::Wait(_)));
        let Step::GetRecords { limit, .. } = trial.step(Outcome::Waited) else { panic!() };
        limits.push(limit);
    }
    assert_eq!((limits[12], limits[14]), (1, 1), "{limits:?}");
    assert!(matches!(trial.gets(&[105]), Step::Wait(_)));
    assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
    assert_eq!(numbers(&delivered(trial.gets(&[106]))), [106]);
}

#[test]
fn an_answer_that_is_too_large_halves_the_limit_and_success_doubles_it_back() {
    let mut trial = trial(fresh()).begun();
    let mut limits = Vec::new();
    for _ in 0..3 {
        trial.fails(ErrorClass::TooLarge);
        let Step::GetRecords { limit, .. } = trial.step(Outcome::Waited) else { panic!() };
        limits.push(limit);
    }
    for _ in 0..4 {
        trial.gets(&[]);
        let Step::GetRecords { limit, .. } = trial.step(Outcome::Waited) else { panic!() };
        limits.push(limit);
    }
    assert_eq!(limits, [5000, 2500, 1250, 2500, 5000, 10_000, 10_000]);
}

#[test]
fn the_last_answer_ends_the_shard_with_a_number() {
    let mut with_records = trial(fresh()).begun();
    let delivery = delivered(with_records.gets_last(&[101, 107]));
    assert_eq!(delivery.through, Position::End { sequence: number(107) });
    assert!(matches!(
        with_records.step(Outcome::Delivered),
        Step::End { ending: Ending::Read(_), .. }
    ));

    let mut without = trial(fresh()).begun();
    let delivery = delivered(without.gets_last(&[]));
    assert!(delivery.records.is_empty());
    assert_eq!(delivery.through, Position::End { sequence: number(100) });

    let mut later = trial(resumed(105)).begun();
    let delivery = delivered(later.gets_last(&[105]));
    assert!(delivery.records.is_empty() && delivery.gap.is_none());
    assert_eq!(delivery.through, Position::End { sequence: number(105) });
}

#[test]
fn a_shard_that_aged_out_while_it_waited_ends_and_says_so() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
    assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
    // One listing may lack it by chance.
    assert!(matches!(trial.is_told(Proof::Gone), Step::Wait(_)));
    assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
    assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
    let delivery = delivered(trial.is_told(Proof::Gone));
    assert!(delivery.through.is_end());
    assert!(matches!(delivery.gap, Some(Gap::Trimmed { wanted: None, available: None, .. })));
    assert!(matches!(trial.step(Outcome::Delivered), Step::End { ending: Ending::Vanished, .. }));
}

#[test]
fn a_shard_that_is_found_between_refusals_has_not_left_the_stream() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    for _ in 0..10 {
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
        assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
        let step = trial.is_told(Proof::Closed);
        assert!(matches!(step, Step::Wait(_)), "a listing shows it: {step:?}");
        trial.now += Duration::from_secs(100);
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
        assert!(matches!(trial.gets_iterator(), Step::GetRecords { .. }));
        if let Step::Wait(_) = trial.fails(ErrorClass::ExpiredIterator) {
            trial.step(Outcome::Waited);
        }
    }
    let mut step = trial.fails(ErrorClass::NotFound);
    let began = trial.now;
    while !matches!(step, Step::Deliver(_)) {
        assert!(trial.now < began + Duration::from_secs(90), "a listing may be late: {step:?}");
        assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
        step = trial.is_told(Proof::Closed);
        if let Step::Wait(wait) = step {
            trial.now += wait;
            trial.step(Outcome::Waited);
            trial.fails(ErrorClass::NotFound);
        }
    }
    assert!(trial.now >= began + Duration::from_secs(60));
}

#[test]
fn an_open_shard_that_is_not_found_once_after_other_refusals_is_looked_for_again() {
    let mut trial = trial(fresh()).begun();
    while let Step::Wait(wait) = trial.fails(ErrorClass::Credentials) {
        if trial.now > Duration::from_secs(50) {
            break;
        }
        trial.now += wait;
        trial.step(Outcome::Waited);
    }
    let refused = trial.now;
    trial.now = Duration::from_secs(100);
    let not_found = |trial: &mut Trial| {
        while !matches!(trial.step(Outcome::Waited), Step::GetIterator(_)) {
            trial.fails(ErrorClass::ExpiredIterator);
        }
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
        assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
        trial.is_told(Proof::Open)
    };
    assert!(refused > Duration::from_secs(50));
    assert!(matches!(not_found(&mut trial), Step::Wait(_)), "it may be found a moment later");
    while let Step::Wait(wait) = not_found(&mut trial) {
        assert!(trial.now < Duration::from_secs(190));
        trial.now += wait;
    }
    assert!(trial.now >= Duration::from_secs(160), "for a minute of its own");
}

#[test]
fn a_stream_that_is_gone_is_told_from_a_shard_that_is_gone() {
    let gone = |trial: &mut Trial| {
        let step = trial.fails(ErrorClass::NotFound);
        assert_eq!(trial.iterator_of(&step), IteratorType::TrimHorizon);
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
    };
    let mut missing = trial(fresh()).begun();
    gone(&mut missing);
    // It may be known elsewhere: for a minute that is not final.
    let mut step = missing.fails(ErrorClass::NotFound);
    while let Step::Wait(wait) = step {
        assert!(missing.now < Duration::from_secs(90));
        missing.now += wait;
        missing.step(Outcome::Waited);
        missing.fails(ErrorClass::NotFound);
        step = missing.fails(ErrorClass::NotFound);
    }
    assert!(matches!(step, Step::Fail(Error::StreamNotFound { .. })), "{step:?}");
    assert!(missing.now >= Duration::from_secs(60));

    let mut dying = trial(fresh()).begun();
    gone(&mut dying);
    let step = dying.step(Outcome::Status(Ok(StreamStatus::Deleting)));
    assert!(matches!(step, Step::Fail(Error::StreamDeleting { .. })));
}

#[test]
fn a_position_that_the_service_refuses_fails_unless_a_new_start_was_chosen() {
    let mut refused = trial(resumed(105));
    refused.step(Outcome::Waited);
    let step = refused.fails(ErrorClass::InvalidArgument);
    assert!(matches!(step, Step::Fail(Error::Gap { gap: Gap::Foreign { .. }, .. })));

    let mut earliest =
        trial_with(resumed(105), Config::new().on_gap(OnGap::new().foreign(OnForeign::Earliest)));
    earliest.step(Outcome::Waited);
    let step = earliest.fails(ErrorClass::InvalidArgument);
    assert!(matches!(step, Step::Store { to: Position::Since(UNIX_EPOCH), how: Write::Overwrite }));
    let step = earliest.step(Outcome::Stored(Ok(())));
    assert_eq!(earliest.iterator_of(&step), IteratorType::TrimHorizon);

    let mut latest =
        trial_with(resumed(105), Config::new().on_gap(OnGap::new().foreign(OnForeign::Latest)));
    latest.step(Outcome::Waited);
    let step = latest.fails(ErrorClass::InvalidArgument);
    assert_eq!(latest.iterator_of(&step), IteratorType::Latest);
    assert!(matches!(latest.gets_iterator(), Step::Store { how: Write::Overwrite, .. }));
    assert!(matches!(latest.step(Outcome::Stored(Ok(()))), Step::GetRecords { .. }));
    assert!(matches!(delivered(latest.gets(&[200])).gap, Some(Gap::Foreign { .. })));
}

#[test]
fn a_stream_that_is_replaced_while_it_is_read_fails_whatever_was_chosen() {
    let mut trial =
        trial_with(resumed(105), Config::new().on_gap(OnGap::new().foreign(OnForeign::Earliest)))
            .begun();
    delivered(trial.gets(&[105, 106]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    let step = trial.fails(ErrorClass::NotFound);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(106)));
    let step = trial.fails_until_it_is_final(ErrorClass::InvalidArgument);
    assert!(matches!(step, Step::Fail(Error::Gap { gap: Gap::Foreign { .. }, .. })), "{step:?}");
}

#[test]
fn a_number_that_was_read_and_is_refused_once_is_asked_for_again() {
    let mut trial = trial(resumed(105)).begun();
    delivered(trial.gets(&[105, 106]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    trial.fails(ErrorClass::ExpiredIterator);
    assert!(matches!(trial.fails(ErrorClass::InvalidArgument), Step::Wait(_)));
    assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    trial.gets_iterator();
    assert_eq!(numbers(&delivered(trial.gets(&[106, 107]))), [107]);
}

#[test]
fn a_shard_that_was_not_found_for_a_moment_is_read_on_when_a_listing_shows_it() {
    for (proof, is_read) in [(Proof::Open, true), (Proof::Closed, true), (Proof::Unknown, false)] {
        let mut trial = trial(fresh()).begun();
        assert!(matches!(trial.gets(&[]), Step::Wait(_)));
        trial.step(Outcome::Waited);
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::GetIterator(_)));
        // Another stream may have taken its place: then the listing is an error.
        assert!(matches!(trial.gets_iterator(), Step::Confirm));
        let step = trial.is_told(proof);
        assert_eq!(matches!(step, Step::GetRecords { .. }), is_read, "{step:?}");
        if !is_read {
            assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
            assert!(matches!(trial.gets_iterator(), Step::Confirm));
        }
    }
}

#[test]
fn a_new_shard_that_is_not_found_yet_is_not_taken_for_one_that_has_aged_out() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    for proof in [Proof::Open, Proof::Closed, Proof::Unknown] {
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
        assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
        assert!(matches!(trial.is_told(proof), Step::Wait(_)));
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    }
    assert!(matches!(trial.gets_iterator(), Step::GetRecords { .. }));
    assert_eq!(numbers(&delivered(trial.gets(&[101]))), [101]);
}

#[test]
fn a_stored_position_of_a_shard_that_is_gone_is_foreign() {
    let mut trial = trial(resumed(105));
    trial.step(Outcome::Waited);
    trial.fails(ErrorClass::NotFound);
    assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
    assert!(matches!(trial.is_told(Proof::Gone), Step::Wait(_)));
    trial.step(Outcome::Waited);
    trial.fails(ErrorClass::NotFound);
    trial.step(Outcome::Status(Ok(StreamStatus::Active)));
    let step = trial.is_told(Proof::Gone);
    assert!(matches!(step, Step::Fail(Error::Gap { gap: Gap::Foreign { .. }, .. })));
}

#[test]
fn a_start_that_the_user_chose_and_the_service_refuses_is_the_users_error() {
    let at = IteratorType::AtSequenceNumber(number(7));
    let mut trial = trial(StartAt::Fresh(at));
    trial.step(Outcome::Waited);
    let step = trial.fails(ErrorClass::InvalidArgument);
    assert!(matches!(step, Step::Fail(Error::Client { .. })), "{step:?}");
}

#[test]
fn a_server_that_always_refuses_its_own_tokens_is_not_asked_in_a_hot_loop() {
    let mut trial = trial(fresh()).begun();
    assert!(matches!(trial.fails(ErrorClass::ExpiredIterator), Step::GetIterator(_)));
    for _ in 0..20 {
        assert!(matches!(trial.gets_iterator(), Step::GetRecords { .. }));
        assert!(matches!(trial.fails(ErrorClass::ExpiredIterator), Step::Wait(_)));
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    }
}

#[test]
fn an_outage_is_survived_unless_it_is_bounded() {
    let mut patient = trial(fresh()).begun();
    for _ in 0..100 {
        patient.now += Duration::from_secs(60);
        assert!(matches!(patient.fails(ErrorClass::Transient), Step::Wait(_)));
    }
    let config = Config::new().max_outage(Duration::from_secs(60));
    let mut bounded = trial_with(fresh(), config).begun();
    assert!(matches!(bounded.fails(ErrorClass::Transient), Step::Wait(_)));
    bounded.now += Duration::from_secs(60);
    let Step::Fail(error) = bounded.fails(ErrorClass::Transient) else { panic!() };
    let text = error.to_string();
    assert!(text.contains("for 60 s, longer than the program allows"), "{text}");
}

#[test]
fn after_twenty_minutes_out_reading_resumes_after_the_last_record() {
    let mut trial = trial(fresh()).begun();
    delivered(trial.gets(&[101]));
    trial.step(Outcome::Delivered);
    let mut step = trial.step(Outcome::Waited);
    let (mut calls, end) = (0, Duration::from_secs(20 * 60));
    while trial.now < end {
        step = match step {
            Step::Wait(wait) => {
                trial.now += wait;
                trial.step(Outcome::Waited)
            }
            Step::GetIterator(at) => {
                // The token has expired long ago.
                assert_eq!(at, IteratorType::AtSequenceNumber(number(101)));
                calls += 1;
                trial.fails(ErrorClass::Transient)
            }
            Step::GetRecords { .. } => {
                calls += 1;
                trial.fails(ErrorClass::Transient)
            }
            other => panic!("{other:?}"),
        };
    }
    // Ten seconds at most between two, half of that in the mean.
    assert!((120..600).contains(&calls), "{calls}");
    while !matches!(step, Step::GetIterator(_)) {
        step = trial.step(Outcome::Waited);
    }
    trial.gets_iterator();
    let delivery = delivered(trial.gets(&[101, 102]));
    assert_eq!((numbers(&delivery), delivery.gap), (vec![102], None));
}

#[test]
fn a_fatal_error_names_the_shard() {
    let mut trial = trial(fresh()).begun();
    let Step::Fail(error) = trial.fails(ErrorClass::Fatal) else { panic!() };
    assert_eq!(error.shard(), Some("shardId-000000000000"));
}

#[test]
fn a_store_that_fails_for_good_stops_the_shard() {
    let mut trial = trial(StartAt::Fresh(IteratorType::Latest));
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    let step = trial.step(Outcome::Stored(Err(StoreError::lost("another owner"))));
    assert!(matches!(step, Step::Fail(Error::Store { .. })));
}

#[test]
fn what_is_left_out_was_read_all_the_same() {
    let mut trial = trial(resumed(105)).begun();
    // The others are of another shard.
    let read = |spanned: &[u64], left: &[u64]| Read {
        answer: answer(left, Some("next")),
        span: Span::of(&answer(spanned, None).records),
    };
    assert!(matches!(trial.reads(read(&[105, 106], &[])), Step::Wait(_)));
    trial.step(Outcome::Waited);
    let delivery = delivered(trial.reads(read(&[107, 108], &[107])));
    assert_eq!((delivery.gap, delivery.through), (None, Position::after(number(108))));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    trial.reads(read(&[109], &[]));
    trial.step(Outcome::Waited);
    let step = trial.fails(ErrorClass::ExpiredIterator);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(109)));
}

#[test]
fn an_end_that_nothing_proves_is_not_stored_and_the_shard_is_read_on() {
    let mut trial = trial(fresh()).begun();
    delivered(trial.gets(&[110]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    let delivery = delivered(trial.gets_claim(&[111]));
    assert_eq!(delivery.through, Position::after(number(111)));
    assert!(matches!(trial.step(Outcome::Delivered), Step::Confirm));
    assert!(matches!(trial.is_told(Proof::Open), Step::Wait(_)));
    assert!(trial.poller.is_failing());
    let step = trial.step(Outcome::Waited);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(111)));
    trial.gets_iterator();
    let delivery = delivered(trial.gets(&[111, 112, 113]));
    assert_eq!((numbers(&delivery), delivery.gap), (vec![112, 113], None));
    assert!(!trial.poller.is_failing());
}

#[test]
fn an_end_that_is_claimed_again_and_again_is_read_on_with_backoff() {
    let mut trial = trial(fresh()).begun();
    let mut waits = Vec::new();
    for proof in [Proof::Open, Proof::WasClosed, Proof::Unknown].into_iter().cycle().take(40) {
        assert!(matches!(trial.gets_claim(&[]), Step::Confirm));
        let Step::Wait(wait) = trial.is_told(proof) else { panic!() };
        waits.push(wait);
        trial.now += wait;
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
        assert!(matches!(trial.gets_iterator(), Step::GetRecords { .. }));
    }
    let most = waits.iter().max().unwrap();
    assert!(*most > Duration::from_secs(5), "{waits:?}");
}

#[test]
fn an_end_that_a_listing_proves_is_read_once_more() {
    let mut trial = trial(fresh()).begun();
    assert!(!delivered(trial.gets_claim(&[110])).through.is_end());
    assert!(matches!(trial.step(Outcome::Delivered), Step::Confirm));
    // It may have been closed between the two: the records before that are read.
    let step = trial.is_told(Proof::Closed);
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(110)));
    trial.gets_iterator();
    let delivery = delivered(trial.gets_claim(&[110, 111]));
    assert_eq!(numbers(&delivery), [111]);
    assert_eq!(delivery.through, Position::End { sequence: number(111) });
    let step = trial.step(Outcome::Delivered);
    assert!(
        matches!(step, Step::End { ending: Ending::Read(ref children), .. } if children.is_empty())
    );
}

#[test]
fn a_shard_that_was_listed_closed_before_its_end_was_claimed_is_asked_for_again() {
    // The listing may be of a stream that had the name before.
    let mut trial = trial_of(shard().with_ending(number(190)), fresh(), Config::new()).begun();
    assert!(!delivered(trial.gets_claim(&[101])).through.is_end());
    assert!(matches!(trial.step(Outcome::Delivered), Step::Confirm));
}

#[test]
fn a_shard_that_a_listing_has_shown_closed_ends_without_another_one() {
    let mut trial = closed_trial();
    // An answer that says that more records wait contradicts itself, and is read again.
    let behind = answer(&[101], None).with_behind_latest(Duration::from_millis(9));
    assert!(!delivered(trial.answers(behind)).through.is_end());
    assert!(matches!(trial.step(Outcome::Delivered), Step::Wait(_)));
    assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    trial.gets_iterator();
    assert!(delivered(trial.gets_claim(&[101, 102])).through.is_end());
}

#[test]
fn a_lag_that_is_never_zero_does_not_keep_a_closed_shard_open_for_ever() {
    let mut trial = trial(fresh()).begun();
    let behind = || answer(&[], None).with_behind_latest(Duration::from_millis(1500));
    assert!(matches!(trial.answers(behind()), Step::Confirm));
    assert!(matches!(trial.is_told(Proof::Closed), Step::GetIterator(_)));
    let mut calls = 1;
    loop {
        trial.gets_iterator();
        calls += 1;
        match trial.answers(behind()) {
            Step::Wait(_) => assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_))),
            step => break assert!(delivered(step).through.is_end()),
        }
    }
    assert_eq!(calls, 4);
}

/// A shard is read, and not found any more. Returns the gap that it ends with.
fn gap_of_a_lost_shard(behind: Option<Duration>, first: Proof, later: Proof) -> Option<Gap> {
    let mut trial = trial(fresh()).begun();
    let mut claim = answer(&[110], None);
    claim.behind_latest = behind;
    assert!(!delivered(trial.answers(claim)).through.is_end());
    assert!(matches!(trial.step(Outcome::Delivered), Step::Confirm));
    let mut step = trial.is_told(first);
    loop {
        if let Step::Wait(wait) = step {
            trial.now += wait;
            trial.step(Outcome::Waited);
        }
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
        trial.step(Outcome::Status(Ok(StreamStatus::Active)));
        step = trial.is_told(later);
        if matches!(step, Step::Deliver(_)) {
            return delivered(step).gap;
        }
    }
}

#[test]
fn a_shard_that_leaves_the_stream_after_its_last_record_was_read_has_no_gap() {
    let at_tip = Some(Duration::ZERO);
    for first in [Proof::Closed, Proof::Gone, Proof::Unknown] {
        assert_eq!(gap_of_a_lost_shard(at_tip, first, Proof::Gone), None);
        for behind in [Some(Duration::from_secs(1)), None] {
            let gap = gap_of_a_lost_shard(behind, first, Proof::Gone);
            assert!(matches!(gap, Some(Gap::Trimmed { wanted: Some(_), .. })), "{gap:?}");
        }
        // A listing shows it still: it may hold records that were put after that answer.
        let gap = gap_of_a_lost_shard(at_tip, first, Proof::Closed);
        assert!(matches!(gap, Some(Gap::Trimmed { wanted: Some(_), .. })), "{gap:?}");
    }
}

#[test]
fn ends_that_were_claimed_before_the_shard_was_closed_prove_nothing() {
    let behind = |numbers: &[u64]| answer(numbers, None).with_behind_latest(Duration::from_secs(1));
    let mut trial = trial(fresh()).begun();
    for proof in [Proof::Open, Proof::Unknown, Proof::Unknown, Proof::Closed] {
        assert!(matches!(trial.answers(behind(&[])), Step::Confirm));
        if let Step::Wait(_) = trial.is_told(proof) {
            trial.step(Outcome::Waited);
        }
        trial.gets_iterator();
    }
    assert!(matches!(trial.answers(behind(&[])), Step::Wait(_)));
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    assert!(matches!(trial.answers(behind(&[])), Step::Wait(_)));
    for number in 101..110 {
        trial.step(Outcome::Waited);
        trial.gets_iterator();
        let through = delivered(trial.answers(behind(&[number]))).through;
        assert!(!through.is_end(), "a new record shows that the last claim was false");
        assert!(matches!(trial.step(Outcome::Delivered), Step::Wait(_)));
    }
}

#[test]
fn quiet_for_longer_than_the_retention_is_no_loss() {
    let hour = Duration::from_secs(3600);
    let config = Config::new().interval(hour).on_gap(OnGap::new().trimmed(OnTrimmed::Fail));
    let mut trial = trial_with(fresh(), config).begun();
    delivered(trial.gets(&[101]));
    trial.step(Outcome::Delivered);
    trial.now += hour;
    // Every token has expired by then, and after a day the record that is resumed at has left the stream.
    for round in 0..60 {
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)), "{round}");
        trial.gets_iterator();
        if round < 24 {
            assert!(matches!(trial.gets(&[101]), Step::Wait(_)));
            assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
        }
        while let Step::Wait(wait) = trial.catches_up(UNIX_EPOCH + trial.now) {
            trial.now += wait;
            if wait > QUICK {
                break;
            }
            assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
        }
    }
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    let mut records = RecordsBuilder::default();
    records.push(&number(150), "key", UNIX_EPOCH + trial.now, b"data");
    let answer = Answer::new(records.build(), Some(Token::new("next")));
    let delivery = delivered(trial.answers(answer));
    assert_eq!((numbers(&delivery), delivery.gap), (vec![150], None));
}

#[test]
fn what_left_the_stream_before_it_was_known_to_be_read_is_a_gap() {
    let mut trial = trial(resumed(105)).begun();
    // No record after the position is left: that is no proof that there was none.
    while let Step::Wait(wait) = trial.catches_up(UNIX_EPOCH) {
        trial.now += wait;
        if wait > QUICK {
            break;
        }
        trial.step(Outcome::Waited);
    }
    trial.step(Outcome::Waited);
    let delivery = delivered(trial.gets(&[150]));
    assert!(matches!(delivery.gap, Some(Gap::Trimmed { .. })), "{:?}", delivery.gap);
}

#[test]
fn without_the_servers_clock_latest_is_stored_five_minutes_early() {
    let mut trial = trial(StartAt::Fresh(IteratorType::Latest));
    trial.step(Outcome::Waited);
    let step = trial.gets_iterator_at(None);
    let time = wall() - Duration::from_secs(300);
    assert!(
        matches!(&step, Step::Store { to: Position::Since(at), .. } if *at == time),
        "{step:?}"
    );
}

#[test]
fn a_time_that_the_service_refuses_is_no_position_of_another_stream() {
    let stored = StartAt::Stored(Position::Since(wall()));
    let mut trial = trial(stored);
    trial.step(Outcome::Waited);
    let step = trial.fails_until_it_is_final(ErrorClass::InvalidArgument);
    assert_eq!(trial.iterator_of(&step), IteratorType::Latest);
    // The stored time is in the service's future, and would skip records that arrive until then.
    let step = trial.gets_iterator_at(None);
    let time = Position::Since(wall() - Duration::from_secs(24 * 60 * 60));
    assert!(matches!(&step, Step::Store { to, how: Write::Overwrite } if *to == time), "{step:?}");
    trial.step(Outcome::Stored(Ok(())));
    assert_eq!(delivered(trial.gets(&[101])).gap, None);
}

#[test]
fn a_refusal_that_may_pass_does_not_end_a_reader() {
    let mut trial = trial(fresh()).begun();
    delivered(trial.gets(&[101]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    for _ in 0..2 {
        assert!(matches!(trial.fails(ErrorClass::Credentials), Step::Wait(_)));
        assert!(matches!(trial.step(Outcome::Waited), Step::GetRecords { .. }));
    }
    assert_eq!(numbers(&delivered(trial.gets(&[102]))), [102]);
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    let step = trial.fails_until_it_is_final(ErrorClass::Credentials);
    assert!(matches!(step, Step::Fail(Error::Client { .. })), "{step:?}");
}

#[test]
fn a_row_of_failures_is_said_each_time_and_its_end_once() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    assert!(trial.troubles().is_empty());
    for _ in 0..2 {
        let Step::Wait(wait) = trial.fails(ErrorClass::Throttled) else { panic!("it waits") };
        let trouble = trial.troubles().pop();
        assert!(matches!(trouble, Some(Trouble::Failed { wait: told, .. }) if told == wait));
        trial.step(Outcome::Waited);
    }
    trial.gets(&[101]);
    assert!(matches!(trial.troubles()[..], [Trouble::Recovered]));
    trial.step(Outcome::Delivered);
    trial.step(Outcome::Waited);
    trial.gets(&[102]);
    assert!(trial.troubles().is_empty());
}

#[test]
fn a_start_that_cannot_be_stored_is_said_each_time_and_its_end_once() {
    let mut trial = trial(StartAt::Fresh(IteratorType::Latest));
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    trial.step(Outcome::Stored(Err(StoreError::retry("busy"))));
    assert!(matches!(trial.troubles()[..], [Trouble::Unstored { .. }]));
    trial.step(Outcome::Waited);
    trial.step(Outcome::Stored(Ok(())));
    assert!(matches!(trial.troubles()[..], [Trouble::Stored]));
}

#[test]
fn a_time_of_long_ago_that_is_refused_once_is_asked_for_again_and_never_skipped() {
    let long_ago = wall() - Duration::from_secs(2 * 24 * 60 * 60);
    for time in [UNIX_EPOCH, long_ago] {
        let mut trial = trial(StartAt::Stored(Position::Since(time)));
        let step = trial.step(Outcome::Waited);
        let at = trial.iterator_of(&step);
        assert!(matches!(trial.fails(ErrorClass::InvalidArgument), Step::Wait(_)));
        let step = trial.step(Outcome::Waited);
        assert_eq!(trial.iterator_of(&step), at);
        let step = trial.fails_until_it_is_final(ErrorClass::InvalidArgument);
        assert!(matches!(step, Step::Fail(Error::Client { .. })), "{step:?}");
    }
}

#[test]
fn a_closed_shard_that_does_not_say_how_far_it_is_behind_is_read_again_before_it_ends() {
    let mut trial = closed_trial();
    let step = trial.answers(answer(&[101], None));
    assert!(!delivered(step).through.is_end());
    assert!(matches!(trial.step(Outcome::Delivered), Step::Wait(_)));
    trial.step(Outcome::Waited);
    trial.gets_iterator();
    assert_eq!(numbers(&delivered(trial.gets(&[101, 102]))), [102]);
}

#[test]
fn a_listing_that_is_away_says_nothing_about_a_shard_that_was_not_found() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    for _ in 0..40 {
        assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
        assert!(matches!(trial.step(Outcome::Status(Ok(StreamStatus::Active))), Step::Confirm));
        let Step::Wait(wait) = trial.is_told(Proof::Unknown) else { panic!() };
        trial.now += wait;
        assert!(matches!(trial.step(Outcome::Waited), Step::GetIterator(_)));
    }
    assert!(trial.now > Duration::from_secs(60));
}

#[test]
fn an_end_of_an_open_shard_is_overwritten_before_the_shard_is_read_on() {
    let mut trial = trial(StartAt::Reopened(Position::after(number(110))));
    let step = trial.step(Outcome::Waited);
    let after = Position::after(number(110));
    assert!(matches!(&step, Step::Store { to, how: Write::Overwrite } if *to == after), "{step:?}");
    let step = trial.step(Outcome::Stored(Ok(())));
    assert_eq!(trial.iterator_of(&step), IteratorType::AtSequenceNumber(number(110)));
}

#[test]
fn a_description_that_is_refused_as_invalid_ends_the_run() {
    let mut trial = trial(fresh());
    trial.step(Outcome::Waited);
    assert!(matches!(trial.fails(ErrorClass::NotFound), Step::Describe));
    assert!(matches!(trial.fails(ErrorClass::InvalidArgument), Step::Fail(_)));
}
