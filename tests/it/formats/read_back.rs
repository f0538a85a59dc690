//! Other programs read each format back to the same rows, types and nulls. Skipped where they are absent.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use anomalake::domain::activity::{COLUMNS, Column, ColumnKind, ColumnType, TENANT_ID, USER_COUNT};

use super::{FORMATS, activities, of_nothing, tenant_with_rows};
use crate::support::TestServer;
use crate::support::records::data;

/// Names the Python to use; `python3` by default.
const PYTHON: &str = "ANOMALAKE_TEST_PYTHON";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/formats/read_back.py");

/// Name, type and whether null is possible, of every column, for the script.
fn columns() -> Value {
    let column = |column: &Column| {
        let data_type = match column.column_type {
            ColumnType::Int64 => "int64",
            ColumnType::Float64 => "double",
            ColumnType::Boolean => "bool",
            ColumnType::Utf8 => "string",
        };
        let nullable = column.kind == ColumnKind::Dimension || column.name == USER_COUNT;
        json!([column.name, data_type, nullable])
    };
    COLUMNS.iter().map(column).collect()
}

/// The rows of the oracle as they must come back: by time, every column there, the contract's defaults filled in.
fn rows() -> Value {
    let mut rows: Vec<Value> =
        data("activities-quoting.ndjson").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    rows.sort_by_key(|row| row["timeStamp"].as_i64());
    for row in &mut rows {
        for column in COLUMNS.iter().filter(|column| row[column.name].is_null()) {
            assert!(column.kind != ColumnKind::Metric && column.name != TENANT_ID, "the oracle has {}", column.name);
        }
    }
    rows.into()
}

/// Runs the script with one reader over all formats, where the reader is at hand.
async fn read_with(reader: &str) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).arg("-c").arg(format!("import {reader}")).output().await;
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: {python} has no module {reader}; name another Python in {PYTHON}");
        return;
    }
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let (full, empty) = (tenant.everything().await, of_nothing(&tenant).await);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: String, bytes: &[u8]| std::fs::write(Path::new(dir.path()).join(name), bytes).unwrap();
    for (accept, extension) in FORMATS {
        write(format!("rows.{extension}"), &activities(&tenant, full, accept).await.body);
        write(format!("none.{extension}"), &activities(&tenant, empty, accept).await.body);
    }
    write("expected".to_owned(), json!({ "columns": columns(), "rows": rows() }).to_string().as_bytes());
    let run = Command::new(&python).arg(SCRIPT).arg(reader).arg(dir.path()).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    for (_, extension) in FORMATS {
        let done = ["400 rows", "skipped"].iter().any(|done| said.contains(&format!("{extension}: {done}")));
        assert!(done, "{said}");
    }
    println!("{said}");
}

#[tokio::test]
async fn pyarrow_reads_every_format_back() {
    read_with("pyarrow").await;
}

#[tokio::test]
async fn duckdb_reads_every_format_back() {
    read_with("duckdb").await;
}
