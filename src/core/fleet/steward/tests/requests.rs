//! Leases that were asked for.

use std::time::Duration;

use super::desk::{Desk, F, act, id, is_beat, settings, transient};
use super::stream::Stream;
use crate::core::event::Word;
use crate::core::fleet::lease::row::Row;
use crate::core::fleet::steward::requests::{Requests, Verdict};
use crate::core::fleet::steward::words::{Act, Call, News};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn is_ask(call: &Call) -> bool {
    matches!(act(call), Some(Act::Ask { .. }))
}

pub(super) fn is_get(call: &Call) -> bool {
    matches!(call, Call::Get { .. })
}

/// A worker that reads two shards, and one that is about to ask for one of them.
pub(super) fn asking() -> (Desk, Desk, Stream, Call) {
    let (me, stream) = Desk::reading(2);
    let mut other = Desk::new(settings("other"), &me.table);
    let mut me = me;
    other.now = me.now;
    other.steward = crate::core::fleet::steward::Steward::new(
        settings("other"),
        me.now,
        fastrand::Rng::with_seed(7),
    );
    other.list(&stream);
    for _ in 0..600 {
        me.pass(0.1);
        me.work();
        other.pass(0.1);
        while let Some(call) = other.next() {
            if is_ask(&call) {
                return (me, other, stream, call);
            }
            other.answer(call);
        }
    }
    panic!("nothing is asked for");
}

/// Both live; what the first one is asked for it hands over if `drains`.
fn live(me: &mut Desk, other: &mut Desk, seconds: u64, drains: bool) {
    for _ in 0..seconds * 10 {
        me.pass(0.1);
        me.work();
        for news in me.said() {
            if let News::Asked { shard, epoch, .. } = news {
                if drains {
                    me.hears(Word::Drained { shard, epoch });
                }
            }
        }
        other.pass(0.1);
        other.work();
    }
}

#[test]
fn a_lease_that_was_handed_over_is_accepted_and_read() {
    let (mut me, mut other, _, ask) = asking();
    other.answer(ask);
    live(&mut me, &mut other, 10, true);
    assert_eq!((me.steward.held(), other.steward.held()), (1, 1));
    let said = other.said();
    let gained = said.iter().find(|it| matches!(it, News::Gained { .. })).unwrap();
    assert!(matches!(gained, News::Gained { from: Some(from), .. } if from == "me"));
    assert!(said.iter().any(|it| matches!(it, News::Leased { .. })));
}

#[test]
fn a_request_whose_answer_was_lost_is_followed_all_the_same() {
    let (mut me, mut other, _, ask) = asking();
    other.make(&ask);
    other.fails(ask, transient());
    live(&mut me, &mut other, 15, true);
    assert_eq!((me.steward.held(), other.steward.held()), (1, 1));
}

#[test]
fn a_request_that_is_tried_again_after_the_lease_was_taken_begins_no_second_tenure() {
    let (_, mut other, _, ask) = asking();
    let Call::Write(job) = &ask else { unreachable!("it is a write") };
    let shard = job.write.key().to_owned();
    // Nobody beats any more.
    other.live(40);
    let epoch = other.epoch(&shard);
    other.said();
    other.answer(ask);
    other.live(10);
    assert_eq!(other.epoch(&shard), epoch);
    assert!(!other.said().iter().any(|it| matches!(it, News::Lost { .. } | News::Gained { .. })));
}

#[test]
fn a_lease_whose_holder_does_not_hand_it_over_is_taken_after_its_patience() {
    let (mut me, mut other, _, ask) = asking();
    other.answer(ask);
    live(&mut me, &mut other, 38, false);
    assert_eq!(other.steward.held(), 0);
    live(&mut me, &mut other, 8, false);
    assert_eq!((me.steward.held(), other.steward.held()), (1, 1));
    assert!(other.row(&id(0)).checkpoint_owner.is_none());
    assert!(other.row(&id(1)).checkpoint_owner.is_none());
}

#[test]
fn a_lease_whose_holder_has_died_is_taken_after_the_failover_time() {
    let (_, mut other, _, ask) = asking();
    other.answer(ask);
    other.live(10);
    assert_eq!(other.steward.held(), 0);
    other.live(4);
    assert!(other.steward.held() >= 1);
}

#[test]
fn an_acceptance_that_failed_is_tried_again_and_knows_who_gave_the_lease() {
    let (mut me, mut other, _, ask) = asking();
    other.answer(ask);
    let mut is_failed = false;
    for _ in 0..100 {
        live(&mut me, &mut other, 0, true);
        me.pass(0.1);
        me.work();
        for news in me.said() {
            if let News::Asked { shard, epoch, .. } = news {
                me.hears(Word::Drained { shard, epoch });
            }
        }
        other.pass(0.1);
        while let Some(call) = other.next() {
            let is_accept = matches!(act(&call), Some(Act::Accept { .. }));
            if is_accept && !is_failed {
                // Somebody writes the row just before.
                let shard = match &call {
                    Call::Write(job) => job.write.key().to_owned(),
                    _ => unreachable!(),
                };
                let counter = other.row(&shard).counter + 1;
                other.edit(&shard, |row| {
                    row.insert("leaseCounter".to_owned(), counter.into());
                });
                is_failed = true;
            }
            other.answer(call);
        }
    }
    assert!(is_failed);
    let gained = News::Gained {
        shard: other.steward.leases.keys().next().unwrap().clone(),
        from: Some("me".to_owned()),
    };
    assert!(other.said().contains(&gained));
}

#[test]
fn what_was_asked_for_is_not_taken_after_the_stop() {
    let (mut me, mut other, _, ask) = asking();
    let answer = other.make(&ask);
    other.hears(Word::Stopping);
    other.answered(other.now, ask, answer);
    live(&mut me, &mut other, 60, false);
    assert!(other.steward.is_idle(), "{:?}", other.steward.jobs);
    assert_eq!(other.steward.held(), 0);
    assert!(!other.would(60, |call| !is_beat(call)), "it still looks");
}

#[test]
fn a_look_that_failed_is_made_again() {
    let (_, mut other, _, ask) = asking();
    other.answer(ask);
    let get = other.until(is_get);
    other.fails(get, transient());
    assert!(other.would(3, is_get));
}

#[test]
fn a_row_is_not_looked_at_while_its_answer_is_to_come() {
    let (_, mut other, _, ask) = asking();
    other.answer(ask);
    let _on_its_way = other.until(is_get);
    assert!(!other.would(5, is_get));
}

/// A row that `owner` has, or asks `giver` for.
fn row(owner: &str, giver: Option<&str>, counter: u64, holder: Option<&str>) -> Row {
    let (desk, _) = Desk::reading(1);
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), owner.into());
        row.insert("leaseCounter".to_owned(), counter.into());
        row.remove("kcHolder");
        if let Some(giver) = giver {
            row.insert("checkpointOwner".to_owned(), giver.into());
        }
        if let Some(holder) = holder {
            row.insert("kcHolder".to_owned(), holder.into());
        }
    });
    desk.row(&id(0))
}

/// What a look at this second says.
fn look(requests: &mut Requests, row: Option<&Row>, second: u32) -> Verdict {
    let time = SECOND * second;
    requests.looked(&id(0), row, ("me", "me/1"), (time, time), (F, F * 3))
}

fn requests() -> Requests {
    let mut requests = Requests::default();
    requests.add(&id(0), Some("you".to_owned()), Duration::ZERO);
    requests
}

#[test]
fn a_request_is_looked_at_every_second() {
    let mut requests = requests();
    assert_eq!(requests.due(), Some(SECOND));
    assert_eq!(requests.next(SECOND / 2), None);
    assert_eq!(requests.next(SECOND), Some(id(0)));
    assert_eq!((requests.due(), requests.next(SECOND * 9)), (None, None));
    let waits = row("me", Some("you"), 5, None);
    assert_eq!(look(&mut requests, Some(&waits), 1), Verdict::Wait);
    assert_eq!(requests.due(), Some(SECOND * 2));
}

#[test]
fn a_counter_that_moves_is_waited_for_until_the_patience_is_over() {
    let mut requests = requests();
    for second in 1..=40 {
        let row = row("me", Some("you"), second.into(), None);
        assert_eq!(look(&mut requests, Some(&row), second), Verdict::Wait);
    }
    let row = row("me", Some("you"), 41, None);
    let overdue = Verdict::Overdue { from: "you".to_owned() };
    assert_eq!(look(&mut requests, Some(&row), 41), overdue);
}

#[test]
fn a_counter_that_stands_still_is_waited_for_longer_than_the_failover_time() {
    let mut requests = requests();
    let row = row("me", Some("you"), 5, None);
    for second in 3..=13 {
        assert_eq!(look(&mut requests, Some(&row), second), Verdict::Wait);
    }
    assert!(matches!(look(&mut requests, Some(&row), 14), Verdict::Overdue { .. }));
}

#[test]
fn a_holder_with_a_longer_failover_time_is_waited_for_as_long_as_it_hands_over() {
    let mut requests = requests();
    let row = Row { failover: Some(F * 2), ..row("me", Some("you"), 5, None) };
    for second in 3..=23 {
        assert_eq!(look(&mut requests, Some(&row), second), Verdict::Wait);
    }
    assert!(matches!(look(&mut requests, Some(&row), 24), Verdict::Overdue { .. }));
}

#[test]
fn a_row_that_another_worker_has_is_forgotten() {
    let mut requests = requests();
    let row = row("third", None, 5, None);
    assert_eq!(look(&mut requests, Some(&row), 1), Verdict::Gone);
    assert!(!requests.has(&id(0)));
    let mut requests = self::requests();
    assert_eq!(look(&mut requests, None, 1), Verdict::Gone);
    assert!(!requests.has(&id(0)));
}

#[test]
fn what_another_process_of_the_same_id_has_accepted_is_not_accepted_from_it() {
    let mut requests = requests();
    let handed = row("me", None, 5, None);
    assert_eq!(
        look(&mut requests, Some(&handed), 1),
        Verdict::Ready { from: Some("you".to_owned()) }
    );
    let own = row("me", None, 5, Some("me/1#4"));
    assert!(matches!(look(&mut requests, Some(&own), 2), Verdict::Ready { .. }));
    let theirs = row("me", None, 6, Some("me/2#1"));
    assert_eq!(look(&mut requests, Some(&theirs), 3), Verdict::Gone);
}
