use std::cell::{Cell, RefCell};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::Run;
use crate::client::Client;
use crate::lake::{LARGE, Lake};
use crate::measure::{Contestant, Times, rounds, timed};
use crate::reader::Reader;
use crate::report::Line;

/// A saved export of the anomaly as CSV, made: the path of its file.
async fn saved(client: &mut Client, anomaly: i64) -> String {
    let made =
        client.json(Method::POST, "/api/v1/exports", Some(&json!({ "anomaly": anomaly, "format": "csv" }))).await;
    let path = format!("/api/v1/exports/{}", made["id"]);
    loop {
        let now: Value = client.json(Method::GET, &path, None).await;
        match now["state"].as_str().unwrap() {
            "ready" => return format!("{path}/content"),
            "pending" | "running" => tokio::time::sleep(Duration::from_millis(50)).await,
            other => panic!("the saved export is {other}: {now}"),
        }
    }
}

pub fn run(run: &mut Run) -> Vec<Line> {
    let lake = Lake::open(&run.args.work, run.args.rows);
    let (anomaly, rows) = lake.anomaly_of(LARGE);
    let pairs = run.pairs();
    let runtime = &run.runtime;
    let mut client = runtime.block_on(Client::connect(lake.server.address, &lake.server.token));
    assert_eq!(runtime.block_on(client.rows_of(anomaly)), rows, "the export is not what was planted");
    let fixed = runtime.block_on(saved(&mut client, anomaly));
    let whole = runtime.block_on(client.query_activities(anomaly, "identity")).bytes;
    assert_eq!(runtime.block_on(client.get(&fixed)).bytes, whole, "the static file holds other bytes");
    let evidence = lake.server.evidence_file(anomaly).to_str().unwrap().to_owned();
    // Into memory where there is such a folder: their unwritten pages would make the next sync of ours wait.
    let memory = std::path::Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(if memory.is_dir() { memory } else { &run.args.work }).unwrap();
    let out = folder.path().join("peer.csv").to_str().unwrap().to_owned();
    let reader = RefCell::new(Reader::connect(lake.server.address, &lake.server.token));
    let peers = RefCell::new(&mut run.peers);
    let first_rows = RefCell::new(Vec::new());
    let bytes = Cell::new([0_u64; 3]);
    let ask = |place: usize, coding: &str| {
        let seen = reader.borrow_mut().query_activities(anomaly, coding);
        let mut known = bytes.get();
        known[place] = seen.bytes;
        bytes.set(known);
        seen
    };
    let mut contestants: Vec<Contestant<'_>> = vec![
        (
            "plain".to_owned(),
            Box::new(|| {
                let seen = ask(0, "identity");
                first_rows.borrow_mut().push(seen.first_row.as_secs_f64());
                seen.whole.as_secs_f64()
            }),
        ),
        ("zstd".to_owned(), Box::new(|| ask(1, "zstd").whole.as_secs_f64())),
        ("gzip".to_owned(), Box::new(|| ask(2, "gzip").whole.as_secs_f64())),
        (
            "the same bytes as a static file".to_owned(),
            Box::new(|| reader.borrow_mut().get(&fixed).whole.as_secs_f64()),
        ),
    ];
    for engine in ["duckdb", "clickhouse", "polars", "pyarrow"] {
        if peers.borrow().has(engine) {
            let (peers, evidence, out) = (&peers, &evidence, &out);
            let work = move || timed(|| peers.borrow_mut().export(engine, evidence, out)).1;
            contestants.push((engine.to_owned(), Box::new(work)));
        }
    }
    let times = rounds(pairs, &mut contestants);
    drop(contestants);
    let of = |wanted: &str| times.iter().find(|(name, _)| name == wanted).map(|(_, times)| times);
    let plain = of("plain").unwrap();
    let size = |place: usize| format!("{:.1} MB", bytes.get()[place] as f64 / 1e6);
    let mut lines = Vec::new();
    let bars = [
        ("duckdb", "DuckDB COPY TO csv", 1.0 / 3.0, 1.0 / 5.0),
        ("clickhouse", "ClickHouse INTO OUTFILE csv", 1.0 / 2.0, 1.0 / 4.0),
        ("polars", "Polars read + write_csv", 1.1, 0.8),
        ("the same bytes as a static file", "the same bytes as a static file", 3.0, 2.0),
    ];
    for (name, shown, bar, stretch) in bars {
        if let Some(theirs) = of(name) {
            let work = format!("queryActivities, {rows} rows, {}", size(0));
            lines.push(Line::times(work, plain, shown, theirs).bar(bar, stretch));
        }
    }
    if let Some(theirs) = of("pyarrow") {
        lines.push(Line::times(format!("queryActivities, {rows} rows"), plain, "pyarrow read + write_csv", theirs));
    }
    // The first is of the round that warms up.
    let first = Times::of(first_rows.borrow().iter().skip(1).copied().collect());
    lines.push(Line::times("first data row", &first, "the whole of it", plain).bar(1.0 / 5.0, 1.0 / 20.0));
    for (place, coding) in [(1, "zstd"), (2, "gzip")] {
        let line = Line::times(format!("with {coding}, {}", size(place)), of(coding).unwrap(), "plain", plain);
        lines.push(if coding == "zstd" { line.bar(1.5, 1.0) } else { line });
    }
    lines
}
