//! How far each shard is, as text.

use std::time::Duration;

use kinesis_consumer::{ErrorClass, Progress, ShardProgress, ShardState};

use super::figures::{count, span, whole};
use super::rate::Rate;

const HEAD: [&str; COLUMNS] =
    ["SHARD", "STATE", "RECORDS", "PER S", "BEHIND", "ANSWERED", "ERRORS"];
const COLUMNS: usize = 7;
/// The first columns are words, the others are numbers.
const WORDS: usize = 2;
/// Columns that are never narrower, so that the others stay where they are: the longest state.
const LEAST: [usize; COLUMNS] = [20, 14, 9, 6, 6, 8, 6];
/// A shard that is behind by at least this is shown as behind.
const LATE: Duration = Duration::from_secs(60);

/// One shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) shard: String,
    pub(crate) state: &'static str,
    pub(crate) is_ended: bool,
    pub(crate) is_failing: bool,
    pub(crate) records: u64,
    /// A second.
    pub(crate) rate: u64,
    /// While calls fail it is at least that.
    pub(crate) behind: Option<Duration>,
    /// How long ago.
    pub(crate) answered: Option<Duration>,
    /// Calls that failed.
    pub(crate) errors: u64,
}

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Head,
    Plain,
    Late,
    Failing,
    /// Of little interest: ended shards, and shards that are left out.
    Faint,
}

impl Row {
    pub(crate) fn new(shard: &ShardProgress, rate: &Rate) -> Self {
        // An iterator that has expired does no harm.
        let errors =
            shard.errors.iter().filter(|(class, _)| **class != ErrorClass::ExpiredIterator);
        let is_failing = shard.failing.is_some();
        Self {
            shard: shard.shard.clone(),
            // It stays the same from one attempt to the next.
            state: if is_failing { state(ShardState::BackingOff) } else { state(shard.state) },
            is_ended: shard.state == ShardState::Ended,
            is_failing,
            records: shard.records,
            rate: rate.of(&shard.shard),
            behind: shard.behind_latest,
            answered: shard.answered,
            errors: errors.map(|(_, count)| count).sum(),
        }
    }

    pub(crate) fn all(progress: &Progress, rate: &Rate) -> Vec<Self> {
        progress.shards.iter().map(|shard| Self::new(shard, rate)).collect()
    }

    /// One line that can be read without the others.
    pub(crate) fn sentence(&self) -> String {
        let Self { shard, state, records, rate, errors, .. } = self;
        let behind = lag(self.behind, self.is_failing);
        let answered = span(self.answered.map(whole));
        format!(
            "{shard}: {state}, {records} records, {rate} a second, {behind} behind, answered {answered} \
             ago, {errors} errors"
        )
    }

    fn kind(&self) -> Kind {
        match self {
            Self { is_failing: true, .. } => Kind::Failing,
            Self { is_ended: true, .. } => Kind::Faint,
            Self { behind: Some(behind), .. } if *behind >= LATE => Kind::Late,
            _ => Kind::Plain,
        }
    }

    fn cells(&self) -> [String; COLUMNS] {
        // An ended shard has neither.
        let of_open = |text: String| if self.is_ended { span(None) } else { text };
        [
            self.shard.clone(),
            self.state.into(),
            count(self.records),
            count(self.rate),
            of_open(lag(self.behind, self.is_failing)),
            of_open(span(self.answered.map(whole))),
            count(self.errors),
        ]
    }
}

/// A table of at most this many columns and lines. Shards that do not fit are left out: first the ended ones, then
/// those that are the least behind.
pub(crate) fn table(rows: &[Row], (columns, lines): (usize, usize)) -> Vec<Line> {
    let shown = shown(rows, lines);
    let mut cells = vec![(Kind::Head, HEAD.map(str::to_owned))];
    cells.extend(shown.iter().map(|row| (row.kind(), row.cells())));
    let left_out = rows.len() - shown.len();
    if left_out > 0 {
        let mut more = <[String; COLUMNS]>::default();
        more[0] = format!("and {} more", count(left_out as u64));
        cells.push((Kind::Faint, more));
    }
    cells.push((Kind::Plain, total(rows)));

    let mut widths = LEAST;
    for (_, line) in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |(kind, cells): (Kind, [String; COLUMNS])| {
        let padded = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            ..WORDS => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        let text = padded.collect::<Vec<_>>().join("  ");
        // Only foreign text may not be ASCII: whole characters are cut off.
        Line { kind, text: text.trim_end().chars().take(columns).collect() }
    };
    cells.into_iter().map(line).collect()
}

/// The shards that fit together with the head, the total, and perhaps a line with the number of the others; in their
/// order.
fn shown(rows: &[Row], lines: usize) -> Vec<&Row> {
    let all: Vec<_> = rows.iter().enumerate().collect();
    let room = lines.saturating_sub(2);
    if rows.len() <= room {
        return rows.iter().collect();
    }
    let mut chosen = all;
    chosen.sort_by_key(|(at, row)| (row.is_ended, std::cmp::Reverse(row.behind), *at));
    chosen.truncate(room.saturating_sub(1).max(1));
    chosen.sort_by_key(|(at, _)| *at);
    chosen.into_iter().map(|(_, row)| row).collect()
}

fn total(rows: &[Row]) -> [String; COLUMNS] {
    let ended = rows.iter().filter(|row| row.is_ended).count() as u64;
    let open = rows.iter().filter(|row| !row.is_ended);
    let sum = |of: fn(&Row) -> u64| count(rows.iter().map(of).sum());
    [
        if rows.len() == 1 {
            "1 shard".into()
        } else {
            format!("{} shards", count(rows.len() as u64))
        },
        if ended > 0 { format!("{} ended", count(ended)) } else { String::new() },
        sum(|row| row.records),
        sum(|row| row.rate),
        lag(
            open.clone().filter_map(|row| row.behind).max(),
            open.clone().any(|row| row.is_failing),
        ),
        span(open.filter_map(|row| row.answered).max().map(whole)),
        sum(|row| row.errors),
    ]
}

/// How far behind a shard is; unknown if the server does not answer.
fn lag(behind: Option<Duration>, is_failing: bool) -> String {
    match (behind, is_failing) {
        (None, true) => "?".into(),
        (Some(behind), true) => format!(">{}", span(Some(whole(behind)))),
        (behind, false) => span(behind),
    }
}

/// The state for a reader of the table: from one call to the next a shard is simply read.
fn state(state: ShardState) -> &'static str {
    match state {
        ShardState::Idle | ShardState::Calling => "reading",
        ShardState::Storing => "storing",
        ShardState::WaitingForParents => "awaits parents",
        ShardState::WaitingForBudget => "awaits memory",
        ShardState::WaitingForChannel => "awaits output",
        ShardState::BackingOff => "backing off",
        ShardState::Ended => "ended",
        _ => "held up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: usize, behind: u64) -> Row {
        Row {
            shard: format!("shardId-{at:012}"),
            state: "reading",
            records: 1_234_567 * at as u64,
            rate: 7,
            behind: Some(Duration::from_millis(behind)),
            answered: Some(Duration::from_millis(1_900)),
            ..Row::default()
        }
    }

    fn text(rows: &[Row], room: (usize, usize)) -> String {
        table(rows, room).iter().map(|line| line.text.clone() + "\n").collect()
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut rows = vec![row(0, 0), row(1, 400), row(2, 200_000)];
        (rows[0].state, rows[0].is_ended) = ("ended", true);
        (rows[1].state, rows[1].is_failing, rows[1].errors) = ("backing off", true, 3);
        let expected = "\
SHARD                 STATE             RECORDS   PER S  BEHIND  ANSWERED  ERRORS
shardId-000000000000  ended                   0       7       -         -       0
shardId-000000000001  backing off     1,234,567       7    >0 s       1 s       3
shardId-000000000002  reading         2,469,134       7   3 min       1 s       0
3 shards              1 ended         3,703,701      21  >3 min       1 s       3
";
        assert_eq!(text(&rows, (81, 24)), expected);
        let kinds: Vec<_> = table(&rows, (81, 24)).iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [Kind::Head, Kind::Faint, Kind::Failing, Kind::Late, Kind::Plain]);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_those_behind_are_shown() {
        let mut rows: Vec<_> = (0..100).map(|at| row(at, 0)).collect();
        rows[17].behind = Some(LATE);
        rows[97].behind = Some(LATE);
        rows[3].is_ended = true;
        let table = text(&rows, (81, 7));
        let shards: Vec<_> = table.lines().filter_map(|line| line.get(..20)).collect();
        assert_eq!(
            shards,
            [
                "SHARD               ",
                "shardId-000000000000",
                "shardId-000000000001",
                "shardId-000000000017",
                "shardId-000000000097",
                "100 shards          ",
            ]
        );
        assert_eq!(table.lines().nth(5), Some("and 96 more"));
        rows.iter_mut().for_each(|row| row.is_ended = true);
        rows[50].is_ended = false;
        assert!(text(&rows, (81, 1)).contains("shardId-000000000050"));
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_off() {
        let table = text(&[row(0, 0)], (30, 24));
        assert!(table.lines().all(|line| line.len() <= 30), "{table}");
    }

    #[test]
    fn of_a_server_that_does_not_answer_nobody_knows_how_far_behind_it_is() {
        let failing = Row { is_failing: true, ..row(1, 8_000) };
        assert!(failing.sentence().contains(", >8 s behind, "), "{}", failing.sentence());
        let unknown = Row { behind: None, ..failing };
        assert!(unknown.sentence().contains(", ? behind, "), "{}", unknown.sentence());
    }

    #[test]
    fn a_line_makes_sense_alone() {
        assert_eq!(
            row(1, 400).sentence(),
            "shardId-000000000001: reading, 1234567 records, 7 a second, 0.4 s behind, answered 1 s ago, \
             0 errors"
        );
    }
}
