//! The leases of one run: the table, a clock, and the steward that decides. Whoever has a thread makes its calls.

#[cfg(test)]
mod tests;

use std::sync::Arc;
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
use crate::model::write::Applied;
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
}

type Signal = (Sender<()>, Receiver<()>);

/// How often a commit is tried at once whose answer does not come.
const ATTEMPTS: u32 = 3;

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
        let counts = Counts::default();
        Arc::new(Self { table, clock, steward, hearts, changed, beaten, told, counts })
    }

    /// Makes the beat that is most urgent. Returns how long until one is due if there is none now; `None` if nothing is
    /// held. Several threads may do so.
    pub(crate) fn beat(&self) -> Option<Duration> {
        let call = self.next(Steward::next_beat);
        match call {
            Some(call) => {
                // Whoever else makes beats looks for the next one meanwhile.
                let _ = self.beaten.0.try_send(());
                let begun = (self.clock)();
                self.make(call);
                self.hearts.lock().took((self.clock)().since(begun));
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

    /// Gives up all that is held; what fails once is left to its failover time.
    pub(crate) fn end(&self) {
        self.steward.lock().end((self.clock)());
        loop {
            let call = self.steward.lock().next_call((self.clock)());
            let is_done = call.is_some_and(|call| self.make(call));
            if !is_done {
                return;
            }
        }
    }

    /// The consumer says something.
    pub(crate) fn hears(&self, word: Word) {
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

    /// Makes a call, and tells the steward its answer. Whether it was answered.
    fn make(&self, call: Call) -> bool {
        self.counts.called(kind(&call));
        let sent = (self.clock)();
        let answer = match &call {
            Call::Page { after } => Answer::Page(self.table.page(after.as_ref())),
            Call::Coordinator => Answer::Item(self.table.coordinator()),
            Call::Get { shard } => Answer::Item(self.table.get(shard)),
            Call::Write(job) => Answer::Applied(self.table.apply(&job.write)),
        };
        let is_answered = answer.failure().is_none();
        match &answer {
            Answer::Applied(outcome) => self.counts.applied(outcome),
            answer => self.counts.failed(answer.failure()),
        }
        let at = Span { sent, now: (self.clock)() };
        self.steward.lock().answered(at, call, answer);
        self.change();
        is_answered
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
            let sent = (self.clock)();
            self.counts.called(LeaseCall::Commit);
            let outcome = self.table.apply(&write);
            self.counts.applied(&outcome);
            let at = Span { sent, now: (self.clock)() };
            unheard += u32::from(is_unheard(&outcome));
            let may_repeat = is_unheard(&outcome) && unheard < ATTEMPTS;
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

/// Whether nobody knows what was done.
fn is_unheard(outcome: &Result<Applied, LeaseTableError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == LeaseTableErrorKind::Transient)
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
