//! A budget that several want at the same time.

use crossbeam_channel::bounded;

use super::try_all;
use crate::budget::Budget;
use crate::sync::{point, thread};

#[test]
fn three_that_each_want_all_of_it_get_it_in_turn() {
    try_all("budget::three", || {
        let budget = Budget::new(Budget::MIN);
        let (_stop, stopped) = bounded(0);
        thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let (budget, stopped) = (&budget, &stopped);
                let thread = thread::Builder::new().name(name.to_owned());
                let wants = move || {
                    for _ in 0..3 {
                        let reservation =
                            budget.reserve(Budget::MIN, stopped).expect("nothing stops");
                        point();
                        drop(reservation);
                    }
                };
                thread.spawn_scoped(scope, wants).unwrap();
            }
        });
        assert_eq!(budget.used(), 0);
    });
}
