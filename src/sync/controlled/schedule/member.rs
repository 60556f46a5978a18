//! A thread that belongs to a schedule, and how it gives the turn away.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, bounded};

use super::midst::Midst;
use super::state::{Refusal, State, Status, Task, Timer};
use super::{Ready, Schedule};

thread_local! {
    static CURRENT: RefCell<Option<Member>> = const { RefCell::new(None) };
}

/// The calling thread, if it belongs to a schedule.
pub(crate) fn current() -> Option<Member> {
    // At the very end of a thread, when its locals are gone, it belongs to none.
    CURRENT.try_with(|member| member.borrow().clone()).ok().flatten()
}

#[derive(Clone)]
pub(crate) struct Member {
    schedule: Arc<Schedule>,
    number: usize,
    turn: Arc<AtomicBool>,
}

/// Held by a thread while it runs; gives the turn away for good when it is dropped.
pub(crate) struct Running(Option<Member>);

impl Member {
    /// The scenario, which has the first turn.
    pub(super) fn first(schedule: &Arc<Schedule>) -> Self {
        let turn = Arc::new(AtomicBool::new(true));
        let member = Self { schedule: Arc::clone(schedule), number: 0, turn: Arc::clone(&turn) };
        let mut state = member.state();
        let rank = state.choice.rank();
        state.tasks.push(Task::new("the scenario".into(), None, turn, rank));
        drop(state);
        member
    }

    /// A thread that this one starts.
    pub(crate) fn child(&self, name: String, scope: Option<usize>) -> Self {
        let turn = Arc::new(AtomicBool::new(false));
        let mut state = self.state();
        let (number, rank) = (state.tasks.len(), state.choice.rank());
        state.tasks.push(Task::new(name, scope, Arc::clone(&turn), rank));
        Self { schedule: Arc::clone(&self.schedule), number, turn }
    }

    /// The calling thread is this one from now on, and waits for its first turn.
    pub(crate) fn begin(self) -> Running {
        self.state().tasks[self.number].thread = Some(thread::current());
        self.sleep();
        // Not what the choice draws, nor any other thread: the same numbers would go together.
        let own = (self.number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fastrand::seed(fastrand::Rng::with_seed(self.schedule.seed ^ own).u64(..));
        CURRENT.with(|current| *current.borrow_mut() = Some(self.clone()));
        Running(Some(self))
    }

    /// Another thread may have the turn.
    #[track_caller]
    pub(crate) fn point(&self, what: &'static str) {
        self.switch(what, Status::Ready);
    }

    /// Waits until one of the conditions holds, or until a time.
    #[track_caller]
    pub(crate) fn wait(&self, what: &'static str, ready: Vec<Ready>, until: Option<Instant>) {
        let until = until.map(|until| until.saturating_duration_since(self.schedule.instant));
        self.switch(what, Status::Waiting { ready, until });
    }

    /// Found a lock held: waits until somebody has moved.
    #[track_caller]
    pub(crate) fn locked(&self, what: &'static str) {
        let moves = self.state().moves;
        self.switch(what, Status::Locked { moves });
    }

    #[track_caller]
    pub(crate) fn sleep_for(&self, time: Duration) {
        self.takes("a time", time);
    }

    /// `"a call"` of the client, or `"a write"` of the store, takes this time.
    #[track_caller]
    pub(crate) fn takes(&self, what: &'static str, time: Duration) {
        self.wait(what, Vec::new(), Some(self.instant() + time));
    }

    /// The calling thread waits until this one is over.
    #[track_caller]
    pub(crate) fn joined(&self) {
        let own = current().expect("only threads of a schedule join its threads");
        own.switch("a join", Status::Join(self.number));
    }

    /// Waits until all threads of a scope are over.
    #[track_caller]
    pub(crate) fn all_over(&self, scope: usize) {
        self.switch("the end of a scope", Status::Scope(scope));
    }

    /// Of the threads that are requested from now on, and whose names begin so, those with these numbers, from 0, are
    /// refused.
    pub(crate) fn refuse_threads(&self, names: &'static str, which: Range<usize>) {
        self.state().refusal = Refusal { names, which, requested: 0 };
    }

    /// How many were refused.
    pub(crate) fn refused_threads(&self) -> usize {
        let Refusal { which, requested, .. } = &self.state().refusal;
        requested.min(&which.end).saturating_sub(which.start)
    }

    /// Whether the thread that is requested now is refused.
    pub(crate) fn is_refused_a_thread(&self, name: &str) -> bool {
        self.state().refuses(name)
    }

    /// The system has no thread for it.
    pub(crate) fn never_begins(&self) {
        self.state().tasks[self.number].status = Status::Over;
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state().tasks[self.number].status, Status::Over)
    }

    pub(crate) fn instant(&self) -> Instant {
        self.schedule.instant + self.state().now
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.schedule.wall + self.state().now
    }

    /// A channel that yields the time when it has come, once or in each period.
    pub(crate) fn timer(&self, due: Instant, period: Option<Duration>) -> Receiver<Instant> {
        let (sender, receiver) = bounded(1);
        let due = due.saturating_duration_since(self.schedule.instant);
        self.state().starts(Timer { due: Some(due), period, start: self.schedule.instant, sender });
        receiver
    }

    /// A consumer is opened by this door.
    pub(crate) fn opens(&self, door: String) {
        let own = thread::current().name().unwrap_or_default().to_owned();
        self.state().ran.doors.push((door, own));
    }

    /// This happens in the scenario: see `Ran::notes`.
    pub(crate) fn note(&self, what: &'static str) {
        self.state().ran.notes.insert(what);
    }

    /// From now on what the threads of the schedule log is kept.
    pub(crate) fn keeps_lines(&self) {
        self.state().lines = Some(Vec::new());
    }

    /// A thread logs a line. Returns whether it is kept.
    pub(crate) fn logs(&self, line: impl fmt::Display) -> bool {
        if self.state().lines.is_none() {
            return false;
        }
        // Without the state: what is written may look at the time.
        let line = line.to_string();
        self.state().lines.get_or_insert_default().push(line);
        true
    }

    /// What was logged since the lines are kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.state().lines.clone().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.schedule.state.lock().expect("no thread panics while it holds the state")
    }

    #[track_caller]
    fn switch(&self, what: &'static str, status: Status) {
        let place = Location::caller();
        let mut state = self.state();
        state.records(self.number, what, place, status);
        self.give_away(state);
        self.sleep();
        let mut state = self.state();
        if Midst::is_stop(what, place) {
            state.sees_stop(self.number);
        }
        let waited = std::mem::replace(&mut state.tasks[self.number].status, Status::Ready);
        drop(state);
        drop(waited); // it owns ends of channels: without the state
    }

    /// The next one continues, perhaps this one itself.
    fn give_away(&self, mut state: MutexGuard<'_, State>) {
        match state.choose(self.number) {
            Ok(next) => {
                // With the state: a thread that begins just now finds its turn, or can be woken.
                state.tasks[next].turn.store(true, Ordering::Release);
                let thread = state.tasks[next].thread.clone();
                drop(state);
                thread.iter().for_each(Thread::unpark);
            }
            Err(why) => {
                let report = super::report::report(&why, &state);
                drop(state);
                self.fail(report);
            }
        }
    }

    /// Tells the test, once. No thread has the turn from now on.
    fn fail(&self, report: String) {
        // Full: another failure came first.
        let _ = self.schedule.ended.try_send(Err(report));
    }

    fn sleep(&self) {
        while !self.turn.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

impl Running {
    /// The scenario has returned, or panicked: every other thread must be over.
    pub(super) fn conclude(mut self, panic: Option<String>) {
        // Nobody is there to whom the turn could go.
        let Some(member) = self.0.take() else { return };
        let state = member.state();
        let left: Vec<_> = state.outliving(member.number);
        let why = panic.or_else(|| {
            (!left.is_empty())
                .then(|| format!("these threads outlive the run: {}", left.join(", ")))
        });
        let result = match why {
            Some(why) => Err(super::report::report(&why, &state)),
            None => Ok(state.ran()),
        };
        drop(state);
        // Full: it has failed before.
        let _ = member.schedule.ended.try_send(result);
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(member) = self.0.take() else { return };
        CURRENT.with(|current| current.borrow_mut().take());
        let mut state = member.state();
        state.records(member.number, "its end", Location::caller(), Status::Over);
        member.give_away(state);
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.number).finish()
    }
}
