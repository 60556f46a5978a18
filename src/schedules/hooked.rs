//! A store and a client that call a hook before each call.

use std::sync::Arc;

use crate::client::Client;
use crate::client::memory::MemoryKinesis;
use crate::control::call::Call;
use crate::error::client::ClientError;
use crate::error::store::StoreError;
use crate::model::listed::{ShardPage, StreamStatus};
use crate::model::position::{IteratorType, Position};
use crate::model::token::{ShardIterator, Token};
use crate::record::answer::Answer;
use crate::store::Store;
use crate::store::local::LocalStore;
use crate::sync::Mutex;

pub(super) struct Hooked<T> {
    inside: T,
    hook: Hook,
    /// Called for each session that is opened; without it the client has none.
    session: Option<Hook>,
}

/// What the scenario does in a callback.
pub(super) type Hook = Arc<dyn Fn() + Send + Sync>;

/// A number of calls, and then the one that matters.
#[derive(Default)]
pub(super) struct Countdown(Mutex<u32>);

impl Countdown {
    pub(super) fn new(calls: u32) -> Self {
        Self(Mutex::new(calls))
    }

    /// Whether this call is the one that matters.
    pub(super) fn is_over_now(&self) -> bool {
        let mut left = self.0.lock();
        *left = left.wrapping_sub(1);
        *left == u32::MAX
    }

    /// The call that matters does not come any more, if it has not come yet.
    pub(super) fn disarm(&self) {
        let mut left = self.0.lock();
        *left = (*left).max(u32::MAX / 2);
    }

    /// Whether the call that matters has come.
    pub(super) fn is_over(&self) -> bool {
        *self.0.lock() > u32::MAX / 2
    }
}

impl<T> Hooked<T> {
    pub(super) fn new(inside: T, hook: &Hook) -> Self {
        Self { inside, hook: Arc::clone(hook), session: None }
    }

    /// It has sessions; this hook is called for each.
    pub(super) fn with_sessions(self, hook: &Hook) -> Self {
        Self { session: Some(Arc::clone(hook)), ..self }
    }

    fn inside(&self) -> &T {
        (self.hook)();
        &self.inside
    }
}

impl Store for Hooked<Arc<LocalStore>> {
    fn update_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: &Position,
    ) -> Result<(), StoreError> {
        self.inside().update_shard_iterator(of, shard, to)
    }

    fn shard_iterators(&self, of: &str) -> Result<Vec<(String, Position)>, StoreError> {
        self.inside().shard_iterators(of)
    }

    fn reset_shard_iterator(
        &self,
        of: &str,
        shard: &str,
        to: Option<&Position>,
    ) -> Result<(), StoreError> {
        self.inside().reset_shard_iterator(of, shard, to)
    }
}

impl Client for Hooked<MemoryKinesis> {
    fn describe_stream(&self, stream: &str, call: &Call) -> Result<StreamStatus, ClientError> {
        self.inside().describe_stream(stream, call)
    }

    fn list_shards(
        &self,
        stream: &str,
        token: Option<&str>,
        call: &Call,
    ) -> Result<ShardPage, ClientError> {
        self.inside().list_shards(stream, token, call)
    }

    fn get_shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        at: &IteratorType,
        call: &Call,
    ) -> Result<ShardIterator, ClientError> {
        self.inside().get_shard_iterator(stream, shard, at, call)
    }

    fn get_records(&self, token: &Token, limit: u32, call: &Call) -> Result<Answer, ClientError> {
        self.inside().get_records(token, limit, call)
    }

    fn session(&self) -> Option<Arc<dyn Client>> {
        self.session.as_ref()?();
        Some(Arc::new(Self::new(self.inside.clone(), &self.hook)))
    }
}
