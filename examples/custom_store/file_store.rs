//! Your own store: only the functions that the consumer needs.

use kinesis_consumer::{Position, Store, StoreError};

use crate::position_file::PositionFile;

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) struct FileStore(pub(crate) PositionFile);

impl Store for FileStore {
    fn get_shard_iterator(&self, stream: &str, shard: &str) -> Result<Option<Position>> {
        Ok(self.0.read(|positions| positions.get(&(stream.into(), shard.into())).cloned()))
    }

    /// Never goes back: two commits may come in either order.
    fn update_shard_iterator(&self, stream: &str, shard: &str, to: &Position) -> Result<()> {
        self.0.change(|positions| {
            let stored = positions.entry((stream.into(), shard.into())).or_insert(to.clone());
            *stored = stored.clone().max(to.clone());
        })
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>> {
        Ok(self.0.read(|positions| {
            let found = positions.iter().filter(|((of, _), _)| of == stream);
            found.map(|((_, shard), position)| (shard.clone(), position.clone())).collect()
        }))
    }

    fn reset_shard_iterator(&self, stream: &str, shard: &str, to: Option<&Position>) -> Result<()> {
        let key = (stream.to_owned(), shard.to_owned());
        self.0.change(|positions| match to {
            Some(to) => drop(positions.insert(key, to.clone())),
            None => drop(positions.remove(&key)),
        })
    }
}
