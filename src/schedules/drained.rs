//! Shards whose leases are given back: what ends a tenure happens on several threads at once.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{never, unbounded};

use super::try_all;
use super::world::{a_while, current, with_thread};
use crate::core::event::Event;
use crate::core::settings::StoreEvery;
use crate::delivery::commits::{CommitContext, ShardCommits, flush_all};
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;

fn after(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

#[test]
fn whoever_comes_last_tells_once_that_a_shard_has_drained_and_all_is_stored_before() {
    let outcomes = try_all(|| {
        let rarely = StoreEvery { batches: 100, time: Duration::from_secs(100) };
        let every = fastrand::bool().then_some(rarely);
        let (store, (sender, events)) = (Arc::new(LocalStore::new()), unbounded());
        let context = CommitContext { every, ..CommitContext::of_test(Arc::clone(&store), sender) };
        let commits = Arc::new(ShardCommits::new(context, "a", never()).in_tenure(Some(7)));
        let batches = [1, 2].map(|number| commits.hand_out(after(number)));
        let handles = |batch: u64| {
            a_while();
            // As `Commit` does it.
            commits.commit(batch, None).unwrap();
            commits.concludes();
        };
        let reads = || {
            a_while();
            commits.leaves();
        };
        let coordinates = || {
            a_while();
            commits.drains();
            if every.is_some() {
                a_while();
                flush_all(&[Arc::clone(&commits)]).unwrap();
            }
        };
        let both = || with_thread(reads, coordinates);
        with_thread(|| handles(batches[0]), || with_thread(|| handles(batches[1]), both));
        let told: Vec<_> = events.try_iter().collect();
        let is_drained = |event: &&Event| matches!(event, Event::Drained { epoch: 7, .. });
        assert_eq!(told.iter().filter(is_drained).count(), 1, "{told:?}");
        assert_eq!(store.get_shard_iterator("orders", "a").unwrap(), Some(after(2)));
        match told.iter().any(|event| matches!(event, Event::Deferred)) {
            true => current().note("left for later"),
            false => current().note("written at once"),
        }
    });
    outcomes.each_occurs(&["left for later", "written at once"]);
}
