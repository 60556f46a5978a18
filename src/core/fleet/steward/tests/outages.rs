//! What is told of a table that does not answer.

use std::time::Duration;

use super::desk::{Desk, F, id, transient};
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::commit::Commit;
use crate::core::fleet::steward::words::{Call, News};
use crate::core::shard::step::Write;
use crate::model::position::Position;

/// The words that are told of outages and fences, and the times of outages.
fn told(desk: &mut Desk) -> Vec<(&'static str, Option<Duration>)> {
    let word = |news| match news {
        News::Outage { lasted, why } => {
            assert_eq!(why, "a failure");
            Some(("outage", Some(lasted)))
        }
        News::Answers { lasted } => Some(("answers", Some(lasted))),
        News::Fenced { .. } => Some(("fenced", None)),
        News::Unfenced { .. } => Some(("unfenced", None)),
        _ => None,
    };
    desk.said().into_iter().filter_map(word).collect()
}

/// No call is answered for this time.
fn fail(desk: &mut Desk, seconds: u32) {
    for _ in 0..seconds * 10 {
        desk.pass(0.1);
        while let Some(call) = desk.next() {
            desk.fails(call, transient());
        }
    }
}

#[test]
fn an_outage_is_told_before_the_fences_and_its_end_before_theirs() {
    let (mut desk, _) = Desk::reading(2);
    desk.said();
    fail(&mut desk, 20);
    let news = told(&mut desk);
    let words: Vec<_> = news.iter().map(|(word, _)| *word).collect();
    assert_eq!(words, ["outage", "fenced", "fenced"]);
    let first = news[0].1.unwrap();
    assert!(first > F / 3 && first < F / 2, "{first:?}");
    desk.live(5);
    let news = told(&mut desk);
    let words: Vec<_> = news.iter().map(|(word, _)| *word).collect();
    assert_eq!(words, ["answers", "unfenced", "unfenced"]);
    let lasted = news[0].1.unwrap();
    assert!(lasted > F * 3 / 2 && lasted < F * 5 / 2, "{lasted:?}");
}

#[test]
fn a_short_failure_is_no_outage() {
    let (mut desk, _) = Desk::reading(2);
    desk.said();
    for _ in 0..10 {
        fail(&mut desk, 3);
        desk.live(4);
    }
    assert_eq!(told(&mut desk), []);
}

#[test]
fn commits_tell_of_an_outage_too() {
    let (mut desk, _) = Desk::reading(1);
    let after = |number: &str| Position::after(number.parse().unwrap());
    desk.commit(&id(0), &after("1")).unwrap();
    desk.said();
    let mut commit = Commit::new(&id(0), desk.epoch(&id(0)), &after("2"), Write::Forward);
    desk.steward.next_write(&mut commit).unwrap().unwrap();
    let sent = desk.now;
    desk.pass(3.5);
    let at = Span { sent, now: desk.now };
    desk.steward.committed(at, &mut commit, Err(transient())).unwrap_err();
    assert_eq!(told(&mut desk), [("outage", Some(Duration::from_millis(3_500)))]);
    desk.commit(&id(0), &after("2")).unwrap();
    assert_eq!(told(&mut desk), [("answers", Some(Duration::from_millis(3_500)))]);
}

#[test]
fn requests_wait_too_while_the_table_throttles() {
    let (mut desk, _) = Desk::reading(1);
    desk.steward.requests.add("another", None, desk.now.monotonic);
    desk.steward.calm = desk.now.monotonic + F;
    assert!(!desk.would(5, |call| matches!(call, Call::Get { .. })));
}
