//! `listen`, stopped at any moment, and run again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::try_all;
use super::world::{World, a_while, beside, current};
use crate::control::shutdown::Shutdown;
use crate::sync;

/// One of the ways to stop, at some moment.
fn stop_some_time(shutdown: &Shutdown) {
    a_while();
    match fastrand::u32(..4) {
        0 => shutdown.now(),
        1 => shutdown.drain(Duration::from_millis(fastrand::u64(..100))),
        2 => {
            shutdown.drain(Duration::from_secs(10));
            shutdown.drain(Duration::from_millis(fastrand::u64(..20)));
        }
        _ => {
            shutdown.drain(Duration::from_secs(10));
            shutdown.now();
        }
    }
}

fn read_to_the_end(world: &World) {
    let stream = world.stream(World::config());
    let shutdown = stream.shutdown();
    if world.is_read() {
        return;
    }
    let ended = stream.listen(|batch| {
        world.take(batch);
        if world.is_read() {
            shutdown.now();
        }
        Ok(())
    });
    ended.unwrap();
}

#[test]
fn stopped_and_run_again_it_reads_each_record_once() {
    try_all("listen::stopped", || {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        beside(
            || stop_some_time(&shutdown),
            || {
                stream.listen(|batch| {
                    world.take(batch);
                    Ok(())
                })
            },
        )
        .unwrap();
        read_to_the_end(&world);
        world.check();
    });
}

#[test]
fn a_drain_ends_at_the_earliest_of_its_limits_after_the_batch_in_hand() {
    const BATCH: Duration = Duration::from_secs(1);
    try_all("listen::a_drain", || {
        let world = World::new(3);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let stopping = || {
            a_while();
            shutdown.drain(Duration::from_secs(60));
            a_while();
            shutdown.drain(Duration::from_millis(fastrand::u64(..20)));
            *world.stopped.lock() = Some(sync::now());
        };
        let listening = || {
            stream.listen(|batch| {
                current().sleep_for(BATCH);
                world.take(batch);
                Ok(())
            })
        };
        beside(stopping, listening).unwrap();
        let took = sync::since(world.stopped.lock().unwrap());
        assert!(took < BATCH + BATCH / 2, "{took:?}");
        read_to_the_end(&world);
        world.check();
    });
}

#[test]
fn a_panic_of_the_handler_comes_out_and_its_batch_comes_again() {
    try_all("listen::a_panic", || {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let (mut left, mut is_panicking) = (fastrand::u32(..3), false);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            stream.listen(|batch| {
                if left == 0 {
                    is_panicking = true;
                    std::panic::resume_unwind(Box::new("the handler panics"));
                }
                left -= 1;
                world.take(batch);
                if world.is_read() {
                    Err("all is read")?;
                }
                Ok(())
            })
        }));
        assert_eq!(ended.is_err(), is_panicking);
        if is_panicking {
            read_to_the_end(&world);
            world.check();
        }
    });
}

#[test]
fn paused_and_resumed_it_reads_everything() {
    try_all("listen::paused", || {
        let world = World::new(2);
        let stream = world.stream(World::config());
        let (pauses, shutdown) = (stream.pauses(), stream.shutdown());
        let pausing = || {
            for _ in 0..fastrand::u32(1..4) {
                pauses.pause_all();
                a_while();
                pauses.resume_all();
            }
        };
        let listening = || {
            stream.listen(|batch| {
                world.take(batch);
                if world.is_read() {
                    shutdown.now();
                }
                Ok(())
            })
        };
        beside(pausing, listening).unwrap();
        world.check();
    });
}
