//! What the store holds: read at the start of a run, and written for the last time at its end.

use crate::core::event::Event;
use crate::delivery::commits::flush_all;
use crate::engine::run::{Engine, Run};
use crate::error::Error;

impl Run<'_> {
    /// Reads the positions. None for an ARN, and some for its name, is an error: the user would not expect that all is
    /// read again, or, from `Latest`, that records are missing.
    pub(super) fn load(&self) -> Event {
        let Engine { store, stream, former_key, .. } = self.engine;
        let positions = |key: &str| {
            store.shard_iterators(key).inspect_err(|_| self.meter.store_failures.increment(1))
        };
        let loaded = positions(stream);
        let is_new = loaded.as_ref().is_ok_and(Vec::is_empty);
        let Some(name) = former_key.as_ref().filter(|_| is_new) else {
            return Event::Loaded(loaded);
        };
        match positions(name) {
            Ok(former) if former.is_empty() => Event::Loaded(loaded),
            Ok(_) => Event::Failed(Error::StoredUnderName {
                stream: stream.to_string(),
                name: name.clone(),
            }),
            Err(error) => Event::Loaded(Err(error)),
        }
    }

    /// The last attempt at the writes that failed before.
    pub(super) fn flush_last(&self) -> Result<(), Error> {
        flush_all(&self.engine.registry.all_commits())
            .map_err(|(shard, source)| Error::of_store(&self.engine.stream, Some(&shard), source))
    }
}
