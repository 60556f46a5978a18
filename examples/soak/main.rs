//! Reads a stream for minutes through faults of every kind, and counts every record.
//!
//! A process of its own serves, behind faults of every kind, a stream that is written, split and merged; here
//! a consumer is ended in the middle of a batch every few seconds, and built again over the same store.
//! `--seconds N` is how long it takes (60), `--seed N` picks the faults (1).

mod check;
mod cloud;
mod life;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis_consumer::BoxError;
use parking_lot::Mutex;

use check::Check;
use cloud::{Cloud, Done};
use life::{ENDS, End, World};

/// The remaining records may take this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory is compared from here on.
const WARM: Duration = Duration::from_secs(30);
const MAX_GROWTH: f64 = 0.10;
/// How often each fault of a connection must occur in a soak of this length.
const MIN_FAULTS: u64 = 20;
const FULL: Duration = Duration::from_secs(120);
/// On x86-64; only the ratio is judged.
const PAGE: u64 = 4096;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, BoxError> {
    let (mut seconds, mut seed) = (60, 1);
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} needs a value"))?.parse()?;
        match name.as_str() {
            "--cloud" => return cloud::serve(value).map(|()| ExitCode::SUCCESS),
            "--seconds" => seconds = value,
            "--seed" => seed = value,
            _ => return Err(format!("{name:?} is unknown: --seconds N, --seed N").into()),
        }
    }
    // Panics of the handler are part of the soak.
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref() != Some(&"in the middle of a batch") {
            eprintln!("{panic}");
        }
    }));
    soak(Duration::from_secs(seconds), seed)
}

fn soak(time: Duration, seed: u64) -> Result<ExitCode, BoxError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut cloud = Cloud::start(seed)?;
    let check = Arc::new(Mutex::new(Check::default()));
    let world = World {
        endpoint: cloud.endpoint.clone(),
        store: Arc::default(),
        check: Arc::clone(&check),
    };
    let began = Instant::now();
    let (mut restarts, mut warm) = (0_u32, None);
    while began.elapsed() < time {
        let end = ENDS[rng.usize(..ENDS.len())];
        world.live(Duration::from_millis(rng.u64(1_000..5_000)), end, rng.u64(..), |_| false)?;
        restarts += 1;
        if began.elapsed() > WARM {
            warm = warm.or(Some(rss()?));
        }
        eprintln!("{:>4} s: {}, {restarts} restarts", began.elapsed().as_secs(), check.lock());
    }
    let done = cloud.stop()?;
    world.live(PATIENCE, End::Drop, 0, |check| check.lost(done.put) == 0)?;
    world.live(Duration::from_secs(1), End::Drop, 0, |_| false)?; // for whatever should not come
    let grown = warm.map(|warm| rss().map(|now| (warm, now))).transpose()?;
    let is_bounded = grown.is_none_or(|(warm, now)| now as f64 <= warm as f64 * (1.0 + MAX_GROWTH));
    if let Some((warm, now)) = grown {
        println!(
            "resident memory: {} KiB after {} s, {} KiB at the end",
            warm / 1024,
            WARM.as_secs(),
            now / 1024
        );
    }
    let enough = if time >= FULL { MIN_FAULTS } else { 0 };
    let is_perfect = verdict(&mut cloud, done, restarts, &check.lock(), enough)?;
    Ok(if is_perfect && is_bounded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the faults and the result. Returns whether the result is right.
fn verdict(
    cloud: &mut Cloud,
    done: Done,
    restarts: u32,
    check: &Check,
    enough: u64,
) -> Result<bool, BoxError> {
    let (mut faults, mut too_few) = (0, 0);
    let [transport, answers] = cloud.counts()?;
    too_few += transport.iter().filter(|(_, count)| *count < enough).count();
    for (kind, counts) in [("connections and bytes", transport), ("answers", answers)] {
        println!("faults of {kind}:");
        for (name, count) in counts {
            println!("{count:>6} {name}");
            faults += count;
        }
    }
    let (lost, Done { put, splits, merges }) = (check.lost(done.put), done);
    let Check { disordered, unexplained, .. } = check;
    println!("{put} put, {check}");
    println!(
        "{put} records, {splits} splits, {merges} merges, {faults} faults, {restarts} restarts: \
         {lost} lost, {disordered} out of order, {unexplained} unexplained duplicates"
    );
    if too_few > 0 {
        eprintln!("{too_few} kinds of faults were met fewer than {enough} times");
    }
    Ok(too_few == 0 && lost + disordered + unexplained == 0 && check.distinct() == put)
}

/// The memory of this process that is in use, in bytes.
fn rss() -> Result<u64, BoxError> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').nth(1).ok_or("no second number in statm")?.parse()?;
    Ok(pages * PAGE)
}
