//! How a stream is opened: what is checked, listed and made before its consumer runs.

use std::sync::Arc;

use crate::client::Client;
use crate::config::MAX_CAPACITY;
use crate::core::settings::Plan;
use crate::delivery::batches::{Batches, channel};
use crate::engine::list::list_now;
use crate::engine::run::{Door, Engine};
use crate::engine::session;
use crate::error::Error;
use crate::listener::{Listener, Parting};
use crate::model::shard::Shard;
use crate::store::Store;
use crate::store::keyed::KeyedStore;
use crate::store::leases::fleet::Leases;
use crate::stream::Stream;
use crate::sync::thread;

/// More threads than this would only wait for each other.
const MAX_WORKERS: usize = 1_024;

impl Stream {
    /// Channels for this many workers, and the consumer that fills them.
    pub(super) fn open(
        self,
        door: Door,
        workers: usize,
    ) -> Result<(Vec<Batches>, Listener), Error> {
        let (mut senders, mut receivers, mut leftovers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..workers {
            let (sender, batches, left) = channel(self.config.capacity, &self.shutdown);
            senders.push(sender);
            receivers.push(batches);
            leftovers.push(left);
        }
        let feed = move |stream: Self| stream.engine().feed(door, senders, leftovers);
        Ok((receivers, self.run_aside("kc-coordinator", feed)?))
    }

    pub(super) fn run_aside(
        self,
        thread: &str,
        run: impl FnOnce(Self) -> Result<(), Error> + Send + 'static,
    ) -> Result<Listener, Error> {
        let (stream, shutdown) = (Arc::clone(self.id.shared()), self.shutdown());
        let (monitor, pauses) = (self.monitor(), self.pauses());
        let parting = Parting::default();
        let (theirs, membership) = (parting.clone(), shutdown.run().clone());
        let run = move || {
            // To the end: the run may own the listener and drop it last.
            let _member = membership.enter();
            theirs.after(|| run(self))
        };
        // Owned by the listener, which joins it.
        match thread::Builder::new().name(thread.into()).spawn(run) {
            Ok(thread) => Ok(Listener::new(thread, stream, shutdown, monitor, pauses, parting)),
            Err(source) => {
                Err(Error::Thread { stream: stream.to_string(), thread: thread.into(), source })
            }
        }
    }

    pub(super) fn engine(self) -> Engine {
        let client = self.session();
        let config = self.config.stored_by_default(self.store.leases().map(Leases::store_every));
        let plan = Plan {
            stream: self.id.to_string(),
            iterator_type: config.iterator_type.clone(),
            chosen: self.chosen,
            on_foreign: config.on_gap.foreign,
        };
        let former_key = self.id.is_arn() && self.store_key.is_none();
        let former_key = former_key.then(|| self.id.name().to_owned());
        Engine {
            stream: Arc::clone(self.id.shared()),
            name: self.id.name().to_owned(),
            client,
            store: under(self.store, self.store_key),
            former_key,
            config,
            plan,
            listed: self.listed,
            shutdown: self.shutdown,
            registry: self.registry,
            pauses: self.pauses,
        }
    }

    pub(super) fn session(&self) -> Arc<dyn Client> {
        let session = || session(&self.client, &self.shutdown);
        Arc::clone(self.session.get_or_init(session))
    }

    /// The stream, if all settings can be had together.
    pub(super) fn checked(self) -> Result<Self, Error> {
        self.config.validate()?;
        if let Some(leases) = self.store.leases() {
            leases.validate()?;
            if self.config.iterator_type.is_of_one_shard() {
                self.alone("iterator_type")?;
            }
        }
        Ok(self)
    }

    /// Of a setting that leases leave no room for, by its name.
    pub(super) fn alone(&self, setting: &'static str) -> Result<(), Error> {
        match self.store.leases() {
            None => Ok(()),
            Some(_) => {
                let reason = "it has no meaning in a fleet, where the table of leases says which shards are read, and \
                              from where: leave it out, or read alone"
                    .into();
                Err(Error::InvalidSetting { setting, reason })
            }
        }
    }

    pub(super) fn check_workers(&self, workers: usize) -> Result<(), Error> {
        let invalid = |setting, reason| Err(Error::InvalidSetting { setting, reason });
        if !(1..=MAX_WORKERS).contains(&workers) {
            return invalid("workers", format!("{workers} is not within 1 to {MAX_WORKERS}"));
        }
        // Of valid numbers, so that it does not overflow.
        let capacity = self.config.capacity;
        if workers * capacity > MAX_CAPACITY {
            let reason = format!(
                "{capacity} batches for each of {workers} workers are more than {MAX_CAPACITY}, the most for all"
            );
            return invalid("capacity", reason);
        }
        Ok(())
    }

    pub(super) fn listed_shard(&mut self, id: &str) -> Result<&mut Shard, Error> {
        let stream = self.id.to_string();
        let found = self.list()?.iter_mut().find(|shard| shard.id() == id);
        found.ok_or_else(|| Error::UnknownShard { stream, shard: id.into() })
    }

    pub(super) fn list(&mut self) -> Result<&mut Vec<Shard>, Error> {
        let shards = match self.listed.take() {
            Some(shards) => shards,
            None => {
                let client = self.session();
                list_now(&*client, self.id.as_str(), self.config.start_patience, &self.shutdown)?
            }
        };
        Ok(self.listed.insert(shards))
    }
}

/// The store, under this key if there is one.
fn under(store: Arc<dyn Store>, key: Option<String>) -> Arc<dyn Store> {
    match key {
        Some(key) => Arc::new(KeyedStore::new(store, key)),
        None => store,
    }
}
