//! `receiver` and `receivers`: batches that are committed, dropped, or left, and listeners that are joined or dropped.

use super::try_all;
use super::world::{World, a_while};
use crate::store::Store;

#[test]
fn however_it_is_left_what_was_committed_is_stored_and_no_thread_is_left() {
    try_all("receiver::however", || {
        let world = World::new(2);
        let every = fastrand::u32(1..5);
        let config = World::config().store_every(every, std::time::Duration::from_secs(60));
        let (batches, listener) = world.stream(config).receiver().unwrap();
        let mut committed = std::collections::BTreeMap::new();
        for _ in 0..fastrand::u32(..5) {
            let Ok(batch) = batches.recv_timeout(std::time::Duration::from_millis(200)) else {
                break;
            };
            world.take(&batch);
            batch.commit().unwrap();
            committed.insert(batch.shard().to_owned(), batch.position().clone());
        }
        match fastrand::u32(..4) {
            0 => drop(batches),
            1 => listener.shutdown().now(),
            2 => a_while(),
            _ => drop(batches.clone()),
        }
        if fastrand::bool() {
            listener.shutdown().now();
            listener.join().unwrap();
        } else {
            drop(listener);
        }
        let stored: std::collections::BTreeMap<_, _> =
            world.store.shard_iterators("orders").unwrap().into_iter().collect();
        for (shard, position) in committed {
            assert_eq!(stored.get(&shard), Some(&position), "{shard}");
        }
    });
}

#[test]
fn one_of_two_receivers_is_dropped() {
    try_all("receiver::one_of_two", || {
        let world = World::new(2);
        let (mut receivers, listener) = world.stream(World::config()).receivers(2).unwrap();
        a_while();
        drop(receivers.pop());
        listener.join().unwrap();
    });
}
