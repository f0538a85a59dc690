//! A sample, mapped for people to look at.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::util::display::array_value_to_string;

use crate::cli::CommandError;
use crate::cli::output::{count, printable};
use crate::domain::activity::TIME_STAMP;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::domain::trust::TrustList;
use crate::enrich::{Databases, Enricher};
use crate::formats::input::decompress::{ContentEncoding, Decompress};
use crate::formats::input::{
    DEFAULT_MAX_INFLATED_BYTES, DEFAULT_MAX_RECORD_BYTES, DecodeOptions, DecodeReport, OnError, Peek, SinkClosed,
};
use crate::sources::{Layout, Source, decode_enriched, unread_keys};

/// Paths that are named; the rest is counted.
const MAX_PATHS: usize = 40;

/// Columns of the lake that are not the source's.
const OF_THE_LAKE: [&str; 6] = ["day", "ingestedAt", "raw", "source", "tenantId", "userKey"];

/// Maps the sample; the report is for people.
pub(super) fn run(
    source: &Arc<Source>,
    layout: Layout,
    sample: &Path,
    rows: usize,
    databases: &Databases,
) -> Result<String, CommandError> {
    let about = |error| CommandError::io(format!("cannot read {}", sample.display()), error);
    let input = || open(sample).map_err(about);
    let failed = |error: crate::formats::input::DecodeError| {
        CommandError::failed(error).about(&printable(&sample.display().to_string()))
    };
    let tenant = TenantId::try_from(1).map_err(CommandError::failed)?;
    let now_ms = chrono::Utc::now().timestamp_millis();
    let options = DecodeOptions {
        on_error: OnError::Skip,
        source: source.name().to_owned(),
        ..DecodeOptions::new(tenant, now_ms)
    };
    let mut enricher = Enricher::new(databases, TrustList::default());
    let mut seen = Seen::new(source, rows, enricher.columns());
    let mut sink = |batch: RecordBatch| seen.add(&batch).map_err(|_| SinkClosed);
    let report = decode_enriched(input()?, layout, source, &options, Some(&mut enricher), &mut sink).map_err(failed)?;
    let unread = unread_keys(input()?, layout, source, DEFAULT_MAX_RECORD_BYTES).map_err(failed)?;
    let mut text = seen.rows;
    let _ = write!(text, "{}", seen.fill.table(report.accepted));
    text.push_str(&dropped(&report));
    let named = unread.iter().take(MAX_PATHS).map(|(path, records)| format!("{} ({records})", printable(path)));
    let more = unread.len().saturating_sub(MAX_PATHS);
    let named: Vec<_> = named.chain((more > 0).then(|| format!("and {more} more"))).collect();
    if !named.is_empty() {
        let _ = writeln!(text, "\nnot read: {}", named.join(", "));
    }
    Ok(text)
}

/// The inflated content of a file.
fn open(path: &Path) -> std::io::Result<impl Read> {
    let raw = Peek::new(File::open(path)?)?;
    let encoding = ContentEncoding::of_content(raw.head());
    Decompress::new(raw, encoding, DEFAULT_MAX_INFLATED_BYTES)
}

/// What has been mapped so far.
struct Seen {
    rows: String,
    left: usize,
    number: u64,
    fill: Fill,
}

/// How many rows have a value, by column.
struct Fill(Vec<(&'static str, u64)>);

impl Seen {
    fn new(source: &Source, rows: usize, filled_too: &[&'static str]) -> Self {
        let own: Vec<_> = source.column_names().collect();
        let others = filled_too.iter().filter(|name| !own.contains(name));
        let fill = Fill(own.iter().chain(others).map(|name| (*name, 0)).collect());
        Self { rows: String::new(), left: rows, number: 0, fill }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        for (name, filled) in &mut self.fill.0 {
            let column = batch.column_by_name(name);
            *filled +=
                column.map_or(0, |column| (0..column.len()).filter(|row| has_value(column, *row)).count() as u64);
        }
        let shown = self.left.min(batch.num_rows());
        self.left -= shown;
        for row in 0..shown {
            self.number += 1;
            let _ = writeln!(self.rows, "row {}", self.number);
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                if OF_THE_LAKE.contains(&field.name().as_str()) || !has_value(column, row) {
                    continue;
                }
                let value = match column.as_primitive_opt::<Int64Type>() {
                    Some(times) if field.name() == TIME_STAMP => format_time(times.value(row)),
                    _ => array_value_to_string(column, row)?,
                };
                let _ = writeln!(self.rows, "  {}: {}", field.name(), printable(&value));
            }
        }
        Ok(())
    }
}

/// Whether a cell says anything; a metric of 0 says what an absent one does.
fn has_value(column: &dyn Array, row: usize) -> bool {
    let is_zero = column.as_primitive_opt::<Int64Type>().is_some_and(|numbers| numbers.value(row) == 0)
        || column.as_primitive_opt::<Float64Type>().is_some_and(|numbers| numbers.value(row) == 0.0);
    column.is_valid(row) && !is_zero
}

impl Fill {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn table(&self, rows: u64) -> String {
        let mut text = format!("\n{}; filled:\n", count(rows, "row", "rows"));
        for (name, filled) in &self.0 {
            let rate = 100.0 * *filled as f64 / (rows.max(1)) as f64;
            let _ = writeln!(text, "  {name:<24}{rate:>6.1} %");
        }
        text
    }
}

fn dropped(report: &DecodeReport) -> String {
    let mut text = String::new();
    if report.rejected > 0 {
        let _ = writeln!(text, "\n{} refused:", count(report.rejected, "record", "records"));
        for error in &report.errors {
            let _ = writeln!(text, "  {}", printable(&error.to_string()));
        }
        let more = report.rejected - report.errors.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "  and {more} more");
        }
    }
    for (column, rows) in &report.nulled {
        let _ = writeln!(text, "\nno address in {}: {column} is null", count(*rows, "row", "rows"));
    }
    text
}
