//! The shell: scoped threads that turn the core's decisions into calls, sends, waits and joins.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select_biased, tick, unbounded};
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::batches::Leftovers;
use crate::budget::Budget;
use crate::client::Client;
use crate::config::Config;
use crate::control::call::Call;
use crate::control::shutdown::{Shutdown, StopOnDrop};
use crate::core::event::Proof;
use crate::core::event::{Action, Event};
use crate::core::event::{Start, StartAt};
use crate::core::outage::spoken;
use crate::core::settings::Plan;
use crate::core::shard::Poller;
use crate::core::stream::Coordinator;
use crate::core::stream::lineage::WaitingNews;
use crate::core::stream::stalls::{Running, Waiting, Stalls};
use crate::dispatch::{Callback, dispatch};
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::journal::Journal;
use crate::ledger::{Books, Ledger, flush_all};
use crate::model::notice::Notice;
use crate::model::shard::Shard;
use crate::monitor::Monitor;
use crate::observe::metrics::StreamMeter;
use crate::reader::Reader;
use crate::store::Store;

/// One run of a consumer.
pub(crate) struct Engine {
    pub(crate) stream: Arc<str>,
    /// Its session with the client: see [`session`].
    pub(crate) client: Arc<dyn Client>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    /// The shards, if they were listed before.
    pub(crate) listed: Option<Vec<Shard>>,
    pub(crate) shutdown: Shutdown,
    pub(crate) monitor: Monitor,
}

/// What the threads of a run share.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) client: &'a dyn Client,
    started: Instant,
    events: Sender<Event>,
    /// The first panic of a thread, which goes on in the caller when all threads have ended.
    panic: Mutex<Option<Panic>>,
    books: Books,
    pub(crate) door: Door,
    /// Of each channel that the user has.
    leftovers: Vec<Leftovers>,
    /// Of this stream, or of several.
    pub(crate) budget: Budget,
    pub(crate) journal: Journal,
    pub(crate) meter: StreamMeter,
}

/// Who takes the batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A dispatcher.
    Handler,
    /// Several, each of which has its own shards.
    Handlers,
    /// The user.
    Receiver,
    /// The user, with a receiver for each worker, which has its own shards.
    Receivers,
}

type Panic = Box<dyn Any + Send>;

/// What the thread of the store is to do: it reports with an event.
#[derive(Clone, Copy)]
enum Errand {
    Load,
    Flush,
}

/// The shards that were started.
#[derive(Default)]
struct Shards {
    /// To the threads that run: whether their shard has ended.
    confirmed: BTreeMap<String, Sender<Proof>>,
    ledgers: BTreeMap<String, Weak<Ledger>>,
}

/// How often gauges are refreshed, as long as a scrape may wait at most.
const REFRESH: Duration = Duration::from_secs(1);
/// How often the stalls looks in the time after which it tells.
const LOOKS: u32 = 4;

/// Tells the coordinator when a thread ends, also by a panic.
pub(crate) struct Farewell<'a>(&'a Sender<Event>, Option<Event>);

impl Engine {
    /// Runs on this thread, which hands the batches to the handler, until all is over.
    pub(crate) fn listen(self, handler: Callback<'_>) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (batches, queue) = bounded(self.config.capacity);
        let (run, events) = Run::new(&self, Door::Handler, Vec::new());
        let result = thread::scope(|scope| {
            let _stop = StopOnDrop(self.shutdown.clone());
            let run = &run;
            let coordinator = thread::Builder::new()
                .name("kc-coordinator".into())
                .spawn_scoped(scope, move || {
                    let _member = run.engine.shutdown.run().enter();
                    run.coordinate(scope, events, vec![batches])
                })
                .map_err(|source| run.no_thread("kc-coordinator", source))?;
            {
                let _farewell = Farewell(&run.events, Some(Event::Dispatched));
                let on_error = &self.config.on_error;
                if let Err(error) = dispatch(&queue, &self.shutdown, on_error, handler) {
                    run.tell(Event::Failed(error));
                }
                // What was not handled is dropped here, before the coordinator ends.
                drop(queue);
            }
            coordinator.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        run.conclude(result)
    }

    /// Runs on this thread, while workers hand the batches to their handlers, until all is over.
    pub(crate) fn listen_workers<'h>(
        self,
        workers: usize,
        handler: &(dyn Fn(usize) -> Callback<'h> + Sync),
    ) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (batches, queues): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| bounded(self.config.capacity)).unzip();
        let (run, events) = Run::new(&self, Door::Handlers, Vec::new());
        let result = thread::scope(|scope| {
            let _stop = StopOnDrop(self.shutdown.clone());
            let run = &run;
            // The last of them that ends, or was not started, says so for all.
            let farewell = Arc::new(Farewell(&run.events, Some(Event::Dispatched)));
            for (worker, queue) in queues.into_iter().enumerate() {
                let farewell = Arc::clone(&farewell);
                run.spawn(scope, format!("kc-worker-{worker}"), move || {
                    let (_farewell, on_error) = (farewell, &run.engine.config.on_error);
                    let shutdown = &run.engine.shutdown;
                    if let Err(error) = dispatch(&queue, shutdown, on_error, handler(worker)) {
                        run.tell(Event::Failed(error));
                    }
                    // As above.
                    drop(queue);
                });
            }
            drop(farewell);
            run.coordinate(scope, events, batches)
        });
        run.conclude(result)
    }

    /// Runs on this thread, and sends the batches, until all is sent.
    pub(crate) fn feed(
        self,
        door: Door,
        batches: Vec<Sender<Batch>>,
        leftovers: Vec<Leftovers>,
    ) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (run, events) = Run::new(&self, door, leftovers);
        let result = thread::scope(|scope| run.coordinate(scope, events, batches));
        run.conclude(result)
    }
}

/// The client for one run: its own session, which a stop interrupts, if it has such.
pub(crate) fn session(client: &Arc<dyn Client>, shutdown: &Shutdown) -> Arc<dyn Client> {
    let Some(session) = client.session() else { return Arc::clone(client) };
    let interrupted = Arc::clone(&session);
    shutdown.on_stop(move || interrupted.interrupt());
    session
}

impl<'a> Run<'a> {
    fn new(engine: &'a Engine, door: Door, leftovers: Vec<Leftovers>) -> (Self, Receiver<Event>) {
        let client = &*engine.client;
        let (events, incoming) = unbounded();
        let started = Instant::now();
        let books = Books {
            stream: Arc::clone(&engine.stream),
            store: Arc::clone(&engine.store),
            events: events.clone(),
            halted: engine.shutdown.halted().clone(),
            every: engine.config.store_every,
            clock: Arc::new(move || started.elapsed()),
        };
        let panic = Mutex::default();
        let budget = engine.config.budget.clone();
        let budget = budget.unwrap_or_else(|| Budget::new(Budget::DEFAULT));
        engine.monitor.begins(started, budget.clone());
        let journal = Journal::new(Arc::clone(&engine.stream));
        journal.begins(client.place().as_deref());
        let meter = StreamMeter::new(&engine.stream);
        let run = Self {
            engine,
            client,
            started,
            events,
            panic,
            books,
            door,
            leftovers,
            budget,
            journal,
            meter,
        };
        (run, incoming)
    }

    /// Every thread has ended: goes on with the panic of one, if there was one.
    fn conclude(self, result: Result<(), Error>) -> Result<(), Error> {
        self.clear_leftovers();
        match self.panic.lock().take() {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    /// Does what the coordinator says until it says that all is over.
    fn coordinate<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        events: Receiver<Event>,
        batches: Vec<Sender<Batch>>,
    ) -> Result<(), Error> {
        let engine = self.engine;
        let _stop = StopOnDrop(engine.shutdown.clone());
        // The coordinator waits for the one before it has the next one done.
        let (errands, to_do) = bounded(1);
        let keep = move || to_do.iter().for_each(|errand| self.tell(self.run_errand(errand)));
        self.try_spawn(scope, "kc-store", keep).map_err(|it| self.no_thread("kc-store", it))?;
        let store = |errand| {
            // After its thread has ended by a panic nobody needs the outcome any more.
            let _ = errands.send(errand);
        };
        let mut rng = fastrand::Rng::new();
        let mut coordinator = Coordinator::new(
            engine.plan.clone(),
            &engine.config.stream_settings(),
            engine.listed.clone(),
            self.door.is_dispatching(),
        );
        let mut halted = engine.shutdown.halted().clone();
        let mut workers: Vec<_> = batches.into_iter().map(Arc::new).collect();
        let mut shards = Shards::default();
        let stall_after = engine.config.stall_after;
        let mut stalls = stall_after.map(Stalls::new);
        let look = stall_after.map_or_else(never, |after| tick(after / LOOKS));
        let refresh = tick(REFRESH);
        let mut event = Event::Begun;
        let result = 'run: loop {
            shards.see(&event);
            let actions = coordinator.on(self.now(), &mut rng, event);
            self.announce(&actions, &coordinator);
            for action in actions {
                match action {
                    Action::Start { start, delay } => {
                        // To the one with the fewest shards now, each of which holds a clone.
                        if let Some(batches) = workers.iter().min_by_key(|it| Arc::strong_count(it))
                        {
                            let (ledger, told) = shards.start(&start.shard, &self.books);
                            self.start(scope, start, delay, ledger, Arc::clone(batches), told);
                        }
                    }
                    Action::Confirm { shard, proof } => shards.confirm(&shard, proof),
                    Action::Close => workers.clear(),
                    Action::Halt => engine.shutdown.now(),
                    Action::Finish(result) => break 'run result,
                    Action::Load => store(Errand::Load),
                    Action::Flush => {
                        engine.monitor.retire(self.now());
                        store(Errand::Flush);
                    }
                    Action::List { page } => self.list(scope, page),
                    Action::Describe => self.describe(scope),
                }
            }
            let WaitingNews { begun, over } = coordinator.take_news();
            if !begun.is_empty() || !over.is_empty() {
                engine.monitor.waits(begun, &over);
            }
            let due = coordinator.wake().and_then(|wake| self.started.checked_add(wake));
            let timer = due.map_or_else(never, at);
            event = select_biased! {
                recv(halted) -> _ => {
                    halted = never();
                    Event::Stopped
                }
                recv(events) -> event => event.expect("`run` keeps a sender"),
                recv(timer) -> _ => Event::Tick,
                recv(look) -> _ => {
                    if let Some(stalls) = &mut stalls {
                        self.watch(stalls, &coordinator.waiting());
                    }
                    Event::Tick // which may come early
                }
                recv(refresh) -> _ => {
                    self.refresh();
                    Event::Tick // as above
                }
            };
        };
        // From here on a commit stores at once: nobody would do it later.
        drop(events);
        let (is_stopped, result) = (engine.shutdown.is_stopped(), result.and(self.flush_last()));
        self.journal.ends(result.as_ref().copied(), is_stopped);
        result
    }

    /// Says which shards start.
    fn announce(&self, actions: &[Action], coordinator: &Coordinator) {
        let starts = actions.iter().filter_map(|action| match action {
            Action::Start { start, .. } => Some(start),
            _ => None,
        });
        let starts: Vec<_> = starts.collect();
        if !starts.is_empty() {
            self.journal.starts(self.now(), &starts, || coordinator.waiting().len());
        }
    }

    /// Tells what changes by itself.
    fn refresh(&self) {
        let now = self.now();
        self.journal.tick(now);
        self.engine.monitor.retire(now);
        self.meter.shards(&self.engine.monitor.refresh(now));
        self.meter.budget(self.budget.used());
    }

    /// Tells of stalls, and of their ends.
    fn watch(&self, stalls: &mut Stalls, waiting: &Waiting) {
        let ledgers = self.engine.monitor.ledgers();
        let status = |ledger: &Arc<Ledger>| {
            let status = ledger.status();
            (ledger.shard().to_owned(), (status.state(), status.progressed()))
        };
        let running: Running = ledgers.iter().map(status).collect();
        for notice in stalls.look(self.now(), &running, waiting) {
            self.notify(&notice);
        }
    }

    pub(crate) fn notify(&self, notice: &Notice) {
        let stream = &self.engine.stream;
        match notice {
            Notice::Gap(gap) => self.meter.gap(gap), // the poller logs it where it is noticed
            Notice::Stalled { shard, state, age } => {
                self.meter.stalls.increment(1);
                let age = spoken(*age);
                log::warn!("stream {stream:?}, shard {shard:?}: no progress for {age}, {state}");
            }
            Notice::LeftOut { shard, records } => {
                log::warn!(
                    "stream {stream:?}, shard {shard:?}: {records} user records were left out that belong to other \
                     shards: unless KPL itself put them there, choose Deaggregation::All"
                );
            }
            Notice::Resumed { shard } => {
                log::warn!("stream {stream:?}, shard {shard:?}: makes progress again");
            }
        }
        self.engine.config.audience.tell(notice);
    }

    /// Starts a shard's thread.
    fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        start: Start,
        delay: Duration,
        ledger: Arc<Ledger>,
        batches: Arc<Sender<Batch>>,
        confirmed: Receiver<Proof>,
    ) {
        let shard = start.shard.id().to_owned();
        if let StartAt::Stored(position) = &start.at {
            ledger.resumes(position);
        }
        self.engine.monitor.starts(Arc::clone(&ledger));
        let (stream, settings) =
            (Arc::clone(&self.engine.stream), self.engine.config.shard_settings());
        let poller = Poller::new(stream, start, settings, delay);
        let mut reader = Box::new(Reader::new(self, poller, ledger, batches, confirmed));
        let is_spawned = self.spawn(scope, thread_name(&shard), move || reader.read());
        if !is_spawned {
            self.tell(Event::Exited { shard });
        }
    }

    fn run_errand(&self, errand: Errand) -> Event {
        match errand {
            Errand::Load => {
                let loaded = self.engine.store.shard_iterators(&self.engine.stream);
                Event::Loaded(loaded.inspect_err(|_| self.meter.store_failures.increment(1)))
            }
            Errand::Flush => Event::Flushed(flush_all(&self.engine.monitor.ledgers())),
        }
    }

    /// Reads a page on a thread of its own, so that the coordinator never waits.
    fn list<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, page: Option<String>) {
        let list = move || {
            let (client, stream) = (self.client, &self.engine.stream);
            let listed = client.list_shards(stream, page.as_deref(), &self.call());
            self.tell(Event::Listed(self.counted(listed)));
        };
        if let Err(source) = self.try_spawn(scope, "kc-list", list) {
            self.tell(Event::Listed(Err(threadless("ListShards", source))));
        }
    }

    /// As `list`.
    fn describe<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let describe = move || {
            let stream = &self.engine.stream;
            let status = self.client.describe_stream(stream, &self.call());
            self.tell(Event::Described(self.counted(status)));
        };
        if let Err(source) = self.try_spawn(scope, "kc-list", describe) {
            self.tell(Event::Described(Err(threadless("DescribeStreamSummary", source))));
        }
    }

    /// Counts a failure, unless it is that of a call which was stopped.
    fn counted<T>(&self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if outcome.is_err() && !self.engine.shutdown.is_stopped() {
            self.meter.listing_failures.increment(1);
        }
        outcome
    }

    /// The last attempt to store what could not be stored before.
    fn flush_last(&self) -> Result<(), Error> {
        flush_all(&self.engine.monitor.ledgers()).map_err(|(shard, source)| {
            let stream = self.engine.stream.to_string();
            Error::Store { stream, shard: Some(shard), source }
        })
    }

    /// Whether there was a thread; if not, that is told, and ends the run.
    fn spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        name: String,
        act: impl FnOnce() + Send + 'scope,
    ) -> bool {
        match self.try_spawn(scope, &name, act) {
            Ok(()) => true,
            Err(source) => {
                self.tell(Event::Failed(self.no_thread(&name, source)));
                false
            }
        }
    }

    fn try_spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        act: impl FnOnce() + Send + 'scope,
    ) -> std::io::Result<()> {
        let act = move || {
            let _member = self.engine.shutdown.run().enter();
            // The values are not used after a panic, which ends the run.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
                // Others are of threads that the first one stopped.
                self.panic.lock().get_or_insert(panic);
                self.tell(Event::Panicked);
            }
        };
        // Its end is seen by the scope, which joins it.
        thread::Builder::new().name(name.into()).spawn_scoped(scope, act).map(drop)
    }

    fn no_thread(&self, thread: &str, source: std::io::Error) -> Error {
        Error::Thread { stream: self.engine.stream.to_string(), thread: thread.into(), source }
    }

    /// Tells, when it is dropped, that a shard's thread has ended. On the heap as [`Reader`] is.
    pub(crate) fn farewell(&self, shard: &str) -> Box<Farewell<'_>> {
        Box::new(Farewell(&self.events, Some(Event::Exited { shard: shard.into() })))
    }

    /// Drops what is in a channel that nobody takes batches from any more.
    pub(crate) fn clear_leftovers(&self) {
        self.leftovers.iter().for_each(Leftovers::clear);
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens when the coordinator has finished, or panicked.
        let _ = self.events.send(event);
    }

    fn call(&self) -> Call {
        Call::new(self.engine.shutdown.halted().clone())
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The system has no thread for a call now; it may have one when the listing is tried again.
fn threadless(operation: &'static str, source: std::io::Error) -> ClientError {
    let message = "the system has no thread for it";
    ClientError::new(ErrorClass::Transient, operation, message).with_source(source)
}

impl Shards {
    /// What the thread of a shard commits with, and is answered by.
    fn start(&mut self, shard: &Shard, books: &Books) -> (Arc<Ledger>, Receiver<Proof>) {
        let (tell, told) = bounded(1);
        self.confirmed.insert(shard.id().to_owned(), tell);
        let ledger = Arc::new(Ledger::new(books.clone(), shard.id()));
        let parents = shard.parents().iter().filter_map(|parent| self.ledgers.get(parent));
        ledger.descends_from(parents.cloned());
        self.ledgers.insert(shard.id().to_owned(), Arc::downgrade(&ledger));
        (ledger, told)
    }

    fn confirm(&self, shard: &str, proof: Proof) {
        // It asked, and takes the answer before it asks again; or it has exited.
        let _ = self.confirmed.get(shard).map(|tell| tell.try_send(proof));
    }

    /// Forgets who is not there any more.
    fn see(&mut self, event: &Event) {
        match event {
            Event::Exited { shard } => drop(self.confirmed.remove(shard)),
            // Now and then.
            Event::Listed(_) => self.ledgers.retain(|_, ledger| ledger.strong_count() > 0),
            _ => {}
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // No gauge is to stand still at what was true once.
        for ledger in self.engine.monitor.ledgers() {
            ledger.status().ends();
        }
        self.meter.shards(&Default::default());
        self.meter.budget(0);
    }
}

impl Door {
    /// Whether dispatchers take the batches, not the user.
    fn is_dispatching(self) -> bool {
        matches!(self, Self::Handler | Self::Handlers)
    }

    /// Whether a shard may have only so many batches on their way that one cannot fill the channel.
    pub(crate) fn has_slots(self) -> bool {
        self != Self::Receiver
    }

    /// Whether the next batch of a shard's child may come to somebody else.
    pub(crate) fn has_workers(self) -> bool {
        matches!(self, Self::Handlers | Self::Receivers)
    }
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.1.take() {
            // As in `Run::tell`.
            let _ = self.0.send(event);
        }
    }
}

/// At most 15 bytes, which is what Linux shows: the twelve digits of a shard's id differ.
fn thread_name(shard: &str) -> String {
    let tail = shard.char_indices().rev().nth(11).map_or(shard, |(from, _)| &shard[from..]);
    let ascii = tail.chars().map(|char| if char.is_ascii_graphic() { char } else { '_' });
    format!("kc-{}", ascii.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_names_fit_and_differ() {
        assert_eq!(thread_name("shardId-000000000042"), "kc-000000000042");
        assert_eq!(thread_name("x"), "kc-x");
        assert_eq!(thread_name("\0größe größe größe").len(), 15);
    }
}
