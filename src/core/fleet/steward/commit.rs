//! The writes of a tenure that keep how far its shard is done.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

use crate::core::fleet::held::Moment;
use crate::core::fleet::lease::checkpoint::Checkpoint;
use crate::core::fleet::lease::refused::{Loss, Verdict};
use crate::core::fleet::lease::writes::{AtEnd, Birth, Tenure, create};
use crate::core::fleet::steward::answers::{Span, row};
use crate::core::fleet::steward::{Phase, Steward};
use crate::core::shard::step;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::error::store::StoreError;
use crate::model::item::Item;
use crate::model::position::Position;
use crate::model::shard::ChildShard;
use crate::model::write::{Applied, Write};

/// A position on its way into the table: one write, or several at the end of a shard.
#[derive(Debug)]
pub(crate) struct Commit {
    shard: String,
    epoch: u64,
    pub(super) to: Position,
    how: step::Write,
    /// What is left to write before the position; `None` before that is known.
    before: Option<VecDeque<Before>>,
    /// What the position's write stores.
    sent: Option<Checkpoint>,
    /// At the end of the shard: what becomes of its row.
    then: AtEnd,
    refusals: u32,
}

/// What is written of the children before the end of their parent.
#[derive(Clone, Debug)]
enum Before {
    Birth(Box<Birth>),
    Children(BTreeSet<String>),
}

/// How often another writer of the same row may be quicker.
const REFUSALS: u32 = 16;

impl Commit {
    /// A position of this tenure.
    pub(crate) fn new(shard: &str, epoch: u64, to: &Position, how: step::Write) -> Self {
        let (shard, to) = (shard.to_owned(), to.clone());
        Self { shard, epoch, to, how, before: None, sent: None, then: AtEnd::Keep, refusals: 0 }
    }
}

impl Steward {
    /// The children that the last answer of a shard has named.
    pub(crate) fn ends_with(&mut self, shard: &str, epoch: u64, children: &[ChildShard]) {
        if let Some(lease) = self.lease_mut(shard, epoch) {
            lease.children = children.to_vec();
        }
    }

    /// The next write of a commit; `None` when it is done.
    ///
    /// # Errors
    /// If the tenure is over, or, at the end of a shard, its children are not known yet.
    // long: what comes before the position, and which write stores it.
    pub(crate) fn next_write(&mut self, commit: &mut Commit) -> Result<Option<Write>, StoreError> {
        let lease = self.lease(&commit.shard, commit.epoch).ok_or_else(over)?;
        let was = lease.row.checkpoint.clone();
        let to = Checkpoint::of(&commit.to, &was);
        let is_reset = commit.how == step::Write::Overwrite;
        if !is_reset && was.reach(&to) != Ordering::Less {
            return Ok(None);
        }
        if commit.to.is_end() && commit.before.is_none() {
            commit.before = Some(self.before_end(commit)?);
            commit.then = self.view.at_end();
        }
        // What has had a later tenure since is born without one.
        if let Some(Before::Birth(birth)) = commit.before.as_mut().and_then(VecDeque::front_mut) {
            birth.tenure = birth.tenure.take().filter(|tenure| !self.is_outdated(tenure));
        }
        let lease = self.lease_mut(&commit.shard, commit.epoch).ok_or_else(over)?;
        if let Some(next) = commit.before.as_ref().and_then(VecDeque::front) {
            return Ok(Some(match next {
                Before::Birth(birth) => create(birth, &self.settings.marks),
                Before::Children(children) => lease.tenure.children(children),
            }));
        }
        let write = match &commit.to {
            Position::End { sequence } => {
                lease.is_ending = commit.then == AtEnd::Release;
                lease.tenure.end(&was, sequence, commit.then)
            }
            _ if is_reset => lease.tenure.reset(&was, &to),
            _ => lease.tenure.commit(&was, &to),
        };
        commit.sent = Some(to);
        Ok(Some(write))
    }

    /// Takes in the outcome of the last write. Whether the commit is done.
    ///
    /// # Errors
    /// If the tenure is over, or the outcome is unknown.
    // long: the children's rows, their names, and then the position.
    pub(crate) fn committed(
        &mut self,
        at: Span,
        commit: &mut Commit,
        outcome: Result<Applied, LeaseTableError>,
    ) -> Result<bool, StoreError> {
        self.hears_of_table(at, outcome.as_ref().err());
        let outcome = outcome.map_err(|error| {
            self.pause(at.now);
            self.birth_unheard(at, commit);
            failure(error)
        })?;
        let first = commit.before.as_mut().and_then(VecDeque::pop_front);
        let done = match first {
            Some(Before::Birth(birth)) => {
                self.born(at, *birth, outcome);
                Ok(false)
            }
            Some(Before::Children(_)) => self.named_children(at, commit, &outcome),
            None => self.stored(at, commit, &outcome),
        };
        if commit.to.is_end() {
            self.start_waiting(at.now);
        }
        done
    }

    /// A child may have been born with this process as its holder.
    fn birth_unheard(&mut self, at: Span, commit: &Commit) {
        let Some(Before::Birth(birth)) = commit.before.as_ref().and_then(VecDeque::front) else {
            return;
        };
        if let Some(tenure) = birth.tenure.as_ref().filter(|tenure| !self.is_outdated(tenure)) {
            let since = || (tenure.clone(), at.sent);
            self.births.entry(tenure.holder.number()).or_insert_with(since);
        }
        if !self.may_gain() {
            self.undo_births(at.now);
        }
    }

    fn born(&mut self, at: Span, birth: Birth, outcome: Applied) {
        let number = birth.tenure.as_ref().map(|it| it.holder.number());
        let first = number.and_then(|it| self.births.remove(&it)).map(|(_, first)| first);
        match outcome {
            Applied::Done(item) => self.created(at, birth, Some(&item)),
            // An earlier attempt, of which nothing was heard, may have been done.
            Applied::Refused(Some(item)) => {
                let sent = first.unwrap_or(at.sent);
                self.created(Span { sent, ..at }, birth, Some(&item));
            }
            Applied::Refused(None) => {}
        }
    }

    fn named_children(
        &mut self,
        at: Span,
        commit: &Commit,
        outcome: &Applied,
    ) -> Result<bool, StoreError> {
        match outcome {
            Applied::Done(item) => self.shown(at, commit, item),
            // The end was written before, and its answer was lost.
            Applied::Refused(Some(item)) if is_end(item) => {
                self.found(at.now, &commit.shard, commit.epoch, item);
                self.ended(at.now, commit, item);
                return Ok(true);
            }
            Applied::Refused(found) => {
                let lease = self.lease(&commit.shard, commit.epoch).ok_or_else(over)?;
                if let Some(why) = lease.tenure.loss(found.as_ref()) {
                    return Err(self.loses(commit, why));
                }
            }
        }
        Ok(false)
    }

    // long: one branch for each meaning of the outcome.
    fn stored(
        &mut self,
        at: Span,
        commit: &mut Commit,
        outcome: &Applied,
    ) -> Result<bool, StoreError> {
        let Some(to) = commit.sent.take() else { return Ok(false) };
        let found = match outcome {
            Applied::Done(item) => {
                self.shown(at, commit, item);
                self.ended(at.now, commit, item);
                return Ok(true);
            }
            Applied::Refused(found) => found.as_ref(),
        };
        let lease = self.lease_mut(&commit.shard, commit.epoch).ok_or_else(over)?;
        let verdict = match commit.how {
            step::Write::Overwrite => lease.tenure.reset_refused(&to, found),
            step::Write::Forward => lease.tenure.commit_refused(&to, found),
        };
        match verdict {
            Verdict::Again(was) => {
                lease.row.checkpoint = was;
                commit.refusals += 1;
                // Another worker may ask for the lease than was known.
                if let Some(item) = found {
                    self.found(at.now, &commit.shard, commit.epoch, item);
                }
                if commit.refusals >= REFUSALS {
                    return Err(StoreError::retry("another program writes the same lease"));
                }
                Ok(false)
            }
            // It is stored. If the tenure is over, the next beat tells.
            Verdict::Done { .. } | Verdict::Ahead { .. } => {
                if let Some(item) = found {
                    self.found(at.now, &commit.shard, commit.epoch, item);
                    self.ended(at.now, commit, item);
                }
                Ok(true)
            }
            Verdict::Lost(why) => Err(self.loses(commit, why)),
        }
    }

    /// A write of the holder was done: it is a beat as well.
    fn shown(&mut self, at: Span, commit: &Commit, item: &Item) {
        let rng = &mut self.rng;
        let lease = self.leases.get_mut(&commit.shard).filter(|it| it.epoch == commit.epoch);
        if let Some(lease) = lease {
            lease.held.shown(at.sent, rng);
        }
        self.saw(at.now, &commit.shard, commit.epoch, item);
    }

    fn loses(&mut self, commit: &Commit, why: Loss) -> StoreError {
        let error = lost(&why);
        self.lost(&commit.shard, commit.epoch, why);
        error
    }

    /// A position is stored, as this row shows. Another worker may have taken the lease before, and have stored it.
    fn ended(&mut self, now: Moment, commit: &Commit, item: &Item) {
        if !commit.to.is_end() {
            return;
        }
        // A later tenure goes on.
        if let Some(lease) = self.lease(&commit.shard, commit.epoch) {
            let is_held = row(item).is_some_and(|row| lease.tenure.holds(&row));
            match commit.then {
                AtEnd::Keep if is_held => self.keep_end(&commit.shard, now),
                AtEnd::Keep | AtEnd::Release => self.drop_ended(&commit.shard),
            }
        }
        self.complete();
    }

    /// A shard is done to its end, and this process does not hold its lease any more.
    pub(super) fn drop_ended(&mut self, shard: &str) {
        self.lift(shard);
        self.leases.remove(shard);
    }

    /// What is written before the end of a shard.
    fn before_end(&mut self, commit: &Commit) -> Result<VecDeque<Before>, StoreError> {
        let listings = self.view.listings();
        // A run that ends lists no more, and only KCL reads a child before a parent that has no row.
        let is_last = self.phase != Phase::Running && self.view.at_end() == AtEnd::Release;
        let lease = self.leases.get_mut(&commit.shard).filter(|it| it.epoch == commit.epoch);
        let lease = lease.ok_or_else(over)?;
        // A listing that was under way may be from before.
        let is_new = listings >= *lease.listings_at_end.get_or_insert(listings) + 2;
        let heirs = match self.view.heirs(&commit.shard, &lease.children, is_new || is_last) {
            Ok(heirs) => heirs,
            Err(unknown) => {
                self.want_listing();
                return Err(StoreError::retry(unknown.to_string()));
            }
        };
        let mut births = heirs.births;
        self.hold(commit, &mut births, &heirs.children);
        let mut before: VecDeque<_> =
            births.into_iter().map(|birth| Before::Birth(Box::new(birth))).collect();
        if !heirs.children.is_empty() {
            before.push_back(Before::Children(heirs.children));
        }
        Ok(before)
    }

    /// Holds as many of the children from the start as it may: those are read without a survey in between.
    fn hold(&mut self, commit: &Commit, births: &mut [Birth], children: &BTreeSet<String>) {
        let free = self.target.saturating_sub(self.load_without(&commit.shard));
        let free = if self.may_gain() { free } else { 0 };
        let mut held = BTreeSet::new();
        for birth in births.iter_mut().filter(|it| children.contains(&it.shard)).take(free) {
            let mut unheard = self.births.values().map(|(tenure, _)| tenure);
            let unheard = unheard.find(|it| it.shard == birth.shard).cloned();
            birth.tenure = Some(unheard.unwrap_or_else(|| self.tenure(&birth.shard)));
            held.insert(birth.shard.clone());
        }
        if let Some(lease) = self.lease_mut(&commit.shard, commit.epoch) {
            lease.heirs = held;
        }
    }

    /// Whether the shard was held in a later tenure.
    fn is_outdated(&self, tenure: &Tenure) -> bool {
        self.newest.get(&tenure.shard).is_some_and(|newest| *newest > tenure.holder.number())
    }

    /// How many leases this process will have when all that is on its way has happened, without one whose shard ends.
    fn load_without(&self, shard: &str) -> usize {
        let others = self.leases.iter().filter(|(id, lease)| *id != shard && lease.is_load());
        // Of another shard that ends, its children come instead; one that is born is held already.
        let stays = others.clone().filter(|(_, lease)| lease.heirs.is_empty());
        let born = others.flat_map(|(_, lease)| &lease.heirs);
        let wanted = self.jobs.iter().filter(|job| job.wants()).map(|job| job.write.key());
        let coming: BTreeSet<_> =
            born.map(String::as_str).chain(wanted).chain(self.requests.shards()).collect();
        stays.count() + coming.into_iter().filter(|id| !self.leases.contains_key(*id)).count()
    }
}

fn is_end(item: &Item) -> bool {
    row(item).is_some_and(|row| row.checkpoint.is_end())
}

/// A commit came after the end of its tenure.
fn over() -> StoreError {
    StoreError::lost("this process does not hold the shard's lease any more")
}

/// Why nothing more may be stored.
pub(crate) fn lost(why: &Loss) -> StoreError {
    StoreError::lost(why.to_string())
}

fn failure(error: LeaseTableError) -> StoreError {
    let stored = match error.kind() {
        LeaseTableErrorKind::Throttled | LeaseTableErrorKind::Transient => {
            StoreError::retry("the lease was not written")
        }
        LeaseTableErrorKind::NoTable | LeaseTableErrorKind::Fatal => {
            StoreError::fatal("the lease was not written")
        }
    };
    stored.with_source(error)
}
