//! The handler of batches.

use crate::delivery::batch::Batch;
use crate::error::BoxError;

/// Takes batches, one at a time; implement it for a type if a closure is not enough.
///
/// Implemented for every closure that [`Stream::listen`](crate::Stream::listen) takes.
pub trait Handler {
    /// Handles a batch. `Ok` commits it.
    ///
    /// # Errors
    /// Any error leaves the batch uncommitted. [`OnError`](crate::OnError) decides whether the consumer stops
    /// and returns the error, or the batch comes again.
    fn handle(&mut self, batch: &Batch) -> Result<(), BoxError>;
}

impl<F> Handler for F
where
    F: FnMut(&Batch) -> Result<(), BoxError>,
{
    fn handle(&mut self, batch: &Batch) -> Result<(), BoxError> {
        self(batch)
    }
}
