//! Each decision of a process of a fleet, event by event.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::Config;
use crate::core::settings::OnForeign;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::ShardPage;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::{ChildShard, HashKeyRange};

const SECOND: Duration = Duration::from_secs(1);
const HALF: u128 = u128::MAX / 2;

struct Trial {
    coordinator: Coordinator,
    rng: fastrand::Rng,
    now: Duration,
}

fn shard(id: &str, parents: &[&str], hash_keys: HashKeyRange) -> Shard {
    let parents = parents.iter().map(|&parent| parent.to_owned()).collect::<Vec<_>>();
    Shard::new(id, hash_keys, "100".parse().unwrap()).with_parents(parents)
}

fn open(id: &str) -> Shard {
    shard(id, &[], HashKeyRange::ALL)
}

fn closed(id: &str) -> Shard {
    open(id).with_ending("900".parse().unwrap())
}

/// The children of the shard `a`.
fn halves() -> [Shard; 2] {
    let (low, high) = ((0, HALF), (HALF + 1, u128::MAX));
    [("b", low), ("c", high)]
        .map(|(id, (start, end))| shard(id, &["a"], HashKeyRange { start, end }))
}

fn announced(shard: &Shard) -> ChildShard {
    ChildShard::new(shard.id(), shard.parents().to_vec(), shard.hash_keys())
}

fn after(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

fn trial_with(config: &Config, on_foreign: OnForeign, is_dispatching: bool) -> Trial {
    let plan = Plan {
        stream: "orders".into(),
        iterator_type: IteratorType::TrimHorizon,
        chosen: None,
        on_foreign,
    };
    let settings = config.stream_settings().in_fleet();
    let coordinator = Coordinator::new(plan, &settings, None, is_dispatching);
    Trial { coordinator, rng: fastrand::Rng::with_seed(5), now: Duration::ZERO }
}

fn trial() -> Trial {
    trial_with(&Config::new(), OnForeign::Fail, true)
}

/// A fleet's process that was shown these shards.
fn begun(shards: &[Shard]) -> Trial {
    let mut trial = trial();
    trial.begin(shards);
    trial
}

impl Trial {
    fn on(&mut self, event: Event) -> Vec<String> {
        self.coordinator.on(self.now, &mut self.rng, event).iter().map(told).collect()
    }

    fn begin(&mut self, shards: &[Shard]) {
        assert_eq!(self.on(Event::Begun), ["list"]);
        assert_eq!(self.listed(shards), [format!("listed {}", shards.len())]);
    }

    fn listed(&mut self, shards: &[Shard]) -> Vec<String> {
        self.on(Event::Listed(Ok(ShardPage::new(shards.to_vec(), None))))
    }

    fn leased(&mut self, shard: &str, epoch: u64) -> Vec<String> {
        let at = StartAt::Stored(after(300));
        self.on(Event::Leased { shard: shard.into(), at, epoch })
    }

    fn asked(&mut self, shard: &str, epoch: u64) -> Vec<String> {
        self.on(Event::Asked { shard: shard.into(), epoch })
    }

    fn lost(&mut self, shard: &str, epoch: u64) -> Vec<String> {
        self.on(Event::LeaseLost { shard: shard.into(), epoch, why: another() })
    }

    fn drained(&mut self, shard: &str, epoch: u64) -> Vec<String> {
        self.on(Event::Drained { shard: shard.into(), epoch })
    }

    fn exited(&mut self, shard: &str) -> Vec<String> {
        self.on(Event::Exited { shard: shard.into() })
    }

    fn unstored(&mut self, shard: &str, error: StoreError) -> Vec<String> {
        self.on(Event::Unstored { shard: shard.into(), error })
    }

    fn ended(&mut self, shard: &str, children: &[Shard]) -> Vec<String> {
        let ending = Ending::Read(children.iter().map(announced).collect());
        self.on(Event::Ended { shard: shard.into(), ending })
    }

    /// Waits until its timer is due.
    fn ticks(&mut self) -> Vec<String> {
        self.now = self.coordinator.wake().expect("it waits for something");
        self.on(Event::Tick)
    }
}

fn another() -> StoreError {
    StoreError::lost("another worker has it")
}

fn busy() -> StoreError {
    StoreError::retry("busy")
}

/// An action in a few words.
fn told(action: &Action) -> String {
    match action {
        Action::Load => "load".into(),
        Action::List { page } => format!("list{}", page.as_deref().unwrap_or_default()),
        Action::Describe => "describe".into(),
        Action::Start { start, delay, epoch } => {
            assert_eq!(*delay, Duration::ZERO);
            format!("start {} in {}", start.shard.id(), epoch.unwrap())
        }
        Action::StopShard { shard, epoch } => format!("stop {shard} in {epoch}"),
        Action::Confirm { shard, proof } => format!("confirm {shard} {proof:?}"),
        Action::GiveUp { shard, .. } => format!("give up {shard}"),
        Action::Flush => "flush".into(),
        Action::Lease(Word::Listed(shards)) => format!("listed {}", shards.len()),
        Action::Lease(Word::Drained { shard, epoch }) => format!("drained {shard} in {epoch}"),
        Action::Lease(Word::GivenUp { shard, epoch }) => format!("given up {shard} in {epoch}"),
        Action::Lease(Word::Emptied { shard, epoch }) => format!("emptied {shard} in {epoch}"),
        Action::Lease(word @ Word::Hangs { .. }) => panic!("the loop says it: {word:?}"),
        Action::Lease(Word::Stopping) => "stopping".into(),
        Action::Close => "close".into(),
        Action::Halt => "halt".into(),
        Action::Finish(result) => format!("finish {}", result.is_ok()),
    }
}

/// Nothing to do.
const NOTHING: [&str; 0] = [];

#[test]
fn the_stream_is_listed_at_once_and_shown_to_the_steward_and_nothing_starts_without_a_lease() {
    let mut trial = begun(&[open("a"), open("z")]);
    assert_eq!(trial.coordinator.wake(), None);
    assert_eq!(trial.on(Event::ListingWanted), NOTHING);
    assert_eq!(trial.ticks(), ["list"]);
    assert_eq!(trial.listed(&[open("a"), open("z")]), ["listed 2"]);
}

#[test]
fn a_listing_from_before_the_start_is_made_again_and_its_stream_is_waited_for_longer() {
    let (mut trial, patient) = (trial(), Config::new().start_patience(SECOND));
    let settings = patient.stream_settings().in_fleet();
    let plan = trial.coordinator.plan.clone();
    trial.coordinator = Coordinator::new(plan, &settings, Some(vec![open("a")]), true);
    assert_eq!(trial.on(Event::Begun), ["list"]);
    for _ in 0..100 {
        let error = ClientError::new(ErrorClass::Throttled, "ListShards", "");
        assert_eq!(trial.on(Event::Listed(Err(error))), NOTHING);
        assert_eq!(trial.ticks(), ["list"]);
    }
}

#[test]
fn no_shard_is_shown_as_waiting_whether_it_is_held_or_not() {
    let [low, high] = halves();
    let mut trial = begun(&[closed("a"), low, high]);
    trial.leased("a", 1);
    trial.leased("unknown", 2);
    assert!(trial.coordinator.waiting().is_empty());
    let news = trial.coordinator.take_news();
    assert!(news.begun.is_empty() && news.over.is_empty());
}

#[test]
fn a_leased_shard_starts_in_its_tenure_and_where_the_table_says() {
    let mut trial = begun(&[open("a"), closed("z")]);
    assert_eq!(trial.leased("a", 7), ["start a in 7"]);
    // Only the end of its reading lets the table say that it is done.
    let at = StartAt::Fresh(IteratorType::Latest);
    let leased = Event::Leased { shard: "z".into(), at: at.clone(), epoch: 8 };
    let actions = trial.coordinator.on(trial.now, &mut trial.rng, leased);
    let [Action::Start { start, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(start.at, at);
}

#[test]
fn a_stored_position_is_compared_with_the_listed_shard() {
    let at = |position: Position, on_foreign| {
        let mut trial = trial_with(&Config::new(), on_foreign, false);
        trial.begin(&[open("a"), closed("z")]);
        move |shard: &str| {
            let at = StartAt::Stored(position.clone());
            let leased = Event::Leased { shard: shard.into(), at, epoch: 1 };
            trial.coordinator.on(trial.now, &mut trial.rng, leased)
        }
    };
    let places = |actions: &[Action]| match actions {
        [Action::Start { start, .. }] => (start.at.clone(), start.gap.is_some()),
        other => panic!("{other:?}"),
    };
    let end = || Position::End { sequence: "500".parse().unwrap() };
    let oldest = StartAt::Reset(IteratorType::TrimHorizon);
    assert_eq!(places(&at(after(300), OnForeign::Fail)("a")), (StartAt::Stored(after(300)), false));
    assert_eq!(places(&at(after(7), OnForeign::Earliest)("a")), (oldest, true));
    assert_eq!(places(&at(end(), OnForeign::Fail)("a")), (StartAt::Reopened(after(500)), false));
    let done: Vec<_> = at(end(), OnForeign::Fail)("z").iter().map(told).collect();
    assert_eq!(done, ["drained z in 1"], "nothing is left to read");
    let failed: Vec<_> = at(after(7), OnForeign::Fail)("a").iter().map(told).collect();
    // The lease that did not start is given back.
    assert_eq!(failed, ["halt", "stopping", "drained a in 1", "close", "finish false"]);
}

#[test]
fn a_lease_that_comes_before_the_first_listing_waits_for_it() {
    let mut trial = trial();
    trial.on(Event::Begun);
    assert_eq!(trial.leased("a", 1), NOTHING, "a listing is under way");
    assert_eq!(trial.listed(&[open("a")]), ["listed 1", "start a in 1"]);
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn a_leased_shard_that_never_appears_is_looked_for_ever_more_rarely_and_holds_up_no_other() {
    let mut trial = begun(&[open("a")]);
    assert_eq!(trial.leased("late", 1), ["list"]);
    let mut listings = 0;
    while trial.now < 100 * PATIENCE {
        assert_eq!(trial.listed(&[open("a")]), ["listed 1"]);
        assert_eq!(trial.ticks(), ["list"]);
        listings += 1;
    }
    assert!((50..150).contains(&listings), "{listings}");
    assert_eq!(trial.leased("a", 2), ["start a in 2"]);
    trial.listed(&[open("a")]);
    // Another one has patience of its own.
    assert_eq!(trial.leased("later", 3), ["list"]);
    trial.listed(&[open("a")]);
    assert!(trial.coordinator.wake().unwrap() - trial.now < SECOND);
    assert_eq!(trial.asked("late", 1), ["drained late in 1"]);
    trial.ticks();
    assert_eq!(trial.listed(&[open("later"), open("late")]), ["listed 2", "start later in 3"]);
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn a_listing_that_fails_starts_and_proves_nothing_and_its_backoff_holds_for_all_who_want_one() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.on(Event::Claimed { shard: "a".into() }), ["list"]);
    let failed = || Event::Listed(Err(ClientError::new(ErrorClass::Throttled, "ListShards", "")));
    assert_eq!(trial.on(failed()), ["confirm a Unknown"]);
    let due = trial.coordinator.wake();
    assert_eq!(trial.leased("late", 2), NOTHING);
    assert_eq!(trial.on(Event::ListingWanted), NOTHING);
    assert_eq!(trial.coordinator.wake(), due);
    assert_eq!(trial.ticks(), ["list"]);
    assert_eq!(trial.listed(&[open("a"), open("late")]), ["listed 2", "start late in 2"]);
}

#[test]
fn wishes_for_a_listing_make_one_listing_and_never_a_loop_without_a_wait() {
    let mut trial = begun(&[open("a")]);
    for _ in 0..20 {
        assert_eq!(trial.on(Event::ListingWanted), NOTHING);
        let due = trial.coordinator.wake().unwrap();
        assert!(due > trial.now && due < trial.now + SECOND);
        assert_eq!(trial.on(Event::ListingWanted), NOTHING);
        assert_eq!(trial.coordinator.wake(), Some(due));
        assert_eq!(trial.ticks(), ["list"]);
        assert_eq!(trial.on(Event::ListingWanted), NOTHING);
        assert_eq!(trial.listed(&[open("a")]), ["listed 1"]);
        assert_eq!(trial.coordinator.wake(), None);
    }
}

#[test]
fn a_shard_that_is_asked_for_is_stopped_and_given_back_when_it_has_drained() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.asked("a", 1), ["stop a in 1"]);
    assert_eq!(trial.exited("a"), NOTHING, "a batch may still be with the handler");
    // It is for long, and the shard leaves the stream.
    for _ in 0..10 {
        trial.on(Event::ListingWanted);
        trial.ticks();
        assert_eq!(trial.listed(&[open("z")]), ["listed 1"]);
    }
    trial.on(Event::ListingWanted);
    trial.ticks();
    trial.listed(&[open("a"), open("z")]);
    assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    assert_eq!(trial.leased("a", 2), ["start a in 2"]);
}

#[test]
fn a_lease_that_is_asked_for_twice_is_given_back_once() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.asked("a", 1), ["stop a in 1"]);
    assert_eq!(trial.asked("a", 1), NOTHING);
    assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    assert_eq!(trial.asked("a", 1), NOTHING);
    assert_eq!(trial.drained("a", 1), NOTHING);
    assert_eq!(trial.exited("a"), NOTHING);
    assert_eq!(trial.asked("a", 1), NOTHING);
}

#[test]
fn a_lease_that_waits_is_given_back_at_once_and_does_not_start_later() {
    let mut trial = begun(&[open("a")]);
    trial.leased("late", 1);
    assert_eq!(trial.asked("late", 1), ["drained late in 1"]);
    assert_eq!(trial.asked("late", 1), NOTHING);
    assert_eq!(trial.listed(&[open("a"), open("late")]), ["listed 2"]);
    assert_eq!(trial.leased("late", 2), ["start late in 2"]);
}

#[test]
fn a_lease_that_is_asked_for_or_lost_before_it_is_told_of_is_void() {
    let mut trial = begun(&[open("a"), open("z")]);
    assert_eq!(trial.asked("a", 1), ["drained a in 1"]);
    assert_eq!(trial.leased("a", 1), NOTHING);
    assert_eq!(trial.lost("z", 2), ["given up z in 2"]);
    assert_eq!(trial.leased("z", 2), NOTHING);
    assert_eq!(trial.leased("a", 3), ["start a in 3"]);
}

#[test]
fn a_shard_that_is_leased_again_before_its_thread_has_exited_waits_for_that() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.asked("a", 1);
    // Its thread is done, and the word of its exit is on its way.
    assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    assert_eq!(trial.leased("a", 2), NOTHING);
    assert_eq!(trial.listed(&[open("a")]), ["listed 1"]);
    assert_eq!(trial.exited("a"), ["start a in 2"]);
}

#[test]
fn a_lease_that_waits_for_a_thread_can_be_asked_for_or_lost() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.lost("a", 1);
    assert_eq!(trial.leased("a", 2), NOTHING);
    assert_eq!(trial.asked("a", 2), ["drained a in 2"]);
    assert_eq!(trial.leased("a", 3), NOTHING);
    assert_eq!(trial.lost("a", 3), ["given up a in 3"], "the thread is that of another tenure");
    assert_eq!(trial.leased("a", 4), NOTHING);
    assert_eq!(trial.exited("a"), ["given up a in 1", "start a in 4"]);
}

#[test]
fn a_lost_shard_is_given_up_once_and_is_no_error_of_the_run() {
    let mut trial = begun(&[open("a"), open("z")]);
    trial.leased("a", 1);
    trial.leased("z", 2);
    assert_eq!(trial.lost("a", 1), ["give up a"]);
    assert_eq!(trial.lost("a", 1), NOTHING);
    assert_eq!(trial.unstored("a", another()), NOTHING);
    assert_eq!(trial.exited("a"), ["given up a in 1"]);
    assert_eq!(trial.lost("a", 1), NOTHING);
    assert_eq!(trial.asked("z", 2), ["stop z in 2"], "it was read all the time");
    trial.exited("z");
    trial.on(Event::Stopped);
    assert_eq!(trial.on(Event::Dispatched), ["finish true"]);
}

#[test]
fn what_descends_from_a_lost_shard_is_read_on() {
    let [low, high] = halves();
    let mut trial = begun(&[closed("a"), low, high]);
    trial.leased("a", 1);
    trial.leased("b", 2);
    assert_eq!(trial.lost("a", 1), ["give up a"]);
    assert_eq!(trial.asked("b", 2), ["stop b in 2"]);
}

#[test]
fn a_store_that_says_lost_is_believed_as_the_steward_is() {
    let mut trial = begun(&[open("a")]);
    assert_eq!(trial.unstored("a", another()), NOTHING, "nobody reads it");
    trial.leased("a", 1);
    assert_eq!(trial.unstored("a", another()), ["give up a"]);
    assert_eq!(trial.unstored("a", another()), NOTHING);
    assert_eq!(trial.lost("a", 1), NOTHING);
    assert_eq!(trial.on(Event::Flushed(Err(("a".into(), another())))), NOTHING);
    assert_eq!(trial.exited("a"), ["given up a in 1"]);
}

#[test]
fn a_shard_that_is_lost_while_it_drains_is_given_up_and_not_given_back() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.asked("a", 1);
    assert_eq!(trial.lost("a", 1), ["give up a"]);
    assert_eq!(trial.asked("a", 1), NOTHING);
    // It had drained when the word of its loss was on its way.
    assert_eq!(trial.drained("a", 1), NOTHING);
    assert_eq!(trial.exited("a"), ["given up a in 1"]);
    assert_eq!(trial.drained("a", 1), NOTHING);
}

#[test]
fn a_shard_that_is_lost_after_its_thread_has_exited_is_given_up_at_once() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.asked("a", 1);
    trial.exited("a");
    assert_eq!(trial.lost("a", 1), ["give up a", "given up a in 1"]);
    assert_eq!(trial.drained("a", 1), NOTHING);
    assert_eq!(trial.leased("a", 2), ["start a in 2"]);
}

#[test]
fn a_lease_that_was_given_back_cannot_be_lost() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.asked("a", 1);
    trial.drained("a", 1);
    assert_eq!(trial.lost("a", 1), NOTHING);
    assert_eq!(trial.exited("a"), NOTHING);
    assert_eq!(trial.lost("a", 1), NOTHING);
}

#[test]
fn what_comes_late_of_an_earlier_tenure_does_nothing_to_the_later_one() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 5);
    trial.asked("a", 5);
    trial.exited("a");
    trial.drained("a", 5);
    assert_eq!(trial.leased("a", 6), ["start a in 6"]);
    for epoch in [4, 5] {
        assert_eq!(trial.leased("a", epoch), NOTHING);
        assert_eq!(trial.asked("a", epoch), NOTHING);
        assert_eq!(trial.lost("a", epoch), NOTHING);
        assert_eq!(trial.drained("a", epoch), NOTHING);
    }
    assert_eq!(trial.leased("a", 6), NOTHING, "it runs");
    assert_eq!(trial.drained("a", 6), NOTHING, "it was not stopped");
    assert_eq!(trial.asked("a", 6), ["stop a in 6"]);
}

#[test]
fn a_later_lease_ends_the_earlier_one_also_if_the_word_of_its_loss_is_late() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.leased("a", 2), ["give up a"]);
    assert_eq!(trial.leased("a", 3), ["given up a in 2"]);
    assert_eq!(trial.lost("a", 1), NOTHING);
    assert_eq!(trial.exited("a"), ["given up a in 1", "start a in 3"]);
    trial.ended("a", &[]);
    trial.exited("a");
    assert_eq!(trial.leased("a", 4), ["give up a", "given up a in 3", "start a in 4"]);
}

#[test]
fn a_shard_that_ends_while_it_is_asked_for_is_given_back_when_its_end_is_stored() {
    let [low, high] = halves();
    for asked_first in [true, false] {
        let mut trial = begun(&[closed("a"), low.clone(), high.clone()]);
        trial.leased("a", 1);
        if asked_first {
            assert_eq!(trial.asked("a", 1), ["stop a in 1"]);
        }
        assert_eq!(trial.ended("a", &[low.clone(), high.clone()]), NOTHING);
        assert_eq!(trial.exited("a"), NOTHING, "the last batch is on its way");
        if !asked_first {
            assert_eq!(trial.asked("a", 1), ["stop a in 1"]);
        }
        assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    }
}

#[test]
fn an_end_starts_no_child_and_lists_the_stream_if_it_does_not_show_them() {
    let [low, high] = halves();
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.ended("a", &[low.clone(), high.clone()]), ["list"]);
    assert_eq!(trial.exited("a"), NOTHING);
    let all = [closed("a"), low, high];
    assert_eq!(trial.listed(&all), ["listed 3"]);
    assert_eq!(trial.coordinator.wake(), None);
    // Now it does, also without names.
    trial.leased("a", 2);
    assert_eq!(trial.ended("a", &[]), NOTHING);
    trial.exited("a");
    assert_eq!(trial.leased("b", 3), ["start b in 3"]);
    assert_eq!(trial.ended("b", &[]), ["list"], "it has children, which nobody has named");
}

#[test]
fn nothing_starts_after_a_shard_has_vanished_until_a_later_listing_shows_the_same_stream() {
    let vanished = || Event::Ended { shard: "a".into(), ending: Ending::Vanished };
    let two = [open("a"), open("z")];
    let mut trial = begun(&two);
    trial.leased("a", 1);
    trial.on(Event::ListingWanted);
    assert_eq!(trial.ticks(), ["list"]);
    assert_eq!(trial.on(vanished()), NOTHING, "a listing is under way, which began before");
    assert_eq!(trial.leased("z", 2), NOTHING);
    assert_eq!(trial.listed(&two), ["listed 2"]);
    assert_eq!(trial.ticks(), ["list"]);
    assert_eq!(trial.listed(&[open("z")]), ["listed 1", "start z in 2"]);
    assert_eq!(trial.coordinator.wake(), None);

    let mut trial = begun(&two);
    trial.leased("a", 1);
    assert_eq!(trial.on(vanished()), ["list"]);
    let other = Shard::new("z", HashKeyRange::ALL, "5000".parse().unwrap());
    assert_eq!(trial.listed(&[other]), ["halt", "stopping", "close"], "not the stream of before");
}

#[test]
fn a_stop_is_told_once_and_what_was_asked_for_still_drains() {
    let mut trial = begun(&[open("a"), open("z")]);
    trial.leased("a", 1);
    trial.leased("z", 2);
    assert_eq!(trial.asked("a", 1), ["stop a in 1"]);
    assert_eq!(trial.on(Event::Stopped), ["stopping", "close"]);
    assert_eq!(trial.on(Event::Stopped), NOTHING);
    assert_eq!(trial.exited("a"), NOTHING);
    assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    assert_eq!(trial.exited("z"), NOTHING);
    assert_eq!(trial.asked("z", 2), ["stop z in 2"], "its batches are still with the handler");
    assert_eq!(trial.drained("z", 2), ["drained z in 2"]);
    assert_eq!(trial.on(Event::Dispatched), ["finish true"]);
}

#[test]
fn a_shard_that_is_lost_after_the_stop_is_given_up_too() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    trial.on(Event::Stopped);
    assert_eq!(trial.lost("a", 1), ["give up a"]);
    assert_eq!(trial.on(Event::Dispatched), NOTHING, "its thread runs");
    assert_eq!(trial.exited("a"), ["given up a in 1", "finish true"]);
}

#[test]
fn a_lease_that_has_not_started_when_the_consumer_stops_or_comes_later_is_given_back() {
    let mut trial = begun(&[open("a")]);
    trial.leased("late", 1);
    assert_eq!(trial.on(Event::Stopped), ["stopping", "drained late in 1", "close"]);
    assert_eq!(trial.asked("late", 1), NOTHING);
    assert_eq!(trial.leased("a", 2), ["drained a in 2"]);
    assert_eq!(trial.listed(&[open("a"), open("late")]), NOTHING);
    assert_eq!(trial.on(Event::ListingWanted), NOTHING);
    assert_eq!(trial.on(Event::Completed), NOTHING);
    assert_eq!(trial.coordinator.wake(), None);
    assert_eq!(trial.on(Event::Dispatched), ["finish true"]);
}

#[test]
fn an_error_stops_the_taking_too_and_comes_out() {
    let mut trial = begun(&[open("a")]);
    trial.leased("a", 1);
    let fatal = StoreError::fatal("no such table");
    assert_eq!(trial.unstored("a", fatal), ["halt", "stopping", "close"]);
    assert_eq!(trial.on(Event::Stopped), NOTHING);
    trial.exited("a");
    assert_eq!(trial.on(Event::Dispatched), ["finish false"]);
}

#[test]
fn the_run_ends_when_every_shard_is_done_in_the_table() {
    let mut trial = begun(&[closed("a"), open("z")]);
    trial.leased("a", 1);
    trial.ended("a", &[]);
    trial.exited("a");
    assert_eq!(trial.on(Event::Dispatched), NOTHING, "who reads the others is not known here");
    assert_eq!(trial.on(Event::Completed), ["close", "finish true"]);
}

#[test]
fn what_is_read_of_a_stream_that_is_done_is_stopped_and_waited_for() {
    let config = Config::new().store_every(10, SECOND);
    let mut trial = trial_with(&config, OnForeign::Fail, true);
    trial.begin(&[open("a")]);
    trial.leased("a", 1);
    trial.leased("late", 2);
    assert_eq!(trial.on(Event::Completed), ["drained late in 2", "stop a in 1", "close"]);
    trial.on(Event::Deferred);
    assert_eq!(trial.exited("a"), NOTHING);
    assert_eq!(trial.on(Event::Dispatched), ["flush"]);
    assert_eq!(trial.drained("a", 1), ["drained a in 1"]);
    assert_eq!(trial.on(Event::Flushed(Ok(()))), ["finish true"]);
}

#[test]
fn writes_that_fail_for_ever_do_not_end_the_run() {
    let config = Config::new().store_patience(20 * SECOND);
    let mut trial = trial_with(&config, OnForeign::Fail, true);
    trial.begin(&[open("a")]);
    trial.leased("a", 1);
    assert_eq!(trial.unstored("a", busy()), NOTHING);
    while trial.now < 10_000 * SECOND {
        assert_eq!(trial.ticks(), ["flush"]);
        assert_eq!(trial.on(Event::Flushed(Err(("a".into(), busy())))), NOTHING);
    }
}

#[test]
fn positions_that_were_left_for_later_are_written_when_a_lease_is_wanted_back() {
    let config = Config::new().store_every(10, 100 * SECOND);
    let mut trial = trial_with(&config, OnForeign::Fail, true);
    trial.begin(&[open("a"), open("y"), open("z")]);
    trial.leased("a", 1);
    trial.leased("y", 2);
    trial.leased("z", 3);
    // A commit may have told of itself after this.
    assert_eq!(trial.asked("a", 1), ["stop a in 1", "flush"]);
    assert_eq!(trial.asked("a", 1), NOTHING);
    assert_eq!(trial.asked("y", 2), ["stop y in 2"], "a write is under way");
    assert_eq!(trial.on(Event::Flushed(Ok(()))), ["flush"]);
    trial.on(Event::Flushed(Ok(())));
    trial.unstored("z", busy());
    assert_eq!(trial.asked("z", 3), ["stop z in 3"], "a store that failed is not hurried");
    assert_eq!(trial.ticks(), ["flush"]);
    trial.on(Event::Flushed(Ok(())));
    assert_eq!(trial.asked("unknown", 4), ["drained unknown in 4"], "nothing was read of it");
}

#[test]
fn a_claim_is_answered_by_a_later_listing_and_never_in_a_later_tenure() {
    let both = [open("a"), closed("z")];
    let mut trial = begun(&both);
    trial.leased("a", 1);
    trial.leased("z", 2);
    let claimed = |shard: &str| Event::Claimed { shard: shard.into() };
    assert_eq!(trial.on(claimed("a")), ["list"]);
    assert_eq!(trial.on(claimed("z")), NOTHING, "a listing is under way, which began before");
    assert_eq!(trial.listed(&both), ["listed 2", "confirm a Open", "list"]);
    trial.asked("z", 2);
    trial.drained("z", 2);
    trial.leased("z", 3);
    assert_eq!(trial.exited("z"), ["start z in 3"]);
    assert_eq!(trial.listed(&both), ["listed 2"], "nobody asks any more");
    assert_eq!(trial.on(claimed("z")), ["list"]);
    assert_eq!(trial.listed(&both), ["listed 2", "confirm z Closed"]);
}

#[test]
fn the_last_listing_proves_what_has_left_the_stream_also_long_after() {
    let [low, high] = halves();
    let mut trial = begun(&[closed("a"), low.clone(), high.clone()]);
    trial.leased("b", 1);
    let claims = |trial: &mut Trial, shards: &[Shard]| {
        trial.on(Event::Claimed { shard: "b".into() });
        trial.listed(shards).pop().unwrap()
    };
    for _ in 0..10 {
        let torn = [high.clone()];
        assert_eq!(claims(&mut trial, &torn), "confirm b Open", "a part of the keys is missing");
        if trial.coordinator.wake().is_some() {
            trial.ticks();
            trial.listed(&torn);
        }
    }
    let whole = [high.clone(), shard("d", &[], low.hash_keys())];
    assert_eq!(claims(&mut trial, &whole), "confirm b Gone");
    // It was read, and others read on: what a server still shows open of it does not fill the hole.
    trial.ended("b", &[]);
    trial.listed(&whole);
    trial.exited("b");
    trial.leased("d", 2);
    trial.on(Event::Claimed { shard: "d".into() });
    assert_eq!(trial.listed(&[low, high]).pop().unwrap(), "confirm d Open");
}

#[test]
fn shards_that_have_left_the_stream_are_forgotten() {
    let mut trial = begun(&[open("root")]);
    trial.leased("root", 1);
    for round in 0..1_000 {
        let id = format!("{round:04}");
        trial.on(Event::ListingWanted);
        trial.ticks();
        trial.listed(&[closed(&id), open("last")]);
        trial.leased(&id, round + 2);
        trial.ended(&id, &[open("last")]);
        trial.exited(&id);
    }
    let Some(Leasing { shown, tenures, .. }) = &trial.coordinator.leasing else { panic!() };
    assert!(shown.get("0000").is_none() && shown.get("0999").is_some());
    assert!(shown.get("root").is_some(), "it is read");
    assert!(tenures.len() < 10, "{}", tenures.len());
}

/// What a fleet's steward and shell do, in any order, and what must hold.
#[derive(Default)]
struct Fleet {
    /// The tenures that have not been closed by a word.
    open: BTreeMap<u64, String>,
    threads: BTreeMap<String, u64>,
    closed: BTreeSet<u64>,
    stopped: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
    starts: u64,
}

impl Fleet {
    fn sees(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start { start, epoch, .. } => {
                    let (id, epoch) = (start.shard.id().to_owned(), epoch.unwrap());
                    assert!(!self.closed.contains(&epoch), "{epoch} is over");
                    self.starts += 1;
                    assert_eq!(self.threads.insert(id, epoch), None, "two threads of a shard");
                }
                Action::StopShard { epoch, .. } => assert!(self.stopped.insert(epoch)),
                Action::GiveUp { shard, .. } => {
                    let thread = self.threads.get(&shard);
                    assert!(thread.is_none_or(|epoch| self.given_up.insert(*epoch)));
                }
                Action::Lease(Word::Drained { shard, epoch }) => self.closes(&shard, epoch),
                Action::Lease(Word::GivenUp { shard, epoch }) => {
                    assert_ne!(self.threads.get(&shard), Some(&epoch), "its thread reads");
                    self.closes(&shard, epoch);
                }
                _ => {}
            }
        }
    }

    fn closes(&mut self, shard: &str, epoch: u64) {
        assert!(self.closed.insert(epoch), "{shard} in {epoch} is closed twice");
        self.open.remove(&epoch);
    }
}

#[test]
// long: one branch for each event.
fn in_any_order_of_events_a_shard_has_one_thread_and_a_tenure_one_last_word() {
    let mut starts = 0;
    for seed in 0..300 {
        let (mut trial, mut fleet) = (trial(), Fleet::default());
        let mut rng = fastrand::Rng::with_seed(seed);
        trial.on(Event::Begun);
        let (mut epoch, mut listings, ids) = (0, 0, ["a", "y", "z"]);
        for _ in 0..200 {
            let id = ids[rng.usize(..3)];
            let old = rng.u64(epoch.max(3) - 3..=epoch);
            let shard = fleet.open.get(&old).cloned();
            let event = match (rng.u8(..8), shard, fleet.threads.get(id)) {
                (0 | 1, ..) => {
                    epoch += 1;
                    fleet.open.insert(epoch, id.into());
                    let at = StartAt::Fresh(IteratorType::TrimHorizon);
                    Event::Leased { shard: id.into(), at, epoch }
                }
                (2, Some(shard), _) => Event::Asked { shard, epoch: old },
                (3, Some(shard), _) => Event::LeaseLost { shard, epoch: old, why: another() },
                (4, Some(shard), _) => Event::Drained { shard, epoch: old },
                (5 | 6, _, Some(_)) => {
                    fleet.threads.remove(id);
                    Event::Exited { shard: id.into() }
                }
                _ => {
                    // No shard is missing for so long that it is forgotten.
                    listings += 1;
                    let is_shown = |id: &&&str| ids.get(listings % 6) != Some(*id);
                    let shown = ids.iter().filter(is_shown).map(|id| open(id)).collect();
                    Event::Listed(Ok(ShardPage::new(shown, None)))
                }
            };
            let actions = trial.coordinator.on(trial.now, &mut trial.rng, event);
            fleet.sees(actions);
            trial.now += SECOND;
        }
        // Everything that is open is wanted back, and drains.
        for id in ids {
            if fleet.threads.remove(id).is_some() {
                let exited = Event::Exited { shard: id.into() };
                fleet.sees(trial.coordinator.on(trial.now, &mut trial.rng, exited));
            }
        }
        for (epoch, shard) in fleet.open.clone() {
            let asked = Event::Asked { shard: shard.clone(), epoch };
            fleet.sees(trial.coordinator.on(trial.now, &mut trial.rng, asked));
            fleet.threads.retain(|_, thread| *thread != epoch);
            fleet.sees(trial.coordinator.on(
                trial.now,
                &mut trial.rng,
                Event::Exited { shard: shard.clone() },
            ));
            let drained = Event::Drained { shard, epoch };
            fleet.sees(trial.coordinator.on(trial.now, &mut trial.rng, drained));
        }
        assert!(fleet.open.is_empty(), "seed {seed}: {:?}", fleet.open);
        starts += fleet.starts;
    }
    assert!(starts > 3_000, "{starts}");
}

#[test]
fn the_steward_hears_when_the_last_batch_of_a_shard_that_hangs_is_dropped_also_after_a_stop() {
    let mut trial = begun(&[open("a"), open("z")]);
    let emptied = |trial: &mut Trial| trial.on(Event::Emptied { shard: "a".into(), epoch: 1 });
    assert_eq!(emptied(&mut trial), ["emptied a in 1"]);
    trial.on(Event::Stopped);
    assert_eq!(emptied(&mut trial), ["emptied a in 1"]);
}
