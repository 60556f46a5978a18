//! A store, a client, a notice or a worker that panics: it comes out, and nothing is lost.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::doors;
use super::hooked::{Countdown, Hook, Hooked};
use super::refusing::{Refusing, not_now};
use super::try_all;
use super::world::{STREAM, World, current, with_thread};
use crate::config::Config;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::stream::Stream;
use crate::sync::{self, Mutex};

const PANIC: &str = "as the scenario wants";

/// How long a run may continue after a panic, in virtual time: a slow machine takes a part of it.
const SOON: Duration = Duration::from_millis(200);

/// How the runs end: the panic came out, or there was none.
const ENDS: [&str; 2] = ["it panicked", "it was stopped"];

/// Panics at one of its calls.
#[derive(Default)]
struct Bomb {
    calls: Countdown,
    went_off: Mutex<Option<Instant>>,
}

impl Bomb {
    fn new(calls: u32) -> Arc<Self> {
        Arc::new(Self { calls: Countdown::new(calls), ..Self::default() })
    }

    fn hook(self: &Arc<Self>) -> Hook {
        let bomb = Arc::clone(self);
        Arc::new(move || bomb.counts())
    }

    fn counts(&self) {
        if self.calls.is_over_now() {
            *self.went_off.lock() = Some(sync::now());
            resume_unwind(Box::new(PANIC));
        }
    }
}

/// Few calls before the stop.
fn config() -> Config {
    World::config().interval(Duration::from_millis(100))
}

/// Reads through one of the doors, until the bomb goes off or a stop comes long after that, and checks the end.
fn comes_out(world: &Arc<World>, stream: Stream, bomb: &Bomb) {
    let (shutdown, takes) = (stream.shutdown(), Arc::clone(world));
    let stops = || {
        current().sleep_for(Duration::from_millis(600));
        shutdown.now();
    };
    let runs = || {
        let handle = move |batch: &Batch| {
            takes.take(batch);
            Ok(())
        };
        let ended = catch_unwind(AssertUnwindSafe(|| doors::run(stream, handle)));
        let went_off = *bomb.went_off.lock();
        match ended {
            Ok(ended) => {
                ended.unwrap();
                assert!(went_off.is_none(), "the panic did not come out");
                current().note(ENDS[1]);
            }
            Err(panic) => {
                assert_eq!(panic.downcast_ref::<&str>(), Some(&PANIC));
                let took = sync::since(went_off.expect("that is its panic"));
                assert!(took < SOON, "{took:?}");
                current().note(ENDS[0]);
            }
        }
    };
    with_thread(stops, runs);
    world.kinesis.hang(STREAM, false);
    world.read_the_rest();
}

#[test]
fn a_panic_of_the_store_ends_the_run_and_comes_out() {
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let bomb = Bomb::new(fastrand::u32(..10));
        let store = Hooked::new(Arc::clone(&world.store), &bomb.hook());
        let config = config().store_every(fastrand::u32(1..3), Duration::from_secs(60));
        let stream = Stream::new(world.kinesis.clone(), STREAM, store, config).unwrap();
        comes_out(&world, stream, &bomb);
        world.check_that_nothing_is_lost();
    });
    outcomes.each_occurs(&ENDS);
}

#[test]
fn a_panic_of_the_client_ends_the_run_and_what_was_handled_is_stored() {
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let bomb = Bomb::new(fastrand::u32(..30));
        let client = Hooked::new(world.kinesis.clone(), &bomb.hook());
        let config = config().store_every(fastrand::u32(1..3), Duration::from_secs(60));
        let stream = Stream::new(client, STREAM, Arc::clone(&world.store), config).unwrap();
        comes_out(&world, stream, &bomb);
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}

#[test]
fn a_panic_in_a_notice_ends_the_run_and_comes_out() {
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let (bomb, kinesis) = (Bomb::new(fastrand::u32(..3)), world.kinesis.clone());
        let hook = bomb.hook();
        let config = config()
            .stall_after(Duration::from_millis(fastrand::u64(100..250)))
            .on_notice(move |_| hook());
        let stream = world.stream(config);
        // Some call hangs, and so its shard stalls.
        let hangs = fastrand::u64(..200);
        let hanging = || {
            current().sleep_for(Duration::from_millis(hangs));
            kinesis.hang(STREAM, true);
        };
        with_thread(hanging, || comes_out(&world, stream, &bomb));
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}

#[test]
fn a_panic_of_a_worker_ends_the_others_after_the_batch_in_hand() {
    let outcomes = try_all(|| {
        let world = World::new(3);
        let (bomb, stream) = (Bomb::new(fastrand::u32(..6)), world.stream(config()));
        let shutdown = stream.shutdown();
        let working = || {
            stream.listen_workers(3, |_| {
                |batch: &Batch| {
                    bomb.counts();
                    current().sleep_for(Duration::from_millis(fastrand::u64(..50)));
                    world.take_until_all(batch, &shutdown);
                    Ok(())
                }
            })
        };
        match catch_unwind(AssertUnwindSafe(working)) {
            Ok(ended) => {
                ended.unwrap();
                current().note(ENDS[1]);
            }
            Err(panic) => {
                assert_eq!(panic.downcast_ref::<&str>(), Some(&PANIC));
                current().note(ENDS[0]);
            }
        }
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}

#[test]
fn of_several_panics_the_first_one_comes_out_and_no_error_hides_it() {
    const OTHER: &str = "another panic";
    const NONE: &str = "an error";
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let (bomb, slot) = (Bomb::new(fastrand::u32(1..3)), Arc::new(OnceLock::new()));
        let stop = Arc::clone(&slot);
        let waits_and_panics: Hook = Arc::new(move || {
            // Some calls wait for the stop, which the first panic brings.
            if fastrand::u32(..12) == 0 {
                let stop: &Shutdown = stop.get().expect("it is set before the run");
                let _ = sync::recv(stop.reading_stopped());
                current().note(OTHER);
                resume_unwind(Box::new(OTHER));
            }
        });
        let client = Hooked::new(world.kinesis.clone(), &waits_and_panics);
        // Nothing is written before the end.
        let config = config().store_every(100, Duration::from_secs(60));
        let store = Refusing { inside: Arc::clone(&world.store), refuses: |_: &str| not_now(true) };
        let stream = Stream::new(client, STREAM, store, config).unwrap();
        let shutdown = stream.shutdown();
        assert!(slot.set(shutdown.clone()).is_ok());
        let stops = || {
            current().sleep_for(Duration::from_millis(600));
            bomb.calls.disarm();
            shutdown.now();
        };
        let (goes_off, takes) = (Arc::clone(&bomb), Arc::clone(&world));
        let handle = move |batch: &Batch| {
            goes_off.counts();
            takes.take(batch);
            Ok(())
        };
        let runs = || catch_unwind(AssertUnwindSafe(|| doors::run(stream, handle)));
        match (with_thread(stops, runs), bomb.calls.is_over()) {
            (Err(panic), is_first) => {
                let text = if is_first { PANIC } else { OTHER };
                assert_eq!(panic.downcast_ref::<&str>(), Some(&text));
                current().note(text);
            }
            (Ok(ended), false) => {
                assert_eq!(ended.is_err(), world.count() > 0, "{ended:?}");
                current().note(NONE);
            }
            (Ok(ended), true) => panic!("{ended:?} hides the panic"),
        }
    });
    outcomes.each_occurs(&[PANIC, OTHER, NONE]);
}
