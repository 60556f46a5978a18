//! Made-up histories, each of which breaks a rule.

use std::collections::BTreeMap;

use super::*;
use crate::core::fleet::lease::names;
use crate::model::item::{Attribute, Item, KEY};

const OURS: usize = 0;
const JAVA: usize = 1;
/// Another one of ours.
const OTHER: usize = 2;
const F: Duration = Duration::from_secs(10);

/// A parent with three records, its two children, and a table.
struct History {
    oracle: Oracle,
    rows: BTreeMap<&'static str, Item>,
}

fn at(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

impl History {
    /// Ours holds the parent in its first tenure, and has handled the first record.
    fn begun() -> Self {
        let mut history = Self { oracle: Oracle::default(), rows: BTreeMap::new() };
        history.oracle.is_ours(OURS);
        history.oracle.born("parent", &[]);
        (10..13).for_each(|number| history.oracle.put("parent", at(number), epoch()));
        history.creates("parent");
        history.takes("parent", "ours", "ours#1");
        history.hands_over("ours#1", "parent", &[10]);
        history.handles("parent", &[10]);
        history
    }

    /// The same, and all live, have to be in time, and have been for a while.
    fn lasting() -> Self {
        let mut history = Self::begun();
        history.oracle.is_ours(OTHER);
        history.oracle.patience().limits(F, F * 3);
        history.oracle.patience().begins(OURS, "ours", Duration::ZERO);
        history.oracle.patience().begins(OTHER, "other", Duration::ZERO);
        history.beats();
        history.oracle.passes(F * 10);
        history
    }

    /// Ours shows that it lives.
    fn beats(&mut self) {
        self.writes(Who::Worker(OURS), Some("ours#1"), "parent", |row| {
            row.insert(names::COUNTER.to_owned(), 1_u64.into());
        });
    }

    /// The other one asks for the parent.
    fn asks(&mut self) {
        self.writes(Who::Worker(OTHER), None, "parent", |row| {
            row.insert(names::CHECKPOINT_OWNER.to_owned(), "ours".into());
            row.insert(names::OWNER.to_owned(), "other".into());
        });
    }

    /// Somebody has the parent from now on.
    fn is_taken(&mut self, worker: usize, owner: &str) {
        let tenure = format!("{owner}#2");
        self.writes(Who::Worker(worker), Some(&tenure), "parent", |row| {
            row.insert(names::OWNER.to_owned(), owner.into());
            row.remove(names::CHECKPOINT_OWNER);
        });
    }

    /// The parent is done to its end, and its children are there.
    fn split() -> Self {
        let mut history = Self::begun();
        history.splits();
        history.hands_over("ours#1", "parent", &[11, 12]);
        history.handles("parent", &[11, 12]);
        history.creates("low");
        history.creates("high");
        history.stores("parent", "ours#1", names::SHARD_END);
        history
    }

    fn splits(&mut self) {
        for child in ["low", "high"] {
            self.oracle.born(child, &["parent".to_owned()]);
        }
        self.oracle.put("low", at(20), epoch());
    }

    fn writes(
        &mut self,
        who: Who,
        tenure: Option<&str>,
        key: &'static str,
        change: impl FnOnce(&mut Item),
    ) {
        let before = self.rows.get(key).cloned();
        let mut after = before.clone().unwrap_or_default();
        change(&mut after);
        let is_put = false;
        let changed = Change { who, tenure, before: before.as_ref(), after: Some(&after), is_put };
        self.oracle.changed(&changed);
        self.rows.insert(key, after);
    }

    fn creates(&mut self, key: &'static str) {
        self.creates_at(key, names::TRIM_HORIZON);
    }

    fn creates_at(&mut self, key: &'static str, checkpoint: &str) {
        self.writes(Who::Worker(OURS), None, key, |row| {
            *row = Item::from([
                (KEY.to_owned(), key.into()),
                (names::COUNTER.to_owned(), 0_u64.into()),
                (names::CHECKPOINT.to_owned(), checkpoint.into()),
                (names::SUB.to_owned(), 0_u64.into()),
            ]);
        });
    }

    fn takes(&mut self, key: &'static str, owner: &str, tenure: &str) {
        self.writes(Who::Worker(OURS), Some(tenure), key, |row| {
            row.insert(names::OWNER.to_owned(), owner.into());
        });
    }

    fn stores(&mut self, key: &'static str, tenure: &str, to: &str) {
        self.writes(Who::Worker(OURS), Some(tenure), key, |row| {
            row.insert(names::CHECKPOINT.to_owned(), to.into());
        });
    }

    fn deletes(&mut self, who: Who, key: &str) {
        let before = self.rows.remove(key);
        let changed =
            Change { who, tenure: None, before: before.as_ref(), after: None, is_put: false };
        self.oracle.changed(&changed);
    }

    fn hands_over(&mut self, tenure: &str, shard: &str, numbers: &[u64]) {
        self.gives(OURS, tenure, shard, numbers);
    }

    fn gives(&mut self, worker: usize, tenure: &str, shard: &str, numbers: &[u64]) {
        let records: Vec<_> = numbers.iter().copied().map(at).collect();
        self.oracle.hands_over(&HandOver { worker, tenure, shard, records: &records });
    }

    fn handles(&mut self, shard: &str, numbers: &[u64]) {
        let records: Vec<_> = numbers.iter().copied().map(at).collect();
        self.oracle.handled(shard, &records);
    }

    /// The rules that were broken, each once.
    fn broken(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = self.oracle.broken().iter().map(|broken| broken.rule).collect();
        rules.dedup();
        rules
    }

    fn ended(&mut self) -> Vec<Rule> {
        self.oracle.ends();
        self.broken()
    }
}

#[test]
fn a_history_without_a_fault_breaks_nothing() {
    let mut history = History::split();
    history.takes("low", "java", "java#1");
    history.gives(JAVA, "java#1", "low", &[20]);
    assert!(!history.oracle.is_complete());
    history.handles("low", &[20]);
    assert!(!history.oracle.is_complete(), "it is not stored yet");
    assert_eq!(history.oracle.unstored("low"), 1);
    history.stores("low", "java#1", "20");
    assert!(history.oracle.is_complete());
    assert_eq!(history.oracle.unstored("low"), 0);
    // Somebody else begins where the row says, also if that was handled before.
    history.deletes(Who::Operator, "low");
    history.creates("low");
    history.takes("low", "ours", "ours#2");
    history.hands_over("ours#2", "low", &[20]);
    assert_eq!(history.ended(), []);
}

#[test]
fn a_record_that_nobody_handles_is_found() {
    let mut history = History::begun();
    history.hands_over("ours#1", "parent", &[11, 12]);
    history.handles("parent", &[12]);
    assert_eq!(history.oracle.missing(), Some(("parent", &at(11))));
    assert_eq!(history.ended(), [Rule::EveryRecord]);
}

#[test]
fn a_tenure_that_repeats_or_begins_elsewhere_than_its_take_is_found() {
    for numbers in [&[11, 11][..], &[12, 11], &[10]] {
        let mut history = History::begun();
        history.hands_over("ours#1", "parent", numbers);
        assert_eq!(history.broken(), [Rule::Order], "{numbers:?}");
    }
    for (first, broken) in [(10, true), (11, false), (12, true)] {
        let mut history = History::begun();
        history.stores("parent", "ours#1", "10");
        history.takes("parent", "java", "java#1");
        history.gives(JAVA, "java#1", "parent", &[first]);
        assert_eq!(!history.broken().is_empty(), broken, "{first}");
    }
    let mut history = History::begun();
    history.hands_over("ours#2", "parent", &[10]);
    assert_eq!(history.broken(), [Rule::Order], "it has taken nothing");
    let mut history = History::split();
    history.hands_over("ours#1", "low", &[20]);
    assert_eq!(history.broken(), [Rule::Order], "it has taken another shard");
}

#[test]
fn a_position_that_covers_open_records_or_moves_back_is_found() {
    for to in ["11", names::SHARD_END] {
        let mut history = History::begun();
        history.stores("parent", "ours#1", to);
        assert_eq!(history.broken(), [Rule::Covered], "{to}");
    }
    let mut history = History::begun();
    history.hands_over("ours#1", "parent", &[11, 12]);
    history.handles("parent", &[11, 12]);
    history.stores("parent", "ours#1", "12");
    assert_eq!(history.broken(), []);
    history.writes(Who::Operator, None, "parent", |row| {
        row.insert(names::CHECKPOINT.to_owned(), names::TRIM_HORIZON.into());
    });
    assert_eq!(history.broken(), [], "somebody with a tool may do that");
    history.stores("parent", "ours#1", "12");
    history.stores("parent", "ours#1", "11");
    assert_eq!(history.broken(), [Rule::Covered], "it moves back");
    let mut history = History::split();
    history.oracle.born("next", &[]);
    history.creates("next");
    history.takes("next", "ours", "ours#2");
    history.stores("next", "ours#2", names::SHARD_END);
    assert_eq!(history.broken(), [Rule::Covered], "an open shard has no end");
}

#[test]
fn a_child_before_the_end_of_its_parent_is_found() {
    let early = |worker, is_deleted| {
        let mut history = History::begun();
        history.splits();
        if is_deleted {
            history.deletes(Who::Operator, "parent");
        }
        history.creates("low");
        history.takes("low", "anybody", "any#1");
        history.gives(worker, "any#1", "low", &[20]);
        history.broken()
    };
    assert_eq!(early(OURS, false), [Rule::ParentsFirst]);
    assert_eq!(early(JAVA, false), [Rule::ParentsFirst]);
    assert_eq!(early(OURS, true), [Rule::ParentsFirst], "ours waits for a row that is missing");
    assert_eq!(early(JAVA, true), [], "Amazon's library does not");
    let mut history = History::split();
    history.deletes(Who::Worker(OURS), "parent");
    history.takes("low", "ours", "ours#2");
    history.hands_over("ours#2", "low", &[20]);
    assert_eq!(history.broken(), [], "the parent was done before its row was deleted");
    let mut history = History::begun();
    history.splits();
    history.deletes(Who::Operator, "parent");
    history.creates("low");
    history.takes("low", "java", "java#1");
    history.gives(JAVA, "java#1", "low", &[20]);
    history.handles("low", &[20]);
    history.stores("low", "java#1", "20");
    history.oracle.put("low", at(21), epoch());
    history.takes("low", "ours", "ours#2");
    history.hands_over("ours#2", "low", &[21]);
    assert_eq!(history.broken(), [], "what Amazon's library has begun is read on");
}

#[test]
fn a_write_of_a_tenure_that_is_over_is_found() {
    let beat = |row: &mut Item| drop(row.insert(names::COUNTER.to_owned(), 7_u64.into()));
    // Another tenure has begun, of another worker, or of the same one.
    for (owner, tenure) in [("java", "java#1"), ("ours", "ours#2")] {
        let mut history = History::begun();
        history.takes("parent", owner, tenure);
        history.writes(Who::Worker(OURS), Some(tenure), "parent", beat);
        assert_eq!(history.broken(), []);
        history.writes(Who::Worker(OURS), Some("ours#1"), "parent", beat);
        assert_eq!(history.broken(), [Rule::OldTenure], "{tenure}");
    }
    // It was released.
    let mut history = History::begun();
    history.writes(Who::Worker(OURS), Some("ours#1"), "parent", |row| {
        row.remove(names::OWNER);
    });
    assert_eq!(history.broken(), []);
    history.writes(Who::Worker(OURS), Some("ours#1"), "parent", beat);
    assert_eq!(history.broken(), [Rule::OldTenure]);
    // Its row was deleted, and created again. Amazon's library cannot tell in every case.
    for (worker, broken) in [(OURS, &[Rule::OldTenure][..]), (JAVA, &[])] {
        let mut history = History::begun();
        history.deletes(Who::Operator, "parent");
        history.creates("parent");
        history.writes(Who::Worker(worker), Some("ours#1"), "parent", beat);
        assert_eq!(history.broken(), broken);
    }
    // Its row was deleted, and the take, of which nothing was heard, is done once more.
    let mut history = History::begun();
    history.deletes(Who::Operator, "parent");
    history.creates("parent");
    history.takes("parent", "ours", "ours#1");
    assert_eq!(history.broken(), []);
    history.writes(Who::Worker(OURS), Some("ours#1"), "parent", beat);
    history.deletes(Who::Operator, "parent");
    history.creates("parent");
    history.takes("parent", "ours", "ours#1");
    assert_eq!(history.broken(), [Rule::OldTenure], "it was heard of");
    // Version 3 of Amazon's library writes what it was asked for, even if version 2 has taken it meanwhile.
    for (worker, broken) in [(OURS, &[Rule::OldTenure][..]), (JAVA, &[])] {
        let mut history = History::begun();
        history.writes(Who::Worker(OTHER), None, "parent", |row| {
            row.insert(names::CHECKPOINT_OWNER.to_owned(), "ours".into());
            row.insert(names::OWNER.to_owned(), "other".into());
        });
        history.takes("parent", "java", "java#1");
        history.writes(Who::Worker(worker), Some("ours#1"), "parent", beat);
        assert_eq!(history.broken(), broken);
    }
    // What a worker has deleted comes never again.
    let mut history = History::begun();
    history.deletes(Who::Worker(OTHER), "parent");
    history.creates("parent");
    history.takes("parent", "ours", "ours#1");
    assert_eq!(history.broken(), [Rule::OldTenure]);
    // An ask leaves the tenure as it is, but moves no position.
    let mut history = History::begun();
    history.writes(Who::Worker(JAVA), None, "parent", |row| {
        row.insert(names::CHECKPOINT_OWNER.to_owned(), "ours".into());
        row.insert(names::OWNER.to_owned(), "java".into());
    });
    history.writes(Who::Worker(OURS), Some("ours#1"), "parent", beat);
    assert_eq!(history.broken(), []);
    history.writes(Who::Worker(JAVA), None, "parent", |row| {
        row.insert(names::CHECKPOINT.to_owned(), "10".into());
    });
    assert_eq!(history.broken(), [Rule::OldTenure]);
}

#[test]
fn a_row_that_is_no_longer_whole_is_found() {
    type Spoil = fn(&mut Item);
    let spoils: [Spoil; 4] = [
        |row| drop(row.remove("note")),
        |row| drop(row.insert("note".to_owned(), 2_u64.into())),
        |row| row.retain(|name, _| name == KEY || name == names::CHECKPOINT || name == "note"),
        |row| drop(row.insert(names::CHECKPOINT.to_owned(), Attribute::Null)),
    ];
    for (place, spoil) in spoils.into_iter().enumerate() {
        let mut history = History::begun();
        history.writes(Who::Operator, None, "parent", |row| {
            row.insert("note".to_owned(), 1_u64.into());
        });
        assert_eq!(history.broken(), []);
        history.writes(Who::Worker(OURS), Some("ours#1"), "parent", spoil);
        assert_eq!(history.broken().first(), Some(&Rule::WholeRows), "{place}");
    }
    let mut history = History::begun();
    let row = history.rows["parent"].clone();
    let (before, after) = (Some(&row), Some(&row));
    let who = Who::Worker(OURS);
    history.oracle.changed(&Change { who, tenure: None, before, after, is_put: true });
    assert_eq!(history.broken(), [Rule::WholeRows], "it is put over another");
}

#[test]
fn a_shard_for_which_no_row_stands_is_found() {
    // The row of the parent, which is not done, stands for its children.
    let mut history = History::begun();
    history.splits();
    assert_eq!(history.ended(), [Rule::EveryRecord]);
    let lacks = |gone: &[&'static str]| {
        let mut history = History::split();
        history.handles("low", &[20]);
        gone.iter().for_each(|key| history.deletes(Who::Operator, key));
        history.ended()
    };
    assert_eq!(lacks(&["parent"]), [], "those of its children stand for it");
    assert_eq!(lacks(&["low"]), [Rule::EveryShard], "its parent is done");
    assert_eq!(lacks(&["parent", "low", "high"]), [Rule::EveryShard]);
    // The row of a child does not stand for a parent that is not done.
    let mut history = History::begun();
    history.splits();
    history.deletes(Who::Operator, "parent");
    history.creates("low");
    assert_eq!(history.ended(), [Rule::EveryRecord, Rule::EveryShard]);
}

#[test]
fn a_lease_that_is_taken_from_one_who_lives_is_found() {
    let taken = |prepare: fn(&mut History)| {
        let mut history = History::lasting();
        prepare(&mut history);
        history.is_taken(OTHER, "other");
        history.broken()
    };
    assert_eq!(taken(|_| {}), [Rule::Kept]);
    assert_eq!(taken(|history| history.asks()), [], "he was asked");
    assert_eq!(taken(|history| history.oracle.patience().leaves(OURS)), [], "he is dead");
    assert_eq!(taken(|history| history.oracle.patience().begins(OURS, "his heir", F)), []);
    assert_eq!(taken(|history| history.oracle.patience().troubles(OURS, F * 9)), []);
    assert_eq!(taken(|history| history.oracle.patience().troubles(OURS, F * 8)), [Rule::Kept]);
    assert_eq!(taken(|history| history.oracle.patience().freezes(OURS, F * 7, F * 9)), []);
    let mut history = History::lasting();
    history.is_taken(JAVA, "java");
    assert_eq!(history.broken(), [], "Amazon's library takes what it likes");
}

#[test]
fn a_lease_that_is_given_up_although_it_is_held_is_found() {
    let mut history = History::lasting();
    history.is_taken(JAVA, "java");
    history.oracle.loses("parent", "ours#1", "nobody knows");
    assert_eq!(history.broken(), []);
    let mut history = History::lasting();
    history.oracle.loses("parent", "ours#1", "nobody knows");
    assert_eq!(history.broken(), [Rule::Kept]);
}

#[test]
fn a_lease_that_is_asked_for_and_never_comes_is_found() {
    let waited = |time: Duration, then: fn(&mut History)| {
        let mut history = History::lasting();
        history.asks();
        then(&mut history);
        history.oracle.passes(F * 10 + time);
        history.broken()
    };
    // Three failover times of patience, two more, and some for clocks and calls.
    assert_eq!(waited(F * 6, |_| {}), []);
    assert_eq!(waited(F * 7, |_| {}), [Rule::Answered]);
    assert_eq!(waited(F * 7, |history| history.is_taken(OTHER, "other")), []);
    assert_eq!(waited(F * 7, |history| history.is_taken(JAVA, "java")), []);
    assert_eq!(waited(F * 7, |history| history.deletes(Who::Operator, "parent")), []);
    assert_eq!(waited(F * 7, |history| history.oracle.patience().leaves(OTHER)), []);
    assert_eq!(waited(F * 7, |history| history.oracle.patience().troubles(OTHER, F * 11)), []);
    // Handed over, but not accepted.
    let hands_over = |history: &mut History| {
        history.writes(Who::Worker(OURS), Some("ours#1"), "parent", |row| {
            row.remove(names::CHECKPOINT_OWNER);
        });
    };
    assert_eq!(waited(F * 7, hands_over), [Rule::Answered]);
}

#[test]
fn a_start_at_the_latest_leaves_out_only_what_came_before() {
    let begun = || {
        let mut oracle = Oracle::default();
        oracle.is_ours(OURS);
        oracle.patience().limits(F, F * 3);
        oracle.born("parent", &[]);
        oracle.put("parent", at(10), epoch());
        let mut history = History { oracle, rows: BTreeMap::new() };
        history.creates_at("parent", names::LATEST);
        history.oracle.passes(F);
        history.takes("parent", "ours", "ours#1");
        history
    };
    let from = |seconds: u64| {
        let mut history = begun();
        let time = epoch() + Duration::from_secs(seconds);
        let millis = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        history.writes(Who::Worker(OURS), Some("ours#1"), "parent", |row| {
            row.insert(names::FROM.to_owned(), millis.into());
        });
        history.oracle.put("parent", at(11), epoch() + F);
        history
    };
    assert_eq!(begun().ended(), [], "nobody has to handle what came before");
    assert_eq!(from(10).ended(), [Rule::EveryRecord], "what came since has to be handled");
    assert_eq!(from(11).broken(), [Rule::EveryRecord], "it starts later than now");
    for (number, broken) in [(10, true), (11, false)] {
        let mut history = from(10);
        history.hands_over("ours#1", "parent", &[number]);
        assert_eq!(!history.broken().is_empty(), broken, "{number}");
    }
    // Long after the table came into use its new rows start at the oldest record.
    let mut history = begun();
    history.oracle.born("next", &[]);
    history.oracle.passes(F * 20);
    history.creates_at("next", names::LATEST);
    assert_eq!(history.broken(), [Rule::EveryRecord]);
}

#[test]
fn two_that_begin_at_the_latest_together_may_not_see_each_other() {
    let early = |parent, child| {
        let mut oracle = Oracle::default();
        oracle.is_ours(OURS);
        oracle.patience().limits(F, F * 3);
        oracle.born("parent", &[]);
        let mut history = History { oracle, rows: BTreeMap::new() };
        history.creates_at("parent", parent);
        history.splits();
        history.oracle.passes(F);
        history.creates_at("low", child);
        history.writes(Who::Operator, None, "low", |row| {
            let millis = epoch().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
            row.insert(names::FROM.to_owned(), millis.into());
        });
        history.takes("low", "ours", "ours#1");
        history.hands_over("ours#1", "low", &[20]);
        history.broken()
    };
    assert_eq!(early(names::LATEST, names::LATEST), []);
    assert_eq!(early(names::TRIM_HORIZON, names::LATEST), [Rule::ParentsFirst]);
    assert_eq!(early(names::LATEST, names::TRIM_HORIZON), [Rule::ParentsFirst]);
}

#[test]
fn a_handler_that_begins_while_another_tenure_has_the_lease_is_found() {
    let begins = |is_deleted, later| {
        let mut history = History::begun();
        history.oracle.patience().limits(F, F * 3);
        if is_deleted {
            history.deletes(Who::Operator, "parent");
            history.creates("parent");
        }
        history.writes(Who::Worker(OTHER), Some("other/1#1"), "parent", |row| {
            row.insert(names::OWNER.to_owned(), "other".into());
            row.insert(names::HOLDER.to_owned(), "other/1#1".into());
        });
        history.oracle.begins("other/1#1", "parent");
        assert_eq!(history.broken(), [], "it has the lease");
        history.oracle.passes(later);
        history.oracle.begins("ours#1", "parent");
        history.broken()
    };
    assert_eq!(begins(false, F), [Rule::Fence]);
    assert_eq!(begins(true, F), [], "its row was deleted, and it may not have heard of that");
    assert_eq!(begins(true, F * 2), [Rule::Fence], "its fence has fallen since");
}
