//! What a schedule that failed says.

use std::fmt::Write;

use super::state::{State, Status, Step};

/// Why, each thread with what it waits for, and the last steps.
pub(super) fn report(why: &str, state: &State) -> String {
    let mut text = format!("{why}\n\nafter {:?}:\n", state.now);
    for (number, task) in state.tasks.iter().enumerate() {
        let how = match &task.status {
            Status::Ready if number == state.turn => "has the turn",
            Status::Ready => "may continue",
            Status::Waiting { .. } | Status::Join(_) | Status::Scope(_) => "waits",
            Status::Locked { .. } => "finds a lock held",
            Status::Over => "is over",
        };
        let at = task.last.as_ref().map(place).unwrap_or_default();
        let _ = writeln!(text, "  {}: {how}{at}", task.name); // a String takes all
    }
    text += "the last steps:\n";
    for step in &state.trace {
        let name = &state.tasks[step.task].name;
        let _ = writeln!(text, "  {:?} {name}{}", step.now, place(step)); // as above
    }
    text
}

fn place(step: &Step) -> String {
    format!(", {} at {}:{}", step.what, step.place.file(), step.place.line())
}
