//! The coordinator's loop: it turns decisions into threads, calls and writes, and their outcomes into events.

mod looks;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread::Scope;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use crate::control::shard_stop::ShardStop;
use crate::control::shutdown::{Shutdown, StopOnDrop};
use crate::core::event::{Action, Event, Proof, Start, StartAt, Word};
use crate::core::settings::StreamSettings;
use crate::core::shard::Poller;
use crate::core::stream::Coordinator;
use crate::core::stream::hangs::Hangs;
use crate::core::stream::lineage::WaitingNews;
use crate::core::stream::stalls::Stalls;
use crate::delivery::batch::Batch;
use crate::delivery::commits::{CommitContext, ShardCommits, flush_all};
use crate::engine::reader::Reader;
use crate::engine::run::{Run, thread_name};
use crate::error::Error;
use crate::error::store::StoreError;
use crate::model::notice::{LossReason, Notice};
use crate::model::shard::Shard;
use crate::store::leases::fleet::Leases;
use crate::sync::{self, at, select_biased, tick};

/// A job for the thread of the store, which reports with an event.
#[derive(Clone, Copy)]
enum Errand {
    Load,
    Flush,
}

/// The shards that were started.
#[derive(Default)]
struct Shards {
    threads: BTreeMap<String, ShardThread>,
    all_commits: BTreeMap<String, Weak<ShardCommits>>,
}

/// The thread of a shard.
struct ShardThread {
    /// Whether the shard has ended.
    confirmed: Sender<Proof>,
    /// Dropped with this.
    _stop: ShardStop,
}

/// How often gauges are refreshed: a scrape sees no older value.
const REFRESH: Duration = Duration::from_secs(1);
/// How many checks are made within `stall_after`, and within the time after which a shard is given up that hangs.
const LOOKS: u32 = 4;

/// The coordinator, with the channels and threads that it uses.
struct Loop<'scope, 'env, 'run> {
    run: &'scope Run<'run>,
    scope: &'scope Scope<'scope, 'env>,
    coordinator: Coordinator,
    rng: fastrand::Rng,
    /// Channels to the workers; every shard holds a clone of one.
    workers: Vec<Arc<Sender<Batch>>>,
    shards: Shards,
    stalls: Option<Stalls>,
    hangs: Option<Hangs>,
    /// The channel to the thread of the store.
    errands: Sender<Errand>,
}

impl Run<'_> {
    /// Does the coordinator's actions until it finishes.
    // long: what the loop acts with is made here, and dropped in this order.
    pub(super) fn coordinate<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        events: Receiver<Event>,
        batches: Vec<Sender<Batch>>,
    ) -> Result<(), Error> {
        let engine = self.engine;
        let _stop = StopOnDrop(engine.shutdown.clone());
        let mut acting = Loop {
            run: self,
            scope,
            coordinator: Coordinator::new(
                engine.plan.clone(),
                &self.stream_settings(),
                engine.listed.clone(),
                self.door.is_dispatching(),
            ),
            rng: fastrand::Rng::new(),
            workers: batches.into_iter().map(Arc::new).collect(),
            shards: Shards::default(),
            stalls: engine.config.stall_after.map(Stalls::new),
            hangs: self.give_up_after().map(Hangs::new),
            errands: self.keep_store(scope)?,
        };
        let leases = self.keep_leases(scope)?;
        let result = acting.run(&events);
        // From here on a commit stores at once: there would be no later write.
        sync::point();
        drop(events);
        self.keeper.iter().for_each(|keeper| keeper.stops());
        let (is_stopped, result) = (engine.shutdown.is_stopped(), result.and(self.flush_last()));
        // After the last position is written.
        if let Some(leases) = leases {
            leases.end();
        }
        self.journal.ends(result.as_ref().copied(), is_stopped);
        result
    }

    fn give_up_after(&self) -> Option<Duration> {
        self.engine.store.leases().and_then(Leases::give_up_after)
    }

    fn stream_settings(&self) -> StreamSettings {
        let settings = self.engine.config.stream_settings();
        if self.keeper.is_some() { settings.in_fleet() } else { settings }
    }

    /// Starts the thread that calls the store for the coordinator, until the sender is dropped.
    fn keep_store<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Sender<Errand>, Error> {
        // The coordinator requests a job only after the last one has ended.
        let (errands, to_do) = bounded(1);
        let keep = move || {
            while let Ok(errand) = sync::recv(&to_do) {
                self.tell(self.run_errand(errand));
            }
        };
        match self.try_spawn(scope, "kc-store", keep) {
            Ok(()) => Ok(errands),
            Err(source) => Err(self.no_thread("kc-store", source)),
        }
    }

    /// Refreshes the values that change by themselves.
    fn refresh(&self) {
        let now = self.now();
        self.journal.tick(now);
        self.engine.registry.retire(now);
        self.meter.shards(&self.engine.registry.refresh(now));
        self.meter.budget(self.budget.used());
        if let Some((meter, fleet)) = self.meter.fleet.as_ref().zip(self.engine.registry.fleet()) {
            meter.refresh(&fleet);
        }
    }

    fn run_errand(&self, errand: Errand) -> Event {
        match errand {
            Errand::Load => self.load(),
            Errand::Flush => Event::Flushed(flush_all(&self.engine.registry.all_commits())),
        }
    }

    fn tell_steward(&self, word: Word) {
        self.keeper.as_ref().expect("only a fleet has words for it").hears(word);
    }
}

impl Loop<'_, '_, '_> {
    /// Runs until the end.
    // long: one select over all that the coordinator waits for.
    fn run(&mut self, events: &Receiver<Event>) -> Result<(), Error> {
        let engine = self.run.engine;
        let mut reading_stopped = engine.shutdown.reading_stopped().clone();
        let look = engine.config.stall_after.map_or_else(never, |after| tick(after / LOOKS));
        let hang = self.run.give_up_after().map_or_else(never, |after| tick(after / LOOKS));
        let refresh = tick(REFRESH);
        let news = self.run.news();
        let mut event = Event::Begun;
        loop {
            if let Some(result) = self.hear(event) {
                return result;
            }
            let due = self.coordinator.wake().and_then(|wake| self.run.started.checked_add(wake));
            let timer = due.map_or_else(never, at);
            event = select_biased! {
                recv(reading_stopped) -> _ => {
                    reading_stopped = never();
                    Event::Stopped
                }
                recv(news) -> _ => match self.hear_news() {
                    Some(result) => return result,
                    None => Event::Tick, // which may come early
                },
                recv(events) -> event => event.expect("`run` keeps a sender"),
                recv(timer) -> _ => Event::Tick,
                recv(look) -> _ => {
                    self.look_for_stalls();
                    Event::Tick // as above
                }
                recv(hang) -> _ => {
                    self.look_for_hangs();
                    Event::Tick // as above
                }
                recv(refresh) -> _ => {
                    self.run.refresh();
                    Event::Tick // as above
                }
            };
        }
    }

    /// Does what follows from an event. Returns the result of the run when it is over.
    fn hear(&mut self, event: Event) -> Option<Result<(), Error>> {
        self.shards.see(&event);
        let actions = self.coordinator.on(self.run.now(), &mut self.rng, event);
        self.announce(&actions);
        for action in actions {
            if let Action::Finish(result) = action {
                return Some(result);
            }
            self.act(action);
        }
        self.tell_who_waits();
        None
    }

    /// The same with the steward's news, in their order; and tells the user.
    fn hear_news(&mut self) -> Option<Result<(), Error>> {
        let mut result = None;
        for (event, notice) in self.run.take_news() {
            if result.is_none() {
                result = event.and_then(|event| self.hear(event));
            }
            notice.iter().for_each(|notice| self.run.notify(notice));
        }
        result
    }

    // long: one branch for each action.
    fn act(&mut self, action: Action) {
        let (run, scope) = (self.run, self.scope);
        match action {
            Action::Start { start, delay, epoch } => self.start(start, delay, epoch),
            Action::StopShard { shard, epoch } => self.stop(shard, epoch),
            Action::Lease(word) => run.tell_steward(word),
            Action::Confirm { shard, proof } => self.shards.confirm(&shard, proof),
            Action::GiveUp { shard, why } => {
                let why = self.shards.give_up(&shard, why);
                // In a fleet the steward knows more.
                if run.keeper.is_none() {
                    run.notify(&Notice::Lost { shard, why });
                }
            }
            Action::Close => self.workers.clear(),
            Action::Halt => run.engine.shutdown.now(),
            Action::Load => self.store(Errand::Load),
            Action::Flush => {
                run.engine.registry.retire(run.now());
                self.store(Errand::Flush);
            }
            Action::List { page } => run.list(scope, page),
            Action::Describe => run.describe(scope),
            Action::Finish(_) => unreachable!("the loop ends with it"),
        }
    }

    fn store(&self, errand: Errand) {
        // After its thread has panicked the outcome is not needed any more.
        let _ = sync::send(&self.errands, errand);
    }

    /// Starts a shard's thread.
    fn start(&mut self, start: Start, delay: Duration, epoch: Option<u64>) {
        let run = self.run;
        // To the worker with the fewest shards now.
        let fewest = self.workers.iter().min_by_key(|worker| Arc::strong_count(worker));
        let batches = Arc::clone(fewest.expect("no shard starts after `Close`"));
        let stop = &run.engine.shutdown;
        let context = run.context_of(start.shard.id(), epoch);
        let (commits, confirmed) = self.shards.start(&start.shard, epoch, context, stop);
        let shard = start.shard.id().to_owned();
        if let StartAt::Stored(position) = &start.at {
            commits.resumes(position);
        }
        run.engine.registry.starts(Arc::clone(&commits));
        let stream = Arc::clone(&run.engine.stream);
        let settings = run.engine.config.shard_settings(run.door.has_workers());
        let settings = if epoch.is_some() { settings.in_fleet() } else { settings };
        let poller = Poller::new(stream, start, settings, delay);
        let mut reader = Box::new(Reader::new(run, poller, commits, batches, confirmed));
        let is_spawned = run.spawn(self.scope, thread_name(&shard), move || reader.read());
        if !is_spawned {
            run.tell(Event::Exited { shard });
        }
    }

    /// Stops the thread of a shard; `Drained` follows.
    fn stop(&mut self, shard: String, epoch: u64) {
        if !self.shards.stop(&shard, epoch) {
            self.run.tell(Event::Drained { shard, epoch });
        }
    }

    /// Says which shards start.
    fn announce(&self, actions: &[Action]) {
        let starts = actions.iter().filter_map(|action| match action {
            Action::Start { start, .. } => Some(start),
            _ => None,
        });
        let starts: Vec<_> = starts.collect();
        if !starts.is_empty() {
            let run = self.run;
            run.journal.starts(run.now(), &starts, || self.coordinator.waiting().len());
        }
    }

    fn tell_who_waits(&mut self) {
        let WaitingNews { begun, over } = self.coordinator.take_news();
        if !begun.is_empty() || !over.is_empty() {
            self.run.engine.registry.waits(begun, &over);
        }
    }
}

impl Shards {
    /// The commits of a shard's thread, and the channel for its answers.
    fn start(
        &mut self,
        shard: &Shard,
        epoch: Option<u64>,
        context: CommitContext,
        consumer: &Shutdown,
    ) -> (Arc<ShardCommits>, Receiver<Proof>) {
        let ((confirmed, told), (_stop, stopped)) = (bounded(1), ShardStop::new(consumer));
        self.threads.insert(shard.id().to_owned(), ShardThread { confirmed, _stop });
        let commits = ShardCommits::new(context, shard.id(), stopped).in_tenure(epoch);
        let commits = Arc::new(commits);
        // In a fleet the table holds the ends of all parents before a lease is given.
        if epoch.is_none() {
            let parents = shard.parents().iter().filter_map(|parent| self.all_commits.get(parent));
            commits.descends_from(parents.cloned());
        }
        self.all_commits.insert(shard.id().to_owned(), Arc::downgrade(&commits));
        (commits, told)
    }

    fn confirm(&self, shard: &str, proof: Proof) {
        // It takes this answer before its next question; or it has exited.
        let _ = self.threads.get(shard).map(|thread| thread.confirmed.try_send(proof));
    }

    /// Stops the thread of a shard, if there is one. Returns whether its commits will tell when it has drained: if not,
    /// its end is stored, and nothing is left of it.
    fn stop(&mut self, shard: &str, epoch: u64) -> bool {
        self.threads.remove(shard);
        let commits = self.all_commits.get(shard).and_then(Weak::upgrade);
        let commits = commits.filter(|commits| commits.epoch() == Some(epoch));
        commits.inspect(|commits| commits.drains()).is_some()
    }

    /// Stops the thread of a shard, if there is one, and what its batches may still do. Returns of what the store has
    /// spoken, where no fleet is.
    fn give_up(&mut self, shard: &str, why: StoreError) -> LossReason {
        let commits = self.all_commits.get(shard).and_then(Weak::upgrade);
        let is_refused = commits.as_ref().is_some_and(|commits| commits.is_lost());
        commits.iter().for_each(|commits| commits.give_up(why.clone()));
        self.threads.remove(shard);
        if is_refused { LossReason::Store } else { LossReason::Ancestor }
    }

    /// Forgets threads that have exited.
    fn see(&mut self, event: &Event) {
        match event {
            Event::Exited { shard } => drop(self.threads.remove(shard)),
            // Done now and then.
            Event::Listed(_) => self.all_commits.retain(|_, commits| commits.strong_count() > 0),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::TryRecvError::{Disconnected, Empty};
    use crossbeam_channel::unbounded;

    use super::*;
    use crate::model::position::Position;
    use crate::model::shard::HashKeyRange;
    use crate::store::local::LocalStore;

    #[test]
    fn a_shard_that_is_stopped_reads_no_more_and_its_commits_tell_when_it_has_drained() {
        let (sender, events) = unbounded();
        let context = CommitContext::of_test(Arc::new(LocalStore::new()), sender);
        let [parent, child] = ["a", "b"]
            .map(|id| Shard::new(id, HashKeyRange::ALL, "1".parse().expect("it is a number")));
        let child = child.with_parents(vec!["a".into()]);
        let (mut shards, consumer) = (Shards::default(), Shutdown::new());
        let (of_parent, _told) = shards.start(&parent, Some(1), context.clone(), &consumer);
        let (commits, _told) = shards.start(&child, Some(2), context, &consumer);
        let batch = commits.hand_out(Position::after("7".parse().expect("it is a number")));
        assert_eq!(commits.reading_stopped().try_recv(), Err(Empty));
        assert!(shards.stop("b", 2));
        assert_eq!(commits.reading_stopped().try_recv(), Err(Disconnected));
        assert_eq!(of_parent.reading_stopped().try_recv(), Err(Empty));
        // The parent's end need not be stored by this process.
        commits.commit(batch, None).expect("the store takes it");
        commits.concludes();
        assert!(events.try_recv().is_err(), "its thread has not ended");
        commits.leaves();
        assert!(matches!(events.try_recv(), Ok(Event::Drained { epoch: 2, .. })));
        assert!(!shards.stop("b", 3), "these are the commits of another tenure");
        drop(of_parent);
        assert!(!shards.stop("a", 1), "nothing is left of it");
    }
}
