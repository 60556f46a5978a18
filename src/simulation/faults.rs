//! Calls that go wrong.

use std::time::Duration;

use super::oddities;
use super::plan::pick;
use super::world::World;
use crate::client::Client;
use crate::control::call::Call;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::token::Token;
use crate::record::Records;
use crate::record::answer::Answer;

use ErrorClass::{Credentials, ExpiredIterator, Fatal, NotFound, Throttled, TooLarge, Transient};

/// The faults of any call, with their names in the counts; a fault in two entries is more frequent.
const ANY: [(&str, ErrorClass); 7] = [
    ("throttled", Throttled),
    ("throttled", Throttled),
    ("failed in the service", Transient),
    ("answer makes no sense", Transient),
    ("answer cut, or too late", TooLarge),
    ("credentials refused", Credentials),
    ("refused for a moment", Fatal),
];
/// The other faults of the calls for one shard.
const READS: [(&str, ErrorClass); 4] = [
    ("iterator expired", ExpiredIterator),
    ("not found for a moment", NotFound),
    ("answer cut, or too late", TooLarge),
    ("throttled", Throttled),
];

/// How long a call takes.
pub(super) fn latency(world: &mut World) -> Duration {
    let is_stalled = world.is_chaotic && world.rng.u32(0..500) == 0;
    if is_stalled {
        world.counts.fault("answer stalled");
    }
    Duration::from_millis(if is_stalled { 310_000 } else { world.rng.u64(1..50) })
}

/// A call that may fail instead.
pub(super) fn call<T>(
    world: &mut World,
    operation: &'static str,
    act: impl FnOnce(&mut World) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let is_hit = world.scenario.outage_of.is_none_or(|only| only == operation);
    if world.is_chaotic && is_hit && world.outage.contains(&world.now()) {
        world.counts.fault("service out");
        return Err(ClientError::new(Transient, operation, "the service is out"));
    }
    if !goes_wrong(world) {
        return act(world);
    }
    if world.rng.u8(0..10) == 0 {
        world.counts.fault("done, answer lost");
        let _ = act(world); // nobody learns what came of it
        return Err(ClientError::new(Transient, operation, "the answer is lost"));
    }
    let is_read = matches!(operation, "GetRecords" | "GetShardIterator") && world.rng.bool();
    let (name, class) =
        if is_read { pick(&mut world.rng, &READS) } else { pick(&mut world.rng, &ANY) };
    world.counts.fault(name);
    let error = ClientError::new(class, operation, "picked by the seed");
    Err(if class == Fatal { error.with_passing() } else { error })
}

/// `GetRecords`, which may also answer without records although there are some.
pub(super) fn get_records(
    world: &mut World,
    shard: &str,
    token: &Token,
    limit: u32,
) -> Result<Answer, ClientError> {
    if world.rng.u8(0..10) == 0 && goes_wrong(world) {
        world.counts.fault("empty answer while behind");
        let behind_latest = Some(Duration::from_millis(1));
        let next = Some(token.clone());
        return Ok(Answer { behind_latest, ..Answer::new(Records::empty(), next) });
    }
    let answer = call(world, "GetRecords", |world| {
        world.kinesis.get_records(token, limit, &Call::unbounded())
    });
    answer.map(|answer| oddities::answer(world, shard, answer))
}

fn goes_wrong(world: &mut World) -> bool {
    world.is_chaotic && world.rng.f64() < world.scenario.call_faults
}
