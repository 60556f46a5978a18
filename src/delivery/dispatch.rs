//! The dispatcher: handle, then commit; a refused batch waits, or is put aside.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::{Receiver, never};

use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::delivery::on_error::{DeadLetter, OnError};
use crate::delivery::parked::{Parking, Time, Verdict};
use crate::error::store::StoreErrorKind;
use crate::error::{BoxError, Error};
use crate::model::notice::ShardState;
use crate::sync::{self, at, select_biased};

/// The user's handler, boxed.
pub(crate) type Callback<'a> = Box<dyn FnMut(&Batch) -> Result<(), BoxError> + 'a>;

/// Calls the handler with one batch at a time.
pub(crate) struct Dispatcher<'a> {
    pub(crate) handler: Callback<'a>,
    pub(crate) parking: &'a mut Parking,
    pub(crate) rng: &'a mut fastrand::Rng,
    pub(crate) clock: &'a dyn Fn() -> Time,
}

/// Handles batches until there are no more, one fails for good, or the consumer stops.
pub(crate) fn dispatch(
    batches: &Receiver<Batch>,
    shutdown: &Shutdown,
    on_error: &OnError,
    handler: Callback<'_>,
) -> Result<(), Error> {
    let mut parking = Parking::new(on_error.clone());
    let started = sync::now();
    let clock = || Time { now: sync::since(started), wall: sync::wall() };
    let mut rng = fastrand::Rng::new();
    let mut dispatcher =
        Dispatcher { handler, parking: &mut parking, rng: &mut rng, clock: &clock };
    let result = dispatcher.run(batches, shutdown, started);
    // Everything stops before the parked batches are dropped: so their drop gives no warning. A stop that ended this
    // may still be in progress.
    if result.is_err() || !dispatcher.parking.is_empty() {
        shutdown.now();
    }
    dispatcher.parking.say_rest();
    result
}

impl Dispatcher<'_> {
    // long: one select over all that a dispatcher waits for.
    fn run(
        &mut self,
        batches: &Receiver<Batch>,
        shutdown: &Shutdown,
        started: Instant,
    ) -> Result<(), Error> {
        let mut drain = shutdown.drain_limit();
        let (mut batches, idle, mut is_open) = (batches.clone(), never(), true);
        // New batches and parked ones take turns: neither kind waits until the other is empty.
        let mut is_parkeds_turn = false;
        while is_open || !self.parking.is_empty() {
            self.parking.say_more((self.clock)().now);
            let due = self.parking.wake().map_or_else(never, |due| at(started + due));
            let (before, after) = if is_parkeds_turn { (&due, &idle) } else { (&idle, &due) };
            let limit = drain.until.map_or_else(never, at);
            let next = select_biased! {
                recv(shutdown.handling_stopped()) -> _ => return Ok(()),
                recv(drain.changed) -> _ => {
                    drain = shutdown.drain_limit();
                    continue;
                }
                recv(limit) -> _ => return Ok(()),
                recv(before) -> _ => None,
                recv(batches) -> batch => Some(batch),
                recv(after) -> _ => None,
            };
            is_parkeds_turn = next.is_some();
            let batch = match next {
                None => self.parking.take((self.clock)().now),
                Some(Ok(batch)) => self.parking.pass(batch),
                Some(Err(_)) => {
                    (batches, is_open) = (never(), false);
                    None
                }
            };
            if let Some(batch) = batch {
                self.attend(batch)?;
            }
        }
        Ok(())
    }

    /// Calls the handler with a batch, and commits it if the handler or the dead-letter callback returned `Ok`.
    /// Otherwise the batch is left in `parking`, also if the shard is fenced. A batch of a lost shard is dropped, with those
    /// that are parked.
    // long: each reason not to call the handler, and what it returned.
    pub(crate) fn attend(&mut self, batch: Batch) -> Result<(), Error> {
        if batch.commits().is_lost() {
            self.parking.forget((self.clock)().now, &batch);
            return Ok(());
        }
        if let Some((error, attempts)) = self.parking.take_refusal(&batch) {
            return self.give_up(batch, error, attempts);
        }
        if batch.commits().is_fenced() {
            self.parking.fenced((self.clock)().now, batch, None);
            return Ok(());
        }
        batch.commits().handles(Some(ShardState::Handling));
        let begun = (self.clock)().now;
        let handled = match self.parking.on_error().catch_panics {
            false => (self.handler)(&batch),
            true => catch_unwind(AssertUnwindSafe(|| (self.handler)(&batch)))
                .unwrap_or_else(|panic| Err(told(&*panic).into())),
        };
        batch.commits().status().handled((self.clock)().now.saturating_sub(begun));
        let Err(error) = handled else {
            self.parking.done((self.clock)().now, &batch);
            return self.commit(&batch);
        };
        match self.parking.failed((self.clock)(), self.rng, batch, &error) {
            Verdict::Parked => Ok(()),
            Verdict::GivenUp { batch, attempts } => self.give_up(*batch, error, attempts),
        }
    }

    fn give_up(&mut self, batch: Batch, error: BoxError, attempts: u32) -> Result<(), Error> {
        let (stream, shard) = (batch.stream().to_owned(), batch.shard().to_owned());
        let Some(take) = self.parking.on_error().dead_letter.clone() else {
            self.parking.keep(batch);
            return Err(Error::Handler { stream, shard, source: error });
        };
        // The handler may have taken long. Whether the shard is lost is seen at the next look.
        if !batch.is_current() {
            self.parking.fenced((self.clock)().now, batch, Some(error));
            return Ok(());
        }
        match take(&DeadLetter { batch: &batch, error: &error, attempts }) {
            Ok(()) => {
                self.parking.put_aside((self.clock)().now, &batch, &error, attempts);
                self.commit(&batch)
            }
            Err(source) => {
                self.parking.keep(batch);
                Err(Error::DeadLetter { stream, shard, handler: error, source })
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        batch.commits().handles(None);
        batch.commits().progresses();
        match batch.commit() {
            // The coordinator is told too: it retries, and stops after `store_patience`; a lost shard it gives up.
            Err(Error::Store { source, .. }) if source.kind() != StoreErrorKind::Fatal => {
                log::debug!("{source:#}");
                Ok(())
            }
            committed => committed,
        }
    }
}

/// The message of a panic.
fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a text"))
}
