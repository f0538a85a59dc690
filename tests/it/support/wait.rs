//! Waiting for a condition, bounded, without a fixed pause.

use std::time::{Duration, Instant};

/// Longest wait; a condition that is not met by then never will be.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the condition holds.
///
/// # Panics
/// When it does not hold within [`PATIENCE`].
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for: {what}");
        tokio::task::yield_now().await;
    }
}
