//! The positions of one stream under a key that the user chose.

use std::sync::Arc;

use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::export::Import;

/// The store of one stream, which keeps its positions under this key in the place of what the stream was given by.
pub(crate) struct KeyedStore {
    store: Arc<dyn Store>,
    key: String,
}

impl KeyedStore {
    pub(crate) fn new(store: Arc<dyn Store>, key: String) -> Self {
        Self { store, key }
    }
}

impl Store for KeyedStore {
    fn get_shard_iterator(
        &self,
        _stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.store.get_shard_iterator(&self.key, shard)
    }

    fn update_shard_iterator(
        &self,
        _stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.store.update_shard_iterator(&self.key, shard, to)
    }

    fn shard_iterators(&self, _stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.store.shard_iterators(&self.key)
    }

    fn reset_shard_iterator(
        &self,
        _stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.store.reset_shard_iterator(&self.key, shard, to)
    }

    fn import_shard_iterators(
        &self,
        _stream: &str,
        positions: &[(String, Position)],
        import: Import,
    ) -> Result<(), StoreError> {
        self.store.import_shard_iterators(&self.key, positions, import)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::LocalStore;

    #[test]
    fn every_call_is_about_the_key() {
        let inner = Arc::new(LocalStore::new());
        let keyed = KeyedStore::new(inner.clone(), "key".into());
        let at = |number: &str| Position::after(number.parse().unwrap());
        keyed.update_shard_iterator("orders", "a", &at("1")).unwrap();
        keyed.reset_shard_iterator("orders", "b", Some(&at("2"))).unwrap();
        let imported = [("c".to_owned(), at("3"))];
        keyed.import_shard_iterators("orders", &imported, Import::Forward).unwrap();
        assert_eq!(keyed.get_shard_iterator("orders", "a").unwrap(), Some(at("1")));
        let mut stored = inner.shard_iterators("key").unwrap();
        stored.sort();
        let wanted = [("a", at("1")), ("b", at("2")), ("c", at("3"))];
        assert_eq!(stored, wanted.map(|(shard, at)| (shard.to_owned(), at)));
        assert_eq!(keyed.shard_iterators("orders").unwrap().len(), 3);
        assert_eq!(inner.shard_iterators("orders").unwrap(), []);
    }
}
