//! What a process of the fleet writes down, and how it is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kinesis_consumer::{BoxError, LossReason, Notice, SequenceNumber};
use rustix::time::{ClockId, clock_gettime};

/// A moment, on the clock that all processes of a machine share.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A batch that was handled.
#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) shard: String,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    /// Number, key, and which one of its key it is.
    pub(crate) records: Vec<(SequenceNumber, u64, u64)>,
}

/// What a process says.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Whatever stops it from now on, it has seen it.
    Ready,
    Gained {
        shard: String,
    },
    Released {
        shard: String,
    },
    /// Somebody else has the lease.
    Lost {
        shard: String,
    },
    Fenced {
        shard: String,
    },
    Unfenced,
    Handled(Handled),
    /// It has ended as it was told to, but could not write a last position.
    Unstored,
}

/// Writes notes; each is one write, which the system keeps when the process is killed.
pub(crate) fn write(mut to: &File, note: &str) -> Result<(), BoxError> {
    Ok(to.write_all(format!("{} {note}\n", now().as_nanos()).as_bytes())?)
}

/// The text of a notice; none if it does not matter here.
pub(crate) fn of_notice(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Gained { shard, .. } => format!("gained {shard}"),
        Notice::Released { shard, .. } => format!("released {shard}"),
        Notice::Lost { shard, why, .. } => {
            let why = match why {
                LossReason::Taken { .. } => "taken".to_owned(),
                other => format!("{other:?}").replace(' ', ""),
            };
            format!("lost {shard} {why}")
        }
        Notice::Fenced { shard, .. } => format!("fenced {shard}"),
        Notice::Unfenced { shard, .. } => format!("unfenced {shard}"),
        _ => return None,
    })
}

/// The text of a batch.
pub(crate) fn of_batch(handled: &Handled) -> String {
    let mut text = format!("handled {} {}", handled.shard, handled.begun.as_nanos());
    for (number, key, count) in &handled.records {
        text += &format!(" {number}:{key}:{count}");
    }
    text
}

/// The notes of one process, read as they come.
pub(crate) struct Reader {
    path: PathBuf,
    read: u64,
}

impl Reader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The notes since the last call.
    pub(crate) fn more(&mut self) -> Vec<(Duration, Note)> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        // A write in progress; of a process that was killed, a record that was not handled.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        self.read += text.len() as u64;
        text.lines().map(parse).collect()
    }
}

fn parse(line: &str) -> (Duration, Note) {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let at = nanos(&word());
    let note = match &*word() {
        "ready" => Note::Ready,
        "gained" => Note::Gained { shard: word() },
        "released" => Note::Released { shard: word() },
        "lost" => Note::Lost { shard: word() },
        "fenced" => Note::Fenced { shard: word() },
        "unfenced" => Note::Unfenced,
        "handled" => {
            let (shard, begun) = (word(), nanos(&word()));
            let records = words.map(record).collect();
            Note::Handled(Handled { shard, begun, ended: at, records })
        }
        "unstored" => Note::Unstored,
        other => panic!("{other:?} is no note"),
    };
    (at, note)
}

fn record(text: &str) -> (SequenceNumber, u64, u64) {
    let mut parts = text.split(':');
    let mut part = || parts.next().unwrap();
    (part().parse().unwrap(), part().parse().unwrap(), part().parse().unwrap())
}

fn nanos(text: &str) -> Duration {
    Duration::from_nanos(text.parse().unwrap())
}
