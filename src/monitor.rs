//! Looks at a consumer from outside, and lets it pause.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::budget::Budget;
use crate::ledger::Ledger;
use crate::model::notice::ShardState;
use crate::observe::progress::{Progress, ShardProgress};

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
    /// The ledgers of the shards that something may still come of.
    ledgers: Vec<Arc<Ledger>>,
    /// What had come of the others, and when that was seen.
    ended: Vec<(ShardProgress, Duration)>,
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
        let state = self.0.state.lock();
        let now = state.started.map(|started| started.elapsed()).unwrap_or_default();
        let ended = state.ended.iter().map(|(last, seen)| last.after(now.saturating_sub(*seen)));
        let mut shards: Vec<_> = ended.collect();
        let (ledgers, waiting) = (state.ledgers.clone(), state.waiting.clone());
        let budget = state.budget.clone();
        drop(state);
        let waiting =
            waiting.iter().map(|id| ShardProgress::new(id, ShardState::WaitingForParents));
        let started = ledgers.iter().map(|ledger| ledger.progress(now));
        shards.extend(started.chain(waiting));
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

    /// The ledgers of the shards that something may still come of.
    pub(crate) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        self.0.state.lock().ledgers.clone()
    }

    /// Of shards that nothing will come of any more the last look at them is kept alone: a stream may have been
    /// resharded ten thousand times. One thread does this, and refreshes, so that a gauge's last value is its last.
    pub(crate) fn retire(&self, now: Duration) {
        let mut state = self.0.state.lock();
        let State { ledgers, ended, .. } = &mut *state;
        ledgers.retain(|ledger| {
            let is_settled = ledger.is_settled();
            if is_settled {
                ledger.status().ends();
                ended.push((ledger.progress(now), now));
            }
            !is_settled
        });
    }

    /// Has the meters of the shards told what changes by itself: how many shards are in each state.
    pub(crate) fn refresh(&self, now: Duration) -> [u32; ShardState::ALL.len()] {
        let mut counts = [0; ShardState::ALL.len()];
        for ledger in self.ledgers() {
            ledger.status().refresh(now, ledger.uncommitted(now));
            counts[ledger.status().state() as usize] += 1;
        }
        let state = self.0.state.lock();
        counts[ShardState::WaitingForParents as usize] += state.waiting.len() as u32;
        counts[ShardState::Ended as usize] += state.ended.len() as u32;
        counts
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{never, unbounded};

    use super::*;
    use crate::ledger::{Books, flush_all};
    use crate::model::position::Position;
    use crate::store::local::LocalStore;

    fn ledger(id: &str) -> Arc<Ledger> {
        let books = Books {
            stream: "orders".into(),
            store: Arc::new(LocalStore::new()),
            events: unbounded().0,
            halted: never(),
            every: None,
            clock: Arc::new(|| Duration::ZERO),
        };
        Arc::new(Ledger::new(books, id))
    }

    /// A shard that was read to its end, which is stored or not.
    fn ended(id: &str, is_stored: bool) -> Arc<Ledger> {
        let ledger = ledger(id);
        ledger.status().sent(7, 70);
        ledger.reads(ShardState::Ended);
        let batch = ledger.hand_out(Position::End { sequence: "9".parse().unwrap() });
        if is_stored {
            ledger.commit(batch, None).unwrap();
        }
        ledger
    }

    #[test]
    fn shards_that_have_ended_are_shown_and_not_walked_any_more() {
        let monitor = Monitor::new();
        monitor.begins(Instant::now(), Budget::new(Budget::DEFAULT));
        let all: Vec<_> = (0..2_000).map(|at| ended(&format!("{at:04}"), true)).collect();
        all.iter().for_each(|ledger| monitor.starts(Arc::clone(ledger)));
        monitor.starts(ledger("open"));
        monitor.starts(ended("unstored", false));
        monitor.retire(Duration::ZERO);
        let walked = monitor.ledgers();
        let ids: Vec<_> = walked.iter().map(|ledger| ledger.shard()).collect();
        assert_eq!(ids, ["open", "unstored"]);
        assert!(flush_all(&walked).is_ok());
        assert!(all.iter().all(|ledger| Arc::strong_count(ledger) == 1), "they are not kept");

        let progress = monitor.progress();
        assert_eq!((progress.shards.len(), progress.records()), (2_002, 7 * 2_001));
        let shard = progress.shard("1999").unwrap();
        assert_eq!(shard.state, ShardState::Ended);
        assert!(shard.stored.as_ref().is_some_and(Position::is_end));
        let counts = monitor.refresh(Duration::ZERO);
        assert_eq!(counts[ShardState::Ended as usize], 2_001);
        assert_eq!(counts[ShardState::Idle as usize], 1);
    }

    #[test]
    fn what_is_read_and_not_committed_grows_old_and_a_silent_shard_does_not() {
        let ledger = ledger("a");
        let seconds = Duration::from_secs;
        assert_eq!(ledger.uncommitted(seconds(3_600)), Duration::ZERO);
        let after = |number: &str| Position::after(number.parse().unwrap());
        let [first, second] = ["1", "2"].map(|number| ledger.hand_out(after(number)));
        assert_eq!(ledger.uncommitted(seconds(60)), seconds(60));
        ledger.commit(second, None).unwrap();
        assert_eq!(ledger.uncommitted(seconds(60)), seconds(60), "the position has not moved");
        ledger.commit(first, None).unwrap();
        assert_eq!(ledger.uncommitted(seconds(3_600)), Duration::ZERO);
        ledger.dropped(ledger.hand_out(after("3")));
        assert_eq!(ledger.uncommitted(seconds(60)), seconds(60), "nobody will commit it");
    }

    #[test]
    fn what_was_seen_of_a_shard_that_has_ended_grows_older() {
        let monitor = Monitor::new();
        let ago = Duration::from_secs(1);
        monitor.begins(Instant::now() - ago, Budget::new(Budget::DEFAULT));
        monitor.starts(ended("a", true));
        monitor.retire(Duration::from_millis(100));
        assert!(monitor.ledgers().is_empty());
        let progress = monitor.progress();
        assert!(progress.shard("a").unwrap().committed.unwrap() >= ago);
    }
}
