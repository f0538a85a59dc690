//! Counts the rows of an answer without keeping it.

use std::fs::File;
use std::io::Write;

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
    Arrow,
    Parquet,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::Csv, Self::Ndjson, Self::Arrow, Self::Parquet];

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Counts rows.
pub(crate) enum Rows {
    /// Line ends outside of quotes.
    Csv { lines: u64, quoted: bool },
    /// Line ends.
    Ndjson(u64),
    /// A decoder and what it gave.
    Arrow(Box<StreamDecoder>, u64),
    /// The file: its rows are told at its end.
    Parquet(File),
}

impl Rows {
    pub(crate) fn of(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv { lines: 0, quoted: false },
            Format::Ndjson => Self::Ndjson(0),
            Format::Arrow => Self::Arrow(Box::default(), 0),
            Format::Parquet => Self::Parquet(tempfile::tempfile().unwrap()),
        }
    }

    pub(crate) fn take(&mut self, chunk: &[u8]) {
        match self {
            Self::Csv { lines, quoted } => {
                for byte in chunk {
                    match byte {
                        b'"' => *quoted = !*quoted,
                        b'\n' if !*quoted => *lines += 1,
                        _ => {}
                    }
                }
            }
            Self::Ndjson(lines) => *lines += chunk.split(|byte| *byte == b'\n').skip(1).count() as u64,
            Self::Arrow(decoder, rows) => {
                let mut buffer = Buffer::from(chunk);
                while !buffer.is_empty() {
                    if let Some(batch) = decoder.decode(&mut buffer).unwrap() {
                        *rows += batch.num_rows() as u64;
                    }
                }
            }
            Self::Parquet(file) => file.write_all(chunk).unwrap(),
        }
    }

    /// Rows of the whole answer.
    pub(crate) fn end(self) -> u64 {
        match self {
            // The first line has the names.
            Self::Csv { lines, .. } => lines - 1,
            Self::Ndjson(lines) => lines,
            Self::Arrow(mut decoder, rows) => {
                decoder.finish().unwrap();
                rows
            }
            Self::Parquet(file) => {
                let rows = SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows();
                rows.unsigned_abs()
            }
        }
    }
}
