//! What is created and retired, and when.

use super::super::audit::{Audit, Change, Finding, Listing, Plan};
use super::graphs::{A, Line, at, cells, id, listing, rows, without};
use super::*;
use crate::model::shard::{HashKeyRange, Shard};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[track_caller]
fn plan(audit: &mut Audit, now: u64, listing: &[Shard], rows: &[Row]) -> Plan {
    plan_by(audit, now, now, listing, rows)
}

/// By a listing that was made at another time.
#[track_caller]
fn plan_by(audit: &mut Audit, now: u64, made: u64, listing: &[Shard], rows: &[Row]) -> Plan {
    let listing = Listing { shards: listing, made: seconds(made) };
    match audit.survey(seconds(now), listing, rows, &at("LATEST")) {
        Finding::Plan(plan) => plan,
        other @ Finding::Recreated(_) => panic!("{other:?}"),
    }
}

/// The shards whose rows are created, and those whose rows go.
#[track_caller]
fn changes(
    audit: &mut Audit,
    now: u64,
    listing: &[Shard],
    rows: &[Row],
) -> (Vec<String>, Vec<String>) {
    let (mut created, mut retired) = (Vec::new(), Vec::new());
    for change in plan(audit, now, listing, rows).changes {
        match change {
            Change::Create(birth) => created.push(birth.shard),
            Change::Retire(shard) => retired.push(shard),
        }
    }
    (created, retired)
}

#[track_caller]
fn created(audit: &mut Audit, now: u64, rows: &[Row]) -> usize {
    changes(audit, now, &listing(A), rows).0.len()
}

/// What is retired when it has been like this for long enough.
fn retired(listing: &[Shard], rows: &[Row]) -> Vec<String> {
    let mut audit = Audit::default();
    assert_eq!(changes(&mut audit, 0, listing, rows).1, [""; 0]);
    changes(&mut audit, 300, listing, rows).1
}

#[test]
fn a_listing_from_before_rows_were_missed_or_long_ago_creates_none() {
    let mut audit = Audit::default();
    let hole = rows(A, "4 9 10 999");
    let mut created = |now, made| {
        let plan = plan_by(&mut audit, now, made, &listing(A), &hole);
        (plan.changes.len(), plan.is_stale)
    };
    assert_eq!(created(100, 90), (0, false), "it is not due");
    assert_eq!(created(160, 99), (0, true));
    assert_eq!(created(160, 100), (4, false));
    assert_eq!(created(281, 160), (0, true));
    assert_eq!(created(281, 161), (4, false));
}

#[test]
fn a_first_start_waits_for_nothing_and_a_missing_row_a_minute() {
    assert_eq!(created(&mut Audit::default(), 7, &[]), 4);
    assert_eq!(created(&mut Audit::default(), 7, &rows(A, "4 8 LATEST")), 2);

    let mut audit = Audit::default();
    let hole = rows(A, "4 9 10 999");
    assert_eq!(created(&mut audit, 100, &hole), 0);
    assert_eq!(created(&mut audit, 159, &hole), 0);
    assert_eq!(created(&mut audit, 160, &hole), 4);
}

#[test]
fn a_minute_begins_again_when_another_row_is_missing() {
    let mut audit = Audit::default();
    assert_eq!(created(&mut audit, 0, &rows(A, "4 999")), 0);
    // Somebody else is creating rows.
    assert_eq!(created(&mut audit, 60, &rows(A, "4 9 999")), 0);
    assert_eq!(created(&mut audit, 119, &rows(A, "4 9 999")), 0);
    assert!(created(&mut audit, 120, &rows(A, "4 9 999")) > 0);
    assert_eq!(created(&mut audit, 121, &rows(A, "4 5 6 7 999")), 0);
    assert_eq!(created(&mut audit, 200, &rows(A, "4 9 999")), 0);
}

#[test]
fn a_row_goes_when_its_shard_is_done_and_its_children_have_begun() {
    let (five, none) = (vec![id(5)], Vec::new());
    for (kept, wanted) in [
        ("4 8 999, 5 SHARD_END, 9 10 999", &five),
        ("4 8 999, 5 SHARD_END, 9 999, 10 LATEST", &five),
        ("4 8 999, 5 SHARD_END, 9 999, 10 TRIM_HORIZON", &none),
        ("4 8 999, 5 SHARD_END, 9 999, 10 AT_TIMESTAMP", &none),
        ("4 8 999, 5 SHARD_END, 9 999", &none),
        ("4 8 999, 5 205, 9 10 999", &none),
    ] {
        assert_eq!(&retired(&listing(A), &rows(A, kept)), wanted, "{kept}");
    }
}

#[test]
fn parents_go_before_their_children() {
    let listing = listing(A);
    for (kept, wanted) in [
        ("4 9 10 999, 0 1 2 3 6 7 SHARD_END, 8 999", &[0, 1, 2, 3][..]),
        ("4 9 10 999, 1 6 7 SHARD_END, 8 999", &[1, 7]),
        ("4 9 10 999, 6 7 SHARD_END, 8 999", &[6, 7]),
        // The child went before: that is as good.
        ("4 9 10 999, 0 1 7 SHARD_END, 8 999", &[0, 1, 7]),
    ] {
        let wanted: Vec<_> = wanted.iter().copied().map(id).collect();
        assert_eq!(retired(&listing, &rows(A, kept)), wanted, "{kept}");
    }
}

#[test]
fn a_row_goes_only_after_five_minutes_without_a_break() {
    let (listing, mut audit) = (listing(A), Audit::default());
    let (done, not) =
        ("4 8 999, 5 SHARD_END, 9 10 999", "4 8 999, 5 SHARD_END, 9 999, 10 TRIM_HORIZON");
    for (now, kept, count) in [
        (0, done, 0),
        (299, done, 0),
        (300, not, 0),
        (301, done, 0),
        (600, done, 0),
        (601, done, 1),
    ] {
        assert_eq!(changes(&mut audit, now, &listing, &rows(A, kept)).1.len(), count, "at {now}");
    }
}

#[test]
fn the_row_of_a_shard_whose_children_are_not_known_goes_after_the_shard() {
    let kept = rows(A, "4 8 999, 5 SHARD_END");
    assert_eq!(retired(&without(A, &[9, 10]), &kept), [""; 0]);
    assert_eq!(retired(&without(A, &[5, 9, 10]), &kept), [id(5)]);
    let mut named = kept;
    named[2].children = set(&[&id(9), &id(10)]);
    // The listing may be older than the row.
    assert_eq!(retired(&without(A, &[9, 10]), &named), [""; 0]);
    assert_eq!(retired(&without(A, &[5, 9, 10]), &named), [id(5)]);
    assert_eq!(retired(&without(A, &[5]), &named), [""; 0]);
    // Rows of early versions name no parents.
    named.extend(rows(A, "9 999, 10 TRIM_HORIZON"));
    named.iter_mut().for_each(|row| row.parents.clear());
    assert_eq!(retired(&without(A, &[5, 9, 10]), &named), [""; 0]);
    named[4].checkpoint = at("999");
    assert_eq!(retired(&without(A, &[9, 10]), &named), [id(5)]);
}

#[test]
fn nothing_is_done_without_a_listing_or_with_one_of_another_stream() {
    let kept = rows(A, "4 8 9 10 999, 5 SHARD_END");
    let mut audit = Audit::default();
    let survey = |audit: &mut Audit, listing: &[Shard], rows: &[Row]| {
        let listed = |made| Listing { shards: listing, made: seconds(made) };
        drop(audit.survey(seconds(0), listed(0), rows, &at("LATEST")));
        audit.survey(seconds(1_000), listed(1_000), rows, &at("LATEST"))
    };
    assert_eq!(survey(&mut audit, &[], &kept), Finding::Plan(Plan::default()));
    assert_eq!(survey(&mut audit, &[], &[]), Finding::Plan(Plan::default()));

    let later: Vec<Line> =
        A.iter().map(|it| (it.0, it.1, it.2 + 5_000, it.3, it.4, it.5)).collect();
    for (rows, shards) in [
        (kept.clone(), vec![id(4), id(8), id(9), id(10)]),
        (rows(A, "4 SHARD_END, 8 LATEST, 9 5206"), vec![]),
        (rows(A, "4 SHARD_END, 8 LATEST, 9 5205"), vec![id(9)]),
        (
            vec![Row { checkpoint: Checkpoint::ended(&"999".parse().unwrap()), ..kept[0].clone() }],
            vec![id(4)],
        ),
    ] {
        let found = survey(&mut audit, &listing(&later), &rows);
        match found {
            Finding::Recreated(found) => assert_eq!(found, shards),
            Finding::Plan(_) => assert!(shards.is_empty(), "{rows:?}"),
        }
    }
}

#[test]
fn hash_keys_that_no_row_and_no_missing_shard_covers_are_told() {
    let gaps = |gone: &[u64], kept: &str| {
        plan(&mut Audit::default(), 0, &without(A, gone), &rows(A, kept)).unfilled
    };
    assert_eq!(gaps(&[], "4 8 9 10 999"), []);
    assert_eq!(gaps(&[], "4 999, 5 6 7 SHARD_END"), []);
    assert_eq!(gaps(&[], ""), []);
    // Keys that two rows cover are covered.
    assert_eq!(gaps(&[], "2 4 8 9 10 999"), []);
    let last = cells(5, 255);
    assert_eq!(gaps(&[9, 10], "4 8 999, 5 SHARD_END"), [last]);
    assert_eq!(gaps(&[8, 9, 10], "4 999, 5 6 7 SHARD_END"), [cells(0, 3), last]);
    let all = HashKeyRange { start: 0, end: cells(4, 255).end };
    assert_eq!(gaps(&[4, 8, 9, 10], "4 5 6 7 SHARD_END"), [all]);
    // Rows of early versions have no hash keys; the listing has them.
    let mut old = rows(A, "4 8 9 10 999");
    old[0].hash_keys = None;
    assert_eq!(plan(&mut Audit::default(), 0, &listing(A), &old).unfilled, []);
    assert_eq!(plan(&mut Audit::default(), 0, &without(A, &[4]), &old).unfilled, [cells(4, 4)]);
}
