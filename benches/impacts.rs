//! The User Confidence Index beside its bars: pages of a search among 1,000,000 anomalies, and durable impacts a
//! second from 32 callers at once, beside what the disk can sync.
//!
//! `cargo bench --bench impacts`; `ANOMALAKE_BENCH_DIR` names a folder on the disk to measure, else a temporary one is
//! used. Called as a service; the cost of HTTP is not in it.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anomalake::domain::anomaly::AnomalyId;
use anomalake::domain::clock::SystemClock;
use anomalake::domain::tenant::{TenantId, TenantKey};
use anomalake::lake::layout::DataDir;
use anomalake::registry::Registry;
use anomalake::registry::tenants::Tenant;
use anomalake::services::Services;
use anomalake::services::auth::Actor;
use anomalake::services::settings::ServerSettings;
use anomalake::services::uci::{ImpactRequest, SearchFilters, SearchRequest};
use tokio::runtime::Runtime;

const ANOMALIES: i64 = 1_000_000;
/// One in so many anomalies is of one source, or of one hundred users.
const SHARE: i64 = 100;
const USERS: i64 = 10_000;
const CALLERS: i64 = 32;
const REQUESTS: usize = 300;
const MEASURED: Duration = Duration::from_secs(10);
const DAY_MS: i64 = 86_400_000;
/// Impacts of the fill lie in so many days before now.
const DAYS: i64 = 80;

fn main() {
    // `cargo test` also runs benchmarks; only `cargo bench` says so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let kept = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("ANOMALAKE_BENCH_DIR").map_or_else(|| kept.path().to_path_buf(), PathBuf::from);
    let runtime = Runtime::new().unwrap();
    let (services, tenant) = runtime.block_on(open(&dir));
    println!("fsync: {:.0} a second (4 KiB appended and synced)", fsync_rate(&dir));
    runtime.block_on(impacts(&services, &tenant, 1, "bench"));
    runtime.block_on(impacts(&services, &tenant, CALLERS, "bench"));
    let began = Instant::now();
    runtime.block_on(fill(&services.registry, tenant.key, services.clock.now_ms()));
    println!("filled with {ANOMALIES} anomalies in {:.0} s", began.elapsed().as_secs_f64());
    runtime.block_on(searches(&services, &tenant));
    // Users with a hundred impacts each.
    runtime.block_on(impacts(&services, &tenant, CALLERS, "fill"));
    runtime.block_on(services.close());
}

async fn open(dir: &Path) -> (Arc<Services>, Tenant) {
    let dir = DataDir::create(&dir.join("lake")).unwrap();
    let services = Services::open(&dir, ServerSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let id = TenantId::try_from(5618).unwrap();
    let tenant = services.create_tenant(&Actor::command_line(), id, "bench".to_owned()).await.unwrap();
    (services, tenant)
}

fn fsync_rate(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("fsync-rate")).unwrap();
    let (began, mut syncs) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / began.elapsed().as_secs_f64()
}

/// Stores rows as accepted impacts store them, many at a time.
async fn fill(registry: &Registry, tenant: TenantKey, now_ms: i64) {
    const STEP: i64 = 20_000;
    for first in (0..ANOMALIES / STEP).map(|step| step * STEP) {
        let write = registry.write(move |conn| {
            Box::pin(async move {
                let next: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) + 1 FROM anomalies").fetch_one(&mut *conn).await?;
                for sql in [
                    "WITH RECURSIVE n (i) AS (SELECT ?4 UNION ALL SELECT i + 1 FROM n WHERE i < ?4 + ?5 - 1)
                     INSERT INTO anomalies (id, tenant_id, incarnation, user, user_key, from_ms, to_ms, score, source, reason,
                         activity, created_at_ms, modified_at_ms, significant_at_ms)
                     SELECT ?6 + i - ?4, ?1, ?2, 'User' || (i % 10000) || '@fill.example', 'user' || (i % 10000) || '@fill.example',
                         ?3 - i * 6912 % 6912000000 - 86400000, ?3 - i * 6912 % 6912000000, 20, 'source ' || (i / 7 % 100),
                         'login failed too many times', 'ActivityForUciImpactAPI', ?3, ?3, ?3
                     FROM n",
                    "INSERT INTO uci_anomalies (anomaly_id, tenant_id, incarnation, user_key, activity, time_ms, points, source, alert_id)
                     SELECT id, tenant_id, incarnation, user_key, 'impact', to_ms, 20, source, 1 FROM anomalies
                     WHERE id >= ?6 AND tenant_id = ?1 AND incarnation = ?2 AND ?3 + ?4 + ?5 > 0",
                    "INSERT INTO alerts (tenant_id, incarnation, made_at_ms, name, anomaly_id, user_key, user, activity, severity,
                         points, score, source, reason)
                     SELECT tenant_id, incarnation, created_at_ms, 'External UCI impact', id, user_key, user, activity, 'Low', 20, 980,
                         source, reason FROM anomalies
                     WHERE id >= ?6 AND tenant_id = ?1 AND incarnation = ?2 AND ?3 + ?4 + ?5 > 0",
                    "INSERT INTO impact_keys (tenant_id, incarnation, key, body_hash, anomaly_id, created_at_ms)
                     SELECT tenant_id, incarnation, 'fill-' || id, zeroblob(32), id, created_at_ms FROM anomalies
                     WHERE id >= ?6 AND tenant_id = ?1 AND incarnation = ?2 AND ?3 + ?4 + ?5 > 0",
                ] {
                    let insert = sqlx::query(sql).bind(tenant.id.get()).bind(tenant.incarnation).bind(now_ms);
                    insert.bind(first).bind(STEP).bind(next).execute(&mut *conn).await?;
                }
                Ok(())
            })
        });
        write.await.unwrap();
    }
}

/// Filters of the n-th request of a kind.
type Make<'a> = &'a dyn Fn(i64) -> SearchFilters;

async fn searches(services: &Services, tenant: &Tenant) {
    let now_ms = services.clock.now_ms();
    let any = SearchFilters::default;
    let users =
        |n: i64| Some((0..SHARE).map(|k| format!("user{}@fill.example", (n * SHARE + k) % USERS)).collect::<Vec<_>>());
    let sources = |n: i64| Some(vec![format!("source {}", n % SHARE)]);
    let span = DAYS * DAY_MS / SHARE;
    let range = |n: i64| (Some(now_ms - n % SHARE * span - span), Some(now_ms - n % SHARE * span));
    let ids = |n: i64| Some((0..10).map(|k| AnomalyId::try_from(n * 1000 + k + 1).unwrap().to_hex()).collect());
    let kinds: [(&str, Make); 6] = [
        ("ten ids", &|n| SearchFilters { anomaly_ids: ids(n), ..any() }),
        ("one source", &|n| SearchFilters { sources: sources(n), ..any() }),
        ("100 users", &|n| SearchFilters { users: users(n), ..any() }),
        ("a range of time", &|n| SearchFilters { start_ms: range(n).0, end_ms: range(n).1, ..any() }),
        ("100 users, 50 sources", &|n| SearchFilters {
            users: users(n),
            sources: Some((0..SHARE / 2).map(|k| format!("source {k}")).collect()),
            ..any()
        }),
        ("no filter", &|_| any()),
    ];
    for (name, make) in kinds {
        let (mut times, mut most) = (Vec::new(), 0);
        for n in 0..REQUESTS {
            let n = i64::try_from(n).unwrap();
            let request = SearchRequest { activity: None, filters: make(n), offset: n % 9 * 1000, limit: 1000 };
            let began = Instant::now();
            let page = services.search_uci_anomalies(tenant, request).await.unwrap();
            times.push(began.elapsed());
            most = most.max(page.total);
        }
        print(&format!("page of 1,000, {name}, up to {most} matches"), &mut times);
    }
}

async fn impacts(services: &Arc<Services>, tenant: &Tenant, callers: i64, domain: &'static str) {
    let before = services.registry.writer_stats();
    let began = Instant::now();
    let calls = (0..callers).map(|caller| {
        let (services, tenant) = (Arc::clone(services), tenant.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < MEASURED {
                let n = i64::try_from(times.len()).unwrap();
                let impact = ImpactRequest {
                    user: format!("User{}@{domain}.example", (n * 31 + caller * 977) % USERS),
                    score: 1 + n % 50,
                    timestamp_ms: services.clock.now_ms() - n % 1000 * 60_000,
                    source: "OKTA".to_owned(),
                    reason: "login failed too many times".to_owned(),
                    idempotency_key: Some(format!("{caller}-{n}-{}", began.elapsed().as_nanos())),
                };
                let sent = Instant::now();
                services.record_impact(&tenant, impact).await.unwrap();
                times.push(sent.elapsed());
            }
            times
        })
    });
    let mut times = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        times.extend(call.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    let commits = services.registry.writer_stats().groups - before.groups;
    println!(
        "impacts, {callers} callers: {:.0} durable a second in {:.0} commits a second",
        times.len() as f64 / seconds,
        commits as f64 / seconds
    );
    print("  time of one", &mut times);
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("{name}: median {:.1} ms, p99 {:.1} ms, worst {:.1} ms", at(500), at(990), at(1000));
}
