//! Looks at a consumer from outside, and lets it pause.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::budget::Budget;
use crate::ledger::Ledger;
use crate::notice::ShardState;
use crate::progress::{Progress, ShardProgress};

/// Tells how far a consumer has come, and pauses it; from any thread, while it runs and after that.
///
/// A clone looks at the same consumer. [`Stream::monitor`](crate::Stream::monitor) gives one before a door is
/// opened, [`Listener::monitor`](crate::Listener::monitor) after that.
#[derive(Clone)]
pub struct Monitor(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    gates: Mutex<Gates>,
    /// Whether any gate is closed: calls are many, and pauses are few.
    is_paused: AtomicBool,
}

#[derive(Default)]
struct State {
    started: Option<Instant>,
    budget: Option<Budget>,
    /// The ledger of every shard that was started.
    ledgers: Vec<Arc<Ledger>>,
    /// The shards that wait for their parents.
    waiting: BTreeSet<String>,
}

/// Who is to read nothing for now.
struct Gates {
    all: bool,
    shards: BTreeSet<String>,
    /// Dropped when any gate opens, so that all who wait look again.
    closed: Sender<Infallible>,
    opened: Receiver<Infallible>,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        let (closed, opened) = bounded(0);
        let gates = Gates { all: false, shards: BTreeSet::new(), closed, opened };
        Self(Arc::new(Inner {
            state: Mutex::default(),
            gates: Mutex::new(gates),
            is_paused: AtomicBool::new(false),
        }))
    }

    /// How far the consumer has come: empty before a door was opened, and its last state when it has ended.
    ///
    /// It costs some microseconds for a hundred shards, and holds up nobody.
    pub fn progress(&self) -> Progress {
        let (ledgers, waiting, started, budget) = {
            let state = self.0.state.lock();
            let budget = state.budget.clone();
            (state.ledgers.clone(), state.waiting.clone(), state.started, budget)
        };
        let now = started.map(|started| started.elapsed()).unwrap_or_default();
        let waiting =
            waiting.iter().map(|id| ShardProgress::new(id, ShardState::WaitingForParents));
        let started = ledgers.iter().map(|ledger| ledger.progress(now));
        let mut shards: Vec<_> = started.chain(waiting).collect();
        shards.sort_by(|one, other| one.shard.cmp(&other.shard));
        // A shard that was started while this looked.
        shards.dedup_by(|one, other| one.shard == other.shard);
        Progress { shards, budget_used: budget.map_or(0, |budget| budget.used()) }
    }

    /// Reads nothing more of this shard until it is [resumed](Self::resume); what was read is handled. A call in
    /// progress ends first.
    ///
    /// However long it takes, nothing is lost that the stream still holds: an iterator that expires meanwhile is
    /// renewed. A shard that was not read yet and starts at [`Latest`](crate::IteratorType::Latest) starts when it
    /// is resumed.
    pub fn pause(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.insert(shard.to_owned());
        });
    }

    /// The same for every shard, also those that are born later.
    pub fn pause_all(&self) {
        self.set(|gates| gates.all = true);
    }

    /// Goes on with this shard, unless all are paused.
    pub fn resume(&self, shard: &str) {
        self.set(|gates| {
            gates.shards.remove(shard);
        });
    }

    /// Goes on with every shard, also those that were paused by their ids.
    pub fn resume_all(&self) {
        self.set(|gates| {
            gates.all = false;
            gates.shards.clear();
        });
    }

    fn set(&self, change: impl FnOnce(&mut Gates)) {
        let mut gates = self.0.gates.lock();
        change(&mut gates);
        self.0.is_paused.store(gates.all || !gates.shards.is_empty(), Ordering::Relaxed);
        (gates.closed, gates.opened) = bounded(0);
    }

    /// If the shard is paused, a channel that is disconnected when that may have changed.
    pub(crate) fn paused(&self, shard: &str) -> Option<Receiver<Infallible>> {
        if !self.0.is_paused.load(Ordering::Relaxed) {
            return None;
        }
        let gates = self.0.gates.lock();
        (gates.all || gates.shards.contains(shard)).then(|| gates.opened.clone())
    }

    /// A run begins.
    pub(crate) fn begins(&self, started: Instant, budget: Budget) {
        let mut state = self.0.state.lock();
        (state.started, state.budget) = (Some(started), Some(budget));
    }

    pub(crate) fn starts(&self, ledger: Arc<Ledger>) {
        self.0.state.lock().ledgers.push(ledger);
    }

    /// Some shards wait for their parents from now on, and some do not any more.
    pub(crate) fn waits(&self, begun: Vec<String>, over: &[String]) {
        let mut state = self.0.state.lock();
        state.waiting.extend(begun);
        over.iter().for_each(|shard| drop(state.waiting.take(shard)));
    }

    /// The ledger of every shard that was started.
    pub(crate) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        self.0.state.lock().ledgers.clone()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
