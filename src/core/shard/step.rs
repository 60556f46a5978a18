//! The steps that a poller requests, and their outcomes.

use std::time::{Duration, SystemTime};

use crate::core::event::{Ending, Proof};
use crate::error::Error;
use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::gap::Gap;
use crate::model::listed::StreamStatus;
use crate::model::position::{IteratorType, Position};
use crate::model::token::{ShardIterator, Token};
use crate::record::Records;
use crate::record::answer::Answer;

/// The outcome of the last step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Of `Wait`, and at the start.
    Waited,
    /// Of `GetIterator`, with this machine's clock at its arrival.
    Iterator(Result<ShardIterator, ClientError>, SystemTime),
    /// Of `GetRecords`.
    Records(Result<Answer, ClientError>),
    /// Of `Describe`.
    Status(Result<StreamStatus, ClientError>),
    /// Of `Store`.
    Stored(Result<(), StoreError>),
    /// Of `Deliver`.
    Delivered,
    /// Of `Confirm`.
    Confirmed(Proof),
}

/// The next step.
#[derive(Debug)]
pub(crate) enum Step {
    Wait(Duration),
    GetIterator(IteratorType),
    GetRecords {
        token: Token,
        limit: u32,
    },
    Describe,
    Store {
        to: Position,
        reset: bool,
    },
    /// Boxed, since most steps are smaller, and each is on the stack of a thread.
    Deliver(Box<Delivery>),
    /// Ask whether a listing shows that the shard has ended.
    Confirm,
    /// The last batch was sent; the poller is done.
    End(Ending),
    /// The poller is done, and the whole run fails.
    Fail(Error),
}

/// A batch to send.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) records: Records,
    /// The position after the batch.
    pub(crate) through: Position,
    pub(crate) behind_latest: Option<Duration>,
    pub(crate) gap: Option<Gap>,
}
