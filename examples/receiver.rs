//! Takes batches from a channel and routes them by shard to workers: the order in a shard holds.
//! (A child of a split or a merge may go to another worker than its parents, and overtake them.)

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select, tick};
use kinesis_consumer::{Batch, BoxError, Config, LocalStore, Stream};

fn main() -> Result<(), BoxError> {
    let demo = support::Demo::start("receiver", 4)?;
    demo.put(200)?;

    let config = Config::new().interval(Duration::from_millis(200)).limit(20);
    let stream = Stream::new(demo.client()?, demo.stream(), LocalStore::new(), config)?;
    let (batches, listener) = stream.receiver()?;
    let handled = &AtomicUsize::new(0);

    thread::scope(|scope| {
        let worker = |_| {
            let (queue, work) = bounded::<Batch>(4);
            (queue, scope.spawn(move || handle(work, handled)))
        };
        let (queues, workers): (Vec<_>, Vec<_>) = (0..2).map(worker).unzip();
        let mut routes = HashMap::new();
        let ticker = tick(Duration::from_millis(100));
        while handled.load(Ordering::Relaxed) < 200 {
            select! {
                recv(batches) -> batch => {
                    let Ok(batch) = batch else { break }; // stopped, and nothing is left
                    let next = routes.len() % queues.len();
                    let to: usize = *routes.entry(batch.shard().to_owned()).or_insert(next);
                    let Ok(()) = queues[to].send(batch) else { break }; // the worker failed
                }
                recv(ticker) -> _ => println!("{} handled", handled.load(Ordering::Relaxed)),
            }
        }
        listener.shutdown().now(); // the reading stops; what was taken can still be committed
        drop(queues); // the workers finish what they have
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })?;
    Ok(listener.join()?)
}

fn handle(work: Receiver<Batch>, handled: &AtomicUsize) -> Result<(), BoxError> {
    for batch in work {
        handled.fetch_add(batch.len(), Ordering::Relaxed); // the work itself
        batch.commit()?;
    }
    Ok(())
}
