//! In the middle of what a stop finds the threads.

use std::panic::Location;

use super::state::{State, Status, Task};

/// What a thread is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Midst {
    /// A thread of the consumer has called the client.
    Call,
    /// A batch waits for its slot, or for a place in the channel.
    Send,
    /// A position is being written, or the coordinator is told of a commit.
    Commit,
    /// A thread of the consumer waits for a message or a time.
    Wait,
}

impl Midst {
    /// Whether a thread that continues here closes the channel of a stop next.
    pub(super) fn is_stop(what: &str, place: &Location<'_>) -> bool {
        what == "a point" && place.file().ends_with("control/shutdown.rs")
    }

    /// By the place where the thread gave the turn away. What no place tells, as the locks of a tracker, is none of these.
    fn of(task: &Task) -> Option<Self> {
        let step = task.last.as_ref().filter(|_| !matches!(task.status, Status::Over))?;
        let (what, file) = (step.what, step.place.file());
        let is_consumers = task.name.starts_with("kc-");
        let is_waiting = is_consumers && matches!(task.status, Status::Waiting { .. });
        match what {
            "a select that sends" => Some(Self::Send),
            "a call" => Some(Self::Call),
            "a write" => Some(Self::Commit),
            "a lock to write" if file.contains("src/store/") => Some(Self::Commit),
            "a send" | "a point" if file.ends_with("delivery/commits.rs") => Some(Self::Commit),
            _ if is_consumers && file.contains("src/client/") => Some(Self::Call),
            "a send" => None,
            _ => is_waiting.then_some(Self::Wait),
        }
    }
}

impl State {
    /// Of several stops the first one counts.
    pub(super) fn sees_stop(&mut self, stopper: usize) {
        if self.ran.stop.is_none() {
            let others = self.tasks.iter().enumerate().filter(|(it, _)| *it != stopper);
            self.ran.stop = Some(others.filter_map(|(_, task)| Midst::of(task)).collect());
        }
    }
}
