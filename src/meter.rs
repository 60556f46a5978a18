//! What a shard tells the `metrics` facade, if the feature is on: the table is in the manual.

use std::time::Duration;

use crate::client::ErrorClass;

#[cfg(feature = "metrics")]
pub(crate) use self::on::Meter;

/// Tells nobody.
#[cfg(not(feature = "metrics"))]
#[derive(Debug)]
pub(crate) struct Meter;

#[cfg(not(feature = "metrics"))]
impl Meter {
    pub(crate) fn new(_stream: &str, _shard: &str) -> Self {
        Self
    }

    pub(crate) fn answered(&self, _took: Duration, _behind_latest: Option<Duration>) {}

    pub(crate) fn failed(&self, _class: ErrorClass) {}

    pub(crate) fn sent(&self, _records: usize, _bytes: usize) {}

    pub(crate) fn handled(&self, _took: Duration) {}

    pub(crate) fn commit_age(&self, _age: Duration) {}

    pub(crate) fn buffered(_stream: &str, _bytes: usize) {}
}

#[cfg(feature = "metrics")]
mod on {
    use metrics::{Counter, Gauge, Histogram, Label, Unit};

    use super::{Duration, ErrorClass};

    /// The instruments of one shard, as whoever is installed when it starts gives them.
    pub(crate) struct Meter {
        labels: Vec<Label>,
        records: Counter,
        bytes: Counter,
        answers: Counter,
        latency: Histogram,
        behind_latest: Gauge,
        handling: Histogram,
        commit_age: Gauge,
    }

    impl Meter {
        pub(crate) fn new(stream: &str, shard: &str) -> Self {
            describe();
            let labels = vec![
                Label::new("stream", stream.to_owned()),
                Label::new("shard", shard.to_owned()),
            ];
            let all = || labels.clone();
            Self {
                records: metrics::counter!("kinesis_records_total", all()),
                bytes: metrics::counter!("kinesis_bytes_total", all()),
                answers: metrics::counter!("kinesis_answers_total", all()),
                latency: metrics::histogram!("kinesis_call_seconds", all()),
                behind_latest: metrics::gauge!("kinesis_behind_latest_seconds", all()),
                handling: metrics::histogram!("kinesis_handler_seconds", all()),
                commit_age: metrics::gauge!("kinesis_commit_age_seconds", all()),
                labels,
            }
        }

        pub(crate) fn answered(&self, took: Duration, behind_latest: Option<Duration>) {
            self.answers.increment(1);
            self.latency.record(took);
            if let Some(behind) = behind_latest {
                self.behind_latest.set(behind);
            }
        }

        pub(crate) fn failed(&self, class: ErrorClass) {
            let mut labels = self.labels.clone();
            labels.push(Label::new("class", format!("{class:?}")));
            metrics::counter!("kinesis_errors_total", labels).increment(1);
        }

        pub(crate) fn sent(&self, records: usize, bytes: usize) {
            self.records.increment(records as u64);
            self.bytes.increment(bytes as u64);
        }

        pub(crate) fn handled(&self, took: Duration) {
            self.handling.record(took);
        }

        pub(crate) fn commit_age(&self, age: Duration) {
            self.commit_age.set(age);
        }

        pub(crate) fn buffered(stream: &str, bytes: usize) {
            metrics::gauge!("kinesis_budget_used_bytes", "stream" => stream.to_owned())
                .set(bytes as f64);
        }
    }

    impl std::fmt::Debug for Meter {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Meter").finish_non_exhaustive()
        }
    }

    /// Says to whoever is installed what the numbers are; saying it again changes nothing.
    fn describe() {
        use metrics::{
            describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram,
        };
        let count = Unit::Count;
        counter!("kinesis_records_total", count, "records sent to the handler or the receiver");
        counter!("kinesis_bytes_total", Unit::Bytes, "bytes of data in these records");
        counter!("kinesis_answers_total", count, "calls of GetRecords that were answered");
        counter!("kinesis_errors_total", count, "calls that failed, by class");
        histogram!("kinesis_call_seconds", Unit::Seconds, "how long an answered GetRecords took");
        histogram!(
            "kinesis_handler_seconds",
            Unit::Seconds,
            "how long the handler took for a batch"
        );
        gauge!(
            "kinesis_behind_latest_seconds",
            Unit::Seconds,
            "how far the last answer was behind"
        );
        gauge!(
            "kinesis_commit_age_seconds",
            Unit::Seconds,
            "how long ago a batch was last committed, at the last answer"
        );
        gauge!("kinesis_budget_used_bytes", Unit::Bytes, "how much of the budget is in use");
    }
}
