//! Streams that end, and what a monitor tells of them meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::doors;
use super::try_all;
use super::world::{STREAM, World, current};
use crate::client::Client;
use crate::client::memory::MemoryKinesis;
use crate::control::call::Call;
use crate::delivery::batch::Batch;
use crate::error::client::ClientError;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::notice::ShardState;
use crate::model::position::{IteratorType, Position};
use crate::model::shard::Shard;
use crate::model::token::{ShardIterator, Token};
use crate::observe::progress::Progress;
use crate::record::answer::Answer;
use crate::stream::Stream;

/// Shows the closed shards alone, and no children of theirs.
struct Closed(MemoryKinesis);

impl Client for Closed {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.0.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        let mut page = self.0.list_shards(stream, token, call)?;
        page.shards.retain(Shard::is_closed);
        Ok(page)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.0.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        let answer = self.0.get_records(token, limit, call)?;
        Ok(Answer { children: Vec::new(), ..answer })
    }
}

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
        shards.iter().for_each(|shard| drop(world.kinesis.split(STREAM, shard.id())));
        let client = Closed(world.kinesis.clone());
        let store = Arc::clone(&world.store);
        let stream = Stream::new(client, STREAM, store, World::config()).unwrap();
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
