//! The index's own work: what time changes of scores, rules whose time has come, and what is too old.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::every;
use crate::services::Services;
use crate::services::evidence::chain;

/// How often scores are brought up to date and rules looked at; rules have minutes.
const SETTLE_EVERY: Duration = Duration::from_secs(15);

/// How often old anomalies, alerts and keys are dropped.
const RETAIN_EVERY: Duration = Duration::from_hours(1);

/// Starts them.
pub(super) fn start(tracker: &TaskTracker, services: &Arc<Services>, stop: &CancellationToken) {
    let (settling, retaining) = (Arc::clone(services), Arc::clone(services));
    tracker.spawn(every(SETTLE_EVERY, stop.clone(), move || settle(Arc::clone(&settling))));
    tracker.spawn(every(RETAIN_EVERY, stop.clone(), move || retain(Arc::clone(&retaining))));
}

async fn settle(services: Arc<Services>) {
    if let Err(error) = services.settle_uci().await {
        tracing::error!(error = chain(&error), "could not bring users' scores up to date");
    }
    match services.run_reset_rules().await {
        Ok(0) => {}
        Ok(users) => tracing::info!(users, "reset rules have run"),
        Err(error) => tracing::error!(error = chain(&error), "could not run a reset rule"),
    }
}

async fn retain(services: Arc<Services>) {
    match services.retain_uci().await {
        Ok(dropped) => tracing::debug!(
            anomalies = dropped.anomalies,
            alerts = dropped.alerts,
            keys = dropped.keys,
            "dropped what is too old of the user confidence index"
        ),
        Err(error) => tracing::error!(error = chain(&error), "could not drop old anomalies and alerts"),
    }
}
