//! What the tests of commits share.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::core::event::Event;
use crate::delivery::commits::CommitContext;
use crate::store::Store;

impl CommitContext {
    /// Of a consumer that is alone and stores at once, for a test in which no time passes.
    pub(crate) fn of_test(store: Arc<impl Store + 'static>, events: Sender<Event>) -> Self {
        let (stream, clock) = ("orders".into(), Arc::new(|| Duration::ZERO));
        Self { stream, store, events, tenancy: None, every: None, clock }
    }
}
