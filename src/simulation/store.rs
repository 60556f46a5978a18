//! A store that fails, and that reports a wrong position.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::truth::Truth;
use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::local::LocalStore;

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
    pub(super) refused: u64,
    pub(super) unanswered: u64,
    /// How often it says that somebody else owns the shard, and of which shards it has said so to the present consumer.
    pub(super) losing: f64,
    pub(super) lost: BTreeSet<String>,
}

impl FaultyStore {
    /// It failed before the write.
    fn refuses(&self) -> Result<(), StoreError> {
        self.fails(|faults| &mut faults.refused)
    }

    /// It was written, but the answer is lost.
    fn loses_reply(&self) -> Result<(), StoreError> {
        self.fails(|faults| &mut faults.unanswered)
    }

    /// An error if somebody else owns the shard, perhaps from now on.
    fn keeps(&self, shard: &str) -> Result<(), StoreError> {
        let mut faults = self.faults.lock();
        assert!(!faults.lost.contains(shard), "{shard} is written after it was lost");
        let losing = faults.losing;
        if losing > 0.0 && faults.rng.f64() < losing {
            faults.lost.insert(shard.to_owned());
            return Err(StoreError::lost("somebody else owns the shard"));
        }
        Ok(())
    }

    fn fails(&self, count: fn(&mut Faults) -> &mut u64) -> Result<(), StoreError> {
        let mut faults = self.faults.lock();
        let rate = faults.rate;
        if faults.rng.f64() < rate {
            *count(&mut faults) += 1;
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
        self.refuses()?;
        self.positions.get_shard_iterator(stream, shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.keeps(shard)?;
        self.refuses()?;
        self.truth.lock().stores(shard, to);
        let positions = self.positions.shard_iterators(stream)?;
        self.truth.lock().stores_after_parents(shard, to, &positions);
        let before = self.positions.get_shard_iterator(stream, shard)?;
        self.positions.update_shard_iterator(stream, shard, to)?;
        let after = self.positions.get_shard_iterator(stream, shard)?;
        assert!(after >= before, "{shard}: {before:?} became {after:?}");
        self.loses_reply()
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.refuses()?;
        self.positions.shard_iterators(stream)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.keeps(shard)?;
        self.refuses()?;
        self.truth.lock().resets(shard, to);
        self.positions.reset_shard_iterator(stream, shard, to)?;
        self.loses_reply()
    }
}
