//! What a consumer logs in a scenario.

use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::world::current;
use crate::sync::{self, controlled::schedule};

/// Gives each line to the schedule of its thread; what other threads log is not kept.
struct Logs;

impl Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        let member = schedule::current().filter(|_| self.enabled(record.metadata()));
        // A logger takes its time; but a schedule that keeps no lines must not depend on whether another one does.
        if member.is_some_and(|member| member.logs(record.args())) {
            sync::point();
        }
    }

    fn flush(&self) {}
}

/// Keeps the lines of this scenario from now on.
pub(super) fn keep() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        log::set_logger(&Logs).expect("no other test of the library sets one");
        log::set_max_level(LevelFilter::Info);
    });
    current().keeps_lines();
}

/// The lines that hold one of these texts, each as that text.
pub(super) fn told(texts: &[&'static str]) -> Vec<&'static str> {
    let text_of = |line: &String| texts.iter().copied().find(|text| line.contains(text));
    current().lines().iter().filter_map(text_of).collect()
}
