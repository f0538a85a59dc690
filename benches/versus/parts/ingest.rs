use std::cell::RefCell;
use std::collections::BTreeMap;

use anomalake::domain::activity::{COLUMNS, ColumnType};
use serde_json::json;

use crate::Run;
use crate::client::Client;
use crate::lake::{Server, files};
use crate::measure::{Contestant, rounds, timed};
use crate::report::Line;

/// Bodies sent at a time.
const CONNECTIONS: usize = 2;

/// Columns of the records, as `DuckDB` is told them.
fn columns() -> BTreeMap<&'static str, &'static str> {
    let kind = |column_type| match column_type {
        ColumnType::Int64 => "BIGINT",
        ColumnType::Float64 => "DOUBLE",
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Utf8 => "VARCHAR",
    };
    COLUMNS.iter().map(|column| (column.name, kind(column.column_type))).chain([("activityId", "VARCHAR")]).collect()
}

pub fn run(run: &mut Run, format: &str) -> Vec<Line> {
    let rows = run.args.ingest_rows;
    let (files, _) = files(&run.args.work, rows, run.args.ingest_days, format);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let (runtime, work) = (&run.runtime, &run.args.work);
    // A document of Parquet is a body; lines of JSON may follow each other in one.
    let (media_type, bodies) = match format {
        "ndjson" => ("application/x-ndjson", vec![files.clone()]),
        _ => ("application/vnd.apache.parquet", files.iter().map(|file| vec![file.clone()]).collect()),
    };
    let ours = || {
        let folder = tempfile::tempdir_in(work).unwrap();
        let server = Server::start(folder.path());
        let (seconds, accepted) = timed(|| {
            // Each connection sends every other body, as a loader with several files would.
            let connection = async |first: usize| {
                let mut client = Client::connect(server.address, &server.token).await;
                let mut accepted = 0;
                for body in bodies.iter().skip(first).step_by(CONNECTIONS) {
                    accepted += client.ingest(body.clone(), media_type).await;
                }
                accepted
            };
            let connections = futures::future::join_all((0..CONNECTIONS).map(connection));
            runtime.block_on(connections).into_iter().sum::<u64>()
        });
        assert!(accepted > 0 && accepted <= rows, "{accepted} of {rows} rows were accepted");
        seconds
    };
    let out = work.join("peer-ingest").to_str().unwrap().to_owned();
    let peers = RefCell::new(&mut run.peers);
    let mut contestants: Vec<Contestant<'_>> = vec![("ours".to_owned(), Box::new(ours))];
    if peers.borrow().has("duckdb") {
        let request = json!({ "op": "ingest", "format": format, "files": files, "out": out, "columns": columns() });
        let peers = &peers;
        contestants.push(("duckdb".to_owned(), Box::new(move || peers.borrow_mut().seconds(&request))));
    }
    let times = rounds(usize::from(run.args.pairs), &mut contestants);
    drop(contestants);
    let ours = &times[0].1;
    let shown = format!("ingest {rows} rows of {format}, {:.0} MB, durable and sorted", bytes as f64 / 1e6);
    let mut lines = Vec::new();
    if let Some((_, theirs)) = times.get(1) {
        let written = peers.borrow_mut().ask(&json!({ "op": "rows_of", "out": out }))["rows"].as_u64();
        assert_eq!(written, Some(rows), "DuckDB did not write all rows");
        let (reads, bar, stretch) = match format {
            "ndjson" => ("DuckDB read_json → sorted, partitioned Parquet", 1.0 / 1.5, 1.0 / 3.0),
            _ => ("DuckDB COPY → sorted, partitioned Parquet", 1.0, 1.0 / 1.5),
        };
        lines.push(Line::times(&shown, ours, reads, theirs).bar(bar, stretch));
    }
    lines.push(Line::figure(format!("{shown}, rows a second"), rows as f64 / ours.median(), "rows/s"));
    lines
}
