//! Which rows a worker takes, and for which it asks others, so that all have the same number.

use std::sync::Arc;

use crate::core::fleet::share::donors;
use crate::core::fleet::share::survey::{Holding, ME, Row, Survey};
use crate::core::fleet::share::targets::{Claim, Targets};

/// What a worker does after a survey.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many rows this worker should have.
    pub(crate) target: usize,
    /// What it does now.
    pub(crate) moves: Vec<Move>,
    /// How many rows this worker may have before its next survey, if its watch finds free ones.
    pub(crate) most: usize,
    /// Rows that no worker may take: each has as many as it wants at most.
    pub(crate) beyond: usize,
}

/// A row that changes its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Take it, if its counter is still this one.
    Take { key: Arc<str>, counter: u64 },
    /// Ask its holder for it, if this worker still holds it.
    Ask { key: Arc<str>, holder: Arc<str> },
}

/// Plans after a survey. `max_leases` bounds what this worker has.
///
/// - Rows that nobody holds are taken up to the target, at once. A worker that has its target may have one row more, if
///   some must have one more: so whoever sees such rows first takes them, not whoever has the lowest id.
/// - Others are asked for half of what is missing: those above their targets, in proportion. Nobody is asked who would
///   then have fewer than the one who asks, so that two never exchange rows for ever.
/// - While many workers may be unseen, a worker at most doubles what it has.
/// - Rows that are left although all must have seen them are taken by those that have their targets: the others do not
///   want them.
pub(crate) fn plan(survey: &Survey, max_leases: Option<usize>, rng: &mut fastrand::Rng) -> Plan {
    let view = View::new(survey, max_leases);
    let taken = view.takes(rng);
    let asked = view.asks(taken.len(), rng);
    let row = |at: &usize| &survey.rows()[*at];
    let takes = taken.iter().map(|at| taking(row(at)));
    let moves: Vec<_> = takes.chain(asked.iter().map(|at| asking(survey, row(at)))).collect();
    let most = match view.pace {
        None => view.target().max(view.targets.floor + 1).min(view.limit),
        Some(_) => view.mine + moves.len(),
    };
    Plan { target: view.target(), moves, most, beyond: view.targets.beyond }
}

impl Plan {
    /// Whether rows were free, so that it is good to know soon who has them now.
    pub(crate) fn is_urgent(&self) -> bool {
        self.moves.iter().any(|it| matches!(it, Move::Take { .. }))
    }
}

/// What this worker makes of a survey.
struct View<'a> {
    survey: &'a Survey,
    /// Every worker that lives.
    claims: Vec<Claim>,
    targets: Targets,
    /// How many rows this worker has.
    mine: usize,
    /// How many rows this worker wants at most.
    limit: usize,
    /// How many rows it may get at once, if many workers may be unseen.
    pace: Option<usize>,
}

impl<'a> View<'a> {
    /// Divides the rows of a survey.
    fn new(survey: &'a Survey, max_leases: Option<usize>) -> Self {
        let limit =
            |slot: usize| if slot == ME { max_leases } else { survey.workers()[slot].limit };
        let claim = |slot| Claim { slot, limit: limit(slot) };
        let claims: Vec<_> = survey.live().map(claim).collect();
        let targets = Targets::new(load(survey), &claims, survey.workers().len());
        let limit = max_leases.unwrap_or(usize::MAX);
        Self { survey, claims, targets, mine: survey.mine(), limit, pace: pace(survey) }
    }

    /// How many rows this worker should have.
    fn target(&self) -> usize {
        self.targets.of[ME]
    }

    /// The places of the rows to take.
    fn takes(&self, rng: &mut fastrand::Rng) -> Vec<usize> {
        let (free, left) = free(self.survey);
        let taken = choose(self.survey, &free, self.at_once(self.reach()), rng);
        if !taken.is_empty() || left.is_empty() {
            return taken;
        }
        let targets = Targets::new(load(self.survey), &self.willing(), self.targets.of.len());
        choose(self.survey, &left, self.at_once(targets.of[ME]), rng)
    }

    /// How many rows it takes at once, if it wants to have `reach` rows.
    fn at_once(&self, reach: usize) -> usize {
        reach.saturating_sub(self.mine).min(self.pace.unwrap_or(usize::MAX))
    }

    /// How many rows this worker may have by taking free ones.
    fn reach(&self) -> usize {
        let targets = &self.targets;
        let may_have_one_more =
            self.mine == targets.floor && targets.rest > 0 && self.pace.is_none();
        let reach = self.mine + usize::from(may_have_one_more);
        self.target().max(reach).min(self.limit)
    }

    /// The claims, if those below their targets want no more than they have.
    fn willing(&self) -> Vec<Claim> {
        let willing = |claim: &Claim| {
            let has = self.survey.workers()[claim.slot].count;
            let is_full = has < self.targets.of[claim.slot];
            Claim { limit: if is_full { Some(has) } else { claim.limit }, ..*claim }
        };
        self.claims.iter().map(willing).collect()
    }

    /// The places of the rows to ask for, after `taken` rows are taken.
    fn asks(&self, taken: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
        let mine = self.mine + taken;
        // For one above the floor it asks only if it is sure that there is nobody with fewer, who would have to ask again.
        let is_sure = self.pace.is_none() || mine == 0;
        if mine == self.targets.floor && !is_sure {
            return Vec::new();
        }
        let half = self.target().saturating_sub(mine).div_ceil(2);
        let number = self.pace.map_or(half, |pace| half.min(pace - taken));
        donors::victims(self.survey, &self.targets, mine, number, rng)
    }
}

/// How many rows are not read to the end.
fn load(survey: &Survey) -> usize {
    survey.rows().iter().filter(|row| !matches!(row.holding, Holding::Ended(_))).count()
}

/// How many rows this worker may get at once. A worker that has nothing and asked for nothing is seen by nobody, so that
/// there may be many more than the survey shows:
///
/// - before their first survey, after which each takes or asks for one row, to be seen. So who has nothing is perhaps
///   one of many, and if many were new at this survey, many may be new at the next one;
/// - for as long as there is no row for them: each of the others has one at most.
///
/// Until that is over, a worker at most doubles what it has.
fn pace(survey: &Survey) -> Option<usize> {
    let Some(before) = survey.before() else { return Some(1) };
    let many_are_new = survey.newcomers() * 4 > before.live;
    let is_unsure = survey.mine() == 0 || before.most <= 1 || many_are_new;
    is_unsure.then(|| survey.mine().max(1))
}

/// The rows that nobody holds, and those of them that all must have seen.
fn free(survey: &Survey) -> (Vec<usize>, Vec<usize>) {
    let (mut free, mut left) = (Vec::new(), Vec::new());
    for (at, row) in survey.rows().iter().enumerate() {
        if let Holding::Free { is_left } = row.holding {
            free.push(at);
            left.extend(is_left.then_some(at));
        }
    }
    (free, left)
}

/// Some of these rows at random, but first those in this worker's own part of the table: workers that see the same
/// choose different rows.
pub(crate) fn choose(
    survey: &Survey,
    from: &[usize],
    number: usize,
    rng: &mut fastrand::Rng,
) -> Vec<usize> {
    if number == 0 {
        return Vec::new();
    }
    let (rank, live) = survey.rank();
    let is_near = |at: &usize| at * live / survey.rows().len() == rank;
    let (mut chosen, mut far): (Vec<_>, Vec<_>) = from.iter().copied().partition(is_near);
    rng.shuffle(&mut chosen);
    if chosen.len() < number {
        rng.shuffle(&mut far);
        chosen.append(&mut far);
    }
    chosen.truncate(number);
    chosen
}

/// Takes a row.
pub(crate) fn taking(row: &Row) -> Move {
    Move::Take { key: Arc::clone(&row.key), counter: row.counter }
}

/// A holder that did not hand over a row when it was asked is not asked again.
fn asking(survey: &Survey, row: &Row) -> Move {
    match row.holding {
        Holding::Held(holder) => {
            let holder = Arc::clone(&survey.workers()[holder].id);
            Move::Ask { key: Arc::clone(&row.key), holder }
        }
        _ => taking(row),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::core::fleet::share::survey::Seen;

    /// The rows that a worker takes or asks for, of 100 that are free or that `owner` has. Workers `a` to `d` live.
    fn chosen(me: &str, owner: Option<&str>, seed: u64) -> BTreeSet<String> {
        let mut survey = Survey::new(me, Duration::from_secs(10), Duration::from_secs(50));
        for at in 0..2 {
            let keys: Vec<_> = (0..104).map(|at| format!("{at:03}")).collect();
            let owners = ["a", "b", "c", "d"].into_iter().map(Some);
            let owners = owners.chain(std::iter::repeat(owner));
            let rows = keys.iter().zip(owners).map(|(key, owner)| Seen {
                key,
                owner,
                giver: None,
                counter: at,
                limit: None,
                failover: None,
                is_end: false,
            });
            let at = Duration::from_secs(at);
            survey.scanned(at, at, rows);
        }
        let plan = plan(&survey, None, &mut fastrand::Rng::with_seed(seed));
        let key = |it: &Move| match it {
            Move::Take { key, .. } | Move::Ask { key, .. } => key.to_string(),
        };
        plan.moves.iter().map(key).collect()
    }

    #[test]
    fn workers_that_see_the_same_choose_different_rows() {
        for seed in 0..20 {
            for owner in [Some("e"), None] {
                let chosen = ["a", "b", "c", "d"].map(|me| chosen(me, owner, seed));
                let all: BTreeSet<_> = chosen.iter().flatten().collect();
                let number: usize = chosen.iter().map(BTreeSet::len).sum();
                assert!(number >= 4, "{chosen:?}");
                assert_eq!(all.len(), number, "{chosen:?}");
            }
        }
    }

    #[test]
    fn chance_chooses_among_rows_of_the_own_part() {
        let chosen: BTreeSet<_> = (0..20).map(|seed| chosen("b", Some("e"), seed)).collect();
        assert!(chosen.len() > 15, "{}", chosen.len());
    }
}
