//! The leases of one run: the table, a clock, and the steward that decides. Whoever has a thread makes its calls.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::core::event::Word;
use crate::core::fleet::hearts::Hearts;
use crate::core::fleet::held::Moment;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::outline::Outline;
use crate::core::fleet::steward::words::{Answer, Call, News};
use crate::core::fleet::steward::{Settings, Steward};
use crate::core::shard::step::Write;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreError;
use crate::model::lease_call::LeaseCall;
use crate::model::position::Position;
use crate::model::shard::ChildShard;
use crate::store::Store;
use crate::store::leases::LeaseTable;
use crate::store::leases::counts::{Counts, kind};
use crate::sync::{self, Mutex};

/// The two clocks of the machine.
pub(crate) type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Keeps the leases of one run.
pub(crate) struct Keeper {
    table: Arc<dyn LeaseTable>,
    clock: Clock,
    /// Never held across a call.
    steward: Mutex<Steward>,
    hearts: Mutex<Hearts>,
    /// There is something to do; for each of the two loops.
    changed: Signal,
    beaten: Signal,
    /// There is something to tell.
    told: Signal,
    counts: Counts,
    /// Whether the run ends: from then on a table that does not answer is not waited for again and again.
    is_stopping: AtomicBool,
    /// Commits, and writes of the end, in a row of which nobody knows what they have done.
    unheard: AtomicU32,
}

type Signal = (Sender<()>, Receiver<()>);

/// How often a commit is tried at once whose answer does not come; and how often in a row, of all shards together, while the
/// run ends.
const ATTEMPTS: u32 = 3;

/// What a call fails with of which nobody knows what it has done.
const UNHEARD: LeaseTableErrorKind = LeaseTableErrorKind::Transient;

/// A tenure's store: it writes one shard, as long as the tenure lasts.
pub(crate) struct Tenant {
    keeper: Arc<Keeper>,
    shard: String,
    epoch: u64,
}

impl Keeper {
    /// The leases of a run that begins now.
    pub(crate) fn new(
        table: Arc<dyn LeaseTable>,
        settings: Settings,
        clock: Clock,
        rng: fastrand::Rng,
    ) -> Arc<Self> {
        let hearts = Mutex::new(Hearts::new(settings.marks.failover));
        let steward = Mutex::new(Steward::new(settings, clock(), rng));
        let [changed, beaten, told] = [0, 1, 2].map(|_| bounded(1));
        let (counts, is_stopping, unheard) = Default::default();
        Arc::new(Self {
            table,
            clock,
            steward,
            hearts,
            changed,
            beaten,
            told,
            counts,
            is_stopping,
            unheard,
        })
    }

    /// Makes the beat that is most urgent. Returns how long until one is due if there is none now; `None` if nothing is
    /// held. Several threads may do so.
    pub(crate) fn beat(&self) -> Option<Duration> {
        let call = self.next(Steward::next_beat);
        match call {
            Some(call) => {
                // Whoever else makes beats looks for the next one meanwhile.
                let _ = self.beaten.0.try_send(());
                let begun = (self.clock)().monotonic;
                self.make(call);
                // A wall clock that is set meanwhile makes no beat slower.
                self.hearts.lock().took((self.clock)().monotonic.saturating_sub(begun));
                Some(Duration::ZERO)
            }
            None => self.steward.lock().until_beat((self.clock)()),
        }
    }

    /// How many threads should make beats.
    pub(crate) fn hearts(&self) -> usize {
        let leases = self.steward.lock().leases();
        self.hearts.lock().wanted(leases)
    }

    /// Makes the next call besides beats. Returns how long until there is one if there is none now; `None` if none is
    /// known.
    pub(crate) fn call(&self) -> Option<Duration> {
        let call = self.next(Steward::next_call);
        match call {
            Some(call) => {
                self.make(call);
                Some(Duration::ZERO)
            }
            None => self.steward.lock().until_call((self.clock)()),
        }
    }

    /// The run ends. What the table did not answer before says nothing of what it does now.
    pub(crate) fn stops(&self) {
        if !self.is_stopping.swap(true, Ordering::Relaxed) {
            self.unheard.store(0, Ordering::Relaxed);
        }
    }

    /// Gives up all that is held: each lease for itself, also if others fail. It ends early if the table does not answer, or
    /// if a whole round of writes has failed; what is left then is free after the failover time.
    pub(crate) fn end(&self) {
        self.stops();
        self.steward.lock().end((self.clock)());
        let (mut in_vain, mut round) = (0, 0);
        while !self.gives_up() {
            let call = {
                let mut steward = self.steward.lock();
                // What can never be written is not left for later: it counts all the same.
                if in_vain == 0 {
                    round = steward.writes();
                }
                if in_vain >= round { None } else { steward.next_call((self.clock)()) }
            };
            let Some(call) = call else { return };
            let failure = self.make(call);
            self.heard(failure);
            in_vain = if failure.is_none() { 0 } else { in_vain + 1 };
        }
    }

    /// The consumer says something.
    pub(crate) fn hears(&self, word: Word) {
        if word == Word::Stopping {
            self.stops();
        }
        self.steward.lock().hears((self.clock)(), word);
        self.change();
    }

    /// What the consumer must know since the last call.
    pub(crate) fn take_news(&self) -> Vec<News> {
        self.steward.lock().take_news()
    }

    /// Gives a message when there is news.
    pub(crate) fn told(&self) -> &Receiver<()> {
        &self.told.1
    }

    /// What the steward knows of its fleet.
    pub(crate) fn outline(&self) -> Outline {
        self.steward.lock().outline((self.clock)())
    }

    /// What the calls of the table have come to.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Gives a message when there may be something to do.
    pub(crate) fn changed(&self) -> &Receiver<()> {
        &self.changed.1
    }

    /// The same for whoever makes the beats.
    pub(crate) fn beaten(&self) -> &Receiver<()> {
        &self.beaten.1
    }

    /// The store of a tenure.
    pub(crate) fn tenant(self: &Arc<Self>, shard: &str, epoch: u64) -> Arc<Tenant> {
        Arc::new(Tenant { keeper: Arc::clone(self), shard: shard.to_owned(), epoch })
    }

    /// For whoever makes the calls by itself, in virtual time.
    #[cfg(test)]
    pub(crate) fn steward(&self) -> &Mutex<Steward> {
        &self.steward
    }

    /// What is to be done next. Looking may make news: a fence falls with time.
    fn next(&self, of: impl FnOnce(&mut Steward, Moment) -> Option<Call>) -> Option<Call> {
        let (call, has_news) = {
            let mut steward = self.steward.lock();
            (of(&mut steward, (self.clock)()), steward.has_news())
        };
        self.tell(has_news);
        call
    }

    /// Makes a call, and tells the steward its answer. Returns why there is none.
    fn make(&self, call: Call) -> Option<LeaseTableErrorKind> {
        self.counts.called(kind(&call));
        let sent = (self.clock)();
        let answer = match &call {
            Call::Page { after } => Answer::Page(self.table.page(after.as_ref())),
            Call::Coordinator => Answer::Item(self.table.coordinator()),
            Call::Get { shard } => Answer::Item(self.table.get(shard)),
            Call::Write(job) => Answer::Applied(self.table.apply(&job.write)),
        };
        self.answered(sent, call, answer)
    }

    /// Takes in the answer to a call. Returns why there is none.
    pub(crate) fn answered(
        &self,
        sent: Moment,
        call: Call,
        answer: Answer,
    ) -> Option<LeaseTableErrorKind> {
        let failure = answer.failure().map(LeaseTableError::kind);
        if failure != Some(UNHEARD) {
            self.heard(failure);
        }
        match &answer {
            Answer::Applied(outcome) => self.counts.applied(outcome),
            answer => self.counts.failed(answer.failure()),
        }
        let at = Span { sent, now: (self.clock)() };
        self.steward.lock().answered(at, call, answer);
        self.change();
        failure
    }

    /// A call has ended. Returns whether nobody knows what it has done.
    fn heard(&self, failure: Option<LeaseTableErrorKind>) -> bool {
        let is_unheard = failure == Some(UNHEARD);
        if is_unheard {
            self.unheard.fetch_add(1, Ordering::Relaxed);
        } else {
            self.unheard.store(0, Ordering::Relaxed);
        }
        is_unheard
    }

    /// Whether the run ends, and the table does not answer: more calls would hold the end up, and do nothing.
    fn gives_up(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed) && self.unheard.load(Ordering::Relaxed) >= ATTEMPTS
    }

    fn change(&self) {
        sync::point();
        // One message is enough: whoever gets it looks at everything.
        let _ = self.changed.0.try_send(());
        let _ = self.beaten.0.try_send(());
        let has_news = self.steward.lock().has_news();
        self.tell(has_news);
    }

    fn tell(&self, has_news: bool) {
        if has_news {
            // As above.
            let _ = self.told.0.try_send(());
        }
    }

    // long: a loop over the writes of a commit.
    fn commit(&self, mut commit: Commit) -> Result<(), StoreError> {
        let mut unheard = 0;
        let stored = loop {
            let write = match self.steward.lock().next_write(&mut commit) {
                Ok(Some(write)) => write,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if self.gives_up() {
                break Err(StoreError::retry("the table of leases does not answer"));
            }
            let sent = (self.clock)();
            self.counts.called(LeaseCall::Commit);
            let outcome = self.table.apply(&write);
            self.counts.applied(&outcome);
            let failure = outcome.as_ref().err().map(LeaseTableError::kind);
            unheard += u32::from(self.heard(failure));
            let may_repeat = failure == Some(UNHEARD) && unheard < ATTEMPTS && !self.gives_up();
            let at = Span { sent, now: (self.clock)() };
            match self.steward.lock().committed(at, &mut commit, outcome) {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                // The last write before a stop has no later attempt.
                Err(_) if may_repeat => {}
                Err(error) => break Err(error),
            }
        };
        self.change();
        stored
    }
}

impl Tenant {
    /// How much longer batches may be handed over; zero: none may, for now or for ever.
    pub(crate) fn left(&self) -> Duration {
        let Self { keeper, shard, epoch } = self;
        keeper.steward.lock().left(shard, *epoch, (keeper.clock)())
    }

    /// The children that the last answer of the shard has named.
    pub(crate) fn ends_with(&self, children: &[ChildShard]) {
        self.keeper.steward.lock().ends_with(&self.shard, self.epoch, children);
    }
}

impl Store for Tenant {
    fn update_shard_iterator(&self, _: &str, shard: &str, to: &Position) -> Result<(), StoreError> {
        debug_assert_eq!(shard, self.shard, "a tenure has one shard");
        self.keeper.commit(Commit::new(&self.shard, self.epoch, to, Write::Forward))
    }

    fn shard_iterators(&self, _: &str) -> Result<Vec<(String, Position)>, StoreError> {
        Err(StoreError::fatal("a tenure writes positions and reads none"))
    }

    fn reset_shard_iterator(
        &self,
        _: &str,
        _: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        match to {
            Some(to) => {
                self.keeper.commit(Commit::new(&self.shard, self.epoch, to, Write::Overwrite))
            }
            None => Err(StoreError::fatal("a tenure forgets no position")),
        }
    }
}
