//! Leases that are taken, adopted, and begin to be read.

use super::desk::{Desk, act, id, leased, settings, transient};
use crate::core::event::StartAt;
use crate::core::fleet::lease::row::Holder;
use crate::core::fleet::lease::writes::Tenure;
use crate::core::fleet::steward::lease::Stage;
use crate::core::fleet::steward::words::{Act, Answer, Call, News};
use crate::model::position::IteratorType;
use crate::model::write::Applied;
use crate::store::leases::memory::MemoryLeases;

use super::stream::Stream;

fn is_take(call: &Call) -> bool {
    matches!(act(call), Some(Act::Take { .. }))
}

/// A worker that is about to take its first lease.
fn taking() -> (Desk, Stream, Call) {
    let stream = Stream::new(1);
    let mut desk = Desk::new(settings("me"), &MemoryLeases::new());
    desk.list(&stream);
    let take = desk.until(is_take);
    (desk, stream, take)
}

#[test]
fn a_first_lease_is_read_from_where_the_consumer_starts() {
    let (mut desk, _) = Desk::reading(1);
    let at = leased(&desk.said(), &id(0));
    assert_eq!(at, Some(StartAt::Fresh(IteratorType::TrimHorizon)));
}

#[test]
fn a_take_that_was_done_and_whose_answer_was_lost_holds_since_it_was_sent_first() {
    let (mut desk, _, take) = taking();
    let sent = desk.now;
    desk.make(&take);
    desk.fails(take, transient());
    desk.pass(1.0);
    let again = desk.until(is_take);
    desk.answer(again);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Reading));
    assert_eq!(desk.left(&id(0)), super::desk::F / 10 * 9 - desk.now.since(sent));
}

#[test]
fn a_take_is_tried_three_times_and_its_row_is_adopted_then() {
    let (mut desk, _, take) = taking();
    desk.make(&take);
    desk.fails(take, transient());
    for _ in 0..2 {
        let again = desk.until(is_take);
        desk.fails(again, transient());
    }
    assert!(desk.steward.jobs.is_empty());
    desk.live(30);
    let said = desk.said();
    assert!(said.contains(&News::Gained { shard: id(0), from: None }), "{said:?}");
    assert_eq!(desk.stage(&id(0)), Some(Stage::Reading));
}

#[test]
fn a_lease_that_another_worker_took_first_is_not_held() {
    let (mut desk, _, take) = taking();
    desk.steal(&id(0), "you");
    desk.answer(take);
    assert_eq!((desk.steward.held(), desk.stage(&id(0))), (0, None));
    assert_eq!(desk.row(&id(0)).owner.as_deref(), Some("you"));
}

#[test]
fn a_plan_that_has_waited_is_dropped() {
    let (mut desk, _, take) = taking();
    desk.fails(take, transient());
    desk.pass(11.0);
    assert!(!is_take(&desk.next().unwrap()));
    assert!(desk.steward.jobs.is_empty());
}

#[test]
fn a_lease_that_is_taken_after_the_stop_is_released() {
    let (mut desk, _, take) = taking();
    let answer = desk.make(&take);
    desk.hears(crate::core::event::Word::Stopping);
    desk.answered(desk.now, take, answer);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Leaving));
    desk.work();
    assert!(desk.steward.is_idle());
    assert_eq!(leased(&desk.said(), &id(0)), None);
    assert_eq!(desk.row(&id(0)).owner, None);
}

#[test]
fn a_lease_is_read_from_the_position_in_the_answer_to_its_take() {
    let (mut desk, stream, take) = taking();
    let number = stream.shards[&id(0)].after(7);
    desk.edit(&id(0), |row| {
        let sequence = number.sequence().unwrap().as_str();
        row.insert("checkpoint".to_owned(), sequence.into());
    });
    desk.answer(take);
    let Some(StartAt::Stored(at)) = leased(&desk.said(), &id(0)) else { panic!("not stored") };
    assert_eq!(at.sequence(), number.sequence());
}

#[test]
fn what_an_older_answer_says_does_not_move_the_start_of_a_lease() {
    let (mut desk, stream) = Desk::reading(1);
    desk.commit(&id(0), &stream.shards[&id(0)].after(3)).unwrap();
    let old = desk.table.row(&id(0)).unwrap();
    desk.commit(&id(0), &stream.shards[&id(0)].after(9)).unwrap();
    // A tenure that waits for a listing.
    let lease = desk.steward.leases.get_mut(&id(0)).unwrap();
    lease.stage = Stage::Waiting;
    let epoch = lease.epoch;
    desk.steward.left_to(&id(0), epoch - 1, None, super::judge::row(&old).into());
    desk.said();
    desk.list(&stream);
    let Some(StartAt::Stored(at)) = leased(&desk.said(), &id(0)) else { panic!("not stored") };
    let nine = stream.shards[&id(0)].after(9);
    assert_eq!(at.sequence(), nine.sequence());
}

#[test]
fn the_answer_to_an_earlier_take_does_not_end_a_later_tenure() {
    let (mut desk, _, take) = taking();
    let answer = desk.make(&take);
    // Others make calls meanwhile.
    let Call::Write(job) = &take else { panic!("no write") };
    let Act::Take { tenure: earlier, .. } = &job.act else { panic!("no take") };
    let later = desk.steward.tenure(&id(0));
    assert!(earlier.holder.number() < later.holder.number());
    let write = later.accept(&desk.row(&id(0)), &settings("me").marks);
    let Ok(Applied::Done(item)) = crate::store::leases::LeaseTable::apply(&desk.table, &write)
    else {
        panic!("not accepted")
    };
    let epoch = later.holder.number();
    desk.steward.gain(later, None, desk.now, super::judge::row(&item));
    desk.answered(desk.now, take, answer);
    assert_eq!(desk.epoch(&id(0)), epoch);
    assert!(!desk.said().iter().any(|it| matches!(it, News::Lost { .. })));
}

#[test]
fn a_lease_that_is_held_is_not_taken_again_by_what_was_planned_before() {
    let (mut desk, _, take) = taking();
    let answer = desk.make(&take);
    let row = desk.row(&id(0));
    let tenure = desk.steward.tenure(&id(0));
    let write = tenure.accept(&row, &settings("me").marks);
    let act = Act::Accept { tenure, from: None };
    desk.steward.plan_job(desk.now, write, act);
    desk.answered(desk.now, take, answer);
    let epoch = desk.epoch(&id(0));
    desk.live(30);
    assert_eq!(desk.epoch(&id(0)), epoch);
}

#[test]
fn a_lease_that_somebody_asks_for_before_it_is_read_is_handed_over_unread() {
    let (mut desk, _, take) = taking();
    desk.make(&take);
    desk.ask(&id(0), "you");
    desk.fails(take, transient());
    let again = desk.until(is_take);
    desk.answer(again);
    desk.work();
    let said = desk.said();
    assert_eq!(leased(&said, &id(0)), None);
    assert!(said.contains(&News::Left { shard: id(0), to: Some("you".to_owned()) }), "{said:?}");
    let row = desk.row(&id(0));
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner), (Some("you"), None));
}

#[test]
fn an_unlisted_shard_waits_for_a_listing_that_shows_it() {
    let (mut desk, stream, take) = taking();
    desk.shards = None;
    desk.steward.hears(desk.now, crate::core::event::Word::Listed(Vec::new()));
    desk.answer(take);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Waiting));
    assert!(desk.steward.take_news().contains(&News::ListingWanted));
    desk.list(&stream);
    assert_eq!(desk.stage(&id(0)), Some(Stage::Reading));
}

#[test]
fn no_tenure_has_the_number_of_another() {
    let (mut desk, _, _) = taking();
    let tenures = [0; 3].map(|_| desk.steward.tenure(&id(0)));
    let expected = |at: u64| Tenure {
        holder: Holder::new("me/1", tenures[0].holder.number() + at),
        ..tenures[0].clone()
    };
    assert_eq!(tenures, [expected(0), expected(1), expected(2)]);
}

#[test]
fn an_answer_without_a_row_gains_nothing() {
    let (mut desk, _, take) = taking();
    desk.answered(desk.now, take, Answer::Applied(Ok(Applied::Refused(None))));
    assert_eq!(desk.steward.held(), 0);
}
