//! Evidence files: the activities of one anomaly as one immutable Parquet file.
//!
//! `evidence/day=<created>/<anomaly>-<n>-<uuid>.parquet`: rows ascending by (timeStamp, activityId), small
//! row groups, so that an export starts to send after the first of them. The registry's row is the
//! commit; a file that no row names is garbage. The uuid keeps names unique: the engine's caches are
//! keyed by path alone.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, TryStreamExt};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::arrow::{AsyncArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::error::LakeError;
use super::group_reader::GroupReader;
use super::layout::EVIDENCE;
use crate::domain::activity::{COLUMN_COUNT, evidence_schema};
use crate::domain::anomaly::AnomalyId;
use crate::domain::day::Day;
use crate::domain::hex::hex;

/// Rows of a row group: what an export reads at a time, and holds while it goes on.
const ROW_GROUP_ROWS: usize = 8 * 1024;

/// Encoded bytes after which a row group ends, whatever its rows.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Rows that a reader decodes at a time. The first row group has no more, since no row is sent before it is read.
pub const READ_ROWS: usize = 2048;

/// A written evidence file, durable but not yet referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Path below the tenant's folder.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
}

/// A fresh path for the n-th evidence file of an anomaly.
#[must_use]
pub fn evidence_path(anomaly: AnomalyId, n: i64, created_at_ms: i64) -> String {
    let day = Day::of_time_stamp(created_at_ms).map_or_else(|| "unknown".to_owned(), |d| d.to_string());
    format!("{EVIDENCE}/day={day}/{anomaly}-{n}-{}.parquet", Uuid::new_v4().simple())
}

/// Hashes and counts what passes to the store.
struct HashingWriter {
    inner: BufWriter,
    digest: Sha256,
    bytes: u64,
}

impl AsyncFileWriter for HashingWriter {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move {
            self.digest.update(&data);
            self.bytes += data.len() as u64;
            self.inner.put(data).await.map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move { Ok(self.inner.shutdown().await?) }.boxed()
    }
}

/// Writes batches of the evidence columns, leaving out the first `skip` rows, and setting
/// `threatCategory` to `category` where it is null.
///
/// Success means: the file is whole and durable. Nothing refers to it yet; a crash leaves garbage.
///
/// # Errors
/// When reading the batches or writing the file fails; no file is then published.
pub async fn write_evidence<S>(
    tenant_store: Arc<dyn ObjectStore>,
    path: String,
    mut batches: S,
    mut skip: usize,
    category: Option<&str>,
) -> Result<EvidenceFile, LakeError>
where
    S: Stream<Item = Result<RecordBatch, LakeError>> + Unpin,
{
    let properties = WriterProperties::builder()
        // Read at every export: it decodes several times as fast as zstd, and needs no state for each of 62 columns.
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("anomalake ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let inner = BufWriter::new(tenant_store, Path::from(path.as_str()));
    let writer = HashingWriter { inner, digest: Sha256::new(), bytes: 0 };
    let mut parquet = AsyncArrowWriter::try_new(writer, evidence_schema(), Some(properties))?;
    let mut rows = 0_u64;
    // Rows that the first row group has room for.
    let mut first = READ_ROWS;
    while let Some(batch) = batches.try_next().await? {
        let skipped = skip.min(batch.num_rows());
        skip -= skipped;
        if skipped == batch.num_rows() {
            continue;
        }
        let batch = with_category(&as_evidence(&batch.slice(skipped, batch.num_rows() - skipped))?, category)?;
        rows += batch.num_rows() as u64;
        let cut = first.min(batch.num_rows());
        if cut > 0 {
            parquet.write(&batch.slice(0, cut)).await?;
            first -= cut;
            if first == 0 {
                parquet.flush().await?;
            }
        }
        parquet.write(&batch.slice(cut, batch.num_rows() - cut)).await?;
        // Wide rows: a row group must fit into memory, here and at every export.
        if parquet.in_progress_size() > ROW_GROUP_BYTES {
            parquet.flush().await?;
        }
    }
    parquet.finish().await?;
    let HashingWriter { digest, bytes, .. } = parquet.into_inner();
    Ok(EvidenceFile { path, rows, bytes, sha256: hex(&digest.finalize()) })
}

/// The same rows in exactly the evidence file's types; queries give string views.
fn as_evidence(batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let schema = evidence_schema();
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| arrow::compute::cast_with_options(column, field.data_type(), &strict))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Fills the anomaly's category into rows that bring none.
fn with_category(batch: &RecordBatch, category: Option<&str>) -> Result<RecordBatch, LakeError> {
    let Some(category) = category else { return Ok(batch.clone()) };
    let at = batch.schema().index_of(crate::domain::activity::THREAT_CATEGORY)?;
    let present = arrow::compute::is_not_null(batch.column(at))?;
    let fill = arrow::array::StringArray::new_scalar(category);
    let mut columns = batch.columns().to_vec();
    columns[at] = arrow::compute::kernels::zip::zip(&present, batch.column(at), &fill)?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// Reads the 56 wire columns of an evidence file in order, strings as views.
///
/// # Errors
/// When the file is missing or is no whole Parquet file.
pub fn read_wire_columns(file: PathBuf) -> Result<ParquetRecordBatchReader, LakeError> {
    let options = ArrowReaderOptions::new()
        .with_schema(view_schema())
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Skip);
    let file = File::open(file)?;
    let metadata = ArrowReaderMetadata::load(&file, options)?;
    let file = GroupReader::new(file, metadata.metadata())?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = ProjectionMask::roots(builder.parquet_schema(), 0..COLUMN_COUNT);
    Ok(builder.with_projection(mask).with_batch_size(READ_ROWS).build()?)
}

/// The evidence columns with strings as views: the reader then shares one copy of repeated values.
fn view_schema() -> SchemaRef {
    let fields: Vec<Field> = evidence_schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::stream;
    use object_store::local::LocalFileSystem;
    use parquet::file::metadata::RowGroupMetaData;

    use super::*;
    use crate::domain::activity::TIME_STAMP;
    use crate::lake::testing::rows;

    #[tokio::test]
    async fn the_first_row_group_is_one_read_and_no_row_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        let batch = |from: i64, to: i64| Ok(rows(&(from..to).map(|n| (n, "ann", "id")).collect::<Vec<_>>()));
        for (bounds, skip, groups) in [
            (vec![0, 1_000], 0, vec![1_000]),
            (vec![0, 1_000, 2_048], 0, vec![2_048]),
            (vec![0, 100, 2_000, 12_000], 150, vec![2_048, 8_192, 1_610]),
        ] {
            let last = *bounds.last().unwrap();
            let batches: Vec<_> = bounds.windows(2).map(|part| batch(part[0], part[1])).collect();
            let batches = stream::iter(batches);
            let store: Arc<dyn ObjectStore> = Arc::<LocalFileSystem>::clone(&store);
            let written = write_evidence(store, "evidence.parquet".to_owned(), batches, skip, None).await.unwrap();
            let path = dir.path().join("evidence.parquet");
            let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
            let found: Vec<i64> = file.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
            assert_eq!(found, groups);
            let mut times = Vec::new();
            for batch in read_wire_columns(path).unwrap() {
                let batch = batch.unwrap();
                times.extend_from_slice(batch.column_by_name(TIME_STAMP).unwrap().as_primitive::<Int64Type>().values());
            }
            assert_eq!(times.len() as u64, written.rows);
            assert!(times.into_iter().eq(i64::try_from(skip).unwrap()..last));
        }
    }
}
