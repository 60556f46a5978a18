//! A store in memory that can be waited for.

use kinesis_consumer::{LocalStore, Position, Store, StoreError};
use parking_lot::{Condvar, Mutex};

use super::reader::PATIENCE;

#[derive(Default)]
pub(crate) struct WatchedStore {
    store: LocalStore,
    writes: Mutex<usize>,
    written: Condvar,
}

impl WatchedStore {
    /// Waits until this many shards of the stream have a position.
    pub(crate) fn wait_for(&self, stream: &str, shards: usize) {
        let mut writes = self.writes.lock();
        let few = |_: &mut usize| self.store.shard_iterators(stream).unwrap().len() < shards;
        let waited = self.written.wait_while_for(&mut writes, few, PATIENCE);
        let found = self.store.shard_iterators(stream).unwrap();
        assert!(!waited.timed_out(), "{shards} positions were waited for: {found:?}");
    }

    fn tell(&self) {
        *self.writes.lock() += 1;
        self.written.notify_all();
    }
}

impl Store for WatchedStore {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.store.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.store.update_shard_iterator(stream, shard, to)?;
        self.tell();
        Ok(())
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.store.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.store.reset_shard_iterator(stream, shard, to)?;
        self.tell();
        Ok(())
    }
}
