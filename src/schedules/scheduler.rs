//! The schedule itself: it finds what it is there to find, and repeats it.

use std::time::Duration;

use crossbeam_channel::{bounded, never};

use super::world::a_while;
use crate::sync::controlled::schedule::{run, run_within};
use crate::sync::{Mutex, at, now, point, select_biased, thread};

/// What the first schedule that fails says, of those with the seeds below `seeds`.
fn first_failure(seeds: u64, scenario: fn()) -> (u64, String) {
    let failures = (0..seeds).filter_map(|seed| Some((seed, run(seed, scenario).err()?)));
    failures.into_iter().next().expect("no schedule failed")
}

fn spawn(name: &str, act: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(act).unwrap()
}

#[test]
fn two_locks_in_different_orders_are_found() {
    let (_, report) = first_failure(1_000, || {
        let locks = std::sync::Arc::new((Mutex::new(()), Mutex::new(())));
        let other = std::sync::Arc::clone(&locks);
        let thread = spawn("other", move || {
            let _second = other.1.lock();
            let _first = other.0.lock();
        });
        let first = locks.0.lock();
        let second = locks.1.lock();
        drop((first, second));
        thread.join().unwrap();
    });
    assert!(report.starts_with("all wait for each other"), "{report}");
    assert!(report.contains("other: finds a lock held"), "{report}");
}

#[test]
fn a_lost_wake_up_is_found() {
    let (seed, report) = first_failure(1_000, lost_wake_up);
    assert!(report.starts_with("all wait for each other"), "{report}");
    assert_eq!(run(seed, lost_wake_up), Err(report), "the same seed fails in the same way");
}

/// Looks, and then waits for what may have come in between: a message to nobody who waits yet is dropped.
fn lost_wake_up() {
    let waiting = std::sync::Arc::new(Mutex::new(None));
    let waker = std::sync::Arc::clone(&waiting);
    let thread = spawn("waker", move || {
        if let Some(wake) = waker.lock().take() {
            drop::<crossbeam_channel::Sender<()>>(wake);
        }
    });
    point();
    let (wake, woken) = bounded(0);
    *waiting.lock() = Some(wake);
    let _ = crate::sync::recv(&woken);
    thread.join().unwrap();
}

#[test]
fn a_select_that_forgets_an_arm_is_found() {
    let (_, report) = first_failure(100, || {
        let (stop, stopped) = bounded::<std::convert::Infallible>(0);
        let (work, works) = bounded::<()>(0);
        let thread = spawn("worker", move || {
            let _forgotten = stopped;
            select_biased! {
                recv(works) -> _ => {}
                recv(never::<()>()) -> _ => {}
            }
        });
        drop(stop);
        thread.join().unwrap();
        drop(work);
    });
    assert!(report.contains("worker: waits, a select"), "{report}");
}

#[test]
fn a_thread_that_waits_outside_of_the_schedule_is_found() {
    let outside = || {
        let (_sender, message) = bounded::<()>(0);
        let _ = message.recv();
    };
    let report = run_within(Duration::from_millis(50), 0, outside).unwrap_err();
    assert!(report.starts_with("something waits outside of the schedule"), "{report}");
}

#[test]
fn a_thread_that_outlives_the_scenario_is_found() {
    let (_, report) = first_failure(100, || {
        drop(spawn("left behind", a_while));
    });
    assert!(report.starts_with("these threads outlive the run: left behind"), "{report}");
}

#[test]
fn a_scope_waits_for_threads_that_come_while_it_ends() {
    let scenario = || {
        let late = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            let late = &late;
            let first = thread::Builder::new().name("first".to_owned());
            let starts = move || {
                a_while();
                let second = thread::Builder::new().name("second".to_owned());
                let ends = move || {
                    a_while();
                    late.store(true, std::sync::atomic::Ordering::Relaxed);
                };
                second.spawn_scoped(scope, ends).unwrap();
            };
            first.spawn_scoped(scope, starts).unwrap();
        });
        assert!(late.into_inner());
    };
    assert!((0..200).all(|seed| run(seed, scenario).is_ok()));
}

#[test]
fn a_timer_that_is_due_fires_at_once() {
    let scenario = || {
        let (sender, message) = bounded::<()>(1);
        sender.send(()).unwrap();
        let due = at(now());
        let is_late = select_biased! {
            recv(due) -> _ => true,
            recv(message) -> _ => false,
        };
        assert!(is_late, "the first arm that can continue counts");
    };
    assert!((0..20).all(|seed| run(seed, scenario).is_ok()));
}

#[test]
fn time_is_virtual_and_a_schedule_repeats_itself() {
    let scenario = || {
        let began = now();
        let threads: Vec<_> = ["a", "b"].map(|name| spawn(name, a_while)).into();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(began <= now());
    };
    let ran: Vec<_> = (0..50).map(|seed| run(seed, scenario).unwrap()).collect();
    let again: Vec<_> = (0..50).map(|seed| run(seed, scenario).unwrap()).collect();
    assert_eq!(ran, again);
}
