//! Saved exports: a few at a time, the tenants in turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::services::Services;
use crate::services::evidence::chain;
use crate::services::saved_exports::BegunExport;

/// How often exports whose next attempt is due are looked for; new ones are begun at once.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Makes exports until `stop`; those under way then are given back, to begin anew at the next start.
pub(super) async fn run(services: Arc<Services>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(services.settings.exports.at_once));
    let attempts = TaskTracker::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((slot, next(&services).await))
        };
        // Begun but not taken over by this loop: the next start finds it. That takes a stop at this very
        // moment, and costs the export one attempt.
        let Some(Some((slot, begun))) = stop.run_until_cancelled(next).await else { break };
        let services = Arc::clone(&services);
        attempts.spawn(async move {
            make(&services, begun).await;
            drop(slot);
        });
    }
    services.stop_saved_exports();
    attempts.close();
    attempts.wait().await;
}

/// Makes everything that is due, one after the other: for a process that does not serve.
pub async fn make_all(services: &Arc<Services>) {
    while let Some(begun) = begin(services).await {
        make(services, begun).await;
    }
}

async fn next(services: &Services) -> BegunExport {
    loop {
        if let Some(begun) = begin(services).await {
            return begun;
        }
        // Either way there may be something new.
        let _ = tokio::time::timeout(LOOK_EVERY, services.saved_export_asked_for()).await;
    }
}

async fn begin(services: &Services) -> Option<BegunExport> {
    match services.begin_next_saved_export().await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(error = chain(&error), "could not look for exports to make");
            None
        }
    }
}

async fn make(services: &Services, begun: BegunExport) {
    if let Err(error) = services.make_saved_export(begun).await {
        tracing::error!(error = chain(&error), "could not record how an export ended");
    }
}
