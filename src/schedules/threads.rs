//! No thread to be had.

use std::sync::Arc;

use super::doors;
use super::try_all;
use super::world::{World, current};
use crate::delivery::batch::Batch;
use crate::error::Error;

#[test]
fn without_a_thread_the_run_ends_with_its_error_or_asks_again_and_nothing_is_lost() {
    const ENDS: [&str; 2] = ["an error", "all was read"];
    let outcomes = try_all(|| {
        let world = Arc::new(World::new(3));
        let (stream, takes) = (world.stream(World::config()), Arc::clone(&world));
        let shutdown = stream.shutdown();
        let from = fastrand::usize(..10);
        current().refuse_threads("", from..from + fastrand::usize(1..3));
        let ended = doors::run(stream, move |batch: &Batch| {
            takes.take_until_all(batch, &shutdown);
            Ok(())
        });
        current().note(ENDS[usize::from(ended.is_ok())]);
        if let Err(error) = ended {
            // A listing asks again.
            let is_final = matches!(&error, Error::Thread { thread, .. } if thread != "kc-list");
            assert!(is_final, "{error:?}");
        }
        current().refuse_threads("", 0..0);
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}
