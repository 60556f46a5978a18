//! The two loops that call the table: one sends beats, the other does the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::table::tenure_of;
use super::{Ours, Task};
use crate::core::fleet::held::Moment;
use crate::core::fleet::steward::answers::Span;
use crate::core::fleet::steward::words::{self, Call};
use crate::simulation::fleet::machine::{Answer, Machine, Reply, Request};

/// Which loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulation::fleet) enum Kind {
    Heart,
    Survey,
}

/// The calls on their way.
pub(super) struct Loops {
    /// How many beats are sent side by side.
    hearts: usize,
    calls: BTreeMap<u64, (Kind, Call, Moment)>,
    /// When each looks again.
    alarms: BTreeMap<Kind, Alarm>,
}

/// When somebody who waits continues, by the worker's clock. A later time that was replaced comes all the same.
#[derive(Default)]
pub(super) struct Alarm(Option<Duration>);

/// A thread that waits does not wake earlier.
const LEAST: Duration = Duration::from_millis(1);

impl Loops {
    pub(super) fn new(hearts: usize) -> Self {
        Self { hearts, calls: BTreeMap::new(), alarms: BTreeMap::new() }
    }

    pub(super) fn wakes(&mut self, kind: Kind, set: Duration) {
        self.alarms.entry(kind).or_default().rings(set);
    }

    fn is_full(&self, kind: Kind) -> bool {
        let most = if kind == Kind::Heart { self.hearts } else { 1 };
        self.calls.values().filter(|(of, ..)| *of == kind).count() >= most
    }
}

impl Alarm {
    /// Somebody is woken, as it was set to this time, which an earlier one may have replaced since.
    pub(super) fn rings(&mut self, set: Duration) {
        self.0 = self.0.filter(|at| *at != set);
    }

    /// Sets it to an earlier time than before. Whether it is one.
    pub(super) fn sets(&mut self, at: Duration) -> bool {
        let is_earlier = self.0.is_none_or(|set| at < set);
        if is_earlier {
            self.0 = Some(at);
        }
        is_earlier
    }
}

impl Ours {
    /// Sends what is due, and plans the next look.
    pub(super) fn run_loops(&mut self, machine: &mut Machine<'_>) {
        for kind in [Kind::Heart, Kind::Survey] {
            self.send(machine, kind);
        }
        let steward = self.keeper.steward().lock();
        self.is_gone |= self.result.is_some() && steward.is_idle() && self.loops.calls.is_empty();
    }

    fn send(&mut self, machine: &mut Machine<'_>, kind: Kind) {
        let now = machine.now();
        while !self.loops.is_full(kind) && !self.is_gone {
            let mut steward = self.keeper.steward().lock();
            let call = match kind {
                Kind::Heart => steward.next_beat(now),
                Kind::Survey => steward.next_call(now),
            };
            let wait = match kind {
                Kind::Heart => steward.until_beat(now),
                Kind::Survey => steward.until_call(now),
            };
            let request = match &call {
                None => {
                    drop(steward);
                    return self.sleep(machine, kind, wait);
                }
                Some(Call::Coordinator) => {
                    let found = super::actions::coordinator(machine.world);
                    let answer = words::Answer::Item(found);
                    steward.answered(Span { sent: now, now }, Call::Coordinator, answer);
                    continue;
                }
                Some(Call::Page { after }) => Request::Page(after.clone()),
                Some(Call::Get { shard }) => Request::Get(shard.clone()),
                Some(Call::Write(job)) => Request::Apply(job.write.clone()),
            };
            let tenure = match &request {
                Request::Apply(write) => tenure_of(write),
                _ => None,
            };
            drop(steward);
            let number = machine.call(request, tenure.as_deref());
            self.loops.calls.extend(call.map(|call| (number, (kind, call, now))));
        }
    }

    fn sleep(&mut self, machine: &mut Machine<'_>, kind: Kind, wait: Option<Duration>) {
        let Some(wait) = wait else { return };
        if wait.is_zero() {
            machine.world.counts.fault("woken for nothing");
        }
        let (wait, now) = (wait.max(LEAST), machine.now().monotonic);
        if self.loops.alarms.entry(kind).or_default().sets(now + wait) {
            Self::plan(machine, wait, Task::Loop(kind, now + wait));
        }
    }

    /// A call has an answer.
    pub(super) fn answered(&mut self, reply: Reply) {
        let (_, call, sent) = self.loops.calls.remove(&reply.number).expect("a reply is to a call");
        let is_lost = matches!(
            &reply.answer,
            Answer::Page(Err(_)) | Answer::Get(Err(_)) | Answer::Apply(Err(_))
        );
        let answer = match reply.answer {
            Answer::Page(page) => words::Answer::Page(page),
            Answer::Get(row) => words::Answer::Item(row),
            Answer::Apply(applied) => words::Answer::Applied(applied),
        };
        let is_beat =
            matches!(&call, Call::Write(job) if matches!(job.act, words::Act::Beat { .. }));
        self.keeper.answered(sent, call, answer);
        // What fails at the end is left to its failover time.
        self.is_gone |= self.result.is_some() && is_lost && !is_beat;
    }
}
