//! Clients at fixed rates, and how long their requests take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant as Tick;

use crate::support::api::Api;
use crate::support::records::{Seeded, ndjson};

/// Records of an ingest.
const RECORDS: u64 = 10;

/// Monitored people.
const USERS: u64 = 200;

/// How far back anomalies look.
const RECENT_MS: i64 = 5 * 60_000;

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Ingest,
    /// Making an anomaly and exporting its evidence.
    Export,
    /// The newest activities of a user, live.
    Query,
    /// A page of anomalies.
    List,
}

impl Operation {
    pub(super) const ALL: [Self; 4] = [Self::Ingest, Self::Export, Self::Query, Self::List];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Export => "export",
            Self::Query => "query",
            Self::List => "list",
        }
    }
}

/// Latencies of one window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    pub(super) requests: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Collects latencies; each window is taken once.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    windows: [Mutex<Vec<Duration>>; 4],
    failures: AtomicU64,
}

impl Latencies {
    fn note(&self, operation: Operation, took: Duration, succeeded: bool) {
        self.windows[operation as usize].lock().unwrap().push(took);
        self.failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
    }

    pub(super) fn take(&self, operation: Operation) -> Latency {
        let mut window = std::mem::take(&mut *self.windows[operation as usize].lock().unwrap());
        window.sort_unstable();
        let at = |percent: usize| {
            let index = (window.len() * percent / 100).min(window.len().saturating_sub(1));
            window.get(index).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
        };
        Latency { requests: window.len(), p50_ms: at(50), p99_ms: at(99) }
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Starts all clients; they go on until they are aborted.
pub(super) fn start(api: &Api, ingests_per_second: u64, latencies: &Arc<Latencies>) -> Vec<JoinHandle<()>> {
    let second = Duration::from_secs(1);
    let each = |operation, clients: u32, period: Duration| {
        (0..clients).map(move |n| {
            let load = Load { api: api.clone(), latencies: Arc::clone(latencies), operation };
            tokio::spawn(load.run(period * clients, u64::from(n) << 8 | operation as u64))
        })
    };
    let mut clients: Vec<_> = each(Operation::Ingest, 2, second / u32::try_from(ingests_per_second).unwrap()).collect();
    clients.extend(each(Operation::Export, 1, second));
    clients.extend(each(Operation::Query, 1, second / 2));
    clients.extend(each(Operation::List, 1, second / 2));
    clients
}

/// One client.
struct Load {
    api: Api,
    latencies: Arc<Latencies>,
    operation: Operation,
}

impl Load {
    async fn run(self, period: Duration, seed: u64) {
        let mut chance = Seeded::new(seed);
        let mut next = Tick::now();
        let period_us = u64::try_from(period.as_micros()).unwrap();
        for n in 0_u64.. {
            // A server that is late gets no burst afterwards.
            tokio::time::sleep_until(next).await;
            // Half to one and a half times the period. In step with each other, two clients would meet or miss each
            // other's commits for minutes, and a drift of their phases would look like a change of the server.
            next = Tick::now() + period / 2 + Duration::from_micros(chance.below(period_us));
            let begun = Instant::now();
            let succeeded = self.once(&mut chance, seed, n).await.unwrap_or_else(|error| {
                eprintln!("{}: {error}", self.operation.name());
                false
            });
            self.latencies.note(self.operation, begun.elapsed(), succeeded);
        }
    }

    async fn once(&self, chance: &mut Seeded, seed: u64, n: u64) -> std::io::Result<bool> {
        let user = format!("user-{}@example.com", chance.below(USERS));
        // The last five minutes of a user: as much at the end as at the beginning.
        let to = now_ms();
        let recent = json!({ "user": user, "from": to - RECENT_MS, "to": to });
        match self.operation {
            Operation::Ingest => {
                let record = |m| {
                    json!({
                        "timeStamp": to, "user": format!("user-{}@example.com", chance.below(USERS)),
                        "activityId": format!("{seed}-{n}-{m}"), "actionName": "download", "sourceIP": "192.0.2.7",
                        "fileName": format!("report-{}.xlsx", chance.below(10_000)), "downloadBytes": chance.below(1 << 20),
                    })
                };
                let body = ndjson(&(0..RECORDS).map(record).collect::<Vec<_>>());
                let api = self
                    .api
                    .with("content-type", "application/x-ndjson")
                    .with("idempotency-key", format!("{seed}-{n}"));
                answered(200, &api.try_send("POST", "/api/v1/activities", body).await?)
            }
            Operation::Export => {
                let made = self.api.try_send("POST", "/api/v1/anomalies", recent.to_string()).await?;
                let Some(id) = made.json()["id"].as_i64() else { return answered(201, &made) };
                let body = json!({ "incident_id": id }).to_string();
                let answer = self.api.try_send("POST", crate::support::api::QUERY, body).await?;
                let whole = answer.header("anomalake-rows") == Some(&*answer.rows().len().to_string());
                Ok(answered(200, &answer)? && whole)
            }
            Operation::Query => {
                let made = self.newest_anomaly().await?;
                let Some(id) = made else { return Ok(true) };
                let path = format!("/api/v1/anomalies/{id}/activities?limit=100");
                answered(200, &self.api.try_send("GET", &path, "").await?)
            }
            Operation::List => answered(200, &self.api.try_send("GET", "/api/v1/anomalies?limit=100", "").await?),
        }
    }

    /// Number of the newest anomaly, which covers the last minutes of its user.
    async fn newest_anomaly(&self) -> std::io::Result<Option<i64>> {
        let page = self.api.try_send("GET", "/api/v1/anomalies?limit=1", "").await?;
        Ok(page.json()["anomalies"][0]["id"].as_i64())
    }
}

fn answered(status: u16, answer: &crate::support::Answer) -> std::io::Result<bool> {
    if answer.status == status {
        return Ok(true);
    }
    Err(std::io::Error::other(format!("{}: {}", answer.status, answer.text())))
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}
