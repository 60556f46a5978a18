//! Listeners that are dropped or joined: by their owner, by a callback of their own consumer, or by an interrupt.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::doors;
use super::hooked::{Countdown, Hook, Hooked};
use super::try_all;
use super::world::{STREAM, World, a_while, current};
use crate::client::Client;
use crate::client::memory::MemoryKinesis;
use crate::client::memory::fault::Operation;
use crate::control::call::Call;
use crate::delivery::batch::Batch;
use crate::error::Error;
use crate::error::client::{ClientError, ErrorClass};
use crate::listener::Listener;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::IteratorType;
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;
use crate::stream::Stream;
use crate::sync::{self, Mutex};

/// Long enough for a consumer that was stopped and that nobody can join.
const END: Duration = Duration::from_millis(600);

#[test]
fn a_listener_that_is_dropped_or_joined_waits_for_the_batch_in_hand_and_its_commit() {
    try_all(|| {
        let world = Arc::new(World::new(2));
        let (stream, takes) = (world.stream(World::config()), Arc::clone(&world));
        let handle = move |batch: &Batch| {
            current().sleep_for(Duration::from_millis(fastrand::u64(..50)));
            takes.take(batch);
            Ok(())
        };
        let listener = doors::spawn(stream, handle).unwrap();
        a_while();
        match fastrand::u32(..3) {
            0 => drop(listener),
            1 => {
                doors::stop(&listener.shutdown());
                drop(listener);
            }
            _ => {
                doors::stop(&listener.shutdown());
                listener.join().unwrap();
            }
        }
        world.read_the_rest();
        world.check();
    });
}

/// The listener, for a callback of its own consumer.
struct Slot {
    place: usize,
    calls: Countdown,
    listener: Mutex<Option<Listener>>,
    /// Nobody sees a panic of the callback: what it found is asserted later.
    parted: Mutex<Option<Parted>>,
}

/// What became of a consumer that has dropped or joined its own listener.
#[derive(Debug, PartialEq, Eq)]
struct Parted {
    is_told: bool,
    is_stopped: bool,
}

impl Slot {
    fn hook(self: &Arc<Self>, place: usize) -> Hook {
        let slot = Arc::clone(self);
        Arc::new(move || {
            if slot.place == place {
                slot.parts()
            }
        })
    }

    fn parts(&self) {
        // The listener may not be there yet: then a later call does it.
        let is_due = self.calls.is_over_now() || self.calls.is_over();
        let Some(listener) = self.listener.lock().take_if(|_| is_due) else { return };
        let shutdown = listener.shutdown();
        let is_told = if fastrand::bool() {
            drop(listener);
            true
        } else {
            matches!(listener.join(), Err(Error::JoinedByItself { .. }))
        };
        *self.parted.lock() = Some(Parted { is_told, is_stopped: shutdown.is_stopped() });
    }
}

#[test]
fn a_listener_that_its_own_consumer_drops_or_joins_stops_it_and_does_not_wait() {
    const PLACES: [&str; 5] = ["a store", "a client", "a notice", "a handler", "nobody"];
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let (place, calls) = (fastrand::usize(..4), Countdown::new(fastrand::u32(..4)));
        let (listener, parted) = (Mutex::default(), Mutex::default());
        let slot = Arc::new(Slot { place, calls, listener, parted });
        if place == 2 {
            // Shards stall.
            world.kinesis.fail_next(Operation::GetRecords, 1_000, ErrorClass::Transient);
        }
        let [of_store, of_client, of_notice, of_handler] = [0, 1, 2, 3].map(|at| slot.hook(at));
        let store = Hooked::new(Arc::clone(&world.store), &of_store);
        let client = Hooked::new(world.kinesis.clone(), &of_client);
        let config =
            World::config().stall_after(Duration::from_millis(100)).on_notice(move |_| of_notice());
        let stream = Stream::new(client, STREAM, store, config).unwrap();
        let takes = Arc::clone(&world);
        let handle = move |batch: &Batch| {
            of_handler();
            takes.take(batch);
            Ok(())
        };
        let listener = doors::spawn(stream, handle).unwrap();
        *slot.listener.lock() = Some(listener);
        current().sleep_for(END);
        // If the callback found it, its consumer has ended.
        let left = slot.listener.lock().take();
        let parted = left.is_none().then_some(Parted { is_told: true, is_stopped: true });
        assert_eq!(*slot.parted.lock(), parted);
        current().note(PLACES[if left.is_some() { 4 } else { place }]);
        drop(left);
        if place != 2 {
            world.read_the_rest();
            world.check();
        }
    });
    outcomes.each_occurs(&PLACES);
}

/// Its calls for records end only by an interrupt, which drops the listener before that.
#[derive(Clone)]
struct Interrupted {
    inside: MemoryKinesis,
    listener: Arc<Mutex<Option<Listener>>>,
    waiting: Arc<Mutex<Option<Sender<Infallible>>>>,
    interrupt: Receiver<Infallible>,
}

impl Client for Interrupted {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.inside.describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.inside.list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.inside.get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        let _ = sync::recv(&self.interrupt);
        self.inside.get_records(token, limit, call)
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        Some(Arc::new(self.clone()))
    }

    fn interrupt(&self) {
        let listener = self.listener.lock().take();
        drop(listener);
        drop(self.waiting.lock().take());
    }
}

#[test]
fn an_interrupt_that_drops_the_listener_does_not_wait_for_the_calls_that_it_ends() {
    try_all(|| {
        let world = World::new(2);
        let (waits, interrupt) = bounded(0);
        let (listener, waiting) = (Arc::default(), Arc::new(Mutex::new(Some(waits))));
        let client = Interrupted { inside: world.kinesis.clone(), listener, waiting, interrupt };
        let slot = Arc::clone(&client.listener);
        let store = Arc::clone(&world.store);
        let stream = Stream::new(client, STREAM, store, World::config()).unwrap();
        let listener = doors::spawn(stream, |_| Ok(())).unwrap();
        let shutdown = listener.shutdown();
        *slot.lock() = Some(listener);
        doors::stop_some_time(&shutdown);
        // A stop before there is a session interrupts it as soon as there is.
        current().sleep_for(END);
        assert!(slot.lock().is_none(), "it was interrupted");
    });
}

#[test]
fn a_panic_of_the_coordinator_interrupts_the_calls_in_progress() {
    const PANIC: &str = "in a notice";
    try_all(|| {
        let world = World::new(2);
        let (waits, interrupt) = bounded(0);
        let (listener, waiting) = (Arc::default(), Arc::new(Mutex::new(Some(waits))));
        let client = Interrupted { inside: world.kinesis.clone(), listener, waiting, interrupt };
        // Every shard stalls in its first call.
        let config = World::config().stall_after(Duration::from_millis(fastrand::u64(100..250)));
        let config = config.on_notice(|_| resume_unwind(Box::new(PANIC)));
        let stream = Stream::new(client, STREAM, Arc::clone(&world.store), config).unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| doors::run(stream, |_| Ok(()))));
        assert_eq!(ended.unwrap_err().downcast_ref::<&str>(), Some(&PANIC));
    });
}
