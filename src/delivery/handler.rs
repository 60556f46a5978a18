//! The handler of batches.

use crate::delivery::batch::Batch;
use crate::error::BoxError;

/// Takes batches, one at a time; implement it for a type if a closure is not enough.
///
/// Implemented for every closure that [`Stream::listen`](crate::Stream::listen) takes, and for a handler of unknown
/// type, boxed or borrowed: `Box<dyn Handler>`, `Box<dyn Handler + Send>` and `&mut dyn Handler`. To borrow a handler
/// of known type, call it in a closure: `stream.listen(|batch| handler.handle(batch))`.
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

// Not for every `Box<H>` and `&mut H`: those of a closure are closures, which are handlers already.
impl Handler for Box<dyn Handler + '_> {
    fn handle(&mut self, batch: &Batch) -> Result<(), BoxError> {
        (**self).handle(batch)
    }
}

impl Handler for Box<dyn Handler + Send + '_> {
    fn handle(&mut self, batch: &Batch) -> Result<(), BoxError> {
        (**self).handle(batch)
    }
}

impl Handler for &mut (dyn Handler + '_) {
    fn handle(&mut self, batch: &Batch) -> Result<(), BoxError> {
        (**self).handle(batch)
    }
}
