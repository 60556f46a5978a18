//! Tables that fail, and consumers that must not run beside each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::unbounded;
use kinesis_consumer::leases::{LeaseTable, LeaseTableErrorKind};
use kinesis_consumer::testing::TableFault;
use kinesis_consumer::{Batch, Error, FleetErrorKind, Listener, StoreErrorKind};

use crate::common::loopback::{chain, says};
use crate::tables::{TableCall, Watched};
use crate::team::{FAILOVER, LONG, SHORT, Team, drain, end, until};

/// Waits until one of two has ended; which one, and why; and the other one, which continues.
fn first_to_end(pair: [Listener; 2]) -> (usize, Error, Listener) {
    until(|| "one ends".into(), || pair.iter().any(Listener::is_finished));
    let [one, two] = pair;
    let (place, ended, other) = if one.is_finished() { (0, one, two) } else { (1, two, one) };
    (place, end(ended).unwrap_err(), other)
}

#[test]
fn of_two_consumers_with_one_name_at_least_one_is_refused_and_nothing_is_lost() {
    let team = Team::new(4, SHORT);
    let pair = [team.join("one"), team.join("one")];
    team.put(2);
    let (_, error, other) = first_to_end(pair);
    let is_named = matches!(
        &error,
        Error::Fleet { kind: FleetErrorKind::WorkerIdInUse { worker, .. }, .. } if worker == "one"
    );
    assert!(is_named, "{error:?}");
    says(&chain(&error), &["\"one\"", "id of its own"]);
    // Both may have seen each other.
    other.shutdown().now();
    match end(other) {
        Ok(()) => {}
        Err(Error::Fleet { kind: FleetErrorKind::WorkerIdInUse { .. }, .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    let next = team.join("next");
    team.put(1);
    team.wait_for_all();
    drain(next);
    team.check_released();
}

#[test]
fn of_two_consumers_with_different_failover_times_one_is_refused_and_says_both() {
    let team = Team::new(4, SHORT);
    let first = team.join("first");
    team.wait_for_shares(&[("first", 4)]);
    let fleet = team.fleet("second").failover(Duration::from_millis(1500));
    let second = team.spawn("second", team.open(fleet));
    team.put(2);
    let (_, error, other) = first_to_end([first, second]);
    let Error::Fleet { kind: FleetErrorKind::FailoverDiffers { theirs, ours, .. }, .. } = &error
    else {
        panic!("{error:?}")
    };
    let mut times = [*theirs, *ours];
    times.sort();
    assert_eq!(times, [SHORT, Duration::from_millis(1500)]);
    says(&chain(&error), &["1 s", "1.5 s"]);
    other.shutdown().now();
    // As above.
    assert!(matches!(
        end(other),
        Ok(()) | Err(Error::Fleet { kind: FleetErrorKind::FailoverDiffers { .. }, .. })
    ));
    let next = team.join("next");
    team.put(1);
    team.wait_for_all();
    drain(next);
    team.check_released();
}

#[test]
fn a_table_that_is_gone_or_refuses_for_good_ends_the_consumer_at_its_start_and_later() {
    for (kind, at_start) in [
        (LeaseTableErrorKind::NoTable, true),
        (LeaseTableErrorKind::NoTable, false),
        (LeaseTableErrorKind::Fatal, true),
        (LeaseTableErrorKind::Fatal, false),
    ] {
        let team = Team::new(2, SHORT);
        let (table, fails) = Watched::failing(&team.table, kind);
        fails.store(at_start, Ordering::SeqCst);
        let listener = team.spawn("one", team.open(team.fleet_on(table, "one")));
        if !at_start {
            team.wait_for_shares(&[("one", 2)]);
            fails.store(true, Ordering::SeqCst);
        }
        let error = end(listener).unwrap_err();
        let is_right = match &error {
            Error::Fleet { kind: FleetErrorKind::NoTable { source, .. }, .. } => {
                source.kind() == kind && kind == LeaseTableErrorKind::NoTable
            }
            Error::Fleet { kind: FleetErrorKind::Table { source, .. }, .. } => {
                source.kind() == kind && kind == LeaseTableErrorKind::Fatal
            }
            _ => false,
        };
        assert!(is_right, "{kind:?} {at_start}: {error:?}");
        says(&chain(&error), &["the table said no"]);
        assert!(!error.is_retriable());
        // The others can still have its shards.
        let next = team.join("next");
        team.put(1);
        team.wait_for_all();
        drain(next);
        team.check_once();
    }
}

#[test]
fn while_the_table_fails_consumers_wait_and_continue_when_it_works_again() {
    for kind in [LeaseTableErrorKind::Throttled, LeaseTableErrorKind::Transient] {
        let team = Team::new(4, SHORT);
        let (table, fails) = Watched::failing(&team.table, kind);
        let holds = Arc::new(AtomicBool::new(false));
        let (tell, told) = unbounded();
        let join = |worker: &'static str| {
            let (team, holds, tell) = (team.clone(), Arc::clone(&holds), tell.clone());
            let stream = team.open(team.fleet_on(table.clone(), worker));
            let mut has_held = false;
            let handler = move |batch: &Batch| {
                // Once: another shard's fence falls a little later.
                if holds.load(Ordering::SeqCst) && !has_held {
                    has_held = true;
                    // Nobody may be listening any more.
                    let _ = tell.send(worker);
                    until(|| "its fence falls".into(), || !batch.is_current());
                    let _ = tell.send(worker);
                }
                team.keep(worker, batch);
                Ok(())
            };
            stream.spawn(handler).unwrap()
        };
        let consumers = ["one", "two"].map(join);
        let both = || {
            let told = [told.recv_timeout(LONG).unwrap(), told.recv_timeout(LONG).unwrap()];
            assert_ne!(told[0], told[1]);
        };
        team.wait_for_shares(&[("one", 2), ("two", 2)]);
        holds.store(true, Ordering::SeqCst);
        team.put(1);
        both();
        fails.store(true, Ordering::SeqCst);
        both();
        holds.store(false, Ordering::SeqCst);
        assert!(consumers.iter().all(|it| !it.is_finished()));
        fails.store(false, Ordering::SeqCst);
        team.put(1);
        team.wait_for_all();
        assert!(consumers.iter().all(|it| !it.is_finished()));
        consumers.into_iter().for_each(drain);
        team.check_released();
    }
}

#[test]
fn a_table_that_throttles_and_loses_replies_loses_no_record() {
    let team = Team::new(4, SHORT);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let table = Watched::new(&team.table, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let join = |worker| team.spawn(worker, team.open(team.fleet_on(table.clone(), worker)));
    let consumers = ["one", "two", "three"].map(join);
    for round in 0..12 {
        let fault = match round % 3 {
            0 => TableFault::ReplyLost,
            1 => TableFault::Refused(LeaseTableErrorKind::Throttled),
            _ => TableFault::Refused(LeaseTableErrorKind::Transient),
        };
        let before = count.load(Ordering::SeqCst);
        team.table.fail_next(1 + round % 4, fault);
        team.put(1);
        let calls = || count.load(Ordering::SeqCst) >= before + 12;
        until(|| "twelve calls".into(), calls);
    }
    team.wait_for_all();
    for listener in consumers {
        listener.shutdown().drain(LONG);
        match end(listener) {
            Ok(()) => {}
            // So many calls may fail in a row that the last write is given up.
            Err(Error::Store { source, .. }) => assert_eq!(source.kind(), StoreErrorKind::Retry),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn consumers_share_a_table_of_ones_own_whose_type_nobody_knows() {
    let team = Team::new(4, FAILOVER);
    let calls = Arc::new([const { AtomicUsize::new(0) }; 4]);
    let counted = Arc::clone(&calls);
    let table: Arc<dyn LeaseTable> = Arc::new(Watched::new(&team.table, move |call| {
        counted[call as usize].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }));
    let fleet = team.fleet_on(Arc::clone(&table), "one");
    // A clone of the fleet, and a box of the table, are on the same table.
    let clone = fleet.clone().worker_id("two");
    let boxed: Box<dyn LeaseTable> = Box::new(table);
    let boxed = team.fleet_on(boxed, "three");
    let fleets = [("one", fleet), ("two", clone), ("three", boxed)];
    let consumers = fleets.map(|(worker, fleet)| team.spawn(worker, team.open(fleet)));
    team.put(2);
    team.wait_for_all();
    until(|| format!("all three: {:?}", team.shares()), || team.shares().len() == 3);
    consumers.into_iter().for_each(drain);
    team.check_once();
    team.check_released();
    let calls = |call| calls[call as usize].load(Ordering::SeqCst);
    for call in [TableCall::Page, TableCall::Coordinator, TableCall::Apply] {
        assert!(calls(call) > 0, "{call:?}");
    }
    let all = [TableCall::Page, TableCall::Get, TableCall::Apply].map(calls);
    assert_eq!(all.iter().sum::<usize>() as u64, team.table.calls());
}

#[test]
fn a_panic_of_the_table_comes_out_of_the_consumer_whichever_call_it_is_and_nothing_hangs() {
    use TableCall::{Apply, Coordinator, Get, Page};
    for (call, at_start) in [
        (Page, true),
        (Page, false),
        (Coordinator, true),
        (Coordinator, false),
        (Apply, true),
        (Apply, false),
        (Get, true),
    ] {
        let team = Team::new(2, SHORT);
        let panics = Arc::new(AtomicBool::new(at_start));
        let flag = Arc::clone(&panics);
        let table = Watched::new(&team.table, move |it| {
            assert!(it != call || !flag.load(Ordering::SeqCst), "broken table");
            Ok(())
        });
        // Whoever has asked another one for a lease reads single rows.
        let other = (call == Get).then(|| team.join("other"));
        if other.is_some() {
            team.wait_for_shares(&[("other", 2)]);
        }
        let listener = team.spawn("one", team.open(team.fleet_on(table, "one")));
        if !at_start {
            until(|| "it has a lease".into(), || team.shares().contains_key("one"));
            panics.store(true, Ordering::SeqCst);
        }
        let ended = catch_unwind(AssertUnwindSafe(|| end(listener)));
        let panic = ended.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"broken table"), "{call:?} {at_start}");
        let next = team.join("next");
        team.put(1);
        team.wait_for_all();
        [other, Some(next)].into_iter().flatten().for_each(drain);
        team.check_once();
    }
}
