//! What a worker has seen in the table of leases, and when: who holds which row, who lives, which rows nobody holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A row that nobody has taken for this many failover times is left: whoever may take it by the targets does not want
/// it. Until then the slowest worker has seen it expire: its surveys are at most 2.5 failover times apart.
const LEFT: u32 = 6;

/// A row of the table, as one scan shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// The shard.
    pub(crate) key: &'a str,
    /// Who holds it; while it is requested, who asks for it.
    pub(crate) owner: Option<&'a str>,
    /// While it is requested, who holds it.
    pub(crate) giver: Option<&'a str>,
    /// Grows with every beat of the holder.
    pub(crate) counter: u64,
    /// How many rows its holder wants at most, if the row says so.
    pub(crate) limit: Option<usize>,
    /// How long its holder's counter may stand still, if the row says so.
    pub(crate) failover: Option<Duration>,
    /// Its shard is read to the end.
    pub(crate) is_end: bool,
}

/// All scans of one worker.
#[derive(Debug)]
pub(crate) struct Survey {
    /// How long a counter may stand still, unless its row says a longer time.
    failover: Duration,
    /// How long a request counts for the worker that asks.
    patience: Duration,
    /// In the order of the last scan.
    rows: Vec<Row>,
    /// Where each worker stands in `workers`.
    slots: BTreeMap<Arc<str>, usize>,
    workers: Vec<Worker>,
    /// Places of workers that are gone.
    vacant: Vec<usize>,
    /// Nothing after the first scan.
    before: Option<Before>,
}

/// What is remembered of a row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The shard.
    pub(crate) key: Arc<str>,
    /// What the last scan showed.
    pub(crate) counter: u64,
    /// The end of the scan that first showed this counter.
    since: Duration,
    owner: Option<usize>,
    giver: Option<usize>,
    /// The end of the scan that first showed this owner and this giver.
    asked: Duration,
    /// What follows from all that.
    pub(crate) holding: Holding,
}

/// Who has a row; a number is the place of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// Its shard is read to the end, so that it is no load. This worker lives, and still holds it.
    Ended(Option<usize>),
    /// Nobody: it has no owner, or its counter stood still for longer than the failover time.
    Free {
        /// Whether nobody took it although all workers must have seen it.
        is_left: bool,
    },
    /// This worker.
    Held(usize),
    /// It is being handed over to this worker.
    Coming(usize),
    /// This worker, which did not hand it over in time.
    Kept(usize),
}

/// What the last scan shows of a worker.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// Its name in the table.
    pub(crate) id: Arc<str>,
    /// Whether it holds a row that does not stand still, or asks for one.
    pub(crate) is_live: bool,
    /// The same at the scan before.
    has_lived: bool,
    /// Whether a row names it, also one that stands still.
    is_named: bool,
    /// Rows that it holds or is about to get.
    pub(crate) count: usize,
    /// Rows of these that others may ask for.
    pub(crate) askable: usize,
    /// How many rows it wants at most.
    pub(crate) limit: Option<usize>,
}

/// What the scan before the last one showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// How many workers lived.
    pub(crate) live: usize,
    /// How many rows the worker with the largest number had.
    pub(crate) most: usize,
}

/// When a scan was made.
#[derive(Clone, Copy)]
struct Scan {
    begun: Duration,
    ended: Duration,
}

/// The place of this worker.
pub(crate) const ME: usize = 0;

impl Survey {
    /// `patience` is how long a request may last; after that its row counts for its holder again.
    pub(crate) fn new(me: &str, failover: Duration, patience: Duration) -> Self {
        let me: Arc<str> = me.into();
        let worker = Worker { id: Arc::clone(&me), ..Worker::default() };
        Self {
            failover,
            patience,
            rows: Vec::new(),
            slots: BTreeMap::from([(me, ME)]),
            workers: vec![worker],
            vacant: Vec::new(),
            before: None,
        }
    }

    /// Takes in a scan of the whole table. Rows that it does not show are forgotten.
    pub(crate) fn scanned<'a>(
        &mut self,
        begun: Duration,
        ended: Duration,
        rows: impl IntoIterator<Item = Seen<'a>>,
    ) {
        let scan = Scan { begun, ended };
        self.turn_over();
        let old = std::mem::take(&mut self.rows);
        self.rows.reserve(old.len());
        let mut remembered = Remembered { rows: &old, next: 0, index: None };
        for seen in rows {
            let mut row = match remembered.find(seen.key) {
                Some(row) => self.again(row, &seen, scan),
                None => self.first(&seen, scan),
            };
            row.holding = self.holding(&row, &seen, scan);
            self.count(&row, seen.limit);
            self.rows.push(row);
        }
        (self.workers[ME].is_live, self.workers[ME].is_named) = (true, true);
        self.forget_workers();
    }

    /// In the order of the scan.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Every worker that may hold rows, also those that do not live, by place.
    pub(crate) fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// The places of those that live, in the order of their ids.
    pub(crate) fn live(&self) -> impl Iterator<Item = usize> {
        self.slots.values().copied().filter(|slot| self.workers[*slot].is_live)
    }

    /// How many ids are before this worker's, and how many workers live.
    pub(crate) fn rank(&self) -> (usize, usize) {
        let before = self.live().take_while(|slot| *slot != ME);
        (before.count(), self.live().count())
    }

    /// How many rows this worker has or is about to get.
    pub(crate) fn mine(&self) -> usize {
        self.workers[ME].count
    }

    /// When the first row of another worker that seems to be dead will have stood still for long enough, if the last scan
    /// began at this moment. A scan then is worth more than one at any other time.
    pub(crate) fn expiry(&self, begun: Duration) -> Option<Duration> {
        let seems_dead = |row: &&Row| {
            let still = begun.saturating_sub(row.since);
            // A living one lets it grow every third of the time. What has stood still for longer is free, or its holder's
            // time is longer.
            let is_quiet = still > self.failover / 2 && still <= self.failover;
            let is_mine_or_nobodys =
                matches!(row.holding, Holding::Held(ME) | Holding::Free { .. } | Holding::Ended(_));
            is_quiet && !is_mine_or_nobodys
        };
        let first = self.rows.iter().filter(seems_dead).map(|row| row.since).min()?;
        Some(first + self.failover + self.failover / 100)
    }

    /// What the scan before showed.
    pub(crate) fn before(&self) -> Option<Before> {
        self.before
    }

    /// How many workers live that did not live at the scan before.
    pub(crate) fn newcomers(&self) -> usize {
        self.workers.iter().filter(|it| it.is_live && !it.has_lived).count()
    }

    /// The last scan is the one before from now on.
    fn turn_over(&mut self) {
        // The first scan is compared with nothing.
        let is_first = !self.workers[ME].is_live;
        self.before = (!is_first).then(|| self.summary());
        for worker in &mut self.workers {
            let (id, has_lived) = (std::mem::take(&mut worker.id), worker.is_live);
            *worker = Worker { id, has_lived, ..Worker::default() };
        }
    }

    /// What is compared with the next scan.
    fn summary(&self) -> Before {
        let live = self.workers.iter().filter(|it| it.is_live);
        let most = live.clone().map(|it| it.count).max();
        Before { live: live.count(), most: most.unwrap_or(0) }
    }

    /// A row that is seen for the first time.
    fn first(&mut self, seen: &Seen<'_>, scan: Scan) -> Row {
        Row {
            key: seen.key.into(),
            counter: seen.counter,
            since: scan.ended,
            owner: self.slot(seen.owner, None),
            giver: self.slot(seen.giver, None),
            asked: scan.ended,
            holding: Holding::Ended(None),
        }
    }

    /// A row that is remembered. A take and a hand-over let its counter grow: where another worker has it at the same counter, the
    /// row was deleted and created since, and its counter has come by once more.
    fn again(&mut self, row: &Row, seen: &Seen<'_>, scan: Scan) -> Row {
        let mut row = row.clone();
        let owner = self.slot(seen.owner, row.owner);
        let giver = self.slot(seen.giver, row.giver);
        if row.counter != seen.counter || giver.or(owner) != row.giver.or(row.owner) {
            (row.counter, row.since) = (seen.counter, scan.ended);
        }
        if (owner, giver) != (row.owner, row.giver) {
            (row.owner, row.giver, row.asked) = (owner, giver, scan.ended);
        }
        row
    }

    /// The place of a worker, which is most often the one that the row named at the scan before.
    fn slot(&mut self, id: Option<&str>, last: Option<usize>) -> Option<usize> {
        let id = id?;
        if let Some(last) = last.filter(|last| *self.workers[*last].id == *id) {
            return Some(last);
        }
        if let Some(slot) = self.slots.get(id) {
            return Some(*slot);
        }
        let id: Arc<str> = id.into();
        let worker = Worker { id: Arc::clone(&id), ..Worker::default() };
        let slot = self.vacant.pop().unwrap_or(self.workers.len());
        if slot == self.workers.len() {
            self.workers.push(worker)
        } else {
            self.workers[slot] = worker
        }
        self.slots.insert(id, slot);
        Some(slot)
    }

    /// Who has a row.
    fn holding(&self, row: &Row, seen: &Seen<'_>, scan: Scan) -> Holding {
        // The counter was read at some moment before the first scan's end, and again after this one's begin.
        let still = scan.begun.saturating_sub(row.since);
        // A holder whose failover time is longer beats less often, and hands batches over for as long.
        let failover = seen.failover.map_or(self.failover, |own| own.max(self.failover));
        let is_left = still > failover.saturating_mul(LEFT);
        let stands_still = still > failover;
        match (row.owner, row.giver) {
            _ if seen.is_end => Holding::Ended(row.giver.or(row.owner).filter(|_| !stands_still)),
            (None, _) => Holding::Free { is_left },
            _ if stands_still => Holding::Free { is_left },
            (Some(owner), None) => Holding::Held(owner),
            (_, Some(giver)) if scan.begun.saturating_sub(row.asked) > self.patience => {
                Holding::Kept(giver)
            }
            (Some(owner), Some(_)) => Holding::Coming(owner),
        }
    }

    /// Adds a row to what its workers have.
    fn count(&mut self, row: &Row, limit: Option<usize>) {
        let workers = &mut self.workers;
        for slot in [row.owner, row.giver].into_iter().flatten() {
            workers[slot].is_named = true;
        }
        match row.holding {
            Holding::Free { .. } | Holding::Ended(None) => return,
            Holding::Ended(Some(_)) => {}
            Holding::Held(slot) | Holding::Kept(slot) => {
                workers[slot].count += 1;
                workers[slot].askable += 1;
            }
            Holding::Coming(slot) => {
                workers[slot].count += 1;
                workers[slot].is_live = true;
            }
        }
        if let Some(holder) = row.giver.or(row.owner) {
            workers[holder].is_live = true;
            workers[holder].limit = limit.or(workers[holder].limit);
        }
    }

    /// Forgets the workers that no row names.
    fn forget_workers(&mut self) {
        let Self { slots, workers, vacant, .. } = self;
        slots.retain(|_, slot| {
            let is_named = workers[*slot].is_named;
            if !is_named {
                workers[*slot] = Worker::default();
                vacant.push(*slot);
            }
            is_named
        });
    }
}

/// The rows of the scan before. Scans show rows in the same order, so that the next one is most often the one that is
/// sought; the index is made only if not.
struct Remembered<'a> {
    rows: &'a [Row],
    next: usize,
    index: Option<BTreeMap<&'a str, usize>>,
}

impl<'a> Remembered<'a> {
    /// What is remembered of a row.
    fn find(&mut self, key: &str) -> Option<&'a Row> {
        let is_next = self.rows.get(self.next).is_some_and(|row| *row.key == *key);
        if !is_next {
            let rows = self.rows;
            let index = self.index.get_or_insert_with(|| {
                rows.iter().enumerate().map(|(at, row)| (&*row.key, at)).collect()
            });
            self.next = *index.get(key)?;
        }
        self.next += 1;
        Some(&self.rows[self.next - 1])
    }
}
