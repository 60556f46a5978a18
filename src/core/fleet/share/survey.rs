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
    /// Its shard is read to the end.
    pub(crate) is_end: bool,
}

/// All scans of one worker.
#[derive(Debug)]
pub(crate) struct Survey {
    /// How long a counter may stand still.
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

    /// A row that is remembered.
    fn again(&mut self, row: &Row, seen: &Seen<'_>, scan: Scan) -> Row {
        let mut row = row.clone();
        if row.counter != seen.counter {
            (row.counter, row.since) = (seen.counter, scan.ended);
        }
        let owner = self.slot(seen.owner, row.owner);
        let giver = self.slot(seen.giver, row.giver);
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
        let is_left = still > self.failover * LEFT;
        let stands_still = still > self.failover;
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

    /// Workers whom no row names are gone.
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

#[cfg(test)]
mod tests {
    use super::*;

    const F: u64 = 10_000;

    fn survey() -> Survey {
        Survey::new("m", Duration::from_millis(F), Duration::from_millis(5 * F))
    }

    fn row<'a>(key: &'a str, owner: &'a str, counter: u64) -> Seen<'a> {
        Seen { key, owner: Some(owner), giver: None, counter, limit: None, is_end: false }
    }

    /// A scan between these milliseconds.
    fn scan<'a>(survey: &mut Survey, begun: u64, ended: u64, rows: &[Seen<'a>]) {
        let [begun, ended] = [begun, ended].map(Duration::from_millis);
        survey.scanned(begun, ended, rows.iter().copied());
    }

    fn is_free(survey: &Survey, key: &str) -> bool {
        let row = survey.rows().iter().find(|row| *row.key == *key).unwrap();
        matches!(row.holding, Holding::Free { .. })
    }

    fn ids(survey: &Survey) -> Vec<&str> {
        survey.live().map(|slot| &*survey.workers()[slot].id).collect()
    }

    #[test]
    fn a_row_stands_still_from_the_end_of_its_first_sight_to_the_begin_of_the_last() {
        let mut survey = survey();
        let rows = [row("1", "a", 7)];
        scan(&mut survey, 0, 3_000, &rows);
        assert!(!is_free(&survey, "1"));
        scan(&mut survey, 3_000 + F, 90_000, &rows);
        assert!(!is_free(&survey, "1"), "a scan that takes long adds nothing");
        scan(&mut survey, 3_001 + F, 90_000, &rows);
        assert!(is_free(&survey, "1"));
    }

    #[test]
    fn one_sight_proves_nothing_however_long_it_takes() {
        let mut survey = survey();
        scan(&mut survey, 0, 100 * F, &[row("1", "a", 7)]);
        assert!(!is_free(&survey, "1"));
        scan(&mut survey, 200 * F, 200 * F + 1, &[row("1", "a", 8)]);
        assert!(!is_free(&survey, "1"), "its counter moved");
        scan(&mut survey, 202 * F, 202 * F + 1, &[row("1", "a", 8)]);
        assert!(is_free(&survey, "1"));
        scan(&mut survey, 203 * F, 205 * F, &[row("1", "a", 9)]);
        scan(&mut survey, 206 * F, 206 * F, &[row("1", "a", 9)]);
        assert!(!is_free(&survey, "1"), "it was perhaps read at the end of that scan");
    }

    #[test]
    fn another_owner_without_another_counter_has_not_moved_the_row() {
        let mut survey = survey();
        scan(&mut survey, 0, 1, &[row("1", "a", 7)]);
        let asked = Seen { giver: Some("a"), ..row("1", "b", 7) };
        scan(&mut survey, 2 * F, 2 * F + 1, &[asked]);
        assert!(is_free(&survey, "1"));
        assert_eq!(ids(&survey), ["m"]);
    }

    #[test]
    fn rows_that_vanish_are_forgotten() {
        let mut survey = survey();
        let rows = [row("1", "a", 7), row("2", "b", 7)];
        scan(&mut survey, 0, 1, &rows);
        scan(&mut survey, F, F + 1, &rows[1..]);
        assert_eq!(survey.rows().len(), 1);
        assert_eq!(ids(&survey), ["b", "m"]);
        scan(&mut survey, 2 * F, 2 * F + 1, &rows);
        assert!(!is_free(&survey, "1"), "it is new");
        assert!(is_free(&survey, "2"));
    }

    #[test]
    fn workers_that_are_gone_leave_no_trace() {
        let mut survey = survey();
        let ids: Vec<_> = (0..1_000).map(|at| format!("w{at}")).collect();
        for (at, pair) in (0..).zip(ids.windows(2)) {
            let rows = [row("1", &pair[0], at), row("2", &pair[1], at)];
            scan(&mut survey, at * F, at * F, &rows);
            assert_eq!(survey.live().count(), 3);
            assert_eq!(survey.newcomers(), if at == 0 { 3 } else { 1 });
        }
        assert!(survey.workers().len() <= 4, "{}", survey.workers().len());
    }

    #[test]
    fn the_order_of_a_scan_changes_nothing() {
        let mut rng = fastrand::Rng::with_seed(1);
        let keys: Vec<_> = (0..100).map(|at| format!("{at}")).collect();
        let (mut ordered, mut shuffled) = (survey(), survey());
        for at in 0..50 {
            // Some rows are missing now and then, and some of their counters move.
            let shown = keys.iter().filter(|_| rng.u8(..) > 10).collect::<Vec<_>>();
            let mut rows: Vec<_> =
                shown.iter().map(|key| row(key, "a", rng.u64(..at + 1))).collect();
            scan(&mut ordered, at * F, at * F + 1, &rows);
            rng.shuffle(&mut rows);
            scan(&mut shuffled, at * F, at * F + 1, &rows);
            for row in shuffled.rows() {
                let same = ordered.rows().iter().find(|it| it.key == row.key).unwrap();
                assert_eq!(format!("{same:?}"), format!("{row:?}"));
            }
            assert_eq!(shuffled.rows().len(), ordered.rows().len());
        }
    }

    #[test]
    fn a_request_grows_old_until_somebody_else_asks() {
        let mut survey = survey();
        let request = |to, counter| Seen { giver: Some("a"), ..row("1", to, counter) };
        let mut holding = |at: u64, seen| {
            scan(&mut survey, at * F, at * F, &[seen]);
            survey.rows()[0].holding
        };
        assert!(matches!(holding(0, request("b", 0)), Holding::Coming(_)));
        assert!(matches!(holding(5, request("b", 1)), Holding::Coming(_)));
        assert!(matches!(holding(6, request("b", 2)), Holding::Kept(_)));
        assert!(matches!(holding(7, request("c", 3)), Holding::Coming(_)));
        assert!(matches!(holding(12, request("c", 4)), Holding::Coming(_)));
        assert!(matches!(holding(13, request("c", 5)), Holding::Kept(_)));
        assert!(matches!(holding(14, row("1", "c", 6)), Holding::Held(_)));
        assert!(matches!(holding(15, request("c", 7)), Holding::Coming(_)));
    }
}
