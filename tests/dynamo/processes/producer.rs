//! Who fills, splits and merges the stream.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use kinesis_consumer::BoxError;

use crate::common::support::Admin;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// How many records each key has.
    pub(crate) rounds: u64,
    pub(crate) splits: u64,
    pub(crate) merges: u64,
}

/// How often it is to split or merge from now on; never, if there is none.
type Order = Option<Duration>;

/// A thread that puts records until it is told to end.
pub(crate) struct Producer {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<Result<Done, BoxError>>>,
}

impl Producer {
    /// Puts a record of each key again and again, as often as this.
    pub(crate) fn start(admin: Admin, keys: u64, put_every: Duration, shards: usize) -> Self {
        let (orders, taken) = bounded::<Order>(0);
        let work = move || {
            let (mut done, mut every) = (Done::default(), None);
            let (mut put, mut resharded) = (Instant::now(), Instant::now());
            loop {
                match taken.recv_deadline(put) {
                    Ok(time) => every = time,
                    Err(RecvTimeoutError::Disconnected) => return Ok(done),
                    Err(RecvTimeoutError::Timeout) => {
                        put = Instant::now() + put_every;
                        put_round(&admin, keys, &mut done)?;
                        if every.is_some_and(|time| resharded.elapsed() > time) {
                            resharded = Instant::now();
                            reshard(&admin, shards, &mut done)?;
                        }
                    }
                }
            }
        };
        Self { orders: Some(orders), thread: Some(thread::spawn(work)) }
    }

    pub(crate) fn reshard(&self, every: Option<Duration>) {
        self.orders.as_ref().unwrap().send(every).expect("a producer that works");
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Done {
        drop(self.orders.take());
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A test that has failed says why by itself.
            let _ = thread.join();
        }
    }
}

/// One record of each key in one call, so that those of one key keep their order.
fn put_round(admin: &Admin, keys: u64, done: &mut Done) -> Result<(), BoxError> {
    let round = done.rounds;
    let record = |key| (format!("key-{key}"), format!("{key} {round}").into_bytes());
    admin.put((0..keys).map(record).collect())?;
    done.rounds += 1;
    Ok(())
}

/// Splits a shard or merges two; the number of open shards stays near that of the beginning.
fn reshard(admin: &Admin, shards: usize, done: &mut Done) -> Result<(), BoxError> {
    let open = admin.open_shards()?;
    if open.len() > shards || open.len() == shards && fastrand::bool() {
        let place = fastrand::usize(..open.len() - 1);
        admin.merge(&open[place], &open[place + 1])?;
        done.merges += 1;
    } else {
        admin.split(&open[fastrand::usize(..open.len())])?;
        done.splits += 1;
    }
    Ok(())
}
