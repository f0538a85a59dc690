//! All connections of one listener: accepted until the stop, then given time to finish.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Rules, serve_connection};

/// The connections of a listener; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    tasks: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
    grace: Duration,
}

impl Connections {
    /// None yet. After `stop` requests under way have `grace` to finish.
    pub(super) fn new(stop: CancellationToken, grace: Duration) -> Self {
        Self { tasks: TaskTracker::new(), stop, abort: CancellationToken::new(), grace }
    }

    /// Serves a connection in a task of its own.
    pub(super) fn spawn<I>(&self, io: I, router: Router, peer: Option<SocketAddr>, rules: Rules)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.run(serve_connection(io, router, peer, rules, self.stop.clone()));
    }

    /// Runs the whole life of a connection in a task of its own.
    pub(super) fn run(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = abort.cancelled() => {}
            }
        });
    }

    /// Ends with the listener's stop.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits for the requests under way, and cuts off those that outlast the grace.
    async fn finish(self) {
        self.tasks.close();
        if tokio::time::timeout(self.grace, self.tasks.wait()).await.is_err() {
            let (connections, grace_seconds) = (self.tasks.len(), self.grace.as_secs());
            tracing::warn!(connections, grace_seconds, "requests under way did not end in time and are cut off");
            self.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Hands every new connection to `handle` until the stop, then lets the requests under way finish.
/// `handle` must not block: it spawns. A failed accept is logged and tried again by the listener.
pub(super) async fn serve<L: Listener>(mut listener: L, connections: Connections, handle: impl Fn(L::Io, L::Addr)) {
    let stop = connections.stop.clone();
    loop {
        let (io, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        handle(io, peer);
    }
    // Whoever connects from now on is refused by the operating system.
    drop(listener);
    connections.finish().await;
}
