//! The contract of every store, as a suite of tests.

mod many;
mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic;
use std::sync::Barrier;
use std::thread;

use self::many::{importing, large_import, thousand_shards};
use self::samples::{after, end, from, ladder, look_alikes, rung};
use crate::error::store::StoreError;
use crate::model::position::Position;
use crate::store::Store;
use crate::store::export::Import;

/// Checks that a [`Store`] keeps the contract of the trait; for your own store's tests,
/// with feature `testing`.
///
/// `make` gives an empty store for each check. It is called with the name of the check, distinct and
/// made of lower-case letters and underscores, so it can name a table or a directory. The checks make
/// fewer than 4,000 calls, at most eight of them at once, with names of up to 1,000 bytes that hold any
/// character, NUL included. The last check imports 100,000 positions, each by a call of its own unless the
/// store has its own [`import_shard_iterators`](Store::import_shard_iterators).
///
/// ```
/// use kinesis_consumer::LocalStore;
/// use kinesis_consumer::testing::store_contract;
///
/// store_contract(|_name| LocalStore::new());
/// ```
///
/// # Panics
/// If the store breaks a rule; the message names the rule.
pub fn store_contract<S: Store>(make: impl Fn(&str) -> S) {
    empty_at_first(&make("empty_at_first"));
    read_back(&make("read_back"));
    forward_only(&make("forward_only"));
    idempotent(&make("idempotent"));
    reset_goes_anywhere(&make("reset"));
    isolation(&make("isolation"));
    listing(&make("listing"));
    concurrency(&make("concurrency"));
    importing(&make("importing"));
    thousand_shards(&make("thousand_shards"));
    large_import(&make("large_import"));
}

/// Shards that the store does not know.
fn empty_at_first(store: &impl Store) {
    let rule = "what was never stored is None, and is not an error";
    expect(rule, &get(store, "stream", "shard"), &None);
    expect_listed(rule, store, "stream", &BTreeMap::new());
    reset(store, "stream", "shard", None);
    expect_listed("forgetting an unknown shard stores nothing", store, "stream", &BTreeMap::new());
    update(store, "stream", "shard", &after(7));
    expect(rule, &get(store, "stream", "another shard"), &None);
    expect(rule, &get(store, "another stream", "shard"), &None);
    expect_listed(rule, store, "another stream", &BTreeMap::new());
}

/// Every position comes back as it was, by both ways of writing and of reading.
fn read_back(store: &impl Store) {
    let rule = "a position is read back without loss: nanoseconds, times before 1970, long numbers, \
                sub-numbers, and which of Since, After, End it is";
    let mut stored = BTreeMap::new();
    for (at, position) in ladder().into_iter().enumerate() {
        let (updated, set) = (format!("updated-{at}"), format!("set-{at}"));
        update(store, "stream", &updated, &position);
        expect(rule, &get(store, "stream", &updated), &Some(position.clone()));
        reset(store, "stream", &set, Some(&position));
        expect(rule, &get(store, "stream", &set), &Some(position.clone()));
        stored.extend([(updated, position.clone()), (set, position)]);
    }
    expect_listed(rule, store, "stream", &stored);
}

/// Every pair of positions, in both orders.
fn forward_only(store: &impl Store) {
    let ladder = ladder();
    for (i, first) in ladder.iter().enumerate() {
        for (j, second) in ladder.iter().enumerate() {
            let shard = format!("{i}-{j}");
            update(store, "stream", &shard, first);
            update(store, "stream", &shard, second);
            let (rule, expected) = if second > first {
                ("an update to a position ahead is stored", second)
            } else {
                ("an update to a position that is not ahead is Ok and changes nothing", first)
            };
            expect(rule, &get(store, "stream", &shard), &Some(expected.clone()));
        }
    }
}

/// The same call again, as after a lost answer.
fn idempotent(store: &impl Store) {
    let rule = "the same call again changes nothing";
    let once = BTreeMap::from([("shard".to_owned(), after(7))]);
    for _ in 0..3 {
        update(store, "stream", "shard", &after(7));
        expect_listed(rule, store, "stream", &once);
    }
    for _ in 0..3 {
        reset(store, "stream", "shard", Some(&after(7)));
        expect_listed(rule, store, "stream", &once);
    }
    for _ in 0..3 {
        reset(store, "stream", "shard", None);
        expect_listed(rule, store, "stream", &BTreeMap::new());
    }
}

/// A reset back, ahead, to nothing, and to a position again.
fn reset_goes_anywhere(store: &impl Store) {
    update(store, "stream", "neighbour", &after(5));
    reset(store, "stream", "shard", Some(&after(3)));
    expect("a reset stores where nothing was", &get(store, "stream", "shard"), &Some(after(3)));
    for first in ladder() {
        for second in [from(1, 0), after(6), end(6)] {
            reset(store, "stream", "shard", Some(&first));
            reset(store, "stream", "shard", Some(&second));
            let rule = "a reset goes back as well as ahead";
            expect(rule, &get(store, "stream", "shard"), &Some(second));
        }
    }
    reset(store, "stream", "shard", None);
    let rule = "a reset to None forgets the shard, and no other";
    expect(rule, &get(store, "stream", "shard"), &None);
    let rest = BTreeMap::from([("neighbour".to_owned(), after(5))]);
    expect_listed(rule, store, "stream", &rest);
    update(store, "stream", "shard", &from(0, 0));
    let rule = "after a reset to None any position is ahead";
    expect(rule, &get(store, "stream", "shard"), &Some(from(0, 0)));
}

/// All shards of a stream, and only these.
fn listing(store: &impl Store) {
    let mut stored = BTreeMap::new();
    for number in 0..120 {
        let shard = format!("shardId-{number:012}");
        update(store, "stream", &shard, &after(number));
        // With ids of their own: a foreign shard with an id of this stream would not be seen.
        let foreign = format!("shardId-{:012}", 1_000 + number);
        update(store, if number % 2 == 0 { "stream-2" } else { "strea" }, &foreign, &end(number));
        stored.insert(shard, after(number));
    }
    let rule = "the listing holds every shard of the stream, and none of another stream";
    expect_listed(rule, store, "stream", &stored);
    update(store, "stream", "shardId-000000000000", &end(500));
    stored.insert("shardId-000000000000".into(), end(500));
    expect_listed("the listing holds the newest positions", store, "stream", &stored);
}

/// Pairs that a poor way of writing keys would confuse.
fn isolation(store: &impl Store) {
    let rule = "each pair of stream and shard is a key of its own, whatever characters they hold";
    let keys = look_alikes();
    for (number, (stream, shard)) in keys.iter().enumerate() {
        expect(rule, &get(store, stream, shard), &None);
        update(store, stream, shard, &after(number as u64));
    }
    let mut streams: BTreeMap<&str, BTreeMap<String, Position>> = BTreeMap::new();
    for (number, (stream, shard)) in keys.iter().enumerate() {
        let position = after(number as u64);
        expect(rule, &get(store, stream, shard), &Some(position.clone()));
        streams.entry(stream).or_default().insert(shard.clone(), position);
    }
    for (stream, stored) in streams {
        expect_listed(rule, store, stream, &stored);
    }
    let (stream, shard) = &keys[0];
    reset(store, stream, shard, None);
    for (number, (stream, shard)) in keys.iter().enumerate().skip(1) {
        expect(rule, &get(store, stream, shard), &Some(after(number as u64)));
    }
}

/// Eight writers of one shard, each with every eighth position of a rising line.
// long: a story of several threads, told in order.
fn concurrency(store: &impl Store) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 30;
    let start = Barrier::new(WRITERS as usize);
    let write = |writer| {
        let mut seen = None;
        start.wait();
        for round in 0..ROUNDS {
            let position = rung(round * WRITERS + writer);
            update(store, "stream", "shard", &position);
            let now = get(store, "stream", "shard");
            let rule = "under concurrent updates, what is read never goes back";
            hold(rule, now >= seen && now >= Some(position), &(&seen, &now));
            seen = now;
        }
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|it| scope.spawn(move || write(it))).collect();
        for writer in writers {
            // Continued as it is: a scope's own panic would not say which rule was broken.
            writer.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
    });
    let last = Some(rung(WRITERS * ROUNDS - 1));
    expect("concurrent updates end at the highest", &get(store, "stream", "shard"), &last);
}

fn get(store: &impl Store, stream: &str, shard: &str) -> Option<Position> {
    done("get_shard_iterator", store.get_shard_iterator(stream, shard))
}

fn update(store: &impl Store, stream: &str, shard: &str, to: &Position) {
    done("update_shard_iterator", store.update_shard_iterator(stream, shard, to));
}

fn import_all(store: &impl Store, stream: &str, positions: &[(String, Position)], import: Import) {
    let imported = store.import_shard_iterators(stream, positions, import);
    done("import_shard_iterators", imported);
}

fn reset(store: &impl Store, stream: &str, shard: &str, to: Option<&Position>) {
    done("reset_shard_iterator", store.reset_shard_iterator(stream, shard, to));
}

fn list(store: &impl Store, stream: &str) -> BTreeMap<String, Position> {
    let listed = done("shard_iterators", store.shard_iterators(stream));
    let count = listed.len();
    let listed = BTreeMap::from_iter(listed);
    let rule = "the listing holds each shard once";
    hold(rule, listed.len() == count, &format_args!("{count} entries, {} shards", listed.len()));
    listed
}

fn done<T>(call: &str, result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("store contract: {call} failed: {error:?}"))
}

fn expect<T: PartialEq + Debug>(rule: &str, found: &T, expected: &T) {
    assert!(
        found == expected,
        "store contract broken: {rule}\n expected {expected:?}\n    found {found:?}"
    );
}

/// Names only the differences: a listing is long.
fn expect_listed(
    rule: &str,
    store: &impl Store,
    stream: &str,
    expected: &BTreeMap<String, Position>,
) {
    let found = list(store, stream);
    let missing = expected.iter().find(|(shard, to)| found.get(*shard) != Some(*to));
    let surplus = found.iter().find(|(shard, to)| expected.get(*shard) != Some(*to));
    let holds = missing.is_none() && surplus.is_none();
    hold(rule, holds, &format_args!("stream {stream:?} lists {surplus:?} instead of {missing:?}"));
}

fn hold(rule: &str, holds: bool, found: &impl Debug) {
    assert!(holds, "store contract broken: {rule}\n    found {found:?}");
}
