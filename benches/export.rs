//! A whole `queryActivities` over loopback: 100,000 rows, 56 columns, beside the same server sending the same bytes
//! from memory.
//!
//! `cargo bench --bench export`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]

mod support;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anomalake::api::public_router;
use anomalake::domain::activity::wire_schema;
use anomalake::domain::clock::SystemClock;
use anomalake::domain::principal::Scopes;
use anomalake::domain::tenant::TenantId;
use anomalake::formats::BatchEncoder;
use anomalake::formats::input::OnError;
use anomalake::formats::ndjson_out::NdjsonEncoder;
use anomalake::lake::layout::DataDir;
use anomalake::registry::anomalies::NewAnomaly;
use anomalake::registry::settings::{Overrides, SettingsChange};
use anomalake::services::Services;
use anomalake::services::auth::{Actor, NewApiToken};
use anomalake::services::ingest::IngestRequest;
use anomalake::services::settings::ServerSettings;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use support::{NEWEST_MS, evidence};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Activities of two users as one NDJSON body.
fn ndjson() -> Bytes {
    let mut encoder = NdjsonEncoder::new(&wire_schema()).unwrap();
    let mut out = Vec::new();
    for batch in evidence(true) {
        let mut row = 0;
        while row < batch.num_rows() {
            row = encoder.encode(&batch, row, &mut out, usize::MAX).unwrap();
        }
    }
    out.into()
}

struct Lake {
    services: Arc<Services>,
    token: String,
    anomaly: i64,
    small: i64,
}

async fn prepare(dir: &Path) -> Lake {
    let dir = DataDir::create(dir).unwrap();
    let services = Services::open(&dir, ServerSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let actor = Actor::command_line();
    let id = TenantId::try_from(5618).unwrap();
    services.create_tenant(&actor, id, "bench".to_owned()).await.unwrap();
    let overrides = Overrides { availability_delay_ms: Some(0), ..Overrides::default() };
    let change = SettingsChange { anomalous_activity: Some(true), overrides, ..Default::default() };
    let tenant = services.change_tenant(&actor, id, change).await.unwrap();
    let body = ndjson();
    let chunks: Vec<_> = body.chunks(256 << 10).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let request = IngestRequest {
        source: None,
        patience: None,
        tenant: tenant.key,
        format: None,
        encoding: None,
        on_error: OnError::Reject,
        dedup: None,
        key: None,
        body: futures::stream::iter(chunks).boxed(),
    };
    services.ingest(request).await.unwrap();
    let now_ms = services.clock.now_ms();
    let everything = NewAnomaly {
        user: None,
        where_sql: Some("userKey LIKE 'user%'".to_owned()),
        ..NewAnomaly::of_user("any", NEWEST_MS - (20 << 32), NEWEST_MS + (1 << 32), now_ms)
    };
    let anomaly = services.create_anomaly(&actor, &tenant, everything).await.unwrap().id.get();
    let few = NewAnomaly {
        where_sql: Some("fileSize < 4000".to_owned()),
        ..NewAnomaly::of_user("user0@example0.com", NEWEST_MS - (20 << 32), NEWEST_MS + (1 << 32), now_ms)
    };
    let small = services.create_anomaly(&actor, &tenant, few).await.unwrap().id.get();
    let scopes: Scopes = "activities:read".parse().unwrap();
    let created =
        services.auth.create_token(&actor, id, NewApiToken { name: None, scopes, lifetime: None }).await.unwrap();
    Lake { services, token: created.token.expose().to_owned(), anomaly, small }
}

async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Time to the first chunk, and all bytes.
async fn read(client: &mut SendRequest<Body>, request: Request<Body>) -> (Duration, Vec<Bytes>) {
    let begun = std::time::Instant::now();
    client.ready().await.unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    let mut first = None;
    let mut chunks = Vec::new();
    while let Some(frame) = body.frame().await {
        first.get_or_insert_with(|| begun.elapsed());
        chunks.extend(frame.unwrap().into_data());
    }
    (first.unwrap_or_default(), chunks)
}

fn query(lake: &Lake, anomaly: i64) -> Request<Body> {
    Request::post("/shnapi/rest/external/api/v1/queryActivities")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", lake.token))
        .body(Body::from(format!("{{\"incident_id\":{anomaly}}}")))
        .unwrap()
}

/// Time to the first row and to the last, by compression. Rounds go through all of them in turn, so that what else the
/// machine does weighs on each.
fn report_first_rows(runtime: &Runtime, client: &mut SendRequest<Body>, lake: &Lake) {
    const ROUNDS: usize = 51;
    let codings = ["identity", "gzip", "zstd"];
    let mut times = codings.map(|_| (Vec::new(), Vec::new(), 0));
    for round in 0..=ROUNDS {
        for (coding, (firsts, wholes, bytes)) in codings.iter().zip(&mut times) {
            let mut request = query(lake, lake.anomaly);
            request.headers_mut().insert("accept-encoding", coding.parse().unwrap());
            let begun = std::time::Instant::now();
            let (first, chunks) = runtime.block_on(read(client, request));
            // The first round warms up.
            if round > 0 {
                firsts.push(first);
                wholes.push(begun.elapsed());
            }
            assert!(lines(coding, &chunks[0]) > 2, "the first chunk of {coding} holds no row");
            *bytes = chunks.iter().map(Bytes::len).sum();
        }
    }
    for (coding, (mut firsts, mut wholes, bytes)) in codings.iter().zip(times) {
        firsts.sort();
        wholes.sort();
        let (low, median, high) = (firsts[ROUNDS / 10], firsts[ROUNDS / 2], firsts[ROUNDS * 9 / 10]);
        println!(
            "{coding}: first row after {median:?} (median of {ROUNDS}; 8 of 10 from {low:?} to {high:?}), last after {:?}, {bytes} bytes",
            wholes[ROUNDS / 2]
        );
    }
}

/// Lines in the first bytes of an answer.
fn lines(coding: &str, bytes: &[u8]) -> usize {
    let mut plain = Vec::new();
    // The end of the stream is missing.
    let _ = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut plain),
        _ => std::io::Cursor::new(bytes).read_to_end(&mut plain),
    };
    plain.split(|byte| *byte == b'\n').count() - 1
}

fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let lake = runtime.block_on(prepare(dir.path()));
    let address = runtime.block_on(listen(public_router(&lake.services)));
    let mut client = runtime.block_on(connect(address));
    // Makes the evidence.
    let (_, chunks) = runtime.block_on(read(&mut client, query(&lake, lake.anomaly)));
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    let (_, small) = runtime.block_on(read(&mut client, query(&lake, lake.small)));
    let small_rows = small.iter().flat_map(|c| c.iter()).filter(|b| **b == b'\n').count().saturating_sub(1);
    let firsts: Vec<Duration> =
        (0..21).map(|_| runtime.block_on(read(&mut client, query(&lake, lake.anomaly))).0).collect();
    let mut sorted = firsts.clone();
    sorted.sort();
    println!(
        "{bytes} bytes; first bytes after {:?} (median of 21); the small anomaly has {small_rows} rows",
        sorted[10]
    );

    report_first_rows(&runtime, &mut client, &lake);

    let fixed = Arc::new(chunks);
    let again = Arc::clone(&fixed);
    let from_memory = Router::new().route(
        "/static",
        get(move || async move {
            let chunks: Vec<Result<Bytes, std::io::Error>> = again.iter().cloned().map(Ok).collect();
            Body::from_stream(futures::stream::iter(chunks))
        }),
    );
    let mut static_client = runtime.block_on(async { connect(listen(from_memory).await).await });

    let mut group = criterion.benchmark_group("queryActivities_100k_rows");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("csv", |b| {
        b.iter(|| runtime.block_on(read(&mut client, query(&lake, lake.anomaly))));
    });
    group.bench_function("same_bytes_from_memory", |b| {
        b.iter(|| {
            let request = Request::get("/static").header("host", "localhost").body(Body::empty()).unwrap();
            runtime.block_on(read(&mut static_client, request))
        });
    });
    group.finish();
    criterion.bench_function("queryActivities_small", |b| {
        b.iter(|| runtime.block_on(read(&mut client, query(&lake, lake.small))));
    });
    runtime.block_on(lake.services.close());
}

criterion_group!(benches, bench);
criterion_main!(benches);
