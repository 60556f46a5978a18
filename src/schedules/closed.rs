//! A stream that ends: all its shards are closed, and nobody sees their children.

use std::sync::Arc;

use super::world::{STREAM, World};
use crate::client::Client;
use crate::client::memory::MemoryKinesis;
use crate::config::Config;
use crate::control::call::Call;
use crate::error::client::ClientError;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::shard::Shard;
use crate::model::token::{ShardIterator, Token};
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

/// Splits each shard of the stream, whose consumer reads them to their ends.
pub(super) fn stream(world: &World, config: Config) -> Stream {
    for shard in world.kinesis.shards(STREAM) {
        world.kinesis.split(STREAM, shard.id());
    }
    let client = Closed(world.kinesis.clone());
    Stream::new(client, STREAM, Arc::clone(&world.store), config).unwrap()
}
