//! Several workers, through a split and a merge.

use super::try_all;
use super::world::{STREAM, World, a_while, beside};
use crate::delivery::batch::Batch;

#[test]
fn children_come_after_their_parents_whoever_works() {
    try_all("workers::children", || {
        let mut world = World::new(1);
        let kinesis = world.kinesis.clone();
        let [low, high] = kinesis.split(STREAM, "shardId-000000000000");
        world.put(4);
        let stream = world.stream(World::config());
        let shutdown = stream.shutdown();
        let (world, merge) = (&world, || {
            a_while();
            kinesis.merge(STREAM, &low, &high);
        });
        let working = || {
            stream.listen_workers(2, |_| {
                |batch: &Batch| {
                    world.take(batch);
                    if world.is_read() {
                        shutdown.now();
                    }
                    Ok(())
                }
            })
        };
        beside(merge, working).unwrap();
        world.check();
    });
}
