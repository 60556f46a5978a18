//! The contract of every table of leases, as a suite of tests.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::panic;
use std::sync::Barrier;
use std::thread;

use self::calls::{
    absent, apply, create, expect, expect_listed, get, hold, is_done, row, texts, with_more,
};
use super::LeaseTable;
use crate::model::item::Attribute;
use crate::model::write::{Applied, Condition, Update, Write};

/// Checks that a [`LeaseTable`] keeps the contract of the trait.
///
/// `make` gives an empty table for each check. It is called with the name of the check, distinct and made of lower-case
/// letters and underscores, so that it can name a table. The checks make fewer than 3,000 calls, at most eight of them
/// at once, beside repeated listings.
///
/// # Panics
/// If the table breaks a rule; the message names the rule.
pub fn lease_table_contract<T: LeaseTable>(make: impl Fn(&str) -> T) {
    empty_at_first(&make("empty_at_first"));
    no_row_by_accident(&make("no_row_by_accident"));
    created_once(&make("created_once"));
    every_type(&make("every_type"));
    changes(&make("changes"));
    numbers(&make("numbers"));
    conditions(&make("conditions"));
    deletes(&make("deletes"));
    keys(&make("keys"));
    pages(&make("pages"));
    one_winner(&make("one_winner"));
    every_addition(&make("every_addition"));
}

/// Rows that nobody has created.
fn empty_at_first(table: &impl LeaseTable) {
    let rule = "a row that was never created is None, and is not an error";
    expect(rule, &get(table, "key"), &None);
    expect_listed(rule, table, &BTreeMap::new());
}

/// Writes that find no row, with conditions that hold of no row.
fn no_row_by_accident(table: &impl LeaseTable) {
    let rule = "a write that needs a row makes none, and is refused without a row";
    let writes = [
        Write::update("key", Condition::Absent("a"), Update::new().set("a", "b")),
        Write::update("key", absent("a").or(absent("b")), Update::new().add("a", 1)),
        Write::update("key", absent("a").and(absent("b")), Update::new().remove("a")),
        Write::delete("key", Condition::Absent("a")),
    ];
    for write in &writes {
        expect(rule, &apply(table, write), &Applied::Refused(None));
        expect(rule, &get(table, "key"), &None);
    }
    expect_listed(rule, table, &BTreeMap::new());
}

/// A row, and another attempt to create it.
fn created_once(table: &impl LeaseTable) {
    let (first, other) = (row("key", &[("a", "1".into())]), row("key", &[("b", "2".into())]));
    let rule = "a row that is not there is created, and comes back whole";
    expect(rule, &create(table, "key", &first), &Applied::Done(first.clone()));
    expect(rule, &get(table, "key"), &Some(first.clone()));
    let rule = "a row that is there is not created again, and comes back as it is";
    for again in [&other, &first] {
        expect(rule, &create(table, "key", again), &Applied::Refused(Some(first.clone())));
    }
    expect(rule, &get(table, "key"), &Some(first.clone()));
    expect_listed(rule, table, &BTreeMap::from([("key".to_owned(), first)]));
}

/// Every type, nested as well, by each way of writing and of reading.
fn every_type(table: &impl LeaseTable) {
    let rule = "a value of any type comes back as it was";
    let mut listed = BTreeMap::new();
    for (at, value) in values().into_iter().enumerate() {
        let (put, set) = (format!("put-{at}"), format!("set-{at}"));
        let whole = row(&put, &[("a", value.clone())]);
        expect(rule, &create(table, &put, &whole), &Applied::Done(whole.clone()));
        expect(rule, &get(table, &put), &Some(whole.clone()));
        let empty = row(&set, &[]);
        expect(rule, &create(table, &set, &empty), &Applied::Done(empty.clone()));
        let update = Write::update(&set, absent("a"), Update::new().set("a", value.clone()));
        let with = row(&set, &[("a", value.clone())]);
        expect(rule, &apply(table, &update), &Applied::Done(with.clone()));
        // Not every server compares maps and lists, and no lease needs it.
        let is_compared = !matches!(value, Attribute::M(_) | Attribute::L(_));
        let when = if is_compared { Condition::equals("a", value) } else { Condition::Exists("a") };
        let same = Write::update(&set, when, Update::new().set("b", "c"));
        let rule = "a value of any type equals itself";
        let more = with_more(with, "b", "c");
        expect(rule, &apply(table, &same), &Applied::Done(more.clone()));
        listed.extend([(put, whole), (set, more)]);
    }
    expect_listed(rule, table, &listed);
}

/// What an update changes, and what it leaves.
fn changes(table: &impl LeaseTable) {
    let before =
        row("key", &[("kept", texts(&["x", "y"])), ("old", "1".into()), ("count", 41_u64.into())]);
    create(table, "key", &before);
    let update = Update::new().set("new", "2").remove("old").remove("none").add("count", 1);
    let after =
        row("key", &[("kept", texts(&["x", "y"])), ("new", "2".into()), ("count", 42_u64.into())]);
    let write = Write::update("key", Condition::equals("old", "1"), update);
    let rule = "an update sets, adds and removes what it names, leaves the rest, and gives the row after it";
    expect(rule, &apply(table, &write), &Applied::Done(after.clone()));
    expect(rule, &get(table, "key"), &Some(after.clone()));
    let rule = "a refused update changes nothing, and gives the whole row as it is";
    expect(rule, &apply(table, &write), &Applied::Refused(Some(after.clone())));
    expect(rule, &get(table, "key"), &Some(after));
}

/// Numbers, which the service compares by value.
fn numbers(table: &impl LeaseTable) {
    create(table, "key", &row("key", &[("n", Attribute::N("7.50".into()))]));
    let rule = "numbers are equal by value, and are never equal to text";
    for (value, holds) in [
        (Attribute::N("7.5".into()), true),
        (Attribute::N("0075e-1".into()), true),
        (Attribute::N("7.51".into()), false),
        ("7.5".into(), false),
    ] {
        let write =
            Write::update("key", Condition::equals("n", value), Update::new().set("a", "b"));
        expect(rule, &is_done(&apply(table, &write)), &holds);
    }
    let grow = |by| Write::update("key", Condition::Exists("n"), Update::new().add("count", by));
    let rule = "a number that is not there grows from zero";
    for (by, sum) in [(1, 1_u64), (0, 1), (9_007_199_254_740_993, 9_007_199_254_740_994)] {
        let Applied::Done(row) = apply(table, &grow(by)) else { panic!("{rule}") };
        expect(rule, &row.get("count"), &Some(&sum.into()));
    }
}

/// Every condition, of a row that has `here`, and has no `gone` and no `lost`.
// long: a table.
fn conditions(table: &impl LeaseTable) {
    let there = row(
        "key",
        &[
            ("here", "1".into()),
            ("same", "1".into()),
            ("other", "2".into()),
            ("number", 1_u64.into()),
        ],
    );
    create(table, "key", &there);
    let (yes, no) = (|| Condition::Exists("here"), || Condition::Exists("gone"));
    for (condition, holds) in [
        (yes(), true),
        (no(), false),
        (absent("gone"), true),
        (absent("here"), false),
        (Condition::equals("here", "1"), true),
        (Condition::equals("here", "2"), false),
        (Condition::equals("here", 1_u64), false),
        (Condition::equals("gone", "1"), false),
        (Condition::Same("here", "same"), true),
        (Condition::Same("here", "other"), false),
        (Condition::Same("here", "number"), false),
        (Condition::Same("here", "gone"), false),
        (Condition::Same("gone", "lost"), false),
        (yes().and(yes()), true),
        (yes().and(no()), false),
        (no().and(yes()), false),
        (yes().or(no()), true),
        (no().or(yes()), true),
        (no().or(no()), false),
        (yes().and(no().or(yes())), true),
        (no().and(yes()).or(yes()), true),
        (no().and(yes().or(yes())), false),
        (yes().or(yes()).and(no()), false),
    ] {
        let write = Write::update("key", condition.clone(), Update::new());
        let wanted = if holds { Applied::Done } else { |row| Applied::Refused(Some(row)) };
        let rule = format!("a write is done if and only if its condition holds: {condition:?}");
        expect(&rule, &apply(table, &write), &wanted(there.clone()));
    }
}

/// A row that is deleted under a condition, and created again.
fn deletes(table: &impl LeaseTable) {
    let (first, neighbour) = (row("key", &[("a", "1".into())]), row("other", &[]));
    create(table, "key", &first);
    create(table, "other", &neighbour);
    let delete = |value| Write::delete("key", Condition::equals("a", value));
    let rule = "a row stays if the condition of its deletion does not hold";
    expect(rule, &apply(table, &delete("2")), &Applied::Refused(Some(first.clone())));
    expect(rule, &get(table, "key"), &Some(first.clone()));
    let rule = "a deleted row is given as it was last, and is gone; its neighbours stay";
    expect(rule, &apply(table, &delete("1")), &Applied::Done(first.clone()));
    expect(rule, &apply(table, &delete("1")), &Applied::Refused(None));
    expect(rule, &get(table, "key"), &None);
    expect_listed(rule, table, &BTreeMap::from([("other".to_owned(), neighbour)]));
    let again = row("key", &[("b", "2".into())]);
    let rule = "a deleted row can be created again, and has nothing of the old one";
    expect(rule, &create(table, "key", &again), &Applied::Done(again.clone()));
    expect(rule, &get(table, "key"), &Some(again));
}

/// Keys that a poor way of writing them would confuse.
fn keys(table: &impl LeaseTable) {
    let rule = "each key is a row of its own, whatever characters it holds";
    let long = "k".repeat(1_000);
    let keys = [
        "a", "A", "a ", " a", "a.b", "a#b", "#a", ":a", "\"a\"", "'a'", "a\\b", "a\nb", "ä", "å",
        "0", "00", "null", "key", &long,
    ];
    let rows: BTreeMap<_, _> =
        keys.iter().map(|key| ((*key).to_owned(), row(key, &[("a", (*key).into())]))).collect();
    for (key, row) in &rows {
        expect(rule, &create(table, key, row), &Applied::Done(row.clone()));
    }
    for (key, row) in &rows {
        expect(rule, &get(table, key), &Some(row.clone()));
    }
    expect_listed(rule, table, &rows);
}

/// More rows than one small page has.
fn pages(table: &impl LeaseTable) {
    let key = |number: usize| format!("shardId-{number:012}");
    let with = |number: usize| row(&key(number), &[("count", (number as u64).into())]);
    let mut rows: BTreeMap<_, _> = (0..250).map(|it| (key(it), with(it))).collect();
    for (key, row) in &rows {
        create(table, key, row);
    }
    let rule = "the pages together hold every row once";
    expect_listed(rule, table, &rows);
    for number in (0..250).step_by(7) {
        let write = Write::delete(&key(number), Condition::Exists("count"));
        expect(rule, &is_done(&apply(table, &write)), &true);
        rows.remove(&key(number));
    }
    expect_listed("the pages hold no row that was deleted", table, &rows);
}

const WRITERS: u64 = 8;
const ROUNDS: u64 = 20;

/// Eight writers, of which each tries to make every step of one counter.
fn one_winner(table: &impl LeaseTable) {
    create(table, "key", &row("key", &[("count", 0_u64.into())]));
    let wins = at_once(|_| {
        let step = |from: u64| {
            let when = Condition::equals("count", from);
            Write::update("key", when, Update::new().set("count", from + 1))
        };
        (0..ROUNDS).filter(|from| is_done(&apply(table, &step(*from)))).count() as u64
    });
    let rule = "of writes that exclude each other one is done, however many come at once";
    let found = get(table, "key").and_then(|row| row.get("count").cloned());
    // Whoever comes late finds the counter gone on; nobody can win a step twice.
    expect(rule, &found, &Some(wins.iter().sum::<u64>().into()));
    hold(rule, wins.iter().sum::<u64>() >= 1, &wins);
    let create = |writer: u64| {
        let mine = row("new", &[("writer", writer.into())]);
        u64::from(is_done(&apply(table, &Write::create("new", mine))))
    };
    expect("one of several creations is done", &at_once(create).iter().sum(), &1);
}

/// Eight writers, of which each adds to one counter.
fn every_addition(table: &impl LeaseTable) {
    create(table, "key", &row("key", &[("count", 0_u64.into())]));
    let write = Write::update("key", Condition::Exists("count"), Update::new().add("count", 3));
    at_once(|_| {
        for _ in 0..ROUNDS {
            apply(table, &write);
        }
        0
    });
    let rule = "no addition is lost, however many come at once";
    let found = get(table, "key").and_then(|row| row.get("count").cloned());
    expect(rule, &found, &Some((3 * ROUNDS * WRITERS).into()));
}

/// A value of every type, and some that differ only in their type.
fn values() -> Vec<Attribute> {
    let set = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
    let map = BTreeMap::from([("a".to_owned(), Attribute::Null), ("b".to_owned(), "1".into())]);
    let list = vec![1_u64.into(), "1".into(), Attribute::M(map.clone()), Attribute::Bool(false)];
    vec![
        "1".into(),
        "äöü \" \\ \u{1F600} \n".into(),
        "".into(),
        1_u64.into(),
        (-9_223_372_036_854_775_808_i64).into(),
        Attribute::N("12.345678".into()),
        Attribute::B(vec![0, 255, 10, 34]),
        Attribute::Ss(set(&["1", "a", "ä"])),
        Attribute::Ns(set(&["1", "-2.5", "9223372036854775807"])),
        Attribute::Bs(BTreeSet::from([vec![1], vec![0, 255]])),
        Attribute::L(Vec::new()),
        Attribute::L(list),
        Attribute::M(BTreeMap::new()),
        Attribute::M(map),
        Attribute::Bool(true),
        Attribute::Bool(false),
        Attribute::Null,
    ]
}

/// What each of eight threads returns, which begin together.
fn at_once(act: impl Fn(u64) -> u64 + Sync) -> Vec<u64> {
    let start = Barrier::new(WRITERS as usize);
    let begin = |writer| {
        start.wait();
        act(writer)
    };
    let begin = &begin;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS).map(|it| scope.spawn(move || begin(it))).collect();
        // Continued as it is: a scope's own panic would not say which rule was broken.
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|it| it.unwrap_or_else(|panic| panic::resume_unwind(panic))).collect()
    })
}
