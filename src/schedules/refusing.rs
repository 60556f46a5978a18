//! A store that refuses some writes, and may take them later.

use std::sync::Arc;

use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;

pub(super) struct Refusing<R> {
    pub(super) inside: Arc<LocalStore>,
    /// Whether this write to a shard is refused.
    pub(super) refuses: R,
}

impl<R: Fn(&str) -> bool> Refusing<R> {
    fn writes(&self, shard: &str) -> Result<&LocalStore, StoreError> {
        match (self.refuses)(shard) {
            true => Err(StoreError::retry("not now")),
            false => Ok(&self.inside),
        }
    }
}

impl<R: Fn(&str) -> bool + Send + Sync> Store for Refusing<R> {
    fn update_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.writes(shard)?.update_shard_iterator(of, shard, to)
    }

    fn shard_iterators(&self, of: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.inside.shard_iterators(of)
    }

    fn reset_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.writes(shard)?.reset_shard_iterator(of, shard, to)
    }
}
