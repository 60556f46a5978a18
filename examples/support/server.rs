//! `ferrokinesis` inside the process, on a free port of the loopback interface.

use std::io;
use std::path::Path;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use ferrokinesis::store::{DurableStateOptions, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// The largest request: `PutRecords` takes 10 MiB, a third more in base64.
const BODY_LIMIT: usize = 32 << 20;

/// A running server; dropping it cuts all connections and joins its thread.
pub(crate) struct Server {
    endpoint: String,
    store: Store,
    runtime: Handle,
    serving: AbortHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server whose streams are ready after a few milliseconds.
    pub(crate) fn start() -> io::Result<Self> {
        Self::with(Self::options(), |router| router)
    }

    /// The same with its streams in this directory, which survive it.
    pub(crate) fn durable(directory: &Path) -> io::Result<Self> {
        let durable = DurableStateOptions {
            state_dir: directory.to_owned(),
            snapshot_interval_secs: 1,
            max_retained_bytes: None,
        };
        Self::with(StoreOptions { durable: Some(durable), ..Self::options() }, |router| router)
    }

    /// Delays of 20 ms and room for 1,000 shards; the rest as Amazon has it.
    pub(crate) fn options() -> StoreOptions {
        StoreOptions {
            create_stream_ms: 20,
            delete_stream_ms: 20,
            update_stream_ms: 20,
            shard_limit: 1_000,
            ..StoreOptions::default()
        }
    }

    /// Starts a server with these options, its router wrapped, for example in a layer that injects faults.
    pub(crate) fn with(
        options: StoreOptions,
        wrap: impl FnOnce(Router) -> Router,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (router, store) = {
            let _inside = runtime.enter(); // the server may spawn tasks of its own
            ferrokinesis::create_app(options)
        };
        let router = wrap(router.layer(DefaultBodyLimit::max(BODY_LIMIT)));
        let serving = runtime.spawn(async move { axum::serve(listener, router).await });
        let (handle, abort) = (runtime.handle().clone(), serving.abort_handle());
        // Ends when `serving` is aborted; the runtime is dropped here, and every connection with it.
        let serve = move || drop(runtime.block_on(serving));
        let thread = std::thread::Builder::new().name("kinesis-server".into()).spawn(serve)?;
        Ok(Self { endpoint, store, runtime: handle, serving: abort, thread: Some(thread) })
    }

    /// The address, `http://127.0.0.1:port`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The server's state.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The key of every record that it holds: the shard's number in hexadecimal, `/`, and the record's.
    pub(crate) fn keys(&self, stream: &str) -> Vec<String> {
        self.runtime.block_on(self.store.get_record_store(stream)).into_keys().collect()
    }

    /// Takes records out of the stream, as retention would, until this many are gone.
    ///
    /// It may take a second or two: the server counts whole seconds, and gives the records of a shard
    /// that was just split or merged a time that is still to come.
    ///
    /// # Panics
    /// If they are not gone after half a minute.
    pub(crate) fn trim(&self, stream: &str, records: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut gone = 0;
        while gone < records {
            assert!(Instant::now() < deadline, "{gone} of {records} records could be trimmed");
            gone += self.runtime.block_on(self.store.delete_expired_records(stream, 0));
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the server panicked: {panic:?}");
        }
    }
}
