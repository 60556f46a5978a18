//! What the schedules of a scenario took, and what happened in them.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::sync::controlled::schedule::{Midst, Ran};

/// Among this many schedules of a scenario each of its outcomes must occur.
const ENOUGH: usize = 200;

/// All schedules of a scenario.
#[derive(Default)]
pub(super) struct Tally(Vec<Ran>);

impl Tally {
    pub(super) fn add(&mut self, ran: Ran) {
        self.0.push(ran);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Each of these was noted by some schedule: what does not occur is not tested.
    ///
    /// # Panics
    /// If one was not, unless the schedules were too few to say so.
    pub(super) fn each_occurs(&self, notes: &[&'static str]) {
        let counts = count(self.0.iter().flat_map(|ran| ran.notes.iter().copied()));
        println!("  {}", listed(&counts));
        let missing = notes.iter().find(|note| !counts.contains_key(**note));
        assert!(missing.is_none() || self.0.len() < ENOUGH, "no schedule: {missing:?}");
    }

    /// Median steps and threads, doors, and the share of the first stops that fall into the middle of something.
    pub(super) fn summary(&mut self) -> String {
        self.0.sort_by_key(|ran| ran.steps);
        let median = &self.0[self.0.len() / 2];
        let mut text =
            format!("{} steps and {} threads in the middle", median.steps, median.threads);
        let doors = count(self.0.iter().filter_map(|ran| Some(door(ran.doors.first()?))));
        if !doors.is_empty() {
            let _ = write!(text, "; {}", listed(&doors)); // a String takes all
        }
        let stops: Vec<_> = self.0.iter().filter_map(|ran| ran.stop.as_ref()).collect();
        if !stops.is_empty() {
            let share = |midst| {
                let those = stops.iter().filter(|found| found.contains(&midst)).count();
                those * 100 / stops.len()
            };
            let [call, send, commit, wait] =
                [Midst::Call, Midst::Send, Midst::Commit, Midst::Wait].map(share);
            let _ = write!(
                text,
                "; of {} stops {call} % in a call, {send} % in a send, {commit} % in a commit, {wait} % in a wait",
                stops.len()
            ); // as above
        }
        text
    }
}

/// The method of `Stream` that was called, by the door and the thread behind it.
fn door((door, thread): &(String, String)) -> &'static str {
    match (door.as_str(), thread.as_str()) {
        ("Handler", "kc-dispatch") => "spawn",
        ("Handler", _) => "listen",
        ("Handlers", "kc-coordinator") => "spawn_workers",
        ("Handlers", _) => "listen_workers",
        ("Receiver", _) => "receiver",
        ("Receivers", _) => "receivers",
        _ => "another door",
    }
}

fn count<'a>(all: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    all.for_each(|it| *counts.entry(it).or_default() += 1);
    counts
}

fn listed(counts: &BTreeMap<&str, u64>) -> String {
    counts.iter().map(|(it, count)| format!("{it} {count}")).collect::<Vec<_>>().join(", ")
}
