//! Signals that end the program.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, heard from its making on: one that comes while nobody waits is found by the next wait.
#[derive(Debug)]
pub struct Termination {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Termination {
    /// Begins to listen. Where a handler cannot be installed, only the other one counts.
    #[must_use]
    pub fn listen() -> Self {
        let hear = |kind| signal(kind).inspect_err(|error| tracing::warn!(%error, "cannot listen for a signal")).ok();
        Self { terminate: hear(SignalKind::terminate()), interrupt: hear(SignalKind::interrupt()) }
    }

    /// Waits for either signal.
    pub async fn received(&mut self) {
        tokio::select! {
            () = wait(self.terminate.as_mut()) => {}
            () = wait(self.interrupt.as_mut()) => {}
        }
    }
}

async fn wait(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
