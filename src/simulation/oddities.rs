//! Odd behaviour of servers and clocks that no document excludes.

use std::time::{Duration, SystemTime};

use super::machine::Machine;
use super::plan::pick;
use super::world::{STREAM, World};
use crate::model::listed::ShardPage;
use crate::model::shard::{ChildShard, HashKeyRange};
use crate::model::token::ShardIterator;
use crate::record::answer::Answer;

/// The odd behaviour of one world's service, and of its consumer's clock.
#[derive(Debug)]
pub(super) struct Oddities {
    /// Whether answers may have no next token and no children, although the shard continues.
    ends_without_proof: bool,
    /// The smallest value that an answer gives for how far it is behind.
    least_lag: Option<Duration>,
    /// Whether answers may leave out optional fields.
    leaves_out: bool,
    /// Whether children are told by their ids alone.
    names_children_only: bool,
    /// Whether answers have a date.
    has_date: bool,
    /// How far the consumer's clock is ahead of the service's, and whether it is behind instead.
    skew: Duration,
    is_behind: bool,
    /// Whether a listing may lack a shard.
    has_holes: bool,
}

impl Oddities {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Self {
        let lag = pick(rng, &[None, None, None, Some(1), Some(1500)]);
        Self {
            ends_without_proof: pick(rng, &[true, false, false]),
            least_lag: lag.map(Duration::from_millis),
            leaves_out: pick(rng, &[true, false, false]),
            names_children_only: pick(rng, &[true, false, false]),
            has_date: pick(rng, &[true, false]),
            skew: Duration::from_secs(pick(rng, &[0, 1, 250, 250, 250, 1200])),
            is_behind: rng.bool(),
            has_holes: pick(rng, &[true, false, false]),
        }
    }

    /// Whether answers say that there is nothing left to read.
    pub(super) fn tells_the_tip(&self) -> bool {
        self.least_lag.is_none()
    }
}

/// Nearly the largest clock difference that a service with signatures accepts.
const MAX_SKEW: Duration = Duration::from_secs(250);

/// The time on the consumer's machine.
pub(super) fn wall(machine: &Machine<'_>) -> SystemTime {
    let Oddities { has_date, skew, is_behind, .. } = machine.world.scenario.oddities;
    let now = machine.wall();
    // A service that does not send its clock checks signatures at least; otherwise the place of `Latest` is unknowable.
    let skew = if has_date { skew } else { skew.min(MAX_SKEW) };
    if is_behind { now - skew } else { now + skew }
}

/// An iterator as the service gives it.
pub(super) fn iterator(world: &mut World, mut given: ShardIterator) -> ShardIterator {
    if !world.scenario.oddities.has_date {
        given.server_time = None;
        world.counts.fault("iterator without a date");
    }
    if !world.scenario.oddities.skew.is_zero() {
        world.counts.fault("iterator to a clock that is wrong");
    }
    given
}

/// An answer as the service gives it.
pub(super) fn answer(world: &mut World, shard: &str, mut given: Answer) -> Answer {
    if !world.scenario.oddities.has_date {
        given.server_time = None;
    }
    if let Some(least) = world.scenario.oddities.least_lag {
        world.counts.fault("lag that is never zero");
        given.behind_latest = given.behind_latest.max(Some(least));
    }
    if world.scenario.oddities.leaves_out && world.rng.u8(0..4) == 0 {
        world.counts.fault("answer without a lag");
        given.behind_latest = None;
    }
    if world.scenario.oddities.names_children_only && !given.children.is_empty() {
        world.counts.fault("children by their ids alone");
        let id = |child: &ChildShard| ChildShard::new(&*child.id, Vec::new(), HashKeyRange::ALL);
        given.children = given.children.iter().map(id).collect();
    }
    if world.is_chaotic && world.scenario.oddities.ends_without_proof && world.rng.u8(0..20) == 0 {
        end_without_proof(world, shard, &mut given);
    }
    given
}

/// For an open shard at any time. For a closed shard only once: at last it must be accepted.
fn end_without_proof(world: &mut World, shard: &str, given: &mut Answer) {
    let is_open = open(world, shard);
    let is_told = given.behind_latest.is_some_and(|behind| !behind.is_zero());
    if given.next.is_none() || !is_open && (!is_told || !world.false_ends.insert(shard.to_owned()))
    {
        return;
    }
    world.counts.fault(if is_open { "end of an open shard" } else { "end that is behind" });
    given.next = None;
}

fn open(world: &World, id: &str) -> bool {
    let shards = world.kinesis.shards(STREAM);
    shards.iter().any(|shard| shard.id() == id && !shard.is_closed())
}

/// A page of a listing, which may lack a shard. The first listing may lack only an open shard, since a closed shard
/// that nothing else names counts as aged out.
pub(super) fn listed(world: &mut World, mut page: ShardPage, is_first: bool) -> ShardPage {
    let is_hit = world.is_chaotic && world.scenario.oddities.has_holes && world.rng.u8(0..6) == 0;
    // A stream that lists nothing at its first start has no shards.
    if is_hit && page.shards.len() > 1 {
        let place = world.rng.usize(0..page.shards.len());
        let hidden = page.shards[place].id().to_owned();
        // Not the same shard twice in a row: a hole is a thing that passes.
        let may_hide = !is_first || !page.shards[place].is_closed();
        if may_hide && world.hidden.replace(hidden.clone()) != Some(hidden) {
            world.counts.fault("listing with a hole");
            page.shards.remove(place);
        }
    }
    page
}
