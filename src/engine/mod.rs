//! The shell: scoped threads that turn the core's decisions into calls, sends, waits and joins.

pub(crate) mod coordinate;
pub(crate) mod journal;
pub(crate) mod leases;
pub(crate) mod list;
pub(crate) mod monitor;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod run;
mod stored;

use std::panic::resume_unwind;
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};

use crate::client::Client;
use crate::control::shutdown::{Shutdown, StopOnDrop};
use crate::core::event::Event;
use crate::delivery::batch::Batch;
use crate::delivery::batches::Leftovers;
use crate::delivery::dispatch::{Callback, dispatch};
use crate::engine::run::{Door, Engine, Run};
use crate::error::Error;
use crate::sync::thread;

impl Engine {
    /// Runs to the end on this thread, which calls the handler with the batches.
    // long: the scope shows what is dropped before what.
    pub(crate) fn listen(self, handler: Callback<'_>) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (batches, queue) = bounded(self.config.capacity);
        let (run, events) = Run::new(&self, Door::Handler, Vec::new());
        let result = thread::scope(|scope| {
            let _stop = StopOnDrop(self.shutdown.clone());
            let run = &run;
            let coordinator = thread::Builder::new()
                .name("kc-coordinator".into())
                .spawn_scoped(scope, move || {
                    let _member = run.engine.shutdown.run().enter();
                    run.coordinate(scope, events, vec![batches])
                })
                .map_err(|source| run.no_thread("kc-coordinator", source))?;
            {
                let _exit_notice = run.dispatch_notice();
                let on_error = &self.config.on_error;
                if let Err(error) = dispatch(&queue, &self.shutdown, on_error, handler) {
                    run.tell(Event::Failed(error));
                }
                // Unhandled batches are dropped here, before the coordinator ends.
                drop(queue);
            }
            coordinator.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        run.conclude(result)
    }

    /// Runs to the end on this thread, while workers call their handlers with the batches.
    // long: the scope shows what is dropped before what.
    pub(crate) fn listen_workers<'h>(
        self,
        workers: usize,
        handler: &(dyn Fn(usize) -> Callback<'h> + Sync),
    ) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (batches, queues): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| bounded(self.config.capacity)).unzip();
        let (run, events) = Run::new(&self, Door::Handlers, Vec::new());
        let result = thread::scope(|scope| {
            let _stop = StopOnDrop(self.shutdown.clone());
            let run = &run;
            // The last worker that ends, or was not started, reports for all.
            let exit_notice = Arc::new(run.dispatch_notice());
            for (worker, queue) in queues.into_iter().enumerate() {
                let exit_notice = Arc::clone(&exit_notice);
                run.spawn(scope, format!("kc-worker-{worker}"), move || {
                    let (_exit_notice, on_error) = (exit_notice, &run.engine.config.on_error);
                    let shutdown = &run.engine.shutdown;
                    if let Err(error) = dispatch(&queue, shutdown, on_error, handler(worker)) {
                        run.tell(Event::Failed(error));
                    }
                    // As above.
                    drop(queue);
                });
            }
            drop(exit_notice);
            run.coordinate(scope, events, batches)
        });
        run.conclude(result)
    }

    /// Runs on this thread until all batches are sent.
    pub(crate) fn feed(
        self,
        door: Door,
        batches: Vec<Sender<Batch>>,
        leftovers: Vec<Leftovers>,
    ) -> Result<(), Error> {
        let _member = self.shutdown.run().enter();
        let (run, events) = Run::new(&self, door, leftovers);
        let result = thread::scope(|scope| run.coordinate(scope, events, batches));
        run.conclude(result)
    }
}

/// The client for one run: its own session, if it has one, which a stop interrupts.
pub(crate) fn session(client: &Arc<dyn Client>, shutdown: &Shutdown) -> Arc<dyn Client> {
    let Some(session) = client.session() else { return Arc::clone(client) };
    let interrupted = Arc::clone(&session);
    shutdown.on_stop(move || interrupted.interrupt());
    session
}
