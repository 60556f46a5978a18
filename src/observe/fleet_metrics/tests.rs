//! What is exported of a fleet, against the manual.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crossbeam_channel::bounded;
use metrics::{CounterFn, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::*;

fn meter() -> (FleetMeter, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let meter = with_local_recorder(&recorder, || FleetMeter::new("orders"));
    (meter, recorder.handle())
}

/// The values that are not zero, by name and further label.
fn values(handle: &PrometheusHandle) -> BTreeMap<String, f64> {
    let seen = handle.render();
    let lines = seen.lines().filter(|line| line.starts_with("kinesis_"));
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let name = name.replace("stream=\"orders\"", "").replace("{}", "").replace("{,", "{");
        (name, value.parse().expect("a number"))
    });
    values.filter(|(_, value)| *value != 0.0).collect()
}

fn progress() -> FleetProgress {
    FleetProgress {
        worker: "one".to_owned(),
        held: 2,
        target: 3,
        workers: 4,
        unowned: 5,
        oldest_beat: Some(Duration::from_millis(2_500)),
        surveyed: Some(Duration::from_secs(6)),
        calls: BTreeMap::from([(LeaseCall::Beat, 70), (LeaseCall::HandOver, 1)]),
        refused: 8,
        errors: BTreeMap::from([(LeaseTableErrorKind::Transient, 9)]),
    }
}

fn named<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn what_is_exported_is_what_is_known_and_no_gauge_outlives_the_run() {
    let (meter, handle) = meter();
    assert_eq!(values(&handle), BTreeMap::new());
    let counters = [
        ("kinesis_lease_calls_total{call=\"beat\"}", 70.0),
        ("kinesis_lease_calls_total{call=\"hand_over\"}", 1.0),
        ("kinesis_lease_refusals_total", 8.0),
        ("kinesis_lease_errors_total{kind=\"Transient\"}", 9.0),
    ];
    let mut all = named([
        ("kinesis_leases_held", 2.0),
        ("kinesis_leases_target", 3.0),
        ("kinesis_lease_workers", 4.0),
        ("kinesis_leases_unowned", 5.0),
        ("kinesis_lease_oldest_beat_seconds", 2.5),
        ("kinesis_lease_survey_age_seconds", 6.0),
    ]);
    all.extend(named(counters));
    // What was counted once is not counted again.
    for _ in 0..3 {
        meter.refresh(&progress());
        assert_eq!(values(&handle), all);
    }
    let mut last = progress();
    last.calls.insert(LeaseCall::Beat, 72);
    meter.ends(&last);
    let mut kept = named(counters);
    kept.insert(counters[0].0.to_owned(), 72.0);
    assert_eq!(values(&handle), kept);
}

/// A recorder that looks at the meter it is told by.
#[derive(Default)]
struct Curious {
    meter: OnceLock<Weak<FleetMeter>>,
    seen: AtomicUsize,
}

impl CounterFn for Curious {
    fn increment(&self, _: u64) {
        if let Some(meter) = self.meter.get().and_then(Weak::upgrade) {
            // On this thread it would wait for itself.
            meter.count(&FleetProgress::default());
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn absolute(&self, _: u64) {}
}

#[test]
fn a_recorder_that_looks_back_is_waited_for_by_nobody() {
    let curious = Arc::new(Curious::default());
    let (mut meter, _handle) = meter();
    meter.calls[LeaseCall::Beat as usize] = Counter::from_arc(Arc::clone(&curious));
    let meter = Arc::new(meter);
    curious.meter.set(Arc::downgrade(&meter)).expect("it is set once");
    let (tell, told) = bounded(1);
    // If it hangs, it hangs there.
    std::thread::spawn(move || {
        meter.refresh(&progress());
        tell.send(()).expect("the test waits");
    });
    told.recv_timeout(Duration::from_secs(60)).expect("it does not hang");
    assert_eq!(curious.seen.load(Ordering::Relaxed), 1);
}

#[test]
fn what_the_user_is_told_is_counted() {
    let (meter, handle) = meter();
    let shard = || "a".to_owned();
    let lost = [
        LossReason::Store,
        LossReason::Ancestor,
        LossReason::Taken { by: None },
        LossReason::RowGone,
        LossReason::RowUnreadable,
        LossReason::GivenUp { after: Duration::ZERO },
    ];
    for (why, label) in lost.into_iter().zip(LossReason::LABELS) {
        meter.notice(&Notice::Lost { shard: shard(), why });
        let name = format!("kinesis_leases_lost_total{{why=\"{label}\"}}");
        assert_eq!(values(&handle).get(&name), Some(&1.0), "{name}");
    }
    for (notice, name) in [
        (Notice::Gained { shard: shard(), from: None }, "kinesis_leases_gained_total"),
        (Notice::Released { shard: shard(), to: None }, "kinesis_leases_released_total"),
        (Notice::Fenced { shard: shard() }, "kinesis_lease_fences_total"),
        (Notice::TableOutage { since: Duration::ZERO }, "kinesis_lease_outages_total"),
    ] {
        meter.notice(&notice);
        meter.notice(&Notice::Unfenced { shard: shard() });
        assert_eq!(values(&handle).get(name), Some(&1.0), "{name}");
    }
    assert_eq!(values(&handle).len(), 10);
}

#[test]
fn the_table_of_the_manual_is_what_is_exported_before_anything_has_happened() {
    let (_meter, handle) = meter();
    let seen = handle.render();
    let text = include_str!("../../manual/monitoring.md");
    let (_, table) = text.split_once("In a fleet there are these too").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `kinesis_lease"));
    let mut metrics = 0;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [_, name, kind, labels, unit, ..] = &cells[..] else { panic!("{row}") };
        metrics += 1;
        assert!(seen.contains(&format!("# TYPE {name} {kind}\n")), "{name}, {kind}");
        assert!(seen.contains(&format!("# HELP {name} ")), "{name}");
        let series = seen.lines().find(|line| line.split('{').next() == Some(name)).unwrap();
        let (_, found) = series.split_once('{').unwrap();
        let found = found.split_once('}').unwrap().0.split(',');
        let found: Vec<_> = found.map(|label| label.split('=').next().unwrap()).collect();
        assert_eq!(found.join(", "), *labels, "{name}");
        assert_eq!(name.ends_with("_seconds"), unit == "seconds", "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        // Each value of a label is named.
        for line in seen.lines().filter(|line| line.split('{').next() == Some(name)) {
            let values = line.split('"').skip(1).step_by(2).skip(1);
            for value in values {
                assert!(table.contains(&format!("`{value}`")), "{name}: {value}");
            }
        }
    }
    assert_eq!(metrics, NAMES.len());
}
