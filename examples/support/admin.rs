//! A blocking producer and administrator of one stream.

use std::thread::sleep;
use std::time::{Duration, Instant};

use kinesis_consumer::BoxError;
use rusoto_core::credential::{AwsCredentials, ChainProvider, StaticProvider};
use rusoto_core::{Client, HttpClient, HttpConfig, Region, RusotoError};
use rusoto_kinesis::{
    CreateStreamInput, DeleteStreamInput, DescribeStreamSummaryInput, Kinesis, KinesisClient,
    ListShardsInput, MergeShardsInput, PutRecordsError, PutRecordsInput, PutRecordsRequestEntry,
    Shard, SplitShardInput,
};
use tokio::runtime::{Builder, Runtime};

/// Amazon's limits of one `PutRecords`.
const MAX_RECORDS: usize = 500;
const MAX_BYTES: usize = 5 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// Creates, fills, splits and merges a stream; rusoto as it comes, on a runtime of its own.
pub(crate) struct Admin {
    client: KinesisClient,
    runtime: Runtime,
    stream: String,
}

/// `AWS_REGION`, or the region of the embedded server.
pub(crate) fn region() -> String {
    std::env::var("AWS_REGION").unwrap_or_else(|_| super::REGION.into())
}

/// Whether the environment holds credentials. Servers for tests take any, so these are invented else.
pub(crate) fn credentials_are_given() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].iter().any(|name| std::env::var_os(name).is_some())
}

impl Admin {
    /// Makes no call.
    pub(crate) fn new(endpoint: &str, stream: impl Into<String>) -> Result<Self, BoxError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let region = Region::Custom { name: region(), endpoint: endpoint.into() };
        // A server may close a connection that was idle for some seconds just when it is used again, and nobody knows
        // then whether the records were put.
        let mut http = HttpConfig::new();
        http.pool_idle_timeout(Duration::from_secs(1));
        let http = HttpClient::new_with_config(http)?;
        let client = match credentials_are_given() {
            true => Client::new_with(ChainProvider::new(), http),
            false => {
                let invented = AwsCredentials::new("test", "test", None, None);
                Client::new_with(StaticProvider::from(invented), http)
            }
        };
        let client = KinesisClient::new_with_client(client, region);
        Ok(Self { client, runtime, stream: stream.into() })
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// The stream's ARN, as the server says it.
    pub(crate) fn arn(&self) -> Result<String, BoxError> {
        let input = DescribeStreamSummaryInput { stream_name: self.stream.clone() };
        let found = self.runtime.block_on(self.client.describe_stream_summary(input))?;
        Ok(found.stream_description_summary.stream_arn)
    }

    /// Creates the stream and waits until it is active.
    pub(crate) fn create(&self, shards: i64) -> Result<(), BoxError> {
        self.begin_create(shards)?;
        self.wait_until_active()
    }

    /// Asks for the stream, which is ready a little later.
    pub(crate) fn begin_create(&self, shards: i64) -> Result<(), BoxError> {
        let input = CreateStreamInput { stream_name: self.stream.clone(), shard_count: shards };
        Ok(self.runtime.block_on(self.client.create_stream(input))?)
    }

    /// Deletes the stream; it still exists for a moment.
    pub(crate) fn delete(&self) -> Result<(), BoxError> {
        let input =
            DeleteStreamInput { stream_name: self.stream.clone(), ..DeleteStreamInput::default() };
        Ok(self.runtime.block_on(self.client.delete_stream(input))?)
    }

    /// Puts records, pairs of partition key and data, and returns when the stream has taken all.
    ///
    /// Records of one key in one call to it may change places when the service refuses some of them:
    /// if you need their order, put them in several calls.
    pub(crate) fn put(&self, records: Vec<(String, Vec<u8>)>) -> Result<(), BoxError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (partition_key, data) in records {
            let size = partition_key.len() + data.len();
            if entries.len() == MAX_RECORDS || bytes + size > MAX_BYTES {
                self.put_all(std::mem::take(&mut entries))?;
                bytes = 0;
            }
            bytes += size;
            let data = data.into();
            entries.push(PutRecordsRequestEntry { data, partition_key, explicit_hash_key: None });
        }
        if entries.is_empty() { Ok(()) } else { self.put_all(entries) }
    }

    /// Puts refused records again. A call with an unknown outcome is an error, since a second put could write its
    /// records twice.
    fn put_all(&self, mut entries: Vec<PutRecordsRequestEntry>) -> Result<(), BoxError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let input =
                PutRecordsInput { stream_name: self.stream.clone(), records: entries.clone() };
            match self.runtime.block_on(self.client.put_records(input)) {
                Ok(output) => {
                    let mut results = output.records.into_iter();
                    entries.retain(|_| results.next().is_none_or(|it| it.error_code.is_some()));
                }
                Err(RusotoError::Service(PutRecordsError::ProvisionedThroughputExceeded(_))) => {}
                Err(error) => return Err(error.into()),
            }
            if entries.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{} records were refused for five minutes", entries.len()).into()
                );
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Every shard of the stream, open or closed.
    pub(crate) fn shards(&self) -> Result<Vec<Shard>, BoxError> {
        let mut shards = Vec::new();
        let stream_name = Some(self.stream.clone());
        let mut input = ListShardsInput { stream_name, ..ListShardsInput::default() };
        loop {
            let page = self.runtime.block_on(self.client.list_shards(input))?;
            shards.extend(page.shards.unwrap_or_default());
            if page.next_token.is_none() {
                return Ok(shards);
            }
            let next_token = page.next_token; // the name and the token exclude each other
            input = ListShardsInput { next_token, ..ListShardsInput::default() };
        }
    }

    /// The open shards by their hash keys: neighbours can be merged.
    pub(crate) fn open_shards(&self) -> Result<Vec<Shard>, BoxError> {
        let mut shards = self.shards()?;
        shards.retain(|shard| shard.sequence_number_range.ending_sequence_number.is_none());
        shards.sort_by_key(|shard| shard.hash_key_range.starting_hash_key.parse::<u128>().ok());
        Ok(shards)
    }

    /// Splits a shard in the middle and waits until the stream is active again.
    pub(crate) fn split(&self, shard: &Shard) -> Result<(), BoxError> {
        self.begin_split(shard)?;
        self.wait_until_active()
    }

    /// Asks for a split in the middle; the shard closes a little later.
    pub(crate) fn begin_split(&self, shard: &Shard) -> Result<(), BoxError> {
        let low: u128 = shard.hash_key_range.starting_hash_key.parse()?;
        let high: u128 = shard.hash_key_range.ending_hash_key.parse()?;
        let input = SplitShardInput {
            new_starting_hash_key: (low + (high - low) / 2 + 1).to_string(),
            shard_to_split: shard.shard_id.clone(),
            stream_name: self.stream.clone(),
        };
        Ok(self.runtime.block_on(self.client.split_shard(input))?)
    }

    /// Merges two neighbours and waits until the stream is active again.
    pub(crate) fn merge(&self, one: &Shard, other: &Shard) -> Result<(), BoxError> {
        self.begin_merge(one, other)?;
        self.wait_until_active()
    }

    /// Asks for a merge; both shards close a little later.
    pub(crate) fn begin_merge(&self, one: &Shard, other: &Shard) -> Result<(), BoxError> {
        let input = MergeShardsInput {
            adjacent_shard_to_merge: other.shard_id.clone(),
            shard_to_merge: one.shard_id.clone(),
            stream_name: self.stream.clone(),
        };
        Ok(self.runtime.block_on(self.client.merge_shards(input))?)
    }

    /// Waits, five minutes at most, until the stream is neither being created nor resharded.
    pub(crate) fn wait_until_active(&self) -> Result<(), BoxError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let input = DescribeStreamSummaryInput { stream_name: self.stream.clone() };
            let found = self.runtime.block_on(self.client.describe_stream_summary(input))?;
            if found.stream_description_summary.stream_status == "ACTIVE" {
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        Err(format!("stream {:?} is not active after five minutes", self.stream).into())
    }
}
