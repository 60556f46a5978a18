//! Streams that end, and what a monitor tells of them meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::closed;
use super::doors;
use super::try_all;
use super::world::{STREAM, World, current, with_thread};
use crate::delivery::batch::Batch;
use crate::model::notice::ShardState;
use crate::model::position::{IteratorType, Position};
use crate::observe::progress::{Progress, ShardProgress};
use crate::store::Store;

/// No shard disappears, and nothing goes back.
fn follows(before: &Progress, now: &Progress) {
    for old in &before.shards {
        let new = now.shard(&old.shard);
        let new = new.unwrap_or_else(|| panic!("{} has disappeared", old.shard));
        let is_ahead = new.records >= old.records
            && new.answers >= old.answers
            && new.read >= old.read
            && new.stored >= old.stored;
        assert!(is_ahead, "{old:?}, and then {new:?}");
        assert!(new.stored <= new.read, "{new:?}");
    }
}

#[test]
fn a_stream_whose_shards_have_all_ended_ends_and_its_monitor_goes_forward() {
    try_all(|| {
        let world = Arc::new(World::new(2));
        let shards = world.kinesis.shards(STREAM);
        let stream = closed::stream(&world, World::config());
        let takes = Arc::clone(&world);
        let handle = move |batch: &Batch| {
            takes.take(batch);
            Ok(())
        };
        let listener = doors::spawn(stream, handle).unwrap();
        let (mut before, mut pause) = (Progress::default(), Duration::from_millis(1));
        loop {
            let is_finished = listener.is_finished();
            let now = listener.progress();
            follows(&before, &now);
            for shown in &now.shards {
                let stored = world.store.get_shard_iterator(STREAM, &shown.shard).unwrap();
                assert!(shown.stored <= stored, "{shown:?}, and {stored:?} is stored");
            }
            before = now;
            if is_finished {
                break;
            }
            current().sleep_for(pause);
            pause *= 2;
        }
        let has_ended = |id: &str| {
            let shard = before.shard(id).expect("it was read");
            shard.state == ShardState::Ended && shard.stored.as_ref().is_some_and(Position::is_end)
        };
        assert!(shards.iter().all(|shard| has_ended(shard.id())), "{before:?}");
        listener.join().unwrap();
        world.check();
    });
}

#[test]
fn a_monitor_shows_every_shard_and_which_of_them_wait_for_their_parents() {
    const WAITS: &str = "both children wait";
    let outcomes = try_all(|| {
        let world = World::new(1);
        let children = world.kinesis.split(STREAM, "shardId-000000000000");
        world.put(4);
        let stream = world.stream(World::config());
        let (monitor, shutdown) = (stream.monitor(), stream.shutdown());
        let ended = stream.listen(|batch| {
            let shown = monitor.progress();
            assert!(shown.shards.is_sorted_by_key(|shard| &shard.shard), "{shown:?}");
            let shard = shown.shard(batch.shard()).expect("it has a batch");
            assert_eq!(shard.state, ShardState::Handling);
            let waits = |id: &String| {
                shown.shard(id).is_some_and(|it| it.state == ShardState::WaitingForParents)
            };
            if children.iter().all(waits) {
                current().note(WAITS);
            }
            world.take_until_all(batch, &shutdown);
            Ok(())
        });
        ended.unwrap();
        let shown = monitor.progress();
        assert_eq!(shown.shards.len(), 3);
        let is_waiting = |it: &&ShardProgress| it.state == ShardState::WaitingForParents;
        assert_eq!(shown.shards.iter().find(is_waiting), None);
        assert_eq!(shown.records(), world.count() as u64);
        world.check();
    });
    outcomes.each_occurs(&[WAITS]);
}

#[test]
fn a_shard_that_need_not_be_read_is_not_shown_as_one_that_waits() {
    try_all(|| {
        let world = World::new(1);
        world.kinesis.split(STREAM, "shardId-000000000000");
        let stream = world.stream(World::config().iterator_type(IteratorType::Latest));
        let (monitor, shutdown) = (stream.monitor(), stream.shutdown());
        let looks = || {
            current().sleep_for(Duration::from_millis(500));
            let shown = monitor.progress().shards;
            let waits = |it: &&ShardProgress| it.state == ShardState::WaitingForParents;
            assert_eq!((shown.len(), shown.iter().find(waits)), (2, None));
            shutdown.now();
        };
        with_thread(looks, || stream.listen(|_| Ok(()))).unwrap();
    });
}
