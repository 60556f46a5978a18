//! Holds a call until the test has made its change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

/// Holds the second read before the server sees it, until the sender is dropped.
pub(super) struct Gate {
    reads: AtomicUsize,
    tell: Sender<()>,
    released: Receiver<()>,
}

impl Gate {
    /// With a receiver for held reads, and a sender that releases them.
    pub(super) fn new() -> (Self, Receiver<()>, Sender<()>) {
        let ((tell, held), (release, released)) = (unbounded(), bounded(0));
        (Self { reads: AtomicUsize::new(0), tell, released }, held, release)
    }

    pub(super) fn before(self, router: Router) -> Router {
        let gate = Arc::new(self);
        router.layer(from_fn(move |request: Request, next: Next| {
            let gate = Arc::clone(&gate);
            async move {
                let target = request.headers().get("x-amz-target");
                let is_read = target.is_some_and(|it| it.as_bytes().ends_with(b".GetRecords"));
                if is_read && gate.reads.fetch_add(1, Ordering::SeqCst) == 1 {
                    gate.tell.send(()).unwrap();
                    // The server has one thread, which others need.
                    while gate.released.try_recv() != Err(TryRecvError::Disconnected) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                next.run(request).await
            }
        }))
    }
}
