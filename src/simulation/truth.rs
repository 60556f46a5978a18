//! What was put and what was handled: the judge of a simulated run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::shard_truth::ShardTruth;
use crate::core::settings::OnForeign;
use crate::delivery::batch::Batch;
use crate::model::gap::Gap;
use crate::model::position::{IteratorType, Position};
use crate::model::sequence::SequenceNumber;
use crate::model::shard::Shard;

/// All records of the stream, and their state.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// How the numbers of the present stream begin.
    incarnation: String,
    shards: Shards,
    /// Earlier streams of its name: their records need not come any more.
    former: BTreeMap<String, Shards>,
    /// The only shards to read, with their descendants.
    pub(super) chosen: Option<BTreeSet<String>>,
    /// Where the stream starts, and where shards with a start of their own start.
    pub(super) starts_at: Option<IteratorType>,
    pub(super) own_starts: BTreeMap<String, IteratorType>,
    /// Shards whose last record was read, and leaves the stream only after a day, while there are no faults any more.
    calm: BTreeSet<String>,
    run: Run,
}

type Shards = BTreeMap<String, ShardTruth>;

/// The state of the present run of the consumer.
#[derive(Debug, Default)]
struct Run {
    /// The positions that the store held when it was read, or was reset to since.
    loaded: BTreeMap<String, Position>,
    on_foreign: Option<OnForeign>,
    /// The shards that the first listing did not show any more.
    unlisted: BTreeSet<String>,
    /// The shards that were started.
    started: BTreeSet<String>,
    /// Whether the stream was created again since: the listed shards are not those that are read.
    is_outlived: bool,
    /// The shards whose first answer with content has come.
    answered: BTreeSet<String>,
    /// The shards whose next batch must report a gap, and why.
    must_tell: BTreeMap<String, &'static str>,
    /// The shards whose start, a time, the service refused.
    refused: BTreeSet<String>,
    /// The shards that were given up: somebody else owns them.
    given_up: BTreeSet<String>,
}

impl Truth {
    /// The stream was created, perhaps again.
    pub(super) fn created(&mut self, shards: &[Shard]) {
        let mut former = std::mem::take(&mut self.shards);
        former.values_mut().for_each(|shard| shard.trim(None));
        let incarnation = incarnation(shards[0].starting_sequence_number()).to_owned();
        self.former.insert(std::mem::replace(&mut self.incarnation, incarnation), former);
        self.run.is_outlived = true;
        shards.iter().for_each(|shard| self.born(shard.id(), &[]));
    }

    pub(super) fn born(&mut self, shard: &str, parents: &[String]) {
        let is_followed = parents.iter().any(|parent| self.shards[parent].is_wanted);
        let is_chosen = self.chosen.as_ref().is_none_or(|chosen| chosen.contains(shard));
        let is_wanted = is_followed || is_chosen;
        let truth = ShardTruth { parents: parents.to_vec(), is_wanted, ..ShardTruth::default() };
        self.shards.insert(shard.into(), truth);
        for parent in parents {
            self.shard(parent).is_closed = true;
        }
    }

    /// A record was put, with this many user records if it is an aggregate.
    pub(super) fn put(
        &mut self,
        shard: &str,
        sequence: &SequenceNumber,
        users: Option<u64>,
        arrival: SystemTime,
    ) {
        let shard = self.shard(shard);
        match users {
            None => shard.put(Position::after(sequence.clone()), arrival),
            Some(users) => (0..users).for_each(|sub| {
                shard.put(Position::After { sequence: sequence.clone(), sub }, arrival);
            }),
        }
    }

    /// The oldest records have left the stream: all before this one, or all.
    pub(super) fn trimmed(&mut self, shard: &str, left: Option<&SequenceNumber>) {
        self.shard(shard).trim(left);
    }

    pub(super) fn retired(&mut self, shard: &str) {
        self.trimmed(shard, None);
        self.shard(shard).is_retired = true;
    }

    pub(super) fn is_retired(&self, shard: &str) -> bool {
        self.shards.get(shard).is_some_and(|shard| shard.is_retired)
    }

    /// Earlier records need not come.
    pub(super) fn starts_at(&mut self, time: SystemTime) {
        self.shards.values_mut().for_each(|shard| shard.excuse_before(time));
    }

    /// A consumer starts.
    pub(super) fn begins(&mut self) {
        self.run = Run::default();
    }

    /// The consumer has read the store, which holds this.
    pub(super) fn loaded(&mut self, positions: &[(String, Position)], on_foreign: OnForeign) {
        let loaded = positions.iter().cloned().collect();
        let is_outlived = self.run.is_outlived;
        self.run = Run { loaded, on_foreign: Some(on_foreign), is_outlived, ..Run::default() };
        self.shards.values_mut().for_each(|shard| shard.delivered = None);
    }

    /// The run listed the stream for the first time. A shard may retire after its page was shown.
    pub(super) fn lists(&mut self, listed: &BTreeSet<String>) {
        let retired = self.shards.iter().filter(|(_, shard)| shard.is_retired).map(|(id, _)| id);
        self.run.unlisted = retired.filter(|id| !listed.contains(*id)).cloned().collect();
    }

    /// The run starts at `Latest`: closed shards need not come, if they and their ancestors were never read.
    pub(super) fn skips_for_latest(&mut self) {
        let skipped: Vec<String> = self.shards.keys().cloned().collect();
        let skipped = skipped
            .into_iter()
            .filter(|id| self.shards[id].is_closed && self.fresh_start(id) == IteratorType::Latest);
        let skipped: Vec<String> = skipped.filter(|id| self.may_be_latest(id)).collect();
        for id in skipped {
            self.excuse_all(&id);
        }
    }

    pub(super) fn starts(&mut self, shard: &str) {
        let is_wanted =
            self.run.is_outlived || self.shards.get(shard).is_none_or(|it| it.is_wanted);
        assert!(is_wanted, "{shard} is read, which was not chosen");
        self.run.started.insert(shard.into());
        if self.is_misfit(shard) {
            self.run.must_tell.insert(shard.into(), "its position is of another stream");
        }
    }

    /// A shard is read from `Latest`: its records need not come, if that is right.
    pub(super) fn starts_latest(&mut self, shard: &str) {
        let is_told = self.is_misfit(shard) && self.run.on_foreign == Some(OnForeign::Latest);
        let is_fresh = self.fresh_start(shard) == IteratorType::Latest && self.may_be_latest(shard);
        let is_refused = self.run.refused.contains(shard);
        let is_right = is_told || is_refused || self.run.is_outlived || is_fresh;
        assert!(is_right, "{shard} starts at LATEST, but continues what was read");
        self.excuse_all(shard);
    }

    /// A shard is read from its oldest record. If shards have starts of their own, only these decide.
    pub(super) fn starts_oldest(&self, shard: &str) {
        let is_chosen = self.chosen.as_ref().is_none_or(|chosen| chosen.contains(shard));
        let is_told = !self.own_starts.is_empty() && !self.run.is_outlived && is_chosen;
        let is_latest =
            is_told && self.fresh_start(shard) == IteratorType::Latest && self.may_be_latest(shard);
        assert!(!is_latest, "{shard} starts at its oldest record, but is to start at LATEST");
    }

    /// The service refused a time as the start of a shard: all its records come from now on.
    pub(super) fn refuses_time(&mut self, shard: &str) {
        self.run.refused.insert(shard.into());
    }

    /// A shard was read; `tells` if a record came, or its end.
    pub(super) fn reads(&mut self, id: &str, tells: bool) {
        if let Some(shard) = self.shards.get_mut(id) {
            // To a consumer of the former stream every record of this one is new, whatever its configuration; that is
            // not so for others.
            shard.was_read |= !self.run.is_outlived;
        }
        let is_first = tells && self.run.answered.insert(id.into());
        if let Some(Position::After { sequence, .. }) = self.run.loaded.get(id) {
            let is_ours = is_first && self.is_present(sequence);
            if is_ours && self.shards.get(id).is_some_and(|shard| shard.is_gone(sequence)) {
                self.run.must_tell.insert(id.into(), "its position is trimmed");
            }
        }
    }

    /// A stored position is overwritten, whatever it was.
    pub(super) fn resets(&mut self, id: &str, to: Option<&Position>) {
        let is_chosen = self.run.on_foreign.is_some_and(|choice| choice != OnForeign::Fail);
        let position = self.run.loaded.remove(id);
        // The stored end of a shard that is still open is replaced by the same place, or by the shard's start.
        let number = |position: Option<&Position>| position.and_then(Position::sequence).cloned();
        let was_end = position.as_ref().is_some_and(Position::is_end);
        let is_near = number(to).is_none() || number(to) == number(position.as_ref());
        if (was_end && is_near) || (position.is_some() && position.as_ref() == to) {
            self.run.loaded.extend(to.map(|to| (id.to_owned(), to.clone())));
            return;
        }
        // A time in the service's future is replaced by one that is not.
        let was_refused = self.run.refused.contains(id);
        if was_refused && matches!(position, Some(Position::Since(_)) | None) {
            self.run.loaded.extend(to.map(|to| (id.to_owned(), to.clone())));
            return;
        }
        assert!(is_chosen, "{id}: reset to {to:?}, which no setting asked for");
        let number = position.as_ref().and_then(Position::sequence);
        let is_misfit = number.is_some_and(|number| !self.is_present(number));
        // The first write may have succeeded, and its answer be lost.
        assert!(
            is_misfit || position.as_ref() == to,
            "{id}: {position:?} was good, reset to {to:?}"
        );
        self.run.loaded.extend(to.map(|to| (id.to_owned(), to.clone())));
    }

    /// A batch is taken from the queue.
    pub(super) fn delivered(&mut self, batch: &Batch) {
        let id = batch.shard();
        if self.run.is_outlived || !self.is_of_present(batch) {
            return;
        }
        for parent in self.wanted_parents(id) {
            let is_delivered = self.shards[parent].is_delivered();
            assert!(is_delivered, "{id} came before the end of {parent}");
        }
        if let Some(why) = self.run.must_tell.remove(id) {
            assert!(batch.gap().is_some(), "{id} does not tell of a gap, but {why}");
        }
        if let Some(Gap::Trimmed { wanted: Some(wanted), .. }) = batch.gap() {
            let shard = &self.shards[id];
            let is_true = shard.is_retired || shard.is_gone(wanted) || !self.is_present(wanted);
            assert!(is_true, "{id} tells of a gap after {wanted}, which is still there");
        }
        self.is_no_false_alarm(batch);
        let loaded = self.run.loaded.get(id).and_then(|loaded| match loaded {
            Position::End { sequence } => Some(Position::after(sequence.clone())),
            Position::Since(_) => None,
            Position::After { .. } => Some(loaded.clone()),
        });
        let is_ours = |at: &Position| at.sequence().is_some_and(|number| self.is_present(number));
        let loaded = loaded.filter(is_ours);
        let shard = self.shard(id);
        for record in batch.records() {
            let position = record.position();
            assert!(Some(&position) > loaded.as_ref(), "{id} repeats {position}, which is stored");
            let before = shard.delivered.as_ref();
            assert!(Some(&position) > before, "{id} is out of order: {position} after {before:?}");
            shard.delivered = Some(position);
        }
    }

    /// A long silence begins, with these records in the stream. A shard's last record is among them, or it left the
    /// stream before the consumer could see that nothing followed it.
    pub(super) fn is_quiet(&mut self, held: &BTreeSet<SequenceNumber>) {
        let is_held = |shard: &ShardTruth| {
            let sequence = shard.delivered.as_ref().and_then(Position::sequence);
            sequence.is_some_and(|sequence| held.contains(sequence))
        };
        let calm = self.shards.iter().filter(|(_, shard)| is_held(shard));
        self.calm = calm.map(|(id, _)| id.clone()).collect();
    }

    /// After a long silence of a shard that this run had read, nothing is missing.
    fn is_no_false_alarm(&self, batch: &Batch) {
        let is_loss = matches!(batch.gap(), Some(Gap::Trimmed { wanted: Some(_), .. }));
        let is_false = is_loss && self.calm.contains(batch.shard());
        assert!(!is_false, "{} tells of a loss: {:?}", batch.shard(), batch.gap());
    }

    /// The consumer gives up a shard.
    pub(super) fn gives_up(&mut self, shard: &str) {
        self.run.given_up.insert(shard.to_owned());
    }

    /// The handler gets a batch, perhaps again: everything before it must be done.
    pub(super) fn hands_over(&self, batch: &Batch) {
        let id = batch.shard();
        assert!(!self.run.given_up.contains(id), "{id} is handled after it was given up");
        if self.run.is_outlived || !self.is_of_present(batch) {
            return;
        }
        for parent in self.wanted_parents(id) {
            let is_done = self.shards[parent].is_settled();
            assert!(is_done, "{id} is handled before the end of {parent}");
        }
        let Some(first) = batch.records().first() else { return };
        let shard = &self.shards[id];
        let place = shard.place_of(&first.position());
        assert!(place <= shard.settled, "{id}: {place} is handled before {}", shard.settled);
    }

    /// The handler or the dead-letter callback returned `Ok`, or the user commits.
    pub(super) fn handled(&mut self, batch: &Batch) {
        self.handled_first(batch, batch.len());
    }

    /// The same for this many records.
    pub(super) fn handled_first(&mut self, batch: &Batch, count: usize) {
        for record in batch.records().iter().take(count) {
            let position = record.position();
            let number = position.sequence().expect("every record has a number");
            let shard = self.shard_with(batch.shard(), number);
            shard.expect("it was put into a stream of this name").handle(&position);
        }
    }

    /// The store gets this position: everything up to it must be handled.
    pub(super) fn stores(&mut self, id: &str, position: &Position) {
        assert!(!self.run.given_up.contains(id), "{id} is stored after it was given up");
        let Some(sequence) = position.sequence() else { return };
        let is_present = self.is_present(sequence);
        // It may have been listed as closed before the stream was created again.
        let is_outlived = self.run.is_outlived;
        let Some(shard) = self.shard_with(id, sequence) else {
            // A shard that was never read ends where its position said, whatever that was.
            return assert!(position.is_end(), "{id}: {position} was never read");
        };
        let covered = shard.records.partition_point(|record| record.position <= *position);
        let covered = if position.is_end() { shard.records.len() } else { covered };
        // With its stream every shard has ended.
        let is_open = is_present && !shard.is_closed && !is_outlived;
        let first = shard.records.get(shard.settled).map(|record| &record.position);
        assert!(covered <= shard.settled, "{id}: {position} is stored, {first:?} is not handled");
        assert!(!is_open || !position.is_end(), "{id}: an open shard has no end");
    }

    /// Old records of a parent would come again after a restart, newer ones of its child would not: the last value of
    /// a key would be an old one.
    pub(super) fn stores_after_parents(
        &self,
        id: &str,
        position: &Position,
        stored: &[(String, Position)],
    ) {
        let is_present = position.sequence().is_some_and(|number| self.is_present(number));
        // What was started is of the stream that had the name before.
        let is_told = is_present && !self.run.is_outlived;
        let Some(shard) = self.shards.get(id).filter(|_| is_told) else { return };
        for parent in shard.parents.iter().filter(|id| self.run.started.contains(*id)) {
            let parents = stored.iter().find(|(stored, _)| stored == parent);
            let is_over = parents.is_some_and(|(_, position)| position.is_end());
            assert!(is_over, "{id}: {position} is stored before the end of {parent}");
        }
    }

    /// Whether everything that must come was handled.
    pub(super) fn is_complete(&self) -> bool {
        self.shards.values().all(ShardTruth::is_settled)
    }

    /// The unhandled records, for the message.
    pub(super) fn missing(&self) -> Vec<(&String, &Position)> {
        let first = |shard: &'_ ShardTruth| shard.records.get(shard.settled).map(|_| shard.settled);
        let open = self.shards.iter().filter_map(|(id, shard)| Some((id, shard, first(shard)?)));
        open.map(|(id, shard, place)| (id, &shard.records[place].position)).collect()
    }

    /// A shard whose stored position is not where it must be after an orderly end.
    pub(super) fn misplaced(&self, stored: &[(String, Position)]) -> Option<&String> {
        let listed = self.shards.iter().filter(|(_, shard)| shard.is_wanted && !shard.is_retired);
        let found = listed.filter(|(id, shard)| {
            let position = stored.iter().find(|(stored, _)| stored == *id);
            let position = position.map(|(_, position)| position);
            let is_ours =
                |at: &&Position| at.sequence().is_some_and(|number| self.is_present(number));
            let ours = position.filter(is_ours);
            if shard.is_closed {
                let was_read = position.is_some() || self.run.started.contains(*id);
                return was_read && !ours.is_some_and(Position::is_end);
            }
            let held = shard.records.iter().rev().find(|record| !record.need_not_come);
            let last = held.filter(|record| record.was_handled).map(|record| &record.position);
            last.is_some() && ours < last
        });
        found.map(|(id, _)| id).next()
    }

    /// Whether the number is of the stream as it is now.
    pub(super) fn is_present(&self, number: &SequenceNumber) -> bool {
        incarnation(number) == self.incarnation
    }

    /// Whether what was stored for the shard at the start of the run belongs to another stream.
    pub(super) fn is_misfit(&self, id: &str) -> bool {
        let number = self.run.loaded.get(id).and_then(Position::sequence);
        number.is_some_and(|number| !self.is_present(number))
    }

    fn is_of_present(&self, batch: &Batch) -> bool {
        batch.position().sequence().is_some_and(|number| self.is_present(number))
    }

    /// Whether nothing was read of the shard or its ancestors, now or before.
    fn may_be_latest(&self, id: &str) -> bool {
        let run = &self.run;
        let is_known = |id: &String| {
            let is_stored = run.loaded.contains_key(id) || self.shards[id].was_read;
            is_stored || run.started.contains(id)
        };
        let above = self.ancestors(id);
        let is_continued = above.iter().any(is_known)
            || (above.iter().any(|id| run.unlisted.contains(id)) && !run.loaded.is_empty());
        !is_continued && !run.loaded.contains_key(id) && !self.shards[id].was_read
    }

    fn ancestors(&self, id: &str) -> BTreeSet<String> {
        let mut above = BTreeSet::new();
        let mut next = self.shards[id].parents.clone();
        while let Some(id) = next.pop() {
            next.extend(self.shards[&id].parents.iter().cloned());
            above.insert(id);
        }
        above
    }

    /// Where a shard starts if neither it nor an ancestor has a stored position: its own start, or its nearest
    /// ancestors' if they agree, or else the stream's.
    fn fresh_start(&self, id: &str) -> IteratorType {
        if let Some(own) = self.own_starts.get(id) {
            return own.clone();
        }
        let (mut above, mut found) = (self.shards[id].parents.clone(), BTreeSet::new());
        while let Some(id) = above.pop() {
            match self.own_starts.get(&id) {
                Some(own) => drop(found.insert(format!("{own:?}"))),
                // By default it is the stream's start.
                None if self.shards[&id].parents.is_empty() => {
                    found.insert(format!("{:?}", self.starts_at.as_ref().unwrap()));
                }
                None => above.extend(self.shards[&id].parents.iter().cloned()),
            }
        }
        if found.is_empty() {
            return self.starts_at.clone().unwrap_or(IteratorType::TrimHorizon);
        }
        let latest = format!("{:?}", IteratorType::Latest);
        let is_latest = found.len() == 1 && found.contains(&latest);
        if is_latest { IteratorType::Latest } else { IteratorType::TrimHorizon }
    }

    fn wanted_parents<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a String> {
        self.shards[id].parents.iter().filter(|parent| self.shards[*parent].is_wanted)
    }

    fn excuse_all(&mut self, id: &str) {
        let shard = self.shard(id);
        shard.excuse(shard.records.len());
    }

    fn shard(&mut self, id: &str) -> &mut ShardTruth {
        self.shards.get_mut(id).expect("every shard is told when it is born")
    }

    /// The shard of the stream that gave out this number.
    fn shard_with(&mut self, id: &str, number: &SequenceNumber) -> Option<&mut ShardTruth> {
        if self.is_present(number) {
            return self.shards.get_mut(id);
        }
        self.former.get_mut(incarnation(number))?.get_mut(id)
    }
}

/// The part of a number that says which stream gave it out.
fn incarnation(number: &SequenceNumber) -> &str {
    number.as_str().get(..16).unwrap_or_default()
}
