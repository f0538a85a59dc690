//! Everything at once: afterwards the lake holds what the ledger says, each activity once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anomalake::registry::settings::Overrides;
use anomalake::services::upkeep::Command;

use super::{by_hand, server, settle, status};
use crate::support::records::activity;
use crate::support::{DAY_MS, HOUR_MS};

#[tokio::test(flavor = "multi_thread")]
async fn appends_background_compaction_compaction_by_hand_and_retention_at_once() {
    const WRITERS: i64 = 3;
    const APPENDS: i64 = 40;
    let (server, tenant) = server().await;
    tenant.ingest(&[activity(server.clock_ms() - 30 * DAY_MS, "ann", "expired")]).await;
    let limits = Overrides {
        availability_delay_ms: Some(0),
        recency_ms: Some(DAY_MS),
        activity_retention_ms: Some(20 * DAY_MS),
        ..Overrides::default()
    };
    server.limit(&tenant, limits).await;
    server.clock.advance(2 * DAY_MS + HOUR_MS);
    let now_ms = server.clock_ms();

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let tenant = tenant.clone();
            tokio::spawn(async move {
                let mut ledger = BTreeSet::new();
                for n in 0..APPENDS {
                    let names = [0, 1].map(|day| format!("{writer}-{n}-{day}"));
                    let records = [0, 1].map(|day: i64| {
                        activity(now_ms - day * DAY_MS - n, &format!("user-{}", n % 3), &names[usize::from(day == 1)])
                    });
                    tenant.ingest(&records).await;
                    ledger.extend(names);
                }
                ledger
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let upkeep: Vec<_> = [None, Some(Command::Compact), Some(Command::Retain), Some(Command::Vacuum)]
        .into_iter()
        .map(|command| {
            let (services, tenant, done) = (Arc::clone(&server.owner.services), tenant.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    match command {
                        None => services.follow_appends().await,
                        Some(command) => drop(by_hand(&services, &tenant, command).await),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut ledger = BTreeSet::new();
    for writer in writers {
        ledger.append(&mut writer.await.unwrap());
    }
    done.store(true, Ordering::SeqCst);
    for task in upkeep {
        task.await.unwrap();
    }
    assert_eq!(server.metric("anomalake_upkeep_failed_total").await, 0);
    let check = async |stored: Vec<String>| {
        assert_eq!(stored.len(), ledger.len(), "something is missing or twice");
        assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), ledger);
    };
    check(tenant.stored().await).await;
    server.clock.advance(HOUR_MS);
    settle(&server).await;
    let table = status(&server, &tenant).await.table.unwrap();
    assert_eq!(table.rows, ledger.len() as u64);
    let server = server.restart().await;
    check(tenant.at(&server).stored().await).await;
}
