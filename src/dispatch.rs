//! The dispatcher: handle, then commit.

use crossbeam_channel::{Receiver, at, never, select_biased};

use crate::batch::Batch;
use crate::error::{BoxError, Error};
use crate::shutdown::Shutdown;
use crate::store::StoreErrorKind;

/// The user's handler, boxed.
pub(crate) type Callback<'a> = Box<dyn FnMut(&Batch) -> Result<(), BoxError> + 'a>;

/// Handles batches until there are no more, one fails, or the consumer is to stop.
pub(crate) fn dispatch(
    batches: &Receiver<Batch>,
    shutdown: &Shutdown,
    mut handler: Callback<'_>,
) -> Result<(), Error> {
    let (mut halted, mut limit) = (shutdown.halted().clone(), never());
    loop {
        select_biased! {
            recv(shutdown.cut()) -> _ => return Ok(()),
            recv(limit) -> _ => return Ok(()),
            recv(halted) -> _ => {
                halted = never();
                limit = shutdown.drain_until().map_or_else(never, at);
            }
            recv(batches) -> batch => match batch {
                // All stops before the batch is dropped: it was not forgotten.
                Ok(batch) => handle(&mut handler, &batch).inspect_err(|_| shutdown.now())?,
                Err(_) => return Ok(()),
            },
        }
    }
}

/// Hands over a batch, and commits it if the handler returned `Ok`.
pub(crate) fn handle(handler: &mut Callback<'_>, batch: &Batch) -> Result<(), Error> {
    handler(batch).map_err(|source| Error::Handler {
        stream: batch.stream().into(),
        shard: batch.shard().into(),
        source,
    })?;
    match batch.commit() {
        // The coordinator knows too: it tries again, and stops when patience ends.
        Err(Error::Store { source, .. }) if source.kind() == StoreErrorKind::Retry => {
            log::debug!("{source}");
            Ok(())
        }
        committed => committed,
    }
}
