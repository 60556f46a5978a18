//! One process of the fleet, as the test sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::member::{DIE, Orders};
use super::notes::{self, Handled, Note, Reader};

/// How a process was made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Killed,
    Told,
}

/// How a lease was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    Released,
    Lost,
}

/// A lease, as long as the process has it.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) shard: String,
    pub(crate) gained: Duration,
    pub(crate) closed: Option<(Duration, Close)>,
    /// Whether it could not be kept up for a while.
    pub(crate) was_fenced: bool,
}

/// A process; dropping it kills it.
pub(crate) struct Life {
    pub(crate) worker: String,
    child: Child,
    notes: Reader,
    errors: PathBuf,
    pub(crate) is_ready: bool,
    /// How it was made to end, and when.
    pub(crate) end: Option<(Duration, End)>,
    pub(crate) is_over: bool,
    /// Whether its last positions are not in the table, which failed at its end.
    pub(crate) is_unstored: bool,
    /// From when to when it stood still.
    pub(crate) stops: Vec<(Duration, Duration)>,
    pub(crate) tenures: Vec<Tenure>,
    /// What it handled, with the place of the tenure.
    pub(crate) handled: Vec<(usize, Handled)>,
}

impl Life {
    pub(crate) fn start(orders: &Orders, test: &str, errors: &Path) -> Self {
        Self {
            worker: orders.worker.clone(),
            child: orders.start(test, errors),
            notes: Reader::new(orders.notes.clone()),
            errors: errors.to_owned(),
            is_ready: false,
            end: None,
            is_over: false,
            is_unstored: false,
            stops: Vec::new(),
            tenures: Vec::new(),
            handled: Vec::new(),
        }
    }

    /// Whether it lives, and is not told to end.
    pub(crate) fn is_member(&self) -> bool {
        self.end.is_none()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stops.last().is_some_and(|(_, to)| *to == Duration::MAX)
    }

    pub(crate) fn kill(&mut self) {
        if !self.is_over {
            self.end(End::Killed, Signal::KILL);
        }
    }

    /// It kills itself with its next batch, which is handled and not committed then; somebody kills it if none comes.
    pub(crate) fn kill_at_work(&mut self) {
        fs::write(self.notes.path().with_extension(DIE), "").unwrap();
        self.end = Some((notes::now(), End::Killed));
    }

    pub(crate) fn terminate(&mut self) {
        self.end(End::Told, Signal::TERM);
    }

    pub(crate) fn stop(&mut self) {
        self.signal(Signal::STOP);
        self.stops.push((notes::now(), Duration::MAX));
    }

    pub(crate) fn resume(&mut self) {
        if self.is_stopped() {
            // It counts as stopped until it surely runs.
            self.signal(Signal::CONT);
            self.stops.last_mut().unwrap().1 = notes::now();
        }
    }

    /// Reads what it has written down; it is an error if it ends otherwise than it was told to.
    pub(crate) fn read(&mut self) {
        for (at, note) in self.notes.more() {
            self.note(at, note);
        }
        if self.is_over {
            return;
        }
        let Some(status) = self.child.try_wait().unwrap() else { return };
        self.is_over = true;
        for (at, note) in self.notes.more() {
            self.note(at, note);
        }
        let is_right = match self.end {
            Some((_, End::Killed)) => true,
            Some((_, End::Told)) => status.success(),
            None => false,
        };
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        assert!(is_right, "{} ended by itself, {status}: {errors}", self.worker);
    }

    /// Whether it stood still within this time.
    pub(crate) fn was_stopped(&self, from: Duration, to: Duration) -> bool {
        self.stops.iter().any(|(begun, ended)| *begun < to && from < *ended)
    }

    fn end(&mut self, end: End, signal: Signal) {
        self.end = Some((notes::now(), end));
        self.signal(signal);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn note(&mut self, at: Duration, note: Note) {
        match note {
            Note::Ready => self.is_ready = true,
            Note::Gained { shard } => {
                let tenure = Tenure { shard, gained: at, closed: None, was_fenced: false };
                self.tenures.push(tenure);
            }
            Note::Released { shard } => self.close(at, &shard, Close::Released),
            Note::Lost { shard } => self.close(at, &shard, Close::Lost),
            Note::Fenced { shard } => {
                if let Some(tenure) = self.last(&shard) {
                    self.tenures[tenure].was_fenced = true;
                }
            }
            Note::Unfenced => {}
            Note::Unstored => self.is_unstored = true,
            Note::Handled(handled) => {
                let tenure = self.tenures.iter().rposition(|tenure| {
                    tenure.shard == handled.shard && tenure.gained <= handled.begun
                });
                let tenure = tenure.expect("a batch of a lease that was gained");
                self.handled.push((tenure, handled));
            }
        }
    }

    fn close(&mut self, at: Duration, shard: &str, close: Close) {
        if let Some(tenure) = self.last(shard) {
            self.tenures[tenure].closed.get_or_insert((at, close));
        }
    }

    fn last(&self, shard: &str) -> Option<usize> {
        self.tenures.iter().rposition(|tenure| tenure.shard == shard)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It has ended, or the test has.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
