//! Two consumers share a stream through a table of leases; then one leaves, and the other reads on.

mod support;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use kinesis_consumer::testing::MemoryLeases;
use kinesis_consumer::{BoxError, Config, Fleet, Listener, Stream};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let demo = support::Demo::start("fleet", 4)?;
    let table = MemoryLeases::new(); // a table in a database serves many machines
    let ((told, handled), soon) = (mpsc::channel(), Duration::from_secs(30));
    let join = |worker: &'static str| -> Result<Listener, BoxError> {
        let fleet = Fleet::new(table.clone()).worker_id(worker).failover(Duration::from_secs(1));
        let config = Config::new().interval(Duration::from_millis(200));
        let stream = Stream::new(demo.client()?, demo.stream(), fleet, config)?;
        let told = told.clone();
        Ok(stream.spawn(move |batch| {
            println!("{worker} handles {} records of {}", batch.len(), batch.shard());
            Ok(told.send((worker, batch.len()))?)
        })?)
    };
    let (one, two) = (join("one")?, join("two")?);

    let (mut put, mut read, mut seen) = (0, 0, BTreeSet::new());
    while seen.len() < 2 {
        demo.put(20)?; // at first one of them may have all leases
        put += 20;
        let (worker, records) = handled.recv_timeout(soon)?;
        read += records;
        seen.insert(worker);
    }
    one.shutdown().drain(Duration::from_secs(5)); // it hands over its leases
    one.join()?;
    println!("one has left");
    demo.put(100)?;
    put += 100;
    while read < put {
        read += handled.recv_timeout(soon)?.1;
    }
    two.shutdown().now();
    two.join()?;
    println!("{put} records put, {read} handled");
    Ok(())
}
