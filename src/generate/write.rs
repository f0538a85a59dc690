//! Generated rows as files that `anomalake ingest` takes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Company, Part, PartFacts, TruthFile, schema};
use crate::domain::day::Day;
use crate::formats::output::ExportFormat;
use crate::formats::{BatchEncoder, EncodeError};

/// Name of the truth's file.
pub const TRUTH_FILE: &str = "truth.json";

/// Rows of a row group: what one reader holds at least.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Bytes of text that are written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Columns whose values hardly repeat, so that a dictionary of them is work for nothing.
const WITHOUT_DICTIONARY: [&str; 7] =
    ["timeStamp", "activityId", "fileFolderPath", "fileName", "fileSize", "targetId", "url"];

/// Format of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// Parquet with zstd.
    Parquet,
}

impl FileFormat {
    const fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is something already where the files belong; nothing was touched.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// A file or the folder could not be written.
    #[error("cannot write {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A batch could not be encoded, a fault of ours.
    #[error("cannot encode generated rows")]
    Encode(#[from] EncodeError),
    /// A batch could not be written as Parquet.
    #[error("cannot write {path}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: ParquetError,
    },
    /// The truth could not be written as JSON, a fault of ours.
    #[error("cannot write the truth")]
    Truth(#[from] serde_json::Error),
}

impl WriteError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Name of a part's file: the day of its delivery, and a number where the day has several.
struct FileName<'a>(&'a Part, FileFormat);

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(part, format) = self;
        f.write_str("activities-")?;
        match Day::of_time_stamp(part.day_ms) {
            Some(day) => write!(f, "{day}")?,
            None => write!(f, "{}", part.day_ms)?,
        }
        if let Some(number) = part.of_several() {
            write!(f, "-{number:03}")?;
        }
        write!(f, ".{}", format.extension())
    }
}

/// Writes everything into a folder, on all cores: a file for each part, named after its day so that their order is that of
/// their delivery, and at last the truth. `written` hears of rows as they are written.
///
/// A folder without the truth's file is not whole: the writing was broken off. Nothing is synced.
///
/// # Errors
/// [`WriteError`]; the folder must not exist or be empty.
pub fn write_files(
    company: &Company,
    folder: &Path,
    format: FileFormat,
    written: &(dyn Fn(u64) + Sync),
) -> Result<TruthFile, WriteError> {
    fs::create_dir_all(folder).map_err(WriteError::io(folder))?;
    if fs::read_dir(folder).map_err(WriteError::io(folder))?.next().is_some() {
        return Err(WriteError::NotEmpty(folder.to_owned()));
    }
    let parts: Vec<Part> = company.parts().collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut facts = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let path = folder.join(FileName(part, format).to_string());
            let made = write_part(company, part, &path, format, written);
            facts.push(made.inspect_err(|_| failed.store(true, Ordering::Relaxed))?);
        }
        Ok::<_, WriteError>(facts)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(parts.len().max(1));
    let facts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(facts) => facts,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let truth = company.truth(&facts.concat());
    let path = folder.join(TRUTH_FILE);
    let mut text = serde_json::to_string_pretty(&truth)?;
    text.push('\n');
    fs::write(&path, text).map_err(WriteError::io(&path))?;
    Ok(truth)
}

fn write_part(
    company: &Company,
    part: &Part,
    path: &Path,
    format: FileFormat,
    written: &(dyn Fn(u64) + Sync),
) -> Result<PartFacts, WriteError> {
    let (batches, facts) = company.part(part);
    let file = File::create_new(path).map_err(WriteError::io(path))?;
    let counted = batches.inspect(|batch| written(batch.num_rows() as u64));
    match format {
        FileFormat::Ndjson => write_ndjson(counted, file, path)?,
        FileFormat::Parquet => {
            write_parquet(counted, file).map_err(|source| WriteError::Parquet { path: path.to_owned(), source })?;
        }
    }
    Ok(facts)
}

fn write_ndjson(batches: impl Iterator<Item = RecordBatch>, mut file: File, path: &Path) -> Result<(), WriteError> {
    let mut encoder: Box<dyn BatchEncoder> = ExportFormat::Ndjson.encoder_for(&schema())?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + (64 << 10));
    encoder.begin(&mut chunk)?;
    for batch in batches {
        let mut row = 0;
        while row < batch.num_rows() {
            row = encoder.encode(&batch, row, &mut chunk, CHUNK_BYTES)?;
            if chunk.len() >= CHUNK_BYTES {
                file.write_all(&chunk).map_err(WriteError::io(path))?;
                chunk.clear();
            }
        }
    }
    encoder.finish(&mut chunk)?;
    file.write_all(&chunk).map_err(WriteError::io(path))
}

fn write_parquet(batches: impl Iterator<Item = RecordBatch>, file: File) -> Result<(), ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("anomalake ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in WITHOUT_DICTIONARY {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    // Arrow's schema in the file would ask readers for dictionaries, which are a matter of the writer alone.
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(BufWriter::with_capacity(CHUNK_BYTES, file), schema(), options)?;
    for batch in batches {
        writer.write(&batch)?;
    }
    let mut out = writer.into_inner()?;
    Ok(out.flush()?)
}
