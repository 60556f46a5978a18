//! Every door of a stream, in a fleet.

use std::thread;

use kinesis_consumer::{Batch, Batches};

use crate::team::{FAILOVER, LONG, Team, drain, end, in_time};

/// Takes and commits batches until there are no more.
fn work(team: &Team, worker: &str, batches: Batches) -> thread::JoinHandle<()> {
    let (team, worker) = (team.clone(), worker.to_owned());
    thread::spawn(move || {
        for batch in batches {
            team.keep(&worker, &batch);
            batch.commit().unwrap();
        }
    })
}

#[test]
fn all_doors_share_the_shards_of_one_stream() {
    let team = Team::new(8, FAILOVER);
    let open = |worker| team.open(team.fleet(worker));
    let listening = open("listening");
    let stop = listening.shutdown();
    let of_listening = team.clone();
    let listen = thread::spawn(move || {
        listening.listen(|batch| {
            of_listening.keep("listening", batch);
            Ok(())
        })
    });
    let of_workers = team.clone();
    let workers = open("workers").spawn_workers(2, move |_| {
        let team = of_workers.clone();
        move |batch: &Batch| {
            team.keep("workers", batch);
            Ok(())
        }
    });
    let (batches, receiver) = open("receiver").receiver().unwrap();
    let (several, receivers) = open("receivers").receivers(2).unwrap();
    let mut threads = vec![work(&team, "receiver", batches)];
    threads.extend(several.into_iter().map(|batches| work(&team, "receivers", batches)));

    team.put(2);
    let shares = ["listening", "receiver", "receivers", "workers"].map(|worker| (worker, 2));
    team.wait_for_shares(&shares);
    let before = team.handled().len();
    team.put(4);
    team.wait_for_all();
    assert_eq!(team.workers_since(before).len(), 4);

    stop.drain(LONG);
    in_time(|| listen.join().unwrap()).unwrap();
    [workers.unwrap(), receiver, receivers].into_iter().for_each(drain);
    threads.into_iter().for_each(|thread| in_time(|| thread.join().unwrap()));
    team.check_once();
    team.check_released();
}

#[test]
fn the_last_drop_of_a_receiver_or_a_listener_gives_back_the_leases() {
    let team = Team::new(2, FAILOVER);
    let stays = team.join("stays");
    let (batches, listener) = team.open(team.fleet("first")).receiver().unwrap();
    team.wait_for_shares(&[("stays", 1), ("first", 1)]);
    team.put(2);
    // Not committed: it comes to the other one.
    drop(batches.recv_timeout(LONG).unwrap());
    drop(batches);
    end(listener).unwrap();
    team.wait_for_shares(&[("stays", 2)]);
    team.wait_for_all();

    let second = team.join("second");
    team.wait_for_shares(&[("stays", 1), ("second", 1)]);
    in_time(|| drop(second));
    team.wait_for_shares(&[("stays", 2)]);
    team.put(1);
    team.wait_for_all();
    drain(stays);
    team.check_once();
    team.check_released();
}

#[test]
fn a_stream_that_is_never_opened_makes_no_call_of_the_table() {
    let team = Team::new(2, FAILOVER);
    let mut stream = team.open(team.fleet("one"));
    assert_eq!(stream.shards().unwrap().len(), 2);
    drop(stream);
    let stopped = team.open(team.fleet("one"));
    stopped.shutdown().now();
    in_time(move || stopped.listen(|_| Ok(()))).unwrap();
    assert!(team.table.rows().is_empty());
}
