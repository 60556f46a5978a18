//! What may start, and where: the rules of starting, one by one.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

const HALF: u128 = u128::MAX / 2;

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
    Plan { stream: "orders".into(), iterator_type, chosen: None, on_gap: OnGap::Fail }
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
    lineage.listed(shards).unwrap();
    lineage
}

/// What starts now: number and place.
fn started(lineage: &mut Lineage) -> Vec<(String, StartAt)> {
    let starts = lineage.ready().unwrap();
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
    lineage.ended(&id(0), &[]);
    assert_eq!(started(&mut lineage).len(), 2);
    lineage.ended(&id(1), &[]);
    assert_eq!(started(&mut lineage), []);
    lineage.ended(&id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
    assert!(!lineage.must_list() && !lineage.is_done());
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
    let error = refused.ready().unwrap_err();
    assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error}");

    let forgiving = Plan { on_gap: OnGap::Earliest, ..plan(IteratorType::Latest) };
    let start = lineage(forgiving, &position, diamond()).ready().unwrap().remove(0);
    assert_eq!(start.at, StartAt::Reset(IteratorType::TrimHorizon));
    assert!(matches!(start.gap, Some(Gap::Recreated { .. })));
}

#[test]
fn after_a_shard_has_vanished_a_listing_comes_first() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    assert_eq!(started(&mut lineage).len(), 1);
    lineage.vanished(&id(0));
    assert!(lineage.must_list() && started(&mut lineage).is_empty());
    lineage.listed(diamond().split_off(1)).unwrap();
    assert!(!lineage.must_list());
    assert_eq!(started(&mut lineage).len(), 2);
}

#[test]
fn a_known_shard_that_starts_elsewhere_means_another_stream() {
    let mut lineage = lineage(plan(IteratorType::TrimHorizon), &[], diamond());
    assert!(lineage.listed(diamond()).is_ok());
    let other = Shard::new(id(0), HashKeyRange::ALL, "7000".parse().unwrap());
    let error = lineage.listed(vec![other]).unwrap_err();
    assert!(matches!(error, Error::Gap { gap: Gap::Recreated { .. }, .. }), "{error}");
}

#[test]
fn a_position_beyond_the_ending_number_means_another_stream() {
    let closed =
        |ending: &str| shard(0, &[], HashKeyRange::ALL).with_ending(ending.parse().unwrap());
    for stored in [end(6000), after(6000)] {
        let mut lineage =
            lineage(plan(IteratorType::TrimHorizon), &[(0, stored)], vec![closed("5999")]);
        let error = lineage.ready().unwrap_err();
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
    assert_eq!(starts(starting + 1), [(id(0), StartAt::Stored(after(starting + 1)))]);
    assert_eq!(starts(starting), [fresh(0, IteratorType::TrimHorizon)]);
}

#[test]
fn a_shards_own_start_goes_before_the_configured_one_and_is_handed_down() {
    let time = IteratorType::AtTimestamp(UNIX_EPOCH + Duration::from_secs(9));
    let mut shards = diamond();
    shards[0].start_at = Some(time.clone());
    let mut lineage = lineage(plan(IteratorType::Latest), &[], shards);
    assert_eq!(started(&mut lineage), [fresh(0, time.clone())]);
    lineage.ended(&id(0), &[]);
    assert_eq!(started(&mut lineage), [fresh(1, time.clone()), fresh(2, time)]);
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
    lineage.ended(&id(1), &[]);
    // Shard 2 is excluded, and does not block the merged child.
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn a_number_for_several_shards_and_an_unknown_shard_are_refused() {
    let number = IteratorType::AfterSequenceNumber("4500".parse().unwrap());
    let error = Lineage::new(plan(number), vec![]).listed(diamond()).unwrap_err();
    assert!(matches!(error, Error::SequenceNumberForSeveralShards { shards: 4, .. }));

    let chosen = Some(BTreeSet::from([id(9)]));
    let plan = Plan { chosen, ..plan(IteratorType::TrimHorizon) };
    let error = Lineage::new(plan, vec![]).listed(diamond()).unwrap_err();
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
    let child = ChildShard { id: id(3), parents, hash_keys: HashKeyRange::ALL };
    lineage.ended(&id(1), &[child]);
    assert!(lineage.must_list() && started(&mut lineage).is_empty());
    lineage.listed(vec![shard(3, &[1, 2], HashKeyRange::ALL)]).unwrap();
    assert!(!lineage.must_list() && started(&mut lineage).is_empty());
    lineage.ended(&id(2), &[]);
    assert_eq!(started(&mut lineage), [fresh(3, IteratorType::TrimHorizon)]);
}

#[test]
fn children_are_looked_for_until_they_cover_their_parent() {
    let root = shard(0, &[], HashKeyRange::ALL);
    let mut lineage = lineage(plan(IteratorType::Latest), &[], vec![root]);
    assert_eq!(started(&mut lineage), [fresh(0, IteratorType::Latest)]);
    lineage.ended(&id(0), &[]);
    assert!(lineage.must_list());
    lineage.listed(vec![shard(1, &[0], low())]).unwrap();
    assert!(lineage.must_list());
    // Born after the start: from its first record, whatever is configured.
    assert_eq!(started(&mut lineage), [fresh(1, IteratorType::TrimHorizon)]);
    lineage.stop_looking();
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
        assert!(!lineage.has_ended(&id(0)));
        lineage.listed(later).unwrap();
        lineage.has_ended(&id(0))
    };
    assert!(!trial(vec![root.clone()]), "it is shown open");
    assert!(trial(vec![closed(root.clone())]));
    assert!(trial(vec![root.clone(), child(halves[0])]), "pages that a split came between");
    assert!(trial(halves.map(|(number, keys)| shard(number, &[], keys)).to_vec()));
    assert!(!trial(vec![shard(1, &[], low())]), "what else is missing?");
    assert!(!trial(vec![shard(1, &[], low()), closed(shard(2, &[], high()))]));
}
