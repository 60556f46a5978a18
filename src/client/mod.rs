//! The four calls that a consumer makes, as a trait.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod contract;
#[cfg(feature = "fleet")]
pub(crate) mod dynamo;
pub(crate) mod kinesis;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;

use std::sync::Arc;

use crate::control::call::Call;
use crate::error::client::ClientError;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::stream_id::StreamId;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;

/// A client of Kinesis: the calls that a consumer makes, all blocking.
///
/// A stream is what [`Stream::new`](crate::Stream::new) was given: a name, or an ARN.
/// Each call gets a [`Call`], which says when to give up. After a stop the error is ignored.
/// A stop waits for a call that does not end: a client must either have a
/// [`session`](Self::session) that can be interrupted, or watch [`Call::stopped`], or bound its calls by a time.
///
/// [`client_contract`](crate::testing::client_contract), with feature `testing`, checks most of this.
///
/// Your own client makes its answers with the constructors of [`ShardPage`], [`ShardIterator`] and [`Answer`]:
///
/// ```
/// use std::time::SystemTime;
/// use kinesis_consumer::{
///     Answer, Call, Client, ClientError, Config, HashKeyRange, IteratorType, LocalStore, RecordsBuilder,
///     SequenceNumber, Shard, ShardIterator, ShardPage, Stream, StreamStatus, Token,
/// };
///
/// /// One shard with one record, which is read again and again.
/// struct Echo(SequenceNumber);
///
/// impl Client for Echo {
///     fn describe_stream(&self, _stream: &str, _call: &Call) -> Result<StreamStatus, ClientError> {
///         Ok(StreamStatus::Active)
///     }
///
///     fn list_shards(
///         &self,
///         _stream: &str,
///         _token: Option<&str>,
///         _call: &Call,
///     ) -> Result<ShardPage, ClientError> {
///         let shard = Shard::new("shardId-000000000000", HashKeyRange::ALL, self.0.clone());
///         Ok(ShardPage::new(vec![shard], None))
///     }
///
///     fn get_shard_iterator(
///         &self,
///         _stream: &str,
///         _shard: &str,
///         _at: &IteratorType,
///         _call: &Call,
///     ) -> Result<ShardIterator, ClientError> {
///         Ok(ShardIterator::new(Token::new("again"), SystemTime::now()))
///     }
///
///     fn get_records(&self, token: &Token, _limit: u32, _call: &Call) -> Result<Answer, ClientError> {
///         let mut records = RecordsBuilder::new();
///         records.push(&self.0, "customer-7", SystemTime::now(), b"one espresso");
///         Ok(Answer::new(records.build(), Some(token.clone())))
///     }
/// }
///
/// let stream = Stream::new(Echo("1".parse()?), "orders", LocalStore::new(), Config::new())?;
/// let (batches, _listener) = stream.receiver()?;
/// assert_eq!(batches.recv()?.records().first().unwrap().data(), b"one espresso");
/// # Ok::<(), kinesis_consumer::BoxError>(())
/// ```
pub trait Client: Send + Sync {
    /// The state of a stream (`DescribeStreamSummary`).
    ///
    /// # Errors
    /// [`ErrorClass::NotFound`](crate::ErrorClass::NotFound) if there is no such stream.
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError>;

    /// One page of a stream's shards (`ListShards`): the first, or the one that `token` names.
    ///
    /// # Errors
    /// [`ErrorClass::ExpiredNextToken`](crate::ErrorClass::ExpiredNextToken) makes the caller start again at the first page.
    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError>;

    /// A token for reading a shard (`GetShardIterator`).
    ///
    /// # Errors
    /// [`ErrorClass::InvalidArgument`](crate::ErrorClass::InvalidArgument) for a number that the shard does not know,
    /// [`ErrorClass::NotFound`](crate::ErrorClass::NotFound) if there is no such stream or shard.
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError>;

    /// The next records of a shard (`GetRecords`), at most `limit`. [`Call::stream`] has the stream, which a service
    /// may want to know.
    ///
    /// # Errors
    /// [`ErrorClass::ExpiredIterator`](crate::ErrorClass::ExpiredIterator) for a token older than five minutes,
    /// [`ErrorClass::InvalidArgument`](crate::ErrorClass::InvalidArgument) for a token that the service never gave.
    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError>;

    /// Checks, without a call, whether it can read this stream: an ARN may be of another region than the client's.
    /// Defaults to yes; a client that wraps another returns what that says.
    ///
    /// # Errors
    /// Why not, and what to do, for people. [`Stream::new`](crate::Stream::new) returns it in an
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting).
    fn check_stream(&self, _stream: &StreamId) -> Result<(), String> {
        Ok(())
    }

    /// Where it reads, for people: for example the region and the endpoint, never a credential. It is logged when a
    /// consumer starts. Defaults to nothing; a client that wraps another returns the place of that.
    fn place(&self) -> Option<String> {
        None
    }

    /// A client for one run of a consumer, which [`interrupt`](Self::interrupt) may end for good.
    ///
    /// Defaults to `None`: the run uses this client, which is then never interrupted and watches
    /// [`Call::stopped`] itself. If you wrap a client, wrap its session as well; do not return the inner one.
    fn session(&self) -> Option<Arc<dyn Client>> {
        None
    }

    /// Ends every call in progress, and fails every later call. Any thread calls it when the run
    /// stops. Must not block. Does nothing by default.
    fn interrupt(&self) {}
}

/// Hands every call on to what is pointed to. It makes the methods, not the whole `impl`, which a reader and the
/// snapshot of the API so find as any other.
macro_rules! forward {
    () => {
        fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
            (**self).describe_stream(stream, call)
        }

        fn list_shards(
            &self,
            stream: &str,
            token: Option<&str>,
            call: &Call,
        ) -> Result<ShardPage, ClientError> {
            (**self).list_shards(stream, token, call)
        }

        fn get_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            at: &IteratorType,
            call: &Call,
        ) -> Result<ShardIterator, ClientError> {
            (**self).get_shard_iterator(stream, shard, at, call)
        }

        fn get_records(
            &self,
            token: &Token,
            limit: u32,
            call: &Call,
        ) -> Result<Answer, ClientError> {
            (**self).get_records(token, limit, call)
        }

        fn check_stream(&self, stream: &StreamId) -> Result<(), String> {
            (**self).check_stream(stream)
        }

        fn place(&self) -> Option<String> {
            (**self).place()
        }

        fn session(&self) -> Option<Arc<dyn Client>> {
            (**self).session()
        }

        fn interrupt(&self) {
            (**self).interrupt();
        }
    };
}

impl<C: Client + ?Sized> Client for Arc<C> {
    forward!();
}

impl<C: Client + ?Sized> Client for Box<C> {
    forward!();
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::error::client::ErrorClass;

    /// Notes its calls.
    #[derive(Default)]
    struct Noted(Mutex<Vec<String>>);

    impl Noted {
        fn note(&self, call: impl Into<String>) -> ClientError {
            self.0.lock().push(call.into());
            ClientError::new(ErrorClass::Fatal, "Noted", "")
        }
    }

    impl Client for Noted {
        fn describe_stream(&self, stream: &str, _: &Call) -> Result<StreamStatus, ClientError> {
            Err(self.note(format!("describe {stream}")))
        }

        fn list_shards(
            &self,
            stream: &str,
            token: Option<&str>,
            _: &Call,
        ) -> Result<ShardPage, ClientError> {
            Err(self.note(format!("list {stream} {token:?}")))
        }

        fn get_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            at: &IteratorType,
            _: &Call,
        ) -> Result<ShardIterator, ClientError> {
            Err(self.note(format!("iterator {stream} {shard} {at:?}")))
        }

        fn get_records(&self, token: &Token, limit: u32, _: &Call) -> Result<Answer, ClientError> {
            Err(self.note(format!("records {} {limit}", token.as_str())))
        }

        fn check_stream(&self, stream: &StreamId) -> Result<(), String> {
            self.note(format!("check {stream}"));
            Err("not here".into())
        }

        fn place(&self) -> Option<String> {
            self.note("place");
            Some("here".into())
        }

        fn session(&self) -> Option<Arc<dyn Client>> {
            self.note("session");
            Some(Arc::new(Self::default()))
        }

        fn interrupt(&self) {
            self.note("interrupt");
        }
    }

    fn call_all(client: impl Client) {
        let call = Call::unbounded();
        assert!(client.describe_stream("orders", &call).is_err());
        assert!(client.list_shards("orders", Some("page"), &call).is_err());
        let at = IteratorType::Latest;
        assert!(client.get_shard_iterator("orders", "shard", &at, &call).is_err());
        assert!(client.get_records(&Token::new("token"), 7, &call).is_err());
        assert!(client.check_stream(&"orders".parse().unwrap()).is_err());
        assert_eq!(client.place().as_deref(), Some("here"));
        assert!(client.session().is_some());
        client.interrupt();
    }

    /// Those with a default too, which would say something else.
    #[test]
    fn what_points_to_a_client_hands_on_every_call() {
        let noted = Arc::new(Noted::default());
        let expected = [
            "describe orders",
            "list orders Some(\"page\")",
            "iterator orders shard Latest",
            "records token 7",
            "check orders",
            "place",
            "session",
            "interrupt",
        ];
        call_all(Arc::clone(&noted));
        assert_eq!(std::mem::take(&mut *noted.0.lock()), expected);
        let boxed: Box<dyn Client> = Box::new(Arc::clone(&noted));
        call_all(boxed);
        assert_eq!(*noted.0.lock(), expected);
    }
}
