//! What a change of the table must leave as it is.

use super::{Oracle, Rule, Tenure, epoch, has_no_start};
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::{Row, Seen, read};
use crate::model::item::{Attribute, Item, KEY};

/// Who has changed the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation::fleet) enum Who {
    /// A worker, whether it still lives or not.
    Worker(usize),
    /// Somebody with a tool, who may set or delete what he likes.
    Operator,
}

/// A write that was done.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::fleet) struct Change<'a> {
    pub(in crate::simulation::fleet) who: Who,
    /// In which tenure it was made, if it is one of a holder. The first one of a tenure is its take.
    pub(in crate::simulation::fleet) tenure: Option<&'a str>,
    pub(in crate::simulation::fleet) before: Option<&'a Item>,
    pub(in crate::simulation::fleet) after: Option<&'a Item>,
    /// Whether it put a whole row.
    pub(in crate::simulation::fleet) is_put: bool,
}

/// The attributes that workers write; all others are somebody else's.
const WRITTEN: [&str; 19] = [
    names::OWNER,
    names::CHECKPOINT_OWNER,
    names::COUNTER,
    names::SWITCHES,
    names::CHECKPOINT,
    names::SUB,
    names::PENDING,
    names::PENDING_SUB,
    names::PENDING_STATE,
    names::CHILDREN,
    names::HOLDER,
    names::ASKER,
    names::FROM,
    names::END,
    names::FAILOVER,
    names::LIMIT,
    names::STREAM,
    names::FORMAT,
    names::PARENTS,
];

impl Oracle {
    /// A write was done.
    pub(in crate::simulation::fleet) fn changed(&mut self, change: &Change<'_>) {
        let Some(key) = change.after.or(change.before).and_then(key_of) else {
            return self
                .breaks(Rule::WholeRows, format!("a row without a key: {:?}", change.after));
        };
        self.is_complete = None;
        // Whatever it was before, it came by here.
        let before = change.before.and_then(|_| self.leases.remove(key));
        let (before, after) = (before.as_ref(), change.after.and_then(lease));
        self.keeps_rows_whole(key, change, after.is_some());
        self.is_kept(key, change, before);
        self.is_waited_for(key, change, before, after.as_ref());
        self.moves_on(key, change.who, before, after.as_ref());
        if let Some(row) = &after {
            self.begins_late(key, change.who, before.is_none(), row);
        }
        if !self.is_excused(change, before) {
            self.is_of_present_tenure(key, change, before, after.as_ref());
            self.covers_what_is_handled(key, before, after.as_ref());
        }
        let is_new = before.is_none() != after.is_none();
        match after {
            Some(row) => {
                if row.checkpoint.is_end() {
                    self.ended.insert(key.to_owned());
                }
                self.leases.insert(key.to_owned(), row);
            }
            None => self.orphans(key, change.who),
        }
        if is_new {
            self.guard(key);
        }
    }

    /// Who could show that he lives keeps his lease, unless he was asked for it.
    fn is_kept(&mut self, key: &str, change: &Change<'_>, before: Option<&Row>) {
        let (Some(before), Some(text), Who::Worker(taker)) = (before, change.tenure, change.who)
        else {
            return;
        };
        let current = self.current.get(key).filter(|current| *current != text);
        let Some(tenure) = current.and_then(|current| self.tenures.get(current)) else { return };
        let (Some(worker), id) = (tenure.worker, tenure.owner.as_deref()) else { return };
        let is_free = before.checkpoint_owner.is_some()
            || before.owner.as_deref() != id
            || !tenure.is_heard
            || before.checkpoint.is_end();
        let are_ours = self.ours.contains(&taker) && self.ours.contains(&worker);
        if !is_free && are_ours && self.patience.could_beat((worker, id), tenure.since, self.now) {
            let how = format!("{text} takes {key} from {id:?}, which lives and is not asked");
            self.breaks(Rule::Kept, how);
        }
    }

    /// Notes who waits for a lease.
    fn is_waited_for(
        &mut self,
        key: &str,
        change: &Change<'_>,
        before: Option<&Row>,
        after: Option<&Row>,
    ) {
        let (Some(before), Some(after), Who::Worker(worker)) = (before, after, change.who) else {
            return self.patience.settles(key);
        };
        let is_asked = before.checkpoint_owner.is_none() && after.checkpoint_owner.is_some();
        if is_asked && self.ours.contains(&worker) {
            let asker = (worker, after.owner.as_deref());
            return self.patience.asks(key, asker, self.now);
        }
        let holds = change.tenure.is_some() && after.checkpoint_owner.is_none();
        let is_asker = self.patience.asker(key) == Some(worker);
        if before.owner != after.owner || after.checkpoint.is_end() || (is_asker && holds) {
            self.patience.settles(key);
        }
    }

    /// Notes what need not come, because the row leaves out what arrived before a time, or before its shard is read first.
    /// Only a table that nobody has used may get such a row; a plan for it may be some failover times old.
    fn begins_late(&mut self, key: &str, who: Who, is_new: bool, after: &Row) {
        let (now, to) = (epoch() + self.now, &after.checkpoint);
        if to.from.is_some_and(|from| from > now) {
            self.breaks(Rule::EveryRecord, format!("{key} starts later than now: {to:?}"));
        }
        let is_from_nowhere = |from| !self.starts.contains(&from);
        if is_new && who != Who::Operator && to.from.is_some_and(is_from_nowhere) {
            self.breaks(Rule::EveryRecord, format!("{key} starts at no other's time: {to:?}"));
        }
        if is_new && who != Who::Operator && has_no_start(to) {
            let is_late = |failover| self.now > self.untouched + failover * 10;
            if self.patience.failover().is_some_and(is_late) {
                let how = format!("{key} gets a row in a table in use, and starts at the latest");
                self.breaks(Rule::EveryRecord, how);
            }
            self.skips_above(key);
            self.first.insert(key.to_owned(), self.now);
        }
        self.starts.extend(to.from);
        let Some(shard) = self.shards.get_mut(key) else { return };
        match has_no_start(to) {
            true => shard.excuse_all(),
            false => shard.excuse_before(to),
        }
    }

    /// The ancestors of a shard that is the first of its line to be read are not read.
    fn skips_above(&mut self, key: &str) {
        for ancestor in self.ancestors(key) {
            if self.leases.contains_key(&ancestor) {
                continue;
            }
            if let Some(shard) = self.shards.get_mut(&ancestor) {
                shard.excuse_all();
                self.ended.insert(ancestor);
            }
        }
    }

    /// Notes who is excused for what comes next.
    fn moves_on(&mut self, key: &str, who: Who, before: Option<&Row>, after: Option<&Row>) {
        let (Some(before), Some(after)) = (before, after) else { return };
        let is_same = |of: fn(&Row) -> Option<&String>| of(before) == of(after);
        let is_moved =
            !is_same(|row| row.owner.as_ref()) || !is_same(|row| row.checkpoint_owner.as_ref());
        self.moves += u64::from(is_moved && !after.checkpoint.is_end());
        let current = self.current.get(key).cloned();
        if before.checkpoint_owner.is_some() && after.checkpoint_owner.is_none() {
            self.overdue.extend(current.clone());
        }
        let tenure = current.and_then(|current| self.tenures.get_mut(&current));
        if let Some(tenure) = tenure.filter(|it| who == Who::Operator && it.last.is_none()) {
            tenure.moved = Some(after.checkpoint.clone());
        }
    }

    /// Who has a tool may do what he likes. Amazon's library knows a lease by its counter alone: if a row is deleted and
    /// created again, the counter may come by the one that a holder remembers, and two believe to hold it. And 3.x continues to
    /// write a lease that it was asked for, until the row no longer says so, even if 2.x has taken the lease meanwhile.
    fn is_excused(&self, change: &Change<'_>, before: Option<&Row>) -> bool {
        let Who::Worker(worker) = change.who else { return true };
        let Some(text) = change.tenure.filter(|_| !self.ours.contains(&worker)) else {
            return false;
        };
        let is_current = before.is_some_and(|row| self.has(&row.shard, text));
        let giver = before.and_then(|row| row.checkpoint_owner.as_ref());
        let owner = self.tenures.get(text).and_then(|tenure| tenure.owner.as_ref());
        self.orphaned.contains_key(text) || !is_current && giver.is_some() && giver == owner
    }

    /// A row was deleted. Of the tenures that somebody with a tool has ended so, each may believe to go on.
    fn orphans(&mut self, key: &str, who: Who) {
        self.current.remove(key);
        if who == Who::Operator {
            let of_row = self.tenures.iter().filter(|(_, tenure)| tenure.shard == key);
            self.orphaned.extend(of_row.map(|(text, _)| (text.clone(), self.now)));
        }
    }

    /// Nobody leaves a part of a row, puts one over another, or touches what is not his.
    fn keeps_rows_whole(&mut self, key: &str, change: &Change<'_>, is_whole: bool) {
        if change.is_put && change.before.is_some() && change.who != Who::Operator {
            self.breaks(Rule::WholeRows, format!("{key} is put over another row"));
        }
        let Some(after) = change.after else { return };
        if !is_whole {
            self.breaks(Rule::WholeRows, format!("{key} is no whole lease: {after:?}"));
        }
        if change.who == Who::Operator {
            return;
        }
        let foreign = |name: &&String| !WRITTEN.contains(&name.as_str());
        let names = change.before.iter().flat_map(|before| before.keys());
        let lost = names
            .filter(foreign)
            .find(|name| change.before.and_then(|before| before.get(*name)) != after.get(*name));
        if let Some(lost) = lost {
            self.breaks(Rule::WholeRows, format!("{key}: {lost} is not what it was"));
        }
    }

    /// The position moves forward, over what was handled.
    fn covers_what_is_handled(&mut self, key: &str, before: Option<&Row>, after: Option<&Row>) {
        let Some(after) = after else { return };
        let to = &after.checkpoint;
        if before.is_some_and(|before| to.reach(&before.checkpoint).is_lt()) {
            let how = format!("{key} moves back to {} from {before:?}", to.at.text());
            self.breaks(Rule::Covered, how);
        }
        let Some(shard) = self.shards.get(key) else {
            return self.breaks(Rule::Covered, format!("{key} is a row of no shard"));
        };
        let early = shard.covered_early(to).map(ToString::to_string);
        let is_open_end = to.is_end() && !shard.is_closed;
        if early.is_some() || is_open_end {
            let how = format!("{key} is stored at {}, but {early:?} is open", to.at.text());
            self.breaks(Rule::Covered, how);
        }
    }

    /// A take or a creation of which nothing was heard is done again, because somebody has deleted the row in between.
    fn begins_again(&mut self, text: &str, before: Option<&Row>, after: Option<&Row>) {
        let is_free = before.is_none_or(|row| row.owner.is_none());
        let owner = after.and_then(|row| row.owner.as_deref());
        let is_again = |tenure: &Tenure| !tenure.is_heard && tenure.owner.as_deref() == owner;
        let is_orphaned = self.orphaned.contains_key(text);
        if is_orphaned && is_free && self.tenures.get(text).is_some_and(is_again) {
            self.tenures.remove(text);
        }
    }

    /// Of each lease only one tenure writes: the last that has begun, until the row names its worker no more.
    fn is_of_present_tenure(
        &mut self,
        key: &str,
        change: &Change<'_>,
        before: Option<&Row>,
        after: Option<&Row>,
    ) {
        let Some(text) = change.tenure else {
            // An ask, a creation or a deletion.
            if let (Some(before), Some(after)) = (before, after) {
                if before.checkpoint != after.checkpoint {
                    self.breaks(Rule::OldTenure, format!("{key} is moved in no tenure"));
                }
            }
            return;
        };
        self.begins_again(text, before, after);
        let is_current = self.has(key, text);
        if self.tenures.contains_key(text) && !is_current {
            self.breaks(Rule::OldTenure, format!("{key} is written by {text}, which is over"));
            return;
        }
        let Some(after) = after else { return };
        let (owner, from) = (after.owner.clone(), after.checkpoint.clone());
        let worker = match change.who {
            Who::Worker(worker) => Some(worker),
            Who::Operator => None,
        };
        let (shard, since, moved, last) = (key.to_owned(), self.now, None, None);
        let is_heard = self.tenures.contains_key(text);
        let begun = || Tenure { shard, worker, owner, since, is_heard, from, moved, last };
        let tenure = self.tenures.entry(text.to_owned()).or_insert_with(begun);
        tenure.is_heard = is_heard;
        let is_named = tenure.owner.is_some()
            && (after.owner == tenure.owner || after.checkpoint_owner == tenure.owner);
        match is_named {
            true => drop(self.current.insert(key.to_owned(), text.to_owned())),
            false => drop(self.current.remove(key)),
        }
    }
}

fn key_of(item: &Item) -> Option<&str> {
    item.get(KEY).and_then(Attribute::text)
}

fn lease(item: &Item) -> Option<Row> {
    match read(item) {
        Ok(Seen::Lease(row)) => Some(*row),
        _ => None,
    }
}
