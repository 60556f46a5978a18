//! The loop that writes until there is nothing more to write.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbeam_channel::{select, tick};
use kinesis_consumer::{Batch, Batches, BoxError, Monitor, Shutdown};

use crate::interrupt::Caught;
use crate::output::Output;
use crate::tips::Tips;

/// How often it checks states without an event: that the tips are reached, or that the reader is gone.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Reading<'a> {
    pub(crate) batches: Batches,
    pub(crate) monitor: Monitor,
    pub(crate) shutdown: Shutdown,
    /// Where it ends.
    pub(crate) tips: Option<Tips>,
    pub(crate) output: Output<'a>,
    pub(crate) signal: &'a Caught,
}

impl Reading<'_> {
    /// Writes batches until there are no more, or no more are wanted; then the consumer is stopped.
    pub(crate) fn write(mut self) -> Result<(), BoxError> {
        let ticker = tick(LOOK);
        loop {
            select! {
                recv(self.batches.as_crossbeam()) -> batch => match batch {
                    Ok(batch) => match self.take(&batch) {
                        Ok(ControlFlow::Continue(())) => {}
                        ended => {
                            // Before the batch is dropped, so that its uncommitted rest causes no warning.
                            self.shutdown.now();
                            return ended.map(|_| ());
                        }
                    },
                    Err(_) => return Ok(()), // stopped, or failed, which the listener tells
                },
                recv(ticker) -> _ => {
                    if self.output.is_abandoned() {
                        self.shutdown.now();
                        return Ok(());
                    }
                    if self.is_at_tips() {
                        self.shutdown.now(); // and what was sent until then is still written
                    }
                }
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<ControlFlow<()>, BoxError> {
        // Batches left in the channel come again.
        if self.signal.is_any() {
            return Ok(ControlFlow::Break(()));
        }
        let flow = self.output.take(batch, self.signal)?;
        if let Some(tips) = &mut self.tips {
            tips.saw(batch);
        }
        Ok(flow)
    }

    fn is_at_tips(&self) -> bool {
        self.tips.as_ref().is_some_and(|tips| tips.are_reached(&self.monitor.progress()))
    }
}
