//! The client of AWS keeps the contract of clients, over the embedded server.

use kinesis_consumer::KinesisClient;
use kinesis_consumer::testing::{Service, client_contract};

use crate::common::support::{Admin, Fault, Faults, Operation, Rule, Server};

/// The embedded server, and before it what makes it do what it cannot.
struct Embedded {
    // Before the server, whose connections it holds.
    faults: Faults,
    server: Server,
}

impl Embedded {
    fn start() -> Self {
        let server = Server::start().unwrap();
        Self { faults: Faults::before(server.endpoint(), 1).unwrap(), server }
    }

    fn admin(&self, stream: &str) -> Admin {
        Admin::new(self.server.endpoint(), stream).unwrap()
    }
}

impl Service for Embedded {
    type Client = KinesisClient;

    fn client(&self) -> KinesisClient {
        let builder = KinesisClient::builder().endpoint(self.faults.endpoint());
        builder.region("us-east-1").credentials("key", "secret").build().unwrap()
    }

    fn create_stream(&self, stream: &str, shards: usize) {
        self.admin(stream).create(shards as i64).unwrap();
    }

    fn put(&self, stream: &str, partition_key: &str, data: &[u8]) {
        self.admin(stream).put(vec![(partition_key.into(), data.to_vec())]).unwrap();
    }

    fn split(&self, stream: &str, shard: &str) -> bool {
        let admin = self.admin(stream);
        let shards = admin.shards().unwrap();
        admin.split(shards.iter().find(|it| it.shard_id == shard).unwrap()).unwrap();
        self.faults.add(Rule::always(Fault::ChildShards));
        true
    }

    fn set_page_size(&self, _: &str, shards: usize) -> bool {
        self.faults.add(Rule::always(Fault::Paged(shards)));
        true
    }

    fn expire_iterators(&self, _: &str) -> bool {
        let expired = Fault::refusal("ExpiredIteratorException");
        self.faults.add(Rule::once(expired).on(Operation::GetRecords));
        true
    }

    fn hang(&self, _: &str, on: bool) -> bool {
        match on {
            true => drop(self.faults.add(Rule::always(Fault::NoAnswer))),
            false => self.faults.clear(),
        }
        true
    }
}

#[test]
fn the_client_of_aws_keeps_the_contract() {
    client_contract(|_| Embedded::start());
}
