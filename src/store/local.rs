//! Positions in memory.

use std::collections::HashMap;

use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::sync::RwLock;

/// Keeps positions in memory, as long as it lives.
///
/// Share it between runs of one process with an [`Arc`](std::sync::Arc).
#[derive(Debug, Default)]
pub struct LocalStore {
    /// By stream, then by shard: looked up by `&str` without building a key.
    positions: RwLock<HashMap<String, HashMap<String, Position>>>,
}

impl LocalStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for LocalStore {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        let positions = self.positions.read();
        Ok(positions.get(stream).and_then(|shards| shards.get(shard)).cloned())
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        let mut positions = self.positions.write();
        if let Some(stored) = positions.get_mut(stream).and_then(|shards| shards.get_mut(shard)) {
            if *to > *stored {
                *stored = to.clone();
            }
        } else {
            positions.entry(stream.into()).or_default().insert(shard.into(), to.clone());
        }
        Ok(())
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let positions = self.positions.read();
        let shards = positions.get(stream).into_iter().flatten();
        Ok(shards.map(|(shard, position)| (shard.clone(), position.clone())).collect())
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        let mut positions = self.positions.write();
        match to {
            Some(to) => {
                positions.entry(stream.into()).or_default().insert(shard.into(), to.clone());
            }
            None => {
                positions.get_mut(stream).map(|shards| shards.remove(shard));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_the_position_of_one_shard() {
        let (store, at) = (LocalStore::new(), Position::after("7".parse().unwrap()));
        for shard in ["a", "b"] {
            store.update_shard_iterator("orders", shard, &at).unwrap();
        }
        store.reset_shard_iterator("orders", "a", None).unwrap();
        assert_eq!(store.shard_iterators("orders").unwrap(), [("b".to_owned(), at)]);
    }
}
