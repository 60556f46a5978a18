//! How soon something is done, on a machine that may be busy with something else.

use std::time::Duration;

const ATTEMPTS: usize = 10;

/// Tries again until an attempt, which says how long it took, was no slower than this.
///
/// A busy machine is slow now and then. Code that waits for the wrong event is slow each time.
#[track_caller]
pub(crate) fn promptly(limit: Duration, what: &str, mut attempt: impl FnMut() -> Duration) {
    let mut taken = Vec::new();
    while taken.len() < ATTEMPTS {
        let time = attempt();
        if time <= limit {
            return;
        }
        taken.push(time);
    }
    panic!("{what}: {limit:?} at most, but it took {taken:?}");
}
