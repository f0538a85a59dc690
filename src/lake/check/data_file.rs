//! One data file against the log's entry about it: its size and footer, and when asked for every byte, page and row.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use arrow::datatypes::DataType;
use deltalake::kernel::Add;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::statistics::Statistics as ColumnStatistics;
use sha2::{Digest, Sha256};

use super::contain::contain;
use super::finding::{Finding, Kind};
use super::order::Order;
use super::rows::RowCheck;
use super::statistics::{Bound, Bounds, Statistics};
use crate::domain::activity::{DAY, TIME_STAMP, lake_schema};
use crate::domain::day::Day;
use crate::domain::hex::hex;
use crate::domain::tenant::TenantId;
use crate::lake::batch_rows::batch_rows;
use crate::lake::checksums::sha256_of;
use crate::lake::layout::ACTIVITIES;
use crate::lake::watch::Watch;

/// Decoded bytes of a batch, about.
const BATCH_BYTES: u64 = 8 << 20;

/// Most rows of a batch.
const BATCH_ROWS: usize = 1024;

/// A data file to be checked.
pub(super) struct DataFile<'a> {
    pub(super) add: &'a Add,
    pub(super) path: &'a Path,
    pub(super) tenant: TenantId,
    statistics: Statistics,
    findings: Vec<Finding>,
}

impl<'a> DataFile<'a> {
    pub(super) fn new(add: &'a Add, path: &'a Path, tenant: TenantId) -> Self {
        Self { add, path, tenant, statistics: Statistics::default(), findings: Vec::new() }
    }

    fn found(&mut self, kind: Kind, detail: impl Into<String>) {
        self.findings.push(Finding::at(kind, format!("{ACTIVITIES}/{}", self.add.path), detail));
    }

    /// Checks the file; `deep` reads all of it. Returns its rows where the footer could be read.
    ///
    /// # Errors
    /// Any I/O error, also that the file is not there.
    pub(super) fn check(mut self, deep: bool, watch: &dyn Watch) -> io::Result<(Option<u64>, Vec<Finding>)> {
        let mut file = File::open(self.path)?;
        let size = file.metadata()?.len();
        if u64::try_from(self.add.size) != Ok(size) {
            self.found(Kind::FileSize, format!("it has {size} bytes, the log says {}", self.add.size));
        }
        match self.add.stats.as_deref().map(serde_json::from_str::<Statistics>) {
            Some(Ok(statistics)) => self.statistics = statistics,
            Some(Err(error)) => self.found(Kind::Statistics, format!("the log's statistics cannot be read: {error}")),
            None => self.found(Kind::Statistics, "the log has no statistics of it"),
        }
        if deep {
            self.checksum(&mut file, watch)?;
        }
        let options = ArrowReaderOptions::new();
        let footer = match contain(|| ArrowReaderMetadata::load(&file, options)) {
            Ok(footer) => footer,
            Err(why) => {
                self.found(Kind::FooterUnreadable, why);
                return Ok((None, self.findings));
            }
        };
        let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
        if let Some(said) = self.statistics.num_records.filter(|said| *said != rows) {
            self.found(Kind::RowCount, format!("it holds {rows} rows, the log says {said}"));
        }
        if let Some(how) = foreign_column(&footer) {
            self.found(Kind::SchemaDiffers, how);
        } else if deep {
            self.pages(file, footer, rows);
        } else {
            self.footer(&footer);
        }
        Ok((Some(rows), self.findings))
    }

    fn checksum(&mut self, file: &mut File, watch: &dyn Watch) -> io::Result<()> {
        let found = sha256(file, watch)?;
        if let Some(said) = sha256_of(self.add).filter(|said| *said != found) {
            let detail = format!("its SHA-256 is {found}, and was {said} when it was written");
            self.found(Kind::FileChecksum, detail);
        }
        Ok(())
    }

    /// Compares the footer's bounds of `timeStamp` with the folder's day and with the log.
    fn footer(&mut self, footer: &ArrowReaderMetadata) {
        let schema = footer.parquet_schema();
        let Some(at) = schema.columns().iter().position(|column| column.name() == TIME_STAMP) else { return };
        let mut bounds: Option<(i64, i64)> = None;
        for group in footer.metadata().row_groups() {
            let Some(ColumnStatistics::Int64(found)) = group.column(at).statistics() else { return };
            let (Some(low), Some(high)) = (found.min_opt(), found.max_opt()) else { return };
            let (least, most) = bounds.unwrap_or((*low, *high));
            bounds = Some((least.min(*low), most.max(*high)));
        }
        let Some((low, high)) = bounds else { return };
        if let Some(how) = self.statistics.contradiction(TIME_STAMP, &Bound::Number(low), &Bound::Number(high)) {
            self.found(Kind::Statistics, how);
        }
        let wrong = [low, high].into_iter().find(|ms| Day::of_time_stamp(*ms).map(|d| d.to_string()) != self.day());
        if let Some(ms) = wrong {
            let detail = format!("it holds a row of timeStamp {ms}, which is not of that day");
            self.found(Kind::WrongDay, detail);
        }
    }

    fn day(&self) -> Option<String> {
        self.add.partition_values.get(DAY).cloned().flatten()
    }

    /// Decodes every page of every column and looks at every row.
    fn pages(&mut self, file: File, footer: ArrowReaderMetadata, rows: u64) {
        let mut order = Order::declared(&footer);
        let (mut bounds, mut checked) = (Bounds::default(), RowCheck::new(self.tenant, self.day()));
        let mut decoded = 0_u64;
        let read = contain(|| {
            let rows = batch_rows(footer.metadata(), &ProjectionMask::all(), BATCH_BYTES, BATCH_ROWS);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
            for batch in reader.with_batch_size(rows).build()? {
                let batch = batch?;
                decoded += batch.num_rows() as u64;
                bounds.add(&batch);
                checked.add(&batch);
                order.add(&batch)?;
            }
            Ok::<_, parquet::errors::ParquetError>(())
        });
        match read {
            Err(why) => self.found(Kind::PageUnreadable, format!("after {decoded} rows: {why}")),
            Ok(()) if decoded != rows => {
                self.found(Kind::RowCount, format!("its pages hold {decoded} rows, its footer says {rows}"));
            }
            Ok(()) => {}
        }
        for how in bounds.against(&self.statistics) {
            self.found(Kind::Statistics, how);
        }
        for (kind, how) in checked.findings() {
            self.found(kind, how);
        }
        if let Some(how) = order.broken() {
            self.found(Kind::NotSorted, how);
        }
    }
}

/// SHA-256 of a file's bytes, hexadecimal.
///
/// # Errors
/// Any I/O error; also [`io::ErrorKind::Interrupted`] when nobody waits any more.
pub fn sha256(file: &mut File, watch: &dyn Watch) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        if watch.is_stopped() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "nobody waits any more"));
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&digest.finalize())),
            Ok(n) => {
                digest.update(&buffer[..n]);
                watch.done(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How the file's columns differ from the table's. A file may lack columns that the table got later.
fn foreign_column(footer: &ArrowReaderMetadata) -> Option<String> {
    let table = lake_schema();
    let plain = |found: &DataType| match found {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    };
    footer.schema().fields().iter().find_map(|field| match table.field_with_name(field.name()) {
        Err(_) => Some(format!("the table has no column {}", field.name())),
        Ok(wanted) if plain(field.data_type()) != *wanted.data_type() => {
            Some(format!("{} is of type {}, not {}", field.name(), field.data_type(), wanted.data_type()))
        }
        Ok(_) => None,
    })
}
