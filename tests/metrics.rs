//! What Prometheus sees, against what was read.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which Clippy does not see as tests")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use kinesis_consumer::{ErrorClass, LocalStore, Stream};
use metrics_exporter_prometheus::PrometheusBuilder;

use self::common::{STREAM, id, kinesis, numbers, quick};

fn scrape(address: SocketAddr) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// The values of a metric whose labels hold all of these texts.
fn values(seen: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    let lines = seen.lines().filter(|line| line.split('{').next() == Some(name));
    let wanted = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn what_is_scraped_is_what_was_read() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    PrometheusBuilder::new().with_http_listener(free).install().unwrap();
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

    let seen = scrape(free);
    let total = |name: &str, labels: &[&str]| values(&seen, name, labels).iter().sum::<f64>();
    assert_eq!(total("kinesis_records_total", &[r#"stream="orders""#]), 1_000.0, "{seen}");
    assert_eq!(total("kinesis_bytes_total", &[]), bytes as f64);
    assert_eq!(total("kinesis_errors_total", &[r#"class="Throttled""#, &id(1)]), 2.0);
    assert_eq!(total("kinesis_handler_seconds_count", &[]), f64::from(batches));
    let progress = monitor.progress();
    let answers = progress.shards.iter().map(|shard| shard.answers).sum::<u64>();
    assert_eq!(total("kinesis_answers_total", &[]), answers as f64);
    assert_eq!(total("kinesis_call_seconds_count", &[]), answers as f64);
    for shard in &progress.shards {
        let records = total("kinesis_records_total", &[&shard.shard]);
        assert_eq!(records, shard.records as f64, "{}", shard.shard);
        let behind = values(&seen, "kinesis_behind_latest_seconds", &[&shard.shard]);
        assert_eq!(behind, [shard.behind_latest.unwrap().as_secs_f64()]);
    }
    assert!(!values(&seen, "kinesis_commit_age_seconds", &[]).is_empty());
    assert_eq!(values(&seen, "kinesis_budget_used_bytes", &[]).len(), 1);
    let described = seen.lines().filter(|line| line.starts_with("# HELP kinesis_")).count();
    assert_eq!(described, 9, "{seen}");
}
