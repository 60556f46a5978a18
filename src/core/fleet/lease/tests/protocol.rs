//! Which protocol is spoken.

use super::super::protocol::{Look, Newer, Protocol, Watch};
use super::super::row::Other;
use super::json::item;
use super::*;

/// That of KCL 2, of which nothing new is said.
const SAME: Protocol = Protocol::TwoX { changed: None };

fn says(cv: &str) -> Look {
    Look::Says(cv.to_owned())
}

fn newer(cv: &str) -> Newer {
    Newer { cv: cv.to_owned() }
}

#[test]
fn every_stage_before_the_switch_is_understood_and_nothing_else() {
    for (cv, goes_on) in [
        ("CLIENT_VERSION_INIT", true),
        ("CLIENT_VERSION_UPGRADE_FROM_2X", true),
        ("CLIENT_VERSION_2X", true),
        ("CLIENT_VERSION_3X_WITH_ROLLBACK", false),
        ("CLIENT_VERSION_3X", false),
        ("CLIENT_VERSION_4X", false),
        ("2X", false),
        ("", false),
    ] {
        for looks in [[says(cv), Look::Silent], [Look::Silent, says(cv)]] {
            let found = Watch::default().survey(&looks[0], &looks[1]);
            let refused = Protocol::Refused(newer(cv));
            assert_eq!(found, if goes_on { SAME } else { refused }, "{looks:?}");
        }
    }
    assert_eq!(Watch::default().survey(&Look::Silent, &Look::Silent), SAME);
}

#[test]
fn one_table_that_is_not_understood_is_enough() {
    let (old, new) = (says("CLIENT_VERSION_2X"), says("CLIENT_VERSION_3X"));
    for (leases, coordinator) in
        [(&old, &new), (&new, &old), (&new, &Look::Unread), (&Look::Unread, &new)]
    {
        let refused = Protocol::Refused(newer("CLIENT_VERSION_3X"));
        assert_eq!(Watch::default().survey(leases, coordinator), refused);
    }
}

#[test]
fn a_switch_is_told_once_and_is_final() {
    let mut watch = Watch::default();
    assert_eq!(watch.survey(&Look::Silent, &says("CLIENT_VERSION_2X")), SAME);
    let switched = newer("CLIENT_VERSION_3X_WITH_ROLLBACK");
    let look = says("CLIENT_VERSION_3X_WITH_ROLLBACK");
    assert_eq!(watch.survey(&Look::Silent, &look), Protocol::Turned(switched.clone()));
    for back in [look, says("CLIENT_VERSION_2X"), Look::Unread] {
        assert_eq!(watch.survey(&Look::Silent, &back), Protocol::Refused(switched.clone()));
    }
}

#[test]
fn nothing_is_known_until_both_tables_were_read_and_then_it_holds() {
    let mut watch = Watch::default();
    for (leases, coordinator, found) in [
        (Look::Silent, Look::Unread, Protocol::Unknown),
        (Look::Unread, Look::Silent, Protocol::Unknown),
        (Look::Silent, Look::Silent, SAME),
        (Look::Unread, Look::Unread, SAME),
    ] {
        assert_eq!(watch.survey(&leases, &coordinator), found);
    }
    let turned = Protocol::Turned(newer("CLIENT_VERSION_3X"));
    assert_eq!(watch.survey(&says("CLIENT_VERSION_3X"), &Look::Unread), turned);
}

#[test]
fn another_version_that_is_understood_is_told_once_and_the_first_one_is_not() {
    let (two, upgrade) = ("CLIENT_VERSION_2X", "CLIENT_VERSION_UPGRADE_FROM_2X");
    let mut watch = Watch::default();
    // Nothing is told before all was read once.
    assert_eq!(watch.survey(&says(two), &Look::Unread), Protocol::Unknown);
    for (leases, coordinator, told) in [
        (Look::Silent, says(two), None),
        (Look::Silent, says(two), None),
        (says(upgrade), Look::Silent, Some(upgrade)),
        (says(upgrade), says(two), None),
        // A scan may be old.
        (Look::Silent, Look::Unread, None),
        (Look::Silent, says(upgrade), None),
        (Look::Silent, says(two), Some(two)),
    ] {
        let changed = told.map(str::to_owned);
        assert_eq!(watch.survey(&leases, &coordinator), Protocol::TwoX { changed });
    }
    let mut silent = Watch::default();
    assert_eq!(silent.survey(&Look::Silent, &Look::Silent), SAME);
    let changed = Some(two.to_owned());
    assert_eq!(silent.survey(&Look::Silent, &says(two)), Protocol::TwoX { changed });
}

#[test]
fn the_version_is_found_in_the_rows_and_in_the_coordinators_item() {
    let row = item(include_str!("../../../../../tests/golden/leases/N1.json"));
    assert_eq!(key(&row), "Migration3.0");
    let rows = [Seen::Other(Other::NoCounter), read(&row).unwrap()];
    assert_eq!(Look::leases(&rows), says("CLIENT_VERSION_3X"));
    assert_eq!(Look::leases(&rows[..1]), Look::Silent);

    let mut own = item(include_str!("../../../../../tests/golden/leases/N1-own-table.json"));
    assert_eq!(own["key"].text(), Some("Migration3.0"));
    assert_eq!(Look::coordinator(Some(&own)), says("CLIENT_VERSION_2X"));
    // Early versions of KCL 3 do not say what it is.
    own.remove("entityType");
    assert_eq!(Look::coordinator(Some(&own)), says("CLIENT_VERSION_2X"));
    own.remove("cv");
    assert_eq!(Look::coordinator(Some(&own)), says(""));
    assert_eq!(Look::coordinator(None), Look::Silent);
}
