//! Every write of a lease that there is, with its condition.
//!
//! The writes of a holder depend on who holds the lease, and never on its counter, to which they only add: so two of them
//! at once do not refuse each other. KCL sees a counter that moves.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::fleet::lease::checkpoint::{Checkpoint, millis};
use crate::core::fleet::lease::names;
use crate::core::fleet::lease::row::{Holder, MOST, Row};
use crate::model::item::{Attribute, Item};
use crate::model::sequence::SequenceNumber;
use crate::model::shard::HashKeyRange;
use crate::model::write::{Condition, Update, Write};

/// A lease, as the one who holds it, or wants to, writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// The shard.
    pub(crate) shard: String,
    /// The worker's id.
    pub(crate) worker: String,
    /// Which tenure it is.
    pub(crate) holder: Holder,
}

/// What a row of ours says of the fleet, and of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// After how long without a beat the holder loses the lease.
    pub(crate) failover: Duration,
    /// How many leases the holder wants at most; `None`: as many as it gets.
    pub(crate) limit: Option<usize>,
    /// The stream.
    pub(crate) stream: String,
}

/// A lease that is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    /// The shard.
    pub(crate) shard: String,
    /// Its parents, of which it may have none.
    pub(crate) parents: BTreeSet<String>,
    /// Its hash keys.
    pub(crate) hash_keys: HashKeyRange,
    /// Where it is read from.
    pub(crate) checkpoint: Checkpoint,
    /// Who holds it from the start, if anybody does.
    pub(crate) tenure: Option<Tenure>,
}

/// What becomes of the lease of a shard that is done to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It keeps its holder, as KCL expects of its own.
    Keep,
    /// Nobody holds it any more.
    Release,
}

/// Creates a lease, unless it exists.
// long: one line for each attribute.
pub(crate) fn create(birth: &Birth, marks: &Marks) -> Write {
    let mut row = Item::new();
    let mut set = |name: &str, value: Attribute| row.insert(name.to_owned(), value);
    set(names::COUNTER, 0_u64.into());
    set(names::SWITCHES, 0_u64.into());
    set(names::CHECKPOINT, birth.checkpoint.at.text().into());
    set(names::SUB, birth.checkpoint.sub.unwrap_or(0).into());
    if let Some(from) = birth.checkpoint.from {
        set(names::FROM, millis(from).into());
    }
    set(names::HASH_START, birth.hash_keys.start.to_string().as_str().into());
    set(names::HASH_END, birth.hash_keys.end.to_string().as_str().into());
    // The service keeps no empty set.
    if !birth.parents.is_empty() {
        set(names::PARENTS, Attribute::Ss(birth.parents.clone()));
    }
    if let Some(tenure) = &birth.tenure {
        set(names::OWNER, tenure.worker.as_str().into());
        set(names::HOLDER, tenure.holder.text().into());
        if let Some(limit) = marks.limit() {
            set(names::LIMIT, limit.into());
        }
    }
    set(names::FAILOVER, marks.failover().into());
    set(names::STREAM, marks.stream.as_str().into());
    set(names::FORMAT, names::NEWEST_FORMAT.into());
    Write::create(&birth.shard, row)
}

/// Asks whoever holds a lease to hand it over to this worker. `None` if nobody holds it, if the worker does, or if it is
/// being handed over already.
///
/// A former tenure of this worker may still stand in a row that KCL took since, and so may a request before that. The
/// worker would be its owner again: that tenure goes, or else its late writes would be taken for the owner's.
pub(crate) fn ask(row: &Row, worker: &str) -> Option<Write> {
    let owner = row.owner.as_deref().filter(|owner| *owner != worker)?;
    if row.giver().is_some() {
        return None;
    }
    let unasked = match (&row.checkpoint_owner, &row.asker) {
        (Some(of), Some(asker)) => Condition::equals(names::CHECKPOINT_OWNER, of.as_str())
            .and(Condition::equals(names::ASKER, asker.as_str())),
        _ => Condition::Absent(names::CHECKPOINT_OWNER),
    };
    let holder = match &row.holder {
        Some(holder) => Condition::equals(names::HOLDER, holder.text()),
        None => Condition::Absent(names::HOLDER),
    };
    let when = Condition::equals(names::OWNER, owner).and(unasked).and(holder);
    let update = Update::new()
        .set(names::OWNER, worker)
        .set(names::CHECKPOINT_OWNER, owner)
        .set(names::ASKER, worker);
    let is_former = row.holder.as_ref().is_some_and(|it| it.is_of(worker));
    let update = if is_former { update.remove(names::HOLDER) } else { update };
    Some(Write::update(&row.shard, when, update))
}

/// Takes back the request of this worker for a lease of that one, which is the owner again. The counter stays, as it does
/// with the request: KCL renews by it.
pub(crate) fn withdraw(shard: &str, worker: &str, of: &str) -> Write {
    let when =
        Condition::equals(names::OWNER, worker).and(Condition::equals(names::CHECKPOINT_OWNER, of));
    let update = Update::new().set(names::OWNER, of);
    Write::update(shard, when, update.remove(names::CHECKPOINT_OWNER).remove(names::ASKER))
}

/// Frees a row that names this worker, which has no use for it: its request is taken back, and what was handed over is
/// nobody's. `None` if the row does not name it, or is held by another process of that name.
pub(crate) fn let_go(row: &Row, worker: &str, process: &str) -> Option<Write> {
    if row.owner.as_deref() != Some(worker) {
        return None;
    }
    if let Some(of) = &row.checkpoint_owner {
        return Some(withdraw(&row.shard, worker, of));
    }
    if row.holder.as_ref().is_some_and(|it| it.is_of(worker) && it.process() != process) {
        return None;
    }
    let when = Condition::equals(names::OWNER, worker)
        .and(Condition::Absent(names::CHECKPOINT_OWNER))
        .and(Condition::equals(names::COUNTER, row.counter));
    Some(Write::update(&row.shard, when, nobody(grown())))
}

/// Deletes the lease of a shard that is done to its end.
pub(crate) fn retire(shard: &str) -> Write {
    Write::delete(shard, Condition::equals(names::CHECKPOINT, names::SHARD_END))
}

impl Tenure {
    /// Takes a lease that nobody holds, or whose holder has not moved its counter for too long.
    ///
    /// The position is that of the row in the answer, never the one that was seen before.
    pub(crate) fn take(&self, row: &Row, marks: &Marks) -> Write {
        let update = self.begun(marks).set(names::OWNER, self.worker.as_str());
        let update = update.remove(names::CHECKPOINT_OWNER);
        let update = match row.working_owner() {
            Some(owner) if owner != self.worker => update.add(names::SWITCHES, 1),
            _ => update,
        };
        let when = Condition::equals(names::COUNTER, row.counter);
        Write::update(&self.shard, when, update)
    }

    /// Begins to hold a lease that was handed over. The counter grows, so that of two processes with one id only one
    /// succeeds.
    pub(crate) fn accept(&self, row: &Row, marks: &Marks) -> Write {
        let when = Condition::equals(names::OWNER, self.worker.as_str())
            .and(Condition::Absent(names::CHECKPOINT_OWNER))
            .and(Condition::equals(names::COUNTER, row.counter));
        Write::update(&self.shard, when, self.begun(marks))
    }

    /// This tenure holds the lease, and nobody asks for it.
    fn begun(&self, marks: &Marks) -> Update {
        marks.on(grown()).set(names::HOLDER, self.holder.text()).remove(names::ASKER)
    }

    /// Shows that the holder lives.
    pub(crate) fn beat(&self) -> Write {
        self.write(grown())
    }

    /// The same, and what the row says of the fleet and of its holder has changed.
    pub(crate) fn tell(&self, marks: &Marks) -> Write {
        self.write(marks.on(grown()))
    }

    /// Stores how far the shard is done, if that is still what it was. It is a beat as well.
    pub(crate) fn commit(&self, was: &Checkpoint, to: &Checkpoint) -> Write {
        Write::update(&self.shard, self.mine().and(unmoved(was)), moved(to))
    }

    /// Stores a position that may be an earlier one. It is the same write as a commit; what a refusal means is not.
    pub(crate) fn reset(&self, was: &Checkpoint, to: &Checkpoint) -> Write {
        self.commit(was, to)
    }

    /// Stores that the shard is done to its end, after its children's leases were created and named.
    pub(crate) fn end(&self, was: &Checkpoint, last: &SequenceNumber, then: AtEnd) -> Write {
        let update = moved(&Checkpoint::ended(last));
        let update = match then {
            AtEnd::Keep => update,
            AtEnd::Release => nobody(update),
        };
        Write::update(&self.shard, self.mine().and(unmoved(was)), update)
    }

    /// Names the children of the shard, of which there is at least one.
    pub(crate) fn children(&self, children: &BTreeSet<String>) -> Write {
        self.write(grown().set(names::CHILDREN, Attribute::Ss(children.clone())))
    }

    /// Hands the lease over to the worker that has asked for it, after everything was committed.
    pub(crate) fn hand_over(&self, to: &str) -> Write {
        let when = Condition::equals(names::OWNER, to)
            .and(Condition::equals(names::CHECKPOINT_OWNER, self.worker.as_str()))
            .and(Condition::equals(names::HOLDER, self.holder.text()));
        let update = grown().remove(names::CHECKPOINT_OWNER).remove(names::HOLDER);
        // It is not that of the next holder.
        Write::update(&self.shard, when, update.remove(names::LIMIT))
    }

    /// Gives the lease up, whoever may want it.
    pub(crate) fn release(&self) -> Write {
        self.write(nobody(grown()))
    }

    /// Whether the row is this tenure's.
    pub(crate) fn holds(&self, row: &Row) -> bool {
        let is_of_worker = [row.owner.as_deref(), row.giver()].contains(&Some(&self.worker));
        is_of_worker && row.holder.as_ref() == Some(&self.holder)
    }

    /// Holds of a row that is this tenure's, and of no other: [`holds`](Self::holds) as the table sees it.
    fn mine(&self) -> Condition {
        let worker = self.worker.as_str();
        let is_asked = Condition::equals(names::CHECKPOINT_OWNER, worker)
            .and(Condition::Absent(names::ASKER).or(Condition::Same(names::OWNER, names::ASKER)));
        Condition::equals(names::OWNER, worker)
            .or(is_asked)
            .and(Condition::equals(names::HOLDER, self.holder.text()))
    }

    fn write(&self, update: Update) -> Write {
        Write::update(&self.shard, self.mine(), update)
    }
}

impl Marks {
    fn failover(&self) -> u64 {
        u64::try_from(self.failover.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many leases the row says. A larger number would not be read.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit.map(|limit| u64::try_from(limit).unwrap_or(MOST).min(MOST))
    }

    /// A row that KCL has created tells nothing of the fleet until one of ours holds it.
    fn on(&self, update: Update) -> Update {
        let update = match self.limit() {
            Some(limit) => update.set(names::LIMIT, limit),
            None => update.remove(names::LIMIT),
        };
        update
            .set(names::FAILOVER, self.failover())
            .set(names::STREAM, self.stream.as_str())
            .set(names::FORMAT, names::NEWEST_FORMAT)
    }
}

/// The counter grows, so that a taker who has seen it before is refused.
fn grown() -> Update {
    Update::new().add(names::COUNTER, 1)
}

/// Nobody holds it. Without the tenure no late write of it is taken for the next one's.
fn nobody(update: Update) -> Update {
    let update = update.remove(names::OWNER).remove(names::CHECKPOINT_OWNER);
    update.remove(names::HOLDER).remove(names::LIMIT).remove(names::ASKER)
}

/// Holds while the checkpoint is the same, as it stands in the row: DynamoDB cannot compare numbers of 56 digits.
fn unmoved(was: &Checkpoint) -> Condition {
    let sub = match was.sub {
        Some(sub) => Condition::equals(names::SUB, sub),
        None => Condition::Absent(names::SUB),
    };
    Condition::equals(names::CHECKPOINT, was.at.text()).and(sub)
}

fn moved(to: &Checkpoint) -> Update {
    let update = grown()
        .set(names::CHECKPOINT, to.at.text())
        .set(names::SUB, to.sub.unwrap_or(0))
        .set(names::SWITCHES, 0_u64)
        .remove(names::PENDING)
        .remove(names::PENDING_SUB)
        .remove(names::PENDING_STATE);
    let update = match to.from {
        Some(from) => update.set(names::FROM, millis(from)),
        None => update.remove(names::FROM),
    };
    match &to.end {
        Some(last) => update.set(names::END, last.as_str()),
        None => update.remove(names::END),
    }
}
