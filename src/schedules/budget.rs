//! A budget that several want at the same time.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::try_all;
use super::world::{a_while, current, with_thread};
use crate::budget::Budget;
use crate::sync::{self, Mutex, point, thread};

#[test]
fn whoever_waits_for_room_gets_it_in_turn_or_is_stopped() {
    try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        let (other_stop, other_stopped) = bounded(0);
        let held = Mutex::new(0);
        let wants = |stopped, bytes: usize| {
            for _ in 0..3 {
                let Some(reservation) = budget.reserve(bytes, stopped) else { return };
                *held.lock() += bytes;
                assert!(*held.lock() <= Budget::MIN, "more is held than there is");
                point();
                *held.lock() -= bytes;
                drop(reservation);
            }
        };
        let (wants, stopped, other_stopped) = (&wants, &stopped, &other_stopped);
        let stops = move || {
            a_while();
            drop(other_stop);
        };
        with_thread(stops, || {
            thread::scope(|scope| {
                for (name, part) in [("all", 1), ("half", 2), ("a quarter", 4)] {
                    let thread = thread::Builder::new().name(name.to_owned());
                    let wants = move || wants(stopped, Budget::MIN / part);
                    thread.spawn_scoped(scope, wants).unwrap();
                }
                // This one may give up in the middle of the queue.
                wants(other_stopped, Budget::MIN);
            });
        });
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn whoever_gives_up_lets_the_next_one_have_the_room() {
    try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        let (other_stop, other_stopped) = bounded(0);
        let half = budget.reserve(Budget::MIN / 2, &stopped).unwrap();
        let wants_all = || assert!(budget.reserve(Budget::MIN, &other_stopped).is_none());
        let stops = move || {
            a_while();
            drop(other_stop);
        };
        with_thread(wants_all, || {
            with_thread(stops, || {
                a_while();
                drop(budget.reserve(Budget::MIN / 4, &stopped).expect("nothing stops this one"));
            });
        });
        drop(half);
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn room_that_comes_back_goes_to_all_for_whom_it_is_enough() {
    try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        let held = budget.reserve(Budget::MIN, &stopped).unwrap();
        let (one, two) = (bounded(1), bounded(1));
        // Each keeps its half until the other one has the other half.
        let wants = |own: &Sender<()>, other: &Receiver<()>| {
            let half = budget.reserve(Budget::MIN / 2, &stopped).unwrap();
            own.send(()).unwrap();
            sync::recv(other).unwrap();
            drop(half);
        };
        let gives = move || {
            a_while();
            drop(held);
        };
        with_thread(|| wants(&one.0, &two.1), || with_thread(|| wants(&two.0, &one.1), gives));
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn who_needs_little_does_not_overtake_one_who_waits_for_much() {
    try_all(|| {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        let half = budget.reserve(Budget::MIN / 2, &stopped).unwrap();
        let wants_all = || drop(budget.reserve(Budget::MIN, &stopped).unwrap());
        let wants_little = || {
            // It waits by then.
            current().sleep_for(Duration::from_secs(1));
            assert!(budget.try_reserve(1).is_none());
            drop(half);
        };
        with_thread(wants_all, wants_little);
        assert_eq!(budget.used(), 0);
    });
}
