//! Each decision about the consumer as a whole, event by event.

use super::*;
use crate::config::Config;
use crate::core::event::Proof;
use crate::core::settings::OnForeign;
use crate::core::stream::missing::PATIENCE;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::ShardPage;
use crate::model::position::IteratorType;
use crate::model::shard::{ChildShard, HashKeyRange};

const SECOND: Duration = Duration::from_secs(1);
const HALF: u128 = u128::MAX / 2;

struct Trial {
    coordinator: Coordinator,
    rng: fastrand::Rng,
    now: Duration,
}

fn id(number: usize) -> String {
    format!("shardId-{number:012}")
}

fn open(number: usize, parents: &[usize], hash_keys: HashKeyRange) -> Shard {
    let shard = Shard::new(id(number), hash_keys, "100".parse().unwrap());
    shard.with_parents(parents.iter().copied().map(id))
}

fn root(number: usize) -> Shard {
    open(number, &[], HashKeyRange::ALL)
}

/// The halves of the shard 0.
fn halves() -> [Shard; 2] {
    let (low, high) = ((0, HALF), (HALF + 1, u128::MAX));
    [low, high]
        .map(|(start, end)| HashKeyRange { start, end })
        .map(|half| open(1 + usize::from(half.start > 0), &[0], half))
}

fn announced(shard: &Shard) -> ChildShard {
    let parents = shard.parents().to_vec();
    ChildShard::new(shard.id(), parents, shard.hash_keys())
}

fn trial_with(config: Config, is_dispatching: bool) -> Trial {
    let plan = Plan {
        stream: "orders".into(),
        iterator_type: IteratorType::TrimHorizon,
        chosen: None,
        on_foreign: OnForeign::Fail,
    };
    let coordinator = Coordinator::new(plan, &config.stream_settings(), None, is_dispatching);
    Trial { coordinator, rng: fastrand::Rng::with_seed(5), now: Duration::ZERO }
}

fn trial() -> Trial {
    trial_with(Config::new(), false)
}

impl Trial {
    fn on(&mut self, event: Event) -> Vec<Action> {
        self.coordinator.on(self.now, &mut self.rng, event)
    }

    /// Up to the first listing, and its actions.
    fn begun(&mut self, shards: Vec<Shard>) -> Vec<Action> {
        assert!(matches!(self.on(Event::Begun)[..], [Action::Load]));
        assert!(matches!(self.on(Event::Loaded(Ok(Vec::new())))[..], [Action::List { .. }]));
        self.on(listed(shards))
    }

    fn ends(&mut self, shard: usize, children: &[Shard]) -> Vec<Action> {
        let children = children.iter().map(announced).collect();
        let mut actions =
            self.on(Event::Ended { shard: id(shard), ending: Ending::Read(children) });
        actions.extend(self.on(Event::Exited { shard: id(shard) }));
        actions
    }

    /// Waits until its timer is due.
    fn ticks(&mut self) -> Vec<Action> {
        self.now = self.coordinator.wake().expect("it waits for something");
        self.on(Event::Tick)
    }

    fn unstored(&mut self) -> Vec<Action> {
        self.on(Event::Unstored { shard: id(0), error: busy() })
    }
}

fn listed(shards: Vec<Shard>) -> Event {
    Event::Listed(Ok(ShardPage::new(shards, None)))
}

fn busy() -> StoreError {
    StoreError::retry("busy")
}

fn started(actions: &[Action]) -> Vec<(&str, Duration)> {
    let start = |action| match action {
        &Action::Start { ref start, delay, .. } => Some((start.shard.id(), delay)),
        _ => None,
    };
    actions.iter().filter_map(start).collect()
}

/// The result, if the run has ended.
fn finished(actions: Vec<Action>) -> Option<Result<(), Error>> {
    actions.into_iter().find_map(|action| match action {
        Action::Finish(result) => Some(result),
        _ => None,
    })
}

#[test]
fn first_polls_are_spread_over_the_interval_but_over_ten_seconds_at_most() {
    for (interval, step) in [(4 * SECOND, SECOND), (3600 * SECOND, SECOND * 10 / 4)] {
        let mut trial = trial_with(Config::new().interval(interval), false);
        let actions = trial.begun((0..4).map(root).collect());
        let delays: Vec<Duration> = started(&actions).iter().map(|start| start.1).collect();
        assert_eq!(delays, [0, 1, 2, 3].map(|place| step * place));
    }
}

#[test]
fn children_start_at_once_when_their_parent_has_ended() {
    let mut trial = trial_with(Config::new().interval(3600 * SECOND), false);
    let shards = [root(0)].into_iter().chain(halves()).collect();
    assert_eq!(started(&trial.begun(shards)), [(id(0).as_str(), Duration::ZERO)]);
    let children = [id(1), id(2)];
    let both = [(children[0].as_str(), Duration::ZERO), (children[1].as_str(), Duration::ZERO)];
    assert_eq!(started(&trial.ends(0, &[])), both);
}

#[test]
fn children_that_no_listing_shows_are_looked_for_thirty_seconds_with_a_growing_backoff() {
    let mut trial = trial();
    trial.begun(vec![root(0)]);
    let ended = trial.ends(0, &[]);
    assert!(matches!(ended[..], [Action::List { .. }]), "{ended:?}");
    let closed = || listed(vec![closed(root(0))]);
    let (mut actions, mut listings) = (trial.on(closed()), 1);
    while actions.is_empty() {
        assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
        actions = trial.on(closed());
        listings += 1;
    }
    assert!(trial.now >= PATIENCE && trial.now < PATIENCE + 10 * SECOND);
    assert!((5..30).contains(&listings), "{listings}");
    // Nobody is left to read.
    assert!(matches!(actions[..], [Action::Close, Action::Finish(Ok(()))]), "{actions:?}");
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn the_consumer_does_not_end_while_the_stream_is_listed_with_an_open_shard() {
    let mut trial = trial();
    trial.begun(vec![root(0)]);
    trial.ends(0, &[]);
    let mut listings = 0;
    while trial.now < 100 * PATIENCE {
        let actions = trial.on(listed(vec![root(0)]));
        assert!(actions.is_empty(), "{actions:?}");
        assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
        listings += 1;
    }
    // Often at first, then now and then.
    assert!((50..150).contains(&listings), "{listings}");
    let result = finished(trial.on(listed(vec![closed(root(0))])));
    assert!(matches!(result, Some(Ok(()))), "{result:?}");
}

#[test]
fn a_listing_that_lacks_open_shards_is_made_again_and_what_it_then_shows_is_read() {
    let mut trial = trial();
    let [low, high] = halves();
    assert!(trial.begun(vec![low.clone()]).is_empty());
    assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
    assert_eq!(started(&trial.on(listed(vec![low, high]))).len(), 2);
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn a_hole_that_stays_does_not_keep_the_rest_from_being_read_nor_a_claim_from_its_answer() {
    let mut trial = trial();
    let [low, _] = halves();
    let mut actions = trial.begun(vec![low.clone()]);
    while actions.is_empty() {
        trial.ticks();
        actions = trial.on(listed(vec![low.clone()]));
    }
    assert_eq!(started(&actions).len(), 1);
    let began = trial.now;
    while trial.coordinator.wake().unwrap() - trial.now < RARELY {
        trial.ticks();
        assert!(trial.on(listed(vec![low.clone()])).is_empty());
    }
    assert!(trial.now - began < PATIENCE * 2);
    let claimed = trial.on(Event::Claimed { shard: id(1) });
    assert!(matches!(claimed[..], [Action::List { page: None }]), "{claimed:?}");
}

#[test]
fn a_page_that_is_late_answers_no_claim_until_it_is_refused_again() {
    let mut trial = trial();
    trial.begun(vec![root(0), root(7)]);
    trial.on(Event::Claimed { shard: id(0) });
    let page = Event::Listed(Ok(ShardPage::new(vec![root(7)], Some("2".into()))));
    let actions = trial.on(page);
    let [Action::List { page: Some(page) }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(page, "2");
    let refused = || ClientError::new(ErrorClass::Throttled, "ListShards", "");
    assert!(trial.on(Event::Listed(Err(refused()))).is_empty());
    assert!(matches!(&trial.ticks()[..], [Action::List { page: Some(page) }] if page == "2"));
    let actions = trial.on(listed(vec![closed(root(0))]));
    assert_eq!(confirmed(&actions).len(), 1);
    assert!(confirmed(&actions)[0].1, "the listing began after the claim, and shows the end");
}

#[test]
fn a_child_that_is_listed_late_starts_and_ends_the_search() {
    let mut trial = trial();
    trial.begun(vec![root(0)]);
    trial.ends(0, &[]);
    trial.on(listed(vec![root(0)]));
    assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
    let actions = trial.on(listed(halves().to_vec()));
    assert_eq!(started(&actions).len(), 2);
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn a_child_that_was_announced_by_name_is_looked_for_until_it_is_listed() {
    let mut trial = trial();
    trial.begun(vec![root(0)]);
    trial.ends(0, &halves());
    while trial.now < 100 * PATIENCE {
        assert!(trial.on(listed(vec![root(0)])).is_empty());
        assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
    }
    assert_eq!(started(&trial.on(listed(halves().to_vec()))).len(), 2);
}

#[test]
fn a_second_parent_that_ends_is_given_its_own_thirty_seconds() {
    let mut trial = trial();
    let both = || vec![root(7), root(8)];
    let gone = || vec![closed(root(7)), closed(root(8))];
    trial.begun(both());
    trial.ends(7, &[]);
    while trial.now < PATIENCE - 10 * SECOND {
        trial.on(listed(both()));
        trial.ticks();
    }
    trial.on(listed(both()));
    let ended = trial.now;
    assert!(trial.ends(8, &[]).is_empty(), "a listing is due already");
    loop {
        assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
        if finished(trial.on(listed(gone()))).is_some() {
            break;
        }
    }
    assert!(trial.now - ended >= PATIENCE);
}

#[test]
fn one_listing_is_made_for_parents_that_end_together() {
    let mut trial = trial();
    trial.begun(vec![root(7), root(8)]);
    assert!(matches!(trial.ends(7, &[])[..], [Action::List { .. }]));
    assert!(trial.ends(8, &[]).is_empty());
}

#[test]
fn a_store_that_cannot_be_read_is_tried_for_its_patience_and_a_lost_one_not_again() {
    let mut trial = trial_with(Config::new().store_patience(20 * SECOND), false);
    trial.on(Event::Begun);
    let result = loop {
        if let Some(result) = finished(trial.on(Event::Loaded(Err(busy())))) {
            break result;
        }
        assert!(matches!(trial.ticks()[..], [Action::Load]));
    };
    assert!(matches!(result, Err(Error::Store { shard: None, .. })), "{result:?}");
    assert!(trial.now >= 20 * SECOND && trial.now < 21 * SECOND, "{:?}", trial.now);

    let mut lost = self::trial();
    lost.on(Event::Begun);
    let result = finished(lost.on(Event::Loaded(Err(StoreError::lost("another owner")))));
    assert!(matches!(result, Some(Err(Error::Store { .. }))), "{result:?}");
}

#[test]
fn a_failed_write_is_tried_again_until_it_works() {
    let mut trial = trial();
    trial.begun(vec![root(0)]);
    assert!(trial.unstored().is_empty());
    let due = trial.coordinator.wake();
    // Others that fail meanwhile are part of the same attempt.
    assert!(trial.unstored().is_empty());
    assert_eq!(trial.coordinator.wake(), due);
    assert!(matches!(trial.ticks()[..], [Action::Flush]));
    assert!(trial.unstored().is_empty() && trial.coordinator.wake().is_none());
    assert!(trial.on(Event::Flushed(Err((id(0), busy())))).is_empty());
    assert!(matches!(trial.ticks()[..], [Action::Flush]));
    assert!(trial.on(Event::Flushed(Ok(()))).is_empty());
    assert_eq!(trial.coordinator.wake(), None);
}

#[test]
fn writes_that_fail_for_longer_than_the_patience_stop_the_consumer_with_their_shard() {
    let mut trial = trial_with(Config::new().store_patience(20 * SECOND), false);
    trial.begun(vec![root(0)]);
    assert!(trial.unstored().is_empty());
    let halt = loop {
        assert!(matches!(trial.ticks()[..], [Action::Flush]));
        let actions = trial.on(Event::Flushed(Err((id(0), busy()))));
        if !actions.is_empty() {
            break actions;
        }
    };
    assert!(matches!(halt[..], [Action::Halt, Action::Close]), "{halt:?}");
    assert!(trial.now >= 20 * SECOND && trial.now < 21 * SECOND, "{:?}", trial.now);
    let result = finished(trial.on(Event::Exited { shard: id(0) }));
    let Some(Err(Error::Store { shard, .. })) = result else { panic!("{result:?}") };
    assert_eq!(shard, Some(id(0)));
}

fn lost() -> StoreError {
    StoreError::lost("another owner")
}

fn given_up(actions: &[Action]) -> Vec<&str> {
    let mut given_up = Vec::new();
    for action in actions {
        if let Action::GiveUp { shard, .. } = action {
            given_up.push(&**shard);
        }
    }
    given_up
}

#[test]
fn a_lost_shard_is_given_up_while_others_are_read_and_written_and_comes_out_at_the_end() {
    let mut trial = trial();
    trial.begun(vec![root(0), root(9)]);
    trial.unstored();
    let actions = trial.on(Event::Unstored { shard: id(0), error: lost() });
    assert!(given_up(&actions) == [id(0)] && actions.len() == 1, "{actions:?}");
    assert!(matches!(trial.ticks()[..], [Action::Flush]), "what else has failed is tried again");
    let later = Event::Unstored { shard: id(9), error: lost() };
    assert!(trial.on(Event::Flushed(Err((id(0), lost())))).is_empty(), "it was told by itself");
    trial.on(Event::Exited { shard: id(0) });
    let actions = trial.on(later);
    assert!(given_up(&actions) == [id(9)] && matches!(actions[..], [_, Action::Close]));
    let result = finished(trial.on(Event::Exited { shard: id(9) }));
    let Some(Err(Error::Store { shard, source, .. })) = result else { panic!("{result:?}") };
    assert_eq!((shard, source.kind()), (Some(id(0)), StoreErrorKind::Lost), "the first one");
}

#[test]
fn an_error_that_stops_the_consumer_comes_out_before_a_lost_shard() {
    let mut trial = trial();
    trial.begun(vec![root(0), root(9)]);
    trial.on(Event::Unstored { shard: id(0), error: lost() });
    let fatal = StoreError::fatal("no such table");
    trial.on(Event::Unstored { shard: id(9), error: fatal });
    trial.on(Event::Exited { shard: id(0) });
    let result = finished(trial.on(Event::Exited { shard: id(9) }));
    let Some(Err(Error::Store { source, .. })) = result else { panic!("{result:?}") };
    assert_eq!(source.kind(), StoreErrorKind::Fatal);
}

#[test]
fn what_follows_a_lost_shard_is_left_to_its_owner() {
    let [low, high] = halves();
    let mut trial = trial();
    trial.begun(vec![closed(root(0)), low.clone(), high.clone()]);
    let started_children = trial.ends(0, &[low, high]);
    assert_eq!(started(&started_children).len(), 2);
    // Its last batch was sent, but its end could not be stored.
    let actions = trial.on(Event::Unstored { shard: id(0), error: lost() });
    assert_eq!(given_up(&actions), [id(0), id(2), id(1)]);
    assert!(matches!(actions[..], [.., Action::Close]), "nothing is left to read");
    let late = Event::Ended { shard: id(1), ending: Ending::Read(Vec::new()) };
    assert!(trial.on(late).is_empty());
    trial.on(Event::Exited { shard: id(1) });
    let result = finished(trial.on(Event::Exited { shard: id(2) }));
    assert!(matches!(result, Some(Err(Error::Store { .. }))), "{result:?}");
}

#[test]
fn the_first_error_is_told_and_later_ones_are_not() {
    let mut trial = trial_with(Config::new(), true);
    trial.begun(vec![root(0), root(9)]);
    let handler = |text: &str| {
        let (stream, shard) = ("orders".into(), id(0));
        Event::Failed(Error::Handler { stream, shard, source: text.into() })
    };
    assert!(matches!(trial.on(handler("first"))[..], [Action::Halt, Action::Close]));
    assert!(finished(trial.on(handler("second"))).is_none());
    trial.on(Event::Exited { shard: id(0) });
    trial.on(Event::Exited { shard: id(9) });
    let result = finished(trial.on(Event::Dispatched));
    let Some(Err(Error::Handler { source, .. })) = result else { panic!("{result:?}") };
    assert_eq!(source.to_string(), "first");
}

#[test]
fn a_stop_waits_for_shards_and_dispatcher_but_not_for_what_would_come_later() {
    let mut trial = trial_with(Config::new(), true);
    trial.begun(vec![root(0)]);
    trial.unstored();
    assert!(matches!(trial.on(Event::Stopped)[..], [Action::Close]));
    assert!(trial.on(Event::Stopped).is_empty());
    assert!(finished(trial.on(Event::Exited { shard: id(0) })).is_none());
    assert!(matches!(finished(trial.on(Event::Dispatched)), Some(Ok(()))));
}

#[test]
fn what_arrives_after_a_stop_starts_nothing() {
    let mut loading = trial_with(Config::new(), true);
    loading.on(Event::Begun);
    loading.on(Event::Stopped);
    assert!(loading.on(Event::Loaded(Ok(Vec::new()))).is_empty());

    let mut listing = trial_with(Config::new(), true);
    listing.on(Event::Begun);
    listing.on(Event::Loaded(Ok(Vec::new())));
    listing.on(Event::Stopped);
    assert!(listing.on(listed(vec![root(0)])).is_empty());
    let error = ClientError::new(ErrorClass::Fatal, "ListShards", "");
    assert!(listing.on(Event::Listed(Err(error))).is_empty());
    assert!(matches!(finished(listing.on(Event::Dispatched)), Some(Ok(()))));
}

#[test]
fn the_end_of_the_stream_waits_until_all_is_handled_and_stored() {
    let mut trial = trial_with(Config::new(), true);
    trial.begun(vec![root(0)]);
    trial.ends(0, &[]);
    let closed = loop {
        let actions = trial.on(listed(vec![closed(root(0))]));
        if !actions.is_empty() {
            break actions;
        }
        trial.ticks();
    };
    assert!(matches!(closed[..], [Action::Close]), "{closed:?}");
    trial.unstored();
    assert!(trial.on(Event::Dispatched).is_empty());
    assert!(matches!(trial.ticks()[..], [Action::Flush]));
    assert!(matches!(finished(trial.on(Event::Flushed(Ok(())))), Some(Ok(()))));
}

#[test]
fn a_write_that_fails_while_others_are_tried_again_is_tried_too() {
    let Trial { mut coordinator, mut rng, .. } = trial_with(Config::new(), true);
    let fails = || {
        let (shard, error) = ("shardId-000000000001".to_owned(), StoreError::retry("busy"));
        Event::Unstored { shard, error }
    };
    coordinator.on(Duration::ZERO, &mut rng, fails());
    let due = coordinator.wake().unwrap();
    let actions = coordinator.on(due, &mut rng, Event::Tick);
    assert!(matches!(actions[..], [Action::Flush]));
    coordinator.on(due, &mut rng, fails());
    coordinator.on(due, &mut rng, Event::Flushed(Ok(())));
    let due = coordinator.wake().expect("another attempt is due");
    let actions = coordinator.on(due, &mut rng, Event::Tick);
    assert!(matches!(actions[..], [Action::Flush]));
    coordinator.on(due, &mut rng, Event::Flushed(Ok(())));
    assert_eq!(coordinator.wake(), None);
}

#[test]
fn an_outage_after_a_listing_made_before_the_start_is_not_bounded_by_start_patience() {
    let plan = Plan {
        stream: "orders".into(),
        iterator_type: IteratorType::TrimHorizon,
        chosen: None,
        on_foreign: OnForeign::Fail,
    };
    let listed = Some(vec![root(0)]);
    let coordinator = Coordinator::new(plan, &Config::new().stream_settings(), listed, false);
    let mut trial = Trial { coordinator, ..trial() };
    trial.on(Event::Begun);
    trial.on(Event::Loaded(Ok(Vec::new())));
    let ended = Event::Ended { shard: id(0), ending: Ending::Read(Vec::new()) };
    assert!(matches!(trial.on(ended)[..], [Action::List { .. }]));
    for _ in 0..100 {
        trial.now += SECOND * 60;
        let error = ClientError::new(ErrorClass::Throttled, "ListShards", "");
        assert!(trial.on(Event::Listed(Err(error))).is_empty());
    }
}

#[test]
fn patience_with_a_store_begins_anew_when_all_that_waited_was_stored() {
    let mut trial = trial();
    for _ in 0..100 {
        let (shard, error) = (id(0), StoreError::retry("busy"));
        trial.on(Event::Unstored { shard, error });
        trial.now += SECOND * 30;
        assert!(matches!(trial.on(Event::Tick)[..], [Action::Flush]));
        let (shard, error) = (id(1), StoreError::retry("busy"));
        trial.on(Event::Unstored { shard, error });
        assert!(trial.on(Event::Flushed(Ok(()))).is_empty());
        trial.now += SECOND * 30;
        assert!(matches!(trial.on(Event::Tick)[..], [Action::Flush]));
        assert!(trial.on(Event::Flushed(Ok(()))).is_empty());
    }
}

fn confirmed(actions: &[Action]) -> Vec<(&str, bool)> {
    let confirm = |action| match action {
        &Action::Confirm { ref shard, proof } => Some((shard.as_str(), proof == Proof::Closed)),
        _ => None,
    };
    actions.iter().filter_map(confirm).collect()
}

fn closed(shard: Shard) -> Shard {
    shard.with_ending("900".parse().unwrap())
}

#[test]
fn ends_that_are_claimed_are_answered_by_one_listing_that_began_later() {
    let mut trial = trial();
    let [one, two] = [id(0), id(7)];
    trial.begun(vec![root(0), root(7)]);
    assert!(matches!(trial.on(Event::Claimed { shard: id(0) })[..], [Action::List { .. }]));
    assert!(trial.on(Event::Claimed { shard: id(7) }).is_empty(), "a listing is under way");
    let actions = trial.on(listed(vec![root(0), closed(root(7))]));
    assert_eq!(confirmed(&actions), [(one.as_str(), false)]);
    assert!(matches!(actions[..], [_, Action::List { .. }]), "{actions:?}");
    assert!(trial.on(Event::Claimed { shard: id(0) }).is_empty());
    let actions = trial.on(listed(vec![root(0), closed(root(7))]));
    assert_eq!(confirmed(&actions), [(two.as_str(), true)]);
    let actions = trial.on(listed(vec![closed(root(0)), closed(root(7))]));
    assert_eq!(confirmed(&actions), [(one.as_str(), true)]);
    assert_eq!(actions.len(), 1);
}

#[test]
fn a_listing_that_fails_confirms_no_end_and_the_next_claim_waits_for_its_backoff() {
    let mut trial = trial();
    let shard = id(0);
    trial.begun(vec![root(0)]);
    trial.on(Event::Claimed { shard: id(0) });
    let error = ClientError::new(ErrorClass::Throttled, "ListShards", "");
    let actions = trial.on(Event::Listed(Err(error)));
    assert_eq!(confirmed(&actions), [(shard.as_str(), false)]);
    assert_eq!(actions.len(), 1);
    assert!(trial.on(Event::Claimed { shard: id(0) }).is_empty());
    assert!(matches!(trial.ticks()[..], [Action::List { .. }]));
    let actions = trial.on(listed(vec![closed(root(0))]));
    assert_eq!(confirmed(&actions), [(shard.as_str(), true)]);
}

#[test]
fn a_claim_is_not_answered_when_the_consumer_stops() {
    let mut trial = trial();
    trial.begun(vec![root(0), root(7)]);
    trial.on(Event::Claimed { shard: id(0) });
    trial.on(Event::Stopped);
    assert!(trial.on(Event::Claimed { shard: id(7) }).is_empty());
    assert!(trial.on(listed(vec![closed(root(0)), root(7)])).is_empty());
}

#[test]
fn who_waits_is_known_from_the_first_listing_on() {
    let mut trial = trial();
    assert!(trial.coordinator.waiting().is_empty());
    assert!(trial.coordinator.take_news().begun.is_empty());
    let [low, high] = halves();
    trial.begun(vec![root(0), low, high]);
    let waiting = trial.coordinator.waiting();
    assert_eq!(waiting.keys().collect::<Vec<_>>(), [&id(1), &id(2)]);
    let mut news = trial.coordinator.take_news();
    news.begun.sort();
    assert_eq!((news.begun, news.over), (vec![id(0), id(1), id(2)], vec![id(0)]));
}

#[test]
fn an_end_whose_children_are_listed_needs_no_listing() {
    let mut trial = trial();
    let [low, high] = halves();
    trial.begun(vec![root(0), low.clone(), high.clone()]);
    let actions = trial.ends(0, &[low, high]);
    assert_eq!(started(&actions).len(), 2);
    assert!(!actions.iter().any(|action| matches!(action, Action::List { .. })));
}
