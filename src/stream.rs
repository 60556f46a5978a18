//! A stream to read, and the three ways to read it.

mod open;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::client::Client;
use crate::config::Config;
use crate::control::pause::Pauses;
use crate::control::shutdown::Shutdown;
use crate::delivery::batch::Batch;
use crate::delivery::batches::Batches;
use crate::delivery::handler::Handler;
use crate::engine::monitor::Monitor;
use crate::engine::registry::Registry;
use crate::engine::run::Door;
use crate::error::{BoxError, Error};
use crate::listener::Listener;
use crate::model::position::IteratorType;
use crate::model::shard::Shard;
use crate::model::stream_id::StreamId;
use crate::store::Store;
use crate::sync;

/// A longer key has no place in some databases. No ARN is as long.
const MAX_KEY: usize = 255;

/// A stream to read.
///
/// Adjust it if needed, then call one of [`listen`](Self::listen), [`spawn`](Self::spawn) or
/// [`receiver`](Self::receiver); each consumes the stream.
///
/// ```
/// use kinesis_consumer::{Config, LocalStore, Stream};
/// use kinesis_consumer::testing::MemoryKinesis;
///
/// let kinesis = MemoryKinesis::new();
/// kinesis.create_stream("orders", 2);
/// kinesis.put("orders", "customer-7", b"one espresso");
///
/// let stream = Stream::new(kinesis, "orders", LocalStore::new(), Config::new())?;
/// let shutdown = stream.shutdown();
/// stream.listen(|batch| {
///     for record in batch.records() {
///         println!("{}: {} bytes", record.partition_key(), record.data().len());
///     }
///     shutdown.now();
///     Ok(())
/// })?;
/// # Ok::<(), kinesis_consumer::Error>(())
/// ```
pub struct Stream {
    id: StreamId,
    client: Arc<dyn Client>,
    /// The first call makes it, and a stop ends it: all calls of one stream belong to one session.
    session: OnceLock<Arc<dyn Client>>,
    store: Arc<dyn Store>,
    store_key: Option<String>,
    config: Config,
    listed: Option<Vec<Shard>>,
    chosen: Option<BTreeSet<String>>,
    shutdown: Shutdown,
    registry: Registry,
    pauses: Pauses,
}

impl Stream {
    /// The stream of this name or ARN, read through `client`, with positions kept in `store`. Makes no call.
    ///
    /// A name is looked up in the account of the credentials. An ARN, such as
    /// `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`, may be of another account, whose stream must have a policy
    /// that allows it; its region must be the client's, unless the client's endpoint is none of Amazon's. What is given
    /// here stands in every log line, error and metric, and is the stream's key in the store: see
    /// [`store_key`](Self::store_key).
    ///
    /// To share a client or a store, pass an [`Arc`] of it; if its type is not known, pass a [`Box`].
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if the name, the ARN or a setting, also of a [`Fleet`](crate::Fleet), is out of range, or
    /// the client cannot read that ARN.
    pub fn new(
        client: impl Client + 'static,
        name: &str,
        store: impl Store + 'static,
        config: Config,
    ) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidSetting { setting: "name", reason };
        let id = StreamId::new(name).map_err(|error| invalid(error.to_string()))?;
        client.check_stream(&id).map_err(invalid)?;
        Self {
            id,
            client: Arc::new(client),
            session: OnceLock::new(),
            store: Arc::new(store),
            store_key: None,
            config,
            listed: None,
            chosen: None,
            shutdown: Shutdown::new(),
            registry: Registry::default(),
            pauses: Pauses::new(),
        }
        .checked()
    }

    /// The stream's name, or its ARN, as [`new`](Self::new) was given it.
    pub fn name(&self) -> &str {
        self.id.as_str()
    }

    /// Stops it; get this before `listen` or another method consumes the stream.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Tells how far it has come; get this before `listen` or another method consumes the stream.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.registry.clone())
    }

    /// Pauses it, or some of its shards; get this before `listen` or another method consumes the stream.
    pub fn pauses(&self) -> Pauses {
        self.pauses.clone()
    }

    /// The shards, open and closed, in the order of their ids. Listed once, by the first call that
    /// needs it; waits for a stream that is being created, at most for `start_patience`.
    ///
    /// # Errors
    /// If the stream cannot be listed, or does not exist; [`Error::Stopped`] after a shutdown.
    pub fn shards(&mut self) -> Result<&[Shard], Error> {
        Ok(self.list()?)
    }

    /// The key of the stream in the store. Defaults to what [`new`](Self::new) was given, the name or the whole ARN.
    ///
    /// A stream that was read by its name, and now by its ARN, so resumes where it was. Without this,
    /// [`Error::StoredUnderName`] says so before anything is read. To begin anew, give the ARN here.
    ///
    /// ```
    /// use kinesis_consumer::{Config, LocalStore, Stream};
    /// use kinesis_consumer::testing::MemoryKinesis;
    ///
    /// let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
    /// let mut stream = Stream::new(MemoryKinesis::new(), arn, LocalStore::new(), Config::new())?;
    /// stream.store_key("orders")?;
    /// # Ok::<(), kinesis_consumer::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] unless it is 1 to 255 visible ASCII characters, as names and ARNs are; and in a
    /// [`Fleet`](crate::Fleet), whose table belongs to one stream.
    pub fn store_key(&mut self, key: impl Into<String>) -> Result<&mut Self, Error> {
        self.alone("store_key")?;
        let key = key.into();
        if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = format!(
                "{:?} is not 1 to {MAX_KEY} visible ASCII characters: use the stream's name, or its ARN",
                key.chars().take(MAX_KEY).collect::<String>()
            );
            return Err(Error::InvalidSetting { setting: "store_key", reason });
        }
        self.store_key = Some(key);
        Ok(self)
    }

    /// Reads only these shards, and all their descendants. Defaults to all shards.
    ///
    /// # Errors
    /// [`Error::UnknownShard`], [`Error::InvalidSetting`] for an empty list and in a [`Fleet`](crate::Fleet), and those of
    /// [`shards`](Self::shards).
    pub fn choose<'a>(
        &mut self,
        shards: impl IntoIterator<Item = &'a str>,
    ) -> Result<&mut Self, Error> {
        self.alone("choose")?;
        let mut chosen = BTreeSet::new();
        for shard in shards {
            chosen.insert(self.listed_shard(shard)?.id().to_owned());
        }
        if chosen.is_empty() {
            let reason = "no shard is chosen: choose one, or make no choice to read all".into();
            return Err(Error::InvalidSetting { setting: "choose", reason });
        }
        self.chosen = Some(chosen);
        Ok(self)
    }

    /// Sets where one shard and its descendants start if neither they nor an ancestor of theirs has a stored position.
    /// Defaults to [`Config::iterator_type`].
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a timestamp more than five minutes ahead of this machine's clock and in a
    /// [`Fleet`](crate::Fleet), [`Error::UnknownShard`], and those of [`shards`](Self::shards).
    pub fn start_at(&mut self, shard: &str, at: IteratorType) -> Result<&mut Self, Error> {
        self.alone("start_at")?;
        at.check(sync::wall())
            .map_err(|reason| Error::InvalidSetting { setting: "start_at", reason })?;
        self.listed_shard(shard)?.start_at = Some(at);
        Ok(self)
    }

    /// Reads the stream, and calls the handler with each batch, until every shard has ended, something
    /// fails, or it is stopped. This thread is the dispatcher; each shard has a thread of its own.
    ///
    /// A batch is committed when the handler returned `Ok` for it.
    ///
    /// # Errors
    /// The error that stopped it; a shutdown is none. [`Error::Handler`] has the handler's own error.
    ///
    /// # Panics
    /// Continues a panic of the handler, the client, the store or the table of leases, after every thread has ended.
    pub fn listen<F>(self, handler: F) -> Result<(), Error>
    where
        F: FnMut(&Batch) -> Result<(), BoxError>,
    {
        self.engine().listen(Box::new(handler))
    }

    /// The same as [`listen`](Self::listen) for a type that implements [`Handler`].
    ///
    /// # Errors
    /// As `listen`.
    ///
    /// # Panics
    /// As `listen`.
    pub fn listen_with(self, mut handler: impl Handler) -> Result<(), Error> {
        self.listen(move |batch| handler.handle(batch))
    }

    /// The same as [`listen`](Self::listen) on a thread of its own.
    ///
    /// # Errors
    /// [`Error::Thread`] if the system gives no thread. All other errors come out of
    /// [`Listener::join`].
    pub fn spawn<F>(self, handler: F) -> Result<Listener, Error>
    where
        F: FnMut(&Batch) -> Result<(), BoxError> + Send + 'static,
    {
        self.run_aside("kc-dispatch", |stream| stream.listen(handler))
    }

    /// The same as [`spawn`](Self::spawn) for a type that implements [`Handler`].
    ///
    /// # Errors
    /// As `spawn`.
    pub fn spawn_with(self, mut handler: impl Handler + Send + 'static) -> Result<Listener, Error> {
        self.spawn(move |batch| handler.handle(batch))
    }

    /// Reads the stream into a channel, which holds [`Config::capacity`] batches. The code that takes a batch
    /// must commit it.
    ///
    /// The receiver may be cloned to several workers; then a shard's batches have no order any more. The last drop of
    /// the receiver stops the consumer at once, as [`Shutdown::now`] does.
    ///
    /// # Errors
    /// [`Error::Thread`] if the system gives no thread. All other errors come out of
    /// [`Listener::join`].
    pub fn receiver(self) -> Result<(Batches, Listener), Error> {
        let (mut receivers, listener) = self.open(Door::Receiver, 1)?;
        Ok((receivers.pop().expect("one was asked for"), listener))
    }

    /// Reads the stream into several channels, one for each worker, each of which holds [`Config::capacity`] batches.
    /// Each worker sees its shards in order: all batches of a shard come to the same receiver. Child shards start, on
    /// any receiver, once all batches of the parent were dropped or [taken apart](Batch::into_parts).
    ///
    /// A shard has at most two batches on their way, so a worker that keeps batches delays their
    /// shards. A new shard goes to the receiver with the fewest shards. The last drop of any one receiver stops the
    /// consumer at once, since nobody would read its shards; the other receivers yield what was sent until then.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for no workers, for more than 1,024, or if their channels would hold more than 16,384
    /// batches in all; and as [`receiver`](Self::receiver).
    pub fn receivers(self, workers: usize) -> Result<(Vec<Batches>, Listener), Error> {
        self.check_workers(workers)?;
        self.open(Door::Receivers, workers)
    }

    /// The same as [`listen`](Self::listen) with several workers. Each worker is a thread with its own handler, which
    /// `handlers` makes on that thread from the worker's number. All batches of a shard come to the same worker, in
    /// order. Child shards start, on any worker, once all batches of the parent were handled.
    ///
    /// ```
    /// # use kinesis_consumer::{Config, LocalStore, Stream};
    /// # use kinesis_consumer::testing::MemoryKinesis;
    /// # let client = MemoryKinesis::new();
    /// # client.create_stream("orders", 2);
    /// # client.put("orders", "customer-7", b"one espresso");
    /// # let stream = Stream::new(client, "orders", LocalStore::new(), Config::new())?;
    /// # let shutdown = stream.shutdown();
    /// use kinesis_consumer::Batch;
    ///
    /// stream.listen_workers(4, |worker| {
    ///     let mut count = 0; // or a connection: each worker has its own
    /// #   let shutdown = shutdown.clone();
    ///     move |batch: &Batch| {
    ///         count += batch.len();
    ///         println!("worker {worker}: {count} records");
    /// #       shutdown.now();
    ///         Ok(())
    ///     }
    /// })?;
    /// # Ok::<(), kinesis_consumer::Error>(())
    /// ```
    ///
    /// # Errors
    /// As `listen`; and [`Error::InvalidSetting`] for no workers, for more than 1,024, or if their channels would hold
    /// more than 16,384 batches in all: each holds [`Config::capacity`].
    ///
    /// # Panics
    /// As `listen`; of several panics the first one continues.
    pub fn listen_workers<F, H>(self, workers: usize, handlers: F) -> Result<(), Error>
    where
        F: Fn(usize) -> H + Sync,
        H: FnMut(&Batch) -> Result<(), BoxError>,
    {
        self.check_workers(workers)?;
        self.engine().listen_workers(workers, &|worker| Box::new(handlers(worker)))
    }

    /// The same as [`listen_workers`](Self::listen_workers) in the background.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] as there; and as [`spawn`](Self::spawn).
    pub fn spawn_workers<F, H>(self, workers: usize, handlers: F) -> Result<Listener, Error>
    where
        F: Fn(usize) -> H + Send + Sync + 'static,
        H: FnMut(&Batch) -> Result<(), BoxError>,
    {
        self.check_workers(workers)?;
        self.run_aside("kc-coordinator", move |stream| stream.listen_workers(workers, handlers))
    }

    /// The same as [`listen_workers`](Self::listen_workers) for types that implement [`Handler`].
    ///
    /// # Errors
    /// As `listen_workers`.
    ///
    /// # Panics
    /// As `listen_workers`.
    pub fn listen_workers_with<F, H>(self, workers: usize, handlers: F) -> Result<(), Error>
    where
        F: Fn(usize) -> H + Sync,
        H: Handler,
    {
        self.listen_workers(workers, |worker| {
            let mut handler = handlers(worker);
            move |batch: &Batch| handler.handle(batch)
        })
    }

    /// The same as [`spawn_workers`](Self::spawn_workers) for types that implement [`Handler`].
    ///
    /// # Errors
    /// As `spawn_workers`.
    pub fn spawn_workers_with<F, H>(self, workers: usize, handlers: F) -> Result<Listener, Error>
    where
        F: Fn(usize) -> H + Send + Sync + 'static,
        H: Handler,
    {
        self.spawn_workers(workers, move |worker| {
            let mut handler = handlers(worker);
            move |batch: &Batch| handler.handle(batch)
        })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("name", &self.id)
            .field("store_key", &self.store_key)
            .field("config", &self.config)
            .field("chosen", &self.chosen)
            .finish_non_exhaustive()
    }
}
