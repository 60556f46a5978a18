//! A schedule: one thread runs, and at each point a seed picks who continues.
//!
//! The threads are real. Whoever has the turn gives it away at a lock, a wait, a spawn, a join or its end, and parks. To
//! wait is to say by which conditions one may continue; whoever chooses asks these, so that nothing wakes anybody but the
//! choice. Timers are virtual: if nobody may continue, time passes to the next of them.
//!
//! A schedule fails if all wait and no timer is left, if the scenario panics, if a thread outlives it, or if it takes too
//! many steps or too much virtual time, or if no step is taken for long, which means that something waits outside.

mod choice;
mod member;
mod midst;
mod report;
mod state;

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Sender, bounded};

pub(crate) use self::member::{Member, current};
pub(crate) use self::midst::Midst;
use self::state::State;

/// Whether a thread that waits may continue.
pub(crate) type Ready = Box<dyn Fn() -> bool + Send>;

/// A schedule that takes no step for this time waits for something outside. The time that all its steps take says nothing: it
/// depends on what else the machine does.
const REAL_LIMIT: Duration = Duration::from_secs(60);

/// What a schedule took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) steps: u64,
    pub(crate) threads: usize,
    pub(crate) time: Duration,
    /// Of who had the turn at each step.
    pub(crate) digest: u64,
    /// The doors of its consumers in the order of their runs, each with the name of the thread that opened it.
    pub(crate) doors: Vec<(String, String)>,
    /// What happened in the scenario, by its own words.
    pub(crate) notes: BTreeSet<&'static str>,
    /// In the middle of what the first stop found the other threads; `None` without a stop.
    pub(crate) stop: Option<BTreeSet<Midst>>,
}

struct Schedule {
    state: Mutex<State>,
    /// Virtual time begins here.
    instant: Instant,
    wall: SystemTime,
    seed: u64,
    ended: Sender<Result<Ran, String>>,
}

/// Runs a scenario, whose threads belong to a schedule of this seed.
///
/// # Errors
/// What failed, with every thread and the last steps. The threads of a schedule that failed stay parked.
pub(crate) fn run(seed: u64, scenario: impl FnOnce() + Send + 'static) -> Result<Ran, String> {
    run_within(REAL_LIMIT, seed, scenario)
}

/// The same with another limit for the time without a step.
pub(crate) fn run_within(
    limit: Duration,
    seed: u64,
    scenario: impl FnOnce() + Send + 'static,
) -> Result<Ran, String> {
    let (ended, end) = bounded(1);
    let schedule = Arc::new(Schedule {
        state: Mutex::new(State::new(seed)),
        instant: Instant::now(),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        seed,
        ended,
    });
    let member = Member::first(&schedule);
    let thread = std::thread::Builder::new().name("scenario".to_owned());
    let thread = thread.spawn(move || {
        let turn = member.begin();
        let result = catch_unwind(AssertUnwindSafe(scenario));
        turn.conclude(result.err().map(|panic| text(&*panic)));
    });
    let thread = thread.map_err(|error| format!("no thread: {error}"))?;
    let mut steps = None;
    loop {
        match end.recv_timeout(limit) {
            Ok(Ok(ran)) => return thread.join().map(|()| ran).map_err(|panic| text(&*panic)),
            Ok(Err(report)) => return Err(report),
            Err(_) if steps == Some(schedule.steps()) => {
                return Err(schedule.report("something waits outside of the schedule"));
            }
            Err(_) => steps = Some(schedule.steps()),
        }
    }
}

impl Schedule {
    fn steps(&self) -> u64 {
        self.state.lock().expect("no thread panics while it holds the state").ran.steps
    }

    fn report(&self, why: &str) -> String {
        report::report(why, &self.state.lock().expect("no thread panics while it holds the state"))
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the scenario panicked: {}", text.unwrap_or("with something else than text"))
}
