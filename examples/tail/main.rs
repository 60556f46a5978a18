//! Reads a stream in the terminal: `cargo run --release --example tail -- orders --lag`; `--help` lists all options.

mod args;
mod failure;
mod figures;
mod format;
mod interrupt;
mod lag;
mod logger;
mod output;
mod rate;
mod reading;
mod screen;
mod start;
mod table;
mod tips;

use std::process::ExitCode;

use clap::Parser;
use kinesis_consumer::{BoxError, Error, Stream};

use crate::args::Args;
use crate::failure::NoShard;
use crate::interrupt::{Caught, Interrupt};
use crate::lag::Lag;
use crate::output::{Output, WriteError};
use crate::reading::Reading;
use crate::screen::{Colour, Screen};
use crate::tips::Tips;

fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen::new(args.lag);
    logger::install(&screen);
    run(&args, &screen).unwrap_or_else(|error| {
        screen.say(screen.paint(Colour::Red, "tail: ") + &failure::line(&*error, &logger::last()));
        ExitCode::FAILURE
    })
}

/// Reads, and returns how it ended. A signal changes the exit status; a reader that stops does not, so that
/// `tail … | head` succeeds also if a shell checks every part of a pipe.
fn run(args: &Args, screen: &Screen) -> Result<ExitCode, BoxError> {
    let stream = Stream::new(args.client()?, &args.stream, args.store()?, args.config())?;
    let interrupt = Interrupt::watch(stream.shutdown())?;
    let signal = interrupt.caught();
    match read(args, screen, stream, signal) {
        Err(error) if !is_an_end(&error) => Err(error),
        _ => Ok(signal.status().map_or(ExitCode::SUCCESS, ExitCode::from)),
    }
}

fn read(args: &Args, screen: &Screen, mut stream: Stream, signal: &Caught) -> Result<(), BoxError> {
    if !args.shards.is_empty() {
        let known: Vec<_> = stream.shards()?.iter().map(|shard| shard.id().to_owned()).collect();
        if let Some(shard) = args.shards.iter().find(|shard| !known.contains(shard)) {
            let (stream, shard) = (args.stream.clone(), shard.clone());
            return Err(NoShard { stream, shard, known }.into());
        }
        stream.choose(args.shards.iter().map(String::as_str))?;
    }
    let tips = match args.no_follow {
        true => Some(Tips::new(stream.shards()?, &args.shards)),
        false => None,
    };
    let (monitor, shutdown) = (stream.monitor(), stream.shutdown());
    let show = || Lag::show(screen.clone(), stream.monitor(), signal.clone());
    let _lag = args.lag.then(show).transpose()?; // until the end, which it shows too
    let (batches, listener) = stream.receiver()?;
    let output = Output::new(args, screen);
    let written = Reading { batches, monitor, shutdown, tips, output, signal }.write();
    listener.join()?;
    written
}

/// Whether this is no failure: the signal came while the shards were listed, or the reader is gone.
fn is_an_end(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(Error::Stopped { .. }))
        || error.downcast_ref().is_some_and(WriteError::is_broken_pipe)
}
