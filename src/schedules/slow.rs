//! A client and a store whose calls take some time, so that others may come in the middle of them.

use std::sync::Arc;
use std::time::Duration;

use super::hooked::{Hook, Hooked};
use super::world::current;
use crate::client::memory::MemoryKinesis;
use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;

/// The longest that one takes.
const MOST: u64 = 30;

/// Half of the calls take some time.
pub(super) fn client(kinesis: MemoryKinesis) -> Hooked<MemoryKinesis> {
    let hook: Hook = Arc::new(|| takes("a call"));
    Hooked::new(kinesis, &hook)
}

/// Half of the writes take some time.
pub(super) struct SlowStore(pub(super) Arc<LocalStore>);

impl Store for SlowStore {
    fn update_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        takes("a write");
        self.0.update_shard_iterator(of, shard, to)
    }

    fn shard_iterators(&self, of: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.0.shard_iterators(of)
    }

    fn reset_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        takes("a write");
        self.0.reset_shard_iterator(of, shard, to)
    }
}

pub(super) fn takes(what: &'static str) {
    if fastrand::bool() {
        current().takes(what, Duration::from_millis(fastrand::u64(..MOST)));
    }
}
