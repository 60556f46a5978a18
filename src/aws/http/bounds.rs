//! The bounds of one call.

use std::time::{Duration, Instant};

use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::time::spoken;

/// One call in progress: its name, its stop, and when it must give up.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    operation: &'static str,
    call: Call,
    limit: Duration,
    until: Instant,
}

impl Bounds {
    /// Starts a call of `operation` that takes no longer than `deadline`, or than the rest of `call`'s time.
    pub(crate) fn new(operation: &'static str, call: &Call, deadline: Duration) -> Self {
        let limit = call.remaining().map_or(deadline, |remaining| remaining.min(deadline));
        Self { operation, call: call.clone(), limit, until: Instant::now() + limit }
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// The time left.
    ///
    /// # Errors
    /// If the consumer has stopped, or no time is left.
    pub(crate) fn check(&self) -> Result<Duration, ClientError> {
        if self.call.is_stopped() {
            return Err(self.stopped());
        }
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    pub(crate) fn stopped(&self) -> ClientError {
        self.transient("the consumer has stopped")
    }

    pub(crate) fn late(&self) -> ClientError {
        let message = format!(
            "no complete answer within the deadline of {}: check the network and the server, or \
             let the program wait longer for an answer",
            spoken(self.limit)
        );
        self.error(ErrorClass::TooLarge, message)
    }

    pub(crate) fn transient(&self, message: impl Into<String>) -> ClientError {
        self.error(ErrorClass::Transient, message)
    }

    pub(crate) fn error(&self, class: ErrorClass, message: impl Into<String>) -> ClientError {
        ClientError::new(class, self.operation, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_shorter_of_two_deadlines_holds() {
        let minute = Duration::from_secs(60);
        let call = Call::unbounded().with_deadline(minute);
        assert!(Bounds::new("GetRecords", &call, HOUR).check().unwrap() <= minute);
        let call = Call::unbounded().with_deadline(HOUR);
        assert!(Bounds::new("GetRecords", &call, minute).check().unwrap() <= minute);
    }

    #[test]
    fn a_stopped_call_and_a_passed_deadline_are_errors_at_once() {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let bounds = Bounds::new("GetRecords", &Call::new(stopped), HOUR);
        assert!(bounds.check().is_ok());
        drop(stop);
        assert_eq!(bounds.check().unwrap_err().class(), ErrorClass::Transient);

        let bounds = Bounds::new("GetRecords", &Call::unbounded(), Duration::ZERO);
        assert_eq!(bounds.check().unwrap_err().class(), ErrorClass::TooLarge);
    }
}
