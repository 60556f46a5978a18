//! What a steward shows of itself.

use std::time::Duration;

use super::desk::{Desk, F, id, is_beat, settings};
use super::stream::Stream;
use crate::core::event::Word;
use crate::core::fleet::lease::writes::Marks;
use crate::core::fleet::steward::Settings;
use crate::core::fleet::steward::outline::Outline;
use crate::store::leases::memory::MemoryLeases;

fn outline(desk: &Desk) -> Outline {
    desk.steward.outline(desk.now)
}

#[test]
fn nothing_is_known_before_the_first_survey() {
    let desk = Desk::new(settings("me"), &MemoryLeases::new());
    let nothing = Outline {
        worker: "me".to_owned(),
        held: 0,
        target: 0,
        workers: 0,
        unowned: 0,
        oldest_beat: None,
        surveyed: None,
    };
    assert_eq!(outline(&desk), nothing);
}

#[test]
fn who_lives_and_what_nobody_holds_is_what_the_last_survey_has_shown() {
    let limit = Some(2);
    let marks = Marks { limit, ..settings("me").marks };
    let table = MemoryLeases::new();
    let mut desk = Desk::new(Settings { marks, ..settings("me") }, &table);
    desk.list(&Stream::new(3));
    desk.live(60);
    let alone = outline(&desk);
    assert_eq!((alone.held, alone.target, alone.workers, alone.unowned), (2, 2, 1, 1));
    assert!(alone.surveyed.is_some_and(|age| age <= F * 5 / 2), "{alone:?}");

    let free = (0..3).map(id).find(|shard| desk.row(shard).owner.is_none()).unwrap();
    desk.steal(&free, "you");
    let counter = desk.row(&free).counter;
    for counter in counter + 1..counter + 41 {
        desk.edit(&free, |row| drop(row.insert("leaseCounter".to_owned(), counter.into())));
        desk.live(1);
    }
    let of_two = outline(&desk);
    assert_eq!((of_two.held, of_two.target, of_two.workers, of_two.unowned), (2, 2, 2, 0));
}

#[test]
fn the_oldest_beat_is_that_of_the_lease_that_is_fenced_first() {
    let (mut desk, _) = Desk::reading(2);
    let is_of = |call: &_, shard: u64| is_beat(call) && format!("{call:?}").contains(&id(shard));
    // The beats of one lease stay away, those of the other do not.
    let _on_its_way = desk.until(|call| is_of(call, 0));
    desk.live(4);
    let age = outline(&desk).oldest_beat.unwrap();
    assert_eq!(age, F / 10 * 9 - desk.left(&id(0)));
    desk.pass(2.0);
    assert_eq!(outline(&desk).oldest_beat, Some(age + Duration::from_secs(2)));
    assert!(desk.left(&id(1)) > desk.left(&id(0)));
}

#[test]
fn after_a_stop_none_should_be_held() {
    let (mut desk, _) = Desk::reading(2);
    assert_eq!(outline(&desk).target, 2);
    desk.hears(Word::Stopping);
    let known = outline(&desk);
    assert_eq!((known.target, known.held), (0, 2), "what was read is handled first");
    desk.steward.end(desk.now);
    desk.work();
    assert_eq!((outline(&desk).held, outline(&desk).oldest_beat), (0, None));
}
