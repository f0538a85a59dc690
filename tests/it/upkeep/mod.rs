//! Upkeep of tenants' lakes, seen from outside: what is stored, what is answered, what lies on disk.

mod ageing;
mod budget;
mod ledger;
mod queries;

use std::sync::Arc;

use tokio::sync::mpsc;

use anomalake::domain::clock::{Clock, SystemClock};
use anomalake::services::Services;
use anomalake::services::auth::Actor;
use anomalake::services::upkeep::{Command, LakeStatus, UpkeepStep, Visit};

use crate::support::{HOUR_MS, TestServer, TestTenant};

/// Starts with a clock by which every file that is on disk now is old: files have the times of the machine.
async fn server() -> (TestServer, TestTenant) {
    let server = TestServer::start().await;
    server.clock.set(SystemClock.now_ms() + 3 * HOUR_MS);
    let tenant = server.tenant(5618).await;
    (server, tenant)
}

async fn by_hand(services: &Arc<Services>, tenant: &TestTenant, command: Command) -> Vec<UpkeepStep> {
    let (steps, mut told) = mpsc::channel(1024);
    services.upkeep_by_hand(&Actor::command_line(), tenant.id, command, false, steps).await.unwrap();
    let mut found = Vec::new();
    while let Some(step) = told.recv().await {
        found.push(step);
    }
    found
}

async fn status(server: &TestServer, tenant: &TestTenant) -> LakeStatus {
    server.owner.services.lake_status(tenant.id).await.unwrap()
}

/// Looks at tenants until nobody is due; returns how often there was something to do.
async fn settle(server: &TestServer) -> usize {
    let mut worked = 0;
    while let Some(visit) = server.owner.services.upkeep_next().await.unwrap() {
        worked += usize::from(visit == Visit::Worked);
    }
    worked
}
