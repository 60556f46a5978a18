//! The steps that a poller requests, and their outcomes.

use std::time::{Duration, SystemTime};

use crate::core::event::{Ending, Proof};
use crate::core::outage::Trouble;
use crate::core::settings::ChildrenStart;
use crate::core::shard::cursor::Span;
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
    /// Of `GetRecords`, with when the call began: it may have waited for room.
    Records { begun: Duration, read: Result<Read, ClientError> },
    /// Of `Describe`.
    Status(Result<StreamStatus, ClientError>),
    /// Of `Store`.
    Stored(Result<(), StoreError>),
    /// Of `Deliver`.
    Delivered,
    /// Of `Confirm`.
    Confirmed(Proof),
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) answer: Answer,
    /// The span of the answer from the service, before user records replaced its own: user records that are left out
    /// were read too.
    pub(crate) span: Option<Span>,
}

/// What a write does if the store holds a later position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// It keeps the stored position.
    Forward,
    /// It replaces the stored position, which is unusable.
    Overwrite,
}

/// A report of the poller for the shell.
#[derive(Debug)]
pub(crate) enum News {
    /// Records may be missing, and reading resumes after the gap.
    Gap(Gap),
    /// A failure, or the end of one.
    Trouble(Trouble),
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
        how: Write,
    },
    /// Boxed, since most steps are smaller, and each is on the stack of a thread.
    Deliver(Box<Delivery>),
    /// Ask whether a listing shows that the shard has ended.
    Confirm,
    /// The last batch was sent; the poller is done. This says when to report the end, so that the children start.
    End {
        ending: Ending,
        told: ChildrenStart,
    },
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

impl From<Answer> for Read {
    fn from(answer: Answer) -> Self {
        Self { span: Span::of(&answer.records), answer }
    }
}
