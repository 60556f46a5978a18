//! What is no lease, or one with values that nobody understands.

use super::super::checkpoint::WHOLE;
use super::super::names;
use super::super::row::{Misread, Other};
use super::*;

fn plain() -> Item {
    Item::from([
        (KEY.to_owned(), SHARD.into()),
        (names::COUNTER.to_owned(), 7_u64.into()),
        (names::CHECKPOINT.to_owned(), "TRIM_HORIZON".into()),
    ])
}

fn with(name: &str, value: impl Into<Attribute>) -> Item {
    let mut item = plain();
    item.insert(name.to_owned(), value.into());
    item
}

fn n(text: &str) -> Attribute {
    Attribute::N(text.to_owned())
}

#[test]
fn the_least_row_of_a_lease_is_read() {
    let row = lease(&plain());
    assert_eq!((row.counter, row.checkpoint.sub), (7, None));
    assert_eq!((row.owner, row.holder, row.failover, row.limit), (None, None, None, None));
}

#[test]
fn what_has_no_counter_or_no_key_is_no_lease() {
    for name in [names::COUNTER, KEY] {
        let mut item = with(names::ENTITY, names::LEASE);
        item.remove(name);
        let other = if name == KEY { Other::NoKey } else { Other::NoCounter };
        assert_eq!(read(&item), Ok(Seen::Other(other)), "{name}");
    }
    // What an update leaves that finds no row, and has no condition.
    let stub = Item::from([(KEY.to_owned(), SHARD.into()), ("checkpoint".into(), "7".into())]);
    assert_eq!(read(&stub), Ok(Seen::Other(Other::NoCounter)));
}

#[test]
fn the_kind_of_a_row_decides_before_its_values() {
    let mut item = with(names::ENTITY, "SOMETHING_NEW");
    item.insert(names::COUNTER.into(), "no number".into());
    assert_eq!(read(&item), Ok(Seen::Other(Other::Entity("SOMETHING_NEW".into()))));
    let no_text = with(names::ENTITY, 1_u64);
    assert_eq!(read(&no_text), Ok(Seen::Other(Other::Entity(String::new()))));
    // `cv` alone does not make a lease a row of the protocol.
    assert!(matches!(read(&with(names::CLIENT_VERSION, "CLIENT_VERSION_3X")), Ok(Seen::Lease(_))));
}

#[test]
fn values_that_do_not_fit_are_refused_by_name() {
    let too_large = "9223372036854775807";
    for (name, value) in [
        (names::COUNTER, n(too_large)),
        (names::COUNTER, n("9223372036854775808")),
        (names::COUNTER, n("18446744073709551616")),
        (names::COUNTER, n("-1")),
        (names::COUNTER, n("1.5")),
        (names::COUNTER, "7".into()),
        (names::SWITCHES, n("-1")),
        (names::SUB, n("9223372036854775808")),
        (names::SUB, n("18446744073709551615")),
        (names::SUB, n("-1")),
        (names::SUB, "0".into()),
        (names::CHECKPOINT, "".into()),
        (names::CHECKPOINT, "007".into()),
        (names::CHECKPOINT, "SHARD_ENDED".into()),
        (names::CHECKPOINT, n("7")),
        (names::OWNER, n("7")),
        (names::CHECKPOINT_OWNER, Attribute::Null),
        (names::CHILDREN, "shardId-000000000001".into()),
        (names::PARENTS, Attribute::L(vec!["a".into()])),
        (names::HOLDER, n("1")),
        (names::FROM, n("99999999999999999999")),
        (names::FROM, "5".into()),
        (names::END, "no number".into()),
        (names::FAILOVER, n("-5")),
        (names::LIMIT, n("-1")),
        (names::LIMIT, "5".into()),
        (names::STREAM, n("5")),
    ] {
        match read(&with(name, value.clone())) {
            Err(Misread::Invalid { key, name: found, .. }) => {
                assert_eq!((key.as_str(), found), (SHARD, name));
            }
            other => panic!("{name} {value:?}: {other:?}"),
        }
    }
    let mut without = plain();
    without.remove(names::CHECKPOINT);
    assert!(matches!(read(&without), Err(Misread::Invalid { name: names::CHECKPOINT, .. })));
}

#[test]
fn the_largest_values_that_fit_are_read() {
    assert_eq!(lease(&with(names::COUNTER, n("9223372036854775806"))).counter, WHOLE - 1);
    assert_eq!(lease(&with(names::SUB, n("9223372036854775807"))).checkpoint.sub, Some(WHOLE));
    assert!(read(&with(names::FROM, n("-9223372036854775808"))).is_ok());
}

#[test]
fn a_range_of_hash_keys_only_decorates() {
    for (start, end) in [("0", "340282366920938463463374607431768211456"), ("-1", "5"), ("", "5")] {
        let mut item = with(names::HASH_START, start);
        item.insert(names::HASH_END.into(), end.into());
        assert_eq!(lease(&item).hash_keys, None);
    }
    assert_eq!(lease(&with(names::HASH_START, "0")).hash_keys, None);
}

#[test]
fn a_row_of_another_stream_is_told_by_its_stream() {
    let row = lease(&with(names::STREAM, "orders"));
    assert_eq!(row.check_stream("orders"), Ok(()));
    assert_eq!(lease(&plain()).check_stream("orders"), Ok(()));
    let found = "orders".to_owned();
    assert_eq!(
        row.check_stream("payments"),
        Err(Misread::OtherStream { key: SHARD.into(), found })
    );
}

#[test]
fn who_has_a_lease_is_told_by_who_was_asked_unless_it_was_taken_since() {
    let row = |owner, of, asker| Row {
        owner: Some(str::to_owned(owner)),
        checkpoint_owner: Option::map(of, str::to_owned),
        asker: Option::map(asker, str::to_owned),
        ..lease(&plain())
    };
    for (owner, of, asker, giver, has) in [
        ("me", None, None, None, "me"),
        // A request of ours, and one of KCL 3.
        ("me", Some("other"), Some("me"), Some("other"), "other"),
        ("java", Some("me"), None, Some("me"), "me"),
        // A take of KCL after a request, one of which the holder has let go, and one after that.
        ("java", Some("me"), Some("other"), None, "java"),
        ("java", None, Some("other"), None, "java"),
    ] {
        let row = row(owner, of, asker);
        assert_eq!((row.giver(), row.working_owner()), (giver, Some(has)), "{row:?}");
    }
    let free = Row { owner: None, ..row("me", None, None) };
    assert_eq!((free.giver(), free.working_owner()), (None, None));
}

#[test]
fn a_tenure_is_told_from_others_of_its_process_and_of_other_processes() {
    let (first, second) = (Holder::new(PROCESS, 1), Holder::new(PROCESS, 2));
    assert_ne!(first, second);
    assert_eq!((first.process(), second.process()), (PROCESS, PROCESS));
    let foreign = lease(&with(names::HOLDER, "something else")).holder.unwrap();
    assert_eq!((foreign.process(), foreign.text()), ("something else", "something else"));
    assert_eq!(Holder::new("a#b", 1).process(), "a#b");
}
