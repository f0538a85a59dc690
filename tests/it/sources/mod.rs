//! `POST /api/v1/activities?source=…`, one file a source.

mod cloudtrail;
mod samples;
mod unknown;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::support::{Answer, TestTenant};

/// A real log, which is no part of the project.
pub(crate) struct Log {
    /// The file as it is.
    pub(crate) file: Bytes,
    /// Its lines.
    pub(crate) lines: Vec<Value>,
}

/// Reads a log, or tells why it cannot.
pub(crate) fn log(name: &str) -> Option<Log> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(name);
    let Ok(file) = std::fs::read(&path) else {
        println!("skipped: there is no {}", path.display());
        return None;
    };
    let mut text = String::new();
    MultiGzDecoder::new(file.as_slice()).read_to_string(&mut text).unwrap();
    Some(Log { file: file.into(), lines: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() })
}

impl TestTenant {
    /// Stores records of a source; nothing is said about the body's type.
    pub(crate) async fn ingest_from(&self, source: &str, body: impl Into<Bytes>) -> Answer {
        self.api.send("POST", &format!("/api/v1/activities?on_error=skip&source={source}"), body).await
    }

    /// The live activities of an anomaly.
    pub(crate) async fn activities(&self, anomaly: i64) -> Answer {
        self.api.get(&format!("/api/v1/anomalies/{anomaly}/activities")).await.expect(200)
    }
}

/// How often each thing occurs.
pub(crate) fn counted<T: std::hash::Hash + Eq>(things: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}
