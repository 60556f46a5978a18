//! Requests of a process that stops, or whose handler stands still: they are taken back.

use std::time::Duration;

use super::desk::{Desk, F, act, failure, id, transient};
use super::requests::{asking, is_ask, is_get};
use crate::core::event::Word;
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::lease::writes::{ask, withdraw};
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, Call, Job, News};
use crate::error::lease_table::LeaseTableErrorKind;
use crate::store::leases::LeaseTable;

fn is_let_go(call: &Call) -> bool {
    matches!(act(call), Some(Act::LetGo))
}

fn is_accept(call: &Call) -> bool {
    matches!(act(call), Some(Act::Accept { .. }))
}

/// The shard that is asked for.
fn key(call: &Call) -> String {
    match call {
        Call::Write(job) => job.write.key().to_owned(),
        other => panic!("{other:?} is no write"),
    }
}

/// Nobody but the first worker is named in a row.
#[track_caller]
fn check_free(desk: &Desk) {
    for shard in [id(0), id(1)] {
        let row = desk.row(&shard);
        let names = [row.owner, row.checkpoint_owner, row.asker];
        assert!(!names.contains(&Some("other".to_owned())), "{shard}: {names:?}");
    }
    assert!(desk.steward.is_idle(), "{:?}", desk.steward.jobs);
}

/// The holder has read on, undisturbed.
#[track_caller]
fn check_kept(me: &mut Desk, shard: &str, epoch: u64) {
    me.live(20);
    let row = me.row(shard);
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner), (Some("me"), None));
    assert!(me.epoch(shard) == epoch && !me.left(shard).is_zero());
}

/// The row is somebody else's by now: the stop of the process that has asked for it changes nothing there.
#[track_caller]
fn check_untouched(mut asker: Desk, me: &Desk, shard: &str) {
    let before = me.row(shard);
    asker.hears(Word::Stopping);
    asker.work();
    assert_eq!(me.row(shard), before);
    assert!(asker.steward.is_idle(), "{:?}", asker.steward.jobs);
}

/// The holder has drained a shard that it was asked for, as it now learns.
fn drain(me: &mut Desk, shard: &str) {
    me.live(4);
    assert!(matches!(me.stage(shard), Some(Stage::Draining { to: Some(_) })));
    let epoch = me.epoch(shard);
    me.hears(Word::Drained { shard: shard.to_owned(), epoch });
}

#[test]
fn what_is_asked_for_at_a_stop_stays_with_its_holder_who_sees_nothing_of_it() {
    let (mut me, mut other, _, ask) = asking();
    let (shard, before) = (key(&ask), me.row(&key(&ask)));
    other.answer(ask);
    assert_eq!(me.row(&shard).checkpoint_owner.as_deref(), Some("me"));
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
    assert_eq!(me.row(&shard), before, "a holder that knows it by its counter loses it");
    let epoch = me.epoch(&shard);
    check_kept(&mut me, &shard, epoch);
    assert_eq!(me.stage(&shard), Some(Stage::Reading));
}

#[test]
fn what_is_asked_for_at_an_end_is_given_back_with_one_call() {
    let (_, mut other, _, ask) = asking();
    other.answer(ask);
    other.steward.end(other.now);
    let call = other.next().unwrap();
    assert!(is_let_go(&call));
    other.answer(call);
    check_free(&other);
}

#[test]
fn a_request_that_is_on_its_way_at_the_stop_is_withdrawn_whether_it_is_answered_or_not() {
    for (is_heard, failed) in [(true, 0), (false, 0), (false, 2)] {
        let (_, mut other, _, mut ask) = asking();
        for _ in 0..failed {
            other.fails(ask, transient());
            ask = other.until(is_ask);
        }
        let answer = other.make(&ask);
        other.hears(Word::Stopping);
        assert_eq!(other.next(), None);
        match is_heard {
            true => other.answered(other.now, ask, answer),
            false => other.fails(ask, transient()),
        }
        other.work();
        check_free(&other);
    }
}

#[test]
fn a_request_that_is_to_be_tried_again_at_the_stop_is_withdrawn() {
    let (_, mut other, _, ask) = asking();
    other.make(&ask);
    other.fails(ask, transient());
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
}

#[test]
fn a_request_that_was_never_sent_costs_no_call_at_the_stop() {
    let (_, mut other, _, ask) = asking();
    other.steward.jobs.extend(match ask {
        Call::Write(job) => Some(*job),
        _ => None,
    });
    other.hears(Word::Stopping);
    assert_eq!(other.next(), None);
}

#[test]
fn a_request_of_which_nothing_was_heard_is_looked_at_and_withdrawn() {
    let (_, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.make(&ask);
    let mut call = ask;
    for _ in 0..3 {
        other.fails(call, transient());
        call = other.until(|call| is_ask(call) || is_get(call));
    }
    assert_eq!(call, Call::Get { shard }, "only the next survey would tell");
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
}

#[test]
fn a_request_that_is_refused_because_it_was_made_and_answered_is_followed() {
    let (mut me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.make(&ask);
    drain(&mut me, &shard);
    me.work();
    other.fails(ask, transient());
    let again = other.until(is_ask);
    other.answer(again);
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
    assert_eq!(me.row(&shard).owner, None);
}

#[test]
fn what_was_handed_over_and_not_looked_at_is_nobodys_after_the_stop() {
    let (mut me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    drain(&mut me, &shard);
    me.work();
    assert_eq!(me.row(&shard).owner.as_deref(), Some("other"));
    let before = me.row(&shard).counter;
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
    let row = me.row(&shard);
    assert_eq!((row.owner, row.holder), (None, None));
    assert!(row.counter > before, "a taker with an older scan succeeds");
}

#[test]
fn an_acceptance_at_the_stop_ends_as_a_free_row_wherever_it_is() {
    for (is_made, is_heard) in [(false, false), (true, false), (true, true)] {
        let (mut me, mut other, _, ask) = asking();
        let shard = key(&ask);
        other.answer(ask);
        drain(&mut me, &shard);
        me.work();
        let accept = other.until(is_accept);
        other.said();
        let answer = is_made.then(|| other.make(&accept));
        other.hears(Word::Stopping);
        match answer.filter(|_| is_heard) {
            Some(answer) => other.answered(other.now, accept, answer),
            None => other.fails(accept, transient()),
        }
        other.work();
        check_free(&other);
        assert_eq!(me.row(&shard).owner, None, "{is_made} {is_heard}");
    }
}

#[test]
fn a_take_whose_answer_is_lost_at_the_stop_leaves_a_free_row() {
    let (me, stream) = Desk::reading(1);
    let mut next = Desk::new(super::desk::settings("other"), &me.table);
    next.list(&stream);
    let take = next.until(|call| matches!(act(call), Some(Act::Take { .. })));
    next.make(&take);
    assert_eq!(next.row(&id(0)).owner.as_deref(), Some("other"));
    next.hears(Word::Stopping);
    next.fails(take, transient());
    next.work();
    assert_eq!(next.row(&id(0)).owner, None);
    assert!(next.steward.is_idle());
}

#[test]
fn what_another_worker_has_taken_meanwhile_is_left_alone() {
    let (me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    me.steal(&shard, "third");
    check_untouched(other, &me, &shard);
}

#[test]
fn what_kcl_has_taken_meanwhile_is_left_to_it() {
    let (me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    let counter = me.row(&shard).counter + 1;
    me.edit(&shard, |row| {
        row.insert("leaseOwner".to_owned(), "java".into());
        row.insert("leaseCounter".to_owned(), counter.into());
    });
    check_untouched(other, &me, &shard);
}

#[test]
fn what_a_namesake_has_accepted_is_left_to_it() {
    let (mut me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    drain(&mut me, &shard);
    me.work();
    me.edit(&shard, |row| {
        row.insert("kcHolder".to_owned(), "other/2#1".into());
    });
    check_untouched(other, &me, &shard);
}

#[test]
fn what_has_come_to_be_held_meanwhile_is_not_let_go() {
    let (mut me, _) = Desk::reading(1);
    let late = Job::new(withdraw(&id(0), "me", "third"), Act::LetGo, me.now);
    me.steward.jobs.push_back(late);
    me.work();
    assert_eq!(me.row(&id(0)).owner.as_deref(), Some("me"));
}

#[test]
fn a_withdrawal_is_tried_three_times_and_not_at_all_if_the_table_refuses_it() {
    let kinds = [(LeaseTableErrorKind::Transient, 3), (LeaseTableErrorKind::Fatal, 1)];
    for (kind, most) in kinds {
        let (_, mut other, _, ask) = asking();
        other.answer(ask);
        other.hears(Word::Stopping);
        for _ in 0..most {
            let call = other.until(is_let_go);
            other.fails(call, failure(kind));
            assert_eq!(other.next(), None, "it is tried at once");
        }
        assert!(other.steward.is_idle());
        assert!(!other.would(30, |_| true));
    }
}

#[test]
fn a_withdrawal_whose_answer_was_lost_is_done() {
    let (_, mut other, _, ask) = asking();
    other.answer(ask);
    other.hears(Word::Stopping);
    let call = other.until(is_let_go);
    other.make(&call);
    other.fails(call, transient());
    other.live(5);
    check_free(&other);
}

#[test]
fn what_was_asked_for_goes_back_when_the_handler_stands_still() {
    let (mut me, _) = Desk::reading(2);
    // It is this worker that asks: for a lease that another one holds and keeps up.
    me.steal(&id(1), "third");
    me.live(4);
    assert_eq!(me.stage(&id(1)), None);
    let before = me.row(&id(1));
    let ask = ask(&before, "me").unwrap();
    me.table.apply(&ask).unwrap();
    me.steward.asked(&id(1), "third".to_owned(), me.now);
    let epoch = me.epoch(&id(0));
    me.hears(Word::Hangs { shard: id(0), epoch, age: F });
    me.work();
    assert_eq!(me.row(&id(1)), Row { asker: None, ..before });
    assert!(!me.steward.requests.has(&id(1)));
}

#[test]
fn a_holder_that_learns_of_a_withdrawal_after_its_drain_takes_the_lease_again_at_once() {
    let (mut me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    drain(&mut me, &shard);
    let epoch = me.epoch(&shard);
    me.said();
    other.hears(Word::Stopping);
    other.work();
    me.work();
    let said = me.said();
    assert!(said.contains(&News::Left { shard: shard.clone(), to: None }), "{said:?}");
    assert!(said.contains(&News::Gained { shard: shard.clone(), from: None }), "{said:?}");
    assert!(super::desk::leased(&said, &shard).is_some() && me.epoch(&shard) > epoch);
    check_free(&other);
}

#[test]
fn a_holder_that_stops_itself_does_not_take_again_what_it_releases() {
    let (mut me, mut other, _, ask) = asking();
    let shard = key(&ask);
    other.answer(ask);
    drain(&mut me, &shard);
    me.hears(Word::Stopping);
    other.hears(Word::Stopping);
    other.work();
    me.work();
    assert_eq!(me.row(&shard).owner, None);
}

#[test]
fn a_holder_is_not_lost_if_the_next_one_asks_before_it_has_seen_a_withdrawal() {
    let (mut me, _) = Desk::reading(1);
    let asks = |desk: &Desk, by: &str| {
        desk.ask(&id(0), by);
        desk.edit(&id(0), |row| {
            row.insert("kcAsker".to_owned(), by.into());
        });
    };
    asks(&me, "first");
    me.live(4);
    let first = Stage::Draining { to: Some("first".to_owned()) };
    assert_eq!(me.stage(&id(0)), Some(first));
    // Between two beats.
    me.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "me".into());
        row.remove("checkpointOwner");
        row.remove("kcAsker");
    });
    asks(&me, "second");
    me.live(12);
    let second = Stage::Draining { to: Some("second".to_owned()) };
    assert_eq!(me.stage(&id(0)), Some(second), "it is lost");
    assert!(me.left(&id(0)) > Duration::ZERO);
    let epoch = me.epoch(&id(0));
    me.hears(Word::Drained { shard: id(0), epoch });
    me.work();
    assert_eq!(me.row(&id(0)).owner.as_deref(), Some("second"));
}

#[test]
fn a_release_that_was_asked_for_by_another_worker_than_was_known_is_made() {
    let (mut me, _) = Desk::reading(1);
    me.ask(&id(0), "first");
    me.live(4);
    me.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "second".into());
        row.insert("kcAsker".to_owned(), "second".into());
    });
    let epoch = me.epoch(&id(0));
    me.hears(Word::Hangs { shard: id(0), epoch, age: F });
    for _ in 0..50 {
        me.pass(0.1);
        me.work();
    }
    assert_ne!(me.row(&id(0)).checkpoint_owner.as_deref(), Some("me"));
}

#[test]
fn who_asked_for_a_lease_that_was_released_meanwhile_is_not_named() {
    let (mut me, mut other, _, ask) = asking();
    other.answer(ask);
    me.steward.end(me.now);
    me.work();
    other.hears(Word::Stopping);
    other.work();
    check_free(&other);
}
