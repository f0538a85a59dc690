//! Whose turn it is to decode and encode.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Who waits longer than this gives away its turn.
const LONG: Duration = Duration::from_millis(20);

/// The turn of an export to decode and encode: a few at a time, in the order in which they came, need little memory, and
/// each is done sooner. It is given away while the export waits long, so that nobody waits for a reader who sleeps.
pub(super) struct Turn<'a> {
    turns: &'a Semaphore,
    held: Option<SemaphorePermit<'a>>,
}

impl<'a> Turn<'a> {
    pub(super) async fn next_of(turns: &'a Semaphore) -> Self {
        // Closed never.
        Self { turns, held: turns.acquire().await.ok() }
    }

    /// Waits; when it takes long, without the turn, and then for the next one.
    pub(super) async fn unless_long<F: Future>(&mut self, wait: F) -> F::Output {
        let mut wait = pin!(wait);
        if let Ok(output) = tokio::time::timeout(LONG, &mut wait).await {
            return output;
        }
        self.held = None;
        let output = wait.await;
        self.held = self.turns.acquire().await.ok();
        output
    }
}
