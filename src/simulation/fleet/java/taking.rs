//! Leases that are not held: seen, taken, stolen, and created.

use std::collections::BTreeMap;
use std::time::Duration;

use super::holding::Lease;
use super::{Java, Key, Library, Machine, Purpose, Request, Task, ended, lease};
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::Row;
use crate::error::lease_table::LeaseTableError;
use crate::model::item::{Attribute, Item};
use crate::model::page::Page;
use crate::model::shard::Shard;
use crate::model::write::{Condition, Update, Write};

/// A lease of somebody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    counter: u64,
    /// Since when the counter stands still, by the worker's monotonic clock; `None`: for ever.
    since: Option<Duration>,
}

/// One that stands still for so many failover times is taken by anybody, whatever his share is.
const VERY_OLD: u32 = 3;

impl Java {
    /// A page of the table has come. After the last one it takes, and later it looks again.
    pub(super) fn scans(&mut self, machine: &mut Machine<'_>, page: Result<Page, LeaseTableError>) {
        if let Ok(page) = page {
            self.scanned.extend(page.items.iter().filter_map(lease));
            if page.next.is_some() {
                return self.call(machine, Request::Page(page.next), Purpose::Scan);
            }
            let rows = std::mem::take(&mut self.scanned);
            self.create_missing(machine, &rows);
            self.see(machine.now().monotonic, &rows);
            for row in self.chosen(machine, &rows) {
                self.take(machine, &row);
            }
        }
        Self::plan(machine, self.failover * 2, Task::Take);
    }

    /// The lease is taken, and read from where its row says.
    pub(super) fn takes(&mut self, machine: &mut Machine<'_>, key: &Key, row: &Item) {
        let row = lease(row).expect("no take spoils a lease");
        let (now, done) = (machine.now().monotonic, machine.done(&row));
        let taken = Lease::new(key.tenure.clone(), &row, done, now);
        self.seen.remove(&key.shard);
        self.held.insert(key.shard.clone(), taken);
        Self::plan(machine, Duration::ZERO, Task::Read(key.shard.clone(), key.tenure.clone()));
    }

    /// The shards without a row: the first ones of their lines, and those whose parents are done. The library itself would
    /// never read a shard again whose row was deleted and whose children have rows; this one does if somebody has deleted it
    /// by hand, and not if a worker has, as of a shard that is done. Of two shards that were merged both have had rows before
    /// their child gets one.
    fn create_missing(&mut self, machine: &mut Machine<'_>, rows: &[Row]) {
        let (shards, ended) = (machine.shards(), ended(rows));
        let table = machine.world.table.clone();
        let is_next = |shard: &&Shard| {
            let parents = shard.parents();
            let is_ended = |parent: &String| ended.contains(parent.as_str());
            let is_due = parents.is_empty()
                || parents.iter().any(is_ended) && parents.iter().all(|it| table.had(it));
            is_due && !table.had(shard.id())
        };
        for shard in shards.iter().filter(is_next) {
            self.write(machine, created(shard), Purpose::Create);
        }
    }

    /// A row that nobody holds counts as one that has stood still for ever, unless it was seen before.
    fn see(&mut self, now: Duration, rows: &[Row]) {
        let mut seen = BTreeMap::new();
        for row in rows.iter().filter(|row| !self.held.contains_key(&row.shard)) {
            let before = self.seen.get(&row.shard).filter(|it| it.counter == row.counter);
            let is_for_ever = row.owner.is_none() && !self.seen.contains_key(&row.shard);
            let since = before.map_or((!is_for_ever).then_some(now), |before| before.since);
            seen.insert(row.shard.clone(), Sight { counter: row.counter, since });
        }
        (self.seen, self.scanned) = (seen, Vec::new());
    }

    fn age(&self, now: Duration, row: &Row) -> Duration {
        match self.seen.get(&row.shard) {
            Some(sight) => sight.since.map_or(Duration::MAX, |since| now.saturating_sub(since)),
            None => Duration::ZERO,
        }
    }

    /// What it takes: free leases up to its share, or all that are very old, or else one of the most loaded worker's. It
    /// counts rows without an owner that still seem alive for a worker without a name, and fails to steal from that one.
    fn chosen(&self, machine: &mut Machine<'_>, rows: &[Row]) -> Vec<Row> {
        let now = machine.now().monotonic;
        let others = rows.iter().filter(|row| !self.held.contains_key(&row.shard));
        let (mut free, live): (Vec<_>, Vec<_>) =
            others.cloned().partition(|row| self.age(now, row) > self.failover);
        let mine = Some(self.id.as_str());
        let mut loads = BTreeMap::from([(mine, self.held.len())]);
        for row in &live {
            *loads.entry(row.owner.as_deref()).or_default() += 1;
        }
        let share = rows.len().div_ceil(loads.len());
        let wanted = share.saturating_sub(self.held.len());
        machine.world.rng.shuffle(&mut free);
        if !free.is_empty() {
            let is_very_old = |row: &&Row| self.age(now, row) > self.failover * VERY_OLD;
            let (very_old, old): (Vec<_>, Vec<_>) = free.iter().partition(is_very_old);
            let rest = wanted.saturating_sub(very_old.len());
            return very_old.into_iter().chain(old.into_iter().take(rest)).cloned().collect();
        }
        let most = loads.iter().max_by_key(|(_, load)| **load);
        let Some((owner, load)) = most.filter(|(owner, _)| **owner != mine) else {
            return Vec::new();
        };
        if wanted == 0 || *load < share || *load == share && wanted == 1 {
            return Vec::new();
        }
        if owner.is_none() {
            machine.world.counts.faults_of("nobody to steal from", 1);
            return Vec::new();
        }
        let theirs: Vec<_> = live.iter().filter(|row| row.owner.as_deref() == *owner).collect();
        vec![theirs[machine.world.rng.usize(0..theirs.len())].clone()]
    }

    fn take(&mut self, machine: &mut Machine<'_>, row: &Row) {
        self.tenures += 1;
        let key = Key { shard: row.shard.clone(), tenure: format!("{}#{}", self.id, self.tenures) };
        let update = Update::new().set(names::COUNTER, row.counter + 1);
        let update = update.set(names::OWNER, self.id.as_str());
        let update = match &row.owner {
            Some(owner) if *owner != self.id => update.add(names::SWITCHES, 1),
            _ => update,
        };
        let update = match self.library {
            Library::Kcl2 => update,
            Library::Kcl3 => update.remove(names::CHECKPOINT_OWNER),
        };
        let when = Condition::equals(names::COUNTER, row.counter);
        self.write(machine, Write::update(&row.shard, when, update), Purpose::Take(key));
    }
}

/// The row of a shard that is read from its oldest record.
pub(super) fn created(shard: &Shard) -> Write {
    let keys = shard.hash_keys();
    let mut row = Item::new();
    let mut set = |name: &str, value: Attribute| row.insert(name.to_owned(), value);
    set(names::COUNTER, 0_u64.into());
    set(names::SWITCHES, 0_u64.into());
    set(names::CHECKPOINT, names::TRIM_HORIZON.into());
    set(names::SUB, 0_u64.into());
    set(names::HASH_START, keys.start.to_string().as_str().into());
    set(names::HASH_END, keys.end.to_string().as_str().into());
    if !shard.parents().is_empty() {
        set(names::PARENTS, Attribute::Ss(shard.parents().iter().cloned().collect()));
    }
    Write::create(shard.id(), row)
}
