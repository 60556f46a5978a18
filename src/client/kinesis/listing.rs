//! The calls about a whole stream: by its name through rusoto, by its ARN as JSON of our own.

use crate::aws::http::bounds::Bounds;
use crate::aws::text::cut;
use crate::client::kinesis::KinesisClient;
#[cfg(feature = "rusoto")]
use crate::client::kinesis::generated::Generated;
use crate::client::kinesis::input::Subject;
use crate::client::kinesis::listed;
use crate::error::client::ClientError;
use crate::model::listed::{ShardPage, StreamStatus};

impl KinesisClient {
    pub(super) fn describe(
        &self,
        stream: &str,
        bounds: &Bounds,
    ) -> Result<StreamStatus, ClientError> {
        status_of(&self.status(stream, bounds)?, bounds)
    }

    /// A page of a stream's shards.
    pub(super) fn list(
        &self,
        stream: &str,
        token: Option<&str>,
        bounds: &Bounds,
    ) -> Result<ShardPage, ClientError> {
        #[cfg(feature = "rusoto")]
        if is_generated(stream) {
            return self.generated(bounds, |client| client.list(stream, token));
        }
        let (target, input) = ("Kinesis_20131202.ListShards", Subject::page(stream, token));
        self.caller.post(bounds, target, &input, |_, body| listed::page(body))
    }

    fn status(&self, stream: &str, bounds: &Bounds) -> Result<String, ClientError> {
        #[cfg(feature = "rusoto")]
        if is_generated(stream) {
            return self.generated(bounds, |client| client.describe(stream));
        }
        let (target, input) = ("Kinesis_20131202.DescribeStreamSummary", Subject::of(stream));
        self.caller.post(bounds, target, &input, |_, body| listed::status(body))
    }

    #[cfg(feature = "rusoto")]
    fn generated<T>(
        &self,
        bounds: &Bounds,
        call: impl FnOnce(&Generated) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let (name, endpoint) = (self.region().to_owned(), self.endpoint().to_owned());
        let region = rusoto_core::Region::Custom { name, endpoint };
        self.caller.signed(bounds, |credentials| {
            call(&Generated::new(
                self.caller.transport().clone(),
                credentials,
                region,
                bounds.clone(),
            ))
        })
    }
}

/// Whether it goes through rusoto, whose requests have a field for a name, and none for an ARN.
#[cfg(feature = "rusoto")]
fn is_generated(stream: &str) -> bool {
    crate::model::stream_id::arn_in(stream).is_none()
}

fn status_of(status: &str, bounds: &Bounds) -> Result<StreamStatus, ClientError> {
    match status {
        "CREATING" => Ok(StreamStatus::Creating),
        "ACTIVE" => Ok(StreamStatus::Active),
        "UPDATING" => Ok(StreamStatus::Updating),
        "DELETING" => Ok(StreamStatus::Deleting),
        other => Err(bounds.transient(format!("unknown status {:?}", cut(other)))),
    }
}
