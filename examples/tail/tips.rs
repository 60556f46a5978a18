//! Whether all records that existed at the start have been read.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use kinesis_consumer::{Batch, Progress, Shard, ShardProgress, ShardState};

/// The shards that are read to their tips.
///
/// A shard is at its tip if it has ended, or has caught up: an answer had no records and was not behind. A shard that
/// is written to all the time never gives such an answer; there a batch counts too that is not behind and holds a
/// record that arrived after the start. `behind_latest` alone is not enough: some servers always say 0.
pub(crate) struct Tips {
    started: SystemTime,
    /// The shards that were open. A closed one has been read when its descendants are started.
    open: BTreeSet<String>,
    reached: BTreeSet<String>,
}

impl Tips {
    /// The shards to read of this list: the chosen ones and their descendants, or all.
    pub(crate) fn new(listed: &[Shard], chosen: &[String]) -> Self {
        let family = family(listed, chosen);
        let open = listed.iter().filter(|shard| !shard.is_closed()).map(Shard::id);
        let open = open.filter(|id| chosen.is_empty() || family.contains(id));
        Self {
            started: SystemTime::now(),
            open: open.map(str::to_owned).collect(),
            reached: BTreeSet::new(),
        }
    }

    /// A batch was written.
    pub(crate) fn saw(&mut self, batch: &Batch) {
        let is_behind = batch.behind_latest() > Some(Duration::ZERO);
        let last = batch.records().last();
        if !is_behind && last.is_some_and(|it| it.approximate_arrival() >= Some(self.started)) {
            self.reached.insert(batch.shard().to_owned());
        }
    }

    /// Whether each shard is at its tip. Batches sent until then may still wait to be written.
    pub(crate) fn are_reached(&self, progress: &Progress) -> bool {
        let is_reached = |shard: &ShardProgress| {
            shard.state == ShardState::Ended
                || shard.caught_up.is_some()
                || self.reached.contains(&shard.shard)
        };
        !progress.shards.is_empty()
            && progress.shards.iter().all(is_reached)
            && self.open.iter().all(|id| progress.shard(id).is_some())
    }
}

fn family<'a>(listed: &'a [Shard], chosen: &'a [String]) -> BTreeSet<&'a str> {
    let mut family: BTreeSet<_> = chosen.iter().map(String::as_str).collect();
    loop {
        let before = family.len();
        for shard in listed {
            if shard.parents().iter().any(|parent| family.contains(parent.as_str())) {
                family.insert(shard.id());
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    use kinesis_consumer::testing::MemoryKinesis;
    use kinesis_consumer::{Config, HashKeyRange, LocalStore, Stream};

    fn shard(id: &str, parents: &[&str], is_closed: bool) -> Shard {
        let number = || "1".parse().unwrap();
        let parents = parents.iter().map(|id| id.to_string());
        let shard = Shard::new(id, HashKeyRange::ALL, number()).with_parents(parents);
        if is_closed { shard.with_ending(number()) } else { shard }
    }

    #[test]
    fn the_open_descendants_of_the_chosen_shards_are_waited_for() {
        let listed = [
            shard("a", &[], true),
            shard("b", &[], true),
            shard("c", &["a"], true),
            shard("d", &["a"], false),
            shard("e", &["b", "c"], false),
            shard("f", &["b"], false),
        ];
        let open = |chosen: &[&str]| {
            let chosen: Vec<_> = chosen.iter().map(|id| id.to_string()).collect();
            Vec::from_iter(Tips::new(&listed, &chosen).open).concat()
        };
        assert_eq!(open(&[]), "def");
        assert_eq!(open(&["a"]), "de");
        assert_eq!(open(&["c"]), "e");
        assert_eq!(open(&["f", "d"]), "df");
    }

    #[test]
    fn a_shard_that_has_not_begun_is_waited_for() {
        let kinesis = MemoryKinesis::new();
        kinesis.create_stream("orders", 2);
        let config = Config::new().interval(Duration::from_millis(1));
        let mut stream = Stream::new(kinesis, "orders", LocalStore::new(), config).unwrap();
        let listed = stream.shards().unwrap().to_vec();
        let first = [listed[0].id().to_owned()];
        stream.choose([first[0].as_str()]).unwrap();
        let (_batches, listener) = stream.receiver().unwrap();
        let [one, both] = [&first[..], &[]].map(|chosen| Tips::new(&listed, chosen));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !one.are_reached(&listener.progress()) {
            assert!(Instant::now() < deadline, "an empty shard is at its tip");
            std::thread::yield_now();
        }
        assert!(!both.are_reached(&listener.progress()));
    }
}
