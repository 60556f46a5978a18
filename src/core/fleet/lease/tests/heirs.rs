//! The rows of children, at the end of a shard.

use super::super::ancestry::Ancestry;
use super::super::births::{ChildrenUnknown, Heirs, heirs};
use super::super::writes::Birth;
use super::graphs::{A, at, cells, id, listing, noon, rows, unheld, without};
use super::*;
use crate::model::shard::{ChildShard, Shard};

fn named(numbers: &[u64]) -> Vec<ChildShard> {
    let line = |number: &u64| A.iter().find(|it| it.0 == *number).unwrap();
    let child = |number: &u64| {
        let (_, parents, .., low, high) = line(number);
        ChildShard::new(id(*number), parents.iter().copied().map(id).collect(), cells(*low, *high))
    };
    numbers.iter().map(child).collect()
}

fn of(
    listing: &[Shard],
    rows: &[Row],
    shard: u64,
    children: &[u64],
) -> Result<Heirs, ChildrenUnknown> {
    heirs(&Ancestry::new(listing, rows), &id(shard), &named(children), false)
}

fn shards(births: &[Birth]) -> Vec<String> {
    births.iter().map(|it| it.shard.clone()).collect()
}

fn ids(numbers: &[u64]) -> Vec<String> {
    numbers.iter().copied().map(id).collect()
}

#[test]
fn the_children_of_a_split_get_rows_at_their_oldest_record() {
    let found = of(&listing(A), &rows(A, "5 205"), 5, &[9, 10]).unwrap();
    assert_eq!(found.children, set(&[&id(9), &id(10)]));
    let nine = Birth {
        shard: id(9),
        parents: set(&[&id(5)]),
        hash_keys: cells(5, 9),
        checkpoint: at("TRIM_HORIZON"),
        tenure: None,
    };
    assert_eq!(found.births[0], nine);
    assert_eq!(shards(&found.births), ids(&[9, 10]));
}

#[test]
fn a_row_that_is_there_is_not_created_again() {
    for (kept, wanted) in [
        ("5 205, 9 TRIM_HORIZON", &[10][..]),
        ("5 205, 9 10 TRIM_HORIZON", &[]),
        ("5 205, 9 10 999", &[]),
    ] {
        let found = of(&listing(A), &rows(A, kept), 5, &[9, 10]).unwrap();
        assert_eq!(shards(&found.births), ids(wanted), "{kept}");
        assert_eq!(found.children, set(&[&id(9), &id(10)]), "{kept}");
    }
    // Nor one that was retired.
    let merged = of(&listing(A), &rows(A, "0 102, 8 999"), 0, &[6]).unwrap();
    assert_eq!(merged.births, []);
}

#[test]
fn the_child_of_a_merge_comes_with_the_rows_of_both_parents() {
    for (gone, kept, wanted) in [
        (&[][..], "6 205, 7 205", &[8][..]),
        (&[], "6 205, 7 SHARD_END", &[8]),
        // The other one is missing, and what is above it.
        (&[], "6 205, 2 3 SHARD_END", &[7, 8]),
        (&[], "6 205, 2 SHARD_END, 3 102", &[7, 8]),
        (&[], "6 205", &[2, 3, 7, 8]),
        // It has left the stream.
        (&[2, 3, 7], "6 205", &[8]),
    ] {
        let listing = without(A, gone);
        let found = of(&listing, &rows(A, kept), 6, &[8]).unwrap();
        assert_eq!(shards(&found.births), ids(wanted), "{gone:?} {kept}");
        assert_eq!(found.children, set(&[&id(8)]));
        for done in 0..=wanted.len() {
            let mut now = rows(A, kept);
            now.extend(wanted[..done].iter().map(|it| unheld(A, *it, &at("TRIM_HORIZON"))));
            let rest = of(&listing, &now, 6, &[8]).unwrap().births;
            assert_eq!(shards(&rest), ids(&wanted[done..]), "{kept}, after {done}");
        }
    }
}

#[test]
fn another_parent_that_a_listing_from_before_the_merge_does_not_show_is_listed_first() {
    let of_six = |gone: &[u64], kept| of(&without(A, gone), &rows(A, kept), 6, &[8]);
    assert_eq!(of_six(&[7, 8], "6 205"), Err(ChildrenUnknown));
    assert_eq!(shards(&of_six(&[8], "6 205").unwrap().births), ids(&[2, 3, 7, 8]));
    // Its row is there, or the child's, for which somebody has created both.
    assert!(of_six(&[7, 8], "6 7 205").is_ok());
    assert!(of_six(&[7, 8], "6 205, 8 TRIM_HORIZON").is_ok());
    // Or both have left the stream.
    let (some, kept) = (without(A, &[7, 8]), rows(A, "6 205"));
    let found = heirs(&Ancestry::new(&some, &kept), &id(6), &named(&[8]), true).unwrap();
    assert_eq!(shards(&found.births), ids(&[8]));
}

#[test]
fn a_silent_answer_is_made_up_for_by_a_listing_with_all_children() {
    for (shard, kept) in [(5, "5 205"), (6, "6 7 205"), (7, "6 7 205")] {
        let answered =
            of(&listing(A), &rows(A, kept), shard, if shard == 5 { &[9, 10] } else { &[8] });
        assert!(!answered.as_ref().unwrap().births.is_empty());
        assert_eq!(of(&listing(A), &rows(A, kept), shard, &[]), answered);
    }
    for (shard, kept, gone) in
        [(5, "5 205", &[9, 10][..]), (5, "5 205", &[10]), (6, "6 7 205", &[8])]
    {
        let listing = without(A, gone);
        assert_eq!(of(&listing, &rows(A, kept), shard, &[]), Err(ChildrenUnknown), "{gone:?}");
    }
}

#[test]
fn a_child_without_hash_keys_is_looked_up_or_not_known() {
    let child = ChildShard::new(id(9), vec![id(5)], None);
    let (all, kept) = (listing(A), rows(A, "5 205"));
    let found =
        heirs(&Ancestry::new(&all, &kept), &id(5), std::slice::from_ref(&child), false).unwrap();
    assert_eq!(found.births[0].hash_keys, cells(5, 9));
    let some = without(A, &[9, 10]);
    let found = heirs(&Ancestry::new(&some, &kept), &id(5), &[child], true);
    assert_eq!(found, Err(ChildrenUnknown));
}

#[test]
fn a_child_of_a_shard_that_had_nothing_since_a_time_is_read_from_then_on() {
    let of_five = |kept: &[Row]| of(&listing(A), kept, 5, &[9, 10]).unwrap().births[1].clone();
    let since = Checkpoint { from: Some(noon()), ..at("TRIM_HORIZON") };
    let mut five = rows(A, "5 AT_TIMESTAMP");
    assert_eq!(of_five(&five).checkpoint, since);
    // And so are the children of such a child.
    five[0].checkpoint = since;
    assert_eq!(of_five(&five).checkpoint, five[0].checkpoint);
    for kept in ["5 205", "5 LATEST", "5 TRIM_HORIZON", ""] {
        assert_eq!(of_five(&rows(A, kept)).checkpoint, at("TRIM_HORIZON"), "{kept}");
    }
    // KCL leaves the time in the row when it stores a number.
    five[0].checkpoint = Checkpoint { from: Some(noon()), ..at("205") };
    assert_eq!(of_five(&five).checkpoint, at("TRIM_HORIZON"));
}
