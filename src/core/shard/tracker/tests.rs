use super::*;

fn after(number: u64) -> Position {
    Position::after(number.to_string().parse().unwrap())
}

fn handed_out(count: u64) -> Tracker {
    let mut tracker = Tracker::default();
    for number in 0..count {
        assert_eq!(tracker.hand_out(after(number)), number);
    }
    tracker
}

#[test]
fn a_later_batch_does_not_cover_an_earlier_one() {
    let mut tracker = handed_out(4);
    tracker.mark(2, Duration::ZERO);
    assert_eq!(tracker.to_store(), None);
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(0)));
    tracker.mark(1, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(2)));
}

#[test]
fn committing_twice_is_committing_once() {
    let mut tracker = handed_out(2);
    tracker.mark(0, Duration::ZERO);
    tracker.stored(after(0));
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), None);
    tracker.mark(1, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(1)));
}

#[test]
fn what_could_not_be_stored_stays_to_be_stored() {
    let mut tracker = handed_out(2);
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(0)));
    tracker.mark(1, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(1)));
    // Two threads wrote: the later position arrived first.
    tracker.stored(after(1));
    tracker.stored(after(0));
    assert_eq!(tracker.to_store(), None);
}

#[test]
fn storing_may_wait_for_batches_or_time_but_not_at_the_shards_end() {
    let second = Duration::from_secs(1);
    let every = Some(StoreEvery { batches: 3, time: second });
    let mut tracker = handed_out(4);
    tracker.mark(0, second);
    assert!(tracker.is_due(None, second) && !tracker.is_due(every, second));
    assert!(tracker.is_due(every, second * 2));
    tracker.mark(1, second);
    tracker.mark(2, second);
    assert!(tracker.is_due(every, second));
    tracker.stored(after(2));
    tracker.mark(3, second * 9);
    assert!(!tracker.is_due(every, second * 9));
    let end = tracker.hand_out(Position::End { sequence: "9".parse().unwrap() });
    tracker.mark(end, second * 9);
    assert!(tracker.is_due(every, second * 9));
}

#[test]
fn behind_a_batch_that_was_given_up_nothing_is_stored_nor_remembered() {
    let mut tracker = handed_out(3);
    tracker.give_up(1);
    for number in 3..1000 {
        assert_eq!(tracker.hand_out(after(number)), number);
        tracker.mark(number, Duration::ZERO);
    }
    tracker.mark(2, Duration::ZERO);
    assert_eq!((tracker.to_store(), tracker.open.len()), (None, 2));
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(0)));
}

#[test]
fn a_part_counts_when_all_before_it_is_committed() {
    let mut tracker = Tracker::default();
    tracker.hand_out(after(10));
    tracker.hand_out(after(20));
    tracker.mark_part(1, after(15), Duration::ZERO);
    assert_eq!(tracker.to_store(), None);
    tracker.mark_part(0, after(5), Duration::ZERO);
    tracker.mark_part(0, after(3), Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(5)));
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(15)));
    tracker.give_up(1);
    tracker.mark_part(1, after(17), Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(15)));
}

#[test]
fn a_part_up_to_the_end_is_the_whole() {
    let mut tracker = handed_out(3);
    for number in 0..3 {
        tracker.mark_part(number, after(number), Duration::ZERO);
        tracker.give_up(number);
        assert_eq!(tracker.to_store(), Some(&after(number)));
    }
    assert!(!tracker.is_stuck && tracker.open.is_empty());
}

#[test]
fn a_part_of_a_batch_that_was_given_up_counts_when_all_before_it_is_committed() {
    let mut tracker = Tracker::default();
    for end in [10, 20, 30] {
        tracker.hand_out(after(end));
    }
    tracker.mark_part(1, after(13), Duration::ZERO);
    tracker.give_up(1);
    // The batch was dropped.
    tracker.mark_part(1, after(15), Duration::ZERO);
    tracker.mark(1, Duration::ZERO);
    tracker.mark(2, Duration::ZERO);
    assert_eq!(tracker.to_store(), None);
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(13)));
}

#[test]
fn an_earlier_batch_that_is_given_up_later_takes_the_place_of_the_later_one() {
    let mut tracker = handed_out(5);
    tracker.mark_part(1, Position::after("0".parse().unwrap()), Duration::ZERO);
    tracker.give_up(3);
    tracker.give_up(1);
    assert_eq!(tracker.open.len(), 2);
    tracker.mark(2, Duration::ZERO);
    tracker.mark(0, Duration::ZERO);
    assert_eq!((tracker.to_store(), tracker.open.len()), (Some(&after(0)), 1));
}

#[test]
fn a_committed_batch_cannot_be_given_up() {
    let mut tracker = handed_out(3);
    tracker.mark(1, Duration::ZERO);
    tracker.give_up(1);
    tracker.mark(2, Duration::ZERO);
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(2)));
}

#[test]
fn a_batch_that_is_kept_costs_the_same_however_many_are_committed_after_it() {
    let mut tracker = handed_out(1);
    for number in 1..100_000 {
        assert_eq!(tracker.hand_out(after(number)), number);
        tracker.mark(number, Duration::ZERO);
        assert!(tracker.open.len() <= 2 + FEW, "{}", tracker.open.len());
        assert!(tracker.open.capacity() <= 4 * FEW, "{}", tracker.open.capacity());
    }
    assert_eq!(tracker.to_store(), None);
    let every = Some(StoreEvery { batches: 100_000, time: Duration::MAX });
    tracker.mark(0, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(99_999)));
    assert!(tracker.is_due(every, Duration::ZERO), "each of them counts");
}

/// Any commits, drops and partial marks, in any order, give the same as a list of all batches.
#[test]
fn joined_batches_are_those_that_a_plain_list_has() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut tracker, mut batches) = (Tracker::default(), Vec::new());
        for _ in 0..400 {
            let number = rng.u64(..batches.len().max(1) as u64);
            match rng.u32(..100) {
                0..40 => {
                    batches.push((Mark::Handed, 0));
                    tracker.hand_out(after(batches.len() as u64 * 10));
                }
                40..90 => mark(&mut tracker, &mut batches, number),
                90..99 => mark_part(&mut tracker, &mut batches, number, rng.u64(1..=10)),
                _ => give_up(&mut tracker, &mut batches, number),
            }
            let whole = batches.iter().take_while(|batch| batch.0 == Mark::Committed).count();
            let part = batches.get(whole).map_or(0, |batch| batch.1);
            let reached = whole as u64 * 10 + part;
            let expected = (reached > 0).then(|| after(reached));
            assert_eq!(tracker.to_store(), expected.as_ref(), "seed {seed}");
        }
    }

    type Batches = Vec<(Mark, u64)>;

    fn handed(batches: &mut Batches, number: u64) -> Option<&mut (Mark, u64)> {
        let given_up = batches.iter().position(|batch| batch.0 == Mark::GivenUp);
        let batch = batches.get_mut(number as usize)?;
        let is_remembered = given_up.is_none_or(|place| (number as usize) < place);
        (is_remembered && batch.0 == Mark::Handed).then_some(batch)
    }

    fn mark(tracker: &mut Tracker, batches: &mut Batches, number: u64) {
        tracker.mark(number, Duration::ZERO);
        if let Some(batch) = handed(batches, number) {
            batch.0 = Mark::Committed;
        }
    }

    fn mark_part(tracker: &mut Tracker, batches: &mut Batches, number: u64, part: u64) {
        tracker.mark_part(number, after(number * 10 + part), Duration::ZERO);
        if let Some(batch) = handed(batches, number) {
            batch.1 = batch.1.max(part);
            batch.0 = if part == 10 { Mark::Committed } else { Mark::Handed };
        }
    }

    fn give_up(tracker: &mut Tracker, batches: &mut Batches, number: u64) {
        tracker.give_up(number);
        if let Some(batch) = handed(batches, number) {
            batch.0 = Mark::GivenUp;
        }
    }
}

#[test]
fn batches_from_before_a_reset_do_not_count() {
    let mut tracker = handed_out(2);
    tracker.reset();
    let next = tracker.hand_out(after(7));
    tracker.mark(0, Duration::ZERO);
    tracker.mark(1, Duration::ZERO);
    assert_eq!(tracker.to_store(), None);
    tracker.mark(next, Duration::ZERO);
    assert_eq!(tracker.to_store(), Some(&after(7)));
}

#[test]
fn a_batch_that_is_not_committed_or_given_up_leaves_something_open() {
    let mut tracker = Tracker::default();
    assert!(!tracker.is_open());
    let batch = tracker.hand_out(after(1));
    assert!(tracker.is_open());
    tracker.mark(batch, Duration::ZERO);
    assert!(!tracker.is_open());
    let batch = tracker.hand_out(after(2));
    tracker.give_up(batch);
    assert!(tracker.is_open());
}

#[test]
fn batches_are_joined_after_half_as_many_marks_as_there_are_batches() {
    let mut tracker = handed_out(400);
    for number in 1..200 {
        tracker.mark(number, Duration::ZERO);
        assert_eq!(tracker.open.len(), 400, "each walk costs as much as there are batches");
    }
    tracker.mark(200, Duration::ZERO);
    assert_eq!(tracker.open.len(), 201);
}
