//! The alerts of the manual, tried: each is true when it should be, and false while all is well.

mod expression;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use kinesis_consumer::testing::{MemoryKinesis, Operation};
use kinesis_consumer::{
    ClientError, Config, ErrorClass, LocalStore, OnError, Store, StoreError, Stream,
};

use self::expression::Alert;
use self::series::{Sample, Series};
use crate::common::{Hooked, SOON, StoreCall, Watched, id, numbers, quick};

/// A second of these tests is so much of the manual's time.
const FASTER: f64 = 150.0;

/// A stream in memory whose calls of `GetRecords` fail on demand, and what Prometheus knows of it.
struct Trial {
    name: &'static str,
    kinesis: MemoryKinesis,
    client: Watched,
    fails: Arc<AtomicBool>,
    alerts: BTreeMap<String, Alert>,
    series: Series,
}

impl Trial {
    fn new(name: &'static str, shards: usize) -> Self {
        let series = Series::of(name);
        let kinesis = MemoryKinesis::new();
        kinesis.create_stream(name, shards);
        let fails = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fails);
        let client = Watched::new(&kinesis, move |operation| {
            if operation == Operation::GetRecords && failing.load(Ordering::Relaxed) {
                return Err(ClientError::new(ErrorClass::Throttled, operation.name(), "too much"));
            }
            Ok(())
        });
        Self { name, kinesis, client, fails, alerts: expression::alerts(FASTER), series }
    }

    fn open(&self, store: impl Store + 'static, config: Config) -> Stream {
        Stream::new(self.client.clone(), self.name, store, config).unwrap()
    }

    fn put(&self, records: usize) {
        for record in 0..records {
            self.kinesis.put(self.name, &format!("key-{record}"), record.to_string().as_bytes());
        }
    }

    /// Waits until every shard was answered: what happens from then on is seen.
    fn begins(&mut self) {
        let deadline = Instant::now() + SOON;
        let shards = self.kinesis.shards(self.name).len();
        let name = "kinesis_last_answer_timestamp_seconds";
        let is_answered = |samples: &[Sample]| samples.last().is_some_and(|it| it.1 > 0.0);
        loop {
            let all = self.series.of_metric(name, Duration::ZERO);
            if all.filter(|(_, samples)| is_answered(samples)).count() == shards {
                return;
            }
            assert!(Instant::now() < deadline, "{}: no answers", self.name);
            self.series.scrape();
        }
    }

    /// The names of the alerts that are true now.
    fn raised(&mut self) -> BTreeSet<String> {
        self.series.scrape();
        let raised = self.alerts.iter().filter(|(_, alert)| alert.is_raised(&self.series));
        raised.map(|(name, _)| name.clone()).collect()
    }

    /// Waits until all of these are true, and no other but perhaps some.
    fn raises(&mut self, wanted: &[&str], perhaps: &[&str]) {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (wanted, perhaps): (BTreeSet<String>, BTreeSet<String>) = (set(wanted), set(perhaps));
        assert!(wanted.union(&perhaps).all(|name| self.alerts.contains_key(name)), "{wanted:?}");
        let deadline = Instant::now() + SOON * 2;
        loop {
            let raised = self.raised();
            let others = &(&raised - &wanted) - &perhaps;
            if wanted.is_subset(&raised) && others.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{}: {raised:?}, not {wanted:?}", self.name);
            // Scrapes come in their own time; nothing is faster for more of them.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets so much of the manual's time pass.
    fn waits(&mut self, seconds: f64) {
        let until = Instant::now() + Duration::from_secs_f64(seconds / FASTER);
        while Instant::now() < until {
            self.series.scrape();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn every_alert_has_its_trial() {
    let names: Vec<_> = expression::alerts(1.0).into_keys().collect();
    let tried = [
        "behind",
        "failing",
        "gone",
        "lost",
        "poison",
        "silent",
        "stalled",
        "store",
        "unanswered",
        "uncommitted",
    ];
    assert_eq!(names, tried);
}

#[test]
fn no_alert_is_true_in_a_normal_hour_nor_on_a_silent_stream_nor_after_a_split() {
    let mut trial = Trial::new("normal", 2);
    let listener = trial.open(LocalStore::new(), quick()).spawn(|_| Ok(())).unwrap();
    let until = Instant::now() + Duration::from_secs_f64(1_200.0 / FASTER);
    for number in 0.. {
        trial.kinesis.put("normal", &number.to_string(), b"1");
        trial.waits(5.0);
        if Instant::now() > until {
            break;
        }
    }
    trial.raises(&[], &[]);
    trial.kinesis.split("normal", &id(0));
    // Silent for longer than any alert waits.
    trial.waits(1_200.0);
    trial.raises(&[], &[]);
    let ended = trial.series.value("kinesis_shards", &[("state", "ended")]);
    assert_eq!(ended, Some(1.0));
    listener.shutdown().now();
    listener.join().unwrap();
    trial.raises(&["gone", "silent"], &[]);
}

#[test]
fn an_outage_raises_what_waits_and_nothing_when_it_is_over() {
    let mut trial = Trial::new("outage", 2);
    trial.put(50);
    let listener = trial.open(LocalStore::new(), quick().limit(1)).spawn(|_| Ok(())).unwrap();
    trial.begins();
    trial.raises(&[], &[]);
    trial.fails.store(true, Ordering::Relaxed);
    trial.raises(&["behind", "failing", "silent", "unanswered"], &[]);
    trial.fails.store(false, Ordering::Relaxed);
    trial.raises(&[], &[]);
    drop(listener);
}

#[test]
fn a_handler_that_hangs_raises_what_waits_though_no_call_fails() {
    let mut trial = Trial::new("stall", 1);
    let (go_on, held) = bounded::<()>(0);
    let config = quick().limit(1).stall_after(Duration::from_millis(200));
    let listener = trial.open(LocalStore::new(), config).spawn(move |_| {
        // Disconnected when the test lets it go on.
        let _ = held.recv();
        Ok(())
    });
    trial.begins();
    trial.put(50);
    trial.raises(&["behind", "silent", "stalled", "unanswered", "uncommitted"], &[]);
    drop(go_on);
    trial.raises(&[], &[]);
    drop(listener);
}

#[test]
fn a_poison_record_raises_that_records_were_put_aside() {
    let mut trial = Trial::new("poison", 1);
    let on_error = OnError::retry(2).halve(true).dead_letter(|_| Ok(()));
    let config = quick().on_error(on_error);
    let listener = trial
        .open(LocalStore::new(), config)
        .spawn(|batch| if numbers(batch).contains(&5) { Err("5!".into()) } else { Ok(()) });
    trial.begins();
    trial.put(10);
    trial.raises(&["poison"], &[]);
    let records = trial.series.value("kinesis_dead_letter_records_total", &[]);
    assert_eq!(records, Some(1.0));
    trial.raises(&[], &[]);
    drop(listener);
}

#[test]
fn a_gap_raises_that_records_may_be_lost() {
    let mut trial = Trial::new("gap", 1);
    trial.put(5);
    let store = Arc::new(LocalStore::new());
    let stream = trial.open(Arc::clone(&store), quick());
    let shutdown = stream.shutdown();
    stream
        .listen(|_| {
            shutdown.now();
            Ok(())
        })
        .unwrap();
    trial.kinesis.trim("gap", &id(0), 5);
    trial.kinesis.put("gap", "key", b"5");
    trial.series.scrape();
    let listener = trial.open(store, quick()).spawn(|_| Ok(())).unwrap();
    trial.raises(&["lost"], &[]);
    assert_eq!(trial.series.value("kinesis_gaps_total", &[("kind", "trimmed")]), Some(1.0));
    trial.raises(&[], &[]);
    drop(listener);
}

#[test]
fn a_store_that_fails_raises_that_positions_wait() {
    let mut trial = Trial::new("store", 1);
    trial.put(100);
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let store = Hooked::new(&Arc::new(LocalStore::new()), move |call| {
        if call == StoreCall::Update && failing.load(Ordering::Relaxed) {
            return Err(StoreError::retry("the disk is full"));
        }
        Ok(())
    });
    let listener = trial.open(store, quick().limit(1)).spawn(|_| Ok(())).unwrap();
    trial.raises(&["store"], &[]);
    fails.store(false, Ordering::Relaxed);
    trial.raises(&[], &[]);
    drop(listener);
}
