//! Who could call the table in time, and how long a lease may be waited for.

use std::collections::BTreeMap;
use std::time::Duration;

/// What happens to the workers of a world, as far as it excuses them.
#[derive(Debug, Default)]
pub(in crate::simulation::fleet) struct Patience {
    /// The failover time, and how long a holder that was asked may take; without them nobody has to be in time.
    limits: Option<(Duration, Duration)>,
    workers: BTreeMap<usize, Worker>,
    /// The leases that are waited for.
    asks: BTreeMap<String, Ask>,
}

#[derive(Debug, Default)]
struct Worker {
    /// The id of its life, and since when it lives; `None` while it is dead, or asked to stop.
    life: Option<(String, Duration)>,
    /// Until when a call of it was on its way for long, or has failed.
    troubled: Duration,
    /// When it stands still.
    freezes: Vec<(Duration, Duration)>,
}

/// Somebody has asked for a lease.
#[derive(Debug)]
struct Ask {
    worker: usize,
    since: Duration,
}

/// Clocks may be wrong by a twentieth, and what is waited for is looked at once in a second.
pub(super) const DRIFT: f64 = 1.06;
const LOOKS: Duration = Duration::from_secs(6);
/// After a failure nothing that may wait is done for at most so long.
const CALM: Duration = Duration::from_secs(11);

impl Patience {
    /// All workers have this failover time, and hand over what they are asked for in that time.
    pub(in crate::simulation::fleet) fn limits(&mut self, failover: Duration, patience: Duration) {
        self.limits = Some((failover, patience));
    }

    /// A worker stands still between these times.
    pub(in crate::simulation::fleet) fn freezes(
        &mut self,
        worker: usize,
        from: Duration,
        to: Duration,
    ) {
        self.workers.entry(worker).or_default().freezes.push((from, to));
    }

    /// When a worker stands still for the last time, until when.
    pub(in crate::simulation::fleet) fn thaws(&self, worker: usize) -> Duration {
        let freezes = self.workers.get(&worker).map_or(&[][..], |worker| &worker.freezes);
        freezes.iter().map(|(_, to)| *to).max().unwrap_or_default()
    }

    /// A worker begins.
    pub(in crate::simulation::fleet) fn begins(&mut self, worker: usize, id: &str, now: Duration) {
        self.workers.entry(worker).or_default().life = Some((id.to_owned(), now));
    }

    /// A worker stops, or is dead: it waits for nothing any more.
    pub(in crate::simulation::fleet) fn leaves(&mut self, worker: usize) {
        self.workers.entry(worker).or_default().life = None;
        self.asks.retain(|_, ask| ask.worker != worker);
    }

    /// A call of a worker fails, or takes until then.
    pub(in crate::simulation::fleet) fn troubles(&mut self, worker: usize, until: Duration) {
        let troubled = &mut self.workers.entry(worker).or_default().troubled;
        *troubled = until.max(*troubled);
    }

    /// A worker has asked for a lease, in the life with this id.
    pub(super) fn asks(&mut self, shard: &str, (worker, id): (usize, Option<&str>), now: Duration) {
        let life = self.workers.get(&worker).and_then(|worker| worker.life.as_ref());
        if life.is_some_and(|(life, _)| Some(life.as_str()) == id) {
            self.asks.insert(shard.to_owned(), Ask { worker, since: now });
        }
    }

    /// Who waits for a lease.
    pub(super) fn asker(&self, shard: &str) -> Option<usize> {
        self.asks.get(shard).map(|ask| ask.worker)
    }

    /// Nobody waits for it any more.
    pub(super) fn settles(&mut self, shard: &str) {
        self.asks.remove(shard);
    }

    /// A lease that was waited for too long, which is told once. Half a failover time more is for calls and surveys.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<String> {
        let (failover, patience) = self.limits?;
        let most = (patience + failover * 5 / 2).mul_f64(DRIFT) + LOOKS;
        let is_overdue = |ask: &Ask| {
            let Some(worker) = self.workers.get(&ask.worker) else { return false };
            let since =
                ask.since.max(worker.last_trouble(now).map_or(Duration::ZERO, |at| at + CALM));
            now > since + most
        };
        let shard = self.asks.iter().find(|(_, ask)| is_overdue(ask)).map(|it| it.0.clone())?;
        let ask = self.asks.remove(&shard)?;
        Some(format!("worker {} waits for {shard} since {:?}", ask.worker, ask.since))
    }

    /// The failover time, if workers have to be in time.
    pub(super) fn failover(&self) -> Option<Duration> {
        self.limits.map(|(failover, _)| failover)
    }

    /// Whether a worker that has had a lease for so long, in the life with this id, could have shown that it lives.
    pub(super) fn could_beat(
        &self,
        (worker, id): (usize, Option<&str>),
        held_since: Duration,
        now: Duration,
    ) -> bool {
        let Some((failover, _)) = self.limits else { return false };
        let is_long_ago = |at: Duration| at + failover.mul_f64(1.5) < now;
        let Some(worker) = self.workers.get(&worker) else { return false };
        let Some((life, since)) = &worker.life else { return false };
        // A life before may have had the same id.
        Some(life.as_str()) == id
            && held_since >= *since
            && is_long_ago(*since)
            && is_long_ago(held_since)
            && worker.last_trouble(now).is_none_or(is_long_ago)
    }
}

impl Worker {
    /// Until when something has gone wrong for it; `None` if nothing ever has.
    fn last_trouble(&self, now: Duration) -> Option<Duration> {
        let began = self.freezes.iter().filter(|(from, _)| *from <= now);
        let frozen = began.map(|(_, to)| *to).max().unwrap_or_default();
        Some(frozen.max(self.troubled)).filter(|at| !at.is_zero())
    }
}
