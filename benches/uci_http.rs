//! Durable impacts a second over HTTP, on 32 connections, beside the syncs a second that the machine itself manages
//! one after the other.
//!
//! `cargo bench --bench uci_http`; `ANOMALAKE_BENCH_SECONDS` is how long each part runs (10). The limit of requests is off.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anomalake::api::public_router;
use anomalake::domain::api_rate::ApiRate;
use anomalake::domain::clock::SystemClock;
use anomalake::domain::principal::Scopes;
use anomalake::domain::tenant::TenantId;
use anomalake::lake::layout::DataDir;
use anomalake::services::Services;
use anomalake::services::auth::{Actor, NewApiToken};
use anomalake::services::settings::{ServerSettings, TenantDefaults};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 32;

/// Users among whom the impacts are spread.
const USERS: usize = 1_000;

/// Bytes of one write to the file that is synced: a page of the registry.
const PAGE: usize = 4096;

fn seconds() -> Duration {
    let seconds = std::env::var("ANOMALAKE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}

/// Syncs a second of one appended page each, one after the other.
#[allow(clippy::cast_precision_loss)]
fn fsyncs(dir: &Path, span: Duration) -> f64 {
    let mut file = std::fs::File::create(dir.join("synced")).unwrap();
    let begun = Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed() < span {
        file.write_all(&[7; PAGE]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / begun.elapsed().as_secs_f64()
}

async fn serve(dir: &Path) -> (Arc<Services>, SocketAddr, String) {
    let dir = DataDir::create(dir).unwrap();
    let tenant = TenantDefaults { api_rate: ApiRate::Off, ..TenantDefaults::default() };
    let settings = ServerSettings { tenant, ..ServerSettings::default() };
    let services = Services::open(&dir, settings, Arc::new(SystemClock)).await.unwrap();
    let actor = Actor::command_line();
    let id = TenantId::try_from(5618).unwrap();
    services.create_tenant(&actor, id, "bench".to_owned()).await.unwrap();
    let scopes: Scopes = "uci:write".parse().unwrap();
    let new = NewApiToken { name: None, scopes, lifetime: None };
    let token = services.auth.create_token(&actor, id, new).await.unwrap().token.expose().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = public_router(&services).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (services, address, token)
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One connection's impacts, one after the other, and the time of each.
async fn push(address: SocketAddr, token: String, connection: usize, until: Instant) -> Vec<Duration> {
    let mut client = connect(address).await;
    let mut times = Vec::new();
    while Instant::now() < until {
        let user = format!("user{}@example.com", (connection + CONNECTIONS * times.len()) % USERS);
        let now_ms = chrono::Utc::now().timestamp_millis();
        let impact =
            json!({ "user": user, "score": 1, "timestamp": now_ms, "source": "bench", "reason": "as many as go" });
        let request = Request::post("/api/v2/incidents/user/uciimpact")
            .header("host", "localhost")
            .header("netskope-api-token", &token)
            .header("idempotency-key", format!("{connection}-{}", times.len()))
            .body(Body::from(impact.to_string()))
            .unwrap();
        let begun = Instant::now();
        client.ready().await.unwrap();
        let answer = client.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        times.push(begun.elapsed());
    }
    times
}

#[allow(clippy::cast_precision_loss)]
fn main() {
    // Beside the build, and not in a temporary folder, which may lie in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let span = seconds();
    let before = fsyncs(dir.path(), span / 2);
    let runtime = Runtime::new().unwrap();
    let (services, address, token) = runtime.block_on(serve(&dir.path().join("data")));
    let stats = services.registry.writer_stats();
    let begun = Instant::now();
    let mut times: Vec<Duration> = runtime.block_on(async {
        let until = Instant::now() + span;
        let clients = (0..CONNECTIONS).map(|number| tokio::spawn(push(address, token.clone(), number, until)));
        let done = futures::future::join_all(clients).await;
        done.into_iter().flat_map(Result::unwrap).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let commits = services.registry.writer_stats().groups - stats.groups;
    runtime.block_on(services.close());
    let after = fsyncs(dir.path(), span / 2);
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("{} impacts in {took:.2} s over {CONNECTIONS} connections", times.len());
    println!("{:.0} durable impacts/s, {:.0} transactions/s", times.len() as f64 / took, commits as f64 / took);
    println!("an answer after {:?} (median), {:?} (p99), {:?} (longest)", at(50), at(99), at(100));
    println!("the machine's own syncs of one page: {before:.0}/s before, {after:.0}/s after");
}
