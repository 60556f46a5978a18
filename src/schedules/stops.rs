//! Stops of every door: at any moment, from callbacks, and while something hangs until then.

use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::doors;
use super::hooked::{Countdown, Hook, Hooked};
use super::try_all;
use super::world::{SOON, STREAM, World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::control::pause::Pauses;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::engine::monitor::Monitor;
use crate::error::client::ErrorClass;
use crate::stream::Stream;
use crate::sync::{self, Mutex};

#[test]
fn whatever_door_is_stopped_soon_and_the_rest_comes_once() {
    try_all(|| {
        let world = Arc::new(World::new(2));
        let (stream, takes) = (world.stream(World::config()), Arc::clone(&world));
        let shutdown = stream.shutdown();
        let stops = || {
            a_while();
            world.stops(|| doors::stop(&shutdown));
        };
        let runs = || {
            let handle = move |batch: &Batch| {
                takes.take(batch);
                Ok(())
            };
            doors::run(stream, handle)
        };
        with_thread(stops, runs).unwrap();
        let took = world.since_stop();
        assert!(took < SOON, "{took:?}");
        world.read_the_rest();
        world.check();
    });
}

#[test]
fn after_a_stop_no_further_batch_is_handled() {
    try_all(|| {
        let world = World::new(3);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let mut left = fastrand::u32(..3);
        let ended = stream.listen(|batch| {
            assert!(!shutdown.is_stopped());
            world.take(batch);
            // The queue is full by then.
            current().sleep_for(Duration::from_millis(fastrand::u64(..200)));
            if left == 0 || world.is_read() {
                shutdown.now();
            }
            left = left.wrapping_sub(1);
            Ok(())
        });
        ended.unwrap();
        world.read_the_rest();
        world.check();
    });
}

/// Waits for the stop at one of its calls.
struct Hang {
    calls: Countdown,
    shutdown: OnceLock<Shutdown>,
}

impl Hang {
    fn counts(&self) {
        if self.calls.is_over_now() {
            let shutdown = self.shutdown.get().expect("nothing runs before it is set");
            let _ = sync::recv(shutdown.reading_stopped());
        }
    }
}

#[test]
fn what_hangs_until_the_stop_is_then_done_and_stored() {
    const ENDS: [&str; 3] = ["the store hung", "the handler hung", "neither"];
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let calls = Countdown::new(fastrand::u32(..4));
        let hang = Arc::new(Hang { calls, shutdown: OnceLock::new() });
        let of_store = fastrand::bool();
        let hangs = |is_its: bool| -> Hook {
            let hang = Arc::clone(&hang);
            Arc::new(move || {
                if is_its {
                    hang.counts()
                }
            })
        };
        let store = Hooked::new(Arc::clone(&world.store), &hangs(of_store));
        let config = World::config().store_every(fastrand::u32(1..3), Duration::from_secs(60));
        let stream = Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap();
        let (shutdown, handles, takes) = (stream.shutdown(), hangs(!of_store), Arc::clone(&world));
        hang.shutdown.set(shutdown.clone()).unwrap();
        let stops = || {
            a_while();
            world.stops(|| doors::stop(&shutdown));
        };
        let handle = move |batch: &Batch| {
            handles();
            takes.take(batch);
            Ok(())
        };
        with_thread(stops, || doors::run(stream, handle)).unwrap();
        let took = world.since_stop();
        assert!(took < SOON, "{took:?}");
        current().note(ENDS[if !hang.calls.is_over() { 2 } else { usize::from(!of_store) }]);
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}

/// A callback that uses the handles of its own run, and stops it at one of its calls.
struct Caller {
    world: Arc<World>,
    place: usize,
    calls: Countdown,
    handles: OnceLock<(Shutdown, Monitor, Pauses)>,
}

impl Caller {
    fn hook(self: &Arc<Self>, place: usize) -> Hook {
        let caller = Arc::clone(self);
        Arc::new(move || {
            if caller.place == place {
                caller.acts()
            }
        })
    }

    fn acts(&self) {
        let (shutdown, monitor, pauses) = self.handles.get().expect("they are set first");
        drop(monitor.progress());
        pauses.pause_all();
        pauses.resume_all();
        if self.calls.is_over_now() {
            self.world.stops(|| doors::stop(shutdown));
        }
    }
}

#[test]
fn a_callback_may_look_at_its_run_and_pause_and_stop_it() {
    const PLACES: [&str; 4] = ["a store", "a client", "a notice", "a handler"];
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let place = fastrand::usize(..4);
        // So many calls come for sure.
        let calls = Countdown::new(fastrand::u32(..[2, 10, 2, 1][place]));
        let (handles, of) = (OnceLock::new(), Arc::clone(&world));
        let caller = Arc::new(Caller { world: of, place, calls, handles });
        if place == 2 {
            // Shards stall.
            world.kinesis.fail_next(Operation::GetRecords, 1_000, ErrorClass::Transient);
        }
        let [of_store, of_client, of_notice, of_handler] = [0, 1, 2, 3].map(|at| caller.hook(at));
        let store = Hooked::new(Arc::clone(&world.store), &of_store);
        let client = Hooked::new(world.kinesis.clone(), &of_client);
        let config =
            World::config().stall_after(Duration::from_millis(200)).on_notice(move |_| of_notice());
        let stream = Stream::new(client, STREAM, store, config).unwrap();
        let handles = (stream.shutdown(), stream.monitor(), stream.pauses());
        assert!(caller.handles.set(handles).is_ok());
        let takes = Arc::clone(&world);
        let handle = move |batch: &Batch| {
            of_handler();
            takes.take(batch);
            Ok(())
        };
        doors::run(stream, handle).unwrap();
        let took = world.since_stop();
        assert!(took < SOON, "{took:?}");
        current().note(PLACES[place]);
    });
    outcomes.each_occurs(&PLACES);
}

#[test]
fn a_hook_of_a_stop_is_called_once_whenever_it_is_registered() {
    try_all(|| {
        let shutdown = Shutdown::new();
        let calls = Arc::new(Mutex::new([0; 4]));
        let register = |hook: usize| {
            let (own, calls) = (shutdown.clone(), Arc::clone(&calls));
            shutdown.on_stop(move || {
                assert!(own.is_stopped());
                calls.lock()[hook] += 1;
                // The others are called all the same.
                if hook == 0 {
                    resume_unwind(Box::new("as the scenario wants"));
                }
            });
        };
        register(0);
        register(1);
        with_thread(
            || doors::stop(&shutdown),
            || {
                with_thread(|| doors::stop(&shutdown), || [2, 3].into_iter().for_each(register));
            },
        );
        assert_eq!(*calls.lock(), [1; 4]);
    });
}
