//! What a refusal means: lost replies, commits at once, leases that are gone.

use super::super::names;
use super::super::refused::{Loss, Verdict, is_asked};
use super::super::row::Misread;
use super::super::writes::{AtEnd, ask, create};
use super::writes::held;
use super::*;
use crate::error::lease_table::LeaseTableErrorKind;
use crate::store::leases::memory::TableFault;

fn me() -> Tenure {
    tenure("me", 1)
}

/// The row that comes with the refusal of a write that was done before, and whose reply was lost.
#[track_caller]
fn again(table: &MemoryLeases, write: &Write) -> Option<Item> {
    table.fail_next(1, TableFault::ReplyLost);
    let lost = table.apply(write).unwrap_err();
    assert_eq!(lost.kind(), LeaseTableErrorKind::Transient);
    refused(table, write)
}

fn taken_by(owner: &str) -> Loss {
    Loss::Taken { by: Some(owner.into()) }
}

#[test]
fn a_commit_whose_reply_was_lost_is_done() {
    let (table, was) = (held(&me()), Checkpoint::trim_horizon());
    let to = number("8");
    let found = again(&table, &me().commit(&was, &to));
    assert_eq!(me().commit_refused(&to, found.as_ref()), Verdict::Done { held: true });
    assert_eq!(row(&table).counter, 1, "it was done once");
    let found = again(&table, &me().reset(&to, &was));
    assert_eq!(me().reset_refused(&was, found.as_ref()), Verdict::Done { held: true });
}

#[test]
fn an_end_whose_reply_was_lost_is_done_whether_the_lease_is_kept_or_not() {
    for (then, held_after) in [(AtEnd::Keep, true), (AtEnd::Release, false)] {
        let last = "9".parse().unwrap();
        let table = held(&me());
        let found = again(&table, &me().end(&Checkpoint::trim_horizon(), &last, then));
        let verdict = me().commit_refused(&Checkpoint::ended(&last), found.as_ref());
        assert_eq!(verdict, Verdict::Done { held: held_after });
    }
}

#[test]
fn of_two_commits_at_once_the_lower_is_done_and_the_higher_tries_again() {
    let (table, was) = (held(&me()), Checkpoint::trim_horizon());
    let (low, high) = (number("8"), number("10"));
    done(&table, &me().commit(&was, &low));
    let found = refused(&table, &me().commit(&was, &high));
    let verdict = me().commit_refused(&high, found.as_ref());
    assert_eq!(verdict, Verdict::Again(low.clone()));
    done(&table, &me().commit(&low, &high));
    // The other order: the lower one comes when there is more.
    let found = refused(&table, &me().commit(&was, &low));
    assert_eq!(me().commit_refused(&low, found.as_ref()), Verdict::Ahead { held: true });
    // A reset goes back all the same.
    assert_eq!(me().reset_refused(&low, found.as_ref()), Verdict::Again(high.clone()));
    done(&table, &me().reset(&high, &low));
    assert_eq!(row(&table).checkpoint, low);
}

#[test]
fn a_beat_and_a_commit_at_once_do_not_refuse_each_other() {
    let table = held(&me());
    let (beat, was) = (me().beat(), Checkpoint::trim_horizon());
    done(&table, &me().commit(&was, &number("8")));
    done(&table, &beat);
    done(&table, &me().commit(&number("8"), &number("9")));
    assert_eq!(row(&table).counter, 3);
}

#[test]
fn a_lease_of_another_or_of_nobody_is_lost() {
    let (to, was) = (number("8"), Checkpoint::trim_horizon());
    let commit = me().commit(&was, &to);
    let table = held(&me());
    done(&table, &tenure("other", 1).take(&row(&table), &marks()));
    let found = refused(&table, &commit);
    let lost = Verdict::Lost(taken_by("other"));
    assert_eq!(me().commit_refused(&to, found.as_ref()), lost);
    assert_eq!(me().reset_refused(&to, found.as_ref()), lost);
    assert_eq!(me().loss(found.as_ref()), Some(taken_by("other")));

    let table = held(&me());
    done(&table, &me().release());
    let found = refused(&table, &commit);
    let nobody = Loss::Taken { by: None };
    assert_eq!(me().commit_refused(&to, found.as_ref()), Verdict::Lost(nobody));
    // A later tenure of the same worker is another one.
    done(&table, &tenure("me", 2).take(&row(&table), &marks()));
    let found = refused(&table, &commit);
    assert_eq!(me().commit_refused(&to, found.as_ref()), Verdict::Lost(taken_by("me")));
}

#[test]
fn a_row_that_is_gone_or_not_understood_is_lost() {
    let (to, was) = (number("8"), Checkpoint::trim_horizon());
    let table = held(&me());
    let mut item = table.delete(SHARD).unwrap();
    let found = refused(&table, &me().commit(&was, &to));
    assert_eq!(me().commit_refused(&to, found.as_ref()), Verdict::Lost(Loss::Gone));
    assert_eq!(me().loss(found.as_ref()), Some(Loss::Gone));
    assert_eq!(me().is_handed_over("other", found.as_ref()), Err(Loss::Gone));

    item.insert(names::ENTITY.into(), "LEADER".into());
    assert_eq!(me().loss(Some(&item)), Some(Loss::Gone));
    item.remove(names::ENTITY);
    item.insert(names::FORMAT.into(), 2_u64.into());
    let newer = Misread::NewerFormat { key: SHARD.into(), format: "2".into() };
    let verdict = me().commit_refused(&to, Some(&item));
    assert_eq!(verdict, Verdict::Lost(Loss::Misread(newer)));
}

#[test]
fn what_was_stored_before_the_lease_was_lost_is_told_with_the_loss() {
    let (table, was) = (held(&me()), Checkpoint::trim_horizon());
    done(&table, &me().commit(&was, &number("8")));
    done(&table, &tenure("other", 1).take(&row(&table), &marks()));
    let found = refused(&table, &me().commit(&was, &number("8")));
    let verdict = |to: &str| me().commit_refused(&number(to), found.as_ref());
    assert_eq!(verdict("8"), Verdict::Done { held: false });
    assert_eq!(verdict("7"), Verdict::Ahead { held: false });
    assert_eq!(verdict("9"), Verdict::Lost(taken_by("other")));
}

#[test]
fn a_take_an_acceptance_or_a_creation_whose_reply_was_lost_is_known_by_its_tenure() {
    let twin = Tenure { holder: Holder::new("another process", 1), ..me() };
    let table = held(&tenure("other", 1));
    let found = again(&table, &me().take(&row(&table), &marks()));
    assert!(me().loss(found.as_ref()).is_none() && twin.loss(found.as_ref()).is_some());

    let table = held(&tenure("other", 1));
    done(&table, &ask(&row(&table), "me").unwrap());
    done(&table, &tenure("other", 1).hand_over("me"));
    let found = again(&table, &me().accept(&row(&table), &marks()));
    assert!(me().loss(found.as_ref()).is_none() && twin.loss(found.as_ref()).is_some());

    let table = held(&me());
    let birth = super::super::writes::Birth {
        shard: "shardId-000000000001".into(),
        parents: set(&[SHARD]),
        hash_keys: crate::model::shard::HashKeyRange::ALL,
        checkpoint: Checkpoint::trim_horizon(),
        tenure: Some(me()),
    };
    let found = again(&table, &create(&birth, &marks()));
    assert!(me().loss(found.as_ref()).is_none() && twin.loss(found.as_ref()).is_some());
}

#[test]
fn a_request_whose_reply_was_lost_is_known_by_the_owner() {
    let table = held(&tenure("other", 1));
    let found = again(&table, &ask(&row(&table), "me").unwrap());
    assert!(is_asked("me", found.as_ref()));
    assert!(!is_asked("third", found.as_ref()) && !is_asked("other", found.as_ref()));
    assert!(!is_asked("me", None));
    done(&table, &tenure("other", 1).hand_over("me"));
    let found = table.get(SHARD).unwrap();
    assert!(is_asked("me", found.as_ref()), "it is handed over already");
}

#[test]
fn a_lease_whose_handing_over_was_refused_is_given_kept_or_lost() {
    let table = held(&me());
    done(&table, &ask(&row(&table), "other").unwrap());
    let found = again(&table, &me().hand_over("other"));
    assert_eq!(me().is_handed_over("other", found.as_ref()), Ok(true));
    // It may be accepted meanwhile.
    done(&table, &tenure("other", 5).accept(&row(&table), &marks()));
    let found = refused(&table, &me().hand_over("other"));
    assert_eq!(me().is_handed_over("other", found.as_ref()), Ok(true));
    assert_eq!(me().is_handed_over("third", found.as_ref()), Err(taken_by("other")));

    let table = held(&me());
    let found = refused(&table, &me().hand_over("other"));
    assert_eq!(me().is_handed_over("other", found.as_ref()), Ok(false));

    // A later tenure is asked: nothing was handed over.
    let table = held(&tenure("me", 2));
    done(&table, &ask(&row(&table), "other").unwrap());
    let found = refused(&table, &me().hand_over("other"));
    assert_eq!(me().is_handed_over("other", found.as_ref()), Err(taken_by("other")));
}

/// KCL 2 takes by the counter, and knows nothing of requests. It counts from zero after each checkpoint of its own.
#[test]
fn a_lease_that_kcl_takes_after_a_request_is_lost_however_often_it_had_an_owner() {
    for switches in [0_u64, 1, 2] {
        let (table, me) = (held(&me()), me());
        done(&table, &ask(&row(&table), "asker").unwrap());
        let asked = done(&table, &me.beat());
        assert!(me.holds(&asked), "it is held until it is handed over");
        let mut item = table.get(SHARD).unwrap().unwrap();
        item.insert(names::OWNER.to_owned(), "java".into());
        item.insert(names::SWITCHES.to_owned(), switches.into());
        table.put(item);
        let found = refused(&table, &me.beat());
        assert_eq!(me.loss(found.as_ref()), Some(taken_by("java")), "{switches}");
        refused(&table, &me.commit(&Checkpoint::trim_horizon(), &number("8")));
        refused(&table, &me.release());
    }
}

#[test]
fn after_a_commit_without_an_answer_a_request_is_no_loss() {
    let (table, me) = (held(&me()), me());
    table.fail_next(1, TableFault::ReplyLost);
    let commit = me.commit(&Checkpoint::trim_horizon(), &number("8"));
    assert!(table.apply(&commit).is_err());
    done(&table, &ask(&row(&table), "asker").unwrap());
    assert!(me.holds(&done(&table, &me.beat())));
}

#[test]
fn a_request_of_kcl_3_which_does_not_say_who_asks_is_no_loss() {
    let (table, me) = (held(&me()), me());
    let mut item = table.get(SHARD).unwrap().unwrap();
    item.insert(names::OWNER.to_owned(), "java".into());
    item.insert(names::CHECKPOINT_OWNER.to_owned(), "me".into());
    table.put(item);
    assert!(me.holds(&done(&table, &me.beat())));
    let after = done(&table, &me.hand_over("java"));
    assert_eq!(after.working_owner(), Some("java"));
    assert_eq!(after.holder, None);
}

#[test]
fn a_beat_that_is_written_twice_harms_nobody() {
    let table = held(&me());
    table.fail_next(1, TableFault::ReplyLost);
    assert!(table.apply(&me().beat()).is_err());
    let after = done(&table, &me().beat());
    assert!(me().holds(&after) && after.counter == 2);
}

#[test]
fn a_call_that_is_refused_by_the_table_writes_nothing() {
    let table = held(&me());
    for kind in [
        LeaseTableErrorKind::Throttled,
        LeaseTableErrorKind::Transient,
        LeaseTableErrorKind::NoTable,
        LeaseTableErrorKind::Fatal,
    ] {
        table.fail_next(1, TableFault::Refused(kind));
        assert_eq!(table.apply(&me().beat()).unwrap_err().kind(), kind);
    }
    assert_eq!(row(&table).counter, 0);
}
