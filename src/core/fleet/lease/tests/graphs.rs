//! Streams that were split and merged, and rows of their shards, as short texts.

use super::super::births::configured;
use super::*;
use crate::model::position::IteratorType;
use crate::model::shard::{HashKeyRange, Shard};

/// A shard: its number, its parents, when it was opened and closed (zero: it is open), its first and last cell.
pub(super) type Line = (u64, &'static [u64], u64, u64, u8, u8);

/// Merged twice on the left, split on the right.
///
/// ```text
/// 0 1 2 3 4 5     to 102
///  6   7  4 5     to 205
///    8    4 9 10  since 206
/// ```
pub(super) const A: &[Line] = &[
    (0, &[], 11, 102, 0, 0),
    (1, &[], 11, 102, 1, 1),
    (2, &[], 11, 102, 2, 2),
    (3, &[], 11, 102, 3, 3),
    (4, &[], 11, 0, 4, 4),
    (5, &[], 11, 205, 5, 255),
    (6, &[0, 1], 103, 205, 0, 1),
    (7, &[2, 3], 103, 205, 2, 3),
    (8, &[6, 7], 206, 0, 0, 3),
    (9, &[5], 206, 0, 5, 9),
    (10, &[5], 206, 0, 10, 255),
];

/// Merged and split in turn: `0 1`, `2`, `3 4`, `5`, `6 7`, `8`, `9 10`.
pub(super) const B: &[Line] = &[
    (0, &[], 1000, 1049, 0, 127),
    (1, &[], 1000, 1049, 128, 255),
    (2, &[0, 1], 1050, 1099, 0, 255),
    (3, &[2], 1100, 1149, 0, 127),
    (4, &[2], 1100, 1149, 128, 255),
    (5, &[3, 4], 1150, 1199, 0, 255),
    (6, &[5], 1200, 1249, 0, 127),
    (7, &[5], 1200, 1249, 128, 255),
    (8, &[6, 7], 1250, 1299, 0, 255),
    (9, &[8], 1300, 0, 0, 127),
    (10, &[8], 1300, 0, 128, 255),
];

/// Split twice on the left, merged on the right.
///
/// ```text
///     0     1 2 3  to 102
///  4     5  1  6   to 205
/// 7 8  9 10 1  6   since 206
/// ```
pub(super) const C: &[Line] = &[
    (0, &[], 11, 102, 0, 3),
    (1, &[], 11, 0, 4, 4),
    (2, &[], 11, 102, 5, 5),
    (3, &[], 11, 102, 6, 255),
    (4, &[0], 103, 205, 0, 1),
    (5, &[0], 103, 205, 2, 3),
    (6, &[2, 3], 103, 0, 5, 255),
    (7, &[4], 206, 0, 0, 0),
    (8, &[4], 206, 0, 1, 1),
    (9, &[5], 206, 0, 2, 2),
    (10, &[5], 206, 0, 3, 3),
];

/// What AT_TIMESTAMP stands for.
pub(super) fn noon() -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(super) fn id(number: u64) -> String {
    format!("shardId-{number:012}")
}

/// The listing of a graph.
pub(super) fn listing(graph: &[Line]) -> Vec<Shard> {
    let shard = |&(number, parents, opened, closed, low, high): &Line| {
        let shard = Shard::new(id(number), cells(low, high), opened.to_string().parse().unwrap());
        let shard = shard.with_parents(parents.iter().copied().map(id));
        if closed == 0 { shard } else { shard.with_ending(closed.to_string().parse().unwrap()) }
    };
    graph.iter().map(shard).collect()
}

/// The listing without these shards.
pub(super) fn without(graph: &[Line], numbers: &[u64]) -> Vec<Shard> {
    let kept = graph.iter().filter(|(number, ..)| !numbers.contains(number)).copied();
    listing(&kept.collect::<Vec<_>>())
}

/// The hash keys of a graph come in 256 cells.
pub(super) fn cells(low: u8, high: u8) -> HashKeyRange {
    let width = 120;
    HashKeyRange {
        start: u128::from(low) << width,
        end: (u128::from(high) << width) | ((1 << width) - 1),
    }
}

/// A checkpoint by its word or number.
pub(super) fn at(word: &str) -> Checkpoint {
    let start = match word {
        "AT_TIMESTAMP" => IteratorType::AtTimestamp(noon()),
        "LATEST" => IteratorType::Latest,
        "TRIM_HORIZON" => IteratorType::TrimHorizon,
        "SHARD_END" => return Checkpoint { at: At::ShardEnd, ..Checkpoint::trim_horizon() },
        text => return number(text),
    };
    configured(&start).unwrap()
}

/// Rows that nobody has held: numbers of shards and where they stand, as in `"3 4 TRIM_HORIZON, 5 206"`.
pub(super) fn rows(graph: &[Line], text: &str) -> Vec<Row> {
    let groups = text.split(", ").filter(|it| !it.is_empty());
    groups
        .flat_map(|group| {
            let (numbers, word) = group.rsplit_once(' ').unwrap();
            numbers.split(' ').map(move |it| unheld(graph, it.parse().unwrap(), &at(word)))
        })
        .collect()
}

/// A row as it was created.
pub(super) fn unheld(graph: &[Line], number: u64, checkpoint: &Checkpoint) -> Row {
    let (_, parents, .., low, high) = graph.iter().find(|(it, ..)| *it == number).unwrap();
    Row {
        shard: id(number),
        owner: None,
        checkpoint_owner: None,
        counter: 0,
        checkpoint: checkpoint.clone(),
        children: BTreeSet::new(),
        parents: parents.iter().copied().map(id).collect(),
        hash_keys: Some(cells(*low, *high)),
        holder: None,
        asker: None,
        failover: None,
        limit: None,
        stream: None,
    }
}
