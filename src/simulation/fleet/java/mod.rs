//! Workers of Amazon's consumer library (KCL), as a real one was seen to behave and as its source says.
//!
//! Every write depends on the counter that was seen last. Calls for one lease wait for each other, as the library has a
//! lock for each. Nothing is released at the end.

mod holding;
mod taking;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::holding::Lease;
use self::taking::Sight;
use super::machine::{Answer, Machine, Reply, Request, Worker};
use super::world::Task as WorldTask;
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::model::item::Item;
use crate::model::position::Position;
use crate::model::write::{Applied, Write};

/// Which version of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation::fleet) enum Library {
    /// 2.5.8, which does not know that a lease can be asked for.
    Kcl2,
    /// 3.x in the mode that works beside 2.x, which hands over what it is asked for.
    Kcl3,
}

/// One life of a worker.
pub(in crate::simulation::fleet) struct Java {
    id: String,
    library: Library,
    failover: Duration,
    held: BTreeMap<String, Lease>,
    /// What it has seen of the leases that it does not hold.
    seen: BTreeMap<String, Sight>,
    /// The rows of the scan in progress.
    scanned: Vec<Row>,
    /// What each call in progress is for.
    calls: BTreeMap<u64, Purpose>,
    tenures: u64,
}

/// A task of such a worker.
#[derive(Clone, Debug)]
pub(in crate::simulation::fleet) enum Task {
    /// Renews all that it holds.
    Renew,
    /// Looks at the whole table, and takes.
    Take,
    /// Reads a shard, in this tenure.
    Read(String, String),
}

/// What a call is for. Those of a lease name the shard, and the tenure, which may be over when the reply comes.
#[derive(Clone, Debug)]
enum Purpose {
    Scan,
    Create,
    Take(Key),
    Renew(Key),
    Commit(Key, Position),
    Child(Key, String),
    End(Key),
    Transfer(Key),
    Parent(Key, String),
}

/// A lease in one tenure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    shard: String,
    tenure: String,
}

impl Java {
    /// One with this id, which no other life has.
    pub(in crate::simulation::fleet) fn new(
        id: String,
        library: Library,
        failover: Duration,
    ) -> Self {
        let (held, seen, calls) = Default::default();
        Self { id, library, failover, held, seen, scanned: Vec::new(), calls, tenures: 0 }
    }

    fn call(&mut self, machine: &mut Machine<'_>, request: Request, purpose: Purpose) {
        let number = machine.call(request, purpose.tenure());
        self.calls.insert(number, purpose);
    }

    fn write(&mut self, machine: &mut Machine<'_>, write: Write, purpose: Purpose) {
        self.call(machine, Request::Apply(write), purpose);
    }

    fn plan(machine: &mut Machine<'_>, after: Duration, task: Task) {
        machine.plan(after, WorldTask::Java(task));
    }

    fn hears(&mut self, machine: &mut Machine<'_>, reply: Reply) {
        let purpose = self.calls.remove(&reply.number).expect("a reply is to a call");
        match (purpose, reply.answer) {
            (Purpose::Scan, Answer::Page(page)) => self.scans(machine, page),
            (Purpose::Create, _) => {}
            (Purpose::Take(key), Answer::Apply(Ok(Applied::Done(row)))) => {
                self.takes(machine, &key, &row);
            }
            (Purpose::Take(_), _) => {}
            (Purpose::Parent(key, parent), Answer::Get(row)) => {
                let Some(lease) = self.lease(&key) else { return };
                // A parent without a row is not waited for.
                if row.is_ok_and(|row| row.is_none_or(|row| is_ended(&row))) {
                    lease.parents.remove(&parent);
                }
            }
            (purpose, Answer::Apply(applied)) => {
                self.wrote(machine.now().monotonic, purpose, applied);
            }
            (purpose, answer) => panic!("{answer:?} is no answer to {purpose:?}"),
        }
    }

    /// The lease, if that tenure is not over.
    fn lease(&mut self, key: &Key) -> Option<&mut Lease> {
        self.held.get_mut(&key.shard).filter(|lease| lease.tenure == key.tenure)
    }
}

impl Worker for Java {
    fn begin(&mut self, machine: &mut Machine<'_>) {
        Self::plan(machine, Duration::ZERO, Task::Take);
        Self::plan(machine, self.failover / 3, Task::Renew);
    }

    fn does(&mut self, machine: &mut Machine<'_>, task: WorldTask) {
        match task {
            WorldTask::Java(Task::Renew) => self.renew(machine),
            WorldTask::Java(Task::Take) => {
                self.scanned.clear();
                self.call(machine, Request::Page(None), Purpose::Scan);
            }
            WorldTask::Java(Task::Read(shard, tenure)) => {
                self.read(machine, Key { shard, tenure });
            }
            WorldTask::Reply(reply) => self.hears(machine, *reply),
            _ => panic!("a task of somebody else"),
        }
    }
}

impl Purpose {
    /// The lease that is written, and the tenure of its holder.
    fn key(&self) -> Option<&Key> {
        match self {
            Self::Take(key) | Self::Renew(key) | Self::Commit(key, _) | Self::Child(key, _) => {
                Some(key)
            }
            Self::End(key) | Self::Transfer(key) => Some(key),
            Self::Scan | Self::Create | Self::Parent(..) => None,
        }
    }

    /// The tenure in which the row of its shard is written.
    fn tenure(&self) -> Option<&str> {
        let is_another = matches!(self, Self::Child(..));
        self.key().filter(|_| !is_another).map(|key| key.tenure.as_str())
    }
}

fn is_ended(item: &Item) -> bool {
    lease(item).is_some_and(|row| row.checkpoint.is_end())
}

fn lease(item: &Item) -> Option<Row> {
    match read(item) {
        Ok(Seen::Lease(row)) => Some(*row),
        _ => None,
    }
}

/// The shards of rows that are done to their end.
fn ended(rows: &[Row]) -> BTreeSet<&str> {
    let ended = rows.iter().filter(|row| row.checkpoint.is_end());
    ended.map(|row| row.shard.as_str()).collect()
}
