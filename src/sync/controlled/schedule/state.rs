//! The threads of a schedule, its timers, and who may continue.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use super::choice::Choice;
use super::{Ran, Ready};

const MAX_STEPS: u64 = 50_000;
const MAX_TIME: Duration = Duration::from_secs(300);
/// How many of the last steps a report has.
const TRACE: usize = 80;

pub(super) struct State {
    pub(super) tasks: Vec<Task>,
    pub(super) now: Duration,
    pub(super) timers: Vec<Timer>,
    pub(super) choice: Choice,
    /// Who has the turn.
    pub(super) turn: usize,
    /// How often a thread has continued that did not only try a lock.
    pub(super) moves: u64,
    pub(super) trace: VecDeque<Step>,
    pub(super) refusal: Refusal,
    /// What its threads log, if that is kept.
    pub(super) lines: Option<Vec<String>>,
    /// What is counted.
    pub(super) ran: Ran,
}

/// The system has no thread for some requests.
#[derive(Default)]
pub(super) struct Refusal {
    /// Only threads are counted whose names begin so.
    pub(super) names: &'static str,
    /// Which of them are refused, from 0.
    pub(super) which: Range<usize>,
    pub(super) requested: usize,
}

pub(super) struct Task {
    pub(super) name: String,
    /// The scope that waits for it.
    pub(super) scope: Option<usize>,
    pub(super) turn: Arc<AtomicBool>,
    /// `None` until it has begun.
    pub(super) thread: Option<Thread>,
    pub(super) status: Status,
    pub(super) rank: u64,
    pub(super) last: Option<Step>,
}

pub(super) enum Status {
    Ready,
    Waiting {
        ready: Vec<Ready>,
        until: Option<Duration>,
    },
    /// Until more moves were made than these.
    Locked {
        moves: u64,
    },
    /// Until this thread is over.
    Join(usize),
    /// Until all threads of this scope are over, also those that are still to come.
    Scope(usize),
    Over,
}

#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) task: usize,
    pub(super) what: &'static str,
    pub(super) place: &'static Location<'static>,
    pub(super) now: Duration,
}

pub(super) struct Timer {
    /// `None` when it has fired for the last time. It is kept: its channel must not be disconnected.
    pub(super) due: Option<Duration>,
    pub(super) period: Option<Duration>,
    pub(super) start: Instant,
    pub(super) sender: Sender<Instant>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            tasks: Vec::new(),
            now: Duration::ZERO,
            timers: Vec::new(),
            choice: Choice::new(seed),
            turn: 0,
            moves: 0,
            trace: VecDeque::with_capacity(TRACE),
            refusal: Refusal::default(),
            lines: None,
            ran: Ran { digest: seed, ..Ran::default() },
        }
    }

    /// Whether the thread that is requested now is refused.
    pub(super) fn refuses(&mut self, name: &str) -> bool {
        let Refusal { names, which, requested } = &mut self.refusal;
        let is_counted = name.starts_with(*names);
        *requested += usize::from(is_counted);
        is_counted && which.contains(&(*requested - 1))
    }

    /// A thread gives the turn away here.
    pub(super) fn records(
        &mut self,
        task: usize,
        what: &'static str,
        place: &'static Location<'static>,
        status: Status,
    ) {
        let step = Step { task, what, place, now: self.now };
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(step);
        let task = &mut self.tasks[task];
        (task.status, task.last) = (status, Some(step));
    }

    /// Who has the turn next.
    pub(super) fn choose(&mut self, running: usize) -> Result<usize, String> {
        self.ran.steps += 1;
        if self.ran.steps > MAX_STEPS {
            return Err(format!("{MAX_STEPS} steps were not enough"));
        }
        if let Some(time) = self.choice.slowness() {
            self.pass(self.now + time);
        }
        loop {
            if self.now > MAX_TIME {
                return Err(format!("{} s of virtual time were not enough", MAX_TIME.as_secs()));
            }
            if let Some(next) = self.pick(running) {
                return Ok(next);
            }
            match self.next_due() {
                Some(due) => self.pass(due),
                None => return Err("all wait for each other".to_owned()),
            }
        }
    }

    fn pick(&mut self, running: usize) -> Option<usize> {
        let ranks: Vec<_> = self.tasks.iter().map(|task| task.rank).collect();
        let order = self.choice.order(running, &ranks);
        let next = order.into_iter().find(|task| self.may_continue(*task))?;
        if let Some(rank) = self.choice.demotes(self.ran.steps) {
            self.tasks[next].rank = rank;
        }
        if !matches!(self.tasks[next].status, Status::Locked { .. }) {
            self.moves += 1;
        }
        self.turn = next;
        self.ran.digest = self.ran.digest.wrapping_mul(0x0100_0000_01b3) ^ next as u64;
        Some(next)
    }

    fn may_continue(&self, task: usize) -> bool {
        match &self.tasks[task].status {
            Status::Ready => true,
            Status::Waiting { ready, until } => {
                until.is_some_and(|until| until <= self.now)
                    || ready.iter().any(|is_ready| is_ready())
            }
            Status::Locked { moves } => self.moves > *moves,
            Status::Join(other) => self.is_over(*other),
            Status::Scope(scope) => {
                let mut tasks = self.tasks.iter().filter(|task| task.scope == Some(*scope));
                tasks.all(|task| matches!(task.status, Status::Over))
            }
            Status::Over => false,
        }
    }

    fn is_over(&self, task: usize) -> bool {
        matches!(self.tasks[task].status, Status::Over)
    }

    /// When the next timer or wait is due that is not yet.
    fn next_due(&self) -> Option<Duration> {
        let waits = self.tasks.iter().filter_map(|task| match task.status {
            Status::Waiting { until, .. } => until,
            _ => None,
        });
        self.timers
            .iter()
            .filter_map(|timer| timer.due)
            .chain(waits)
            .filter(|due| *due > self.now)
            .min()
    }

    fn pass(&mut self, now: Duration) {
        self.now = now;
        self.timers.retain_mut(|timer| timer.is_kept(now));
    }

    /// A timer that is due already fires at once.
    pub(super) fn starts(&mut self, mut timer: Timer) {
        if timer.is_kept(self.now) {
            self.timers.push(timer);
        }
    }

    /// Who is not over, besides this one.
    pub(super) fn outliving(&self, task: usize) -> Vec<String> {
        let others =
            self.tasks.iter().enumerate().filter(|(it, _)| *it != task && !self.is_over(*it));
        others.map(|(_, task)| task.name.clone()).collect()
    }

    pub(super) fn ran(&self) -> Ran {
        Ran { threads: self.tasks.len(), time: self.now, ..self.ran.clone() }
    }
}

impl Task {
    pub(super) fn new(
        name: String,
        scope: Option<usize>,
        turn: Arc<AtomicBool>,
        rank: u64,
    ) -> Self {
        Self { name, scope, turn, thread: None, status: Status::Ready, rank, last: None }
    }
}

impl Timer {
    /// Fires if it is due; `false` if nobody has its channel any more. Crossbeam's next tick is a period after the last one
    /// was taken; here it is a period after the last one was due.
    fn is_kept(&mut self, now: Duration) -> bool {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            // Full: the tick before was not taken yet, and this one is left out.
            if let Err(TrySendError::Disconnected(_)) = self.sender.try_send(self.start + due) {
                return false;
            }
            self.due = self.period.map(|period| due + period);
        }
        true
    }
}
