//! How many rows each worker should have.

/// A share of every worker that lives.
#[derive(Debug)]
pub(crate) struct Targets {
    /// By the place of the worker; 0 for those that do not live.
    pub(crate) of: Vec<usize>,
    /// What those without a limit have at least.
    pub(crate) floor: usize,
    /// How many of these have one row more.
    pub(crate) rest: usize,
    /// Rows beyond all limits, which nobody may take.
    pub(crate) beyond: usize,
}

/// A worker that lives, and how many rows it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Its place in the survey.
    pub(crate) slot: usize,
    /// No limit is none.
    pub(crate) limit: Option<usize>,
}

impl Targets {
    /// Divides rows among workers, which come in the order of their ids. All have the same number; the first ones have
    /// one more, if a rest is left; what a limit forbids goes to the others.
    pub(crate) fn new(rows: usize, claims: &[Claim], places: usize) -> Self {
        let mut of = vec![0; places];
        let (mut rows, mut workers) = (rows, claims.len());
        let mut limited: Vec<_> =
            claims.iter().filter_map(|claim| Some((claim.limit?, claim.slot))).collect();
        limited.sort_unstable();
        let mut is_full = vec![false; places];
        for (limit, slot) in limited {
            if limit > rows / workers {
                break;
            }
            (of[slot], is_full[slot]) = (limit, true);
            (rows, workers) = (rows - limit, workers - 1);
        }
        let floor = rows.checked_div(workers).unwrap_or(0);
        let rest = rows.checked_rem(workers).unwrap_or(0);
        let open = claims.iter().filter(|claim| !is_full[claim.slot]);
        for (at, claim) in open.enumerate() {
            of[claim.slot] = floor + usize::from(at < rest);
        }
        Self { of, floor, rest, beyond: if workers == 0 { rows } else { 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(rows: usize, limits: &[Option<usize>]) -> Targets {
        let claims = limits.iter().enumerate().map(|(slot, limit)| Claim { slot, limit: *limit });
        Targets::new(rows, &claims.collect::<Vec<_>>(), limits.len())
    }

    /// By the definition: rows are dealt one after another, each to the first of those with the fewest that may have it.
    fn dealt(rows: usize, limits: &[Option<usize>]) -> (Vec<usize>, usize) {
        let mut of = vec![0; limits.len()];
        for row in 0..rows {
            let may = |at: &usize| limits[*at].is_none_or(|limit| of[*at] < limit);
            let Some(first) = (0..limits.len()).filter(may).min_by_key(|at| of[*at]) else {
                return (of, rows - row);
            };
            of[first] += 1;
        }
        (of, 0)
    }

    #[test]
    fn targets_are_what_dealing_one_by_one_gives() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let limit = |rng: &mut fastrand::Rng| rng.bool().then(|| rng.usize(..12));
            let limits: Vec<_> = (0..rng.usize(1..8)).map(|_| limit(&mut rng)).collect();
            let rows = rng.usize(..60);
            let targets = targets(rows, &limits);
            assert_eq!((targets.of, targets.beyond), dealt(rows, &limits), "{rows} {limits:?}");
        }
    }
}
