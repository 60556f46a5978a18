//! A table of leases in memory, which does what DynamoDB does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::LeaseTable;
use super::number::{canonical, sum};
use crate::error::lease_table::{LeaseTableError, LeaseTableErrorKind};
use crate::model::item::{Attribute, Item, KEY};
use crate::model::page::{Page, PageToken};
use crate::model::write::{Act, Applied, Change, Condition, Update, Write};
use crate::sync::Mutex;

/// A table of leases in memory, which does what a table of DynamoDB does: for tests, and for consumers of one process. A clone
/// is the same table.
#[derive(Clone, Debug)]
pub struct MemoryLeases {
    table: Arc<Mutex<Table>>,
    page_size: usize,
}

/// How a call of [`MemoryLeases`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableFault {
    /// It fails with this kind of error, and does nothing.
    Refused(LeaseTableErrorKind),
    /// It does all that it should, and then fails: its reply is lost.
    ReplyLost,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<String, Item>,
    faults: VecDeque<TableFault>,
    calls: u64,
}

/// What a row costs, in read units: a row of a lease has about 360 bytes, and a unit reads 8 KiB.
const ROW_UNITS: f64 = 0.0437;

/// A page that no table of a test fills.
const LARGE_PAGE: usize = 1_000_000;

impl MemoryLeases {
    /// An empty table.
    pub fn new() -> Self {
        Self { table: Arc::default(), page_size: LARGE_PAGE }
    }

    /// The same table, whose pages have at most this many rows, and at least one.
    pub fn with_pages_of(self, rows: usize) -> Self {
        Self { page_size: rows.max(1), ..self }
    }

    /// Lets this many calls fail, after those failures that were requested before.
    pub fn fail_next(&self, times: usize, fault: TableFault) {
        self.table.lock().faults.extend((0..times).map(|_| fault));
    }

    /// How many calls were made, including those that failed.
    pub fn calls(&self) -> u64 {
        self.table.lock().calls
    }

    /// Puts a row as it is, whatever is there, as another program may.
    ///
    /// # Panics
    /// If it has no key, or a value that DynamoDB does not keep.
    pub fn put(&self, row: Item) {
        let row = kept(row).expect("a row that DynamoDB would keep");
        let key = row.get(KEY).and_then(Attribute::text).expect("a row with a key").to_owned();
        self.table.lock().rows.insert(key, row);
    }

    /// Deletes a row, as another program may, and returns it.
    pub fn delete(&self, key: &str) -> Option<Item> {
        self.table.lock().rows.remove(key)
    }

    /// Every row, in the order of the keys, whatever faults there are.
    pub fn rows(&self) -> Vec<Item> {
        self.table.lock().rows.values().cloned().collect()
    }

    /// One row, whatever faults there are.
    pub fn row(&self, key: &str) -> Option<Item> {
        self.table.lock().rows.get(key).cloned()
    }

    /// Counts a call, and lets it fail if that was requested.
    fn call<T>(
        &self,
        act: impl FnOnce(&mut Table) -> Result<T, LeaseTableError>,
    ) -> Result<T, LeaseTableError> {
        let mut table = self.table.lock();
        table.calls += 1;
        match table.faults.pop_front() {
            Some(TableFault::Refused(kind)) => {
                Err(LeaseTableError::new(kind, "a requested failure"))
            }
            Some(TableFault::ReplyLost) => {
                act(&mut table)?;
                Err(LeaseTableError::new(LeaseTableErrorKind::Transient, "a lost reply"))
            }
            None => act(&mut table),
        }
    }
}

impl Default for MemoryLeases {
    fn default() -> Self {
        Self::new()
    }
}

impl LeaseTable for MemoryLeases {
    /// As DynamoDB does, it says that there may be more whenever the page is full.
    fn page(&self, after: Option<&PageToken>) -> Result<Page, LeaseTableError> {
        self.call(|table| {
            let after = after.map_or(Unbounded, |after| Excluded(after.key()));
            let rows = table.rows.range::<str, _>((after, Unbounded));
            let rows: Vec<_> = rows.take(self.page_size).collect();
            let is_full = rows.len() == self.page_size;
            let next = rows.last().filter(|_| is_full).map(|(key, _)| PageToken::after(*key));
            let units = rows.len() as f64 * ROW_UNITS;
            Ok(Page { items: rows.into_iter().map(|(_, row)| row.clone()).collect(), next, units })
        })
    }

    fn get(&self, key: &str) -> Result<Option<Item>, LeaseTableError> {
        self.call(|table| Ok(table.rows.get(key).cloned()))
    }

    fn apply(&self, write: &Write) -> Result<Applied, LeaseTableError> {
        self.call(|table| table.apply(write))
    }
}

impl Table {
    fn apply(&mut self, write: &Write) -> Result<Applied, LeaseTableError> {
        let (key, found) = (write.key(), self.rows.get(write.key()));
        if key.is_empty() {
            return Err(invalid("a key is empty"));
        }
        if !holds(write.condition(), found)? {
            return Ok(Applied::Refused(found.cloned()));
        }
        let after = match write.act() {
            Act::Put(row) => kept(row.clone())?,
            Act::Update(update) => {
                // As DynamoDB does: where there is no row, and the condition allows it, an update makes one.
                let made = || Item::from([(KEY.to_owned(), key.into())]);
                updated(found.cloned().unwrap_or_else(made), update)?
            }
            Act::Delete => return Ok(Applied::Done(self.rows.remove(key).unwrap_or_default())),
        };
        self.rows.insert(key.to_owned(), after.clone());
        Ok(Applied::Done(after))
    }
}

fn holds(condition: &Condition, row: Option<&Item>) -> Result<bool, LeaseTableError> {
    let found = |name: &str| row.and_then(|row| row.get(name));
    Ok(match condition {
        Condition::Exists(name) => found(name).is_some(),
        Condition::Absent(name) => found(name).is_none(),
        Condition::Equals(name, value) => found(name) == Some(&kept_value(value.clone())?),
        Condition::Same(name, other) => found(name).is_some() && found(name) == found(other),
        Condition::All(pair) => holds(&pair[0], row)? && holds(&pair[1], row)?,
        Condition::Any(pair) => holds(&pair[0], row)? || holds(&pair[1], row)?,
    })
}

fn updated(mut row: Item, update: &Update) -> Result<Item, LeaseTableError> {
    for (name, change) in update.changes() {
        let value = match change {
            Change::Set(value) => Some(kept_value(value.clone())?),
            Change::Add(more) => Some(grown(row.get(*name), *more)?),
            Change::Remove => None,
        };
        match value {
            Some(value) => row.insert((*name).to_owned(), value),
            None => row.remove(*name),
        };
    }
    Ok(row)
}

fn grown(value: Option<&Attribute>, more: u64) -> Result<Attribute, LeaseTableError> {
    let number = value.map_or(Some("0"), Attribute::number);
    let number = number.ok_or_else(|| invalid("only a number can grow"))?;
    sum(number, more).map(Attribute::N).ok_or_else(|| invalid("only a whole number can grow"))
}

fn kept(row: Item) -> Result<Item, LeaseTableError> {
    row.into_iter().map(|(name, value)| Ok((name, kept_value(value)?))).collect()
}

/// The value as the service keeps it: numbers have one text, and no set is empty.
fn kept_value(value: Attribute) -> Result<Attribute, LeaseTableError> {
    let number = |text: &str| canonical(text).ok_or_else(|| invalid("not a number"));
    Ok(match value {
        Attribute::N(text) => Attribute::N(number(&text)?),
        Attribute::Ns(texts) => {
            let numbers: Result<BTreeSet<_>, _> = texts.iter().map(|text| number(text)).collect();
            Attribute::Ns(filled(numbers?)?)
        }
        Attribute::Ss(texts) => Attribute::Ss(filled(texts)?),
        Attribute::Bs(bytes) => Attribute::Bs(filled(bytes)?),
        Attribute::M(map) => Attribute::M(kept(map)?),
        Attribute::L(list) => {
            let values: Result<Vec<_>, _> = list.into_iter().map(kept_value).collect();
            Attribute::L(values?)
        }
        Attribute::S(_) | Attribute::B(_) | Attribute::Bool(_) | Attribute::Null => value,
    })
}

fn filled<T>(set: BTreeSet<T>) -> Result<BTreeSet<T>, LeaseTableError> {
    if set.is_empty() { Err(invalid("a set is empty")) } else { Ok(set) }
}

fn invalid(what: &str) -> LeaseTableError {
    LeaseTableError::new(LeaseTableErrorKind::Fatal, format!("writing a lease failed: {what}"))
}
