//! What the rules of the contract are told with: rows, calls that must succeed, and what is expected.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::error::lease_table::LeaseTableError;
use crate::model::item::{Attribute, Item, KEY};
use crate::model::page::PageToken;
use crate::model::write::{Applied, Condition, Write};
use crate::store::leases::LeaseTable;

/// How often a listing is repeated until it shows what was written: pages may be some seconds old.
const LISTINGS: usize = 200;

pub(super) fn row(key: &str, values: &[(&str, Attribute)]) -> Item {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    values.chain([(KEY.to_owned(), key.into())]).collect()
}

pub(super) fn with_more(mut row: Item, name: &str, text: &str) -> Item {
    row.insert(name.to_owned(), text.into());
    row
}

pub(super) fn texts(texts: &[&str]) -> Attribute {
    Attribute::Ss(texts.iter().map(|it| (*it).to_owned()).collect())
}

pub(super) fn absent(name: &'static str) -> Condition {
    Condition::Absent(name)
}

pub(super) fn is_done(applied: &Applied) -> bool {
    matches!(applied, Applied::Done(_))
}

pub(super) fn create(table: &impl LeaseTable, key: &str, row: &Item) -> Applied {
    apply(table, &Write::create(key, row.clone()))
}

pub(super) fn apply(table: &impl LeaseTable, write: &Write) -> Applied {
    done("apply", table.apply(write))
}

pub(super) fn get(table: &impl LeaseTable, key: &str) -> Option<Item> {
    done("get", table.get(key))
}

/// Every row of every page, by its key, each of which may be there once.
pub(super) fn list(table: &impl LeaseTable) -> BTreeMap<String, Item> {
    let mut rows = BTreeMap::new();
    let mut next: Option<PageToken> = None;
    loop {
        let page = done("page", table.page(next.as_ref()));
        for row in page.items {
            let key = row.get(KEY).and_then(Attribute::text).unwrap_or_default().to_owned();
            let rule = "the pages together hold every row once";
            hold(rule, rows.insert(key.clone(), row).is_none(), &key);
        }
        match page.next {
            Some(after) => next = Some(after),
            None => return rows,
        }
    }
}

pub(super) fn expect_listed(
    rule: &str,
    table: &impl LeaseTable,
    expected: &BTreeMap<String, Item>,
) {
    let mut listings = (0..LISTINGS).map(|_| list(table));
    if listings.any(|found| found == *expected) {
        return;
    }
    // Names only the differences: a listing is long.
    let found = list(table);
    let missing = expected.iter().find(|(key, row)| found.get(*key) != Some(*row));
    let surplus = found.iter().find(|(key, row)| expected.get(*key) != Some(*row));
    hold(rule, false, &format_args!("listed {surplus:?} instead of {missing:?}"));
}

pub(super) fn done<T>(call: &str, result: Result<T, LeaseTableError>) -> T {
    result.unwrap_or_else(|error| panic!("lease table contract: {call} failed: {error:?}"))
}

pub(super) fn expect<T: PartialEq + Debug>(rule: &str, found: &T, expected: &T) {
    assert!(
        found == expected,
        "lease table contract broken: {rule}\n expected {expected:?}\n    found {found:?}"
    );
}

pub(super) fn hold(rule: &str, holds: bool, found: &impl Debug) {
    assert!(holds, "lease table contract broken: {rule}\n    found {found:?}");
}
