//! The calls about a whole stream, through rusoto's generated client.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::SignedRequest;
use rusoto_core::{ByteStream, DispatchSignedRequest, HttpDispatchError, Region, RusotoError};
use rusoto_kinesis as rusoto;
use rusoto_kinesis::Kinesis;

use crate::aws::credentials::Credentials;
use crate::aws::http::bounds::Bounds;
use crate::aws::http::malformed::Malformed;
use crate::aws::http::transport::Transport;
use crate::aws::text::cut;
use crate::client::kinesis::decode::hash_keys;
use crate::client::kinesis::refusals::KINESIS;
use crate::error::client::ClientError;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;

/// One call: rusoto's client over our transport, within its bounds.
pub(crate) struct Listing {
    client: rusoto::KinesisClient,
    bounds: Bounds,
    failure: Arc<Mutex<Option<ClientError>>>,
}

/// The dispatcher that rusoto sends through. Its trait has no place for bounds, or for our errors.
struct Dispatcher {
    transport: Transport,
    bounds: Bounds,
    failure: Arc<Mutex<Option<ClientError>>>,
}

impl Listing {
    pub(crate) fn new(
        transport: Transport,
        credentials: &Credentials,
        region: Region,
        bounds: Bounds,
    ) -> Self {
        let failure = Arc::default();
        let dispatcher =
            Dispatcher { transport, bounds: bounds.clone(), failure: Arc::clone(&failure) };
        let client = rusoto::KinesisClient::new_with(dispatcher, credentials.to_provider(), region);
        Self { client, bounds, failure }
    }

    pub(crate) fn describe(&self, stream: &str) -> Result<StreamStatus, ClientError> {
        let input = rusoto::DescribeStreamSummaryInput { stream_name: stream.to_owned() };
        let output = self.unwrap(block_on(self.client.describe_stream_summary(input)))?;
        match output.stream_description_summary.stream_status.as_str() {
            "CREATING" => Ok(StreamStatus::Creating),
            "ACTIVE" => Ok(StreamStatus::Active),
            "UPDATING" => Ok(StreamStatus::Updating),
            "DELETING" => Ok(StreamStatus::Deleting),
            other => Err(self.bounds.transient(format!("unknown status {:?}", cut(other)))),
        }
    }

    /// The first page is requested by name, the others only by token, as the service demands.
    pub(crate) fn list(&self, stream: &str, token: Option<&str>) -> Result<ShardPage, ClientError> {
        let input = rusoto::ListShardsInput {
            stream_name: token.is_none().then(|| stream.to_owned()),
            next_token: token.map(str::to_owned),
            ..Default::default()
        };
        let output = self.unwrap(block_on(self.client.list_shards(input)))?;
        let shards = output.shards.unwrap_or_default().into_iter().map(shard);
        let shards = shards.collect::<Result<_, _>>();
        Ok(ShardPage {
            shards: shards.map_err(|reason| self.malformed(&reason.to_string()))?,
            next_token: output.next_token.filter(|token| !token.is_empty()),
        })
    }

    /// The output, or the failure that the dispatcher kept: rusoto's own error knows only some of the types.
    fn unwrap<T, E>(&self, answer: Result<T, RusotoError<E>>) -> Result<T, ClientError> {
        let error = match answer {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        if let Some(failure) = self.failure.lock().take() {
            return Err(failure);
        }
        Err(match error {
            RusotoError::ParseError(reason) => self.malformed(&reason),
            RusotoError::HttpDispatch(error) => self.bounds.transient(error.to_string()),
            _ => self.bounds.transient("the answer could not be understood"),
        })
    }

    fn malformed(&self, reason: &str) -> ClientError {
        let (reason, advice) = (cut(reason), KINESIS.stranger);
        self.bounds.transient(format!("the answer makes no sense: {reason}; {advice}"))
    }
}

impl DispatchSignedRequest for Dispatcher {
    fn dispatch(
        &self,
        request: SignedRequest,
        _timeout: Option<Duration>,
    ) -> DispatchSignedRequestFuture {
        let answer = self.transport.exchange(&request, &self.bounds, |_, body| Ok(body.to_vec()));
        let answer = answer.map_err(|failure| {
            let message = failure.to_string();
            *self.failure.lock() = Some(failure);
            HttpDispatchError::new(message)
        });
        Box::pin(std::future::ready(answer.map(|body| HttpResponse {
            // 200: everything else was an error above.
            status: Default::default(),
            headers: Default::default(),
            body: ByteStream::from(body),
        })))
    }
}

/// Runs a future that does not wait: the dispatcher has done the waiting when the future is made.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("static credentials and the dispatcher are ready when made"),
    }
}

fn shard(from: rusoto::Shard) -> Result<Shard, Malformed> {
    let number = |text: &str| {
        SequenceNumber::new(text)
            .map_err(|_| Malformed::new("a shard with an invalid sequence number"))
    };
    let range = from.hash_key_range;
    let hash_keys = hash_keys(&range.starting_hash_key, &range.ending_hash_key)?;
    let numbers = from.sequence_number_range;
    let starting = number(&numbers.starting_sequence_number)?;
    let parents = [from.parent_shard_id, from.adjacent_parent_shard_id];
    let parents = parents.into_iter().flatten().filter(|parent| !parent.is_empty());
    let shard = Shard::new(from.shard_id, hash_keys, starting).with_parents(parents);
    Ok(match numbers.ending_sequence_number {
        Some(ending) => shard.with_ending(number(&ending)?),
        None => shard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shard::HashKeyRange;

    fn listed(starting: &str, ending: Option<&str>, keys: (&str, &str)) -> rusoto::Shard {
        rusoto::Shard {
            shard_id: "shardId-000000000002".to_owned(),
            parent_shard_id: Some("shardId-000000000000".to_owned()),
            adjacent_parent_shard_id: Some("shardId-000000000001".to_owned()),
            hash_key_range: rusoto::HashKeyRange {
                starting_hash_key: keys.0.to_owned(),
                ending_hash_key: keys.1.to_owned(),
            },
            sequence_number_range: rusoto::SequenceNumberRange {
                starting_sequence_number: starting.to_owned(),
                ending_sequence_number: ending.map(str::to_owned),
            },
        }
    }

    const ALL: (&str, &str) = ("0", "340282366920938463463374607431768211455");

    #[test]
    fn a_listed_shard_comes_across_whole() {
        let shard = shard(listed("42", Some("43"), ALL)).unwrap();
        assert_eq!(shard.id(), "shardId-000000000002");
        assert_eq!(shard.parents(), ["shardId-000000000000", "shardId-000000000001"]);
        assert_eq!(shard.hash_keys(), HashKeyRange::ALL);
        assert_eq!(shard.starting_sequence_number().as_str(), "42");
        assert_eq!(shard.ending_sequence_number().unwrap().as_str(), "43");
    }

    #[test]
    fn a_listed_shard_with_bad_numbers_is_malformed() {
        for (starting, ending, keys) in [
            ("", None, ALL),
            ("x", None, ALL),
            ("-1", None, ALL),
            ("1", Some(""), ALL),
            ("1", Some("null"), ALL),
            ("1", None, ("", "1")),
            ("1", None, ("0", "340282366920938463463374607431768211456")),
        ] {
            assert!(
                shard(listed(starting, ending, keys)).is_err(),
                "{starting} {ending:?} {keys:?}"
            );
        }
    }
}
