//! Upkeep in the background: follows the appends, and looks at tenants that are due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::services::Services;
use crate::services::evidence::chain;
use crate::services::upkeep::Visit;

/// Shortest time between two looks at the small files of all busy tables.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How often tenants that are due are looked for when there is none, and the pause after a look that found nothing to
/// do: thousands of idle tenants, each looked at once a day, then cost no noticeable time.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the staging folder is swept.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// A staged file that nobody has written to for this long belongs to nobody.
const STAGED_FOR: Duration = Duration::from_hours(24);

/// Merges small files soon after the appends that brought them; sleeps while nobody appends.
pub(super) async fn follow_appends(services: Arc<Services>, stop: CancellationToken) {
    loop {
        // What is interrupted by the end of the server leaves garbage at most, which vacuum finds.
        tokio::select! {
            () = stop.cancelled() => return,
            () = async {
                services.lake.feed().changed().await;
                services.follow_appends().await;
                tokio::time::sleep(FOLLOW_EVERY).await;
            } => {}
        }
    }
}

/// Looks at one due tenant after the other.
pub(super) async fn look_at_due_tenants(services: Arc<Services>, stop: CancellationToken) {
    let mut swept = None::<Instant>;
    loop {
        if swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY) {
            swept = Some(Instant::now());
            match services.lake.sweep_staging(STAGED_FOR).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "deleted staged files that nobody had published"),
                Err(error) => tracing::error!(error = chain(&error), "could not sweep the staging folder"),
            }
        }
        let visit = tokio::select! {
            () = stop.cancelled() => return,
            visit = services.upkeep_next() => visit,
        };
        match visit {
            Ok(Some(Visit::Worked)) => continue,
            Ok(Some(Visit::Idle) | None) => {}
            Err(error) => tracing::error!(error = chain(&error), "could not look for tenants that are due"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
