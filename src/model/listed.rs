//! The content of a listing: the shards of a page, and the state of a stream.

use crate::model::shard::Shard;

/// The state of a stream (`StreamStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamStatus {
    /// Being created: it has no shards to read yet.
    Creating,
    /// Ready.
    Active,
    /// Being resharded; reading continues.
    Updating,
    /// Being deleted.
    Deleting,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ShardPage {
    /// The shards of this page.
    pub shards: Vec<Shard>,
    /// The name of the next page, if there is one.
    pub next_token: Option<String>,
}

impl ShardPage {
    /// A page with these shards, and the name of the next page; `None` for the last one.
    pub fn new(shards: Vec<Shard>, next_token: Option<String>) -> Self {
        Self { shards, next_token }
    }
}
