//! Which rows a listing gives.

use super::super::ancestry::Ancestry;
use super::super::births::{Missing, configured, missing};
use super::super::writes::Birth;
use super::graphs::{A, B, C, Line, at, id, listing, rows, unheld, without};
use super::*;
use crate::model::position::IteratorType;

/// A stream, its rows, the configured start, the rows to be created, and what Amazon's library (3.5.1) creates instead, if
/// it does.
type Case = (&'static [Line], &'static str, &'static str, &'static str, Option<&'static str>);

/// The first ones of each part are from the library's own tests.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // A table without rows.
    (A, "", "TRIM_HORIZON", "0 1 2 3 4 5 TRIM_HORIZON", None),
    (A, "", "LATEST", "4 8 9 10 LATEST", None),
    // KCL asks Amazon which shards were open then; what is older is empty for who asks for that time.
    (A, "", "AT_TIMESTAMP", "0 1 2 3 4 5 AT_TIMESTAMP", Some("4 5 6 7, or 4 8 9 10, by the time")),
    (B, "", "TRIM_HORIZON", "0 1 TRIM_HORIZON", None),
    (B, "", "LATEST", "9 10 LATEST", None),
    (B, "", "AT_TIMESTAMP", "0 1 AT_TIMESTAMP", None),
    (C, "", "LATEST", "1 6 7 8 9 10 LATEST", None),
    // A first start that was begun, and that nobody has read from.
    (A, "3 4 5 LATEST", "LATEST", "2 6 LATEST", None),
    (A, "4 5 7 LATEST", "LATEST", "6 LATEST", None),
    (A, "2 6 LATEST", "LATEST", "3 4 9 10 LATEST", None),
    (A, "4 9 10 LATEST", "LATEST", "8 LATEST", None),
    (A, "1 2 3 4 5 7 9 10 LATEST", "LATEST", "0 LATEST", None),
    (A, "4 5 6 7 LATEST", "LATEST", "", None),
    (A, "0 1 2 3 4 5 6 7 LATEST", "LATEST", "", None),
    (A, "0 1 4 7 9 10 LATEST", "LATEST", "", None),
    (B, "6 LATEST", "LATEST", "7 LATEST", None),
    (B, "5 LATEST", "LATEST", "", None),
    (B, "0 1 2 3 4 5 LATEST", "LATEST", "", None),
    (C, "9 10 LATEST", "LATEST", "1 6 7 8 LATEST", None),
    (A, "1 2 3 4 5 7 9 10 TRIM_HORIZON", "TRIM_HORIZON", "0 TRIM_HORIZON", None),
    (A, "1 2 3 4 5 7 9 10 AT_TIMESTAMP", "AT_TIMESTAMP", "0 AT_TIMESTAMP", None),
    // It continues as it was begun.
    (A, "4 9 10 LATEST", "TRIM_HORIZON", "8 LATEST", Some("0 1 2 3 TRIM_HORIZON")),
    (A, "0 1 TRIM_HORIZON", "LATEST", "2 3 4 5 TRIM_HORIZON", Some("4 7 9 10 LATEST")),
    // A table that is in use.
    (A, "3 4 5 999", "TRIM_HORIZON", "0 1 2 TRIM_HORIZON", None),
    (A, "4 5 7 999", "TRIM_HORIZON", "0 1 TRIM_HORIZON", None),
    (A, "2 6 999", "TRIM_HORIZON", "3 4 5 TRIM_HORIZON", None),
    (A, "4 9 10 999", "TRIM_HORIZON", "0 1 2 3 TRIM_HORIZON", None),
    (A, "4 5 6 7 999", "TRIM_HORIZON", "", None),
    (A, "0 1 2 3 4 5 6 7 999", "TRIM_HORIZON", "", None),
    (A, "0 1 4 7 9 10 999", "TRIM_HORIZON", "", None),
    (B, "5 9999", "TRIM_HORIZON", "", None),
    (B, "0 1 2 3 4 5 9999", "TRIM_HORIZON", "", None),
    // What the test of KCL that is commented out asks for.
    (B, "6 9999", "TRIM_HORIZON", "7 TRIM_HORIZON", None),
    // The shards have been read, and nobody knows how far: not LATEST.
    (A, "3 4 5 999", "LATEST", "0 1 2 TRIM_HORIZON", Some("2 6 LATEST")),
    (A, "4 5 7 999", "LATEST", "0 1 TRIM_HORIZON", Some("6 LATEST")),
    (A, "2 6 999", "LATEST", "3 4 5 TRIM_HORIZON", Some("3 4 9 10 LATEST")),
    (A, "4 9 10 999", "LATEST", "0 1 2 3 TRIM_HORIZON", Some("8 LATEST")),
    (B, "6 9999", "LATEST", "7 TRIM_HORIZON", Some("7 LATEST")),
    (C, "9 10 999", "LATEST", "1 2 3 4 TRIM_HORIZON", Some("1 6 7 8 LATEST")),
    (A, "3 4 5 999", "AT_TIMESTAMP", "0 1 2 TRIM_HORIZON", Some("0 1 2 AT_TIMESTAMP")),
    // Children that have not begun do not pass a parent without a row.
    (A, "4 9 10 999, 7 TRIM_HORIZON", "LATEST", "0 1 2 3 TRIM_HORIZON", Some("6 LATEST")),
    (A, "6 SHARD_END, 4 9 10 999, 8 TRIM_HORIZON", "LATEST", "2 3 TRIM_HORIZON", Some("")),
    (A, "6 7 SHARD_END, 4 9 10 999, 8 TRIM_HORIZON", "LATEST", "", None),
    (A, "6 SHARD_END, 4 9 10 999", "LATEST", "2 3 TRIM_HORIZON", Some("7 LATEST")),
    // The rows of children that were lost, or that nobody created.
    (A, "4 999, 5 6 7 SHARD_END", "LATEST", "8 9 10 TRIM_HORIZON", Some("")),
    (A, "4 5 7 999, 6 SHARD_END", "LATEST", "8 TRIM_HORIZON", Some("")),
    (A, "4 7 10 999", "LATEST", "0 1 9 TRIM_HORIZON", Some("6 9 LATEST")),
    (A, "0 2 3 4 5 999, 1 SHARD_END", "LATEST", "6 TRIM_HORIZON", Some("")),
];

/// As the cases write it.
fn text(births: &[Birth]) -> String {
    let Some(first) = births.first() else { return String::new() };
    assert!(births.iter().all(|it| it.checkpoint == first.checkpoint), "{births:?}");
    let number = |it: &Birth| it.shard.trim_start_matches("shardId-").parse::<u64>().unwrap();
    let numbers = births.iter().map(|it| number(it).to_string());
    let words = numbers.chain([first.checkpoint.at.text().to_owned()]);
    words.collect::<Vec<_>>().join(" ")
}

/// The row that a birth makes.
fn born(graph: &[Line], birth: &Birth) -> Row {
    let number = birth.shard.trim_start_matches("shardId-").parse().unwrap();
    unheld(graph, number, &birth.checkpoint)
}

fn found(graph: &[Line], rows: &[Row], configured: &str) -> Missing {
    missing(&Ancestry::new(&listing(graph), rows), &at(configured))
}

#[test]
fn a_listing_and_the_rows_give_the_rows_that_are_missing() {
    for (graph, kept, start, wanted, kcl) in CASES {
        let found = text(&found(graph, &rows(graph, kept), start).births);
        assert_eq!(found, *wanted, "{kept:?} {start}, KCL: {kcl:?}");
    }
}

#[test]
fn the_rest_is_created_if_the_process_dies_after_any_row() {
    for (graph, kept, start, ..) in CASES {
        let all = found(graph, &rows(graph, kept), start).births;
        for done in 0..=all.len() {
            let mut now = rows(graph, kept);
            now.extend(all[..done].iter().map(|it| born(graph, it)));
            let rest = found(graph, &now, start).births;
            assert_eq!(rest, all[done..], "{kept:?} {start}, after {done}");
        }
    }
}

#[test]
fn a_first_start_continues_only_until_somebody_has_held_a_lease() {
    let fresh = rows(A, "4 9 LATEST");
    let begun = |rows: &[Row]| found(A, rows, "LATEST");
    assert!(begun(&fresh).is_first_start && begun(&[]).is_first_start);
    let held = |change: fn(&mut Row)| {
        let mut rows = fresh.clone();
        change(&mut rows[1]);
        begun(&rows)
    };
    for (name, found) in [
        ("taken and released", held(|row| row.counter = 1)),
        ("owned", held(|row| row.owner = Some("java".into()))),
        ("read", held(|row| row.checkpoint = at("207"))),
        ("of two kinds", held(|row| row.checkpoint = at("AT_TIMESTAMP"))),
    ] {
        assert!(!found.is_first_start, "{name}");
        assert!(text(&found.births).starts_with("0 1 2 3 "), "{name}: {found:?}");
        assert_eq!(found.births[0].checkpoint, at("TRIM_HORIZON"), "{name}");
    }
}

#[test]
fn a_first_start_continues_at_the_earliest_time_that_a_row_names() {
    let later = noon_and(5);
    let mut rows = rows(A, "0 1 AT_TIMESTAMP");
    rows[0].checkpoint = Checkpoint::since(later, &At::Timestamp);
    let found = found(A, &rows, "TRIM_HORIZON");
    assert_eq!(text(&found.births), "2 3 4 5 AT_TIMESTAMP");
    assert_eq!(found.births[0].checkpoint, at("AT_TIMESTAMP"));
}

fn noon_and(seconds: u64) -> std::time::SystemTime {
    super::graphs::noon() + Duration::from_secs(seconds)
}

#[test]
fn a_birth_says_what_the_listing_says() {
    let found = found(A, &rows(A, "4 999, 5 6 7 SHARD_END"), "LATEST").births;
    let eight = &found[0];
    assert_eq!(eight.parents, set(&[&id(6), &id(7)]));
    assert_eq!(eight.hash_keys, super::graphs::cells(0, 3));
    assert_eq!(eight.tenure, None);
}

#[test]
fn parents_that_have_left_the_stream_hold_up_nothing() {
    for (gone, kept, start, wanted) in [
        (&[0, 1, 2, 3][..], "", "TRIM_HORIZON", "4 5 6 7 TRIM_HORIZON"),
        (&[0, 1, 2, 3, 6], "", "TRIM_HORIZON", "4 5 7 TRIM_HORIZON"),
        (&[0, 1, 2, 3, 6], "4 5 7 999", "TRIM_HORIZON", ""),
        (&[0, 1, 2, 3, 6, 7], "4 5 999", "LATEST", "8 TRIM_HORIZON"),
        (&[0, 1, 2, 3, 6], "4 5 999, 7 SHARD_END", "LATEST", "8 TRIM_HORIZON"),
    ] {
        let listing = without(A, gone);
        let found = missing(&Ancestry::new(&listing, &rows(A, kept)), &at(start));
        assert_eq!(text(&found.births), wanted, "{gone:?} {kept:?}");
    }
}

#[test]
fn a_listing_made_during_a_split_gives_the_parent_alone() {
    // Its first page shows the parent open, its last one the children.
    let open: Vec<_> =
        A.iter().map(|it| if it.0 == 5 { (5, it.1, 11, 0, 5, 255) } else { *it }).collect();
    let found = found(&open, &[], "LATEST").births;
    assert_eq!(text(&found), "4 5 8 LATEST");
    // And here the children are not there yet, although the parent is closed.
    let listing = without(A, &[9, 10]);
    let found = missing(&Ancestry::new(&listing, &[]), &at("LATEST")).births;
    assert_eq!(text(&found), "4 5 8 LATEST");
}

#[test]
fn a_child_waits_for_every_parent_and_for_one_that_is_missing() {
    for (kept, may) in [
        ("8 TRIM_HORIZON", false),
        ("8 TRIM_HORIZON, 6 SHARD_END", false),
        ("8 TRIM_HORIZON, 6 SHARD_END, 7 205", false),
        ("8 TRIM_HORIZON, 6 7 SHARD_END", true),
        ("8 AT_TIMESTAMP, 6 SHARD_END", false),
        ("8 999, 6 205", false),
        // Its own row says that it was read, or where reading began.
        ("8 999", true),
        ("8 999, 6 SHARD_END", true),
        ("8 LATEST", true),
        ("8 AT_TIMESTAMP", true),
    ] {
        let (listing, rows) = (listing(A), rows(A, kept));
        assert_eq!(Ancestry::new(&listing, &rows).may_start(&id(8)), may, "{kept}");
    }
    // A sibling was read, so that their parent is done.
    let (all, kept) = (listing(A), rows(A, "9 999, 10 TRIM_HORIZON"));
    assert!(Ancestry::new(&all, &kept).may_start(&id(10)));
    // The listing may be older than the rows.
    let (some, kept) = (without(A, &[9, 10]), rows(A, "5 205, 9 10 TRIM_HORIZON"));
    assert!(!Ancestry::new(&some, &kept).may_start(&id(10)));
    let (some, kept) = (without(A, &[7]), rows(A, "8 TRIM_HORIZON, 6 SHARD_END"));
    assert!(Ancestry::new(&some, &kept).may_start(&id(8)));
}

#[test]
fn only_a_start_for_every_shard_can_be_configured() {
    let number = "7".parse().unwrap();
    for start in [
        IteratorType::AfterSequenceNumber(number),
        IteratorType::AtSequenceNumber("7".parse().unwrap()),
    ] {
        assert_eq!(configured(&start), None);
    }
    assert_eq!(at("AT_TIMESTAMP").from, Some(super::graphs::noon()));
}
