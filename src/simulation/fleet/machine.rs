//! What a worker must offer to play in a fleet, and what it has of the world.

use std::time::Duration;

use super::oracle::HandOver;
use super::table::WorkersTable;
use super::world::{STREAM, Task, World};
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::row::Row;
use crate::error::Error;
use crate::error::lease_table::LeaseTableError;
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::position::Position;
use crate::model::shard::Shard;
use crate::model::write::{Applied, Write};
use crate::store::leases::LeaseTable;

/// One life of a worker, from its start to its end or crash.
///
/// It plans its tasks with [`Machine::plan`], each when the worker begins or does another one; what it has to do next, and
/// when, is the world's timeline. Whatever it hands over, it tells with [`Machine::hands_over`].
pub(super) trait Worker {
    /// Begins: plans the first tasks.
    fn begin(&mut self, machine: &mut Machine<'_>);

    /// Does a task that it has planned, or hears what became of a call.
    fn does(&mut self, machine: &mut Machine<'_>, task: Task);

    /// Is asked to stop, and to handle what it has read for so long at most. Returns whether it knows how.
    fn stop(&mut self, _: &mut Machine<'_>, _: Option<Duration>) -> bool {
        false
    }

    /// Whether it has come to its end by itself.
    fn is_over(&self) -> bool {
        false
    }

    /// What it failed with.
    fn result(&self) -> Option<&Error> {
        None
    }
}

/// The machine of one worker: the world, as that worker sees it.
pub(super) struct Machine<'a> {
    pub(super) world: &'a mut World,
    /// Whose it is.
    pub(super) worker: usize,
}

/// A call of the table.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Page(Option<PageToken>),
    Get(String),
    Apply(Write),
}

/// What became of a call, with the number that it had.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) number: u64,
    pub(super) answer: Answer,
}

/// What the table has answered.
#[derive(Debug)]
pub(super) enum Answer {
    Page(Result<Page, LeaseTableError>),
    Get(Result<Option<Item>, LeaseTableError>),
    Apply(Result<Applied, LeaseTableError>),
}

impl Machine<'_> {
    /// What its two clocks show.
    pub(super) fn now(&self) -> Moment {
        self.world.timeline.moment(self.worker)
    }

    /// A task of the worker's present life, after so long by its clock.
    pub(super) fn plan(&mut self, after: Duration, task: Task) {
        self.world.timeline.plan_for(self.worker, after, task);
    }

    /// Calls the table; a holder's write, or one that makes the worker the holder, in the tenure of the lease that it
    /// writes. The reply comes as [`Task::Reply`], with the number
    /// that this returns. What was sent is done even if the worker dies meanwhile.
    pub(super) fn call(&mut self, request: Request, tenure: Option<&str>) -> u64 {
        self.world.send(self.worker, request, tenure)
    }

    /// The table, for calls that take no time, as in a tenure's store.
    pub(super) fn table(&self) -> WorkersTable {
        self.world.table.of(self.worker)
    }

    /// The shards of the stream.
    pub(super) fn shards(&self) -> Vec<Shard> {
        self.world.kinesis.shards(STREAM)
    }

    /// The next records of a shard after this one, at most so many.
    pub(super) fn records(
        &self,
        shard: &str,
        after: Option<&Position>,
        most: usize,
    ) -> Vec<Position> {
        self.world.oracle.lock().after(shard, after, most)
    }

    /// The last record that a row says is done.
    pub(super) fn done(&self, row: &Row) -> Option<Position> {
        self.world.oracle.lock().position(&row.shard, &row.checkpoint)
    }

    /// Whether no record comes any more.
    pub(super) fn is_closed(&self, shard: &str) -> bool {
        self.world.oracle.lock().is_closed(shard)
    }

    /// Records begin to be handled, for the first time in this tenure.
    pub(super) fn hands_over(&mut self, tenure: &str, shard: &str, records: &[Position]) {
        let given = HandOver { worker: self.worker, tenure, shard, records };
        self.world.oracle.lock().hands_over(&given);
    }

    /// The handler is done with these records.
    pub(super) fn handled(&mut self, shard: &str, records: &[Position]) {
        self.world.oracle.lock().handled(shard, records);
    }
}

impl Request {
    /// Does it now.
    pub(super) fn done_by(&self, table: &WorkersTable) -> Answer {
        match self {
            Self::Page(after) => Answer::Page(table.page(after.as_ref())),
            Self::Get(key) => Answer::Get(table.get(key)),
            Self::Apply(write) => Answer::Apply(table.apply(write)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::lease::names;
    use crate::simulation::fleet::table::Faults;
    use crate::simulation::fleet::world::{Plan, Player};

    const F: Duration = Duration::from_secs(10);

    /// Makes one call.
    struct Caller {
        number: u64,
    }

    impl Worker for Caller {
        fn begin(&mut self, machine: &mut Machine<'_>) {
            let row = Item::from([
                (names::COUNTER.to_owned(), 0_u64.into()),
                (names::CHECKPOINT.to_owned(), names::TRIM_HORIZON.into()),
            ]);
            let shard = machine.shards().swap_remove(0);
            let write = Write::create(shard.id(), row);
            self.number = machine.call(Request::Apply(write), None);
        }

        fn does(&mut self, machine: &mut Machine<'_>, task: Task) {
            let Task::Reply(reply) = task else { panic!("it has planned nothing") };
            assert_eq!(reply.number, self.number, "a reply to another life");
            let Answer::Apply(Ok(applied)) = reply.answer else { panic!("{reply:?}") };
            let is_done = matches!(applied, Applied::Done(_));
            machine.world.counts.fault(if is_done { "done" } else { "done before" });
        }
    }

    fn world(seed: u64) -> World {
        let players = vec![Player::Other(|_| Box::new(Caller { number: 0 }))];
        let faults = Faults { slow: 1.0, ..Faults::none(F) };
        let plan = Plan { faults, ..Plan::calm(players, F, F * 100) };
        let mut world = World::with_plan(fastrand::Rng::with_seed(seed), plan);
        world.prepare();
        world
    }

    #[test]
    fn a_call_is_done_after_a_while_and_its_reply_comes_later() {
        let (mut waits, mut backs) = (Vec::new(), Vec::new());
        for seed in 0..50 {
            let mut world = world(seed);
            world.step();
            let began = world.now();
            world.step();
            assert_eq!((world.table.rows().len(), world.counts.faults.len()), (1, 0), "done");
            let done = world.now();
            world.step();
            assert_eq!(world.counts.faults["done"], 1);
            waits.push(done - began);
            backs.push(world.now() - done);
            assert!(world.now() - began < F * 3);
        }
        let is_long = |time: &&Duration| **time > F;
        assert!(waits.iter().filter(is_long).count() > 3 && backs.iter().any(|it| *it > F));
    }

    #[test]
    fn a_call_is_done_although_its_worker_has_died_and_the_next_life_hears_nothing_of_it() {
        let mut overtaken = 0;
        for seed in 0..50 {
            let mut world = world(seed);
            world.step();
            world.crash(0);
            while world.counts.faults.is_empty() {
                world.step();
            }
            assert_eq!(world.table.rows().len(), 1);
            overtaken += world.counts.faults.get("done before").unwrap_or(&0);
        }
        // The second life may also be the faster one.
        assert!(overtaken > 10, "{overtaken}");
    }
}
