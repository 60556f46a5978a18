//! The process of the server: a stream that is written, split and merged, behind a layer of faults.
//!
//! It prints `endpoint URL`. To `stop` it answers how much was put, to `counts` which faults were injected. It ends
//! with its standard input.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use kinesis_consumer::BoxError;

use crate::support::{Admin, Fault, Faults, Rule, Server};

pub(crate) const STREAM: &str = "soak";
/// The client's deadline, which bounds every stall.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
const SHARDS: i64 = 8;
const KEYS: u64 = 200;
/// Between two calls that put a record of each key.
const PUT_INTERVAL: Duration = Duration::from_millis(100);
const RESHARD_INTERVAL: Duration = Duration::from_secs(3);
/// The share of calls that each fault gets.
const TRANSPORT_RATE: f64 = 0.008;
const ANSWER_RATE: f64 = 0.005;

/// The work of the producer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) put: u64,
    pub(crate) splits: u64,
    pub(crate) merges: u64,
}

/// The child process; it ends when this is dropped.
pub(crate) struct Cloud {
    pub(crate) endpoint: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cloud {
    /// Starts this program again, as the server.
    pub(crate) fn start(seed: u64) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--cloud", &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().ok_or("a child without an output")?);
        let line = next_line(&mut answers)?;
        let endpoint = line.strip_prefix("endpoint ").ok_or("no endpoint")?.to_owned();
        Ok(Self { endpoint, child, orders, answers })
    }

    /// Ends the producer. Returns its work.
    pub(crate) fn stop(&mut self) -> Result<Done, BoxError> {
        self.order("stop")?;
        let line = next_line(&mut self.answers)?;
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        let [put, splits, merges] = numbers?[..] else { return Err("no counts".into()) };
        Ok(Done { put, splits, merges })
    }

    /// How often each fault was injected: those that break connections or bytes, and all others.
    pub(crate) fn counts(&mut self) -> Result<[Vec<(String, u64)>; 2], BoxError> {
        self.order("counts")?;
        let mut counts = [Vec::new(), Vec::new()];
        loop {
            let line = next_line(&mut self.answers)?;
            let mut words = line.splitn(3, ' ');
            let (Some(kind), Some(count), Some(name)) = (words.next(), words.next(), words.next())
            else {
                return Ok(counts);
            };
            counts[usize::from(kind != "transport")].push((name.to_owned(), count.parse()?));
        }
    }

    fn order(&mut self, order: &str) -> Result<(), BoxError> {
        let orders = self.orders.as_mut().ok_or("the server has no input")?;
        Ok(writeln!(orders, "{order}")?)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.orders.take()); // which ends it
        // It may have ended before.
        let _ = self.child.wait();
    }
}

fn next_line(answers: &mut impl BufRead) -> Result<String, BoxError> {
    let mut line = String::new();
    match answers.read_line(&mut line)? {
        0 => Err("the server has ended".into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// The work of the child process.
pub(crate) fn serve(seed: u64) -> Result<(), BoxError> {
    let server = Server::start()?;
    let faults = Faults::before(server.endpoint(), seed)?;
    let admin = Admin::new(server.endpoint(), STREAM)?;
    admin.create(SHARDS)?;
    for fault in Fault::transport(DEADLINE) {
        faults.add(Rule::rate(TRANSPORT_RATE, fault));
    }
    for fault in Fault::answers() {
        faults.add(Rule::rate(ANSWER_RATE, fault));
    }
    println!("endpoint {}", faults.endpoint());
    thread::scope(|scope| {
        let (stop, stopped) = bounded::<()>(0);
        let mut stop = Some(stop);
        let mut producer = Some(scope.spawn(move || produce(&admin, seed, &stopped)));
        for order in stdin().lines() {
            match order?.as_str() {
                "stop" => {
                    drop(stop.take());
                    let Some(producer) = producer.take() else { continue };
                    let done = producer.join().map_err(|_| "the producer panicked")?;
                    let Done { put, splits, merges } = done?;
                    faults.clear(); // what is left is read in peace
                    println!("{put} {splits} {merges}");
                }
                _ => print_counts(&faults),
            }
            stdout().flush()?;
        }
        Ok(())
    })
}

fn print_counts(faults: &Faults) {
    let mut counts = faults.counts();
    for fault in Fault::transport(DEADLINE) {
        println!("transport {} {}", counts.remove(&fault.name()).unwrap_or(0), fault.name());
    }
    counts.into_iter().for_each(|(name, count)| println!("answer {count} {name}"));
    println!();
}

/// Puts a record of each key again and again, while the stream is split and merged.
fn produce(admin: &Admin, seed: u64, stopped: &Receiver<()>) -> Result<Done, BoxError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut done, mut numbers, mut resharded) = (Done::default(), 0_u64, Instant::now());
    while stopped.recv_timeout(PUT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let record = |key| (format!("key-{key}"), numbers.to_string().into_bytes());
        admin.put((0..KEYS).map(record).collect())?;
        numbers += 1;
        done.put += KEYS;
        if resharded.elapsed() > RESHARD_INTERVAL {
            resharded = Instant::now();
            reshard(admin, &mut rng, &mut done)?;
        }
    }
    Ok(done)
}

/// Splits a shard or merges two; the number of open shards stays near that of the beginning.
fn reshard(admin: &Admin, rng: &mut fastrand::Rng, done: &mut Done) -> Result<(), BoxError> {
    admin.wait_until_active()?;
    let open = admin.open_shards()?;
    if open.len() as i64 > SHARDS {
        let place = rng.usize(..open.len() - 1);
        admin.begin_merge(&open[place], &open[place + 1])?;
        done.merges += 1;
    } else {
        admin.begin_split(&open[rng.usize(..open.len())])?;
        done.splits += 1;
    }
    Ok(())
}
