//! What was seen over time, and whether it grows.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use deltalake::DeltaTable;
use url::Url;

use super::load::{Latency, Operation};

/// The server at one moment, and the latencies since the moment before.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Since the start.
    pub(super) minutes: f64,
    pub(super) resident_bytes: u64,
    /// Data files in the newest version of the table.
    pub(super) live_files: usize,
    pub(super) open_files: usize,
    /// Processor time so far.
    pub(super) cpu: Duration,
    pub(super) latency: [Latency; 4],
}

/// A series over time.
pub(super) struct Series {
    pub(super) name: String,
    /// (minutes, value)
    pub(super) points: Vec<(f64, f64)>,
    /// Whether it must not grow; single slow requests make the highest percentiles jump.
    pub(super) judged: bool,
}

#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Sample>);

/// Reads the table's log as any other reader would.
pub(super) async fn live_files(data: &Path) -> usize {
    let lake = std::fs::read_dir(data.join("lake")).unwrap().flatten();
    let mut tenants = lake.map(|entry| entry.path()).filter(|path| path.join("activities/_delta_log").is_dir());
    let Some(tenant) = tenants.next() else { return 0 };
    let url = Url::from_directory_path(tenant.join("activities")).unwrap();
    let mut table = DeltaTable::try_from_url(url).await.unwrap();
    table.load().await.unwrap();
    table.snapshot().unwrap().log_data().num_files()
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes, live_files, open_files, cpu, .. } = self;
        write!(f, "{minutes:6.2} min: {:.0} MiB, {live_files} live files, {open_files} open", self.resident_mib())?;
        for (operation, latency) in Operation::ALL.iter().zip(&self.latency) {
            write!(f, ", {} {:.0}/{:.0} ms", operation.name(), latency.p50_ms, latency.p99_ms)?;
        }
        write!(f, ", CPU {:.0} s", cpu.as_secs_f64())
    }
}

impl Sample {
    #[allow(clippy::cast_precision_loss)]
    fn resident_mib(&self) -> f64 {
        self.resident_bytes as f64 / 1_048_576.0
    }
}

impl Samples {
    pub(super) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    pub(super) fn requests(&self) -> usize {
        self.0.iter().flat_map(|sample| &sample.latency).map(|latency| latency.requests).sum()
    }

    pub(super) fn csv(&self) -> String {
        let mut text = "minutes,resident_bytes,live_files,open_files,cpu_seconds".to_owned();
        for operation in Operation::ALL {
            let name = operation.name();
            write!(text, ",{name}_requests,{name}_p50_ms,{name}_p99_ms").unwrap();
        }
        text.push('\n');
        for sample in &self.0 {
            let Sample { minutes, resident_bytes, live_files, open_files, cpu, latency } = sample;
            let cpu = cpu.as_secs_f64();
            write!(text, "{minutes:.3},{resident_bytes},{live_files},{open_files},{cpu:.2}").unwrap();
            for Latency { requests, p50_ms, p99_ms } in latency {
                write!(text, ",{requests},{p50_ms:.2},{p99_ms:.2}").unwrap();
            }
            text.push('\n');
        }
        text
    }

    /// All series, in groups that are drawn together.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn groups(&self) -> [(&'static str, Vec<Series>); 5] {
        let series = |name: String, judged, value: &dyn Fn(&Sample) -> f64| {
            let points = self.0.iter().map(|sample| (sample.minutes, value(sample)));
            Series { name, points: points.filter(|(_, value)| value.is_finite()).collect(), judged }
        };
        let latency = |judged, value: &dyn Fn(&Latency) -> f64, percentile: &str| {
            let one = |operation: Operation| {
                let name = format!("{} {percentile}", operation.name());
                series(name, judged, &|sample| value(&sample.latency[operation as usize]))
            };
            Operation::ALL.map(one).into()
        };
        [
            ("resident memory, MiB", vec![series("memory".to_owned(), true, &Sample::resident_mib)]),
            ("live files", vec![series("live files".to_owned(), true, &|sample| sample.live_files as f64)]),
            ("open files", vec![series("open files".to_owned(), true, &|sample| sample.open_files as f64)]),
            ("median latency, ms", latency(true, &|latency| latency.p50_ms, "p50")),
            ("99th percentile of latency, ms", latency(false, &|latency| latency.p99_ms, "p99")),
        ]
    }
}

impl Series {
    /// Least-squares slope over the last two thirds, in percent of the mean there per minute.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn slope(&self) -> f64 {
        let points = &self.points[self.points.len() / 3..];
        let n = points.len() as f64;
        let mean = |value: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
        let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
        let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        if variance == 0.0 || y == 0.0 { 0.0 } else { covariance / variance / y * 100.0 }
    }
}
