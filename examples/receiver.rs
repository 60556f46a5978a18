//! Takes the batches of two streams in one loop: `select!` waits for both of them, and for a ticker.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::{select, tick};
use kinesis_consumer::{Batches, BoxError, Config, Listener, LocalStore, Stream};

use self::support::Demo;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let demos = (Demo::start("orders", 2)?, Demo::start("clicks", 2)?);
    demos.0.put(100)?;
    demos.1.put(100)?;
    let (orders, order_listener) = open(&demos.0)?;
    let (clicks, click_listener) = open(&demos.1)?;

    let ticker = tick(Duration::from_millis(100));
    let mut handled = 0;
    while handled < 200 {
        let batch = select! {
            recv(orders.as_crossbeam()) -> batch => batch,
            recv(clicks.as_crossbeam()) -> batch => batch,
            recv(ticker) -> _ => {
                println!("{handled} handled");
                continue;
            }
        };
        let Ok(batch) = batch else { break }; // one has stopped: its listener says why
        println!("{} records of {}, {}", batch.len(), batch.stream(), batch.shard());
        handled += batch.len();
        batch.commit()?;
    }
    drop((orders, clicks)); // nobody wants more: both stop at once
    order_listener.join()?;
    click_listener.join()?;
    println!("{handled} records handled");
    Ok(())
}

fn open(demo: &Demo) -> Result<(Batches, Listener), BoxError> {
    let config = Config::new().interval(Duration::from_millis(200)).limit(20);
    let stream = Stream::new(demo.client()?, demo.stream(), LocalStore::new(), config)?;
    Ok(stream.receiver()?)
}
