//! What a consumer of a fleet is given that it cannot be: each is an error that names the setting, and the table is not
//! touched.

use std::time::{Duration, SystemTime};

use kinesis_consumer::leases::LeaseTableErrorKind;
use kinesis_consumer::testing::TableFault;
use kinesis_consumer::{
    Error, Fleet, Import, ImportError, IteratorType, StoreErrorKind, Stream, export_positions,
    import_positions,
};

use crate::common::loopback::{chain, says};
use crate::common::{HOUR, STREAM, id};
use crate::tables::{Watched, failure};
use crate::team::{FAILOVER, Team, config, drain};

/// The setting that is out of range, and the whole text.
#[track_caller]
fn named(result: Result<Stream, Error>) -> (&'static str, String) {
    let error = result.unwrap_err();
    let text = error.to_string();
    match error {
        Error::InvalidSetting { setting, .. } => (setting, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_setting_of_a_fleet_that_is_out_of_range_is_named_with_its_value() {
    let team = Team::new(1, FAILOVER);
    let open = |adjust: &dyn Fn(Fleet) -> Fleet| {
        let fleet = adjust(team.fleet("one"));
        Stream::new(team.kinesis.clone(), STREAM, fleet, config())
    };
    let (long, day) = ("w".repeat(129), 24 * HOUR);
    for id in ["", "a/b", "a#b", "a b", "a\n", "wörker", &long] {
        let (setting, text) = named(open(&|fleet| fleet.worker_id(id)));
        assert_eq!(setting, "worker_id", "{id:?}");
        says(&text, &["worker id", "128"]);
    }
    for time in [Duration::ZERO, Duration::from_millis(999), HOUR + Duration::from_millis(1)] {
        let (setting, text) = named(open(&|fleet| fleet.failover(time)));
        assert_eq!(setting, "failover", "{time:?}");
        says(&text, &["1 s", "60 min"]);
    }
    assert_eq!(named(open(&|fleet| fleet.max_leases(0))).0, "max_leases");
    let patience = day + Duration::from_millis(1);
    assert_eq!(named(open(&|fleet| fleet.handoff_patience(patience))).0, "handoff_patience");
    assert_eq!(named(open(&|fleet| fleet.read_budget(0))).0, "read_budget");
    // The last ones that are in it.
    let least = |fleet: Fleet| {
        let fleet = fleet.worker_id("w").failover(Duration::from_secs(1)).max_leases(1);
        fleet.handoff_patience(Duration::ZERO).read_budget(1)
    };
    let most = |fleet: Fleet| {
        let fleet = fleet.worker_id("~".repeat(128)).failover(HOUR).max_leases(usize::MAX);
        fleet.handoff_patience(day).read_budget(u32::MAX)
    };
    assert!(open(&least).is_ok() && open(&most).is_ok());
    assert_eq!(team.table.calls(), 0);
}

#[test]
fn settings_that_a_fleet_leaves_no_room_for_are_named_and_the_others_still_hold() {
    let team = Team::new(2, FAILOVER);
    let mut stream = team.open(team.fleet("one"));
    let unknown = "no such shard";
    let attempts: [(&str, Result<(), Error>); 5] = [
        ("choose", stream.choose([id(0).as_str()]).map(drop)),
        ("choose", stream.choose([unknown]).map(drop)),
        ("choose", stream.choose([]).map(drop)),
        ("start_at", stream.start_at(&id(0), IteratorType::Latest).map(drop)),
        ("store_key", stream.store_key("other").map(drop)),
    ];
    for (wanted, result) in attempts {
        let Err(Error::InvalidSetting { setting, reason, .. }) = result else {
            panic!("{result:?}")
        };
        assert_eq!(setting, wanted);
        says(&reason, &["fleet"]);
    }
    let number = || "17".parse().unwrap();
    for at in
        [IteratorType::AtSequenceNumber(number()), IteratorType::AfterSequenceNumber(number())]
    {
        let config = config().iterator_type(at);
        let opened = Stream::new(team.kinesis.clone(), STREAM, team.fleet("one"), config);
        assert_eq!(named(opened).0, "iterator_type");
    }
    for at in [IteratorType::Latest, IteratorType::AtTimestamp(SystemTime::UNIX_EPOCH)] {
        let config = config().iterator_type(at);
        assert!(Stream::new(team.kinesis.clone(), STREAM, team.fleet("one"), config).is_ok());
    }
    assert_eq!(team.table.calls(), 0);
    // What was refused has changed nothing.
    team.put(1);
    let listener = team.spawn("one", stream);
    team.wait_for_all();
    drain(listener);
    team.check_once();
}

#[test]
fn positions_of_a_fleet_are_exported_and_an_import_into_it_is_refused() {
    let team = Team::new(2, FAILOVER);
    team.put(3);
    let listener = team.join("one");
    team.wait_for_all();
    drain(listener);
    let before = team.table.rows();

    let json = export_positions(&team.fleet("reader"), STREAM).unwrap();
    let last = |shard: usize| team.text(&id(shard), "checkpoint").unwrap();
    for shard in 0..2 {
        says(&json, &[&format!(r#""{}": {{"after": "{}"}}"#, id(shard), last(shard))]);
    }
    for import in [Import::Forward, Import::Overwrite] {
        let error = import_positions(&team.fleet("writer"), &json, import).unwrap_err();
        let ImportError::Store { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), StoreErrorKind::Fatal);
        says(&chain(&error), &["the consumer that holds the lease"]);
    }
    assert_eq!(team.table.rows(), before);
}

#[test]
fn positions_of_a_table_that_cannot_be_read_are_an_error() {
    let team = Team::new(1, FAILOVER);
    let gone = Watched::new(&team.table, |_| Err(failure(LeaseTableErrorKind::NoTable)));
    let error = export_positions(&team.fleet_on(gone, "reader"), STREAM).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Fatal);
    says(&chain(&error), &["the table said no"]);
    team.table.fail_next(1, TableFault::Refused(LeaseTableErrorKind::Throttled));
    let error = export_positions(&team.fleet("reader"), STREAM).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Retry);
}

#[test]
fn positions_are_those_of_the_stream_that_is_named_by_its_name_or_its_arn_or_an_error() {
    let team = Team::new(1, FAILOVER);
    team.put(1);
    let listener = team.join("one");
    team.wait_for_all();
    drain(listener);
    let export = |stream: &str| export_positions(&team.fleet("reader"), stream);
    let arn = format!("arn:aws:kinesis:eu-west-1:123456789012:stream/{STREAM}");
    for stream in [STREAM, &arn] {
        says(&export(stream).unwrap(), &[&id(0), &team.text(&id(0), "checkpoint").unwrap()]);
    }
    let error = export("payments").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Fatal);
    says(&chain(&error), &["is about the stream \"orders\"", "a table of its own"]);
}
