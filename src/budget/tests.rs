//! Tests of the budget across threads.

use std::thread;
use std::time::{Duration, SystemTime};

use super::*;
use crate::record::builder::RecordsBuilder;

const SOON: Duration = Duration::from_millis(20);
const SURELY: Duration = Duration::from_secs(10);

fn never() -> Receiver<Infallible> {
    crossbeam_channel::never()
}

/// Reserves on a thread: the reservation comes out of the channel.
fn reserving(budget: &Budget, bytes: usize) -> Receiver<Option<Reservation>> {
    let (sender, receiver) = bounded(1);
    let budget = budget.clone();
    thread::spawn(move || sender.send(budget.reserve(bytes, &never())));
    receiver
}

#[test]
fn who_waits_gets_it_when_others_are_done() {
    let budget = Budget::new(100);
    let held = budget.reserve(80, &never()).unwrap();
    let waiting = reserving(&budget, 50);
    assert!(waiting.recv_timeout(SOON).is_err());
    drop(held);
    let got = waiting.recv_timeout(SURELY).unwrap().unwrap();
    assert_eq!((got.bytes(), budget.used()), (50, 50));
    drop(got);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_stop_wakes_who_waits_and_lets_the_next_one_pass() {
    let budget = Budget::new(100);
    let held = budget.reserve(50, &never()).unwrap();
    let (stop, reading_stopped) = bounded(0);
    let (told, ended) = bounded(1);
    let waiting = budget.clone();
    thread::spawn(move || told.send(waiting.reserve(90, &reading_stopped).is_none()));
    while !budget.0.lock().queue.is_wanted() {
        thread::yield_now();
    }
    let next = reserving(&budget, 40);
    assert!(next.recv_timeout(SOON).is_err(), "the first one's turn");
    drop(stop);
    assert!(ended.recv_timeout(SURELY).unwrap());
    assert_eq!(next.recv_timeout(SURELY).unwrap().unwrap().bytes(), 40);
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_part_is_enlarged_only_where_there_is_room() {
    let budget = Budget::new(100);
    let mut one = budget.reserve(40, &never()).unwrap();
    let other = budget.reserve(40, &never()).unwrap();
    assert!(one.try_enlarge(60) && !one.try_enlarge(61) && one.try_enlarge(10));
    assert_eq!((one.bytes(), budget.used()), (60, 100));
    drop(other);
    drop(one.split(30));
    assert_eq!((one.bytes(), budget.used()), (30, 30));
    assert!(one.try_resize(70) && !one.try_resize(101) && one.try_resize(50));
    assert_eq!(budget.used(), 50);
    one.resize(20);
    assert_eq!(budget.used(), 20);
    one.resize(120);
    assert_eq!(budget.used(), 120, "what is in use is in use");
    drop(one);
    assert_eq!(budget.used(), 0);
}

/// Many threads take, enlarge and give back: the limit always holds, and all threads end.
#[test]
fn the_limit_holds_with_many_threads() {
    let budget = Budget::new(10_000);
    thread::scope(|scope| {
        for seed in 0..8 {
            let budget = &budget;
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..2_000 {
                    let mut part = budget.reserve(rng.usize(..6_000), &never()).unwrap();
                    part.try_enlarge(rng.usize(..12_000));
                    part.try_resize(rng.usize(..12_000));
                    assert!(budget.used() <= 10_000);
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
}

/// For any part of the budget in use: no more memory is kept than there is room for.
#[test]
fn buffers_are_kept_in_the_place_of_what_is_reserved_and_not_in_use() {
    let budget = Budget::new(100_000);
    budget.open();
    let mut part = budget.reserve(100_000, &never()).unwrap();
    for _ in 0..2 {
        budget.keep_arena(Vec::with_capacity(60_000));
    }
    part.fill(40_000);
    assert!(budget.take_arena(60_000).is_some_and(|arena| arena.capacity() == 60_000));
    assert!(budget.take_arena(60_000).is_none(), "for two there was no room any more");
    budget.keep_arena(Vec::with_capacity(60_000));
    part.resize(70_000);
    assert!(budget.take_arena(60_000).is_none());
    drop(part);
    budget.keep_arena(Vec::with_capacity(100_000));
    assert!(budget.take_arena(100_000).is_some());
}

#[test]
fn the_memory_of_records_is_kept_for_the_next_ones_also_where_all_of_the_budget_is_in_use() {
    let budget = Budget::new(100_000);
    budget.open();
    let mut builder = RecordsBuilder::with_budget(Some(&budget));
    builder.reserve(1, 10, 90_000);
    builder.push(&"1".parse().unwrap(), "key", SystemTime::now(), &[7; 90_000]);
    let mut records = builder.build();
    let taken = records.memory();
    records.hold(budget.reserve(100_000, &never()).unwrap());
    let mut others = budget.reserve(100_000 - taken, &never()).unwrap();
    others.fill(100_000 - taken);
    drop(records);
    assert!(budget.take_arena(90_000).is_some());
}

#[test]
fn each_kind_of_buffer_is_kept_as_long_as_a_reader_is_left() {
    let budget = Budget::new(100_000);
    budget.open();
    budget.open();
    budget.close();
    budget.keep_text(vec![7; 10_000]);
    budget.keep_arena(Vec::with_capacity(20_000));
    budget.keep_index(Box::new([7_u32; 3]), 30_000);
    assert_eq!(budget.take_text(10_000).unwrap(), [7; 10_000]);
    assert_eq!(budget.take_arena(20_000).unwrap().capacity(), 20_000);
    assert_eq!(*budget.take_index(30_000).unwrap().downcast::<[u32; 3]>().unwrap(), [7; 3]);
    budget.keep_text(vec![7; 10_000]);
    budget.close();
    assert!(budget.take_text(10_000).is_none());
}

#[test]
fn a_budget_says_how_large_it_is_and_how_much_is_in_use() {
    let budget = Budget::new(100);
    let part = budget.try_reserve(40).unwrap();
    assert_eq!((budget.limit(), budget.used()), (100, 40));
    assert_eq!(format!("{budget:?}"), "Budget { limit: 100, used: 40 }");
    assert_eq!(format!("{part:?}"), "Reservation { bytes: 40, .. }");
    assert_eq!((Budget::MIN >> 20, Budget::DEFAULT >> 20), (32, 64), "MiB");
}
