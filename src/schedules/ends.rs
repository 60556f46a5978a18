//! Streams that end, and what a monitor tells of them meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::closed;
use super::doors;
use super::try_all;
use super::world::{STREAM, World, current};
use crate::delivery::batch::Batch;
use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::observe::progress::Progress;

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
