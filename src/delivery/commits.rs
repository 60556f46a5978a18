//! One shard's commits: its tracker, and the writes to the store.

mod draining;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use crate::core::event::Event;
use crate::core::settings::StoreEvery;
use crate::core::shard::step::Write;
use crate::core::shard::tracker::Tracker;
use crate::delivery::commits::draining::Tenure;
use crate::delivery::tenancy::Tenancy;
use crate::error::Error;
use crate::error::store::{StoreError, StoreErrorKind};
use crate::model::notice::ShardState;
use crate::model::position::Position;
use crate::model::shard::ChildShard;
use crate::observe::metrics::Meter;
use crate::observe::progress::ShardProgress;
use crate::observe::status::Status;
use crate::store::Store;
use crate::sync::{self, Mutex};

/// The batches of a shard share this. It outlives the consumer as long as one of them exists.
pub(crate) struct ShardCommits {
    stream: Arc<str>,
    shard: Arc<str>,
    store: Arc<dyn Store>,
    /// Never held across a call of the store, nor with that of another shard.
    tracker: Mutex<Tracker>,
    /// The parents that were read in this run, until the store holds their ends: nothing of this shard is stored
    /// before. Old records of a parent would come again after a restart, and newer ones of the same key would not.
    parents: Mutex<Vec<Weak<ShardCommits>>>,
    /// Whether a child waits for the end to be stored.
    is_awaited: AtomicBool,
    /// Tells the consumer of a failed write. Nobody receives this after its end.
    events: Sender<Event>,
    /// Disconnected when the shard, or the whole consumer, is to stop reading.
    reading_stopped: Receiver<Infallible>,
    /// Why nothing more of the shard is handed over or stored: somebody else owns it.
    lost: OnceLock<StoreError>,
    /// Whether the coordinator knows that, and has given up the shard with its descendants.
    is_given_up: AtomicBool,
    tenancy: Option<Arc<dyn Tenancy>>,
    every: Option<StoreEvery>,
    clock: Clock,
    warned: AtomicBool,
    /// When the oldest uncommitted batch was read, in nanoseconds since the consumer began.
    open_since: AtomicU64,
    /// In a fleet.
    tenure: Option<Tenure>,
    status: Status,
}

/// The time since the consumer began.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the commits of a shard are made of; all but `tenancy` is the same for all shards.
#[derive(Clone)]
pub(crate) struct CommitContext {
    pub(crate) stream: Arc<str>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: Sender<Event>,
    /// `None` for a consumer that shares its shards with nobody.
    pub(crate) tenancy: Option<Arc<dyn Tenancy>>,
    pub(crate) every: Option<StoreEvery>,
    pub(crate) clock: Clock,
}

impl ShardCommits {
    // long: one line for each field.
    pub(crate) fn new(
        context: CommitContext,
        shard: &str,
        reading_stopped: Receiver<Infallible>,
    ) -> Self {
        let CommitContext { stream, store, events, tenancy, every, clock } = context;
        let (tracker, warned) = (Mutex::default(), AtomicBool::new(false));
        let (parents, is_awaited) = (Mutex::default(), AtomicBool::new(false));
        let status = Status::new(clock(), Meter::new(&stream, shard));
        let shard = shard.into();
        let open_since = AtomicU64::new(0);
        Self {
            stream,
            shard,
            store,
            tracker,
            parents,
            is_awaited,
            events,
            reading_stopped,
            lost: OnceLock::new(),
            is_given_up: AtomicBool::new(false),
            tenancy,
            every,
            clock,
            warned,
            open_since,
            tenure: None,
            status,
        }
    }

    /// The same for a process of a fleet, which holds the shard in this tenure.
    pub(crate) fn in_tenure(mut self, epoch: Option<u64>) -> Self {
        self.tenure = epoch.map(Tenure::new);
        self
    }

    /// The tenure, in a fleet.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.tenure.as_ref().map(|tenure| tenure.epoch)
    }

    /// Nothing is stored before the ends of these.
    pub(crate) fn descends_from(&self, parents: impl IntoIterator<Item = Weak<Self>>) {
        self.parents.lock().extend(parents);
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    pub(crate) fn shard(&self) -> &str {
        &self.shard
    }

    /// What is counted of the shard, and what its thread and its dispatcher do.
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Disconnected when the shard, or the whole consumer, is to stop reading. Carries nothing.
    pub(crate) fn reading_stopped(&self) -> &Receiver<Infallible> {
        &self.reading_stopped
    }

    /// Whether somebody else owns the shard: no batch of it may be handed over, and nothing is stored.
    pub(crate) fn is_lost(&self) -> bool {
        sync::point();
        self.lost.get().is_some()
    }

    /// Whether no batch of the shard may be handed over for now: somebody else may own it.
    pub(crate) fn is_fenced(&self) -> bool {
        self.tenancy.as_ref().is_some_and(|tenancy| tenancy.left().is_zero())
    }

    /// The batch that is sent next ends the shard.
    pub(crate) fn ends_with(&self, children: &[ChildShard]) {
        if let Some(tenancy) = &self.tenancy {
            tenancy.ends_with(children);
        }
    }

    fn lose(&self, why: StoreError) {
        // It may be lost already: the first reason stays.
        let _ = self.lost.set(why);
    }

    /// Nothing more is done for the shard, because somebody else owns it, or a shard that it descends from.
    pub(crate) fn give_up(&self, why: StoreError) {
        self.lose(why);
        sync::point();
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Why nothing may be committed, if so.
    fn refusal(&self) -> Option<StoreError> {
        let late = || StoreError::lost("the lease of the shard was given back");
        self.lost.get().cloned().or_else(|| self.is_drained().then(late))
    }

    /// What the shard's thread does from now on.
    pub(crate) fn reads(&self, state: ShardState) {
        self.status.reads((self.clock)(), state);
    }

    /// What the dispatcher does with a batch; `None` if it is done with it.
    pub(crate) fn handles(&self, state: Option<ShardState>) {
        self.status.handles((self.clock)(), state);
    }

    /// An answer came, or a batch was sent or handled.
    pub(crate) fn progresses(&self) {
        self.status.progresses((self.clock)());
    }

    /// How far the shard has come.
    pub(crate) fn progress(&self, now: Duration) -> ShardProgress {
        let mut progress = ShardProgress::new(&self.shard, ShardState::Idle);
        self.status.tell(now, &mut progress);
        progress.state = self.state();
        let tracker = self.tracker.lock();
        (progress.read, progress.stored) = (tracker.read().cloned(), tracker.in_store().cloned());
        progress
    }

    /// For how long the position has waited for the commit of a batch that was read.
    pub(crate) fn uncommitted(&self, now: Duration) -> Duration {
        let tracker = self.tracker.lock();
        if !tracker.is_open() {
            return Duration::ZERO;
        }
        let since = Duration::from_nanos(self.open_since.load(Ordering::Relaxed));
        now.saturating_sub(since.max(tracker.moved()))
    }

    /// Whether the shard is finished: it was read to its end, and that is stored; or it is lost, and its thread has ended;
    /// or its lease was given back.
    pub(crate) fn is_settled(&self) -> bool {
        if self.is_drained() {
            return true;
        }
        if self.is_lost() {
            // Not earlier: the end of a parent that is gone counts as stored.
            return self.is_given_up.load(Ordering::Relaxed) && self.status.has_left();
        }
        let is_stored = || self.tracker.lock().in_store().is_some_and(Position::is_end);
        self.status.state() == ShardState::Ended && is_stored()
    }

    /// The store holds this position, from which reading resumes.
    pub(crate) fn resumes(&self, at: &Position) {
        self.tracker.lock().stored(at.clone());
    }

    /// Numbers a batch that ends at this position.
    pub(crate) fn hand_out(&self, through: Position) -> u64 {
        self.settle(|state| state.open += 1);
        let mut tracker = self.tracker.lock();
        if !tracker.is_open() {
            let now = u64::try_from((self.clock)().as_nanos()).unwrap_or(u64::MAX);
            self.open_since.store(now, Ordering::Relaxed);
        }
        tracker.hand_out(through)
    }

    /// Marks a batch, or its first part up to a position, and stores the end of the marks up to the first
    /// hole; later, if that may wait.
    pub(crate) fn commit(&self, number: u64, part: Option<&Position>) -> Result<(), Error> {
        if let Some(refusal) = self.refusal() {
            return Err(self.failed(refusal));
        }
        let now = (self.clock)();
        self.status.committed(now);
        let is_due = {
            let mut tracker = self.tracker.lock();
            match part {
                None => tracker.mark(number, now),
                Some(through) => tracker.mark_part(number, through.clone(), now),
            }
            tracker.to_store().is_none() || self.is_draining() || tracker.is_due(self.every, now)
        };
        // After the consumer's end nobody would store it later.
        if !is_due && sync::send(&self.events, Event::Deferred).is_ok() {
            return Ok(());
        }
        self.flush().map_err(|source| {
            if source.kind() != StoreErrorKind::Lost {
                self.tell_unstored(&source);
            }
            self.failed(source)
        })
    }

    fn failed(&self, source: StoreError) -> Error {
        Error::of_store(&self.stream, Some(&self.shard), source)
    }

    /// Stores commits that are not stored yet, if the parents' ends are stored.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.write().inspect_err(|error| self.unstored(error))?;
        self.settle(|_| {});
        Ok(())
    }

    /// The store failed. A lost shard is told of here, wherever the store says so.
    fn unstored(&self, error: &StoreError) {
        self.status.unstored();
        if error.kind() == StoreErrorKind::Lost {
            self.lose(error.clone());
            self.tell_unstored(error);
        }
    }

    fn tell_unstored(&self, error: &StoreError) {
        let (shard, error) = (self.shard.to_string(), error.clone());
        let unstored = match self.epoch() {
            // The process may hold the shard again, in a later tenure.
            Some(epoch) if error.kind() == StoreErrorKind::Lost => {
                Event::LeaseLost { shard, epoch, why: error }
            }
            _ => Event::Unstored { shard, error },
        };
        // After the consumer's end only the caller learns of it, and may commit again.
        let _ = sync::send(&self.events, unstored);
    }

    fn write(&self) -> Result<(), StoreError> {
        let Some(to) = self.tracker.lock().to_store().cloned() else { return Ok(()) };
        if self.is_lost() || !self.has_parents_stored() {
            return Ok(());
        }
        self.store.update_shard_iterator(&self.stream, &self.shard, &to)?;
        let is_end = to.is_end();
        self.tracker.lock().stored(to);
        sync::point();
        if is_end && self.is_awaited.swap(false, Ordering::SeqCst) {
            // After the consumer's end they are stored with their next commit.
            let _ = sync::send(&self.events, Event::Deferred);
        }
        Ok(())
    }

    /// Whether the store holds the end of each parent. If not, the first such parent tells when its end is stored.
    fn has_parents_stored(&self) -> bool {
        let mut parents = self.parents.lock();
        // A parent that nothing holds any more has no end to store.
        let is_stored = |parent: &Weak<Self>| parent.upgrade().is_none_or(|it| it.is_end_stored());
        parents.retain(|parent| !is_stored(parent));
        parents.is_empty()
    }

    /// Whether the store holds the end; if not, a child waits for that.
    fn is_end_stored(&self) -> bool {
        // Before the look: the end may be stored at the same time.
        sync::point();
        self.is_awaited.store(true, Ordering::SeqCst);
        self.tracker.lock().in_store().is_some_and(Position::is_end)
    }

    /// Stores a position without a commit: where reading starts.
    pub(crate) fn begin(&self, at: &Position, how: Write) -> Result<(), StoreError> {
        self.begins(at, how).inspect_err(|error| self.unstored(error))
    }

    fn begins(&self, at: &Position, how: Write) -> Result<(), StoreError> {
        if how == Write::Forward {
            self.store.update_shard_iterator(&self.stream, &self.shard, at)?;
            self.tracker.lock().stored(at.clone());
            return Ok(());
        }
        self.store.reset_shard_iterator(&self.stream, &self.shard, Some(at))?;
        let mut tracker = self.tracker.lock();
        tracker.reset();
        tracker.stored(at.clone());
        Ok(())
    }

    /// A batch was dropped without a commit.
    pub(crate) fn dropped(&self, number: u64) {
        self.tracker.lock().give_up(number);
        self.concludes();
        // A stop, and the loss of the shard, drop batches that were not handled: that is no mistake.
        let is_halted = self.reading_stopped.try_recv() == Err(TryRecvError::Disconnected);
        let is_stopping = is_halted || self.is_lost() || std::thread::panicking();
        if !is_stopping && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "stream {:?}, shard {:?}: a batch was dropped uncommitted, so the shard's position \
                 stays before it until the next start",
                self.stream,
                self.shard,
            );
        }
    }
}

/// Stores what waits in each of them. Returns the first failure, with its shard; the others are
/// stored all the same. A lost shard, of which the consumer is told anyway, is returned if nothing else failed; in a
/// fleet that is no failure.
pub(crate) fn flush_all(all_commits: &[Arc<ShardCommits>]) -> Result<(), (String, StoreError)> {
    let (mut result, mut lost) = (Ok(()), Ok(()));
    for commits in all_commits {
        let Err(error) = commits.flush() else { continue };
        let is_lost = error.kind() == StoreErrorKind::Lost;
        if is_lost && commits.epoch().is_some() {
            continue;
        }
        let first = if is_lost { &mut lost } else { &mut result };
        if first.is_ok() {
            *first = Err((commits.shard().to_owned(), error));
        }
    }
    result.and(lost)
}
