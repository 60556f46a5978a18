//! Listing and describing a stream that is given by its name, through rusoto's generated client.

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
use crate::aws::credentials::rusoto::fixed;
use crate::aws::http::bounds::Bounds;
use crate::aws::http::malformed::Malformed;
use crate::aws::http::transport::Transport;
use crate::aws::text::cut;
use crate::client::kinesis::listed::{RawHashKeys, RawNumbers, RawShard, page_of};
use crate::client::kinesis::refusals::KINESIS;
use crate::error::client::ClientError;
use crate::model::listed::ShardPage;

/// One call: rusoto's client over our transport, within its bounds.
pub(super) struct Generated {
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

impl Generated {
    pub(super) fn new(
        transport: Transport,
        credentials: &Credentials,
        region: Region,
        bounds: Bounds,
    ) -> Self {
        let failure = Arc::default();
        let dispatcher =
            Dispatcher { transport, bounds: bounds.clone(), failure: Arc::clone(&failure) };
        let client = rusoto::KinesisClient::new_with(dispatcher, fixed(credentials), region);
        Self { client, bounds, failure }
    }

    /// The status of the stream.
    pub(super) fn describe(&self, stream: &str) -> Result<String, ClientError> {
        let input = rusoto::DescribeStreamSummaryInput { stream_name: stream.to_owned() };
        let output = self.unwrap(block_on(self.client.describe_stream_summary(input)))?;
        Ok(output.stream_description_summary.stream_status)
    }

    /// The first page is requested by name, the others only by token, as the service demands.
    pub(super) fn list(&self, stream: &str, token: Option<&str>) -> Result<ShardPage, ClientError> {
        let input = rusoto::ListShardsInput {
            stream_name: token.is_none().then(|| stream.to_owned()),
            next_token: token.map(str::to_owned),
            ..Default::default()
        };
        let output = self.unwrap(block_on(self.client.list_shards(input)))?;
        // rusoto takes an empty body for an empty object.
        let page = match &output.shards {
            Some(shards) => page_of(shards.iter().map(raw), output.next_token),
            None => Err(Malformed::new("no shards and no error")),
        };
        page.map_err(|reason| self.malformed(&reason.to_string()))
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
        let answer = self.transport.exchange(
            &request,
            &self.bounds,
            |_, body| Ok(body.to_vec()),
            |_, _| None,
        );
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

fn raw(from: &rusoto::Shard) -> RawShard<'_> {
    let (range, numbers) = (&from.hash_key_range, &from.sequence_number_range);
    RawShard {
        shard_id: from.shard_id.clone(),
        parent_shard_id: from.parent_shard_id.clone(),
        adjacent_parent_shard_id: from.adjacent_parent_shard_id.clone(),
        hash_key_range: RawHashKeys {
            starting_hash_key: (&*range.starting_hash_key).into(),
            ending_hash_key: (&*range.ending_hash_key).into(),
        },
        sequence_number_range: RawNumbers {
            starting_sequence_number: (&*numbers.starting_sequence_number).into(),
            ending_sequence_number: numbers.ending_sequence_number.clone(),
        },
    }
}
