//! The work of a shard's thread: the poller's steps, one after the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::budget::room::Room;
use crate::control::call::Call;
use crate::core::event::{Ending, Event, Proof};
use crate::core::settings::ChildrenStart;
use crate::core::shard::Poller;
use crate::core::shard::step::{Delivery, News, Outcome, Read, Step, Write};
use crate::delivery::batch::Batch;
use crate::delivery::commits::ShardCommits;
use crate::delivery::in_flight::Slots;
use crate::engine::run::Run;
use crate::error::client::{ClientError, ErrorClass};
use crate::model::notice::{Notice, ShardState};
use crate::model::position::Position;
use crate::model::token::Token;
#[cfg(feature = "kpl")]
use crate::record::Records;
#[cfg(feature = "kpl")]
use crate::record::aggregate;
#[cfg(feature = "kpl")]
use crate::record::aggregate::Deaggregation;
use crate::record::answer::Answer;
use crate::sync::{self, select_biased};

/// The state of a shard's thread. It is on the heap: stack below a call stays in memory for each shard, even while
/// nothing happens.
pub(crate) struct Reader<'a> {
    run: &'a Run<'a>,
    poller: Poller,
    commits: Arc<ShardCommits>,
    batches: Arc<Sender<Batch>>,
    room: Arc<Room>,
    call: Call,
    slots: Slots,
    rng: fastrand::Rng,
    /// The answers to `Confirm`.
    confirmed: Receiver<Proof>,
    #[cfg(feature = "kpl")]
    left_out: aggregate::Watch,
    #[cfg(feature = "kpl")]
    has_told_of_broken: bool,
}

impl<'a> Reader<'a> {
    // long: one line for each field.
    pub(crate) fn new(
        run: &'a Run<'a>,
        poller: Poller,
        commits: Arc<ShardCommits>,
        batches: Arc<Sender<Batch>>,
        confirmed: Receiver<Proof>,
    ) -> Self {
        let room = Arc::new(Room::new(run.budget.clone()));
        let call = Call::new(commits.reading_stopped().clone());
        let call = call.with_stream(Arc::clone(&run.engine.stream)).with_room(Arc::clone(&room));
        let (slots, rng) = (Slots::new(run.door.has_slots()), fastrand::Rng::new());
        #[cfg(feature = "kpl")]
        let left_out = aggregate::Watch::new(poller.shard());
        Self {
            run,
            poller,
            commits,
            batches,
            room,
            call,
            slots,
            rng,
            confirmed,
            #[cfg(feature = "kpl")]
            left_out,
            #[cfg(feature = "kpl")]
            has_told_of_broken: false,
        }
    }

    /// Reads until the shard ends, something fails, or the consumer stops.
    pub(crate) fn read(&mut self) {
        let _exit_notice = self.run.exit_notice(self.commits.shard());
        let mut outcome = Some(Outcome::Waited);
        while let Some(outcome_now) = outcome.take_if(|_| !self.call.is_stopped()) {
            let step = self.next(outcome_now);
            outcome = self.act(step);
        }
        // The last batch may have got its place just after the drop of the receiver.
        self.run.clear_leftovers();
        let now = self.run.now();
        self.run.journal.leaves(now, self.commits.shard());
        self.commits.leaves();
    }

    /// The next step; its state is recorded.
    #[inline(never)]
    // long: what is told of an outcome, before and after its step.
    fn next(&mut self, outcome: Outcome) -> Step {
        let (now, status) = (self.run.now(), self.commits.status());
        let has_failed = match &outcome {
            Outcome::Records { read: Ok(_), .. } | Outcome::Delivered => {
                status.progresses(now);
                false
            }
            Outcome::Records { read: Err(error), .. }
            | Outcome::Iterator(Err(error), _)
            | Outcome::Status(Err(error)) => {
                status.failed(now, error.class());
                true
            }
            _ => false,
        };
        let step = self.poller.step(now, &mut self.rng, outcome);
        if has_failed && !matches!(step, Step::Fail(_)) {
            status.retries();
        }
        status.reads(now, doing(&step, self.poller.is_failing()));
        for news in self.poller.take_news() {
            match news {
                News::Trouble(trouble) => {
                    self.run.journal.told(now, self.commits.shard(), trouble);
                }
                News::Gap(gap) => self.run.notify(&Notice::Gap(gap)),
            }
        }
        step
    }

    /// Does a step; `None` at the end, or if the consumer stops first.
    fn act(&mut self, step: Step) -> Option<Outcome> {
        let (stream, shard) = (self.commits.stream(), self.commits.shard());
        match step {
            Step::GetIterator(_) | Step::GetRecords { .. } if self.was_paused() => {
                Some(Outcome::Waited)
            }
            Step::Wait(time) => Some(self.wait(time)),
            Step::GetIterator(at) => {
                let answer = self.run.client.get_shard_iterator(stream, shard, &at, &self.call);
                Some(Outcome::Iterator(answer, sync::wall()))
            }
            Step::GetRecords { token, limit } => self.get(&token, limit),
            Step::Describe => {
                Some(Outcome::Status(self.run.client.describe_stream(stream, &self.call)))
            }
            Step::Store { to, how } => self.store(&to, how),
            Step::Deliver(delivery) => self.deliver(delivery),
            Step::Confirm => self.confirm(),
            Step::End { ending, told } => self.end(ending, told),
            Step::Fail(error) => {
                self.run.tell(Event::Failed(error));
                None
            }
        }
    }

    // Out of line, like all functions that need much stack but make no call: during a call the stack of its callers
    // stays in use.
    #[inline(never)]
    fn wait(&self, time: Duration) -> Outcome {
        // Nothing is ever sent.
        sync::wait(self.reading_stopped(), time);
        Outcome::Waited
    }

    #[inline(never)]
    fn store(&self, to: &Position, how: Write) -> Option<Outcome> {
        let stored = self.commits.begin(to, how);
        // The coordinator knows.
        (!self.commits.is_lost()).then_some(Outcome::Stored(stored))
    }

    /// Of this shard, or of the whole consumer.
    fn reading_stopped(&self) -> &Receiver<Infallible> {
        self.call.stopped()
    }

    fn tells(&self, state: ShardState) {
        self.commits.reads(state);
    }

    /// Waits while the shard is paused. Returns whether it was paused.
    fn was_paused(&self) -> bool {
        let mut was_paused = false;
        while let Some(opened) = self.run.engine.pauses.paused(self.commits.shard()) {
            was_paused = true;
            self.tells(ShardState::Paused);
            select_biased! {
                recv(self.reading_stopped()) -> _ => break,
                recv(opened) -> _ => {}
            }
        }
        was_paused
    }

    /// Makes a call when there is room for its answer, and again if the room was too small; `None` if the consumer
    /// stops first.
    fn get(&mut self, token: &Token, limit: u32) -> Option<Outcome> {
        loop {
            if !self.room.try_enter() {
                self.tells(ShardState::WaitingForBudget);
                if !self.room.enter(self.reading_stopped()) {
                    return None;
                }
                self.tells(ShardState::Calling);
            }
            let begun = self.run.now();
            let answer = self.run.client.get_records(token, limit, &self.call);
            if let Some(read) = self.take_in(answer, begun) {
                return Some(Outcome::Records { begun, read });
            }
        }
    }

    /// Counts an answer, and takes it apart; `None` if the call must be made again, with more room.
    #[inline(never)]
    fn take_in(
        &mut self,
        answer: Result<Answer, ClientError>,
        begun: Duration,
    ) -> Option<Result<Read, ClientError>> {
        let answered = self.run.now();
        // Before user records are left out.
        let is_caught_up = answer.as_ref().is_ok_and(Answer::is_caught_up);
        let read = answer.map(Read::from);
        #[cfg(feature = "kpl")]
        let read = read.and_then(|read| self.deaggregate(read));
        let read = self.leave_room(read)?;
        if let Ok(Read { answer, .. }) = &read {
            let status = self.commits.status();
            status.answered(answered, answered.saturating_sub(begun), answer.behind_latest);
            if is_caught_up {
                status.caught_up(answered);
            }
            self.run.meter.budget(self.run.budget.used());
        }
        Some(read)
    }

    /// After a call: the records keep the room that they take, and the rest is given back. `None` if the call must be
    /// made again, with more room.
    fn leave_room(&self, read: Result<Read, ClientError>) -> Option<Result<Read, ClientError>> {
        let (reservation, needed) = self.room.leave();
        let limit = self.run.budget.limit();
        match read {
            Ok(mut read) => {
                let records = &mut read.answer.records;
                self.room.held(records.memory());
                records.hold(reservation);
                Some(Ok(read))
            }
            Err(error) if error.class() == ErrorClass::OverBudget && needed > limit => {
                self.room.begin_anew();
                Some(Err(too_large(error.operation(), needed, limit)))
            }
            // A client that does not say how much it needs would be called for ever.
            Err(error)
                if error.class() == ErrorClass::OverBudget && needed > reservation.bytes() =>
            {
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Replaces aggregated records by their user records, if there is room for them.
    #[cfg(feature = "kpl")]
    fn deaggregate(&mut self, mut read: Read) -> Result<Read, ClientError> {
        let how = self.run.engine.config.deaggregation;
        if how == Deaggregation::Off {
            return Ok(read);
        }
        let answer = &mut read.answer;
        let found = aggregate::find(&answer.records);
        if !self.room.try_take_apart(found.needed()) {
            let message = "no room for the user records in the budget";
            return Err(ClientError::new(ErrorClass::OverBudget, "GetRecords", message));
        }
        let records = std::mem::take(&mut answer.records);
        let shard = Some(self.poller.shard().hash_keys());
        let shard = shard.filter(|_| how == Deaggregation::WithinShard);
        let wanted = aggregate::Wanted { shard, read: self.poller.read() };
        let (users, left_out) =
            aggregate::expand(&records, &found, &wanted, Some(&self.run.budget));
        self.commits.status().left_out(left_out.records);
        self.tells_of_aggregates(&records, &found, left_out, answer.next.is_none());
        drop(records);
        self.room.fill(users.memory());
        answer.records = users;
        Ok(read)
    }

    /// Reports, once each, user records that are left out and aggregates that are delivered as they are.
    #[cfg(feature = "kpl")]
    fn tells_of_aggregates(
        &mut self,
        records: &Records,
        found: &aggregate::Found,
        left_out: aggregate::LeftOut,
        is_last: bool,
    ) {
        let (stream, shard) = (self.commits.stream(), self.commits.shard());
        if let Some((record, why)) = found.broken(records).filter(|_| !self.has_told_of_broken) {
            self.has_told_of_broken = true;
            let number = record.sequence_number();
            log::warn!(
                "stream {stream:?}, shard {shard:?}: record {number} has the magic number and the checksum of an \
                 aggregate, but {why}: it is delivered as it is, and so are others like it"
            );
        }
        if let Some(records) = self.left_out.saw(records, left_out, is_last) {
            self.run.notify(&Notice::LeftOut { shard: shard.into(), records });
        }
    }

    /// Sends a batch as soon as there is a place for it; `None` if the consumer stops first.
    #[inline(never)]
    #[expect(clippy::boxed_local, reason = "unboxed, it would stand on the stack of `act`")]
    fn deliver(&self, delivery: Box<Delivery>) -> Option<Outcome> {
        let (records, bytes) = (delivery.records.len(), delivery.records.data_len());
        let slot = self.slots.take(self.reading_stopped())?;
        if delivery.through.is_end() {
            self.commits.ends_with(self.poller.children());
        }
        let batch = Batch::new(&self.commits, *delivery, slot);
        select_biased! {
            recv(self.reading_stopped()) -> _ => None,
            send(self.batches, batch) -> sent => {
                if sent.is_err() {
                    // The dispatcher has ended, and takes no more batches.
                    self.run.engine.shutdown.now();
                    return None;
                }
                self.commits.status().sent(records, bytes);
                Some(Outcome::Delivered)
            }
        }
    }

    /// Asks whether the shard has ended; `None` if the consumer stops first.
    #[inline(never)]
    fn confirm(&self) -> Option<Outcome> {
        self.run.tell(Event::Claimed { shard: self.commits.shard().into() });
        select_biased! {
            recv(self.reading_stopped()) -> _ => None,
            // The coordinator keeps a sender until it stops the consumer.
            recv(self.confirmed) -> proof => proof.ok().map(Outcome::Confirmed),
        }
    }

    /// Reports the end of the shard. There is no outcome.
    #[inline(never)]
    fn end(&self, ending: Ending, told: ChildrenStart) -> Option<Outcome> {
        if told == ChildrenStart::Sent || self.slots.take_all(self.reading_stopped()) {
            self.tells(ShardState::Ended);
            self.run.journal.ended(self.run.now(), self.commits.shard(), &ending);
            self.run.tell(Event::Ended { shard: self.commits.shard().into(), ending });
        }
        None
    }
}

/// The state of a shard's thread during a step.
fn doing(step: &Step, is_failing: bool) -> ShardState {
    match step {
        Step::Wait(_) if is_failing => ShardState::BackingOff,
        Step::Wait(_) => ShardState::Idle,
        Step::GetIterator(_) | Step::GetRecords { .. } | Step::Describe => ShardState::Calling,
        Step::Store { .. } => ShardState::Storing,
        Step::Deliver(_) | Step::End { .. } => ShardState::WaitingForChannel,
        Step::Confirm => ShardState::ConfirmingEnd,
        Step::Fail(_) => ShardState::Ended,
    }
}

fn too_large(operation: &'static str, wanted: usize, limit: usize) -> ClientError {
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    let message = format!(
        "an answer that takes {} MiB does not fit into the budget of {} MiB: let the program have a larger \
         budget, or ask for fewer records at once",
        mib(wanted),
        mib(limit),
    );
    ClientError::new(ErrorClass::TooLarge, operation, message)
}
