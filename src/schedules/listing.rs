//! Listings: before the start, and without a thread for them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::doors;
use super::hooked::{Hook, Hooked};
use super::slow;
use super::try_all;
use super::world::{SOON, STREAM, World, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::error::Error;
use crate::error::client::ErrorClass;
use crate::stream::Stream;
use crate::sync::Mutex;

#[test]
fn a_listing_before_the_start_is_stopped_soon_and_all_share_one_session() {
    const ENDS: [&str; 2] = ["listed", "stopped"];
    let outcomes = try_all(|| {
        let world = World::new(2);
        let (late, sessions) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        world.kinesis.set_page_size(STREAM, 1);
        let refusals = fastrand::usize(..8);
        let class = [ErrorClass::Throttled, ErrorClass::Transient][fastrand::usize(..2)];
        world.kinesis.fail_next(Operation::ListShards, refusals, class);
        let (slot, calls) = (Arc::new(OnceLock::<Shutdown>::new()), Arc::clone(&late));
        let stop = Arc::clone(&slot);
        let hook: Hook = Arc::new(move || {
            *calls.lock() += u32::from(stop.get().is_some_and(Shutdown::is_stopped));
            slow::takes("a call");
        });
        let opened = Arc::clone(&sessions);
        let opens: Hook = Arc::new(move || *opened.lock() += 1);
        let client = Hooked::new(world.kinesis.clone(), &hook).with_sessions(&opens);
        let store = Arc::clone(&world.store);
        let mut stream = Stream::new(client, STREAM, store, World::config()).unwrap();
        let shutdown = stream.shutdown();
        assert!(slot.set(shutdown.clone()).is_ok());
        let stops = || {
            current().sleep_for(Duration::from_millis(fastrand::u64(..4_000)));
            world.stops(|| doors::stop(&shutdown));
        };
        let lists = || match stream.shards() {
            Ok(shards) => {
                assert_eq!(shards.len(), 2);
                current().note(ENDS[0]);
            }
            Err(Error::Stopped { .. }) => {
                let took = world.since_stop();
                assert!(took < SOON, "{took:?}");
                current().note(ENDS[1]);
            }
            Err(other) => panic!("{other:?}"),
        };
        with_thread(stops, lists);
        assert!(*late.lock() <= 1, "calls were made after the stop");
        stream.listen(|_| Ok(())).unwrap();
        assert_eq!(*sessions.lock(), 1);
    });
    outcomes.each_occurs(&ENDS);
}

#[test]
fn a_listing_that_gets_no_thread_is_tried_again() {
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(2));
        let (stream, takes) = (world.stream(World::config()), Arc::clone(&world));
        if fastrand::bool() {
            // The stream's status is asked for.
            world.kinesis.fail_next(Operation::ListShards, 1, ErrorClass::InUse);
        }
        let from = fastrand::usize(..3);
        current().refuse_threads("kc-list", from..from + fastrand::usize(1..3));
        let shutdown = stream.shutdown();
        let handle = move |batch: &Batch| {
            takes.take_until_all(batch, &shutdown);
            Ok(())
        };
        doors::run(stream, handle).unwrap();
        if current().refused_threads() > 0 {
            current().note("refused");
        }
        world.check();
    });
    outcomes.each_occurs(&["refused"]);
}
