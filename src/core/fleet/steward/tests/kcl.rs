//! Leases that a worker of Amazon's library has taken, which leaves in them what ours have written.

use super::desk::{Desk, id};
use super::stream::Stream;
use crate::core::fleet::lease::writes::ask;
use crate::core::fleet::steward::words::{Call, News};
use crate::store::leases::LeaseTable;

/// KCL 2 holds these leases. The first one was held by `of`, which another worker of ours had asked for it before.
fn taken(shards: u64, of: &str) -> (Desk, Stream) {
    let (desk, stream) = Desk::reading(shards);
    for shard in 0..shards {
        desk.edit(&id(shard), |row| {
            row.insert("leaseOwner".to_owned(), "java".into());
            row.remove("kcHolder");
        });
    }
    desk.edit(&id(0), |row| {
        row.insert("checkpointOwner".to_owned(), of.into());
        row.insert("kcHolder".to_owned(), format!("{of}/1#1").as_str().into());
        row.insert("kcAsker".to_owned(), "x".into());
    });
    (desk, stream)
}

/// A second, in which KCL moves the counters of what it holds, or was asked for.
fn live(desk: &mut Desk, shards: u64) {
    for shard in 0..shards {
        let row = desk.row(&id(shard));
        if [&row.owner, &row.checkpoint_owner].contains(&&Some("java".to_owned())) {
            let counter = row.counter + 1;
            desk.edit(&id(shard), |row| {
                drop(row.insert("leaseCounter".to_owned(), counter.into()))
            });
        }
    }
    desk.live(1);
}

fn fails(said: &[News]) -> bool {
    said.iter().any(|it| matches!(it, News::Failed(_)))
}

#[test]
fn a_restarted_worker_is_no_namesake_of_what_kcl_took_after_a_request() {
    let (former, stream) = taken(2, "me");
    let mut me = former.next_life("me", &stream);
    for _ in 0..40 {
        live(&mut me, 2);
    }
    let said = me.said();
    assert!(!fails(&said), "{said:?}");
    let mine = (0..2).filter(|it| me.row(&id(*it)).owner.as_deref() == Some("me"));
    assert_eq!(mine.count(), 1, "it has asked for its share: {said:?}");
}

#[test]
fn a_dead_holder_from_which_kcl_took_after_a_request_does_not_live() {
    let (former, stream) = taken(4, "dead");
    let mut me = former.next_life("me", &stream);
    for _ in 0..30 {
        live(&mut me, 4);
        assert!(me.steward.outline(me.now).workers <= 2);
    }
    assert_eq!(me.steward.outline(me.now).workers, 2);
}

#[test]
fn what_kcl_took_after_a_request_can_be_asked_for_again() {
    let (former, stream) = taken(1, "dead");
    let mut me = former.next_life("me", &stream);
    for _ in 0..60 {
        live(&mut me, 1);
    }
    // One of one is its share, and KCL's as well: nobody asks.
    assert_eq!(me.row(&id(0)).owner.as_deref(), Some("java"));
    let write = ask(&me.row(&id(0)), "me").expect("java has it");
    me.table.apply(&write).unwrap();
    let row = me.row(&id(0));
    assert_eq!((row.owner.as_deref(), row.giver()), (Some("me"), Some("java")));
}

#[test]
fn a_lease_that_kcl_3_hands_over_to_a_namesake_of_its_former_holder_is_accepted() {
    for is_survey_first in [false, true] {
        let (first, stream) = Desk::reading(2);
        for shard in 0..2 {
            first.edit(&id(shard), |row| drop(row.insert("leaseOwner".to_owned(), "java".into())));
        }
        let mut me = first.next_life("me", &stream);
        let is_asked = |me: &Desk| (0..2).find(|it| me.row(&id(*it)).checkpoint_owner.is_some());
        let mut seconds = 0..60;
        while is_asked(&me).is_none() {
            seconds.next().expect("it asks");
            live(&mut me, 2);
        }
        let shard = id(is_asked(&me).unwrap());
        let page = is_survey_first.then(|| me.until(|call| matches!(call, Call::Page { .. })));
        let counter = me.row(&shard).counter + 1;
        me.edit(&shard, |row| {
            row.remove("checkpointOwner");
            row.insert("leaseCounter".to_owned(), counter.into());
        });
        page.into_iter().for_each(|page| me.answer(page));
        for _ in 0..4 {
            live(&mut me, 2);
        }
        let said = me.said();
        assert!(!fails(&said), "{said:?}");
        assert_eq!(me.steward.held(), 1, "{said:?}");
    }
}
