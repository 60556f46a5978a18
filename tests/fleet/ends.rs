//! Streams that are read to the end of all shards.

use std::collections::BTreeSet;
use std::sync::Arc;

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{
    Answer, Call, Client, ClientError, ErrorClass, IteratorType, ShardIterator, ShardPage, Stream,
    StreamStatus, Token,
};
use parking_lot::Mutex;

use crate::common::{STREAM, id};
use crate::team::{FAILOVER, Team, config, end, fresh, is_done, with};

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

/// A Kinesis whose open shards leave the stream, which a real one's do when all their records have aged out.
#[derive(Clone)]
struct Leaving {
    kinesis: MemoryKinesis,
    gone: Arc<Mutex<BTreeSet<String>>>,
}

impl Leaving {
    fn is_gone(&self, shard: &str) -> bool {
        self.gone.lock().contains(shard)
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
        if !self.gone.lock().is_empty() {
            return Err(ClientError::new(ErrorClass::ExpiredIterator, "GetRecords", "it is old"));
        }
        self.kinesis.get_records(token, limit, call)
    }
}

#[test]
fn consumers_that_read_a_stream_until_its_last_shards_have_left_it_end_by_themselves() {
    let team = Team::new(1, FAILOVER);
    team.put(2);
    let children = team.kinesis.split(STREAM, &id(0));
    team.put(2);
    let client = Leaving { kinesis: team.kinesis.clone(), gone: Arc::default() };
    let join = |worker: &str| {
        let stream = Stream::new(client.clone(), STREAM, team.fleet(worker), config());
        team.spawn(worker, stream.unwrap())
    };
    let consumers = ["one", "two"].map(join);
    team.wait_for_all();
    team.wait_for_shares(&[("one", 1), ("two", 1)]);
    client.gone.lock().extend(children);
    consumers.into_iter().for_each(|it| end(it).unwrap());
    team.check_once();
    assert!(team.table.rows().iter().all(is_done), "{:?}", team.table.rows());
    team.check_released();
}
