//! Faults on demand.

use std::collections::VecDeque;
use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::MemoryKinesis;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::sync::{self, at, select_biased};

/// A call of Kinesis that a consumer makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Client::describe_stream`](crate::Client::describe_stream)
    DescribeStreamSummary,
    /// [`Client::list_shards`](crate::Client::list_shards)
    ListShards,
    /// [`Client::get_shard_iterator`](crate::Client::get_shard_iterator)
    GetShardIterator,
    /// [`Client::get_records`](crate::Client::get_records)
    GetRecords,
}

/// Faults and counters of all streams.
#[derive(Default)]
pub(super) struct Faults {
    calls: [u64; OPERATIONS],
    next: [FaultQueue; OPERATIONS],
    pub(super) gate: Option<Gate>,
}

/// Faults in the order of their requests.
#[derive(Default)]
pub(super) struct FaultQueue(VecDeque<(ErrorClass, usize)>);

/// Calls wait while it exists.
pub(super) struct Gate {
    lifted: Receiver<Infallible>,
    _held: Sender<Infallible>, // its drop lets the calls continue
}

const OPERATIONS: usize = 4;

impl MemoryKinesis {
    /// Lets this many calls of an operation fail, on any stream, after the failures that were requested before.
    ///
    /// The error has Amazon's code for this class, and no code if a failure of the
    /// network has this class.
    pub fn fail_next(&self, operation: Operation, times: usize, class: ErrorClass) {
        self.cloud.lock().faults.next[operation as usize].push(times, class);
    }

    /// Lets this many `GetRecords` calls of a shard fail, as [`fail_next`](Self::fail_next) does.
    ///
    /// # Panics
    /// If there is no such stream or shard.
    pub fn fail_shard(&self, stream: &str, shard: &str, times: usize, class: ErrorClass) {
        self.with_shard(stream, shard, |shard| shard.faults.push(times, class));
    }

    /// Lets every later call on a stream wait, until it is called with `false`.
    /// A call that waits ends with an error when it is stopped or its deadline passes.
    ///
    /// # Panics
    /// If there is no such stream.
    pub fn hang(&self, stream: &str, on: bool) {
        self.with_stream(stream, |stream| Gate::set(&mut stream.gate, on));
    }

    /// As [`hang`](Self::hang), for every call on any stream.
    pub fn hang_all(&self, on: bool) {
        Gate::set(&mut self.cloud.lock().faults.gate, on);
    }

    /// How many calls of an operation were made, including calls that failed or hang.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.cloud.lock().faults.calls[operation as usize]
    }
}

impl Operation {
    /// Amazon's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DescribeStreamSummary => "DescribeStreamSummary",
            Self::ListShards => "ListShards",
            Self::GetShardIterator => "GetShardIterator",
            Self::GetRecords => "GetRecords",
        }
    }

    /// An error of this operation with the code that Amazon gives with its class.
    pub(super) fn error(self, class: ErrorClass, message: impl Into<String>) -> ClientError {
        let error = ClientError::new(class, self.name(), message);
        match code(self, class) {
            Some(code) => error.with_code(code),
            None => error,
        }
    }
}

impl Faults {
    pub(super) fn count(&mut self, operation: Operation) {
        self.calls[operation as usize] += 1;
    }

    pub(super) fn take(&mut self, operation: Operation) -> Result<(), ClientError> {
        self.next[operation as usize].take(operation)
    }
}

impl FaultQueue {
    fn push(&mut self, times: usize, class: ErrorClass) {
        if times > 0 {
            self.0.push_back((class, times));
        }
    }

    pub(super) fn take(&mut self, operation: Operation) -> Result<(), ClientError> {
        let Some((class, times)) = self.0.front_mut() else { return Ok(()) };
        let class = *class;
        *times -= 1;
        if *times == 0 {
            self.0.pop_front();
        }
        Err(operation.error(class, "as the test asked"))
    }
}

impl Gate {
    /// A gate that exists already stays: its calls continue to wait.
    fn set(gate: &mut Option<Self>, on: bool) {
        if !on {
            *gate = None;
        } else if gate.is_none() {
            let (held, lifted) = bounded(0);
            *gate = Some(Self { lifted, _held: held });
        }
    }

    pub(super) fn lifted(&self) -> Receiver<Infallible> {
        self.lifted.clone()
    }
}

/// Waits until the gate is lifted; an error if the call must give up first.
pub(super) fn wait(
    lifted: &Receiver<Infallible>,
    operation: Operation,
    call: &Call,
) -> Result<(), ClientError> {
    let deadline = call.remaining().and_then(|left| sync::now().checked_add(left));
    let deadline = deadline.map_or_else(never, at);
    select_biased! {
        recv(call.stopped()) -> _ => Err(operation.error(ErrorClass::TooLarge, "stopped")),
        recv(lifted) -> _ => Ok(()),
        recv(deadline) -> _ => Err(operation.error(ErrorClass::TooLarge, "the deadline passed")),
    }
}

fn code(operation: Operation, class: ErrorClass) -> Option<&'static str> {
    use Operation::{GetRecords, GetShardIterator};
    Some(match class {
        ErrorClass::Throttled if matches!(operation, GetRecords | GetShardIterator) => {
            "ProvisionedThroughputExceededException"
        }
        ErrorClass::Throttled => "LimitExceededException",
        ErrorClass::Transient => "InternalFailure",
        // A deadline is the network's, not the service's.
        ErrorClass::TooLarge | ErrorClass::OverBudget => return None,
        ErrorClass::ExpiredIterator => "ExpiredIteratorException",
        ErrorClass::ExpiredNextToken => "ExpiredNextTokenException",
        ErrorClass::Credentials => "ExpiredTokenException",
        ErrorClass::NotFound => "ResourceNotFoundException",
        ErrorClass::InUse => "ResourceInUseException",
        ErrorClass::InvalidArgument => "InvalidArgumentException",
        ErrorClass::Fatal => "AccessDeniedException",
    })
}
