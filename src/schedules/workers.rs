//! Several workers, through a split and a merge.

use super::try_all;
use super::world::{STREAM, World, a_while, with_thread};
use crate::delivery::batch::Batch;

#[test]
fn children_come_after_their_parents_whoever_works() {
    try_all(|| {
        let world = World::new(1);
        // All of it is put before the last record is read, or the run would end.
        let kinesis = &world.kinesis;
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let resharding = || {
            let [low, high] = kinesis.split(STREAM, "shardId-000000000000");
            world.put(4);
            a_while();
            kinesis.merge(STREAM, &low, &high);
            world.put(4);
            a_while();
            a_while();
            shutdown.now();
        };
        let working = || {
            stream.listen_workers(2, |_| {
                |batch: &Batch| {
                    world.take(batch);
                    Ok(())
                }
            })
        };
        with_thread(resharding, working).unwrap();
        world.read_the_rest();
        world.check();
    });
}
