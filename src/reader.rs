//! What a shard's thread does: the poller's steps, one after the other.

use std::sync::Arc;

use crossbeam_channel::{Sender, select_biased};

use crate::batch::Batch;
use crate::client::{Answer, Call, ClientError};
#[cfg(feature = "kpl")]
use crate::config::Deaggregation;
use crate::coordinator::Event;
use crate::engine::Run;
use crate::ledger::Ledger;
use crate::meter::Meter;
use crate::notice::{Notice, ShardState};
use crate::poller::Poller;
use crate::room::Room;
use crate::slots::Slots;
use crate::step::{Delivery, Outcome, Step};

impl Run<'_> {
    /// Reads until the shard ends, something fails, or the consumer stops.
    pub(crate) fn poll(&self, poller: &mut Poller, ledger: &Arc<Ledger>, batches: &Sender<Batch>) {
        let halted = self.engine.shutdown.halted();
        let room = Arc::new(Room::new(self.budget.clone()));
        let call = Call::new(halted.clone()).with_room(Arc::clone(&room));
        let (stream, shard) = (ledger.stream(), ledger.shard());
        let slots = Slots::new(self.door.has_slots());
        let mut rng = fastrand::Rng::new();
        let mut step = poller.step(self.now(), &mut rng, Outcome::Waited);
        while !call.is_stopped() {
            ledger.status().reads(doing(&step, poller.is_failing()));
            if let Some(gap) = poller.take_news() {
                self.notify(&Notice::Gap(gap));
            }
            let outcome = match step {
                Step::GetIterator(_) | Step::GetRecords { .. } if self.was_paused(ledger) => {
                    Outcome::Waited
                }
                Step::Wait(time) => {
                    // Disconnected when the consumer stops; nothing is ever sent.
                    let _ = halted.recv_timeout(time);
                    Outcome::Waited
                }
                Step::GetIterator(at) => {
                    Outcome::Iterator(self.client.get_shard_iterator(stream, shard, &at, &call))
                }
                Step::GetRecords { token, limit } => {
                    let read = || self.client.get_records(&token, limit, &call);
                    match self.read(read, &room, ledger, poller) {
                        Some(answer) => Outcome::Records(answer),
                        None => return,
                    }
                }
                Step::Describe => Outcome::Status(self.client.describe_stream(stream, &call)),
                Step::Store { to, reset } => Outcome::Stored(ledger.begin(&to, reset)),
                Step::Deliver(delivery) => match self.deliver(delivery, ledger, &slots, batches) {
                    Some(delivered) => delivered,
                    None => return,
                },
                Step::End(ending) => {
                    // What is parked, or in another worker's hands, holds back the shards that descend from
                    // this one.
                    let holds_back = self.engine.config.on_error.parks() || self.door.has_workers();
                    if holds_back && !slots.take_all(halted) {
                        return;
                    }
                    ledger.status().reads(ShardState::Ended);
                    return self.tell(Event::Ended { shard: shard.into(), ending });
                }
                Step::Fail(error) => return self.tell(Event::Failed(error)),
            };
            if call.is_stopped() {
                return;
            }
            note(ledger, &outcome);
            if matches!(outcome, Outcome::Records(Ok(_)) | Outcome::Delivered) {
                ledger.progresses();
            }
            step = poller.step(self.now(), &mut rng, outcome);
        }
    }

    /// Waits while the shard is paused: whether it was.
    fn was_paused(&self, ledger: &Ledger) -> bool {
        let mut was_paused = false;
        while let Some(opened) = self.engine.monitor.paused(ledger.shard()) {
            was_paused = true;
            ledger.status().reads(ShardState::Paused);
            select_biased! {
                recv(self.engine.shutdown.halted()) -> _ => break,
                recv(opened) -> _ => {}
            }
        }
        was_paused
    }

    /// Makes a call when there is room for its answer, again where the room was too small; `None` if the
    /// consumer stops before.
    fn read(
        &self,
        call: impl Fn() -> Result<Answer, ClientError>,
        room: &Room,
        ledger: &Ledger,
        poller: &mut Poller,
    ) -> Option<Result<Answer, ClientError>> {
        loop {
            if !room.try_enter() {
                ledger.status().reads(ShardState::WaitingForBudget);
                if !room.enter(self.engine.shutdown.halted()) {
                    return None;
                }
                poller.calls(self.now());
                ledger.status().reads(ShardState::Calling);
            }
            let begun = self.now();
            let answer = call();
            let took = self.now().saturating_sub(begun);
            // Before user records are left out.
            let is_caught_up = answer.as_ref().is_ok_and(Answer::is_caught_up);
            #[cfg(feature = "kpl")]
            let answer = answer.map(|answer| self.deaggregate(answer, ledger, poller));
            if let Some(answer) = room.leave(answer) {
                if let Ok(answer) = &answer {
                    ledger.status().answered(begun + took, took, answer.behind_latest);
                    if is_caught_up {
                        ledger.status().caught_up(begun + took);
                    }
                    Meter::buffered(ledger.stream(), self.budget.used());
                }
                return Some(answer);
            }
        }
    }

    /// Puts user records in the place of aggregated ones.
    #[cfg(feature = "kpl")]
    fn deaggregate(&self, mut answer: Answer, ledger: &Ledger, poller: &Poller) -> Answer {
        let how = self.engine.config.deaggregation;
        if how == Deaggregation::Off || answer.records.is_empty() {
            return answer;
        }
        let records = std::mem::take(&mut answer.records);
        let (records, left_out) =
            crate::kpl::expand(records, how, poller.hash_keys(), Some(&self.budget));
        ledger.status().left_out(left_out);
        answer.records = records;
        answer
    }

    /// Sends a batch as soon as there is a place for it; `None` if the consumer stops before.
    fn deliver(
        &self,
        delivery: Delivery,
        ledger: &Arc<Ledger>,
        slots: &Slots,
        batches: &Sender<Batch>,
    ) -> Option<Outcome> {
        let halted = self.engine.shutdown.halted();
        let (records, bytes) = (delivery.records.len(), delivery.records.data_len());
        let batch = Batch::new(ledger, delivery, slots.take(halted)?);
        select_biased! {
            recv(halted) -> _ => None,
            send(batches, batch) -> sent => {
                if sent.is_err() {
                    // Every receiver is gone: nobody wants more.
                    self.engine.shutdown.now();
                }
                ledger.status().sent(records, bytes);
                sent.ok().map(|()| Outcome::Delivered)
            }
        }
    }
}

/// Counts a call that failed.
fn note(ledger: &Ledger, outcome: &Outcome) {
    let error = match outcome {
        Outcome::Records(Err(error))
        | Outcome::Iterator(Err(error))
        | Outcome::Status(Err(error)) => error,
        _ => return,
    };
    ledger.status().failed(error.class());
}

/// What a shard's thread does in a step.
fn doing(step: &Step, is_failing: bool) -> ShardState {
    match step {
        Step::Wait(_) if is_failing => ShardState::BackingOff,
        Step::Wait(_) => ShardState::Idle,
        Step::GetIterator(_) | Step::GetRecords { .. } | Step::Describe => ShardState::Calling,
        Step::Store { .. } => ShardState::Storing,
        Step::Deliver(_) | Step::End(_) => ShardState::WaitingForChannel,
        Step::Fail(_) => ShardState::Ended,
    }
}
