//! The stop of one shard, which ends with the consumer too.

use std::convert::Infallible;

use crossbeam_channel::Receiver;

use crate::control::shutdown::Shutdown;

/// Stops the reading of a shard when it is dropped; a stop of the consumer does it too.
#[derive(Debug)]
pub(crate) struct ShardStop {
    consumer: Shutdown,
    number: u64,
}

impl ShardStop {
    /// The stop of one more shard, and the channel that it disconnects. The channel carries nothing.
    pub(crate) fn new(consumer: &Shutdown) -> (Self, Receiver<Infallible>) {
        let (number, stopped) = consumer.add_shard();
        (Self { consumer: consumer.clone(), number }, stopped)
    }
}

impl Drop for ShardStop {
    fn drop(&mut self) {
        self.consumer.remove_shard(self.number);
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::TryRecvError::{Disconnected, Empty};

    use super::*;

    #[test]
    fn a_shard_stops_alone_or_with_the_consumer() {
        let consumer = Shutdown::new();
        let (one, one_stopped) = ShardStop::new(&consumer);
        let (other, other_stopped) = ShardStop::new(&consumer);
        drop(one);
        assert_eq!(one_stopped.try_recv(), Err(Disconnected));
        assert_eq!(other_stopped.try_recv(), Err(Empty));
        assert!(!consumer.is_stopped());
        consumer.now();
        assert_eq!(other_stopped.try_recv(), Err(Disconnected));
        drop(other);
        let (_late, late_stopped) = ShardStop::new(&consumer);
        assert_eq!(late_stopped.try_recv(), Err(Disconnected), "it has stopped before");
    }
}
