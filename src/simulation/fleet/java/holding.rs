//! Leases that are held: renewed, read, committed, ended, and handed over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::taking::created;
use super::{Java, Key, Library, Machine, Purpose, Request, Task, lease as lease_of};
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::Row;
use crate::error::lease_table::LeaseTableError;
use crate::model::item::{Attribute, Item};
use crate::model::position::Position;
use crate::model::write::{Applied, Condition, Update, Write};

/// A lease that the worker believes to hold.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) tenure: String,
    counter: u64,
    /// When the reply to its last renewal came, by the worker's monotonic clock.
    renewed: Duration,
    /// The last record that was handled, and the last one that is stored.
    done: Option<Position>,
    stored: Option<Position>,
    /// Parents that may not be done yet.
    pub(super) parents: BTreeSet<String>,
    /// Children that still need a row; `None` as long as records may come.
    children: Option<BTreeSet<String>>,
    is_ended: bool,
    /// Who wants the lease.
    wanted_by: Option<String>,
    /// Whether a write of it is on its way.
    is_busy: bool,
}

/// How many records are handled in one step.
const MOST_RECORDS: usize = 5;

impl Lease {
    /// One that was taken, with the row that was written.
    pub(super) fn new(tenure: String, row: &Row, done: Option<Position>, now: Duration) -> Self {
        Self {
            tenure,
            counter: row.counter,
            renewed: now,
            stored: done.clone(),
            done,
            parents: row.parents.clone(),
            children: None,
            is_ended: row.checkpoint.is_end(),
            wanted_by: None,
            is_busy: false,
        }
    }
}

impl Java {
    /// Every third of the failover time.
    pub(super) fn renew(&mut self, machine: &mut Machine<'_>) {
        self.expire(machine);
        let idle = self.held.iter().filter(|(_, lease)| !lease.is_busy);
        let key = |(shard, lease): (&String, &Lease)| Key {
            shard: shard.clone(),
            tenure: lease.tenure.clone(),
        };
        let idle: Vec<_> = idle.map(key).collect();
        for key in idle {
            let mut when = self.unmoved(&key);
            if self.library == Library::Kcl3 {
                let owner = match &self.held[&key.shard].wanted_by {
                    Some(_) => names::CHECKPOINT_OWNER,
                    None => names::OWNER,
                };
                when = when.and(Condition::equals(owner, self.id.as_str()));
            }
            let update = self.counted(&key);
            self.send(machine, when, update, Purpose::Renew(key));
        }
        Self::plan(machine, self.failover / 3, Task::Renew);
    }

    /// One step of the thread of a shard.
    pub(super) fn read(&mut self, machine: &mut Machine<'_>, key: Key) {
        self.expire(machine);
        let Some(lease) = self.lease(&key).filter(|lease| !lease.is_ended) else { return };
        if !lease.is_busy {
            match lease.parents.first().cloned() {
                Some(parent) => {
                    let request = Request::Get(parent.clone());
                    self.call(machine, request, Purpose::Parent(key.clone(), parent));
                }
                None => self.advance(machine, &key),
            }
        }
        let pause = self.failover.mul_f64(0.05 + 0.1 * machine.world.rng.f64());
        Self::plan(machine, pause, Task::Read(key.shard, key.tenure));
    }

    /// Handles some records, or writes what is to be written.
    fn advance(&mut self, machine: &mut Machine<'_>, key: &Key) {
        let lease = self.held[&key.shard].clone();
        let is_new = lease.done > lease.stored;
        if lease.wanted_by.is_some() {
            return if is_new { self.commit(machine, key) } else { self.transfer(machine, key) };
        }
        // The shard may be closed after it was read.
        let is_closed = machine.is_closed(&key.shard);
        let records = machine.records(&key.shard, lease.done.as_ref(), MOST_RECORDS);
        if let Some(last) = records.last() {
            machine.hands_over(&key.tenure, &key.shard, &records);
            machine.handled(&key.shard, &records);
            self.held.get_mut(&key.shard).expect("it is held").done = Some(last.clone());
        } else if is_closed {
            return self.end(machine, key);
        }
        if machine.world.rng.u8(0..3) == 0 && self.held[&key.shard].done > lease.stored {
            self.commit(machine, key);
        }
    }

    fn commit(&mut self, machine: &mut Machine<'_>, key: &Key) {
        let Some(done) = self.held[&key.shard].done.clone() else { return };
        let number = done.sequence().expect("a record has a number").as_str();
        let sub = match &done {
            Position::After { sub, .. } if *sub != u64::MAX => *sub,
            _ => 0,
        };
        let update = moved(self.counted(key), number, sub);
        self.send(machine, self.unmoved(key), update, Purpose::Commit(key.clone(), done));
    }

    /// The rows of the children come first. That of two merged shards waits until both have had theirs.
    fn end(&mut self, machine: &mut Machine<'_>, key: &Key) {
        let children = || children(machine, &key.shard);
        let lease = self.held.get_mut(&key.shard).expect("it is held");
        let missing = lease.children.get_or_insert_with(children);
        if let Some(child) = missing.first().cloned() {
            let shards = machine.shards();
            let child_shard = shards.iter().find(|shard| shard.id() == child);
            let child_shard = child_shard.expect("a child is listed");
            if !child_shard.parents().iter().all(|parent| machine.world.table.had(parent)) {
                return;
            }
            let write = created(child_shard);
            lease.is_busy = true;
            return self.write(machine, write, Purpose::Child(key.clone(), child));
        }
        let all = Attribute::Ss(self::children(machine, &key.shard));
        let update = moved(self.counted(key), names::SHARD_END, 0).set(names::CHILDREN, all);
        self.send(machine, self.unmoved(key), update, Purpose::End(key.clone()));
    }

    /// Gives the lease to the one who wants it.
    fn transfer(&mut self, machine: &mut Machine<'_>, key: &Key) {
        let Some(to) = self.held[&key.shard].wanted_by.clone() else { return };
        let when = Condition::equals(names::OWNER, to.as_str())
            .and(Condition::equals(names::CHECKPOINT_OWNER, self.id.as_str()));
        let update = Update::new().add(names::COUNTER, 1).set(names::OWNER, to.as_str());
        let update = update.remove(names::CHECKPOINT_OWNER);
        self.send(machine, when, update, Purpose::Transfer(key.clone()));
    }

    /// A write of a lease has ended somehow.
    pub(super) fn wrote(
        &mut self,
        now: Duration,
        purpose: Purpose,
        applied: Result<Applied, LeaseTableError>,
    ) {
        let key = purpose.key().expect("it is a write of a lease").clone();
        let (id, library) = (self.id.clone(), self.library);
        let Some(lease) = self.lease(&key) else { return };
        lease.is_busy = false;
        let is_kept = match (purpose, applied) {
            (Purpose::Child(_, child), Ok(_)) => {
                lease.children.as_mut().expect("its end was reached").remove(&child)
            }
            (Purpose::Transfer(_), Ok(_)) => false,
            (purpose, Ok(Applied::Done(row))) => lease.is_written(now, purpose, &row),
            (Purpose::Renew(_), Ok(Applied::Refused(row))) => {
                lease.is_still_held(now, &id, library, row.as_ref().and_then(lease_of))
            }
            (_, Ok(Applied::Refused(_))) => false,
            // The next renewal tells whether it was done.
            (_, Err(_)) => true,
        };
        if !is_kept {
            self.held.remove(&key.shard);
        }
    }

    /// A lease that could not be renewed for too long is given up.
    fn expire(&mut self, machine: &Machine<'_>) {
        let (now, failover) = (machine.now().monotonic, self.failover);
        self.held.retain(|_, lease| now < lease.renewed + failover);
    }

    /// Writes a lease that is held. Until the reply comes, nothing else of it is written.
    fn send(
        &mut self,
        machine: &mut Machine<'_>,
        when: Condition,
        update: Update,
        purpose: Purpose,
    ) {
        let key = purpose.key().expect("it is a write of a lease").clone();
        self.held.get_mut(&key.shard).expect("it is held").is_busy = true;
        self.write(machine, Write::update(&key.shard, when, update), purpose);
    }

    fn unmoved(&self, key: &Key) -> Condition {
        Condition::equals(names::COUNTER, self.held[&key.shard].counter)
    }

    fn counted(&self, key: &Key) -> Update {
        Update::new().set(names::COUNTER, self.held[&key.shard].counter + 1)
    }
}

impl Lease {
    fn is_written(&mut self, now: Duration, purpose: Purpose, row: &Item) -> bool {
        self.counter = lease_of(row).expect("no write of a lease spoils it").counter;
        match purpose {
            Purpose::Commit(_, to) => self.stored = Some(to),
            Purpose::End(_) => self.is_ended = true,
            _ => self.renewed = now,
        }
        true
    }

    /// A renewal was refused. A counter that is higher by one, under the own name, is what a lost reply leaves.
    fn is_still_held(
        &mut self,
        now: Duration,
        id: &str,
        library: Library,
        row: Option<Row>,
    ) -> bool {
        let Some(row) = row else { return false };
        if library == Library::Kcl3 && row.checkpoint_owner.as_deref() == Some(id) {
            (self.counter, self.wanted_by) = (row.counter, row.owner);
            return true;
        }
        let is_own = row.owner.as_deref() == Some(id) && row.counter == self.counter + 1;
        if is_own {
            (self.counter, self.renewed) = (row.counter, now);
        }
        is_own
    }
}

fn moved(update: Update, to: &str, sub: u64) -> Update {
    update
        .set(names::CHECKPOINT, to)
        .set(names::SUB, sub)
        .set(names::SWITCHES, 0_u64)
        .remove(names::PENDING)
        .remove(names::PENDING_SUB)
        .remove(names::PENDING_STATE)
}

fn children(machine: &Machine<'_>, id: &str) -> BTreeSet<String> {
    let shards = machine.shards().into_iter();
    let children = shards.filter(|shard| shard.parents().iter().any(|parent| parent == id));
    children.map(|shard| shard.id().to_owned()).collect()
}
