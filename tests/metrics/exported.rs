//! What Prometheus sees, against what was read.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{ErrorClass, LocalStore, Stream};

use crate::common::{STREAM, id, kinesis, numbers, quick, until};
use crate::recorder::scrape;

/// The values of a metric whose labels hold all of these texts.
fn values(seen: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    let lines = seen.lines().filter(|line| line.split('{').next() == Some(name));
    let wanted = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn what_is_scraped_is_what_was_read() {
    scrape();
    let kinesis = kinesis(3, 1_000);
    kinesis.fail_shard(STREAM, &id(1), 2, ErrorClass::Throttled);
    let stream =
        Stream::new(kinesis.clone(), STREAM, LocalStore::new(), quick().limit(50)).unwrap();
    let (shutdown, monitor) = (stream.shutdown(), stream.monitor());
    let (mut read, mut bytes, mut batches) = (0, 0, 0);
    stream
        .listen(|batch| {
            read += numbers(batch).len();
            bytes += batch.records().iter().map(|record| record.data().len()).sum::<usize>();
            batches += 1;
            if read == 1_000 {
                shutdown.now();
            }
            Ok(())
        })
        .unwrap();

    let seen = scrape();
    let total = |name: &str, labels: &[&str]| {
        let labels = [&[r#"stream="orders""#], labels].concat();
        values(&seen, name, &labels).iter().sum::<f64>()
    };
    assert_eq!(total("kinesis_records_total", &[]), 1_000.0, "{seen}");
    assert_eq!(total("kinesis_bytes_total", &[]), bytes as f64);
    let failed = [r#"class="Throttled""#, &id(1)];
    assert_eq!(total("kinesis_errors_total", &failed), 2.0);
    assert_eq!(total("kinesis_retries_total", &failed[1..]), 2.0);
    assert_eq!(total("kinesis_handler_seconds_count", &[]), f64::from(batches));
    let progress = monitor.progress();
    let answers = progress.shards.iter().map(|shard| shard.answers).sum::<u64>();
    assert_eq!(total("kinesis_answers_total", &[]), answers as f64);
    assert_eq!(total("kinesis_call_seconds_count", &[]), answers as f64);
    for shard in &progress.shards {
        let records = total("kinesis_records_total", &[&shard.shard]);
        assert_eq!(records, shard.records as f64, "{}", shard.shard);
    }
    let arrivals = progress.shards.iter().filter_map(|shard| shard.committed_arrival);
    assert_eq!(arrivals.count(), 3);
}

/// A metric as the manual has it, or as it is exported: its kind, and the names of its labels.
type Metric = (String, BTreeSet<String>);

/// The metrics by name, and the units.
fn table() -> (BTreeMap<String, Metric>, BTreeMap<String, String>) {
    let text = include_str!("../../src/manual/monitoring.md");
    let (_, table) = text.split_once("| metric | kind | labels | unit | what |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let (mut metrics, mut units) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let labels = cells[3].split(", ").map(str::to_owned).collect();
        metrics.insert(cells[1].clone(), (cells[2].clone(), labels));
        units.insert(cells[1].clone(), cells[4].clone());
    }
    (metrics, units)
}

/// The same of what is seen of a stream.
fn exported(seen: &str, stream: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::new();
    let types = seen.lines().filter_map(|line| line.strip_prefix("# TYPE kinesis_"));
    for (name, kind) in types.filter_map(|line| line.split_once(' ')) {
        let name = format!("kinesis_{name}");
        let series = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
        let of_stream = format!("stream=\"{stream}\"");
        let lines = seen.lines().filter(|line| line.split('{').next() == Some(&series));
        for line in lines.filter(|line| line.contains(&of_stream)) {
            let (_, labels) = line.split_once('{').unwrap();
            let labels = labels.split_once('}').unwrap().0.split(',');
            let labels = labels.map(|label| label.split('=').next().unwrap().to_owned()).collect();
            let known = metrics.insert(name.clone(), (kind.to_owned(), labels));
            assert!(known.is_none_or(|known| known == metrics[&name]), "{line}");
        }
    }
    metrics
}

#[test]
fn a_stream_by_its_arn_has_that_as_its_label() {
    scrape();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("by-arn", 1);
    kinesis.put("by-arn", "key", b"0");
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/by-arn";
    let stream = Stream::new(kinesis, arn, LocalStore::new(), quick()).unwrap();
    let shutdown = stream.shutdown();
    stream
        .listen(|_| {
            shutdown.now();
            Ok(())
        })
        .unwrap();
    let seen = scrape();
    let records = values(&seen, "kinesis_records_total", &[&format!("stream={arn:?}")]);
    assert_eq!(records, [1.0], "{seen}");
}

#[test]
fn the_table_is_what_is_exported_before_anything_has_happened() {
    scrape();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("table", 2);
    let stream = Stream::new(kinesis, "table", LocalStore::new(), quick()).unwrap();
    let monitor = stream.monitor();
    stream.pauses().pause_all();
    let (batches, listener) = stream.receiver().unwrap();
    until("both have started", || monitor.progress().shards.len() == 2);
    let seen = scrape();
    let (metrics, units) = table();
    assert_eq!(exported(&seen, "table"), metrics);

    let of_stream = [r#"stream="table""#];
    let series = |name: &str| values(&seen, name, &of_stream);
    assert_eq!(series("kinesis_errors_total"), [0.0; 22], "two shards, eleven classes");
    assert_eq!(series("kinesis_gaps_total"), [0.0; 3]);
    assert_eq!(series("kinesis_call_seconds_count"), [0.0; 2]);
    assert_eq!(series("kinesis_shards").len(), 15);
    let text = include_str!("../../src/manual/monitoring.md");
    for line in seen.lines().filter(|line| line.starts_with("kinesis_shards{")) {
        let state = line.split("state=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(text.contains(&format!("`{state}`")), "{state} is not in the manual");
    }
    for (name, unit) in &units {
        let has = |part: &str| name.split('_').any(|it| it == part);
        assert_eq!(has("seconds"), unit == "seconds", "{name}");
        assert_eq!(has("bytes"), unit == "bytes", "{name}");
        assert_eq!(has("total"), metrics[name].0 == "counter", "{name}");
        let help = format!("# HELP {name} ");
        assert!(
            seen.contains(&help),
            "{name} is not described: add it to NAMES in src/observe/metrics.rs"
        );
    }
    drop((batches, listener));
}

#[test]
fn no_gauge_stands_still_when_its_shard_or_its_consumer_has_ended() {
    scrape();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("ended", 2);
    for shard in [0, 1] {
        kinesis.put_to("ended", &id(shard), "key", b"1");
    }
    kinesis.split("ended", &id(0));
    let stream = Stream::new(kinesis, "ended", LocalStore::new(), quick()).unwrap();
    let listener = stream.spawn(|_| Ok(())).unwrap();
    let gauges = [
        "kinesis_behind_latest_seconds",
        "kinesis_last_answer_timestamp_seconds",
        "kinesis_commit_age_seconds",
        "kinesis_committed_arrival_timestamp_seconds",
    ];
    let all = |labels: &[&str]| {
        let seen = scrape();
        let labels = [&[r#"stream="ended""#], labels].concat();
        gauges.map(|name| values(&seen, name, &labels)).concat()
    };
    until("the end is stored", || all(&[&id(0)]) == [0.0; 4]);
    until("the other is read and committed", || {
        // Until the shard starts it has none.
        matches!(all(&[&id(1)])[..], [_, answered, _, committed] if answered > 1e9 && committed > 1e9)
    });
    until("shards are counted by what they do", || {
        let ended = [r#"stream="ended""#, r#"state="ended""#];
        values(&scrape(), "kinesis_shards", &ended) == [1.0]
    });
    drop(listener);
    assert!(all(&[]).iter().all(|value| *value == 0.0), "{:?}", all(&[]));
    let seen = scrape();
    for name in ["kinesis_shards", "kinesis_budget_used_bytes"] {
        let values = values(&seen, name, &[r#"stream="ended""#]);
        assert!(values.iter().all(|value| *value == 0.0), "{name}: {values:?}");
    }
}
