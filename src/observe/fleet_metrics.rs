//! The metrics of a consumer of a fleet: the table is in the manual.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::lease_table::LeaseTableErrorKind;
use crate::model::lease_call::LeaseCall;
use crate::model::notice::{LossReason, Notice};
use crate::observe::fleet::FleetProgress;
use crate::observe::instruments::Kind::{Count, Number, Seconds};
use crate::observe::instruments::{Counter, Gauge, Kind, Labels, describe};
use crate::sync::Mutex;

/// The instruments of a consumer of a fleet.
pub(crate) struct FleetMeter {
    held: Gauge,
    target: Gauge,
    workers: Gauge,
    unowned: Gauge,
    oldest_beat: Gauge,
    surveyed: Gauge,
    calls: [Counter; LeaseCall::ALL.len()],
    refused: Counter,
    errors: [Counter; LeaseTableErrorKind::ALL.len()],
    gained: Counter,
    released: Counter,
    lost: [Counter; LossReason::LABELS.len()],
    fences: Counter,
    outages: Counter,
    /// What the counters of calls were told so far.
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    calls: BTreeMap<LeaseCall, u64>,
    refused: u64,
    errors: BTreeMap<LeaseTableErrorKind, u64>,
}

const NAMES: [(&str, Kind, &str); 14] = [
    ("kinesis_leases_held", Number, "leases that the consumer holds"),
    ("kinesis_leases_target", Number, "leases that it should hold"),
    ("kinesis_leases_unowned", Number, "leases that nobody held at the last survey"),
    ("kinesis_lease_workers", Number, "workers that lived at the last survey"),
    ("kinesis_lease_oldest_beat_seconds", Seconds, "how long the oldest write of a lease is ago"),
    ("kinesis_lease_survey_age_seconds", Seconds, "how long the last survey is ago"),
    ("kinesis_lease_calls_total", Count, "calls of the table of leases, by what they are for"),
    ("kinesis_lease_refusals_total", Count, "writes that the table of leases refused"),
    ("kinesis_lease_errors_total", Count, "calls of the table of leases that failed, by kind"),
    ("kinesis_leases_gained_total", Count, "leases that were gained"),
    ("kinesis_leases_released_total", Count, "leases that were given up in good order"),
    ("kinesis_leases_lost_total", Count, "leases that were lost, by the reason"),
    ("kinesis_lease_fences_total", Count, "shards that were fenced"),
    ("kinesis_lease_outages_total", Count, "outages of the table of leases"),
];

impl FleetMeter {
    // long: one line for each field.
    pub(crate) fn new(stream: &str) -> Self {
        NAMES.iter().for_each(|(name, kind, what)| describe(name, *kind, what));
        let labels = Labels::new(stream);
        let call =
            |call: LeaseCall| labels.and("call", call.label()).counter("kinesis_lease_calls_total");
        let error =
            |kind| labels.and("kind", &format!("{kind:?}")).counter("kinesis_lease_errors_total");
        Self {
            held: labels.gauge("kinesis_leases_held"),
            target: labels.gauge("kinesis_leases_target"),
            workers: labels.gauge("kinesis_lease_workers"),
            unowned: labels.gauge("kinesis_leases_unowned"),
            oldest_beat: labels.gauge("kinesis_lease_oldest_beat_seconds"),
            surveyed: labels.gauge("kinesis_lease_survey_age_seconds"),
            calls: LeaseCall::ALL.map(call),
            refused: labels.counter("kinesis_lease_refusals_total"),
            errors: LeaseTableErrorKind::ALL.map(error),
            gained: labels.counter("kinesis_leases_gained_total"),
            released: labels.counter("kinesis_leases_released_total"),
            lost: LossReason::LABELS
                .map(|why| labels.and("why", why).counter("kinesis_leases_lost_total")),
            fences: labels.counter("kinesis_lease_fences_total"),
            outages: labels.counter("kinesis_lease_outages_total"),
            told: Mutex::default(),
        }
    }

    /// Counts what the user is told of.
    pub(crate) fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Gained { .. } => self.gained.increment(1),
            Notice::Released { .. } => self.released.increment(1),
            Notice::Lost { why, .. } => self.lost[why.index()].increment(1),
            Notice::Fenced { .. } => self.fences.increment(1),
            Notice::TableOutage { .. } => self.outages.increment(1),
            _ => {}
        }
    }

    /// Brings all values up to date.
    pub(crate) fn refresh(&self, now: &FleetProgress) {
        self.count(now);
        let seconds = |age: Option<Duration>| age.unwrap_or_default().as_secs_f64();
        self.held.set(now.held as f64);
        self.target.set(now.target as f64);
        self.workers.set(now.workers as f64);
        self.unowned.set(now.unowned as f64);
        self.oldest_beat.set(seconds(now.oldest_beat));
        self.surveyed.set(seconds(now.surveyed));
    }

    /// The run has ended with this: no gauge keeps an old value.
    pub(crate) fn ends(&self, last: &FleetProgress) {
        self.refresh(&FleetProgress {
            calls: last.calls.clone(),
            refused: last.refused,
            errors: last.errors.clone(),
            ..FleetProgress::default()
        });
    }

    /// Adds what the counters of calls do not have yet.
    fn count(&self, now: &FleetProgress) {
        // A recorder is not ours: the lock is not held while it is told.
        let new = self.told.lock().take_in(now);
        for (call, more) in new.calls {
            self.calls[call as usize].increment(more);
        }
        for (kind, more) in new.errors {
            self.errors[kind as usize].increment(more);
        }
        self.refused.increment(new.refused);
    }
}

impl Told {
    /// Takes in new counts. Returns by how much each has grown.
    fn take_in(&mut self, now: &FleetProgress) -> Self {
        let before = std::mem::replace(
            self,
            Self { calls: now.calls.clone(), refused: now.refused, errors: now.errors.clone() },
        );
        Self {
            calls: grown(&before.calls, &now.calls),
            refused: now.refused.saturating_sub(before.refused),
            errors: grown(&before.errors, &now.errors),
        }
    }
}

/// By how much each count has grown.
fn grown<K: Copy + Ord>(before: &BTreeMap<K, u64>, now: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let more = |(key, count): (&K, &u64)| {
        (*key, count.saturating_sub(before.get(key).copied().unwrap_or_default()))
    };
    now.iter().map(more).collect()
}

#[cfg(all(test, feature = "metrics"))]
mod tests;
