//! Streams that are read to the end of all shards.

use std::collections::BTreeSet;

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Answer, Call, Client, ClientError, ErrorClass, IteratorType, ShardIterator, ShardPage, Stream,
    StreamStatus, Token,
};

use crate::common::{STREAM, id};
use crate::team::{FAILOVER, Team, config, drain, end, fresh, is_done, until, with};

#[test]
fn consumers_of_a_stream_whose_shards_are_all_done_end_by_themselves() {
    let team = Team::new(2, FAILOVER);
    for shard in 0..2 {
        team.table.put(with(fresh(&id(shard)), "checkpoint", "SHARD_END"));
    }
    let consumers = ["one", "two", "three"].map(|worker| team.join(worker));
    consumers.into_iter().for_each(|it| end(it).unwrap());
    assert!(team.handled().is_empty());
    team.check_released();
}

/// A Kinesis without its youngest shards, as it is when they were closed and all their records have aged out.
#[derive(Clone)]
struct Leaving {
    kinesis: MemoryKinesis,
    gone: BTreeSet<String>,
}

impl Leaving {
    fn is_gone(&self, shard: &str) -> bool {
        self.gone.contains(shard)
    }
}

impl Client for Leaving {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.kinesis.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        let mut page = self.kinesis.list_shards(stream, token, call)?;
        page.shards.retain(|shard| !self.is_gone(shard.id()));
        Ok(page)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        if self.is_gone(shard) {
            return Err(ClientError::new(ErrorClass::NotFound, "GetShardIterator", "it is gone"));
        }
        self.kinesis.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        self.kinesis.get_records(token, limit, call)
    }
}

#[test]
fn consumers_of_a_stream_whose_last_shards_have_left_it_end_by_themselves() {
    let team = Team::new(1, FAILOVER);
    team.put(2);
    let children = team.kinesis.split(STREAM, &id(0));
    let first = team.join("first");
    team.wait_for_all();
    // Their rows are made before their parent's says that it is done.
    until(|| "the parent is done".into(), || team.table.row(&id(0)).is_some_and(|it| is_done(&it)));
    drain(first);
    let client = Leaving { kinesis: team.kinesis.clone(), gone: children.into() };
    let join = |worker: &str| {
        let stream = Stream::new(client.clone(), STREAM, team.fleet(worker), config());
        team.spawn(worker, stream.unwrap())
    };
    let consumers = ["one", "two"].map(join);
    consumers.into_iter().for_each(|it| end(it).unwrap());
    team.check_once();
    assert!(team.table.rows().iter().all(is_done), "{:?}", team.table.rows());
    team.check_released();
}
