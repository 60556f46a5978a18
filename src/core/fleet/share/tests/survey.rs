//! What a worker has seen, scan by scan.

use std::time::Duration;

use crate::core::fleet::share::survey::{Holding, Seen, Survey};

const F: u64 = 10_000;

fn survey() -> Survey {
    Survey::new("m", Duration::from_millis(F), Duration::from_millis(5 * F))
}

fn row<'a>(key: &'a str, owner: &'a str, counter: u64) -> Seen<'a> {
    Seen {
        key,
        owner: Some(owner),
        giver: None,
        counter,
        limit: None,
        failover: None,
        is_end: false,
    }
}

/// A scan between these milliseconds.
fn scan<'a>(survey: &mut Survey, begun: u64, ended: u64, rows: &[Seen<'a>]) {
    let [begun, ended] = [begun, ended].map(Duration::from_millis);
    survey.scanned(begun, ended, rows.iter().copied());
}

fn is_free(survey: &Survey, key: &str) -> bool {
    let row = survey.rows().iter().find(|row| *row.key == *key).unwrap();
    matches!(row.holding, Holding::Free { .. })
}

fn ids(survey: &Survey) -> Vec<&str> {
    survey.live().map(|slot| &*survey.workers()[slot].id).collect()
}

#[test]
fn a_row_stands_still_from_the_end_of_its_first_sight_to_the_begin_of_the_last() {
    let mut survey = survey();
    let rows = [row("1", "a", 7)];
    scan(&mut survey, 0, 3_000, &rows);
    assert!(!is_free(&survey, "1"));
    scan(&mut survey, 3_000 + F, 90_000, &rows);
    assert!(!is_free(&survey, "1"), "a scan that takes long adds nothing");
    scan(&mut survey, 3_001 + F, 90_000, &rows);
    assert!(is_free(&survey, "1"));
}

#[test]
fn a_counter_that_comes_by_again_in_a_new_row_has_not_stood_still() {
    let asked = |by| Seen { giver: Some("a"), ..row("1", by, 7) };
    // A request, and its end, change no counter, and make nobody live.
    for (first, later, is_still) in [
        (row("1", "a", 7), row("1", "b", 7), false),
        (asked("b"), row("1", "b", 7), false),
        (row("1", "a", 7), asked("b"), true),
        (asked("b"), row("1", "a", 7), true),
        (asked("b"), asked("c"), true),
    ] {
        let mut survey = survey();
        scan(&mut survey, 0, 0, &[first]);
        scan(&mut survey, F + 1, F + 1, &[later]);
        assert_eq!(is_free(&survey, "1"), is_still, "{first:?} {later:?}");
        scan(&mut survey, 2 * F + 2, 2 * F + 2, &[later]);
        assert!(is_free(&survey, "1"));
    }
}

#[test]
fn a_holder_with_a_longer_failover_time_keeps_its_row_for_that_time() {
    for (own, wait) in [(None, F), (Some(F / 2), F), (Some(F), F), (Some(3 * F), 3 * F)] {
        let failover = own.map(Duration::from_millis);
        let (mut survey, rows) = (survey(), [Seen { failover, ..row("1", "a", 7) }]);
        let holding = |survey: &Survey| survey.rows()[0].holding;
        scan(&mut survey, 0, 0, &rows);
        scan(&mut survey, wait, wait, &rows);
        assert!(matches!(holding(&survey), Holding::Held(_)), "{own:?}");
        scan(&mut survey, wait + 1, wait + 1, &rows);
        assert_eq!(holding(&survey), Holding::Free { is_left: false }, "{own:?}");
        scan(&mut survey, 6 * wait, 6 * wait, &rows);
        assert_eq!(holding(&survey), Holding::Free { is_left: false }, "{own:?}");
        scan(&mut survey, 6 * wait + 1, 6 * wait + 1, &rows);
        assert_eq!(holding(&survey), Holding::Free { is_left: true }, "{own:?}");
    }
}

#[test]
fn the_first_row_of_another_worker_that_stands_still_says_when_a_scan_is_worth_most() {
    let mut survey = survey();
    let expiry = |survey: &Survey, begun| survey.expiry(Duration::from_millis(begun));
    let after = |since: u64| Some(Duration::from_millis(since + F + F / 100));
    let (mine, ended) = (row("0", "m", 1), Seen { is_end: true, ..row("4", "a", 1) });
    let rows = |one, two| [mine, row("1", "a", one), row("2", "b", two), row("3", "b", two), ended];
    scan(&mut survey, 0, 1_000, &rows(1, 1));
    assert_eq!(expiry(&survey, 0), None, "one sight shows nothing");
    scan(&mut survey, 6_000, 6_500, &rows(2, 1));
    assert_eq!(expiry(&survey, 6_000), None, "a beat may be late");
    scan(&mut survey, 6_600, 7_000, &rows(2, 1));
    assert_eq!(expiry(&survey, 6_600), after(1_000));
    scan(&mut survey, 11_000, 11_500, &rows(3, 1));
    assert_eq!(expiry(&survey, 11_000), after(1_000));
    scan(&mut survey, 11_600, 12_000, &rows(3, 1));
    assert_eq!(expiry(&survey, 11_600), None, "who has expired is not waited for");
}

#[test]
fn one_sight_proves_nothing_however_long_it_takes() {
    let mut survey = survey();
    scan(&mut survey, 0, 100 * F, &[row("1", "a", 7)]);
    assert!(!is_free(&survey, "1"));
    scan(&mut survey, 200 * F, 200 * F + 1, &[row("1", "a", 8)]);
    assert!(!is_free(&survey, "1"), "its counter moved");
    scan(&mut survey, 202 * F, 202 * F + 1, &[row("1", "a", 8)]);
    assert!(is_free(&survey, "1"));
    scan(&mut survey, 203 * F, 205 * F, &[row("1", "a", 9)]);
    scan(&mut survey, 206 * F, 206 * F, &[row("1", "a", 9)]);
    assert!(!is_free(&survey, "1"), "it was perhaps read at the end of that scan");
}

#[test]
fn another_owner_without_another_counter_has_not_moved_the_row() {
    let mut survey = survey();
    scan(&mut survey, 0, 1, &[row("1", "a", 7)]);
    let asked = Seen { giver: Some("a"), ..row("1", "b", 7) };
    scan(&mut survey, 2 * F, 2 * F + 1, &[asked]);
    assert!(is_free(&survey, "1"));
    assert_eq!(ids(&survey), ["m"]);
}

#[test]
fn rows_that_vanish_are_forgotten() {
    let mut survey = survey();
    let rows = [row("1", "a", 7), row("2", "b", 7)];
    scan(&mut survey, 0, 1, &rows);
    scan(&mut survey, F, F + 1, &rows[1..]);
    assert_eq!(survey.rows().len(), 1);
    assert_eq!(ids(&survey), ["b", "m"]);
    scan(&mut survey, 2 * F, 2 * F + 1, &rows);
    assert!(!is_free(&survey, "1"), "it is new");
    assert!(is_free(&survey, "2"));
}

#[test]
fn workers_that_are_gone_leave_no_trace() {
    let mut survey = survey();
    let ids: Vec<_> = (0..1_000).map(|at| format!("w{at}")).collect();
    for (at, pair) in (0..).zip(ids.windows(2)) {
        let rows = [row("1", &pair[0], at), row("2", &pair[1], at)];
        scan(&mut survey, at * F, at * F, &rows);
        assert_eq!(survey.live().count(), 3);
        assert_eq!(survey.newcomers(), if at == 0 { 3 } else { 1 });
    }
    assert!(survey.workers().len() <= 4, "{}", survey.workers().len());
}

#[test]
fn the_order_of_a_scan_changes_nothing() {
    let mut rng = fastrand::Rng::with_seed(1);
    let keys: Vec<_> = (0..100).map(|at| format!("{at}")).collect();
    let (mut ordered, mut shuffled) = (survey(), survey());
    for at in 0..50 {
        // Some rows are missing now and then, and some of their counters move.
        let shown = keys.iter().filter(|_| rng.u8(..) > 10).collect::<Vec<_>>();
        let mut rows: Vec<_> = shown.iter().map(|key| row(key, "a", rng.u64(..at + 1))).collect();
        scan(&mut ordered, at * F, at * F + 1, &rows);
        rng.shuffle(&mut rows);
        scan(&mut shuffled, at * F, at * F + 1, &rows);
        for row in shuffled.rows() {
            let same = ordered.rows().iter().find(|it| it.key == row.key).unwrap();
            assert_eq!(format!("{same:?}"), format!("{row:?}"));
        }
        assert_eq!(shuffled.rows().len(), ordered.rows().len());
    }
}

#[test]
fn a_request_grows_old_until_somebody_else_asks() {
    let mut survey = survey();
    let request = |to, counter| Seen { giver: Some("a"), ..row("1", to, counter) };
    let mut holding = |at: u64, seen| {
        scan(&mut survey, at * F, at * F, &[seen]);
        survey.rows()[0].holding
    };
    assert!(matches!(holding(0, request("b", 0)), Holding::Coming(_)));
    assert!(matches!(holding(5, request("b", 1)), Holding::Coming(_)));
    assert!(matches!(holding(6, request("b", 2)), Holding::Kept(_)));
    assert!(matches!(holding(7, request("c", 3)), Holding::Coming(_)));
    assert!(matches!(holding(12, request("c", 4)), Holding::Coming(_)));
    assert!(matches!(holding(13, request("c", 5)), Holding::Kept(_)));
    assert!(matches!(holding(14, row("1", "c", 6)), Holding::Held(_)));
    assert!(matches!(holding(15, request("c", 7)), Holding::Coming(_)));
}
