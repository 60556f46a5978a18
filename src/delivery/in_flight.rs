//! How many batches of one shard may be on their way to the handler.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::sync::{self, select_biased};

/// One in the handler, and the next one ready: with more, one shard could fill the channel,
/// or memory while its first batch is retried.
const SLOTS: usize = 2;

/// The slots of one shard: a channel with a message for each slot that is taken. With a user's receiver
/// there is no such channel, and only the queue bounds the batches.
#[derive(Debug)]
pub(crate) struct Slots(Option<(Sender<()>, Receiver<()>)>);

/// One batch's slot, given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Slot(Option<Receiver<()>>);

impl Slots {
    pub(crate) fn new(are_bounded: bool) -> Self {
        Self(are_bounded.then(|| bounded(SLOTS)))
    }

    /// Waits for a slot; `None` if `reading_stopped` was disconnected first.
    pub(crate) fn take(&self, reading_stopped: &Receiver<Infallible>) -> Option<Slot> {
        let Some((taken, taking)) = &self.0 else { return Some(Slot(None)) };
        select_biased! {
            recv(reading_stopped) -> _ => None,
            send(taken, ()) -> _ => Some(Slot(Some(taking.clone()))),
        }
    }

    /// Waits until every batch of the shard was handled; `false` if `reading_stopped` came first.
    pub(crate) fn take_all(&self, reading_stopped: &Receiver<Infallible>) -> bool {
        let all: Vec<_> = (0..SLOTS).map_while(|_| self.take(reading_stopped)).collect();
        all.len() == SLOTS
    }

    /// A slot, if one is free.
    #[cfg(test)]
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let Some((taken, taking)) = &self.0 else { return Some(Slot(None)) };
        taken.try_send(()).ok().map(|()| Slot(Some(taking.clone())))
    }

    /// Whether every batch of the shard was handled.
    #[cfg(test)]
    pub(crate) fn are_free(&self) -> bool {
        self.0.as_ref().is_none_or(|(_, taking)| taking.is_empty())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        sync::point();
        // There is one message for each slot.
        let _ = self.0.take().map(|taking| taking.try_recv());
    }
}
