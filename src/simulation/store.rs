//! A store that fails, and that does not let a wrong position pass.

use std::sync::Arc;

use parking_lot::Mutex;

use super::truth::Truth;
use crate::position::Position;
use crate::store::{LocalStore, Store, StoreError};

/// Positions in memory, which survive the simulated consumer.
pub(super) struct FaultyStore {
    pub(super) positions: LocalStore,
    pub(super) truth: Arc<Mutex<Truth>>,
    pub(super) faults: Mutex<Faults>,
}

/// How often it fails.
pub(super) struct Faults {
    pub(super) rng: fastrand::Rng,
    pub(super) rate: f64,
    pub(super) count: u64,
}

impl FaultyStore {
    fn fails(&self) -> Result<(), StoreError> {
        let mut faults = self.faults.lock();
        let rate = faults.rate;
        if faults.rng.f64() < rate {
            faults.count += 1;
            return Err(StoreError::retry("the store is busy"));
        }
        Ok(())
    }
}

impl Store for FaultyStore {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        self.fails()?;
        self.positions.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.fails()?;
        self.truth.lock().stores(shard, to);
        let before = self.positions.get_shard_iterator(stream, shard)?;
        self.positions.update_shard_iterator(stream, shard, to)?;
        let after = self.positions.get_shard_iterator(stream, shard)?;
        assert!(after >= before, "{shard}: {before:?} became {after:?}");
        // Written, but the answer is lost.
        self.fails()
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.fails()?;
        self.positions.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        _: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        panic!("{shard}: reset to {to:?}, which no setting asked for")
    }
}
