//! Which calls get which fault.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::request::{Operation, Request};

/// One fault, and the calls that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    fault: Fault,
    when: When,
    operation: Option<Operation>,
    shard: Option<String>,
    /// How many calls have matched.
    met: u32,
}

#[derive(Clone, Debug)]
enum When {
    /// The calls from the first to the second of these, counted from 0.
    Between(u32, u32),
    Every(u32),
    Rate(f64),
}

impl Rule {
    fn new(fault: Fault, when: When) -> Self {
        Self { fault, when, operation: None, shard: None, met: 0 }
    }

    /// For every call.
    pub(crate) fn always(fault: Fault) -> Self {
        Self::times(u32::MAX, fault)
    }

    /// For the next call.
    pub(crate) fn once(fault: Fault) -> Self {
        Self::times(1, fault)
    }

    /// For the next `count` calls.
    pub(crate) fn times(count: u32, fault: Fault) -> Self {
        Self::new(fault, When::Between(0, count))
    }

    /// For one call in `count`, the last of them.
    pub(crate) fn every(count: u32, fault: Fault) -> Self {
        Self::new(fault, When::Every(count))
    }

    /// For this share of all calls, drawn from the seed.
    pub(crate) fn rate(share: f64, fault: Fault) -> Self {
        Self::new(fault, When::Rate(share))
    }

    /// Skips the first `count` matching calls.
    #[must_use]
    pub(crate) fn after(mut self, count: u32) -> Self {
        if let When::Between(from, to) = self.when {
            self.when = When::Between(from + count, to.saturating_add(count));
        }
        self
    }

    /// Only for calls of this operation. Defaults to all that a consumer makes.
    #[must_use]
    pub(crate) fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only for calls about this shard.
    #[must_use]
    pub(crate) fn of(mut self, shard: &str) -> Self {
        self.shard = Some(shard.into());
        self
    }

    /// Whether it is for this call; counts the call.
    fn strikes(&mut self, request: &Request, rng: &mut fastrand::Rng) -> bool {
        let operation = self.operation.is_none_or(|operation| operation == request.operation);
        let shard = self.shard.is_none() || self.shard == request.shard;
        if !operation || !shard || request.operation == Operation::Other {
            return false;
        }
        let number = self.met;
        self.met = self.met.saturating_add(1);
        match self.when {
            When::Between(from, to) => (from..to).contains(&number),
            When::Every(count) => number % count == count - 1,
            When::Rate(share) => rng.f64() < share,
        }
    }
}

/// All rules, and their counts.
#[derive(Debug)]
pub(super) struct Script {
    rules: Vec<Rule>,
    rng: fastrand::Rng,
    counts: BTreeMap<String, usize>,
}

/// The fault and the rewrites for one call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) fault: Option<Fault>,
    pub(super) rewrites: Vec<Fault>,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { rules: Vec::new(), rng, counts: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Every rewrite that is for the call, and the first fault; later ones do not count the call.
    pub(super) fn decide(&mut self, request: &Request) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            let is_rewrite = rule.fault.is_rewrite();
            if !is_rewrite && verdict.fault.is_some() || !rule.strikes(request, &mut self.rng) {
                continue;
            }
            match is_rewrite {
                true => verdict.rewrites.push(rule.fault.clone()),
                false => verdict.fault = Some(rule.fault.clone()),
            }
        }
        verdict
    }

    pub(super) fn count(&mut self, name: String) {
        *self.counts.entry(name).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.clone()
    }
}
