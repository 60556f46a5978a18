//! A stream, a table on a way with faults, and the processes that share the stream.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kinesis_consumer::leases::{Attribute, Item, KEY, LeaseTable};
use kinesis_consumer::{DynamoLeases, SequenceNumber};

use super::life::{End, Life};
use super::member::{Orders, SLEEP};
use super::notes;
use super::producer::Producer;
use crate::common::directory::Directory;
use crate::common::support::Admin;
use crate::proxy::Proxy;
use crate::{Server, address};

/// Between two looks at the table and at what the processes have written.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing may come of what must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a world is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// The test that a child runs.
    pub(crate) test: String,
    pub(crate) shards: usize,
    pub(crate) keys: u64,
    /// Between two calls that put a record of each key.
    pub(crate) put_every: Duration,
    pub(crate) failover: Duration,
    /// How long a batch is handled at most.
    pub(crate) work: Duration,
    pub(crate) is_random: bool,
}

/// Dropping it kills the processes, and deletes the stream.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) lives: Vec<Life>,
    pub(crate) producer: Option<Producer>,
    pub(crate) proxy: Proxy,
    /// The positions that were seen in the table, by shard; none is behind the one before it.
    pub(crate) stored: BTreeMap<String, Vec<(Duration, SequenceNumber)>>,
    table: DynamoLeases,
    admin: Admin,
    kinesis: String,
    folder: Directory,
}

/// The table at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// How many leases each worker has, of shards that are not done.
    pub(crate) shares: BTreeMap<String, usize>,
    /// The holders of these, by shard.
    pub(crate) owners: BTreeMap<String, Option<String>>,
    /// How many are being handed over.
    pub(crate) asked: usize,
}

impl World {
    /// A stream whose records come all the time, and a table; none without the servers that it needs.
    pub(crate) fn new(plan: Plan) -> Option<Self> {
        let kinesis = address("KINESIS_LOCAL_ENDPOINT")?;
        let server = Server::of(address("DYNOXIDE_ENDPOINT")?);
        let table = server.table(plan.name);
        let admin = || Admin::new(&kinesis, table.name()).unwrap();
        admin().create(plan.shards as i64).unwrap();
        Some(Self {
            lives: Vec::new(),
            producer: Some(Producer::start(admin(), plan.keys, plan.put_every, plan.shards)),
            proxy: Proxy::before(&server.endpoint),
            stored: BTreeMap::new(),
            admin: admin(),
            table,
            kinesis,
            folder: Directory::new(plan.name),
            plan,
        })
    }

    /// Starts a process, the last one of `lives`.
    pub(crate) fn join(&mut self) {
        let place = self.lives.len();
        let worker = format!("worker-{place}");
        let orders = Orders {
            kinesis: self.kinesis.clone(),
            stream: self.admin.stream().to_owned(),
            endpoint: self.proxy.endpoint(),
            table: self.table.name().to_owned(),
            failover: self.plan.failover,
            work: self.plan.work,
            is_random: self.plan.is_random,
            notes: self.folder.join(&worker),
            worker,
        };
        let errors = self.folder.join(&format!("errors-{place}"));
        self.lives.push(Life::start(&orders, &self.plan.test, &errors));
    }

    /// The places of the processes that take part.
    pub(crate) fn members(&self) -> Vec<usize> {
        (0..self.lives.len()).filter(|place| self.lives[*place].is_member()).collect()
    }

    /// Looks at the table and at what the processes have written.
    pub(crate) fn look(&mut self) -> Look {
        self.lives.iter_mut().for_each(Life::read);
        let (mut look, mut after) = (Look::default(), None);
        loop {
            let page = self.table.page(after.as_ref()).unwrap();
            let at = notes::now();
            page.items.iter().for_each(|item| self.see(&mut look, at, item));
            after = page.next;
            if after.is_none() {
                return look;
            }
        }
    }

    fn see(&mut self, look: &mut Look, at: Duration, item: &Item) {
        let text = |name: &str| item.get(name).and_then(Attribute::text);
        let (shard, checkpoint) = (text(KEY).unwrap(), text("checkpoint").unwrap());
        if checkpoint == "SHARD_END" {
            return;
        }
        if let Ok(number) = checkpoint.parse::<SequenceNumber>() {
            let seen = self.stored.entry(shard.to_owned()).or_default();
            if let Some((_, before)) = seen.last() {
                assert!(*before <= number, "{shard}: {number} is stored after {before}");
            }
            if seen.last().is_none_or(|(_, before)| *before < number) {
                seen.push((at, number));
            }
        }
        let owner = text("leaseOwner").map(str::to_owned);
        look.asked += usize::from(item.contains_key("checkpointOwner"));
        if let Some(owner) = &owner {
            *look.shares.entry(owner.clone()).or_default() += 1;
        }
        look.owners.insert(shard.to_owned(), owner);
    }

    /// Looks again and again, for this long.
    pub(crate) fn watch(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.look();
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Looks until something is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Self, &Look) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let look = self.look();
            if is_so(self, &look) {
                return;
            }
            assert!(Instant::now() < deadline, "not in time: {what}; {look:?}");
            std::thread::sleep(LOOK);
        }
    }

    /// Whether every lease is held by a member, by each as many as by any other, but for one.
    pub(crate) fn is_even(&self, look: &Look) -> bool {
        let members = self.members();
        let shares: Vec<_> = members
            .iter()
            .map(|place| look.shares.get(&self.lives[*place].worker).copied().unwrap_or(0))
            .collect();
        // At first there are no rows. Between a split and a merge there is one shard fewer or more.
        let is_there = look.owners.len() + 1 >= self.plan.shards;
        let is_all = is_there && shares.iter().sum::<usize>() == look.owners.len();
        let (least, most) = (shares.iter().min(), shares.iter().max());
        is_all && look.asked == 0 && most.zip(least).is_some_and(|(most, least)| most - least <= 1)
    }

    /// Waits until all is even. Returns the most surveys that a member has made until then, since the last event: a kill is
    /// one of which the others know after the failover time.
    pub(crate) fn calm(&mut self) -> usize {
        self.until("all are ready", |world, _| {
            world.members().iter().all(|place| world.lives[*place].is_ready)
        });
        // Until then nobody can know that it is dead.
        let killed = self.lives.iter().filter_map(|life| match life.end {
            Some((at, End::Killed)) => Some(at + self.plan.failover),
            _ => None,
        });
        if let Some(dead) = killed.max() {
            self.watch(dead.saturating_sub(notes::now()));
        }
        let before = self.surveys();
        self.until("the leases are spread", Self::is_even);
        let after = self.surveys();
        after.iter().map(|(place, surveys)| surveys - before[place]).max().unwrap()
    }

    /// As long as this file is there, handlers sleep.
    pub(crate) fn sleep_mark(&self) -> PathBuf {
        self.folder.join(SLEEP)
    }

    /// How many surveys each member has made so far.
    pub(crate) fn surveys(&self) -> BTreeMap<usize, usize> {
        let calls = self.proxy.counts().calls;
        let surveys = |place: usize| {
            let call = (self.lives[place].worker.clone(), "Scan".to_owned());
            calls.get(&call).copied().unwrap_or(0)
        };
        self.members().into_iter().map(|place| (place, surveys(place))).collect()
    }

    /// Ends the processes in good order; nobody holds a lease then.
    pub(crate) fn end(&mut self) {
        for place in self.members() {
            self.lives[place].resume();
            self.lives[place].terminate();
        }
        self.until("all have ended", |world, _| world.lives.iter().all(|life| life.is_over));
        let look = self.look();
        assert!(look.shares.is_empty(), "{look:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lives.clear();
        drop(self.producer.take());
        if let Err(error) = self.admin.delete() {
            eprintln!("stream {:?} is left behind: {error}", self.admin.stream());
        }
    }
}
