//! The rules of starting, one by one: which shard may start, and where.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::core::settings::OnForeign;
use crate::core::stream::missing::PATIENCE;
use crate::model::gap::Gap;

const HALF: u128 = u128::MAX / 2;
const NOW: Duration = Duration::from_secs(100);

fn id(number: usize) -> String {
    format!("shardId-{number:012}")
}

fn shard(number: usize, parents: &[usize], hash_keys: HashKeyRange) -> Shard {
    let starting = (1000 + number).to_string().parse().unwrap();
    Shard::new(id(number), hash_keys, starting).with_parents(parents.iter().copied().map(id))
}

fn low() -> HashKeyRange {
    HashKeyRange { start: 0, end: HALF }
}

fn high() -> HashKeyRange {
    HashKeyRange { start: HALF + 1, end: u128::MAX }
}

fn closed(shard: Shard) -> Shard {
    shard.with_ending("5000".parse().unwrap())
}

/// 0 was split into 1 and 2, which were merged into 3.
fn diamond() -> Vec<Shard> {
    vec![
        closed(shard(0, &[], HashKeyRange::ALL)),
        closed(shard(1, &[0], low())),
        closed(shard(2, &[0], high())),
        shard(3, &[1, 2], HashKeyRange::ALL),
    ]
}

fn plan(iterator_type: IteratorType) -> Plan {
    Plan { stream: "orders".into(), iterator_type, chosen: None, on_foreign: OnForeign::Fail }
}

fn stored(positions: &[(usize, Position)]) -> Vec<(String, Position)> {
    positions.iter().map(|(shard, position)| (id(*shard), position.clone())).collect()
}

fn after(number: usize) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

fn end(number: usize) -> Position {
    Position::End { sequence: number.to_string().parse().unwrap() }
}

fn lineage(plan: Plan, positions: &[(usize, Position)], shards: Vec<Shard>) -> Lineage {
    let mut lineage = Lineage::new(plan, stored(positions));
    lineage.listed(NOW, shards).unwrap();
    lineage
}

/// What starts now: number and place.
fn started(lineage: &mut Lineage) -> Vec<(String, StartAt)> {
    let starts = lineage.ready(NOW).unwrap();
    starts.into_iter().map(|start| (start.shard.id().into(), start.at)).collect()
}

fn fresh(number: usize, at: IteratorType) -> (String, StartAt) {
    (id(number), StartAt::Fresh(at))
}

#[test]
fn a_child_starts_after_all_its_parents_and_once() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::TrimHorizon)]);
    assert_eq!(started(&mut lineage), []);
    lineage.ended(NOW, &id(0), &[]);
    assert_eq!(started(&mut lineage).len(), 2);
    lineage.ended(NOW, &id(1), &[]);
    assert_eq!(started(&mut lineage), []);
    lineage.ended(NOW, &id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
    assert!(!lineage.must_list() && !lineage.is_done());
}

#[test]
fn children_of_a_lost_shard_wait_also_if_it_seems_to_have_ended() {
    for vanishes in [false, true] {
        let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
        started(&mut lineage);
        lineage.ended(NOW, &id(0), &[]);
        assert_eq!(started(&mut lineage).len(), 2);
        assert_eq!(lineage.lost(&id(1)), [id(1)]);
        assert!(lineage.lost(&id(1)).is_empty(), "once");
        match vanishes {
            true => lineage.vanished(NOW, &id(1)),
            false => lineage.ended(NOW, &id(1), &[]),
        }
        assert!(!lineage.is_done(), "another shard is being read");
        lineage.ended(NOW, &id(2), &[]);
        assert_eq!(started(&mut lineage), []);
        assert_eq!(lineage.waiting(), Waiting::from([(id(3), vec![id(1)])]));
        assert!(lineage.is_done(), "the rest is up to the owner");
    }
}

#[test]
fn of_a_lost_family_only_who_was_started_is_given_up() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    started(&mut lineage);
    lineage.ended(NOW, &id(1), &[]);
    // The end of 0 is not stored: so nothing of 1 is, which was read.
    assert_eq!(lineage.lost(&id(0)), [id(0), id(2), id(1)]);
    assert_eq!(started(&mut lineage), []);
    assert!(lineage.is_done());
}

#[test]
fn latest_skips_closed_shards_that_were_never_read() {
    let mut lineage = lineage(plan(IteratorType::Latest), &[], diamond());
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::Latest)]);
}

#[test]
fn latest_reads_a_closed_shard_whose_ancestor_has_a_position() {
    let mut lineage = lineage(plan(IteratorType::Latest), &[(0, end(4000))], diamond());
    let both = [fresh(1, IteratorType::TrimHorizon), fresh(2, IteratorType::TrimHorizon)];
    assert_eq!(started(&mut lineage), both);
}

#[test]
fn a_shard_born_while_nobody_ran_starts_at_its_oldest_record() {
    let shards = diamond().split_off(3);
    let other = (7, after(4000));
    // Its parents have left the listing; that some other shard has a position is enough.
    let mut lineage = lineage(plan(IteratorType::Latest), &[other], shards);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn a_stored_position_is_resumed_and_a_stored_end_is_not_read_again() {
    let positions = [(0, end(4000)), (1, end(4001)), (2, after(4002))];
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &positions, diamond());
    assert_eq!(started(&mut lineage), [(id(2), StartAt::Stored(after(4002)))]);
}

#[test]
fn a_position_below_the_starting_number_means_another_stream() {
    let position = [(0, end(7))];
    let mut refused = lineage(plan(IteratorType::TrimHorizon), &position, diamond());
    let error = refused.ready(NOW).unwrap_err();
    assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error}");

    let forgiving = Plan { on_foreign: OnForeign::Earliest, ..plan(IteratorType::Latest) };
    let start = lineage(forgiving, &position, diamond()).ready(NOW).unwrap().remove(0);
    assert_eq!(start.at, StartAt::Reset(IteratorType::TrimHorizon));
    assert!(matches!(start.gap, Some(Gap::Recreated { .. })));
}

#[test]
fn after_a_shard_has_vanished_a_listing_comes_first() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    assert_eq!(started(&mut lineage).len(), 1);
    lineage.vanished(NOW, &id(0));
    assert!(lineage.must_list() && started(&mut lineage).is_empty());
    // It began before.
    lineage.listed(NOW, diamond().split_off(1)).unwrap();
    assert!(lineage.must_list() && started(&mut lineage).is_empty());
    lineage.listing_begins();
    lineage.listed(NOW, diamond().split_off(1)).unwrap();
    assert!(!lineage.must_list());
    assert_eq!(started(&mut lineage).len(), 2);
}

#[test]
fn a_known_shard_that_starts_elsewhere_means_another_stream() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    assert!(lineage.listed(NOW, diamond()).is_ok());
    let other = Shard::new(id(0), HashKeyRange::ALL, "7000".parse().unwrap());
    let error = lineage.listed(NOW, vec![other]).unwrap_err();
    assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error}");
}

#[test]
fn a_position_beyond_the_ending_number_means_another_stream() {
    let closed =
        |ending: &str| shard(0, &[], HashKeyRange::ALL).with_ending(ending.parse().unwrap());
    for stored in [end(6000), after(6000)] {
        let mut lineage =
            lineage(plan(IteratorType::TrimHorizon), &[(0, stored)], vec![closed("5999")]);
        let error = lineage.ready(NOW).unwrap_err();
        assert!(matches!(error, Error::Gap { gap: Gap::Foreign { .. }, .. }), "{error}");
    }
    // An ending number below the starting one says nothing.
    for ending in ["6000", "7"] {
        let mut lineage =
            lineage(plan(IteratorType::TrimHorizon), &[(0, end(6000))], vec![closed(ending)]);
        assert_eq!(started(&mut lineage), []);
    }
}

#[test]
fn the_stored_end_of_an_open_shard_is_not_taken_at_its_word() {
    let open = || vec![shard(0, &[], HashKeyRange::ALL)];
    let starts =
        |number| started(&mut lineage(plan(IteratorType::Latest), &[(0, end(number))], open()));
    let starting: usize = open()[0].starting_sequence_number().as_str().parse().unwrap();
    assert_eq!(starts(starting + 1), [(id(0), StartAt::Reopened(after(starting + 1)))]);
    assert_eq!(starts(starting), [(id(0), StartAt::Reset(IteratorType::TrimHorizon))]);
}

#[test]
fn a_shards_own_start_goes_before_the_configured_one_and_is_handed_down() {
    let time = IteratorType::AtTimestamp(UNIX_EPOCH + Duration::from_secs(9));
    let mut shards = diamond();
    shards[0].start_at = Some(time.clone());
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(0, time.clone())]);
    lineage.ended(NOW, &id(0), &[]);
    assert_eq!(started(&mut lineage), [fresh(1, time.clone()), fresh(2, time)]);
}

#[test]
fn a_child_of_parents_whose_starts_differ_starts_at_its_oldest_record() {
    let time = IteratorType::AtTimestamp(UNIX_EPOCH + Duration::from_secs(9));
    let mut low = closed(shard(1, &[], low()));
    low.start_at = Some(time.clone());
    let shards = vec![low, closed(shard(2, &[], high())), shard(3, &[1, 2], HashKeyRange::ALL)];
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(1, time)]);
    lineage.ended(NOW, &id(1), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn children_of_chosen_shards_are_followed_from_their_start_and_others_left() {
    let chosen = Some(BTreeSet::from([id(1)]));
    let mut lineage = lineage(
        Plan { chosen, ..plan(IteratorType::AtSequenceNumber("4500".parse().unwrap())) },
        &[],
        diamond(),
    );
    let number = IteratorType::AtSequenceNumber("4500".parse().unwrap());
    assert_eq!(started(&mut lineage), [fresh(1, number)]);
    lineage.ended(NOW, &id(1), &[]);
    // Shard 2 is excluded, and does not block the merged child.
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn a_chosen_shard_waits_for_a_parent_that_a_listing_lacks_and_that_may_descend_from_another() {
    let chosen = Some(BTreeSet::from([id(0), id(3)]));
    let plan = Plan { chosen, ..plan(IteratorType::TrimHorizon) };
    let with_hole = |missing: usize| {
        let is_there = move |shard: &Shard| shard.id() != id(missing);
        diamond().into_iter().filter(is_there).collect::<Vec<_>>()
    };
    let mut lineage = lineage(plan, &[], with_hole(2));
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(0), &[]);
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(1), &[]);
    assert_eq!(started(&mut lineage), [], "shard 2 is not listed yet");
    lineage.listed(NOW, diamond()).unwrap();
    assert_eq!(started(&mut lineage), [fresh(2, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

/// 0 was split into 1 and 2, and 2 into 3 and 4; 1 and 3 were merged into 5.
fn cousins() -> Vec<Shard> {
    let quarter = HashKeyRange { start: HALF + 1, end: HALF + HALF / 2 };
    let last = HashKeyRange { start: quarter.end + 1, end: u128::MAX };
    let merged = HashKeyRange { start: 0, end: quarter.end };
    vec![
        closed(shard(0, &[], HashKeyRange::ALL)),
        closed(shard(1, &[0], low())),
        closed(shard(2, &[0], high())),
        closed(shard(3, &[2], quarter)),
        shard(4, &[2], last),
        shard(5, &[1, 3], merged),
    ]
}

fn without(missing: usize, shards: Vec<Shard>) -> Vec<Shard> {
    shards.into_iter().filter(|shard| shard.id() != id(missing)).collect()
}

fn choice(shards: &[usize]) -> Plan {
    let chosen = Some(shards.iter().copied().map(id).collect());
    Plan { chosen, ..plan(IteratorType::TrimHorizon) }
}

/// All records of 0 and 1 were read; the listing lacks 2. Returns what starts then.
fn started_without_2(lineage: &mut Lineage) -> Vec<(String, StartAt)> {
    lineage.listed(NOW, without(2, cousins())).unwrap();
    assert_eq!(started(lineage), [fresh(0, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(0), &[]);
    assert_eq!(started(lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(1), &[]);
    started(lineage)
}

#[test]
fn a_shard_waits_for_a_listed_parent_that_a_missing_shard_may_link_to_a_chosen_one() {
    let mut lineage = Lineage::new(choice(&[0]), vec![]);
    assert_eq!(started_without_2(&mut lineage), [], "3 may descend from 0");
    assert_eq!(lineage.look(), Some(Look::Soon));
    lineage.listed(NOW, cousins()).unwrap();
    assert_eq!(started(&mut lineage), [fresh(2, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(2), &[]);
    assert_eq!(started(&mut lineage).len(), 2);
    lineage.ended(NOW, &id(3), &[]);
    assert_eq!(started(&mut lineage), [fresh(5, IteratorType::TrimHorizon)]);
}

#[test]
fn a_link_to_a_chosen_shard_that_is_not_listed_is_not_waited_for_for_ever() {
    let mut lineage = Lineage::new(choice(&[0]), vec![]);
    assert_eq!(started_without_2(&mut lineage), []);
    lineage.give_up(NOW + PATIENCE);
    assert_eq!(started(&mut lineage), [fresh(5, IteratorType::TrimHorizon)]);

    // It turns out to descend from another shard.
    let mut stranger = Lineage::new(choice(&[0]), vec![]);
    assert_eq!(started_without_2(&mut stranger), []);
    stranger.listed(NOW, vec![closed(shard(2, &[], high()))]).unwrap();
    assert_eq!(started(&mut stranger), [fresh(5, IteratorType::TrimHorizon)]);
}

#[test]
fn a_missing_link_holds_up_no_shard_that_is_chosen_alone_or_starts_at_latest() {
    let mut alone = lineage(choice(&[5]), &[], without(2, cousins()));
    assert_eq!(started(&mut alone), [fresh(5, IteratorType::TrimHorizon)]);

    let latest = Plan { iterator_type: IteratorType::Latest, ..choice(&[4, 5]) };
    let mut latest = lineage(latest, &[], without(2, cousins()));
    assert_eq!(
        started(&mut latest),
        [fresh(4, IteratorType::Latest), fresh(5, IteratorType::Latest)]
    );
}

#[test]
fn a_chain_of_missing_links_is_followed_to_its_end() {
    let shards = || {
        let mut shards = cousins();
        shards[3] = closed(shard(3, &[7], shards[3].hash_keys()));
        shards.push(closed(shard(7, &[6], high())));
        shards.push(closed(shard(6, &[2], high())));
        shards
    };
    let lacking = |hidden: &[usize]| hidden.iter().fold(shards(), |left, id| without(*id, left));
    let mut lineage = lineage(choice(&[0]), &[], lacking(&[2, 6, 7]));
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    started(&mut lineage);
    lineage.ended(NOW, &id(1), &[]);
    for hidden in [&[2, 6][..], &[2]] {
        assert_eq!(started(&mut lineage), [], "3 may descend from 0");
        lineage.listed(NOW, lacking(hidden)).unwrap();
    }
    assert_eq!(started(&mut lineage), []);
    lineage.listed(NOW, shards()).unwrap();
    for parent in [2, 6, 7, 3] {
        assert!(started(&mut lineage).contains(&fresh(parent, IteratorType::TrimHorizon)));
        lineage.ended(NOW, &id(parent), &[]);
    }
    assert_eq!(started(&mut lineage), [fresh(5, IteratorType::TrimHorizon)]);
}

#[test]
fn a_shard_that_turns_out_to_be_wanted_waits_for_a_parent_that_is_still_missing() {
    let lacking = |hidden: &[usize]| {
        let mut shards = cousins();
        shards[3] = closed(shard(3, &[2, 6], shards[3].hash_keys()));
        shards.push(closed(shard(6, &[0], high())));
        hidden.iter().fold(shards, |left, id| without(*id, left))
    };
    let mut lineage = lineage(choice(&[0]), &[], lacking(&[2, 6]));
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    lineage.listed(NOW, lacking(&[6])).unwrap();
    assert_eq!(started(&mut lineage).len(), 2, "1 and 2");
    lineage.ended(NOW, &id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(4, IteratorType::TrimHorizon)]);
    lineage.listed(NOW, lacking(&[])).unwrap();
    assert_eq!(started(&mut lineage), [fresh(6, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(6), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn children_of_a_shard_that_was_announced_and_is_not_listed_are_read() {
    let mut lineage = lineage(choice(&[0]), &[], vec![shard(0, &[], HashKeyRange::ALL)]);
    started(&mut lineage);
    let children = [(1, low()), (2, high())];
    let children = children.map(|(number, keys)| ChildShard::new(id(number), vec![id(0)], keys));
    lineage.ended(NOW, &id(0), &children);
    lineage.listing_begins();
    lineage.listed(NOW, without(2, cousins())).unwrap();
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(1), &[]);
    assert_eq!(started(&mut lineage), [], "3 and 4 wait for 2, and 5 for 3");
    lineage.give_up(NOW + PATIENCE);
    let both = [fresh(3, IteratorType::TrimHorizon), fresh(4, IteratorType::TrimHorizon)];
    assert_eq!(started(&mut lineage), both);
    lineage.ended(NOW, &id(3), &[]);
    assert_eq!(started(&mut lineage), [fresh(5, IteratorType::TrimHorizon)]);
}

#[test]
fn a_number_for_several_shards_and_an_unknown_shard_are_refused() {
    let number = IteratorType::AfterSequenceNumber("4500".parse().unwrap());
    let error = Lineage::new(plan(number), vec![]).listed(NOW, diamond()).unwrap_err();
    assert!(matches!(error, Error::SequenceNumberForSeveralShards { shards: 4, .. }));

    let chosen = Some(BTreeSet::from([id(9)]));
    let plan = Plan { chosen, ..plan(IteratorType::TrimHorizon) };
    let error = Lineage::new(plan, vec![]).listed(NOW, diamond()).unwrap_err();
    assert_eq!(error.shard(), Some(id(9).as_str()));
}

#[test]
fn an_announced_child_is_listed_before_it_starts() {
    let mut lineage = lineage(
        plan(IteratorType::TrimHorizon),
        &[],
        vec![shard(1, &[], low()), shard(2, &[], high())],
    );
    assert_eq!(started(&mut lineage).len(), 2);
    let parents = vec![id(1), id(2)];
    let child = ChildShard::new(id(3), parents, HashKeyRange::ALL);
    lineage.ended(NOW, &id(1), &[child]);
    assert!(lineage.must_list() && started(&mut lineage).is_empty());
    lineage.listed(NOW, vec![shard(3, &[1, 2], HashKeyRange::ALL)]).unwrap();
    assert!(!lineage.must_list() && started(&mut lineage).is_empty());
    lineage.ended(NOW, &id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn children_are_looked_for_until_they_cover_their_parent() {
    let root = shard(0, &[], HashKeyRange::ALL);
    let mut lineage = lineage(plan(IteratorType::Latest), &[], vec![root]);
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::Latest)]);
    lineage.ended(NOW, &id(0), &[]);
    assert!(lineage.must_list());
    lineage.listed(NOW, vec![shard(1, &[0], low())]).unwrap();
    assert!(lineage.must_list());
    // Created after the start: from its first record, whatever the configuration.
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.give_up(NOW + PATIENCE);
    // A listing is made now and then for the other half of the keys.
    assert_eq!(lineage.look(), Some(Look::Rarely));
    assert!(!lineage.must_list() && !lineage.is_done());
    // Shard 1 is open: it never ends here.
}

#[test]
fn a_number_as_the_start_does_not_stand_in_the_way_of_a_restart_after_a_split() {
    let number = IteratorType::AtSequenceNumber("4500".parse().unwrap());
    let shards = diamond()[..3].to_vec();
    let mut lineage = lineage(plan(number), &[(0, end(4600))], shards);
    let both = [fresh(1, IteratorType::TrimHorizon), fresh(2, IteratorType::TrimHorizon)];
    assert_eq!(started(&mut lineage), both);
}

#[test]
fn a_listing_proves_an_end_by_an_ending_number_or_children_or_by_all_the_others() {
    let (root, halves) = (shard(0, &[], HashKeyRange::ALL), [(1, low()), (2, high())]);
    let child = |(number, keys)| shard(number, &[0], keys);
    let trial = |later: Vec<Shard>| {
        let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], vec![root.clone()]);
        assert_eq!(lineage.proof(&id(0)), Proof::Open);
        lineage.listed(NOW, later).unwrap();
        lineage.proof(&id(0)) != Proof::Open
    };
    assert!(!trial(vec![root.clone()]), "it is shown open");
    assert!(trial(vec![closed(root.clone())]));
    assert!(trial(vec![root.clone(), child(halves[0])]), "pages that a split came between");
    assert!(trial(halves.map(|(number, keys)| shard(number, &[], keys)).to_vec()));
    assert!(!trial(vec![shard(1, &[], low())]), "what else is missing?");
    assert!(!trial(vec![shard(1, &[], low()), closed(shard(2, &[], high()))]));
}

#[test]
fn children_that_an_earlier_listing_showed_prove_no_end() {
    let child = shard(1, &[0], low());
    let mut lineage =
        lineage(plan(IteratorType::TrimHorizon), &[], vec![child, shard(2, &[], high())]);
    // Another stream has the name now: its shard was not known.
    lineage.listed(NOW, vec![shard(0, &[], HashKeyRange::ALL)]).unwrap();
    assert_eq!(lineage.proof(&id(0)), Proof::Open);
}

#[test]
fn an_ending_that_an_earlier_listing_showed_proves_no_end() {
    let old = vec![closed(shard(0, &[], low())), shard(1, &[], high())];
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], old);
    assert_eq!(lineage.proof(&id(0)), Proof::Closed);
    // A listing with a hole where the shard was: it may be open in another stream with this name.
    lineage.listed(NOW, vec![shard(1, &[], high())]).unwrap();
    assert_eq!(lineage.proof(&id(0)), Proof::WasClosed);
}

#[test]
fn a_child_that_is_listed_before_its_parent_waits_for_it_but_not_for_ever() {
    let mut shards = diamond();
    let late = shards.remove(1);
    // 0 is closed, and no shard has half of its keys: the listing lacks a child of it, from which 3 descends.
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], shards.clone());
    let mut missing = Lineage::new(plan(IteratorType::TrimHorizon), vec![]);
    missing.listed(NOW, shards).unwrap();
    for lineage in [&mut lineage, &mut missing] {
        assert_eq!(started(lineage), [fresh(0, IteratorType::TrimHorizon)]);
        lineage.ended(NOW, &id(0), &[]);
        assert_eq!(started(lineage), [fresh(2, IteratorType::TrimHorizon)]);
        lineage.ended(NOW, &id(2), &[]);
        assert_eq!(started(lineage), []);
        assert_eq!(lineage.look(), Some(Look::Soon));
    }
    lineage.listed(NOW, vec![late]).unwrap();
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(1), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);

    missing.give_up(NOW + PATIENCE);
    assert_eq!(started(&mut missing), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn parents_that_have_left_the_stream_are_not_waited_for() {
    let shards = diamond().split_off(3);
    let mut aged = lineage(plan(IteratorType::TrimHorizon), &[], shards.clone());
    assert_eq!(started(&mut aged), [fresh(3, IteratorType::TrimHorizon)]);
    assert_eq!(aged.look(), None);
    // One that an earlier run had not finished may only be missing from this listing.
    let mut torn = lineage(plan(IteratorType::TrimHorizon), &[(1, after(4000))], shards);
    assert_eq!(started(&mut torn), []);
    torn.give_up(NOW + PATIENCE);
    assert_eq!(started(&mut torn), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn a_shard_that_only_later_listings_show_is_read_although_its_child_was_begun() {
    let mut shards = diamond();
    let late = shards.remove(0);
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], shards);
    assert_eq!(started(&mut lineage).len(), 2);
    lineage.listed(NOW, vec![late]).unwrap();
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::TrimHorizon)]);
}

#[test]
fn latest_skips_a_closed_shard_that_the_first_listing_lacked() {
    let mut shards = diamond();
    let late = shards.remove(1);
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::Latest)]);
    lineage.listed(NOW, vec![late]).unwrap();
    assert_eq!(started(&mut lineage), []);
}

#[test]
fn a_split_between_two_pages_loses_nothing_of_the_children_at_latest() {
    // The first page shows the parent open, the second one its children.
    let shards =
        vec![shard(0, &[], HashKeyRange::ALL), shard(1, &[0], low()), shard(2, &[0], high())];
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::Latest)]);
    assert!(lineage.proof(&id(0)) != Proof::Open);
    lineage.ended(NOW, &id(0), &[]);
    let both = [fresh(1, IteratorType::TrimHorizon), fresh(2, IteratorType::TrimHorizon)];
    assert_eq!(started(&mut lineage), both);
}

#[test]
fn open_shards_that_do_not_hold_all_keys_are_looked_for_often_and_then_now_and_then() {
    let half = || vec![shard(1, &[], low())];
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], half());
    assert_eq!((started(&mut lineage).len(), lineage.look()), (1, Some(Look::Soon)));
    lineage.listed(NOW + PATIENCE, half()).unwrap();
    lineage.give_up(NOW + PATIENCE);
    assert_eq!(lineage.look(), Some(Look::Rarely));
    // A listing of the other half alone says nothing against the first.
    lineage.listed(NOW + PATIENCE, vec![shard(1, &[], low()), shard(2, &[], high())]).unwrap();
    assert_eq!((started(&mut lineage).len(), lineage.look()), (1, None));
}

#[test]
fn a_shard_that_was_read_to_an_end_and_is_listed_open_is_never_done() {
    let root = || vec![shard(0, &[], HashKeyRange::ALL)];
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], root());
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    for minute in 1..100 {
        let now = NOW + PATIENCE * minute;
        lineage.listed(now, root()).unwrap();
        lineage.give_up(now);
        assert!(!lineage.is_done());
    }
    assert_eq!(lineage.look(), Some(Look::Rarely));
    lineage.listed(NOW * 100, vec![closed(root().remove(0))]).unwrap();
    lineage.give_up(NOW * 100);
    assert!(lineage.is_done());
}

#[test]
fn an_announced_child_that_is_gone_is_given_up_when_all_open_shards_are_listed() {
    let root = shard(0, &[], HashKeyRange::ALL);
    let grandchild = || vec![shard(9, &[1, 2], HashKeyRange::ALL)];
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], vec![root.clone()]);
    started(&mut lineage);
    let children = [(1, low()), (2, high())].map(|(number, keys)| ChildShard {
        id: id(number),
        parents: vec![id(0)],
        hash_keys: Some(keys),
    });
    lineage.ended(NOW, &id(0), &children);
    lineage.listing_begins();
    lineage.listed(NOW, grandchild()).unwrap();
    assert_eq!(started(&mut lineage), [], "it waits for those that were announced");
    lineage.give_up(NOW + PATIENCE);
    assert_eq!(started(&mut lineage), [fresh(9, IteratorType::TrimHorizon)]);
    assert_eq!(lineage.look(), None);
}

#[test]
fn shards_that_are_done_and_not_listed_any_more_are_forgotten_but_not_at_once() {
    let mut lineage =
        lineage(plan(IteratorType::TrimHorizon), &[], vec![shard(0, &[], HashKeyRange::ALL)]);
    for generation in 0..1_000 {
        started(&mut lineage);
        let child = shard(generation + 1, &[generation], HashKeyRange::ALL);
        lineage.listed(NOW, vec![child]).unwrap();
        lineage.ended(NOW, &id(generation), &[]);
    }
    assert!(lineage.tree.len() < 8, "{}", lineage.tree.len());
    // One that a listing lacked is not read again.
    let back = closed(shard(999, &[998], HashKeyRange::ALL));
    lineage.listed(NOW, vec![back, shard(1_000, &[999], HashKeyRange::ALL)]).unwrap();
    assert_eq!(started(&mut lineage), [fresh(1_000, IteratorType::TrimHorizon)]);
}

#[test]
fn a_shard_that_ends_long_after_it_left_the_listing_is_forgotten_too() {
    let child = || vec![shard(1, &[0], HashKeyRange::ALL)];
    let mut lineage =
        lineage(plan(IteratorType::TrimHorizon), &[], vec![shard(0, &[], HashKeyRange::ALL)]);
    started(&mut lineage);
    for _ in 0..3 * FORGOTTEN_AFTER {
        lineage.listed(NOW, child()).unwrap();
    }
    assert_eq!(lineage.tree.len(), 2, "it is still read");
    lineage.ended(NOW, &id(0), &[]);
    lineage.listed(NOW, child()).unwrap();
    assert_eq!(lineage.tree.len(), 1);
}

#[test]
fn a_shard_is_remembered_until_more_than_so_many_listings_in_a_row_lack_it() {
    let (root, child) =
        (shard(0, &[], HashKeyRange::ALL), || vec![shard(1, &[0], HashKeyRange::ALL)]);
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], vec![root.clone()]);
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    for lack in 1..=FORGOTTEN_AFTER {
        lineage.listed(NOW, child()).unwrap();
        assert_eq!(lineage.tree.len(), 2, "{lack} lacked it");
    }
    let all = || [vec![closed(root.clone())], child()].concat();
    lineage.listed(NOW, all()).unwrap();
    for _ in 0..FORGOTTEN_AFTER {
        lineage.listed(NOW, child()).unwrap();
    }
    assert_eq!(lineage.tree.len(), 2, "not in a row");
    lineage.listed(NOW, child()).unwrap();
    assert_eq!(lineage.tree.len(), 1);
}

#[test]
fn a_closed_shard_is_forgotten_if_it_is_not_wanted_but_not_while_it_is_read() {
    let leaf = || vec![shard(3, &[], HashKeyRange::ALL)];
    let shards = || {
        let [read, unwanted] = [0, 1].map(|number| closed(shard(number, &[], low())));
        [vec![read, unwanted, shard(2, &[], high())], leaf()].concat()
    };
    let mut lineage = lineage(choice(&[0]), &[], shards());
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::TrimHorizon)]);
    assert_eq!(lineage.tree.len(), 4);
    for _ in 0..=FORGOTTEN_AFTER {
        lineage.listed(NOW, leaf()).unwrap();
    }
    assert!(lineage.tree.get(&id(0)).is_some(), "it is read");
    assert!(lineage.tree.get(&id(1)).is_none(), "nobody wants it");
    assert!(lineage.tree.get(&id(2)).is_some(), "it was open");
}

#[test]
fn who_waits_for_whom_is_told() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    let news = lineage.take_news();
    assert_eq!(news.begun.len(), 4);
    assert!(news.over.is_empty());
    started(&mut lineage);
    let waits = |lineage: &Lineage| lineage.waiting().into_iter().collect::<Vec<_>>();
    let both = vec![id(1), id(2)];
    assert_eq!(
        waits(&lineage),
        [(id(1), vec![id(0)]), (id(2), vec![id(0)]), (id(3), both.clone())]
    );
    let news = lineage.take_news();
    assert_eq!((news.begun.len(), news.over), (0, vec![id(0)]));
    lineage.ended(NOW, &id(0), &[]);
    started(&mut lineage);
    assert_eq!(lineage.take_news().over, both);
    assert_eq!(waits(&lineage), [(id(3), both)]);
    lineage.ended(NOW, &id(1), &[]);
    started(&mut lineage);
    assert_eq!(waits(&lineage), [(id(3), vec![id(2)])]);
}

#[test]
fn an_announced_child_is_not_given_up_by_a_listing_that_had_begun_before() {
    let root = shard(0, &[], HashKeyRange::ALL);
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], vec![root.clone()]);
    started(&mut lineage);
    lineage.listing_begins();
    let child = ChildShard { id: id(1), parents: vec![id(0)], hash_keys: Some(HashKeyRange::ALL) };
    lineage.ended(NOW, &id(0), &[child]);
    let grandchild = || vec![shard(9, &[1], HashKeyRange::ALL)];
    lineage.listed(NOW, grandchild()).unwrap();
    lineage.give_up(NOW + PATIENCE);
    assert!(lineage.look().is_some(), "the next listing may show the child");
    lineage.listing_begins();
    lineage.listed(NOW + PATIENCE, grandchild()).unwrap();
    lineage.give_up(NOW + PATIENCE);
    assert_eq!(lineage.look(), None);
}

/// This many parents, with two children each.
fn families(parents: usize) -> Vec<Shard> {
    let child = |number: usize| shard(parents + number, &[number / 2], low());
    let parent = |number: usize| closed(shard(number, &[], low()));
    (0..parents).map(parent).chain((0..2 * parents).map(child)).collect()
}

/// All parents end at once. Returns how often a shard was looked up.
fn visits_of_ends(parents: usize) -> u64 {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], families(parents));
    assert_eq!(started(&mut lineage).len(), parents);
    for parent in 0..parents {
        lineage.ended(NOW, &id(parent), &[]);
        assert_eq!(started(&mut lineage).len(), 2);
        assert!(!lineage.must_list() && !lineage.is_done());
        lineage.take_news();
    }
    lineage.tree.visits.get()
}

/// A chain of this many closed shards, and an open one. Returns how often a shard was looked up.
fn visits_of_a_chain(closed_shards: usize) -> u64 {
    let link = |number: usize| shard(number, &[number.wrapping_sub(1)], HashKeyRange::ALL);
    let shards = (0..closed_shards).map(|number| closed(link(number)));
    let shards = shards.chain([link(closed_shards)]).collect();
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(closed_shards, IteratorType::Latest)]);
    lineage.tree.visits.get()
}

/// A chain of this many shards from one that is missing to a child of a chosen shard, listed ten times. Returns how
/// often a shard was looked up.
fn visits_of_links(links: usize) -> u64 {
    let link = |number: usize| closed(shard(number, &[number - 1], high()));
    let last = shard(links + 3, &[1, links + 2], HashKeyRange::ALL);
    let chosen = [closed(shard(0, &[], HashKeyRange::ALL)), closed(shard(1, &[0], low()))];
    let links = (3..links + 3).map(link);
    let shards: Vec<Shard> = chosen.into_iter().chain(links).chain([last]).collect();
    let mut lineage = lineage(choice(&[0]), &[], shards.clone());
    started(&mut lineage);
    lineage.ended(NOW, &id(0), &[]);
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.ended(NOW, &id(1), &[]);
    for _ in 0..9 {
        lineage.listed(NOW, shards.clone()).unwrap();
        assert_eq!(started(&mut lineage), []);
    }
    lineage.give_up(NOW + PATIENCE);
    assert_eq!(started(&mut lineage).len(), 1);
    lineage.tree.visits.get()
}

#[test]
fn the_work_is_in_proportion_to_the_number_of_shards() {
    for visits in [visits_of_ends, visits_of_a_chain, visits_of_links] {
        let (few, many) = (visits(1_000), visits(10_000));
        assert!(many < few * 11, "{few} for 1,000 and {many} for 10,000");
    }
    assert!(visits_of_ends(10_000) < 1_500_000 && visits_of_a_chain(10_000) < 300_000);
}

/// Nanoseconds that this thread had a processor for.
#[cfg(target_os = "linux")]
fn cpu() -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    spent.split(' ').next().unwrap().parse().unwrap()
}

/// `cargo test --release --features full --lib timing_of_ten_thousand -- --ignored --nocapture`
#[test]
#[cfg(target_os = "linux")]
#[ignore = "it measures time"]
fn timing_of_ten_thousand_shards() {
    for (name, visits) in
        [("ends", visits_of_ends as fn(usize) -> u64), ("chain", visits_of_a_chain)]
    {
        let began = cpu();
        let visits = visits(10_000);
        let took = Duration::from_nanos(cpu() - began);
        println!("{name}: {visits} visits, {took:?} of CPU");
        // A debug build takes some ten times as long.
        let bound = Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 300 });
        assert!(took < bound, "{name}: {took:?}");
    }
}
