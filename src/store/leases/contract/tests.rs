//! The suite passes a table that keeps the contract, and fails those that break it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::{Item, KEY};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Act, Change};
use crate::store::leases::memory::{MemoryLeases, TableFault as Failure};

#[test]
fn a_table_in_memory_keeps_the_contract_whatever_the_size_of_its_pages() {
    lease_table_contract(|_| MemoryLeases::new());
    for rows in [0, 1, 7, 250] {
        lease_table_contract(|_| MemoryLeases::new().with_pages_of(rows));
    }
}

#[test]
fn every_check_has_a_table_of_its_own() {
    let names = parking_lot::Mutex::new(Vec::new());
    lease_table_contract(|name| {
        names.lock().push(name.to_owned());
        MemoryLeases::new()
    });
    let mut names = names.into_inner();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), count), (12, 12));
}

#[test]
fn the_calls_are_as_few_as_is_said() {
    let tables = parking_lot::Mutex::new(Vec::new());
    lease_table_contract(|_| {
        let table = MemoryLeases::new();
        tables.lock().push(table.clone());
        table
    });
    let calls: u64 = tables.into_inner().iter().map(MemoryLeases::calls).sum();
    assert!((500..3_000).contains(&calls), "{calls}");
}

#[test]
fn a_broken_table_fails_by_the_rule_it_breaks() {
    let mut wrong = Vec::new();
    for (fault, rule) in [
        (Fault::MakesRows, "makes none"),
        (Fault::DeletesNothing, "is gone"),
        (Fault::PutsOver, "is not created again"),
        (Fault::AlwaysHolds, "a refused update changes nothing"),
        (Fault::AnyIsAll, "if and only if its condition holds"),
        (Fault::RowBefore, "a value of any type comes back"),
        (Fault::NoRow, "comes back as it is"),
        (Fault::SetsAreLists, "a value of any type"),
        (Fault::LosesOthers, "leaves the rest"),
        (Fault::NeverRemoves, "sets, adds and removes"),
        (Fault::TextualNumbers, "numbers are equal by value"),
        (Fault::LowerCase, "each key is a row of its own"),
        (Fault::LosesAPage, "the pages together hold every row once"),
        (Fault::RepeatsARow, "the pages together hold every row once"),
        (Fault::LosesSome, "no addition is lost"),
        (Fault::TwoWinners, "one is done, however many come at once"),
    ] {
        let broken = format!("{:?}", failure(fault));
        wrong.extend((!broken.contains(rule)).then(|| format!("{fault:?}: {broken}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn requested_failures_come_once_each_and_in_their_order() {
    let table = MemoryLeases::new();
    let create = Write::create("key", row("key", &[]));
    table.fail_next(1, Failure::Refused(LeaseTableErrorKind::Throttled));
    table.fail_next(1, Failure::ReplyLost);
    assert_eq!(table.apply(&create).unwrap_err().kind(), LeaseTableErrorKind::Throttled);
    assert_eq!(get_quietly(&table), None);
    assert_eq!(table.apply(&create).unwrap_err().kind(), LeaseTableErrorKind::Transient);
    assert_eq!(get_quietly(&table), Some(row("key", &[])));
    assert_eq!(table.apply(&create).unwrap(), Applied::Refused(Some(row("key", &[]))));
    table.fail_next(2, Failure::Refused(LeaseTableErrorKind::NoTable));
    assert_eq!(table.page(None).unwrap_err().kind(), LeaseTableErrorKind::NoTable);
    assert_eq!(table.get("key").unwrap_err().kind(), LeaseTableErrorKind::NoTable);
    assert_eq!(table.calls(), 5);
}

fn get_quietly(table: &MemoryLeases) -> Option<Item> {
    table.rows().into_iter().next()
}

#[test]
fn what_the_service_would_not_keep_is_refused() {
    let table = MemoryLeases::new();
    create(&table, "key", &row("key", &[("text", "a".into()), ("half", half())]));
    let update = |change: Update| Write::update("key", Condition::Exists("text"), change);
    let set = |value: Attribute| update(Update::new().set("a", value));
    for write in [
        set(Attribute::Ss(BTreeSet::new())),
        set(Attribute::Ns(BTreeSet::new())),
        set(Attribute::Bs(BTreeSet::new())),
        set(Attribute::N("seven".into())),
        set(Attribute::L(vec![Attribute::N(String::new())])),
        set(Attribute::M(BTreeMap::from([("a".to_owned(), Attribute::Ss(BTreeSet::new()))]))),
        update(Update::new().add("text", 1)),
        update(Update::new().add("half", 1)),
        Write::create("", Item::new()),
    ] {
        assert_eq!(
            table.apply(&write).unwrap_err().kind(),
            LeaseTableErrorKind::Fatal,
            "{write:?}"
        );
    }
    assert_eq!(get(&table, "key"), Some(row("key", &[("text", "a".into()), ("half", half())])));
}

fn half() -> Attribute {
    Attribute::N("0.5".into())
}

#[test]
fn a_clone_is_the_same_table_and_others_write_to_it() {
    let table = MemoryLeases::new();
    let clone = table.clone().with_pages_of(1);
    clone.put(row("key", &[("n", Attribute::N("7.0".into()))]));
    let kept = row("key", &[("n", Attribute::N("7".into()))]);
    assert_eq!(table.rows(), std::slice::from_ref(&kept));
    // A full page tells of a next one, which may be empty.
    let page = clone.page(None).unwrap();
    let next = Some(PageToken::after("key"));
    assert_eq!((&page.items, &page.next), (&vec![kept.clone()], &next));
    let last = clone.page(next.as_ref()).unwrap();
    assert_eq!((last.items, last.next, last.units), (vec![], None, 0.0));
    assert_eq!((table.delete("key"), table.delete("key")), (Some(kept), None));
}

/// The message with which the suite fails, for a table with this fault.
fn failure(fault: Fault) -> Option<String> {
    let broken = |_: &str| Broken { inner: MemoryLeases::new(), fault, calls: AtomicUsize::new(0) };
    let check = || match fault {
        // The suite stops at its first broken rule; these two break many.
        Fault::LosesSome => every_addition(&broken("")),
        Fault::TwoWinners => one_winner(&broken("")),
        _ => lease_table_contract(broken),
    };
    panic::catch_unwind(check).err()?.downcast_ref::<String>().cloned()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// An update makes the row that it does not find.
    MakesRows,
    DeletesNothing,
    PutsOver,
    /// Conditions of updates hold of every row that is there.
    AlwaysHolds,
    /// Of two conditions both must hold, always.
    AnyIsAll,
    /// The answer is the row before the write.
    RowBefore,
    /// A refusal brings no row.
    NoRow,
    SetsAreLists,
    /// An update is a put.
    LosesOthers,
    NeverRemoves,
    TextualNumbers,
    LowerCase,
    LosesAPage,
    RepeatsARow,
    /// Every third update is said to be done, and is not: another one was written over it.
    LosesSome,
    /// Every third update is said to be done, whether its condition holds or not.
    TwoWinners,
}

struct Broken {
    inner: MemoryLeases,
    fault: Fault,
    calls: AtomicUsize,
}

impl LeaseTable for Broken {
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        let small = self.inner.clone().with_pages_of(50);
        let mut page = small.page(after)?;
        match self.fault {
            Fault::LosesAPage if after.is_some() => page.items.clear(),
            Fault::RepeatsARow if after.is_some() => page.items.extend(self.inner.rows().pop()),
            _ => {}
        }
        Ok(page)
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.inner.get(&self.key(key))
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        let key = self.key(write.key());
        let before = self.inner.get(&key)?;
        match (self.fault, write.act()) {
            (Fault::MakesRows, Act::Update(_)) if before.is_none() => {
                self.inner.put(row(&key, &[]));
            }
            (Fault::PutsOver, Act::Put(item)) => {
                self.inner.put(item.clone());
                return Ok(Applied::Done(item.clone()));
            }
            (Fault::DeletesNothing, Act::Delete) => {
                let nothing = Write::update(&key, write.condition().clone(), Update::new());
                return self.inner.apply(&nothing);
            }
            (Fault::LosesSome, Act::Update(_)) if self.is_third() => {
                return Ok(before.map_or(Applied::Refused(None), Applied::Done));
            }
            _ => {}
        }
        let applied = self.inner.apply(&self.twisted(write, &key))?;
        Ok(match (self.fault, applied) {
            (Fault::RowBefore, Applied::Done(after)) => Applied::Done(before.unwrap_or(after)),
            (Fault::NoRow, Applied::Refused(_)) => Applied::Refused(None),
            (Fault::TwoWinners, Applied::Refused(Some(found))) if self.is_third() => {
                Applied::Done(found)
            }
            (_, applied) => applied,
        })
    }
}

impl Broken {
    fn key(&self, key: &str) -> String {
        if self.fault == Fault::LowerCase { key.to_lowercase() } else { key.to_owned() }
    }

    fn is_third(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2
    }

    /// The write that it makes instead.
    fn twisted(&self, write: &Write, key: &str) -> Write {
        let (condition, list) = (write.condition().clone(), |set: &BTreeSet<String>| {
            Attribute::L(set.iter().map(|it| it.as_str().into()).collect())
        });
        match (self.fault, write.act()) {
            (Fault::AlwaysHolds, Act::Update(update)) => {
                Write::update(key, Condition::Exists(KEY), update.clone())
            }
            (Fault::AnyIsAll, Act::Update(update)) => {
                Write::update(key, all_of(&condition), update.clone())
            }
            (Fault::SetsAreLists, Act::Put(item)) => {
                let value = |value: &Attribute| value.texts().map_or(value.clone(), list);
                let item = item.iter().map(|(name, it)| (name.clone(), value(it))).collect();
                Write::create(key, item)
            }
            (Fault::LosesOthers, Act::Update(update)) => {
                let lost = if update.changes().len() > 1 { "kept" } else { "none" };
                Write::update(key, condition, update.clone().remove(lost))
            }
            (Fault::NeverRemoves, Act::Update(update)) => {
                let changes = update.changes().iter();
                let changes = changes.fold(Update::new(), |update, (name, change)| match change {
                    Change::Set(value) => update.set(name, value.clone()),
                    Change::Add(more) => update.add(name, *more),
                    Change::Remove => update,
                });
                Write::update(key, condition, changes)
            }
            (Fault::TextualNumbers, Act::Update(update)) => {
                let is_odd = format!("{condition:?}").contains("e-1");
                let never = Condition::Absent(KEY);
                let condition = if is_odd { never } else { condition };
                Write::update(key, condition, update.clone())
            }
            (Fault::LowerCase, Act::Put(item)) => Write::create(key, item.clone()),
            _ => write.clone(),
        }
    }
}

/// The same with both of two where one would do.
fn all_of(condition: &Condition) -> Condition {
    match condition {
        Condition::All(pair) | Condition::Any(pair) => all_of(&pair[0]).and(all_of(&pair[1])),
        _ => condition.clone(),
    }
}
