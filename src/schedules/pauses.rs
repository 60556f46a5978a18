//! Pauses of all shards and of one, which several threads change at the same time.

use std::time::Duration;

use super::try_all;
use super::world::{World, a_while, current, with_thread};
use crate::client::memory::fault::Operation;
use crate::config::Config;
use crate::sync;

const FIRST: &str = "shardId-000000000000";
const SECOND: &str = "shardId-000000000001";

/// Longer than a consumer of these scenarios is silent while there are records.
const SILENCE: Duration = Duration::from_millis(500);

/// Each shard is read at one go.
fn config() -> Config {
    World::config().limit(10)
}

#[test]
fn a_pause_of_one_shard_holds_up_that_one_alone_and_also_before_the_start() {
    try_all(|| {
        let world = World::new(2);
        world.put_to_each();
        let stream = world.stream(config());
        let (pauses, shutdown) = (stream.pauses(), stream.shutdown());
        for shard in [FIRST, SECOND] {
            pauses.pause(shard);
        }
        let pausing = || {
            a_while();
            assert_eq!(world.kinesis.calls(Operation::GetShardIterator), 0, "both are paused");
            let (one, other) = if fastrand::bool() { (FIRST, SECOND) } else { (SECOND, FIRST) };
            pauses.resume(one);
            current().sleep_for(SILENCE);
            assert!(world.has_read(one) && !world.has_read(other));
            if fastrand::bool() {
                pauses.resume(other)
            } else {
                pauses.resume_all()
            }
            current().sleep_for(SILENCE);
            assert!(world.is_read());
            shutdown.now();
        };
        let listening = || {
            stream.listen(|batch| {
                world.take(batch);
                Ok(())
            })
        };
        with_thread(pausing, listening).unwrap();
        world.check();
    });
}

#[test]
fn of_a_pause_and_a_resume_at_the_same_time_the_last_one_counts() {
    const ENDS: [&str; 2] = ["it continues", "it is paused"];
    let outcomes = try_all(|| {
        let world = World::new(2);
        let stream = world.stream(config());
        let (pauses, shutdown) = (stream.pauses(), stream.shutdown());
        pauses.pause_all();
        let resumes = || {
            let (some, others) = (fastrand::u32(..40), fastrand::u32(..40));
            with_thread(
                || {
                    (0..some).for_each(|_| sync::point());
                    pauses.resume_all();
                },
                || {
                    (0..others).for_each(|_| sync::point());
                    pauses.pause_all();
                },
            );
            let is_paused = format!("{pauses:?}").contains("all: true");
            current().sleep_for(SILENCE);
            let calls = world.kinesis.calls(Operation::GetRecords);
            current().sleep_for(SILENCE);
            let more = world.kinesis.calls(Operation::GetRecords) - calls;
            assert_eq!(is_paused, more == 0, "{more} calls");
            current().note(ENDS[usize::from(is_paused)]);
            shutdown.now();
        };
        let listening = || {
            stream.listen(|batch| {
                world.take(batch);
                Ok(())
            })
        };
        with_thread(resumes, listening).unwrap();
        world.read_the_rest();
        world.check();
    });
    outcomes.each_occurs(&ENDS);
}
