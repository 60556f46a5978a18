//! Tables with rows that are no leases of this stream: some are left alone, others refuse the consumer before it writes.

use std::collections::{BTreeMap, BTreeSet};

use kinesis_consumer::leases::{Attribute, Item, KEY};
use kinesis_consumer::{Error, FleetErrorKind, Stream};

use crate::common::{STREAM, id};
use crate::tables::Watched;
use crate::team::{FAILOVER, Team, config, drain, end, fresh, in_time, owner, with};

fn number(text: &str) -> Attribute {
    Attribute::N(text.into())
}

/// Why a consumer cannot join, whose table stays as it is.
#[track_caller]
fn refused(team: &Team, stream: Stream) -> FleetErrorKind {
    let before = team.table.rows();
    let result = in_time(move || stream.listen(|_| Ok(())));
    assert_eq!(team.table.rows(), before);
    match result {
        Err(Error::Fleet { stream, kind, .. }) => {
            assert_eq!(stream, STREAM);
            kind
        }
        other => panic!("{other:?}"),
    }
}

/// Why a consumer cannot join a table with this row among good ones.
#[track_caller]
fn refused_by(row: Item) -> FleetErrorKind {
    let team = Team::new(3, FAILOVER);
    team.put(1);
    for shard in 0..3 {
        team.table.put(fresh(&id(shard)));
    }
    team.table.put(row);
    refused(&team, team.open(team.fleet("one")))
}

#[test]
fn rows_of_other_kinds_stay_as_they_are_and_so_do_attributes_that_nobody_knows() {
    let team = Team::new(2, FAILOVER);
    let nested = Attribute::L(vec![Attribute::M(BTreeMap::from([("a".into(), Attribute::Null)]))]);
    let mine = [
        ("team", nested),
        ("bytes", Attribute::B(vec![0, 255])),
        ("tags", Attribute::Ss(BTreeSet::from(["x".into()]))),
        ("throughputKBps", number("1.25")),
    ];
    for shard in 0..2 {
        let row = fresh(&id(shard));
        team.table.put(mine.iter().fold(row, |row, (name, value)| with(row, name, value.clone())));
    }
    let metrics = with(Item::from([(KEY.into(), "w-1".into())]), "entityType", "WORKER_METRICS");
    let metrics = with(metrics, "cpu", Attribute::Ns(BTreeSet::from(["1".into(), "2.5".into()])));
    let odd = with(fresh("odd"), "entityType", 17_u64);
    let bare = Item::from([(KEY.to_owned(), "shardId-000000000009".into())]);
    let mut no_counter = fresh("shardId-000000000008");
    no_counter.remove("leaseCounter");
    let others = [metrics, odd, bare, no_counter];
    others.iter().for_each(|row| team.table.put(row.clone()));

    team.put(2);
    let consumers = ["one", "two"].map(|worker| team.join(worker));
    team.wait_for_all();
    team.wait_for_shares(&[("one", 1), ("two", 1)]);
    consumers.into_iter().for_each(drain);
    team.check_once();
    for row in &others {
        let key = row[KEY].text().unwrap();
        assert_eq!(team.table.row(key).as_ref(), Some(row));
    }
    for shard in 0..2 {
        let row = team.table.row(&id(shard)).unwrap();
        assert_ne!(row["checkpoint"], "TRIM_HORIZON".into(), "it was read");
        for (name, value) in &mine {
            assert_eq!(row.get(*name), Some(value), "{row:?}");
        }
    }
    assert_eq!(team.table.rows().len(), 6);
}

#[test]
fn a_row_with_a_value_that_no_lease_has_is_named_and_nothing_is_written() {
    let broken: [(&str, Attribute); 16] = [
        ("checkpoint", "somewhere".into()),
        ("checkpoint", "-1".into()),
        ("checkpoint", 17_u64.into()),
        ("checkpointSubSequenceNumber", number("9223372036854775808")),
        ("checkpointSubSequenceNumber", "0".into()),
        ("leaseCounter", "1".into()),
        ("leaseCounter", number("-1")),
        ("leaseCounter", number("1.5")),
        ("leaseCounter", number("9223372036854775807")),
        ("leaseCounter", number("1e30")),
        ("ownerSwitchesSinceCheckpoint", number("1e20")),
        ("leaseOwner", 1_u64.into()),
        ("checkpointOwner", Attribute::Null),
        ("childShardIds", "shardId-000000000005".into()),
        ("parentShardId", Attribute::L(vec!["shardId-000000000005".into()])),
        ("kcFrom", number("1e19")),
    ];
    for (name, value) in broken {
        let kind = refused_by(with(fresh(&id(1)), name, value.clone()));
        let FleetErrorKind::NotALeaseTable { lease, reason, .. } = kind else {
            panic!("{name} {value:?}: {kind:?}")
        };
        assert!(lease == id(1) && reason.contains(name), "{lease} {reason}");
    }
    let mut row = fresh(&id(1));
    row.remove("checkpoint");
    let kind = refused_by(row);
    assert!(matches!(kind, FleetErrorKind::NotALeaseTable { .. }), "{kind:?}");
}

#[test]
fn a_table_of_several_streams_is_refused() {
    let several = [
        with(fresh(&id(1)), "streamName", "111122223333:orders:1700000000"),
        fresh("111122223333:orders:1700000000:shardId-000000000001"),
    ];
    for row in several {
        let kind = refused_by(row.clone());
        let FleetErrorKind::NotALeaseTable { lease, .. } = kind else { panic!("{kind:?}") };
        assert_eq!(row[KEY].text(), Some(lease.as_str()));
    }
}

#[test]
fn a_table_of_a_newer_protocol_or_format_is_refused() {
    let version =
        with(Item::from([(KEY.into(), "Migration3.0".into())]), "cv", "CLIENT_VERSION_3X");
    let version = with(version, "entityType", "CLIENT_VERSION_MIGRATION");
    let kind = refused_by(version.clone());
    let is_newer = |kind: &FleetErrorKind| matches!(kind, FleetErrorKind::NewerProtocol { version, .. } if version == "CLIENT_VERSION_3X");
    assert!(is_newer(&kind), "{kind:?}");
    // The same in the table of the coordinator.
    let team = Team::new(3, FAILOVER);
    let key = with(Item::new(), "key", "Migration3.0");
    let state = version.into_iter().filter(|(name, _)| name != KEY).chain(key).collect();
    let table = Watched::new(&team.table, |_| Ok(())).coordinated(state);
    let kind = refused(&team, team.open(team.fleet_on(table, "one")));
    assert!(is_newer(&kind), "{kind:?}");

    for format in [2_u64.into(), "2024-b".into(), Attribute::N("1e40".into())] {
        let kind = refused_by(with(fresh(&id(1)), "kcFormat", format));
        let FleetErrorKind::NewerFormat { lease, format, .. } = kind else { panic!("{kind:?}") };
        assert!(lease == id(1) && !format.is_empty());
    }
}

/// A table that another stream was read with, to a position of each of its shards.
fn used(team: &Team) {
    team.put(1);
    let listener = team.join("before");
    team.wait_for_all();
    drain(listener);
}

#[test]
fn a_table_of_another_stream_with_the_same_shards_is_refused() {
    let team = Team::new(2, FAILOVER);
    used(&team);
    let before = team.table.rows();
    team.kinesis.create_stream("payments", 2);
    let other = Stream::new(team.kinesis.clone(), "payments", team.fleet("one"), config()).unwrap();
    let error = in_time(move || other.listen(|_| Ok(()))).unwrap_err();
    let Error::Fleet { stream, kind: FleetErrorKind::OtherStream { stream: found, .. }, .. } =
        error
    else {
        panic!("{error:?}")
    };
    assert!(stream == "payments" && found == STREAM, "{stream} {found}");
    assert_eq!(team.table.rows(), before);
}

#[test]
fn a_table_of_a_stream_that_was_deleted_and_created_again_is_refused() {
    let team = Team::new(2, FAILOVER);
    used(&team);
    team.kinesis.delete_stream(STREAM);
    team.kinesis.create_stream(STREAM, 2);
    let kind = refused(&team, team.open(team.fleet("one")));
    let FleetErrorKind::Recreated { shards, .. } = kind else { panic!("{kind:?}") };
    assert_eq!(shards, [id(0), id(1)]);
}

#[test]
fn a_row_that_turns_bad_while_it_is_read_ends_the_consumer_which_gives_back_its_leases() {
    let team = Team::new(2, FAILOVER);
    let listener = team.join("one");
    team.wait_for_shares(&[("one", 2)]);
    team.table.put(with(fresh("shardId-000000000007"), "kcFormat", 2_u64));
    let error = end(listener).unwrap_err();
    let is_named = matches!(
        &error,
        Error::Fleet { kind: FleetErrorKind::NewerFormat { lease, .. }, .. }
            if lease == "shardId-000000000007"
    );
    assert!(is_named, "{error:?}");
    assert!(team.table.rows().iter().all(|row| owner(row).is_none()), "{:?}", team.table.rows());
}
