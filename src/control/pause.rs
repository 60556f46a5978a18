//! Pausing: who is to read nothing for now.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::sync::{self, Mutex};

/// Pauses a consumer, or some of its shards, and lets them continue; from any thread.
///
/// A clone pauses the same consumer. [`Stream::pauses`](crate::Stream::pauses) gives one before the consumer starts,
/// [`Listener::pauses`](crate::Listener::pauses) after that. A consumer that is paused before its start
/// starts paused. A stop ends a pause.
///
/// However long a pause takes, nothing is lost that the stream still holds: an iterator that expires meanwhile is
/// renewed. A shard that was not read yet and starts at [`Latest`](crate::IteratorType::Latest) starts when it is
/// resumed.
#[derive(Clone)]
pub struct Pauses(Arc<Inner>);

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

    /// Reads nothing more of this shard until it is [resumed](Self::resume); what was read is handled. A call in
    /// progress ends first. A shard that is not known yet is paused when it appears.
    pub fn pause(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.insert(shard.to_owned());
        });
    }

    /// Reads nothing more of any shard, also of shards that are created later.
    pub fn pause_all(&self) {
        self.set(|gates| gates.all = true);
    }

    /// Continues with this shard, unless all are paused.
    pub fn resume(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.remove(shard);
        });
    }

    /// Continues with every shard, also with those that were paused by their ids.
    pub fn resume_all(&self) {
        self.set(|gates| {
            gates.all = false;
            gates.shards.clear();
        });
    }

    /// If the shard is paused, a channel that is disconnected when that may have changed.
    pub(crate) fn paused(&self, shard: &str) -> Option<Receiver<Infallible>> {
        sync::point();
        if !self.0.is_paused.load(Ordering::Relaxed) {
            return None;
        }
        let gates = self.0.gates.lock();
        (gates.all || gates.shards.contains(shard)).then(|| gates.opened.clone())
    }

    fn set(&self, change: impl FnOnce(&mut Gates)) {
        let mut gates = self.0.gates.lock();
        change(&mut gates);
        sync::point();
        self.0.is_paused.store(gates.all || !gates.shards.is_empty(), Ordering::Relaxed);
        (gates.closed, gates.opened) = bounded(0);
    }
}

impl fmt::Debug for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gates = self.0.gates.lock();
        f.debug_struct("Pauses").field("all", &gates.all).field("shards", &gates.shards).finish()
    }
}
