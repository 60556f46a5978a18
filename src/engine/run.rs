//! The state that the threads of a run share; how each is started and reports its end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::budget::Budget;
use crate::client::Client;
use crate::config::Config;
use crate::control::call::Call;
use crate::control::pause::Pauses;
use crate::control::shutdown::Shutdown;
use crate::core::event::Event;
use crate::core::fleet::held::Moment;
use crate::core::settings::Plan;
use crate::delivery::batches::Leftovers;
use crate::delivery::commits::CommitContext;
use crate::engine::journal::Journal;
use crate::engine::registry::Registry;
use crate::error::Error;
use crate::model::notice::Notice;
use crate::model::shard::Shard;
use crate::model::time::spoken;
use crate::observe::metrics::StreamMeter;
use crate::store::Store;
use crate::store::leases::fleet::Leases;
use crate::store::leases::keeper::Keeper;
use crate::sync::{self, Mutex, thread};

/// One run of a consumer.
pub(crate) struct Engine {
    pub(crate) stream: Arc<str>,
    /// The name of the stream, also if it was given by its ARN.
    pub(crate) name: String,
    /// Its session with the client: see [`session`].
    pub(crate) client: Arc<dyn Client>,
    pub(crate) store: Arc<dyn Store>,
    /// The name of a stream that was given by its ARN, under which an earlier run may have stored its positions.
    pub(crate) former_key: Option<String>,
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    /// The shards, if they were listed before.
    pub(crate) listed: Option<Vec<Shard>>,
    pub(crate) shutdown: Shutdown,
    pub(crate) registry: Registry,
    pub(crate) pauses: Pauses,
}

/// The threads of a run share this.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) client: &'a dyn Client,
    pub(super) started: Instant,
    events: Sender<Event>,
    /// The first panic of a thread; it continues in the caller when all threads have ended.
    panic: Mutex<Option<Panic>>,
    context: CommitContext,
    pub(crate) door: Door,
    /// One for each channel that the user has.
    leftovers: Vec<Leftovers>,
    /// For this stream, or for several.
    pub(crate) budget: Budget,
    pub(crate) journal: Journal,
    pub(crate) meter: StreamMeter,
    /// The leases, where consumers share the stream.
    pub(super) keeper: Option<Arc<Keeper>>,
}

/// The receiver of the batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A dispatcher.
    Handler,
    /// Several dispatchers, each with its own shards.
    Handlers,
    /// The user.
    Receiver,
    /// The user, with a receiver for each worker; each has its own shards.
    Receivers,
}

type Panic = Box<dyn Any + Send>;

/// Tells the coordinator when a thread ends, also by a panic.
pub(crate) struct ExitNotice<'a>(&'a Sender<Event>, Option<Event>);

impl<'a> Run<'a> {
    // long: one line for each field.
    pub(super) fn new(
        engine: &'a Engine,
        door: Door,
        leftovers: Vec<Leftovers>,
    ) -> (Self, Receiver<Event>) {
        sync::opens(door);
        let client = &*engine.client;
        let (events, incoming) = unbounded();
        let started = sync::now();
        let context = CommitContext {
            stream: Arc::clone(&engine.stream),
            store: Arc::clone(&engine.store),
            events: events.clone(),
            tenancy: None,
            every: engine.config.store_every,
            clock: Arc::new(move || sync::since(started)),
        };
        let panic = Mutex::default();
        let budget = engine.config.budget.clone();
        let budget = budget.unwrap_or_else(|| Budget::new(Budget::DEFAULT));
        engine.registry.begins(started, budget.clone());
        let journal = Journal::new(Arc::clone(&engine.stream));
        journal.begins(client.place().as_deref());
        let meter = StreamMeter::new(&engine.stream, engine.store.leases().is_some());
        let run = Self {
            engine,
            client,
            started,
            events,
            panic,
            context,
            door,
            leftovers,
            budget,
            journal,
            meter,
            keeper: engine.store.leases().map(|leases| keeper(engine, leases, started)),
        };
        (run, incoming)
    }

    /// Every thread has ended: continues the panic of a thread, if there was one.
    pub(super) fn conclude(self, result: Result<(), Error>) -> Result<(), Error> {
        self.clear_leftovers();
        // A loop may have been in its last call.
        self.tell_last();
        match self.panic.lock().take() {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    // long: one branch for each notice.
    pub(crate) fn notify(&self, notice: &Notice) {
        let stream = &self.engine.stream;
        match notice {
            Notice::Gap(gap) => self.meter.gap(gap), // the poller logs it where it is noticed
            Notice::TableOutage { .. } => {}         // logged with the last failure
            Notice::Stalled { shard, state, age } => {
                self.meter.stalls.increment(1);
                let age = spoken(*age);
                log::warn!("stream {stream:?}, shard {shard:?}: no progress for {age}, {state}");
            }
            Notice::LeftOut { shard, records } => {
                log::warn!(
                    "stream {stream:?}, shard {shard:?}: {records} user records that belong to other shards were \
                     left out: unless KPL itself put them there, let the program take all user records of \
                     aggregates"
                );
            }
            Notice::Resumed { shard } => {
                log::warn!("stream {stream:?}, shard {shard:?}: makes progress again");
            }
            Notice::Lost { .. }
            | Notice::Gained { .. }
            | Notice::Released { .. }
            | Notice::Fenced { .. }
            | Notice::Unfenced { .. }
            | Notice::TableRecovered { .. }
            | Notice::Protocol { .. } => self.journal.lease(self.now(), notice),
        }
        self.meter.fleet.iter().for_each(|meter| meter.notice(notice));
        self.engine.config.audience.tell(notice);
    }

    /// Returns whether the system gave a thread; if not, that is reported, and ends the run.
    pub(super) fn spawn<'scope>(
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

    pub(super) fn try_spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        act: impl FnOnce() + Send + 'scope,
    ) -> std::io::Result<()> {
        let act = move || {
            let _member = self.engine.shutdown.run().enter();
            // The values are not used after a panic, which ends the run.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
                // Later panics are of threads that the first panic stopped.
                self.panic.lock().get_or_insert(panic);
                self.tell(Event::Panicked);
            }
        };
        // The scope joins it.
        thread::Builder::new().name(name.into()).spawn_scoped(scope, act).map(drop)
    }

    pub(super) fn no_thread(&self, thread: &str, source: std::io::Error) -> Error {
        Error::Thread { stream: self.engine.stream.to_string(), thread: thread.into(), source }
    }

    /// Tells, when it is dropped, that every dispatcher has ended.
    pub(super) fn dispatch_notice(&self) -> ExitNotice<'_> {
        ExitNotice(&self.events, Some(Event::Dispatched))
    }

    /// Tells, when it is dropped, that a shard's thread has ended. On the heap as [`Reader`] is.
    pub(crate) fn exit_notice(&self, shard: &str) -> Box<ExitNotice<'_>> {
        Box::new(ExitNotice(&self.events, Some(Event::Exited { shard: shard.into() })))
    }

    /// Drops the batches in a channel without a receiver.
    pub(crate) fn clear_leftovers(&self) {
        self.leftovers.iter().for_each(Leftovers::clear);
    }

    pub(crate) fn tell(&self, event: Event) {
        // There is no receiver after the coordinator has finished, or panicked.
        let _ = sync::send(&self.events, event);
    }

    pub(super) fn call(&self) -> Call {
        let call = Call::new(self.engine.shutdown.reading_stopped().clone());
        call.with_stream(Arc::clone(&self.engine.stream))
    }

    /// What the commits of this shard are made of, in a tenure if the shard is shared.
    pub(super) fn context_of(&self, shard: &str, epoch: Option<u64>) -> CommitContext {
        let context = self.context.clone();
        #[cfg(test)]
        let context = {
            let tenancies = self.engine.config.tenancies.as_ref();
            CommitContext { tenancy: tenancies.and_then(|it| it.of(shard)), ..context }
        };
        if let Some((keeper, epoch)) = self.keeper.as_ref().zip(epoch) {
            let tenant = keeper.tenant(shard, epoch);
            let (store, tenancy) = (Arc::clone(&tenant), tenant);
            return CommitContext { store, tenancy: Some(tenancy), ..context };
        }
        context
    }

    pub(crate) fn now(&self) -> Duration {
        sync::since(self.started)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // No gauge may keep an old value.
        for commits in self.engine.registry.all_commits() {
            commits.status().ends();
        }
        self.meter.shards(&Default::default());
        self.meter.budget(0);
        let last = self.engine.registry.leaves_fleet(self.now());
        if let Some((meter, last)) = self.meter.fleet.as_ref().zip(last) {
            meter.ends(&last);
        }
    }
}

impl Door {
    /// Whether dispatchers take the batches, not the user.
    pub(super) fn is_dispatching(self) -> bool {
        matches!(self, Self::Handler | Self::Handlers)
    }

    /// Whether the batches of a shard on their way are limited, so that one shard cannot fill the channel.
    pub(crate) fn has_slots(self) -> bool {
        self != Self::Receiver
    }

    /// Whether the next batch of a child shard may come to another worker.
    pub(crate) fn has_workers(self) -> bool {
        matches!(self, Self::Handlers | Self::Receivers)
    }
}

impl Drop for ExitNotice<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.1.take() {
            // As in `Run::tell`.
            let _ = sync::send(self.0, event);
        }
    }
}

/// The leases of a run that begins now.
fn keeper(engine: &Engine, leases: &Leases, started: Instant) -> Arc<Keeper> {
    let clock = move || {
        let wall = sync::wall().duration_since(std::time::UNIX_EPOCH);
        Moment { monotonic: sync::since(started), wall: wall.unwrap_or_default() }
    };
    let settings = leases.settings(&engine.name, engine.plan.iterator_type.clone());
    Keeper::new(Arc::clone(&leases.table), settings, Arc::new(clock), fastrand::Rng::new())
}

/// At most 15 bytes, which is what Linux shows: the twelve digits of a shard's id differ.
pub(super) fn thread_name(shard: &str) -> String {
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
