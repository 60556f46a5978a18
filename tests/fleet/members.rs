//! Who reads what: shards are shared evenly, and those of who leaves are read by the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded, unbounded};
use kinesis_consumer::leases::Item;
use kinesis_consumer::{Batch, BoxError, Error, Listener};

use crate::common::id;
use crate::tables::Watched;
use crate::team::{FAILOVER, LONG, SHORT, Team, config, drain, end, owner, until};

#[test]
fn two_and_then_three_consumers_share_six_shards_evenly_and_no_record_comes_twice() {
    let team = Team::new(6, FAILOVER);
    team.put(3);
    let [one, two] = ["one", "two"].map(|worker| team.join(worker));
    team.wait_for_shares(&[("one", 3), ("two", 3)]);
    team.put(3);
    let three = team.join("three");
    team.wait_for_shares(&[("one", 2), ("two", 2), ("three", 2)]);
    let before = team.handled().len();
    team.put(3);
    team.wait_for_all();
    assert_eq!(team.workers_since(before).len(), 3);

    drain(two);
    team.put(3);
    team.wait_for_shares(&[("one", 3), ("three", 3)]);
    let before = team.handled().len();
    team.put(3);
    team.wait_for_all();
    assert!(!team.workers_since(before).contains("two"));
    drain(one);
    drain(three);
    team.check_once();
    team.check_released();
}

#[test]
fn the_shards_of_who_stops_at_once_or_panics_are_read_by_the_others_from_the_last_commit_on() {
    let team = Team::new(4, SHORT);
    let stays = team.join("stays");
    team.wait_for_shares(&[("stays", 4)]);

    let leaves = team.join("leaves");
    team.wait_for_shares(&[("stays", 2), ("leaves", 2)]);
    leaves.shutdown().now();
    end(leaves).unwrap();
    team.put(2);
    team.wait_for_shares(&[("stays", 4)]);
    team.wait_for_all();

    let panics = team.open(team.fleet("panics"));
    let panics = panics.spawn(|_| panic!("too much")).unwrap();
    team.wait_for_shares(&[("stays", 2), ("panics", 2)]);
    team.put(2);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| end(panics)));
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"too much"));
    // What it was handed and did not commit comes to the other one.
    team.wait_for_shares(&[("stays", 4)]);
    team.wait_for_all();
    drain(stays);
    team.check_released();
}

#[test]
fn the_shards_of_who_fails_are_read_by_the_others_and_the_error_comes_out_of_the_consumer() {
    let team = Team::new(2, SHORT);
    let stays = team.join("stays");
    let fails = team.open(team.fleet("fails"));
    let fails = fails.spawn(|_| -> Result<(), BoxError> { Err("no room".into()) }).unwrap();
    team.wait_for_shares(&[("stays", 1), ("fails", 1)]);
    team.put(3);
    let error = end(fails).unwrap_err();
    assert!(matches!(&error, Error::Handler { source, .. } if source.to_string() == "no room"));
    team.wait_for_shares(&[("stays", 2)]);
    team.wait_for_all();
    drain(stays);
    team.check_once();
    team.check_released();
}

#[test]
fn who_wants_few_leases_gets_no_more_and_the_others_take_the_rest() {
    let team = Team::new(5, SHORT);
    let small = team.spawn("small", team.open(team.fleet("small").max_leases(1)));
    team.wait_for_shares(&[("small", 1)]);
    let large = team.join("large");
    team.wait_for_shares(&[("small", 1), ("large", 4)]);
    team.put(2);
    team.wait_for_all();
    drain(large);
    // Nobody else may have four of them.
    team.wait_for_shares(&[("small", 1)]);
    let other = team.spawn("other", team.open(team.fleet("other").max_leases(2)));
    team.wait_for_shares(&[("small", 1), ("other", 2)]);
    [small, other].into_iter().for_each(drain);
    team.check_released();
}

#[test]
fn a_handler_that_takes_ten_failover_times_loses_no_lease() {
    let team = Team::new(2, SHORT);
    let (gate, opened) = bounded::<()>(0);
    let (tell, told) = bounded(10);
    let slow = team.open(team.fleet("slow").max_leases(1));
    let of_slow = team.clone();
    let slow = slow.spawn(move |batch: &Batch| {
        // Nobody may be listening any more.
        let _ = tell.send(batch.shard().to_owned());
        // Disconnected when the test lets it continue.
        let _ = opened.recv();
        assert!(batch.is_current());
        of_slow.keep("slow", batch);
        Ok(())
    });
    let slow = slow.unwrap();
    // Dropped before the listener, which waits for the handler, if the test fails.
    let gate = gate;
    team.put(1);
    let shard = told.recv_timeout(LONG).unwrap();
    let other = team.join("other");
    team.wait_for_shares(&[("slow", 1), ("other", 1)]);
    // Three beats are a failover time.
    let (before, holder) = (team.counter(&shard), team.text(&shard, "kcHolder"));
    until(|| "thirty beats".into(), || team.counter(&shard) >= before + 30);
    assert_eq!(team.text(&shard, "leaseOwner").as_deref(), Some("slow"));
    assert_eq!(team.text(&shard, "kcHolder"), holder, "it is the same tenure");
    drop(gate);
    team.wait_for_all();
    [slow, other].into_iter().for_each(drain);
    team.check_once();
}

/// A consumer that holds both shards of a stream, and whose handler has a batch until the other value is dropped. That must
/// be first, also if the test fails: the listener waits for its handler.
fn busy(team: &Team) -> (Listener, Sender<()>) {
    let (gate, opened) = bounded::<()>(0);
    let (tell, told) = bounded(10);
    let busy = team.open_with(team.fleet("busy").handoff_patience(LONG), config().limit(1));
    let of_busy = team.clone();
    let busy = busy.spawn(move |batch: &Batch| {
        // Nobody may be listening any more.
        let _ = tell.send(());
        // Disconnected when the test lets it continue.
        let _ = opened.recv();
        of_busy.keep("busy", batch);
        Ok(())
    });
    let busy = busy.unwrap();
    let gate = gate;
    team.put(3);
    told.recv_timeout(LONG).unwrap();
    team.wait_for_shares(&[("busy", 2)]);
    (busy, gate)
}

#[test]
fn a_consumer_that_is_asked_for_a_lease_handles_what_it_has_read_first() {
    let team = Team::new(2, FAILOVER);
    let (busy, gate) = busy(&team);
    let other = team.join("other");
    let giver = |shard: &usize| team.text(&id(*shard), "checkpointOwner");
    let asked = || (0..2).find(|shard| giver(shard).is_some());
    until(|| format!("it is asked: {:?}", team.table.rows()), || asked().is_some());
    let shard = asked().unwrap();
    // It lives, and keeps the shard for as long as its handler needs.
    let before = team.counter(&id(shard));
    until(|| "six beats".into(), || team.counter(&id(shard)) >= before + 6);
    assert_eq!(giver(&shard).as_deref(), Some("busy"));
    assert_eq!(team.text(&id(shard), "leaseOwner").as_deref(), Some("other"));
    drop(gate);
    team.wait_for_shares(&[("busy", 1), ("other", 1)]);
    team.put(1);
    team.wait_for_all();
    [busy, other].into_iter().for_each(drain);
    team.check_once();
    team.check_released();
}

#[test]
fn a_drain_hands_over_a_shard_whose_batches_wait_and_none_comes_twice() {
    let team = Team::new(3, FAILOVER);
    let leaves = team.spawn("leaves", team.open_with(team.fleet("leaves"), config().limit(1)));
    team.put(20);
    until(|| "it reads".into(), || !team.handled().is_empty());
    let stays = team.join("stays");
    team.put(5);
    drain(leaves);
    assert!(team.table.rows().iter().all(|row| owner(row) != Some("leaves")));
    team.put(5);
    team.wait_for_all();
    drain(stays);
    team.check_once();
    team.check_released();
}

#[test]
fn a_consumer_that_comes_and_goes_at_once_leaves_no_lease() {
    let team = Team::new(4, SHORT);
    let stays = team.join("stays");
    for round in 0..6 {
        team.put(1);
        let name = format!("guest-{round}");
        let guest = team.join(&name);
        match round % 3 {
            0 => {}
            1 => team.wait_for_shares(&[("stays", 2), (&name, 2)]),
            _ => until(|| "it has one".into(), || team.shares().contains_key(&name)),
        }
        match round % 2 {
            0 => drain(guest),
            _ => {
                guest.shutdown().now();
                end(guest).unwrap();
            }
        }
        let names_it = |row: &Item| owner(row) == Some(&name);
        assert!(!team.table.rows().iter().any(names_it), "{:?}", team.table.rows());
    }
    team.wait_for_shares(&[("stays", 4)]);
    team.wait_for_all();
    drain(stays);
    team.check_released();
}

#[test]
fn a_consumer_that_is_stopped_during_calls_of_its_table_waits_for_them_and_gives_all_back() {
    let team = Team::new(2, SHORT);
    let (gate, opened) = bounded::<()>(0);
    let (tell, told) = unbounded();
    let holds = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&holds);
    let table = Watched::new(&team.table, move |_| {
        if flag.load(Ordering::SeqCst) {
            // As in `busy`.
            let _ = tell.send(());
            let _ = opened.recv();
        }
        Ok(())
    });
    let listener = team.spawn("slow", team.open(team.fleet_on(table, "slow")));
    // Dropped before the listener, if the test fails.
    let gate = gate;
    team.put(2);
    team.wait_for_all();
    holds.store(true, Ordering::SeqCst);
    told.recv_timeout(LONG).unwrap();
    listener.shutdown().drain(LONG);
    drop(gate);
    end(listener).unwrap();
    team.check_once();
    team.check_released();
}

#[test]
fn a_shard_that_was_asked_for_by_who_has_left_stays_with_its_holder() {
    let team = Team::new(2, FAILOVER);
    let (busy, gate) = busy(&team);
    let asks = team.join("asks");
    let is_asked = || {
        let shards = [0, 1].map(|shard| team.text(&id(shard), "checkpointOwner"));
        shards.contains(&Some("busy".to_owned()))
    };
    until(|| "it is asked".into(), is_asked);
    drain(asks);
    let names = |row: &Item| owner(row) == Some("asks");
    let left = team.table.rows().into_iter().filter(names).count();
    drop(gate);
    team.wait_for_shares(&[("busy", 2)]);
    drain(busy);
    assert_eq!(left, 0, "who asked and left is still named");
}
