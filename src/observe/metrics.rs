//! The metrics of a stream and its shards for the `metrics` facade, if the feature is on: the table is in the manual.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::client::ErrorClass;
use crate::model::gap::Gap;
use crate::model::notice::ShardState;
use crate::model::time::since_epoch;
use crate::observe::fleet_metrics::FleetMeter;
use crate::observe::instruments::Kind::{Bytes, Count, CountOfBytes, Number, Seconds, Times};
use crate::observe::instruments::{Counter, Gauge, Histogram, Kind, Labels, describe};
use crate::sync;

/// The instruments of one shard, from the recorder that is installed when it starts: all of them exist at once.
pub(crate) struct Meter {
    pub(crate) records: Counter,
    pub(crate) bytes: Counter,
    pub(crate) answers: Counter,
    pub(crate) retries: Counter,
    pub(crate) handler_failures: Counter,
    pub(crate) dead_letters: Counter,
    pub(crate) dead_records: Counter,
    #[cfg_attr(not(feature = "kpl"), expect(dead_code, reason = "nothing is left out"))]
    pub(crate) left_out: Counter,
    pub(crate) latency: Histogram,
    pub(crate) handling: Histogram,
    /// Of the stream.
    pub(crate) store_failures: Counter,
    errors: [Counter; ErrorClass::ALL.len()],
    behind_latest: Gauge,
    answered: Gauge,
    commit_age: Gauge,
    committed_arrival: Gauge,
}

/// The instruments of a stream.
pub(crate) struct StreamMeter {
    pub(crate) listing_failures: Counter,
    pub(crate) store_failures: Counter,
    pub(crate) stalls: Counter,
    gaps: [Counter; GAPS.len()],
    shards: [Gauge; ShardState::ALL.len()],
    budget: Gauge,
    /// In a fleet.
    pub(crate) fleet: Option<FleetMeter>,
}

const STORE_FAILURES: &str = "kinesis_store_failures_total";
const GAPS: [&str; 3] = ["trimmed", "foreign", "recreated"];

const NAMES: [(&str, Kind, &str); 21] = [
    ("kinesis_records_total", Count, "records sent to the handler or the receiver"),
    ("kinesis_bytes_total", CountOfBytes, "bytes of data in these records"),
    ("kinesis_answers_total", Count, "calls of GetRecords that were answered"),
    ("kinesis_errors_total", Count, "calls for a shard that failed, by class"),
    ("kinesis_retries_total", Count, "calls for a shard that failed and did not end the consumer"),
    ("kinesis_handler_failures_total", Count, "batches that the handler refused"),
    ("kinesis_dead_letter_batches_total", Count, "batches that were put aside"),
    ("kinesis_dead_letter_records_total", Count, "records in these batches"),
    ("kinesis_left_out_records_total", Count, "user records that belong to another shard"),
    ("kinesis_call_seconds", Times, "how long an answered GetRecords took"),
    ("kinesis_handler_seconds", Times, "how long the handler took for a batch"),
    ("kinesis_behind_latest_seconds", Seconds, "how far reading may be behind the newest record"),
    ("kinesis_last_answer_timestamp_seconds", Seconds, "when the last answer came"),
    ("kinesis_commit_age_seconds", Seconds, "how long records have been read and not committed"),
    (
        "kinesis_committed_arrival_timestamp_seconds",
        Seconds,
        "when the newest committed record arrived",
    ),
    ("kinesis_shards", Number, "shards by state"),
    ("kinesis_gaps_total", Count, "gaps that were skipped, by kind"),
    ("kinesis_stalls_total", Count, "shards that had made no progress for too long"),
    (STORE_FAILURES, Count, "calls of the store that failed"),
    ("kinesis_listing_failures_total", Count, "calls for the whole stream that failed"),
    ("kinesis_budget_used_bytes", Bytes, "how much of the budget is in use"),
];

impl Meter {
    pub(crate) fn new(stream: &str, shard: &str) -> Self {
        let of_stream = Labels::new(stream);
        let labels = of_stream.and("shard", shard);
        let errors =
            |class| labels.and("class", &format!("{class:?}")).counter("kinesis_errors_total");
        Self {
            records: labels.counter("kinesis_records_total"),
            bytes: labels.counter("kinesis_bytes_total"),
            answers: labels.counter("kinesis_answers_total"),
            retries: labels.counter("kinesis_retries_total"),
            handler_failures: labels.counter("kinesis_handler_failures_total"),
            dead_letters: labels.counter("kinesis_dead_letter_batches_total"),
            dead_records: labels.counter("kinesis_dead_letter_records_total"),
            left_out: labels.counter("kinesis_left_out_records_total"),
            latency: labels.histogram("kinesis_call_seconds"),
            handling: labels.histogram("kinesis_handler_seconds"),
            store_failures: of_stream.counter(STORE_FAILURES),
            errors: ErrorClass::ALL.map(errors),
            behind_latest: labels.gauge("kinesis_behind_latest_seconds"),
            answered: labels.gauge("kinesis_last_answer_timestamp_seconds"),
            commit_age: labels.gauge("kinesis_commit_age_seconds"),
            committed_arrival: labels.gauge("kinesis_committed_arrival_timestamp_seconds"),
        }
    }

    pub(crate) fn answered(&self) {
        self.answers.increment(1);
        // Without a recorder the clock need not be read.
        if cfg!(feature = "metrics") {
            self.answered.set(seconds(sync::wall()));
        }
    }

    pub(crate) fn failed(&self, class: ErrorClass) {
        self.errors[class as usize].increment(1);
    }

    pub(crate) fn behind_latest(&self, behind: Duration) {
        self.behind_latest.set(behind.as_secs_f64());
    }

    pub(crate) fn commit_age(&self, age: Duration) {
        self.commit_age.set(age.as_secs_f64());
    }

    pub(crate) fn committed_arrival(&self, arrival: SystemTime) {
        self.committed_arrival.set(seconds(arrival));
    }

    /// The shard is not read any more.
    pub(crate) fn leaves(&self) {
        self.behind_latest.set(0.0);
        self.answered.set(0.0);
    }

    /// The shard has nothing left to commit, or the run has ended.
    pub(crate) fn ends(&self) {
        self.leaves();
        self.commit_age.set(0.0);
        self.committed_arrival.set(0.0);
    }
}

impl StreamMeter {
    pub(crate) fn new(stream: &str, is_fleet: bool) -> Self {
        NAMES.iter().for_each(|(name, kind, what)| describe(name, *kind, what));
        let labels = Labels::new(stream);
        Self {
            listing_failures: labels.counter("kinesis_listing_failures_total"),
            store_failures: labels.counter(STORE_FAILURES),
            stalls: labels.counter("kinesis_stalls_total"),
            gaps: GAPS.map(|kind| labels.and("kind", kind).counter("kinesis_gaps_total")),
            shards: ShardState::ALL
                .map(|state| labels.and("state", state.label()).gauge("kinesis_shards")),
            budget: labels.gauge("kinesis_budget_used_bytes"),
            fleet: is_fleet.then(|| FleetMeter::new(stream)),
        }
    }

    pub(crate) fn gap(&self, gap: &Gap) {
        let kind = match gap {
            Gap::Trimmed { .. } => 0,
            Gap::Foreign { .. } => 1,
            Gap::Recreated { .. } => 2,
        };
        self.gaps[kind].increment(1);
    }

    /// How many shards are in each state.
    pub(crate) fn shards(&self, counts: &[u32; ShardState::ALL.len()]) {
        for (gauge, count) in self.shards.iter().zip(counts) {
            gauge.set(f64::from(*count));
        }
    }

    pub(crate) fn budget(&self, bytes: usize) {
        self.budget.set(bytes as f64);
    }
}

/// Since 1970, as Prometheus counts.
fn seconds(time: SystemTime) -> f64 {
    let (seconds, nanos) = since_epoch(time);
    seconds as f64 + f64::from(nanos) / 1e9
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}
