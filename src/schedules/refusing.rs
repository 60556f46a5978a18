//! A store that refuses some writes, for now or because somebody else owns the shard.

use std::sync::Arc;

use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;

pub(super) struct Refusing<R> {
    pub(super) inside: Arc<LocalStore>,
    /// Why a write to a shard is refused, if it is.
    pub(super) refuses: R,
}

/// The refusal of a write that may be taken later.
pub(super) fn not_now(is_refused: bool) -> Option<StoreError> {
    is_refused.then(|| StoreError::retry("not now"))
}

impl<R: Fn(&str) -> Option<StoreError>> Refusing<R> {
    fn writes(&self, shard: &str) -> Result<&LocalStore, StoreError> {
        (self.refuses)(shard).map_or(Ok(&self.inside), Err)
    }
}

impl<R: Fn(&str) -> Option<StoreError> + Send + Sync> Store for Refusing<R> {
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
