//! What a poller asks for, and what comes of it.

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
    /// Of `GetIterator`, with this machine's clock when it came.
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

/// What to do next.
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
    /// Boxed, as most steps are another, and each stands on the stack of a thread.
    Deliver(Box<Delivery>),
    /// Ask whether a listing shows that the shard has ended.
    Confirm,
    /// The last batch was sent; the poller is done.
    End(Ending),
    /// The poller is done, and so is everything.
    Fail(Error),
}

/// A batch to send.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) records: Records,
    /// What is done when the batch is.
    pub(crate) through: Position,
    pub(crate) behind_latest: Option<Duration>,
    pub(crate) gap: Option<Gap>,
}
