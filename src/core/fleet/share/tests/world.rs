//! A table of rows in memory, and workers that survey it, take rows and ask for rows. A row's counter grows while its
//! holder lives. A scan shows the table as it is when the scan begins; what the worker does then arrives later.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::core::fleet::share::pace::Pace;
use crate::core::fleet::share::plan::{Move, plan};
use crate::core::fleet::share::survey::{Seen, Survey};
use crate::core::fleet::share::watch::{Part, Watch};

/// Microseconds since the start.
type Time = u64;

pub(super) const SECOND: Time = 1_000_000;

pub(super) struct Settings {
    pub(super) failover: Time,
    /// The longest time that a scan takes.
    pub(super) scan: Time,
    /// The longest time from the end of a scan to the writes that follow from it.
    pub(super) write: Time,
    /// The longest time until a holder hands over a row after it has heard of the request.
    pub(super) drain: Time,
    /// Read units in a second, for the whole fleet.
    pub(super) budget: f64,
    /// Whether each worker watches a part of the table.
    pub(super) has_watch: bool,
    /// Whether rows say how many their holders want at most.
    pub(super) tells_limits: bool,
}

struct Lease {
    key: String,
    owner: Option<usize>,
    giver: Option<usize>,
    /// The counter at a time, from which on it grows.
    counter: u64,
    from: Time,
    is_end: bool,
    /// When it was last read by a worker that lives, if it is not now.
    unread: Option<Time>,
}

struct Worker {
    id: String,
    survey: Survey,
    watch: Watch,
    pace: Pace,
    began: Time,
    died: Option<Time>,
    max_leases: Option<usize>,
    /// When its next survey is due.
    next: Time,
    most: usize,
    /// How many rows name it as their owner.
    held: usize,
    surveys: u32,
}

enum Event {
    Survey(usize),
    Look(usize),
    Write(usize, Vec<Move>),
    HandOver { row: usize, to: usize, from: usize },
}

pub(super) struct World {
    settings: Settings,
    pub(super) now: Time,
    rng: fastrand::Rng,
    leases: Vec<Lease>,
    /// Where each key is in the table.
    places: BTreeMap<String, usize>,
    workers: Vec<Worker>,
    names: BTreeMap<String, usize>,
    events: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
    pub(super) counts: Counts,
}

/// What happened since the last measure began.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) takes: usize,
    pub(super) asks: usize,
    pub(super) refused: usize,
    pub(super) last_move: Option<Time>,
    /// Since when all rows have been held, with a spread of one at most.
    pub(super) balanced: Option<Time>,
    /// How many surveys each worker had made then: the smallest and the largest number.
    pub(super) surveys: (u32, u32),
    /// When all rows were held first.
    pub(super) whole: Option<Time>,
    pub(super) hand_overs: usize,
    /// For each row that nobody read: how long.
    pub(super) unread: Vec<Time>,
    /// Read units of each second.
    pub(super) reads: BTreeMap<u64, f64>,
}

impl World {
    pub(super) fn new(settings: Settings, rows: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let lease = |at: usize| Lease {
            key: format!("shardId-{at:012}"),
            owner: None,
            giver: None,
            counter: 0,
            from: 0,
            is_end: false,
            unread: Some(0),
        };
        let mut leases: Vec<_> = (0..rows).map(lease).collect();
        // A scan shows rows in the order of their hashes.
        rng.shuffle(&mut leases);
        let places = leases.iter().enumerate().map(|(at, it)| (it.key.clone(), at)).collect();
        Self {
            settings,
            now: 0,
            rng,
            leases,
            places,
            workers: Vec::new(),
            names: BTreeMap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            counts: Counts::default(),
        }
    }

    /// Time passes before anything happens.
    pub(super) fn begin_at(&mut self, now: Time) {
        self.now = now;
    }

    /// A worker begins at this time. If that is past, it surveys at the pace of those that are not new.
    pub(super) fn join(&mut self, began: Time, max_leases: Option<usize>) {
        let failover = Duration::from_micros(self.settings.failover);
        let id = format!("host-{:08x}", self.rng.u32(..));
        let joined = Duration::from_micros(began);
        let Settings { budget, has_watch, .. } = self.settings;
        let pace = Pace { failover, budget, joined, has_watch };
        let first = match self.now.checked_sub(began).filter(|age| *age > 60 * SECOND) {
            None => began + pace.first(&mut self.rng).as_micros() as Time,
            Some(_) => self.now + self.rng.u64(..2 * self.settings.failover),
        };
        let patience = failover * 5;
        let survey = Survey::new(&id, failover, patience);
        let watch = Watch::new(&id, failover, patience);
        let place = self.workers.len();
        self.names.insert(id.clone(), place);
        self.workers.push(Worker {
            id,
            survey,
            watch,
            pace,
            began,
            died: None,
            max_leases,
            next: first,
            most: 0,
            held: 0,
            surveys: 0,
        });
        self.schedule(first, Event::Survey(place));
        if has_watch {
            // It looks after its first survey, which tells it where.
            let first = first + self.rng.u64(..self.settings.failover / 2);
            self.schedule(first, Event::Look(place));
        }
    }

    /// A worker has a row from the start.
    pub(super) fn give(&mut self, row: usize, worker: usize) {
        self.set(row, Some(worker), None);
    }

    /// A worker stops without a word.
    pub(super) fn kill(&mut self, worker: usize) {
        self.workers[worker].died = Some(self.now);
        for lease in &mut self.leases {
            if lease.giver.or(lease.owner) == Some(worker) {
                lease.unread.get_or_insert(self.now);
            }
        }
    }

    /// A worker gives back all that it has, and stops.
    pub(super) fn leave(&mut self, worker: usize) {
        self.workers[worker].died = Some(self.now);
        for row in 0..self.leases.len() {
            if self.leases[row].giver.or(self.leases[row].owner) == Some(worker) {
                self.set(row, None, None);
            }
        }
    }

    pub(super) fn is_live(&self, worker: usize) -> bool {
        self.workers[worker].died.is_none()
    }

    /// Begins to count.
    pub(super) fn measure(&mut self) {
        self.counts = Counts::default();
        self.workers.iter_mut().for_each(|it| it.surveys = 0);
        self.weigh();
    }

    /// What each live worker has, or will get; and whether no row is without one.
    pub(super) fn held(&self) -> (Vec<usize>, bool) {
        let mut held = vec![0; self.workers.len()];
        let mut is_whole = true;
        for lease in self.leases.iter().filter(|it| !it.is_end) {
            let lives = |worker: &Option<usize>| worker.is_some_and(|it| self.is_live(it));
            let is_held = lives(&lease.owner) && (lease.giver.is_none() || lives(&lease.giver));
            match lease.owner.filter(|_| is_held) {
                Some(owner) => held[owner] += 1,
                None => is_whole = false,
            }
        }
        let begun = |at: usize| self.is_live(at) && self.workers[at].began <= self.now;
        ((0..held.len()).filter(|at| begun(*at)).map(|at| held[at]).collect(), is_whole)
    }

    /// How many rows each worker holds, whoever asks for them.
    pub(super) fn holders(&self) -> Vec<usize> {
        let mut holders = vec![0; self.workers.len()];
        let holder = self.leases.iter().filter_map(|it| it.giver.or(it.owner));
        holder.for_each(|it| holders[it] += 1);
        holders
    }

    /// The least number of moves that give all rows to live workers evenly, and the largest number that one lacks.
    pub(super) fn least(&self) -> (usize, usize) {
        let (mut held, _) = self.held();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let (floor, rest) = (self.leases.len() / held.len(), self.leases.len() % held.len());
        let target = |at: usize| floor + usize::from(at < rest);
        let lacks = held.iter().enumerate().map(|(at, has)| target(at).saturating_sub(*has));
        (lacks.clone().sum(), lacks.max().unwrap())
    }

    pub(super) fn run_until(&mut self, end: Time) {
        while let Some(entry) = self.events.first_entry().filter(|it| it.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            match event {
                Event::Survey(worker) => self.survey(worker),
                Event::Look(worker) => self.look(worker),
                Event::Write(worker, moves) => self.write(worker, moves),
                Event::HandOver { row, to, from } => self.hand_over(row, to, from),
            }
        }
        self.now = end;
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn counter(&self, row: usize) -> u64 {
        let lease = &self.leases[row];
        let Some(holder) = lease.giver.or(lease.owner) else { return lease.counter };
        let until = self.workers[holder].died.unwrap_or(self.now).max(lease.from);
        lease.counter + (until - lease.from) / (self.settings.failover / 3)
    }

    fn set(&mut self, row: usize, owner: Option<usize>, giver: Option<usize>) {
        let counter = self.counter(row);
        let changes = self.leases[row].giver.or(self.leases[row].owner) != giver.or(owner);
        let is_read = giver.or(owner).is_some_and(|it| self.is_live(it));
        let (beat, now) = (self.settings.failover / 3, self.now);
        let phase = self.rng.u64(..beat);
        let lease = &mut self.leases[row];
        if let Some(old) = lease.owner {
            self.workers[old].held -= 1;
        }
        if let Some(new) = owner {
            self.workers[new].held += 1;
        }
        (lease.owner, lease.giver) = (owner, giver);
        if changes {
            // The new holder's beats come at times of their own.
            (lease.counter, lease.from) = (counter + 1, now.saturating_sub(phase));
        }
        if let Some(since) = lease.unread.filter(|_| is_read) {
            self.counts.unread.push(now - since);
        }
        lease.unread = if is_read { None } else { lease.unread.or(Some(now)) };
    }

    fn survey(&mut self, at: usize) {
        if !self.is_live(at) || self.workers[at].next > self.now {
            return;
        }
        if self.workers[at].surveys == 0 {
            // It has begun, and has no row yet.
            self.weigh();
        }
        let ended = self.now + self.rng.u64(self.settings.scan / 5..=self.settings.scan);
        let times = [self.now, ended].map(Duration::from_micros);
        let mut survey = std::mem::replace(&mut self.workers[at].survey, nothing());
        survey.scanned(times[0], times[1], self.seen(0..self.leases.len()));
        let plan = plan(&survey, self.workers[at].max_leases, &mut self.rng);
        let units = self.leases.len() as f64 * 0.0437;
        *self.counts.reads.entry(self.now / SECOND).or_default() += units;
        let worker = &mut self.workers[at];
        let workers = survey.live().count();
        let next = worker.pace.next(times[0], workers, units, plan.is_urgent(), &mut self.rng);
        worker.survey = survey;
        worker.surveys += 1;
        (worker.next, worker.most) = (self.now + next.as_micros() as Time, plan.most);
        let next = worker.next;
        if !plan.moves.is_empty() {
            let write = ended + self.rng.u64(..=self.settings.write);
            self.schedule(write, Event::Write(at, plan.moves));
        }
        self.schedule(next, Event::Survey(at));
    }

    fn look(&mut self, at: usize) {
        if !self.is_live(at) {
            return;
        }
        let part = Part::of(&self.workers[at].survey);
        let rows = self.leases.len();
        let segment = |it: usize| it * rows / part.of..(it + 1) * rows / part.of;
        let (own, next) = (segment(part.own), part.next.map_or(0..0, segment));
        let shown = own.len() + next.len();
        let lasts = self.settings.scan / 10 + self.settings.scan * shown as Time / rows as Time;
        let ended = self.now + self.rng.u64(lasts / 5..=lasts);
        let times = [self.now, ended].map(Duration::from_micros);
        let may_take = self.workers[at].most.saturating_sub(self.workers[at].held);
        let empty = Watch::new("", Duration::ZERO, Duration::ZERO);
        let mut watch = std::mem::replace(&mut self.workers[at].watch, empty);
        let (own, next) = (self.seen(own), self.seen(next));
        let found = watch.looked(times[0], times[1], own, next, may_take);
        *self.counts.reads.entry(self.now / SECOND).or_default() += shown as f64 * 0.0437;
        let again = self.now + watch.next(&mut self.rng).as_micros() as Time;
        let soon = self.now + self.rng.u64(..self.settings.failover);
        let worker = &mut self.workers[at];
        worker.watch = watch;
        if found.is_stuck && worker.next > soon {
            worker.next = soon;
            worker.pace.joined = times[0];
            self.schedule(soon, Event::Survey(at));
        }
        self.schedule(again, Event::Look(at));
        if !found.moves.is_empty() {
            let write = ended + self.rng.u64(..=self.settings.write);
            self.schedule(write, Event::Write(at, found.moves));
        }
    }

    /// Some rows as a scan shows them now.
    fn seen(&self, rows: Range<usize>) -> impl Iterator<Item = Seen<'_>> {
        let id = |it: usize| self.workers[it].id.as_str();
        rows.map(move |row| {
            let lease = &self.leases[row];
            Seen {
                key: &lease.key,
                owner: lease.owner.map(id),
                giver: lease.giver.map(id),
                counter: self.counter(row),
                limit: self.limit(lease.giver.or(lease.owner)),
                failover: None,
                is_end: lease.is_end,
            }
        })
    }

    fn limit(&self, holder: Option<usize>) -> Option<usize> {
        let holder = holder.filter(|_| self.settings.tells_limits)?;
        self.workers[holder].max_leases
    }

    fn write(&mut self, at: usize, moves: Vec<Move>) {
        if !self.is_live(at) {
            return;
        }
        for it in moves {
            let is_done = match it {
                Move::Take { key, counter } => self.take(at, &key, counter),
                Move::Ask { key, holder } => self.ask(at, &key, &holder),
            };
            if is_done {
                self.counts.last_move = Some(self.now);
            } else {
                self.counts.refused += 1;
            }
        }
        self.weigh();
    }

    fn take(&mut self, at: usize, key: &str, counter: u64) -> bool {
        let row = self.places[key];
        let is_same = self.counter(row) == counter;
        if is_same {
            self.set(row, Some(at), None);
            self.counts.takes += 1;
        }
        is_same
    }

    fn ask(&mut self, at: usize, key: &str, holder: &str) -> bool {
        let (row, holder) = (self.places[key], self.names[holder]);
        let lease = &self.leases[row];
        let may = lease.owner == Some(holder) && lease.giver.is_none();
        if may {
            self.set(row, Some(at), Some(holder));
            self.counts.asks += 1;
            let heard = self.rng.u64(..=self.settings.failover / 3);
            let drained = self.rng.u64(..=self.settings.drain);
            let event = Event::HandOver { row, to: at, from: holder };
            self.schedule(self.now + heard + drained, event);
        }
        may
    }

    fn hand_over(&mut self, row: usize, to: usize, from: usize) {
        let lease = &self.leases[row];
        if self.is_live(from) && lease.owner == Some(to) && lease.giver == Some(from) {
            self.set(row, Some(to), None);
            self.counts.hand_overs += 1;
        }
    }

    fn weigh(&mut self) {
        let (held, is_whole) = self.held();
        let spread = held.iter().max().unwrap_or(&0) - held.iter().min().unwrap_or(&0);
        if is_whole {
            self.counts.whole.get_or_insert(self.now);
        }
        if !is_whole || spread > 1 {
            self.counts.balanced = None;
        } else if self.counts.balanced.is_none() {
            self.counts.balanced = Some(self.now);
            let live = self.workers.iter().filter(|it| it.died.is_none());
            let made = live.map(|it| it.surveys);
            self.counts.surveys = (made.clone().min().unwrap_or(0), made.max().unwrap_or(0));
        }
    }
}

/// Stands for a survey that is in progress.
fn nothing() -> Survey {
    Survey::new("", Duration::ZERO, Duration::ZERO)
}
