//! Background work of a serving process.

mod exports;
mod uci;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::registry::idempotency::{KEY_LIFETIME_MS, purge};
use crate::services::Services;
use crate::services::evidence::chain;

pub use exports::make_all as make_all_exports;

/// How often anomalies that are due are looked for.
const EVIDENCE_EVERY: Duration = Duration::from_secs(15);

/// Anomalies whose evidence is made in one round.
const EVIDENCE_ROUND: u32 = 100;

/// How often forgotten things are tidied up.
const TIDY_EVERY: Duration = Duration::from_mins(5);

/// A table that nobody used for this long is closed.
const IDLE_TABLE: Duration = Duration::from_mins(10);

/// The running jobs.
#[derive(Debug)]
pub struct Jobs(TaskTracker);

impl Jobs {
    /// Waits until every job has ended; they end when their token is cancelled.
    pub async fn wait(self) {
        self.0.close();
        self.0.wait().await;
    }
}

/// Starts every job; they run until `stop`.
#[must_use]
pub fn start(services: &Arc<Services>, stop: &CancellationToken) -> Jobs {
    let tracker = TaskTracker::new();
    let (evidence, tidy) = (Arc::clone(services), Arc::clone(services));
    tracker.spawn(every(EVIDENCE_EVERY, stop.clone(), move || make_evidence(Arc::clone(&evidence))));
    tracker.spawn(every(TIDY_EVERY, stop.clone(), move || tidy_up(Arc::clone(&tidy))));
    tracker.spawn(upkeep::follow_appends(Arc::clone(services), stop.clone()));
    tracker.spawn(upkeep::look_at_due_tenants(Arc::clone(services), stop.clone()));
    tracker.spawn(exports::run(Arc::clone(services), stop.clone()));
    uci::start(&tracker, services, stop);
    Jobs(tracker)
}

async fn every<F: Future<Output = ()>>(period: Duration, stop: CancellationToken, job: impl Fn() -> F) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A job that is stopped half-way leaves nothing behind that a later start would not find.
        tokio::select! {
            () = stop.cancelled() => return,
            () = job() => {}
        }
    }
}

async fn make_evidence(services: Arc<Services>) {
    if let Err(error) = services.make_due_evidence(EVIDENCE_ROUND).await {
        tracing::error!(error = chain(&error), "could not look for evidence that is due");
    }
}

async fn tidy_up(services: Arc<Services>) {
    services.lake.close_idle(IDLE_TABLE);
    services.close_unused_indexes().await;
    let before_ms = services.clock.now_ms() - KEY_LIFETIME_MS;
    let purged = services.registry.write(move |conn| Box::pin(purge(conn, before_ms))).await;
    if let Err(error) = purged {
        tracing::error!(error = chain(&error), "could not forget old idempotency keys");
    }
    if let Err(error) = services.auth.purge_expired().await {
        tracing::error!(error = chain(&error), "could not forget expired tokens");
    }
    if let Err(error) = services.finish_drops().await {
        tracing::error!(error = chain(&error), "could not finish dropping a tenant");
    }
    if let Err(error) = services.tidy_saved_exports().await {
        tracing::error!(error = chain(&error), "could not tidy up saved exports");
    }
}
