//! How far a fleet has come is kept by its table.

use std::sync::Arc;
use std::time::SystemTime;

use kinesis_consumer::testing::MemoryKinesis;
use kinesis_consumer::{Deaggregation, IteratorType, Stream};
use parking_lot::Mutex;

use crate::common::{HOUR, STREAM, golden, id};
use crate::team::{FAILOVER, LONG, Team, config, drain, end, until};

#[test]
fn who_comes_next_begins_where_the_last_one_ended() {
    let team = Team::new(3, FAILOVER);
    for round in 0..3 {
        team.put(4);
        let names = [format!("one-{round}"), format!("two-{round}")];
        let consumers = names.map(|name| team.join(&name));
        team.wait_for_all();
        consumers.into_iter().for_each(drain);
        team.check_released();
    }
    team.check_once();
}

#[test]
fn a_shard_without_records_keeps_its_place_at_latest_until_the_next_consumer_comes() {
    let kinesis = MemoryKinesis::with_manual_clock(SystemTime::now());
    let team = Team::of(kinesis, 2, FAILOVER);
    let latest = config().iterator_type(IteratorType::Latest);
    team.kinesis.put_to(STREAM, &id(0), "key", b"999");
    team.kinesis.advance(HOUR);
    let first = team.spawn("first", team.open_with(team.fleet("first"), latest.clone()));
    team.wait_for_shares(&[("first", 2)]);
    let read = || first.progress().shards.iter().filter(|it| it.caught_up.is_some()).count() == 2;
    until(|| "both are read".into(), read);
    drain(first);
    team.put(2);
    let second = team.spawn("second", team.open_with(team.fleet("second"), latest));
    team.wait_for_all();
    drain(second);
    team.check_once();
}

#[test]
fn a_position_in_the_middle_of_an_aggregate_is_handed_from_one_consumer_to_the_next() {
    let team = Team::new(1, FAILOVER);
    let (aggregate, users) = golden().into_iter().max_by_key(|(_, users)| users.len()).unwrap();
    team.kinesis.put_to(STREAM, &id(0), "outer", &aggregate);
    team.kinesis.put_to(STREAM, &id(0), "plain", b"plain");
    let mut wanted = users;
    wanted.push(b"plain".to_vec());
    assert!(wanted.len() > 10);
    let config = || config().deaggregation(Deaggregation::All);
    let open = |worker: &str| -> Stream { team.open_with(team.fleet(worker), config()) };
    let mut read = Vec::new();
    for (round, through) in [0, 4, 3].into_iter().enumerate() {
        let (batches, listener) = open(&format!("worker-{round}")).receiver().unwrap();
        let batch = batches.recv_timeout(LONG).unwrap();
        let record = batch.records().get(through).unwrap();
        batch.commit_through(&record).unwrap();
        read.extend(batch.records().iter().take(through + 1).map(|it| it.data().to_vec()));
        listener.shutdown().now();
        end(listener).unwrap();
        team.check_released();
        let sub = team.table.row(&id(0)).unwrap()["checkpointSubSequenceNumber"].clone();
        // As Amazon's library counts them: from zero.
        assert_eq!(sub, ((read.len() - 1) as u64).into());
    }
    let rest = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&rest);
    let last = open("last").spawn(move |batch| {
        kept.lock().extend(batch.records().iter().map(|it| it.data().to_vec()));
        Ok(())
    });
    let last = last.unwrap();
    until(|| "the plain record".into(), || rest.lock().last() == Some(&b"plain".to_vec()));
    drain(last);
    read.extend(rest.lock().clone());
    assert_eq!(read, wanted);
}
