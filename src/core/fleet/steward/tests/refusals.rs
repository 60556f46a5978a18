//! Processes and tables beside which a process refuses to run.

use super::desk::{Desk, F, id, is_beat, settings};
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::fleet::steward::words::{Answer, Call, News, Refusal};
use crate::model::item::Item;

/// Why a worker stopped that does not write a row after that.
#[track_caller]
fn refusal(desk: &mut Desk) -> Refusal {
    desk.live(60);
    let failed = desk.said().into_iter().find_map(|news| match news {
        News::Failed(refusal) => Some(refusal),
        _ => None,
    });
    let before = desk.table.rows();
    desk.live(60);
    assert_eq!(desk.table.rows(), before, "it writes after its refusal");
    assert!(desk.steward.is_idle(), "something is left: {:?}", desk.steward.jobs);
    failed.expect("a refusal")
}

#[test]
fn rows_of_an_earlier_stream_are_refused_and_none_is_adopted_or_taken() {
    let (mut desk, stream) = Desk::reading(2);
    let after = stream.shards[&id(1)].after(5);
    desk.commit(&id(1), &after).unwrap();
    desk.edit(&id(1), |row| {
        row.insert("checkpoint".to_owned(), "7".into());
    });
    desk.edit(&id(0), |row| {
        row.insert("leaseOwner".to_owned(), "new".into());
        row.remove("kcHolder");
    });
    let mut new = Desk::new(settings("new"), &desk.table);
    new.list(&stream);
    let before = new.table.rows();
    assert!(matches!(refusal(&mut new), Refusal::Recreated { shards } if shards == [id(1)]));
    assert_eq!(new.table.rows(), before);
}

#[test]
fn a_row_of_another_stream_is_refused_before_anything_is_written() {
    let (desk, stream) = Desk::reading(1);
    desk.edit(&id(0), |row| {
        row.insert("kcStream".to_owned(), "payments".into());
    });
    let mut new = Desk::new(settings("new"), &desk.table);
    new.list(&stream);
    assert!(matches!(refusal(&mut new), Refusal::Row(_)));
}

#[test]
fn a_newer_protocol_is_refused_and_what_is_held_is_given_up() {
    let (mut desk, _) = Desk::reading(1);
    desk.said();
    let call = desk.until(|call| *call == Call::Coordinator);
    let newer = Item::from([("cv".to_owned(), "CLIENT_VERSION_3X".into())]);
    desk.answered(desk.now, call, Answer::Item(Ok(Some(newer))));
    let page = desk.until(|call| matches!(call, Call::Page { .. }));
    desk.answer(page);
    let said = desk.said();
    assert!(matches!(
        &said[..],
        [News::Asked { by: None, .. }, News::Failed(Refusal::Protocol(_))]
    ));
    assert!(!desk.would(60, |call| !is_beat(call)), "it surveys after its refusal");
}

#[test]
fn another_process_with_the_same_id_that_lives_is_refused() {
    let (mut desk, stream) = Desk::reading(1);
    let other = Settings { process: "me/2".to_owned(), ..settings("me") };
    let mut other = Desk::new(other, &desk.table);
    other.list(&stream);
    other.now = desk.now;
    for _ in 0..30 {
        desk.live(1);
        other.live(1);
    }
    let is_refused = |news: &News| matches!(news, News::Failed(Refusal::WorkerIdInUse { worker }) if worker == "me");
    assert!(other.said().iter().any(is_refused));
}

#[test]
fn a_process_that_has_died_leaves_its_id_and_its_leases_to_the_next_one() {
    let (desk, stream) = Desk::reading(1);
    let next = Settings { process: "me/2".to_owned(), ..settings("me") };
    let mut next = Desk::new(next, &desk.table);
    next.list(&stream);
    next.live(9);
    assert_eq!(next.steward.held(), 0, "the other one may still hand over");
    next.live(20);
    assert_eq!(next.steward.held(), 1);
    assert!(!next.said().iter().any(|it| matches!(it, News::Failed(_))));
}

#[test]
fn a_worker_that_lives_with_another_failover_time_is_refused() {
    let (mut desk, stream) = Desk::reading(2);
    let marks = Marks { failover: F * 2, ..settings("new").marks };
    let mut new = Desk::new(Settings { marks, ..settings("new") }, &desk.table);
    new.list(&stream);
    new.now = desk.now;
    for _ in 0..60 {
        desk.live(1);
        new.live(1);
    }
    let is_refused = |news: &News| match news {
        News::Failed(Refusal::FailoverDiffers { worker, theirs, ours }) => {
            worker == "me" && (*theirs, *ours) == (F, F * 2)
        }
        _ => false,
    };
    assert!(new.said().iter().any(is_refused));
}

#[test]
fn a_dead_worker_with_another_failover_time_is_no_conflict() {
    let (desk, stream) = Desk::reading(1);
    let marks = Marks { failover: F * 2, ..settings("new").marks };
    let mut new = Desk::new(Settings { marks, ..settings("new") }, &desk.table);
    new.list(&stream);
    new.live(60);
    assert_eq!(new.steward.held(), 1);
    assert_eq!(new.row(&id(0)).failover, Some(F * 2));
}
