//! The right to hand over the batches of a shard, where consumers share the shards of a stream.

#[cfg(test)]
use std::fmt;
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use crate::model::shard::ChildShard;
use crate::store::leases::keeper::Tenant;

/// A shard that this consumer holds for a time. One that reads alone has none.
pub(crate) trait Tenancy: Send + Sync {
    /// How much longer batches of the shard may be handed over; zero: none may for now, since somebody else may hold it.
    fn left(&self) -> Duration;

    /// The batch that is sent next ends the shard, and these are its children, if the service named them.
    fn ends_with(&self, children: &[ChildShard]);
}

impl Tenancy for Tenant {
    fn left(&self) -> Duration {
        self.left()
    }

    fn ends_with(&self, children: &[ChildShard]) {
        self.ends_with(children);
    }
}

/// The tenancy of each shard, by the shard's id.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Tenancies(Arc<Choose>);

#[cfg(test)]
type Choose = dyn Fn(&str) -> Option<Arc<dyn Tenancy>> + Send + Sync;

#[cfg(test)]
impl Tenancies {
    pub(crate) fn new(
        of: impl Fn(&str) -> Option<Arc<dyn Tenancy>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(of))
    }

    pub(crate) fn of(&self, shard: &str) -> Option<Arc<dyn Tenancy>> {
        self.0(shard)
    }
}

#[cfg(test)]
impl fmt::Debug for Tenancies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenancies").finish_non_exhaustive()
    }
}
