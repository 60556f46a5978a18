//! A fleet on each server.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use kinesis_consumer::leases::LeaseTable;
use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{Batch, Config, Error, Fleet, FleetErrorKind, Stream};

use crate::at;

/// These servers are slow beside others, and no lease is to be lost by that.
const FAILOVER: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// Two consumers share a stream through a table there; one leaves, the other reads on.
fn is_shared(variable: &str) {
    let Some(server) = at(variable) else { return };
    let (kinesis, table) = (MemoryKinesis::new(), server.table("fleet"));
    kinesis.create_stream("orders", 4);
    let (told, handled) = mpsc::channel();
    let join = |worker: &'static str| {
        let fleet = Fleet::new(table.clone()).worker_id(worker).failover(FAILOVER);
        let config = Config::new().interval(Duration::from_millis(50));
        let stream = Stream::new(kinesis.clone(), "orders", fleet, config).unwrap();
        let told = told.clone();
        let handler = move |batch: &Batch| {
            let texts = batch.records().iter().map(|it| String::from_utf8_lossy(it.data()).into());
            Ok(told.send((worker, texts.collect::<Vec<String>>()))?)
        };
        stream.spawn(handler).unwrap()
    };
    let (one, two) = (join("one"), join("two"));
    let (mut put, mut seen, mut read) = (0, BTreeSet::new(), Vec::new());
    let mut more = || {
        for _ in 0..8 {
            kinesis.put("orders", &format!("key-{put}"), format!("record {put}").as_bytes());
            put += 1;
        }
        put
    };
    while seen.len() < 2 {
        more();
        let (worker, records) = handled.recv_timeout(PATIENCE).unwrap();
        seen.insert(worker);
        read.extend(records);
    }
    one.shutdown().drain(PATIENCE);
    one.join().unwrap();
    let put = more();
    while read.len() < put {
        let (_, records) = handled.recv_timeout(PATIENCE).unwrap();
        read.extend(records);
    }
    two.shutdown().drain(PATIENCE);
    two.join().unwrap();
    assert_eq!((read.len(), read.iter().collect::<BTreeSet<_>>().len()), (put, put));
    let rows = table.page(None).unwrap().items;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| !row.contains_key("leaseOwner")), "{rows:?}");
}

#[test]
fn a_fleet_shares_a_stream_on_dynalite() {
    is_shared("DYNALITE_ENDPOINT");
}

#[test]
fn a_fleet_shares_a_stream_on_moto() {
    is_shared("MOTO_ENDPOINT");
}

#[test]
fn a_fleet_shares_a_stream_on_dynoxide() {
    is_shared("DYNOXIDE_ENDPOINT");
}

#[test]
fn a_table_that_is_not_there_is_told_as_that() {
    let Some(server) = at("DYNOXIDE_ENDPOINT") else { return };
    let table = server.client.lease_table("nowhere").unwrap().endpoint(&server.endpoint).unwrap();
    let kinesis = MemoryKinesis::new();
    kinesis.create_stream("orders", 1);
    let fleet = Fleet::new(table).failover(FAILOVER);
    let stream = Stream::new(kinesis, "orders", fleet, Config::new()).unwrap();
    let ended = stream.listen(|_| Ok(()));
    let is_told = matches!(&ended, Err(Error::Fleet { kind: FleetErrorKind::NoTable { .. }, .. }));
    assert!(is_told, "{ended:?}");
    let text = format!("{:#}", ended.unwrap_err());
    assert!(text.contains("create it"), "{text}");
}
