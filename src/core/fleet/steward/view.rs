//! What a process knows of the table and of the stream.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::event::StartAt;
use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::ancestry::Ancestry;
use crate::core::fleet::lease::audit::Listing;
use crate::core::fleet::lease::births::{ChildrenUnknown, Heirs, heirs};
use crate::core::fleet::lease::checkpoint::Start;
use crate::core::fleet::lease::protocol::Look;
use crate::core::fleet::lease::row::{Misread, Row, Seen as SeenItem, read};
use crate::core::fleet::lease::writes::AtEnd;
use crate::core::fleet::share::survey::Seen;
use crate::core::fleet::steward::lease::{Lease, Stage};
use crate::core::fleet::steward::words::Call;
use crate::model::item::Item;
use crate::model::page::{Page, PageToken};
use crate::model::position::IteratorType;
use crate::model::shard::{ChildShard, Shard};

/// No page is believed to be older. The service names no limit: a read that is repeated after a short time shows what was
/// written.
pub(super) const PAGE_AGE: Duration = Duration::from_secs(3);

/// One reading of the whole table, and of what the coordinator of KCL 3 says.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) begun: Moment,
    pub(super) coordinator: Look,
    pub(super) seen: Vec<SeenItem>,
    pub(super) misread: Option<Misread>,
    pub(super) units: f64,
    /// The next call; `None` while one is on its way.
    next: Option<Call>,
}

/// The rows of the last survey, with what was written since, and the last listing.
#[derive(Debug, Default)]
pub(super) struct View {
    /// In the order of their shards.
    rows: Vec<Row>,
    listing: Vec<Shard>,
    /// When it was complete; `None` before the first one.
    listed: Option<Duration>,
    listings: u64,
    all_done: Option<AllDone>,
    /// When this process has created rows that a survey may not show yet.
    created: BTreeMap<String, Duration>,
}

/// When all rows first said that their shards are done.
#[derive(Debug)]
struct AllDone {
    /// Of which shards, in their order.
    shards: Vec<String>,
    /// How many listings there were.
    listings: u64,
}

/// What may start.
#[derive(Debug, Default)]
pub(super) struct Starts {
    pub(super) starts: Vec<(String, StartAt)>,
    /// The listing does not show them.
    pub(super) unlisted: Vec<String>,
}

impl Scan {
    pub(super) fn new(begun: Moment) -> Self {
        Self {
            begun,
            coordinator: Look::Unread,
            seen: Vec::new(),
            misread: None,
            units: 0.0,
            next: Some(Call::Coordinator),
        }
    }

    pub(super) fn next(&mut self) -> Option<Call> {
        self.next.take()
    }

    /// Whether no call of it is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.next.is_some()
    }

    pub(super) fn coordinator(&mut self, look: Look) {
        self.coordinator = look;
        self.next = Some(Call::Page { after: None });
    }

    /// Takes in a page. Returns whether it was the last one.
    pub(super) fn page(&mut self, page: Page) -> bool {
        self.units += page.units;
        page.items.iter().for_each(|item| self.take_in(item));
        self.next = page.next.map(|after| Call::Page { after: Some(after) });
        self.next.is_none()
    }

    /// A page could not be read: it is read again.
    pub(super) fn again(&mut self, after: Option<PageToken>) {
        self.next = Some(Call::Page { after });
    }

    /// The leases, if all are understood and are about this stream.
    pub(super) fn rows(&self, stream: &str) -> Result<Vec<Row>, Misread> {
        if let Some(misread) = &self.misread {
            return Err(misread.clone());
        }
        let leases = self.seen.iter().filter_map(|seen| match seen {
            SeenItem::Lease(row) => Some((**row).clone()),
            SeenItem::Protocol(_) | SeenItem::Other(_) => None,
        });
        let mut rows: Vec<_> = leases.collect();
        rows.sort_by(|one, other| one.shard.cmp(&other.shard));
        rows.iter().try_for_each(|row| row.check_stream(stream))?;
        Ok(rows)
    }

    fn take_in(&mut self, item: &Item) {
        match read(item) {
            Ok(seen) => self.seen.push(seen),
            Err(misread) => {
                self.misread.get_or_insert(misread);
            }
        }
    }
}

impl View {
    pub(super) fn listed(&mut self, now: Duration, shards: Vec<Shard>) {
        (self.listing, self.listed) = (shards, Some(now));
        self.listings += 1;
    }

    pub(super) fn listing(&self) -> Option<Listing<'_>> {
        self.listed.map(|made| Listing { shards: &self.listing, made })
    }

    /// How many listings there were.
    pub(super) fn listings(&self) -> u64 {
        self.listings
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn row(&self, shard: &str) -> Option<&Row> {
        self.place(shard).ok().map(|at| &self.rows[at])
    }

    /// Whether the shard is listed, or has a row.
    pub(super) fn knows(&self, shard: &str) -> bool {
        self.row(shard).is_some() || self.listing.iter().any(|it| it.id() == shard)
    }

    /// A row that was written, or read by itself.
    pub(super) fn learn(&mut self, row: Row) {
        match self.place(&row.shard) {
            Ok(at) => self.rows[at] = row,
            Err(at) => self.rows.insert(at, row),
        }
    }

    /// What an answer has shown in the place of a row.
    pub(super) fn found(&mut self, shard: &str, row: Option<&Row>) {
        match row {
            Some(row) => self.learn(row.clone()),
            None => self.forget(shard),
        }
    }

    /// A row that was created at this moment, or stood there.
    pub(super) fn created(&mut self, row: Row, at: Duration) {
        self.created.insert(row.shard.clone(), at);
        self.learn(row);
    }

    pub(super) fn forget(&mut self, shard: &str) {
        self.created.remove(shard);
        if let Ok(at) = self.place(shard) {
            self.rows.remove(at);
        }
    }

    /// Takes in the rows of a survey that has begun at this moment. They may be some seconds older; of what is `held` more is
    /// known.
    pub(super) fn surveyed<'a>(
        &mut self,
        rows: Vec<Row>,
        held: impl Iterator<Item = &'a Row>,
        begun: Duration,
    ) {
        let earlier = std::mem::replace(&mut self.rows, rows);
        self.created.retain(|_, at| *at + PAGE_AGE > begun);
        for old in earlier {
            match self.place(&old.shard) {
                Ok(at) => stays_done(&mut self.rows[at], old),
                // Without a parent's row a child would be read that has to wait.
                Err(at) if self.created.contains_key(&old.shard) => self.rows.insert(at, old),
                Err(_) => {}
            }
        }
        for row in held {
            self.learn(row.clone());
        }
    }

    /// The rows as the survey takes them.
    pub(super) fn seen<'a>(
        &'a self,
        leases: &'a BTreeMap<String, Lease>,
        worker: &'a str,
    ) -> impl Iterator<Item = Seen<'a>> {
        self.rows.iter().map(move |row| {
            let lease = leases.get(&row.shard);
            let is_given =
                lease.is_none_or(|it| matches!(it.stage, Stage::Draining { .. } | Stage::Leaving));
            Seen {
                key: &row.shard,
                owner: if is_given { row.owner.as_deref() } else { Some(worker) },
                giver: if is_given { row.giver() } else { None },
                counter: row.counter,
                limit: limit(row),
                failover: row.failover,
                is_end: row.checkpoint.is_end(),
            }
        })
    }

    /// The rows of a survey that have moved since they were last seen, so that their holders live. One that is older shows a
    /// holder that may be over.
    pub(super) fn moved<'a>(&self, rows: &'a [Row]) -> impl Iterator<Item = &'a Row> {
        rows.iter().filter(|row| self.row(&row.shard).is_some_and(|it| it.counter < row.counter))
    }

    /// Which shards of the `waiting` rows may be read, and from where. These rows are as the last answer showed them.
    pub(super) fn starts(&self, waiting: &[&Row], configured: &IteratorType) -> Starts {
        let ancestry = Ancestry::new(&self.listing, &self.rows);
        let mut found = Starts::default();
        for row in waiting {
            let id = row.shard.as_str();
            // Whoever lists a shard lists its parents, unless they have left the stream.
            let Some(shard) = ancestry.shard(id) else {
                found.unlisted.push(id.to_owned());
                continue;
            };
            if !ancestry.may_start(id) {
                continue;
            }
            let at = match row.checkpoint.start(Some(shard.starting_sequence_number())) {
                Ok(Start::Stored(position)) => StartAt::Stored(position),
                Ok(Start::TrimHorizon) | Err(_) => StartAt::Fresh(IteratorType::TrimHorizon),
                Ok(Start::Configured) => StartAt::Fresh(configured.clone()),
            };
            found.starts.push((id.to_owned(), at));
        }
        found
    }

    /// What is written of the children of a shard that ends; `is_final` says that no better listing is waited for.
    pub(super) fn heirs(
        &self,
        shard: &str,
        named: &[ChildShard],
        is_final: bool,
    ) -> Result<Heirs, ChildrenUnknown> {
        heirs(&Ancestry::new(&self.listing, &self.rows), shard, named, is_final)
    }

    /// What becomes of the row of a shard that ends: a worker of KCL expects that it keeps its holder.
    pub(super) fn at_end(&self) -> AtEnd {
        if self.rows.iter().any(Row::is_kcls) { AtEnd::Keep } else { AtEnd::Release }
    }

    /// Whether every shard is done to its end: `Some(false)` if a listing must show it, and `None` if not.
    pub(super) fn is_complete(&mut self) -> Option<bool> {
        let is_done = !self.rows.is_empty() && self.rows.iter().all(|it| it.checkpoint.is_end());
        if !is_done {
            self.all_done = None;
            return None;
        }
        // A row that a page showed late may be done since the last listing.
        let knows = |done: &AllDone| {
            self.rows.iter().all(|row| done.shards.binary_search(&row.shard).is_ok())
        };
        if !self.all_done.as_ref().is_some_and(knows) {
            let shards = self.rows.iter().map(|row| row.shard.clone()).collect();
            self.all_done = Some(AllDone { shards, listings: self.listings });
        }
        if self.all_done.as_ref().is_some_and(|done| done.listings == self.listings) {
            return Some(false);
        }
        let ancestry = Ancestry::new(&self.listing, &self.rows);
        let is_over = |shard: &&Shard| ancestry.is_over(shard.id());
        ancestry.shards().all(|shard| is_over(&shard)).then_some(true)
    }

    fn place(&self, shard: &str) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.shard.as_str().cmp(shard))
    }
}

/// How many leases the row's holder wants at most, if the holder is one of ours: KCL leaves what the one before wrote.
fn limit(row: &Row) -> Option<usize> {
    let owner = row.working_owner()?;
    row.holder.as_ref().filter(|it| it.is_of(owner))?;
    usize::try_from(row.limit?).ok()
}

/// What is done stays done. Somebody may have taken the end back, by a write that is newer.
fn stays_done(row: &mut Row, old: Row) {
    if old.checkpoint.is_end() && row.counter < old.counter && !row.checkpoint.is_end() {
        row.checkpoint = old.checkpoint;
    }
}
