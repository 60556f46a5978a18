//! Pausing: who is to read nothing for now.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

/// Which shards of a consumer are paused. A clone pauses the same.
#[derive(Clone)]
pub(crate) struct Pauses(Arc<Inner>);

struct Inner {
    gates: Mutex<Gates>,
    /// Whether any gate is closed: calls are many, and pauses are few.
    is_paused: AtomicBool,
}

struct Gates {
    all: bool,
    shards: BTreeSet<String>,
    /// Dropped when any gate opens, so that all who wait look again.
    closed: Sender<Infallible>,
    opened: Receiver<Infallible>,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        let (closed, opened) = bounded(0);
        let gates = Gates { all: false, shards: BTreeSet::new(), closed, opened };
        Self(Arc::new(Inner { gates: Mutex::new(gates), is_paused: AtomicBool::new(false) }))
    }

    pub(crate) fn pause(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.insert(shard.to_owned());
        });
    }

    pub(crate) fn pause_all(&self) {
        self.set(|gates| gates.all = true);
    }

    pub(crate) fn resume(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.remove(shard);
        });
    }

    pub(crate) fn resume_all(&self) {
        self.set(|gates| {
            gates.all = false;
            gates.shards.clear();
        });
    }

    /// If the shard is paused, a channel that is disconnected when that may have changed.
    pub(crate) fn paused(&self, shard: &str) -> Option<Receiver<Infallible>> {
        if !self.0.is_paused.load(Ordering::Relaxed) {
            return None;
        }
        let gates = self.0.gates.lock();
        (gates.all || gates.shards.contains(shard)).then(|| gates.opened.clone())
    }

    fn set(&self, change: impl FnOnce(&mut Gates)) {
        let mut gates = self.0.gates.lock();
        change(&mut gates);
        self.0.is_paused.store(gates.all || !gates.shards.is_empty(), Ordering::Relaxed);
        (gates.closed, gates.opened) = bounded(0);
    }
}
