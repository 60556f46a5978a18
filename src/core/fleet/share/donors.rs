//! Who is asked for rows, and for which.

use crate::core::fleet::share::plan::choose;
use crate::core::fleet::share::survey::{Holding, ME, Survey};
use crate::core::fleet::share::targets::Targets;

/// A worker that has more than its target.
struct Donor {
    /// Its place in the survey.
    slot: usize,
    /// How many rows it may be asked for.
    surplus: usize,
}

/// The places of the rows to ask for. This worker has `mine` rows.
///
/// First those are asked who have more than anybody should have, in proportion to that; then those who have one more
/// than their target. So a worker with one more than others keeps it, as long as somebody must have it.
pub(crate) fn victims(
    survey: &Survey,
    targets: &Targets,
    mine: usize,
    number: usize,
    rng: &mut fastrand::Rng,
) -> Vec<usize> {
    let above = donors(survey, targets, mine, 1);
    if above.iter().map(|donor| donor.surplus).sum::<usize>() >= number {
        return choose_from(survey, &above, number, rng);
    }
    choose_from(survey, &donors(survey, targets, mine, 0), number, rng)
}

/// The places of `number` rows of these donors.
fn choose_from(
    survey: &Survey,
    donors: &[Donor],
    number: usize,
    rng: &mut fastrand::Rng,
) -> Vec<usize> {
    let asked = divide(donors, number, rng);
    if asked.iter().all(|number| *number == 0) {
        return Vec::new();
    }
    let mut rows = vec![Vec::new(); survey.workers().len()];
    for (at, row) in survey.rows().iter().enumerate() {
        if let Holding::Held(slot) | Holding::Kept(slot) = row.holding {
            rows[slot].push(at);
        }
    }
    let of = |(donor, number): (&Donor, &usize)| choose(survey, &rows[donor.slot], *number, rng);
    donors.iter().zip(&asked).flat_map(of).collect()
}

/// Those who have more than their target; those without a limit keep at least the floor and `rest`.
fn donors(survey: &Survey, targets: &Targets, mine: usize, rest: usize) -> Vec<Donor> {
    // Who has less comes first: it lacks the rows that this worker would get.
    let lacks = |slot: usize| {
        let target = targets.of[slot].min(targets.floor);
        slot != ME && survey.workers()[slot].count < target
    };
    if mine == targets.floor && survey.live().any(lacks) {
        return Vec::new();
    }
    let donor = |slot: usize| {
        let worker = &survey.workers()[slot];
        let target = targets.of[slot];
        let keeps = if target == targets.floor { target + rest } else { target };
        let surplus = worker.count.saturating_sub(keeps).min(worker.askable);
        // With exactly one more than this worker it would only change places with it. So it is never this worker itself.
        let has_enough = worker.count >= mine + 2;
        (surplus > 0 && has_enough).then_some(Donor { slot, surplus })
    };
    survey.live().filter_map(donor).collect()
}

/// How many rows each donor is asked for. All surpluses lie end to end on a line, and the number of rows is spread over
/// it evenly from a place that chance picks: whoever asks, each donor gets its part, rounded up or down.
fn divide(donors: &[Donor], number: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
    let total: usize = donors.iter().map(|donor| donor.surplus).sum();
    let number = number.min(total);
    let from = rng.usize(..total.max(1));
    let mut end = from;
    let part = |donor: &Donor| {
        let begin = end;
        end += donor.surplus * number;
        end / total - begin / total
    };
    donors.iter().map(part).collect()
}
