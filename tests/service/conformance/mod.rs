//! One suite of cases over the public API, run against every server there is: the embedded one
//! always, others where the environment says (`tests/servers/run.sh` starts them and says it).
//!
//! Each server is a test, so that `cargo test` shows them; their results go to a file each, from which
//! `tests/servers/table.sh` prints the table of servers and cases.

mod by_arn;
mod closed;
mod expiry;
mod iterators;
mod known;
mod large;
mod limits;
mod listing;
mod reader;
mod reshard;
mod results;
mod server;
mod store;
mod stored_ends;
mod stream;
mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;

use self::results::{Outcome, Results};
use self::server::{Case, Server};
use crate::common::support;

/// Cases of one server at a time. They mostly wait; Amazon and its emulators allow five streams in
/// creation.
const AT_ONCE: usize = 4;

macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => { &[$((stringify!($case), $module::$case)),*] };
}

/// Panics if its server does not do what it should.
type Run = fn(&Case);

/// The rows of the table. The first one measures a time, so that it has the server for itself; the long
/// ones follow, so that nobody waits for them alone at the end.
const CASES: &[(&str, Run)] = cases![
    stored_ends::hundred_stored_ends,
    large::ten_mebibyte_answers,
    limits::limit_10000,
    reshard::reshard_at_listen,
    reshard::reshard_at_spawn,
    reshard::reshard_at_receiver,
    reshard::child_shards,
    closed::closed_stream_parents_first,
    closed::restart_at_every_batch,
    closed::latest_with_closed_parents,
    iterators::each_type_per_shard,
    iterators::trim_horizon,
    iterators::latest,
    iterators::latest_silent_then_restarted,
    iterators::at_timestamp,
    iterators::at_sequence_number,
    iterators::after_sequence_number,
    iterators::number_for_several_shards,
    limits::limit_1,
    limits::limit_7,
    listing::pages_of_shards,
    listing::stream_in_creation,
    listing::wrong_stream_name,
    by_arn::stream_by_arn,
    expiry::expired_tokens,
    tls::tls,
];

#[test]
fn embedded() {
    let running = support::Server::start().unwrap();
    let expiring = server::with_tokens_of_a_second();
    run(&Server::embedded(running.endpoint(), expiring.endpoint()));
}

#[test]
fn kinesis_local() {
    if let Some(server) = Server::kinesis_local() {
        run(&server);
    }
}

#[test]
fn kinesalite() {
    if let Some(server) = Server::kinesalite() {
        run(&server);
    }
}

/// Runs every case, and fails if one of them did.
fn run(server: &Server) {
    let start = Instant::now();
    let results = Mutex::new(Results::new(server.name()));
    let run = |(name, case): &(&'static str, Run)| {
        let outcome = run_case(server, name, *case);
        results.lock().add(name, outcome);
    };
    let (alone, together) = CASES.split_first().expect("there are cases");
    run(alone);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = together.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(case);
                }
            });
        }
    });
    let order: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
    results.into_inner().finish(&order, start.elapsed());
}

fn run_case(server: &Server, name: &'static str, case: Run) -> Outcome {
    let context = Case::new(server, name);
    let start = Instant::now();
    // Nothing of it is used after a panic, which is printed with the test's output.
    let finished = catch_unwind(AssertUnwindSafe(|| case(&context)));
    println!("{} on {}: {:.1?}", name, server.name(), start.elapsed());
    if finished.is_err() { Outcome::Failed } else { context.outcome() }
}
