//! A consumer that loses a lease while it handles a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use kinesis_consumer::leases::{Item, LeaseTableErrorKind};
use kinesis_consumer::{Batch, Config, Error, Listener, Notice, StoreErrorKind};

use crate::common::id;
use crate::tables::Watched;
use crate::team::{LONG, SHORT, Team, config, drain, end, until};

/// A table that one consumer can lose sight of.
fn sight(team: &Team) -> (Watched, Arc<AtomicBool>) {
    Watched::failing(&team.table, LeaseTableErrorKind::Transient)
}

/// Takes over, and handles nothing until the test lets it.
fn successor(team: &Team) -> (Listener, Sender<()>) {
    let (gate, opened) = bounded::<()>(0);
    let of_handler = team.clone();
    let successor = team.open(team.fleet("successor"));
    let successor = successor.spawn(move |batch: &Batch| {
        // Disconnected when the test lets it continue.
        let _ = opened.recv();
        of_handler.keep("successor", batch);
        Ok(())
    });
    (successor.unwrap(), gate)
}

/// A row without what each beat of its holder changes.
fn still(team: &Team) -> Item {
    let row = team.table.row(&id(0)).unwrap();
    row.into_iter().filter(|(name, _)| name != "leaseCounter").collect()
}

fn is_lost(result: Result<(), Error>) -> bool {
    matches!(result, Err(Error::Store { source, .. }) if source.kind() == StoreErrorKind::Lost)
}

/// What becomes of the commits of a batch whose lease somebody else has. Those that `may` be put off are tried once the
/// consumer knows of its loss.
fn commits_late(config: Config, may_be_put_off: bool) {
    let team = Team::new(1, SHORT);
    let (table, blind) = sight(&team);
    let (tell, told) = bounded(10);
    let config = config.on_notice(move |notice| {
        if let Notice::Lost { shard, .. } = notice {
            tell.send(shard.clone()).unwrap();
        }
    });
    let stream = team.open_with(team.fleet_on(table, "sleeper"), config);
    let (batches, listener) = stream.receiver().unwrap();
    team.put(2);
    let batch = batches.recv_timeout(LONG).unwrap();
    assert!(batch.is_current());
    blind.store(true, Ordering::SeqCst);
    let (successor, gate) = successor(&team);
    team.wait_for_shares(&[("successor", 1)]);
    // The fence falls before anybody may take it.
    assert!(!batch.is_current());
    let before = still(&team);
    blind.store(false, Ordering::SeqCst);
    if may_be_put_off {
        assert_eq!(told.recv_timeout(LONG).unwrap(), id(0));
    }
    assert!(is_lost(batch.commit()));
    assert!(is_lost(batch.commit()), "it stays lost");
    let last = batch.records().last().unwrap();
    assert!(is_lost(batch.commit_through(&last)));
    assert_eq!(still(&team), before);
    assert!(!batch.is_current());
    let (_, commit) = batch.into_parts();
    assert!(is_lost(commit.commit()));
    drop(gate);
    team.wait_for_all();
    // It lives on, without that shard.
    assert!(!listener.is_finished());
    listener.shutdown().now();
    end(listener).unwrap();
    assert!(is_lost(commit.commit()), "after its end as well");
    drain(successor);
    team.check_once();
    team.check_released();
}

#[test]
fn a_commit_that_is_written_at_once_says_that_the_lease_is_lost_and_writes_nothing() {
    commits_late(config().store_every(1, Duration::ZERO), false);
}

#[test]
fn a_commit_after_the_consumer_knows_of_its_loss_says_so_and_writes_nothing() {
    commits_late(config(), true);
}

#[test]
fn a_batch_whose_lease_nobody_took_meanwhile_is_current_again_and_is_committed() {
    let team = Team::new(1, SHORT);
    let (table, blind) = sight(&team);
    let (batches, listener) = team.open(team.fleet_on(table, "alone")).receiver().unwrap();
    team.put(2);
    let batch = batches.recv_timeout(LONG).unwrap();
    blind.store(true, Ordering::SeqCst);
    until(|| "the fence falls".into(), || !batch.is_current());
    blind.store(false, Ordering::SeqCst);
    until(|| "the fence rises".into(), || batch.is_current());
    batch.commit().unwrap();
    listener.shutdown().drain(LONG);
    drop(batches);
    end(listener).unwrap();
    let stored = team.text(&id(0), "checkpoint").unwrap();
    assert_eq!(stored, batch.records().last().unwrap().sequence_number().to_string());
    team.check_released();
}

#[test]
fn a_handler_whose_lease_is_taken_sees_no_error_and_its_consumer_reads_on() {
    let team = Team::new(1, SHORT);
    let (table, blind) = sight(&team);
    let (gate, opened) = bounded::<()>(0);
    let (tell, told) = bounded(10);
    let of_handler = team.clone();
    let sleeper = team.open(team.fleet_on(table, "sleeper"));
    let sleeper = sleeper.spawn(move |batch: &Batch| {
        of_handler.keep("sleeper", batch);
        // Nobody may be listening any more.
        let _ = tell.send(());
        let _ = opened.recv();
        Ok(())
    });
    let sleeper = sleeper.unwrap();
    // Dropped before the listener, which waits for the handler, if the test fails.
    let gate = gate;
    team.put(1);
    told.recv_timeout(LONG).unwrap();
    blind.store(true, Ordering::SeqCst);
    let successor = team.join("successor");
    team.wait_for_shares(&[("successor", 1)]);
    until(|| "it comes again".into(), || team.workers_since(0).contains("successor"));
    blind.store(false, Ordering::SeqCst);
    drop(gate);
    drain(successor);
    // It gets the shard back, and nothing of it comes a third time.
    team.wait_for_shares(&[("sleeper", 1)]);
    let before = team.handled().len();
    team.put(1);
    team.wait_for_all();
    let later: Vec<_> = team.handled()[before..].iter().flat_map(|it| it.numbers.clone()).collect();
    assert_eq!(later, [1]);
    drain(sleeper);
    team.check_released();
}
