//! The command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, value_parser};
use kinesis_consumer::{
    BoxError, Config, Error, IteratorType, KinesisClient, LocalStore, SqliteStore, Store, StreamId,
};

use crate::format::Format;
use crate::start;

/// The application's name in the file of `--store`.
const APPLICATION: &str = "tail";
/// The most records of one answer.
const MAX_LIMIT: u64 = 10_000;
/// A person waits for the first record, or for the error.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Amazon allows five calls a second for a shard, and others may read it too.
const CATCH_UP: Duration = Duration::from_millis(250);

const AFTER: &str = "\
WHERE is one of: latest; trim-horizon; a time, such as 2024-05-01T08:30:00Z; an age, such as 90s, 10m, 2h
or 1d; a sequence number, if one shard is read. A position in the file of --store goes before it.

JSON has the data as text under `data`, or, if it is not UTF-8, in base64 under `data_base64`.

Examples:
  tail orders                                  records that arrive from now on
  tail orders --from 10m --grep error          records with `error` from the last ten minutes on
  tail orders --no-follow --format json | jq   all records until now, then end
  tail orders --store orders.db                resumes where it was stopped
  tail orders --lag >/dev/null                 a table of the shards, and no records
  tail arn:aws:kinesis:eu-west-1:123456789012:stream/orders          a stream of another account
  tail orders --endpoint http://127.0.0.1:4567 --shard shardId-000000000000
  tail orders --endpoint http://localstack:4566 --allow-http

The region of an ARN is taken unless --region is given. Else region, endpoint and credentials come from the
environment and the profile, as in Amazon's own tools.

Exit status: 0 when it is done, or its output has no reader any more; 1 for an error, 2 for a wrong
command line; 130 after Ctrl-C and 143 after SIGTERM. A second Ctrl-C does not wait for the output.";

/// Reads an Amazon Kinesis stream: records to standard output, everything else to standard error
#[derive(Debug, Parser)]
#[command(name = "tail", version, after_help = AFTER)]
pub(crate) struct Args {
    /// The stream's name, or its ARN
    pub(crate) stream: String,

    /// Where to start, see below [default: latest; with --no-follow trim-horizon]
    #[arg(long, value_name = "WHERE", value_parser = start::parse)]
    pub(crate) from: Option<IteratorType>,

    /// Only this shard and its descendants; may be given more than once
    #[arg(long = "shard", value_name = "ID")]
    pub(crate) shards: Vec<String>,

    /// The address of the server
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// Allows an http:// endpoint on another machine: the network can read everything
    #[arg(long)]
    allow_http: bool,

    /// The region, such as eu-central-1
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// The data and a newline, an object on a line, or hexadecimal digits
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    pub(crate) format: Format,

    /// Only records whose data holds these bytes
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) grep: Option<String>,

    /// Ends after this many records
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    /// Ends when it has read all records that existed at its start
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// Shows how far each shard is: a table on a terminal, else lines
    #[arg(long)]
    pub(crate) lag: bool,

    /// Keeps positions in this SQLite file, so that the next start resumes
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

impl Args {
    pub(crate) fn client(&self) -> Result<KinesisClient, Error> {
        let mut client = KinesisClient::builder().allow_plain_http(self.allow_http);
        if let Some(endpoint) = &self.endpoint {
            client = client.endpoint(endpoint);
        }
        // What is no stream is told when it is opened.
        let stream: Option<StreamId> = self.stream.parse().ok();
        let of_arn = stream.as_ref().and_then(StreamId::region);
        if let Some(region) = self.region.as_deref().or(of_arn) {
            client = client.region(region);
        }
        client.build()
    }

    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, BoxError> {
        Ok(match &self.store {
            Some(file) => Arc::new(SqliteStore::open(file, APPLICATION)?),
            None => Arc::new(LocalStore::new()),
        })
    }

    pub(crate) fn config(&self) -> Config {
        let default = if self.no_follow { IteratorType::TrimHorizon } else { IteratorType::Latest };
        let config = Config::new()
            .iterator_type(self.from.clone().unwrap_or(default))
            .catch_up_interval(CATCH_UP)
            .start_patience(START_PATIENCE)
            .stall_after(None); // a pager may leave the output unread for hours
        match self.limit {
            // More are not needed, unless some are left out.
            Some(limit) if self.grep.is_none() => config.limit(limit.min(MAX_LIMIT) as u32),
            _ => config,
        }
    }
}
