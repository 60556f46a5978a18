//! A question for credentials in progress: how long it may take, and what ends it early.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, select_biased};
use parking_lot::Mutex;
use ureq::unversioned::transport::ShutdownHandle;

use crate::aws::http::quiet::Register;
use crate::control::call::Call;

/// Why a question ends without an answer.
pub(crate) const UNWANTED: &str = "nobody waits for the credentials any more";

/// What waits for the answer. Its drop ends the question.
#[derive(Debug)]
pub(crate) struct Interest {
    /// Dropped with the interest, which disconnects [`Question::ended`].
    _wanted: Sender<Infallible>,
    calls: Calls,
}

/// A question, as its thread has it.
pub(crate) struct Question {
    ended: Receiver<Infallible>,
    calls: Calls,
    until: Instant,
}

/// The calls in progress; `None` once the question has ended.
#[derive(Clone)]
struct Calls(Arc<Mutex<Option<InProgress>>>);

type InProgress = Vec<Weak<dyn ShutdownHandle>>;

impl Question {
    /// A question that may take this long.
    pub(crate) fn new(limit: Duration) -> (Self, Interest) {
        let (wanted, ended) = bounded(0);
        let calls = Calls(Arc::new(Mutex::new(Some(Vec::new()))));
        let question = Self { ended, calls: calls.clone(), until: Instant::now() + limit };
        (question, Interest { _wanted: wanted, calls })
    }

    /// Disconnected when nobody waits for the answer any more.
    pub(crate) fn ended(&self) -> &Receiver<Infallible> {
        &self.ended
    }

    /// The time that one of its calls may take.
    pub(crate) fn left(&self, limit: Duration) -> Duration {
        limit.min(self.until.saturating_duration_since(Instant::now()))
    }

    /// The same as a user's code knows it.
    pub(crate) fn call(&self, limit: Duration) -> Call {
        Call::new(self.ended.clone()).with_deadline(self.left(limit))
    }

    /// Waits, but not longer than the question lasts. Returns whether it still lasts.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        select_biased! {
            recv(self.ended) -> _ => false,
            recv(after(self.left(time))) -> _ => Instant::now() < self.until,
        }
    }

    /// Registers what ends a call in progress.
    pub(crate) fn register(&self) -> Register {
        let calls = self.calls.clone();
        Arc::new(move |call| match calls.0.lock().as_mut() {
            Some(calls) => {
                calls.push(call);
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::NotConnected, UNWANTED).into()),
        })
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let calls = self.calls.0.lock().take();
        for call in calls.into_iter().flatten().filter_map(|call| call.upgrade()) {
            call.shutdown();
        }
    }
}

// A call has no text.
impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn without_interest_a_wait_ends_a_call_breaks_and_a_new_one_is_refused() {
        #[derive(Default)]
        struct Call(AtomicBool);
        impl ShutdownHandle for Call {
            fn shutdown(&self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (question, interest) = Question::new(HOUR);
        assert!(question.pause(Duration::ZERO) && question.left(HOUR) > HOUR / 2);
        let call = Arc::new(Call::default());
        let weak = |call: &Arc<Call>| Arc::downgrade(call) as Weak<dyn ShutdownHandle>;
        (question.register())(weak(&call)).unwrap();
        drop(interest);
        assert!(call.0.load(Ordering::SeqCst));
        assert!(!question.pause(HOUR));
        assert!((question.register())(weak(&call)).is_err());
    }

    #[test]
    fn a_question_without_time_does_not_pause() {
        let (question, _interest) = Question::new(Duration::ZERO);
        assert!(!question.pause(HOUR));
    }
}
