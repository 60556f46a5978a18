//! Splits and merges that two consumers read together.

use std::collections::BTreeMap;

use crate::common::{STREAM, id};
use crate::team::{FAILOVER, Team, drain, is_done};

/// Every batch of a shard was handled before the first one of its children, whoever handled them.
#[track_caller]
fn check_order(team: &Team) {
    let handled = team.handled();
    let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
    for (place, it) in handled.iter().enumerate() {
        first.entry(it.shard.clone()).or_insert(place);
        last.insert(it.shard.clone(), place);
    }
    let shards = team.kinesis.shards(STREAM);
    let mut pairs = 0;
    for shard in &shards {
        for parent in shard.parents() {
            let (Some(begun), Some(done)) = (first.get(shard.id()), last.get(parent)) else {
                continue;
            };
            assert!(done < begun, "{} before the end of {parent}: {handled:#?}", shard.id());
            assert!(handled[*done].ends_shard);
            pairs += 1;
        }
    }
    assert!(pairs > 0);
}

#[test]
fn children_are_read_after_their_parents_across_consumers() {
    let team = Team::new(4, FAILOVER);
    let consumers = ["one", "two"].map(|worker| team.join(worker));
    team.wait_for_shares(&[("one", 2), ("two", 2)]);
    team.put(3);
    // Of each consumer's shards one is split, and a pair that may be of both is merged.
    let held = |worker: &str| {
        let is_its = |shard: &String| team.text(shard, "leaseOwner").as_deref() == Some(worker);
        team.open_shards().into_iter().filter(is_its).collect::<Vec<_>>()
    };
    for shard in [&held("one")[0], &held("two")[0]] {
        team.kinesis.split(STREAM, shard);
    }
    team.put(3);
    let open = team.open_shards();
    let shards = team.kinesis.shards(STREAM);
    let keys = |id: &str| shards.iter().find(|it| it.id() == id).unwrap().hash_keys();
    let mut open: Vec<_> = open.iter().map(|id| (keys(id).start, id)).collect();
    open.sort();
    team.kinesis.merge(STREAM, open[2].1, open[3].1);
    team.put(3);
    team.wait_for_all();
    drain_all(&team, consumers);
    team.check_once();
    check_order(&team);
    let done = team.table.rows().iter().filter(|row| is_done(row)).count();
    assert_eq!(done, 4, "two were split, and two were merged");
}

#[track_caller]
fn drain_all<const N: usize>(team: &Team, consumers: [kinesis_consumer::Listener; N]) {
    consumers.into_iter().for_each(drain);
    team.check_released();
}

#[test]
fn a_tree_that_was_there_before_is_read_from_its_root_by_all_together() {
    let team = Team::new(2, FAILOVER);
    for round in 0..5 {
        team.put(2);
        let open = team.open_shards();
        team.kinesis.split(STREAM, &open[round % open.len()]);
    }
    team.put(2);
    let consumers = ["one", "two", "three"].map(|worker| team.join(worker));
    team.wait_for_all();
    team.put(2);
    team.wait_for_all();
    drain_all(&team, consumers);
    team.check_once();
    check_order(&team);
}

#[test]
fn a_consumer_that_leaves_during_a_split_leaves_the_children_to_the_others() {
    let team = Team::new(1, FAILOVER);
    let leaves = team.join("leaves");
    team.wait_for_shares(&[("leaves", 1)]);
    team.put(3);
    team.kinesis.split(STREAM, &id(0));
    team.put(3);
    let stays = team.join("stays");
    drain(leaves);
    team.wait_for_all();
    drain_all(&team, [stays]);
    team.check_once();
    check_order(&team);
}
