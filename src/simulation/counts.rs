//! How much happened, over all seeds.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// What happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) seeds: u64,
    pub(super) records: u64,
    pub(super) splits: u64,
    pub(super) merges: u64,
    pub(super) crashes: u64,
    /// How often a stream that was created again stopped its reader with an error.
    pub(super) noticed: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(super) fn fault(&mut self, name: &'static str) {
        self.faults_of(name, 1);
    }

    pub(super) fn faults_of(&mut self, name: &'static str, count: u64) {
        *self.faults.entry(name).or_default() += count;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.records += other.records;
        self.splits += other.splits;
        self.merges += other.merges;
        self.crashes += other.crashes;
        self.noticed += other.noticed;
        other.faults.into_iter().for_each(|(name, count)| self.faults_of(name, count));
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.faults {
            writeln!(f, "{count:>10} {name}")?;
        }
        writeln!(f, "{:>10} readers stopped by a stream created again", self.noticed)?;
        let Self { seeds, records, splits, merges, crashes, .. } = self;
        let faults: u64 = self.faults.values().sum();
        write!(
            f,
            "{seeds} seeds, {records} records, {splits} splits, {merges} merges, {faults} faults, \
             {crashes} crashes"
        )
    }
}
