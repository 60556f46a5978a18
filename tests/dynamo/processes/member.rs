//! A process of the fleet: a child of the test, which tells it by variables what to do.

use std::env;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kinesis_consumer::{
    Batch, BoxError, Config, Error, Fleet, KinesisClient, StoreErrorKind, Stream,
};
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::notes::{self, Handled};

const ORDERS: &str = "FLEET_TEST_ORDERS";
/// While a file of this name is beside its notes, a handler sleeps for ten failover times.
pub(crate) const SLEEP: &str = "sleep";
/// With a file that ends so beside its notes, a process kills itself in the middle of a batch.
pub(crate) const DIE: &str = "die";
/// How long a process may drain that is told to end.
const DRAIN: Duration = Duration::from_secs(20);

/// What a process is to do.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) kinesis: String,
    pub(crate) stream: String,
    /// The address of the table's server, and its name.
    pub(crate) endpoint: String,
    pub(crate) table: String,
    pub(crate) failover: Duration,
    /// How long each batch is handled; less, by chance, if `is_random`.
    pub(crate) work: Duration,
    pub(crate) is_random: bool,
    /// Its name in the fleet, and to the table's server.
    pub(crate) worker: String,
    pub(crate) notes: PathBuf,
}

impl Orders {
    /// Those of this process, if it is a child.
    pub(crate) fn read() -> Option<Self> {
        let text = env::var(ORDERS).ok()?;
        let words: Vec<_> = text.split('\n').collect();
        let [kinesis, stream, endpoint, table, failover, work, is_random, worker, notes] =
            words[..]
        else {
            panic!("{text:?} are no orders");
        };
        let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
        Some(Self {
            kinesis: kinesis.into(),
            stream: stream.into(),
            endpoint: endpoint.into(),
            table: table.into(),
            failover: millis(failover),
            work: millis(work),
            is_random: is_random == "true",
            worker: worker.into(),
            notes: notes.into(),
        })
    }

    fn text(&self) -> String {
        [
            &*self.kinesis,
            &self.stream,
            &self.endpoint,
            &self.table,
            &self.failover.as_millis().to_string(),
            &self.work.as_millis().to_string(),
            &self.is_random.to_string(),
            &self.worker,
            self.notes.to_str().unwrap(),
        ]
        .join("\n")
    }

    /// Starts this binary again, with one test alone, as a child.
    pub(crate) fn start(&self, test: &str, errors: &Path) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture", test])
            .env(ORDERS, self.text())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(errors).unwrap())
            .spawn()
            .unwrap()
    }

    /// The work of the child: it reads until it is told to end.
    pub(crate) fn follow(self) -> Result<(), BoxError> {
        // A test that is killed leaves nobody behind.
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let file = OpenOptions::new().append(true).create(true).open(&self.notes)?;
        let file = Arc::new(file);
        match self.consume(&file) {
            // It says that something may come again.
            Err(Error::Store { source, .. }) if source.kind() == StoreErrorKind::Retry => {
                notes::write(&file, "unstored")
            }
            ended => Ok(ended?),
        }
    }

    fn consume(&self, file: &Arc<File>) -> Result<(), Error> {
        let stream = self.open(Arc::clone(file)).unwrap();
        let shutdown = stream.shutdown();
        let mut signals = Signals::new([SIGTERM]).unwrap();
        let watching = signals.handle();
        notes::write(file, "ready").unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in signals.forever() {
                    shutdown.drain(DRAIN);
                }
            });
            let ended = stream.listen(|batch| self.handle(file, batch));
            watching.close();
            ended
        })
    }

    fn open(&self, file: Arc<File>) -> Result<Stream, BoxError> {
        let client = KinesisClient::builder()
            .endpoint(&self.kinesis)
            .region("us-east-1")
            // So that the way to the table knows who calls.
            .credentials(&self.worker, "secret")
            .build()?;
        let table = client.lease_table(&self.table)?.endpoint(&self.endpoint)?;
        let table = table.deadline(self.failover / 6)?;
        let fleet = Fleet::new(table).worker_id(&self.worker).failover(self.failover);
        let config = Config::new().interval(Duration::from_millis(250)).on_notice(move |notice| {
            if let Some(text) = notes::of_notice(notice) {
                // What cannot be written is missed by the test.
                let _ = notes::write(&file, &text);
            }
        });
        Ok(Stream::new(client, &self.stream, fleet, config)?)
    }

    fn handle(&self, file: &File, batch: &Batch) -> Result<(), BoxError> {
        let begun = notes::now();
        let share = if self.is_random { fastrand::f64().powi(4) } else { 1.0 };
        let is_asleep = self.notes.with_file_name(SLEEP).exists();
        thread::sleep(if is_asleep { self.failover * 10 } else { self.work.mul_f64(share) });
        if self.notes.with_extension(DIE).exists() {
            kill_process(getpid(), Signal::KILL)?;
        }
        let mut records = Vec::new();
        for record in batch.records() {
            let text = std::str::from_utf8(record.data())?;
            let (key, count) = text.split_once(' ').ok_or("a record of somebody else")?;
            records.push((record.sequence_number().parse()?, key.parse()?, count.parse()?));
        }
        let shard = batch.shard().to_owned();
        let handled = Handled { shard, begun, ended: begun, records };
        notes::write(file, &notes::of_batch(&handled))
    }
}
