//! The suite passes a store that keeps the contract, and fails those that break it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::samples::look_alikes;
use super::*;
use crate::store::local::LocalStore;

#[test]
fn the_local_store_keeps_the_contract() {
    store_contract(|_| LocalStore::new());
}

#[test]
fn every_check_has_a_store_of_its_own() {
    let names = parking_lot::Mutex::new(Vec::new());
    store_contract(|name| {
        names.lock().push(name.to_owned());
        LocalStore::new()
    });
    let mut names = names.into_inner();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), count), (11, 11));
}

#[test]
fn the_ladder_and_the_rungs_rise_and_no_key_is_there_twice() {
    assert!(ladder().windows(2).all(|pair| pair[0] < pair[1]));
    assert!((0..300).all(|height| rung(height) < rung(height + 1)));
    let mut keys = look_alikes();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_broken_store_fails_by_the_rule_it_breaks() {
    for (fault, rule) in [
        (Fault::Backwards, "not ahead is Ok and changes nothing"),
        (Fault::NeverUpdates, "an update to a position ahead is stored"),
        (Fault::JoinedKey, "a key of its own"),
        (Fault::EndLost, "read back without loss"),
        (Fault::Milliseconds, "read back without loss"),
        (Fault::SubLost, "read back without loss"),
        (Fault::ResetForwardOnly, "a reset goes back"),
        (Fault::NeverForgets, "the same call again changes nothing"),
        (Fault::ListsPrefix, "none of another stream"),
        (Fault::StaleRead, "never goes back"),
    ] {
        let broken = format!("{:?}", failure(fault));
        assert!(broken.contains(rule), "{fault:?}: {broken}");
    }
}

/// The message with which the suite fails, for a store with this fault.
fn failure(fault: Fault) -> Option<String> {
    let check = || {
        // The suite stops at its first broken rule; a stale read breaks many.
        if fault == Fault::StaleRead {
            concurrency(&Broken::new(fault));
        } else {
            store_contract(|_| Broken::new(fault));
        }
    };
    panic::catch_unwind(check).err()?.downcast_ref::<String>().cloned()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Backwards,
    NeverUpdates,
    JoinedKey,
    EndLost,
    Milliseconds,
    SubLost,
    ResetForwardOnly,
    NeverForgets,
    ListsPrefix,
    StaleRead,
}

struct Broken {
    inner: LocalStore,
    fault: Fault,
    reads: AtomicUsize,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { inner: LocalStore::new(), fault, reads: AtomicUsize::new(0) }
    }

    /// Half of a joined key; the other half is empty.
    fn key(&self, stream: &str, shard: &str) -> (String, String) {
        match self.fault {
            Fault::JoinedKey => ("all".into(), format!("{stream}-{shard}")),
            _ => (stream.into(), shard.into()),
        }
    }

    fn written(&self, position: &Position) -> Position {
        match (self.fault, position.clone()) {
            (Fault::EndLost, Position::End { sequence }) => Position::after(sequence),
            (Fault::SubLost, Position::After { sequence, .. }) => Position::after(sequence),
            (Fault::Milliseconds, Position::Since(time)) if time >= UNIX_EPOCH => {
                let since = time.duration_since(UNIX_EPOCH).unwrap();
                let millis = Duration::from_millis(since.as_millis() as u64);
                Position::Since(UNIX_EPOCH + millis)
            }
            (_, position) => position,
        }
    }
}

impl Store for Broken {
    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<Position>, StoreError> {
        let (stream, shard) = self.key(stream, shard);
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        if self.fault == Fault::StaleRead && reads == 100 {
            return Ok(Some(rung(0)));
        }
        self.inner.get_shard_iterator(&stream, &shard)
    }

    fn update_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        let (stream, shard) = self.key(stream, shard);
        let to = self.written(to);
        let is_known = self.inner.get_shard_iterator(&stream, &shard)?.is_some();
        match self.fault {
            Fault::Backwards => self.inner.reset_shard_iterator(&stream, &shard, Some(&to)),
            Fault::NeverUpdates if is_known => Ok(()),
            _ => self.inner.update_shard_iterator(&stream, &shard, &to),
        }
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let mut listed = self.inner.shard_iterators(stream)?;
        match self.fault {
            Fault::ListsPrefix if stream == "stream" => {
                listed.extend(self.inner.shard_iterators("strea")?);
                listed.sort_by(|a, b| a.0.cmp(&b.0));
                listed.dedup_by(|a, b| a.0 == b.0);
            }
            Fault::JoinedKey => {
                let all = self.inner.shard_iterators("all")?.into_iter();
                let prefix = format!("{stream}-");
                listed = all
                    .filter_map(|(key, position)| {
                        Some((key.strip_prefix(&prefix)?.to_owned(), position))
                    })
                    .collect();
            }
            _ => {}
        }
        Ok(listed)
    }

    fn reset_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        let (stream, shard) = self.key(stream, shard);
        match (self.fault, to) {
            (Fault::ResetForwardOnly, Some(to)) => {
                self.inner.update_shard_iterator(&stream, &shard, to)
            }
            (Fault::NeverForgets, None) => Ok(()),
            _ => {
                let to = to.map(|to| self.written(to));
                self.inner.reset_shard_iterator(&stream, &shard, to.as_ref())
            }
        }
    }
}
