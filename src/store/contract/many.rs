//! Many positions: by import, and one by one.

use std::collections::BTreeMap;

use super::samples::{after, end, from};
use super::{expect, expect_listed, get, import_all, update};
use crate::model::position::Position;
use crate::store::Store;
use crate::store::export::Import;

/// Positions that are ahead, behind, new, or not named.
// long: a story of imports, told in order.
pub(super) fn importing(store: &impl Store) {
    let before = [("ahead", after(9)), ("behind", after(3)), ("other", end(1))];
    let given = [("ahead", after(5)), ("behind", after(5)), ("new", from(5, 5)), ("end", end(5))];
    let owned = |pairs: &[(&str, Position)]| -> Vec<(String, Position)> {
        pairs.iter().map(|(shard, to)| ((*shard).to_owned(), to.clone())).collect()
    };
    for (stream, import, kept) in [
        ("forward", Import::Forward, &[("ahead", after(9)), ("other", end(1))][..]),
        ("overwrite", Import::Overwrite, &[("other", end(1))][..]),
    ] {
        for (shard, to) in &before {
            update(store, stream, shard, to);
        }
        let mut stored: BTreeMap<_, _> = owned(&given).into_iter().collect();
        stored.extend(owned(kept));
        for _ in 0..2 {
            import_all(store, stream, &owned(&given), import);
            let rule = match import {
                Import::Forward => {
                    "an import forward stores what is ahead, and changes nothing else"
                }
                Import::Overwrite => {
                    "an import that overwrites stores all that it names, and no other"
                }
            };
            expect_listed(rule, store, stream, &stored);
        }
    }
    import_all(store, "forward", &[], Import::Overwrite);
    import_all(store, "nothing", &[], Import::Forward);
    expect_listed("an import of nothing stores nothing", store, "nothing", &BTreeMap::new());
}

/// One by one, more shards than one account may have by default.
pub(super) fn thousand_shards(store: &impl Store) {
    let stored = numbered(1_000);
    for (shard, to) in &stored {
        update(store, "stream", shard, to);
    }
    let stored = stored.into_iter().collect();
    expect_listed("the listing holds a thousand shards", store, "stream", &stored);
}

/// More shards than a stream has.
pub(super) fn large_import(store: &impl Store) {
    let stored = numbered(100_000);
    import_all(store, "stream", &stored, Import::Forward);
    let (shard, to) = &stored[77_777];
    let rule = "an import of 100,000 positions stores each of them";
    expect(rule, &get(store, "stream", shard), &Some(to.clone()));
    expect_listed(rule, store, "stream", &stored.into_iter().collect());
}

fn numbered(count: u64) -> Vec<(String, Position)> {
    (0..count).map(|number| (format!("shardId-{number:012}"), after(number))).collect()
}
