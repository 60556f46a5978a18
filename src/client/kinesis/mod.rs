//! The client for Amazon Kinesis: signed JSON over a blocking HTTP client.

pub(crate) mod builder;
mod decode;
#[cfg(feature = "rusoto")]
mod generated;
mod input;
mod lenient;
mod listed;
mod listing;
mod place;
mod refusals;
#[cfg(test)]
mod variables_tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aws::caller::{Account, Caller, Peer};
use crate::aws::endpoint::Endpoint;
#[cfg(feature = "fleet")]
use crate::aws::environment;
use crate::aws::http::transport::Network;
use crate::aws::service::Service;
use crate::aws::sign::Content;
use crate::client::Client;
#[cfg(feature = "fleet")]
use crate::client::dynamo::DynamoLeases;
use crate::client::kinesis::builder::ClientBuilder;
use crate::client::kinesis::input::{IteratorInput, RecordsInput, Subject};
use crate::client::kinesis::refusals::KINESIS;
use crate::control::call::Call;
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::stream_id::StreamId;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;

/// How many connections a client keeps outside of a consumer.
const CONNECTIONS: usize = 8;
/// A consumer keeps one connection for each shard. It does not know the number of shards when it begins: this is
/// more than a process has threads for.
const SESSION_CONNECTIONS: usize = 20_000;

/// The client for Amazon Kinesis Data Streams, and for servers that speak like it.
///
/// It needs no runtime, and also works on the threads of a runtime. A clone shares the
/// connections. Every call ends at its deadline, which covers connecting, headers and body.
///
/// An interrupt of a session ends its calls at once, except a call that is looking up or connecting to the
/// server, which takes at most 3 s each. Answers are limited to 32 MiB, three times Amazon's largest answer.
/// At level `debug` the crates below log every request, and rusoto, if it is there, logs listings. Credentials and records are not
/// logged, except by a provider of rusoto's if you set one. At `trace` `ureq_proto` logs session tokens and records.
///
/// ```
/// use kinesis_consumer::KinesisClient;
///
/// // A server for tests on this machine; without an endpoint it is Amazon's.
/// let client = KinesisClient::builder()
///     .region("eu-central-1")
///     .endpoint("http://localhost:4567")
///     .credentials("key", "secret")
///     .build()?;
/// assert_eq!(client.region(), "eu-central-1");
/// # Ok::<(), kinesis_consumer::Error>(())
/// ```
#[derive(Clone)]
pub struct KinesisClient {
    caller: Caller,
}

impl KinesisClient {
    /// A client with settings of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client with all its settings from the environment, as [`ClientBuilder`] describes.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if there is no region, or a variable holds an impossible value.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// The name of the region.
    pub fn region(&self) -> &str {
        &self.caller.account().region
    }

    /// The address of the server.
    pub fn endpoint(&self) -> &str {
        self.caller.peer().endpoint.url()
    }

    /// The table of leases of this name in DynamoDB, in this client's region and with its credentials: see
    /// [`Fleet`](crate::Fleet). Makes no call.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is not the name of a table, or if the environment names an impossible endpoint, or
    /// one in another region.
    #[cfg(feature = "fleet")]
    pub fn lease_table(&self, name: impl Into<String>) -> Result<DynamoLeases, Error> {
        DynamoLeases::new(self.caller.account(), name.into(), &environment::process)
    }

    fn with(account: Account, endpoint: Endpoint, network: Network, deadline: Duration) -> Self {
        let (service, content, dialect) = (Service::Kinesis, Content::Json, &KINESIS);
        let peer = Peer { service, content, dialect, endpoint, network };
        Self { caller: Caller::new(Arc::new(account), peer, deadline, CONNECTIONS) }
    }
}

impl Client for KinesisClient {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.describe(stream, &self.caller.bounds("DescribeStreamSummary", call))
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.list(stream, token, &self.caller.bounds("ListShards", call))
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        let input = IteratorInput::new(stream, shard, at);
        let bounds = self.caller.bounds("GetShardIterator", call);
        self.caller.post(&bounds, "Kinesis_20131202.GetShardIterator", &input, |head, body| {
            Ok(ShardIterator::new(decode::shard_iterator(body)?, head.date()))
        })
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        let stream = call.stream().and_then(Subject::arn);
        let input = RecordsInput { limit, shard_iterator: token.as_str(), stream };
        let bounds = self.caller.bounds("GetRecords", call);
        self.caller.post(&bounds, "Kinesis_20131202.GetRecords", &input, |head, body| {
            let answer = decode::records(body, call.budget())?;
            Ok(answer.with_server_time(head.date()))
        })
    }

    fn check_stream(&self, stream: &StreamId) -> Result<(), String> {
        place::check(stream, self.region(), self.caller.peer().endpoint.host())
    }

    fn place(&self) -> Option<String> {
        Some(format!("region {}, {}", self.region(), self.endpoint()))
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        let deadline = self.caller.transport().deadline();
        Some(Arc::new(Self { caller: self.caller.session(deadline, SESSION_CONNECTIONS) }))
    }

    fn interrupt(&self) {
        self.caller.transport().end();
    }
}

impl fmt::Debug for KinesisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisClient")
            .field("region", &self.region())
            .field("endpoint", &self.endpoint())
            .field("deadline", &self.caller.transport().deadline())
            .field("credentials", self.caller.account().credentials.source())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads the JSON answer of `GetRecords`, for a [`Client`] over another HTTP library.
    ///
    /// # Errors
    /// [`ErrorClass::TooLarge`] if it ends too early, [`ErrorClass::Transient`] if it makes no sense. The
    /// text never holds a part of the answer.
    pub fn from_json(body: &[u8]) -> Result<Self, ClientError> {
        answer(body)
    }
}

/// The answer of `GetRecords`.
pub(crate) fn answer(body: &[u8]) -> Result<Answer, ClientError> {
    decode::records(body, None).map_err(|reason| {
        let class = if reason.is_cut() { ErrorClass::TooLarge } else { ErrorClass::Transient };
        ClientError::new(class, "GetRecords", format!("the answer makes no sense: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_client_and_a_stopped_call_answer_at_once() {
        // There is no server: only a call that is stopped before it connects can answer like this.
        let client = KinesisClient::builder()
            .endpoint("http://127.0.0.1:1")
            .credentials("k", "s")
            .build()
            .unwrap();
        let session = client.session().unwrap();
        session.interrupt();
        let error = session.describe_stream("s", &Call::unbounded()).unwrap_err();
        assert!(error.to_string().contains("has stopped"), "{error}");

        let (stop, stopped) = crossbeam_channel::bounded(0);
        drop(stop);
        let error = client.list_shards("s", None, &Call::new(stopped)).unwrap_err();
        assert!(error.to_string().contains("has stopped"), "{error}");
        let error = client.list_shards("s", None, &Call::unbounded()).unwrap_err();
        assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
    }
}
