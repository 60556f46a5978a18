//! Where positions are kept.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod contract;
pub(crate) mod export;
pub(crate) mod keyed;
pub(crate) mod leases;
pub(crate) mod local;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::sync::Arc;

use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::export::Import;
use crate::store::leases::fleet::Leases;

/// Remembers how far each shard has been processed.
///
/// A stream is what [`Stream::new`](crate::Stream::new) was given, a name or an ARN, unless
/// [`Stream::store_key`](crate::Stream::store_key) says otherwise: at most 255 visible ASCII characters, among them `:`
/// and `/`.
///
/// Several threads call it at once, and never while they hold a lock of the consumer. A call
/// may block, and must give up by itself after a while: nothing interrupts it, and a stop waits for it, however long it
/// takes. The implementor must bound it. The key is the pair of stream and shard. Do not
/// join them into one text without a separator that neither can contain. If several applications share a store, its
/// constructor takes the name of the application.
pub trait Store: Send + Sync {
    /// The position of a shard; `None` if none is stored. It is a [`Position`], never Amazon's shard iterator, which
    /// expires after five minutes. The consumer itself reads all positions at once, by
    /// [`shard_iterators`](Self::shard_iterators); by default this function searches them.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        let stored = self.shard_iterators(stream)?;
        Ok(stored.into_iter().find(|(id, _)| id == shard).map(|(_, position)| position))
    }

    /// Stores a position if it is ahead of the stored one; otherwise it changes nothing and returns `Ok`. It keeps a
    /// [`Position`], never Amazon's shard iterator.
    ///
    /// # Errors
    /// If it could not be written, or if the outcome is unknown.
    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError>;

    /// Every shard of the stream that has a position, in any order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError>;

    /// Stores a position whether it is ahead or not; `None` forgets the shard.
    ///
    /// # Errors
    /// If it could not be written, or if the outcome is unknown.
    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError>;

    /// Stores many positions of one stream: with [`Import::Forward`] each as
    /// [`update_shard_iterator`](Self::update_shard_iterator) does, with [`Import::Overwrite`] as
    /// [`reset_shard_iterator`](Self::reset_shard_iterator). Shards that are not named stay as they are.
    ///
    /// By default it makes one call for each. A store that can write many at once should do so.
    ///
    /// # Errors
    /// If any could not be written. Others may be written already: a second import does no harm.
    fn import_shard_iterators(
        &self,
        stream: &str,
        positions: &[(String, Position)],
        import: Import,
    ) -> Result<(), StoreError> {
        positions.iter().try_for_each(|(shard, to)| match import {
            Import::Forward => self.update_shard_iterator(stream, shard, to),
            Import::Overwrite => self.reset_shard_iterator(stream, shard, Some(to)),
        })
    }

    /// The leases by which several consumers share the stream: those of a [`Fleet`](crate::Fleet), and by default none.
    /// What wraps a store hands this call on too.
    fn leases(&self) -> Option<&Leases> {
        None
    }
}

/// Hands every call on to what is pointed to. It makes the methods, not the whole `impl`, which a reader and the
/// snapshot of the API so find as any other.
macro_rules! forward {
    () => {
        fn get_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
        ) -> Result<Option<Position>, StoreError> {
            (**self).get_shard_iterator(stream, shard)
        }

        fn update_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            to: &Position,
        ) -> Result<(), StoreError> {
            (**self).update_shard_iterator(stream, shard, to)
        }

        fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
            (**self).shard_iterators(stream)
        }

        fn reset_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            to: Option<&Position>,
        ) -> Result<(), StoreError> {
            (**self).reset_shard_iterator(stream, shard, to)
        }

        fn import_shard_iterators(
            &self,
            stream: &str,
            positions: &[(String, Position)],
            import: Import,
        ) -> Result<(), StoreError> {
            (**self).import_shard_iterators(stream, positions, import)
        }

        fn leases(&self) -> Option<&Leases> {
            (**self).leases()
        }
    };
}

impl<S: Store + ?Sized> Store for Arc<S> {
    forward!();
}

impl<S: Store + ?Sized> Store for Box<S> {
    forward!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::store_contract;
    use crate::store::local::LocalStore;

    /// Has only the required functions of a store.
    struct Least(LocalStore);

    impl Store for Least {
        fn update_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            to: &Position,
        ) -> Result<(), StoreError> {
            self.0.update_shard_iterator(stream, shard, to)
        }

        fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
            self.0.shard_iterators(stream)
        }

        fn reset_shard_iterator(
            &self,
            stream: &str,
            shard: &str,
            to: Option<&Position>,
        ) -> Result<(), StoreError> {
            self.0.reset_shard_iterator(stream, shard, to)
        }
    }

    /// Of what has a default it says that it was not used.
    struct Own;

    fn own() -> StoreError {
        StoreError::fatal("its own")
    }

    impl Store for Own {
        fn get_shard_iterator(&self, _: &str, _: &str) -> Result<Option<Position>, StoreError> {
            Err(own())
        }

        fn update_shard_iterator(&self, _: &str, _: &str, _: &Position) -> Result<(), StoreError> {
            Ok(())
        }

        fn shard_iterators(&self, _: &str) -> Result<Vec<(String, Position)>, StoreError> {
            Ok(Vec::new())
        }

        fn reset_shard_iterator(
            &self,
            _: &str,
            _: &str,
            _: Option<&Position>,
        ) -> Result<(), StoreError> {
            Ok(())
        }

        fn import_shard_iterators(
            &self,
            _: &str,
            _: &[(String, Position)],
            _: Import,
        ) -> Result<(), StoreError> {
            Err(own())
        }
    }

    #[test]
    fn what_points_to_a_store_hands_on_every_call() {
        fn check(store: impl Store) {
            assert!(store.get_shard_iterator("orders", "shard").is_err());
            assert!(store.import_shard_iterators("orders", &[], Import::Forward).is_err());
        }
        check(Arc::new(Own));
        check(Box::new(Own) as Box<dyn Store>);
        store_contract(|_name| Box::new(LocalStore::new()) as Box<dyn Store>);
    }

    #[test]
    fn a_store_needs_no_way_to_read_one_shard() {
        store_contract(|_name| Least(LocalStore::new()));
    }
}
