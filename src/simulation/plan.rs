//! The decisions of a seed before the run.

use std::time::Duration;

use crate::config::Config;
use crate::core::settings::{OnForeign, OnGap};
use crate::delivery::on_error::OnError;
use crate::model::position::IteratorType;

use super::oddities::Oddities;
use super::world::epoch;

/// The plan of one simulated world.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) config: Config,
    pub(super) shards: usize,
    /// How long faults happen.
    pub(super) chaos: Duration,
    /// How many changes the stream has in that time, and how many before the first start.
    pub(super) happenings: u32,
    pub(super) history: u32,
    /// The chance that a call fails, that the store does, that the handler does.
    pub(super) call_faults: f64,
    pub(super) store_faults: f64,
    /// How often a write is refused because somebody else owns the shard.
    pub(super) losses: f64,
    pub(super) handler_faults: f64,
    /// The handler always refuses one record of this number; 0: none.
    pub(super) poison: u64,
    /// When every call fails: how far into the chaos, and for how long.
    pub(super) outage: (f64, Duration),
    /// The only operation that the outage affects.
    pub(super) outage_of: Option<&'static str>,
    /// How long a round of writes to the store may take.
    pub(super) flush_time: Duration,
    /// The mean time between crashes, and between orderly stops.
    pub(super) crashes: Duration,
    pub(super) stops: Duration,
    /// 0: a dispatcher; otherwise this many threads on a receiver.
    pub(super) threads: usize,
    pub(super) page_size: usize,
    pub(super) lists_first: bool,
    pub(super) announces_children: bool,
    pub(super) empty_answers: u32,
    /// Whether the stream may be created again, or be left alone for longer than its retention.
    pub(super) has_disasters: bool,
    /// Whether the store holds positions of another stream at first, and whether those are higher.
    pub(super) foreign: Option<bool>,
    pub(super) oddities: Oddities,
    /// Whether some records are aggregates, which are taken apart.
    pub(super) aggregates: bool,
    /// How many of the first shards are chosen, or have a start of their own; 0 is none.
    pub(super) chosen: usize,
    pub(super) own_starts: usize,
    /// How long no record comes after the faults, before new records are put.
    pub(super) quiet: Option<Duration>,
}

impl Scenario {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Self {
        let interval = pick(rng, &[100, 250, 1000, 1000, 5000, 400_000]);
        let interval = Duration::from_millis(interval);
        let iterator_type = match rng.u8(0..8) {
            0..4 => IteratorType::TrimHorizon,
            4..7 => IteratorType::Latest,
            _ => IteratorType::AtTimestamp(epoch() + Duration::from_millis(rng.u64(0..20_000))),
        };
        use OnForeign::{Earliest, Fail, Latest};
        let config = Config::new()
            .interval(interval)
            .iterator_type(iterator_type)
            .limit(pick(rng, &[1, 3, 10, 10_000]))
            .capacity(pick(rng, &[1, 2, 16]))
            .on_gap(OnGap::new().foreign(pick(rng, &[Fail, Fail, Earliest, Latest])));
        let waits = [None, None, Some((1, 100)), Some((3, 2000)), Some((100, 10_000))];
        let config = match pick(rng, &waits) {
            Some((batches, millis)) => config.store_every(batches, Duration::from_millis(millis)),
            None => config,
        };
        let (on_error, poison) = on_error(rng);
        let config = config.on_error(on_error);
        let (config, aggregates) = aggregated(config, rng);
        let has_disasters = pick(rng, &[true, false, false]);
        let chosen = if has_disasters { 0 } else { pick(rng, &[0, 0, 0, 1, 2]) };
        let own_starts = if has_disasters { 0 } else { pick(rng, &[0, 0, 0, 1, 2]) };
        let is_slow = interval > Duration::from_secs(60);
        let chaos = (interval * rng.u32(10..60)).max(Duration::from_secs(20));
        Self {
            config,
            shards: rng.usize(1..4),
            chaos,
            happenings: rng.u32(10..60),
            history: rng.u32(0..20),
            call_faults: pick(rng, &[0.0, 0.02, 0.1, 0.3]),
            store_faults: pick(rng, &[0.0, 0.05, 0.3, 0.5]),
            losses: pick(rng, &[0.0, 0.0, 0.0, 0.02]),
            handler_faults: pick(rng, &[0.0, 0.0, 0.01, 0.05]),
            poison,
            outage: (
                rng.f64(),
                Duration::from_secs(pick(rng, &[0, 0, 90, 90, 1200]).min(chaos.as_secs())),
            ),
            outage_of: pick(
                rng,
                &[None, Some("ListShards"), Some("ListShards"), Some("GetRecords")],
            ),
            flush_time: Duration::from_millis(pick(rng, &[10, 3000, 9000])),
            crashes: chaos.mul_f64(pick(rng, &[0.1, 0.3, 1.0, 10.0])),
            stops: chaos.mul_f64(pick(rng, &[0.3, 1.0, 10.0])),
            threads: pick(rng, &[0, 0, 1, 3]),
            // Both need a listed stream.
            lists_first: own_starts + chosen > 0 || pick(rng, &[false, false, true]),
            page_size: pick(rng, &[1, 3, 1000]),
            announces_children: rng.bool(),
            empty_answers: pick(rng, &[0, 0, 1, 2]),
            has_disasters,
            foreign: if rng.u8(0..8) == 0 { Some(rng.bool()) } else { None },
            oddities: Oddities::new(rng),
            aggregates,
            chosen,
            own_starts,
            quiet: is_slow
                .then(|| Duration::from_secs(3600 * rng.u64(26..60)))
                .filter(|_| rng.bool()),
        }
    }
}

pub(super) fn pick<T: Copy>(rng: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[rng.usize(0..choices.len())]
}

/// Whether records may be aggregates, and the setting for that.
#[cfg(feature = "kpl")]
fn aggregated(config: Config, rng: &mut fastrand::Rng) -> (Config, bool) {
    match pick(rng, &[true, false, false]) {
        true => (config.deaggregation(crate::record::aggregate::Deaggregation::All), true),
        false => (config, false),
    }
}

#[cfg(not(feature = "kpl"))]
fn aggregated(config: Config, _: &mut fastrand::Rng) -> (Config, bool) {
    (config, false)
}

/// A policy, and how many records the handler takes for each record that it refuses: only if a refused record may be
/// put aside.
fn on_error(rng: &mut fastrand::Rng) -> (OnError, u64) {
    let attempts = pick(rng, &[Some(1), Some(1), Some(3), None]);
    let halve = rng.bool();
    let on_error = OnError::retry(attempts).halve(halve);
    let on_error = match pick(rng, &[None, None, Some(10), Some(100_000)]) {
        Some(seconds) => on_error.max_record_age(Duration::from_secs(seconds)),
        None => on_error,
    };
    match attempts {
        Some(_) => (on_error, pick(rng, &[0, 5, 50])),
        None => (on_error, 0),
    }
}
