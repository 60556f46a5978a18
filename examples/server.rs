//! A Kinesis on this machine, to try a program against: its stream `orders` gets a record a second, until Ctrl-C.
//!
//! Standard output gets one line, which another terminal needs: the variables of Amazon's tools.

mod support;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, select, tick};
use kinesis_consumer::BoxError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use support::{Admin, REGION, Server};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), BoxError> {
    let server = Server::start()?;
    let admin = Admin::new(server.endpoint(), "orders")?;
    admin.create(2)?;
    eprintln!("the stream orders, with 2 shards, gets a record a second; in another terminal:\n");
    println!(
        "export AWS_ENDPOINT_URL_KINESIS={} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test",
        server.endpoint()
    );

    let (stop, stopped) = bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let _ = stop.try_send(()); // one that waits is enough
        }
    });
    let seconds = tick(Duration::from_secs(1));
    for order in 1.. {
        let text = format!(r#"{{"order": {order}, "item": "espresso"}}"#);
        admin.put(vec![(format!("customer-{}", order % 10), text.into_bytes())])?;
        select! {
            recv(seconds) -> _ => {}
            recv(stopped) -> _ => break,
        }
    }
    Ok(())
}
