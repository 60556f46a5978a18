//! The conditions of the writes, and what they change.

use std::time::UNIX_EPOCH;

use serde_json::json;

use super::super::names;
use super::super::refused::Verdict;
use super::super::writes::{AtEnd, Birth, ask, create, let_go, retire, withdraw};
use super::json::to_json;
use super::*;
use crate::model::position::Position;
use crate::model::shard::HashKeyRange;
use crate::model::write::{Act, Change};

/// One write of each kind but the creation, all of which need a row.
pub(super) fn all(key: &str) -> Vec<Write> {
    let me = Tenure { shard: key.into(), ..tenure("me", 1) };
    let (mut seen, at) = (owned_by("other"), number("7"));
    seen.shard = key.into();
    vec![
        me.take(&seen, &marks()),
        me.accept(&seen, &marks()),
        me.beat(),
        me.tell(&marks()),
        me.commit(&at, &number("8")),
        me.reset(&at, &Checkpoint::trim_horizon()),
        ask(&seen, "me").unwrap(),
        withdraw(key, "me", "other"),
        let_go(&Row { owner: Some("me".into()), ..seen.clone() }, "me", PROCESS).unwrap(),
        me.hand_over("other"),
        me.release(),
        me.end(&at, &"9".parse().unwrap(), AtEnd::Keep),
        me.end(&at, &"9".parse().unwrap(), AtEnd::Release),
        me.children(&set(&["a"])),
        retire(key),
    ]
}

/// What a scan has seen of a lease.
fn owned_by(owner: &str) -> Row {
    let table = MemoryLeases::new();
    table.put(java(owner, 7));
    row(&table)
}

/// A row as KCL writes it.
fn java(owner: &str, counter: u64) -> Item {
    Item::from([
        (KEY.to_owned(), SHARD.into()),
        (names::COUNTER.to_owned(), counter.into()),
        (names::OWNER.to_owned(), owner.into()),
        (names::CHECKPOINT.to_owned(), "7".into()),
        (names::SUB.to_owned(), 0_u64.into()),
        (names::SWITCHES.to_owned(), 0_u64.into()),
    ])
}

/// A table with one lease, which this tenure holds.
pub(super) fn held(me: &Tenure) -> MemoryLeases {
    let table = MemoryLeases::new();
    let birth = Birth { tenure: Some(me.clone()), ..birth() };
    done(&table, &create(&birth, &marks()));
    table
}

fn birth() -> Birth {
    Birth {
        shard: SHARD.into(),
        parents: set(&[]),
        hash_keys: HashKeyRange::ALL,
        checkpoint: Checkpoint::trim_horizon(),
        tenure: None,
    }
}

/// Those of a holder that wants this many leases at most.
fn limited(limit: usize) -> Marks {
    Marks { limit: Some(limit), ..marks() }
}

/// What KCL does when it takes a lease: its own attributes change, ours stay.
fn stolen_by_java(table: &MemoryLeases) {
    let mut item = table.get(SHARD).unwrap().unwrap();
    let counter = lease(&item).counter + 1;
    item.insert(names::OWNER.into(), "java".into());
    item.insert(names::COUNTER.into(), counter.into());
    table.put(item);
}

#[test]
fn no_write_but_the_creation_makes_a_row() {
    let table = MemoryLeases::new();
    for write in all(SHARD) {
        assert_eq!(refused(&table, &write), None, "{write:?}");
        assert!(table.rows().is_empty(), "{write:?}");
    }
}

#[test]
fn a_lease_is_created_as_kcl_creates_it_with_our_marks() {
    let table = MemoryLeases::new();
    let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let latest = Checkpoint::since(time, &At::Latest);
    let parents = set(&["shardId-000000000003"]);
    let birth = Birth { parents, checkpoint: latest, tenure: Some(tenure("me", 3)), ..birth() };
    done(&table, &create(&birth, &limited(12)));
    let wanted = json!({
        "leaseKey": {"S": SHARD},
        "leaseCounter": {"N": "0"},
        "leaseOwner": {"S": "me"},
        "checkpoint": {"S": "LATEST"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "parentShardId": {"SS": ["shardId-000000000003"]},
        "startingHashKey": {"S": "0"},
        "endingHashKey": {"S": "340282366920938463463374607431768211455"},
        "kcHolder": {"S": "me/a1b2c3#3"},
        "kcFrom": {"N": "1700000000123"},
        "kcFailover": {"N": "10000"},
        "kcLimit": {"N": "12"},
        "kcStream": {"S": "orders"},
        "kcFormat": {"N": "1"},
    });
    assert_eq!(to_json(&table.get(SHARD).unwrap().unwrap()), wanted);
    let row = row(&table);
    assert!(tenure("me", 3).holds(&row));
    assert_eq!(
        (row.failover, row.limit, row.stream.as_deref()),
        (Some(Duration::from_secs(10)), Some(12), Some("orders"))
    );
}

#[test]
fn a_lease_that_is_there_is_not_created_again() {
    let table = held(&tenure("me", 1));
    let before = table.rows();
    assert_eq!(refused(&table, &create(&birth(), &marks())), Some(before[0].clone()));
    assert_eq!(table.rows(), before);
}

#[test]
fn a_lease_without_an_owner_or_parents_names_none() {
    let table = MemoryLeases::new();
    done(&table, &create(&birth(), &marks()));
    let item = table.get(SHARD).unwrap().unwrap();
    for name in [names::OWNER, names::HOLDER, names::PARENTS, names::FROM, names::END] {
        assert!(!item.contains_key(name), "{name}");
    }
}

#[test]
fn a_row_says_how_many_leases_its_holder_wants_while_it_holds_one() {
    let (mine, table) = (tenure("me", 1), MemoryLeases::new());
    assert_eq!(done(&table, &create(&birth(), &limited(5))).limit, None, "nobody holds it");
    let taken = done(&table, &mine.take(&row(&table), &limited(5)));
    assert_eq!(taken.limit, Some(5));
    for write in [
        mine.beat(),
        mine.commit(&taken.checkpoint, &number("8")),
        mine.children(&set(&["a"])),
        ask(&taken, "other").unwrap(),
    ] {
        assert_eq!(done(&table, &write).limit, Some(5), "{write:?}");
    }
    assert_eq!(done(&table, &mine.hand_over("other")).limit, None, "the other has not said it");
    let other = tenure("other", 1);
    let accepted = done(&table, &other.accept(&row(&table), &limited(0)));
    assert_eq!(accepted.limit, Some(0));
    assert_eq!(done(&table, &mine.take(&accepted, &marks())).limit, None, "it has no limit");
    done(&table, &tenure("me", 2).take(&row(&table), &limited(7)));
    assert_eq!(done(&table, &tenure("me", 2).release()).limit, None);
    let largest = done(&table, &mine.take(&row(&table), &limited(usize::MAX)));
    assert!(largest.limit > Some(1 << 60), "{largest:?}");
}

#[test]
fn a_lease_is_taken_only_if_its_counter_stands_still() {
    let table = MemoryLeases::new();
    table.put(java("java", 7));
    let seen = row(&table);
    table.put(java("java", 8));
    refused(&table, &tenure("me", 1).take(&seen, &marks()));
    let taken = done(&table, &tenure("me", 1).take(&row(&table), &marks()));
    assert_eq!((taken.owner.as_deref(), taken.counter), (Some("me"), 9));
    // Who has seen the row before that is too late.
    refused(&table, &tenure("other", 2).take(&Row { counter: 8, ..seen }, &marks()));
}

#[test]
fn a_take_counts_the_change_of_owner_and_ends_a_request() {
    for (owner, checkpoint_owner, switches) in [
        (Some("java"), None, 1_u64),
        (None, None, 0),
        (Some("me"), None, 0),
        (Some("me"), Some("java"), 1),
        (Some("java"), Some("me"), 0),
    ] {
        let (table, mut item) = (MemoryLeases::new(), java("x", 7));
        item.remove(names::OWNER);
        for (name, value) in [(names::OWNER, owner), (names::CHECKPOINT_OWNER, checkpoint_owner)] {
            item.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        table.put(item);
        let taken = done(&table, &tenure("me", 1).take(&row(&table), &marks()));
        let case = format!("{owner:?} {checkpoint_owner:?}");
        let counted = &table.get(SHARD).unwrap().unwrap()[names::SWITCHES];
        assert_eq!((counted, taken.checkpoint_owner), (&switches.into(), None), "{case}");
    }
}

#[test]
fn every_write_of_the_holder_is_refused_to_everybody_else() {
    let strangers = [
        tenure("me", 2),
        tenure("other", 1),
        Tenure { worker: "other".into(), ..tenure("me", 1) },
        Tenure { holder: Holder::new("another process", 1), ..tenure("me", 1) },
    ];
    let mine = tenure("me", 1);
    let at = Checkpoint::trim_horizon();
    let writes = |it: &Tenure| {
        vec![
            it.beat(),
            it.commit(&at, &number("8")),
            it.reset(&at, &at),
            it.children(&set(&["a"])),
            it.end(&at, &"9".parse().unwrap(), AtEnd::Keep),
            it.end(&at, &"9".parse().unwrap(), AtEnd::Release),
            it.release(),
        ]
    };
    for stranger in &strangers {
        let table = held(&mine);
        let before = table.rows();
        for write in writes(stranger) {
            refused(&table, &write);
        }
        assert_eq!(table.rows(), before, "{stranger:?}");
    }
    for write in writes(&mine) {
        let (owned, asked) = (held(&mine), held(&mine));
        let ask = ask(&row(&asked), "other").unwrap();
        done(&asked, &ask);
        for table in [owned, asked] {
            let after = done(&table, &write);
            assert_eq!(after.counter, 1, "a taker with an older scan is refused: {write:?}");
        }
        let stolen = held(&mine);
        stolen_by_java(&stolen);
        refused(&stolen, &write);
    }
}

#[test]
fn a_beat_shows_who_asks() {
    let table = held(&tenure("me", 1));
    done(&table, &ask(&row(&table), "other").unwrap());
    let beat = done(&table, &tenure("me", 1).beat());
    assert_eq!(beat.owner.as_deref(), Some("other"));
    assert_eq!(beat.checkpoint_owner.as_deref(), Some("me"));
}

#[test]
fn a_commit_compares_what_stands_in_the_row() {
    let me = tenure("me", 1);
    let old = Checkpoint { sub: None, ..number("7") };
    let since = Checkpoint::since(UNIX_EPOCH, &At::Latest);
    let end = Checkpoint::ended(&"7".parse().unwrap());
    let states = [Checkpoint::trim_horizon(), since, old, number("7"), number("8"), end, {
        Checkpoint { sub: Some(1), ..number("7") }
    }];
    for (i, stands) in states.iter().enumerate() {
        for (j, was) in states.iter().enumerate() {
            let table = held(&me);
            let mut item = table.get(SHARD).unwrap().unwrap();
            item.insert(names::CHECKPOINT.into(), stands.at.text().into());
            item.remove(names::SUB);
            item.extend(stands.sub.map(|sub| (names::SUB.to_owned(), sub.into())));
            table.put(item);
            let applied = table.apply(&me.commit(was, &number("9"))).unwrap();
            let is_done = matches!(applied, Applied::Done(_));
            assert_eq!(is_done, i == j, "{stands:?} {was:?}");
        }
    }
}

#[test]
fn a_commit_stores_the_position_and_forgets_what_was_before_it() {
    let (me, table) = (tenure("me", 1), MemoryLeases::new());
    let mut item = java("me", 7);
    item.insert(names::HOLDER.into(), me.holder.text().into());
    item.insert(names::PENDING.into(), "9".into());
    item.insert(names::PENDING_SUB.into(), 0_u64.into());
    item.insert(names::PENDING_STATE.into(), Attribute::B(vec![1]));
    item.insert(names::SWITCHES.into(), 4_u64.into());
    item.insert(names::FROM.into(), 5_u64.into());
    table.put(item);
    let position = Position::After { sequence: "8".parse().unwrap(), sub: 3 };
    let to = Checkpoint::of(&position, &number("7"));
    let after = done(&table, &me.commit(&number("7"), &to));
    let item = table.get(SHARD).unwrap().unwrap();
    assert_eq!((after.checkpoint, &item[names::SWITCHES]), (to.clone(), &0_u64.into()));
    for name in [names::PENDING, names::PENDING_SUB, names::PENDING_STATE, names::FROM] {
        assert!(!item.contains_key(name), "{name}");
    }
    // Back to a time, which KCL reads as "latest".
    let since = Checkpoint::since(UNIX_EPOCH + Duration::from_millis(9), &to.at);
    let reset = done(&table, &me.reset(&to, &since));
    assert_eq!(reset.checkpoint, since);
    // And from an end to the beginning.
    done(&table, &me.end(&since, &"9".parse().unwrap(), AtEnd::Keep));
    let end = row(&table).checkpoint;
    let reset = done(&table, &me.reset(&end, &Checkpoint::trim_horizon()));
    assert_eq!(reset.checkpoint, Checkpoint::trim_horizon());
}

#[test]
fn no_number_that_is_written_is_too_large_for_java() {
    let largest = Position::After { sequence: "8".parse().unwrap(), sub: u64::MAX };
    let to = Checkpoint::of(&largest, &number("7"));
    let write = tenure("me", 1).commit(&number("7"), &to);
    let Act::Update(update) = write.act() else { panic!("{write:?}") };
    let Change::Set(sub) = &update.changes()[names::SUB] else { panic!("{write:?}") };
    assert!(sub.number().unwrap().parse::<i64>().is_ok(), "{sub:?}");
}

#[test]
fn a_lease_is_asked_for_handed_over_and_accepted() {
    let (old, new) = (tenure("me", 1), tenure("other", 1));
    let table = held(&old);
    done(&table, &old.beat());
    let asked = done(&table, &ask(&row(&table), "other").unwrap());
    assert_eq!(asked.counter, 1, "the counter stays: the holder may have died meanwhile");
    assert!(old.holds(&asked) && !new.holds(&asked));
    refused(&table, &new.accept(&asked, &marks()));
    refused(&table, &old.hand_over("third"));
    done(&table, &old.commit(&Checkpoint::trim_horizon(), &number("8")));
    let given = done(&table, &old.hand_over("other"));
    assert_eq!(
        (given.owner.as_deref(), given.checkpoint_owner.as_deref(), given.counter),
        (Some("other"), None, 3)
    );
    refused(&table, &old.beat());
    refused(&table, &old.hand_over("other"));
    refused(&table, &tenure("third", 1).accept(&given, &marks()));
    let accepted = done(&table, &new.accept(&row(&table), &marks()));
    assert!(new.holds(&accepted) && !old.holds(&accepted));
    assert_eq!(accepted.checkpoint, number("8"));
}

#[test]
fn a_lease_that_was_handed_over_is_accepted_once() {
    let table = MemoryLeases::new();
    table.put(java("me", 7));
    let seen = row(&table);
    let twin = Tenure { holder: Holder::new("another process", 1), ..tenure("me", 1) };
    done(&table, &tenure("me", 1).accept(&seen, &marks()));
    refused(&table, &twin.accept(&seen, &marks()));
    assert!(tenure("me", 1).holds(&row(&table)));
}

#[test]
fn only_the_tenure_that_is_asked_hands_over() {
    let me = tenure("me", 1);
    let table = held(&me);
    done(&table, &ask(&row(&table), "other").unwrap());
    refused(&table, &tenure("me", 2).hand_over("other"));
    // KCL that takes the lease leaves the tenure in the row.
    let table = held(&me);
    stolen_by_java(&table);
    refused(&table, &me.hand_over("java"));
    assert_eq!(row(&table).counter, 1);
}

/// KCL 2 knows nothing of requests: it changes the owner, and leaves who still holds the lease.
#[test]
fn what_kcl_2_takes_while_it_is_asked_for_goes_to_kcl_and_loses_no_position() {
    let me = tenure("me", 1);
    let table = held(&me);
    done(&table, &ask(&row(&table), "other").unwrap());
    let mut item = table.get(SHARD).unwrap().unwrap();
    item.insert(names::OWNER.into(), "java".into());
    item.insert(names::COUNTER.into(), 1_u64.into());
    table.put(item.clone());
    // It is not who has asked.
    refused(&table, &me.beat());
    assert!(!me.holds(&row(&table)));
    // KCL commits first: nothing goes back.
    item.insert(names::CHECKPOINT.into(), "9".into());
    table.put(item);
    let was = Checkpoint::trim_horizon();
    let found = refused(&table, &me.commit(&was, &number("8")));
    let verdict = me.commit_refused(&number("8"), found.as_ref());
    assert_eq!(verdict, Verdict::Ahead { held: false });
    refused(&table, &me.hand_over("other"));
    refused(&table, &me.release());
    assert_eq!(row(&table).checkpoint, number("9"));
}

#[test]
fn a_lease_that_comes_back_is_not_the_former_tenures() {
    let former = tenure("me", 1);
    let table = held(&former);
    done(&table, &ask(&row(&table), "java").unwrap());
    done(&table, &former.hand_over("java"));
    // KCL names no tenure while it holds the lease, nor when it hands the lease back.
    let mut item = table.get(SHARD).unwrap().unwrap();
    item.insert(names::OWNER.into(), "me".into());
    table.put(item);
    refused(&table, &former.beat());
    refused(&table, &former.commit(&Checkpoint::trim_horizon(), &number("9")));
    done(&table, &tenure("me", 2).accept(&row(&table), &marks()));
}

#[test]
fn a_request_that_is_withdrawn_leaves_the_row_as_it_was() {
    let theirs = tenure("other", 1);
    for table in [held(&theirs), MemoryLeases::new()] {
        if table.rows().is_empty() {
            table.put(java("other", 7));
        }
        let before = table.rows();
        refused(&table, &withdraw(SHARD, "me", "other"));
        done(&table, &ask(&row(&table), "me").unwrap());
        refused(&table, &withdraw(SHARD, "me", "third"));
        refused(&table, &withdraw(SHARD, "third", "other"));
        // Its counter too: KCL renews by it.
        done(&table, &withdraw(SHARD, "me", "other"));
        assert_eq!(table.rows(), before);
        // Before the holder has seen anything, the next one asks.
        done(&table, &ask(&row(&table), "third").unwrap());
        refused(&table, &withdraw(SHARD, "me", "other"));
    }
}

#[test]
fn a_request_that_is_withdrawn_is_not_handed_over_and_the_holder_writes_on() {
    let theirs = tenure("other", 1);
    let table = held(&theirs);
    done(&table, &ask(&row(&table), "me").unwrap());
    done(&table, &theirs.beat());
    done(&table, &let_go(&row(&table), "me", PROCESS).unwrap());
    let found = refused(&table, &theirs.hand_over("me"));
    assert_eq!(theirs.is_handed_over("me", found.as_ref()), Ok(false));
    done(&table, &theirs.beat());
    done(&table, &theirs.commit(&Checkpoint::trim_horizon(), &number("8")));
}

#[test]
fn a_holder_knows_a_request_that_follows_a_withdrawn_one_from_what_kcl_has_taken() {
    for name in ["third", "java"] {
        let theirs = tenure("other", 1);
        let table = held(&theirs);
        done(&table, &ask(&row(&table), "me").unwrap());
        done(&table, &theirs.beat());
        if name == "third" {
            done(&table, &withdraw(SHARD, "me", "other"));
            done(&table, &ask(&row(&table), name).unwrap());
        } else {
            stolen_by_java(&table);
        }
        match table.apply(&theirs.beat()).unwrap() {
            Applied::Done(_) => assert_eq!(name, "third"),
            Applied::Refused(found) => {
                assert_eq!((name, theirs.loss(found.as_ref()).is_some()), ("java", true));
            }
        }
    }
}

#[test]
fn what_was_handed_over_and_not_accepted_is_nobodys_when_it_is_let_go() {
    let table = held(&tenure("other", 1));
    done(&table, &ask(&row(&table), "me").unwrap());
    done(&table, &tenure("other", 1).hand_over("me"));
    let seen = row(&table);
    let free = let_go(&seen, "me", PROCESS).unwrap();
    let accepted = held(&tenure("other", 1));
    accepted.put(table.get(SHARD).unwrap().unwrap());
    let me = Tenure { holder: Holder::new("me/1", 4), ..tenure("me", 4) };
    done(&accepted, &me.accept(&seen, &marks()));
    refused(&accepted, &free);
    // What this process has accepted and does not know of is let go as well; not what a namesake has.
    let unknown = row(&accepted);
    assert!(let_go(&unknown, "me", "me/2").is_none());
    assert!(let_go(&unknown, "me", "me/1").is_some());
    assert!(let_go(&unknown, "other", "other").is_none());
    let after = done(&table, &free);
    assert_eq!((after.owner, after.checkpoint_owner, after.asker), (None, None, None));
    assert_eq!(after.counter, seen.counter + 1);
}

#[test]
fn only_another_workers_lease_is_asked_for_and_only_once() {
    let row = owned_by("java");
    assert!(ask(&row, "me").is_some());
    assert!(ask(&row, "java").is_none());
    let asked = Row { checkpoint_owner: Some("other".into()), ..row.clone() };
    assert!(ask(&asked, "me").is_none());
    assert!(ask(&Row { owner: None, ..row.clone() }, "me").is_none());

    let table = MemoryLeases::new();
    table.put(java("java", 9));
    done(&table, &ask(&row, "me").unwrap());
    refused(&table, &ask(&row, "other").unwrap());
    let table = MemoryLeases::new();
    table.put(java("another java", 7));
    refused(&table, &ask(&row, "me").unwrap());
    // Another worker holds it by now, and the one that was seen has asked for it.
    let mut asking = java("java", 7);
    asking.insert(names::CHECKPOINT_OWNER.into(), "other".into());
    table.put(asking);
    refused(&table, &ask(&row, "me").unwrap());
}

#[test]
fn a_former_tenure_gets_nothing_back_by_a_request() {
    let former = tenure("me", 1);
    let table = held(&former);
    stolen_by_java(&table);
    done(&table, &ask(&row(&table), "me").unwrap());
    // The row names the worker as its owner again, but not by that tenure.
    refused(&table, &former.beat());
    refused(&table, &former.commit(&Checkpoint::trim_horizon(), &number("9")));

    // One of ours that holds the lease keeps its tenure while it is asked.
    let table = held(&former);
    let seen = row(&table);
    done(&table, &ask(&seen, "other").unwrap());
    done(&table, &former.beat());
    // What was seen before another tenure took the lease is no longer true.
    let table = held(&former);
    stolen_by_java(&table);
    let stale = Row { owner: Some("java".into()), holder: None, ..row(&table) };
    refused(&table, &ask(&stale, "me").unwrap());
}

#[test]
fn a_released_lease_is_nobodys_and_stays_so() {
    let me = tenure("me", 1);
    for is_asked in [false, true] {
        let table = held(&me);
        if is_asked {
            done(&table, &ask(&row(&table), "other").unwrap());
        }
        let after = done(&table, &me.release());
        assert_eq!((after.owner, after.checkpoint_owner, after.holder), (None, None, None));
        assert_eq!(after.counter, 1);
        refused(&table, &me.release());
        refused(&table, &me.beat());
    }
}

#[test]
fn an_ended_lease_is_kept_or_released_as_is_said() {
    let me = tenure("me", 1);
    for (then, is_held) in [(AtEnd::Keep, true), (AtEnd::Release, false)] {
        let table = held(&me);
        refused(&table, &me.end(&number("7"), &"9".parse().unwrap(), then));
        refused(&table, &retire(SHARD));
        let end = me.end(&Checkpoint::trim_horizon(), &"9".parse().unwrap(), then);
        let ended = done(&table, &end);
        assert_eq!(ended.checkpoint, Checkpoint::ended(&"9".parse().unwrap()));
        assert_eq!((me.holds(&ended), ended.owner.is_some()), (is_held, is_held));
        done(&table, &retire(SHARD));
        assert!(table.rows().is_empty());
    }
}

/// A tenure whose nonce names its worker, as those of processes do.
fn named(worker: &str) -> Tenure {
    Tenure { holder: Holder::new(&format!("{worker}/1"), 1), ..tenure(worker, 1) }
}

#[test]
fn what_ours_has_asked_for_is_not_taken_for_kcls_before_it_is_accepted() {
    let mine = named("me");
    let table = held(&mine);
    assert!(!row(&table).is_kcls());
    done(&table, &ask(&row(&table), "other").unwrap());
    assert!(!row(&table).is_kcls());
    let handed = done(&table, &mine.hand_over("other"));
    assert!(!handed.is_kcls(), "{handed:?}");
    let other = named("other");
    let accepted = done(&table, &other.accept(&handed, &marks()));
    assert_eq!((accepted.is_kcls(), accepted.asker), (false, None));
}

#[test]
fn what_kcl_has_taken_or_asked_for_is_kcls_whoever_of_ours_has_asked_for_it_before() {
    let mine = tenure("me", 1);
    let table = held(&mine);
    done(&table, &ask(&row(&table), "other").unwrap());
    let asked = row(&table);
    // A worker of KCL takes it by its counter, as KCL does: it leaves what it does not know.
    let taken = Row { owner: Some("java".into()), checkpoint_owner: None, ..asked };
    assert!(taken.is_kcls());
    // KCL 3 has asked for it, and got it.
    assert!(Row { holder: None, ..taken }.is_kcls());
    let nobodys = done(&table, &mine.hand_over("other"));
    assert!(!Row { owner: None, ..nobodys }.is_kcls());
}

#[test]
fn a_beat_may_tell_what_has_changed_and_is_one_all_the_same() {
    let mine = tenure("me", 1);
    let table = held(&mine);
    let before = row(&table);
    let told = done(&table, &mine.tell(&limited(3)));
    assert_eq!((told.limit, told.counter), (Some(3), before.counter + 1));
    assert_eq!(told.holder, before.holder);
    assert_eq!(done(&table, &mine.tell(&marks())).limit, None);
    refused(&table, &tenure("me", 2).tell(&limited(3)));
    // Who asks for it meanwhile is still told.
    done(&table, &ask(&row(&table), "other").unwrap());
    let asked = done(&table, &mine.tell(&limited(3)));
    assert_eq!((asked.asker.as_deref(), asked.giver()), (Some("other"), Some("me")));
}
