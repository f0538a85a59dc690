//! Signals that end the server.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT. The handlers are in place when this returns, so that a signal before the
/// first poll counts too. Where one cannot be installed, only the other counts.
pub fn terminated() -> impl Future<Output = ()> {
    let install = |kind| signal(kind).inspect_err(|error| tracing::warn!(%error, "cannot listen for a signal")).ok();
    let (terminate, interrupt) = (install(SignalKind::terminate()), install(SignalKind::interrupt()));
    let wait = async |signal: Option<Signal>| match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = wait(terminate) => {}
            () = wait(interrupt) => {}
        }
    }
}
