//! The formats of an answer, as a choice.

use std::fmt;

use super::arrow_out::{self, ArrowEncoder};
use super::json_out::{self, JsonEncoder};
use super::ndjson_out::{self, NdjsonEncoder};
use super::parquet_out::{self, ParquetEncoder};
use super::wire_csv::{self, WireCsvEncoder, WireCsvOptions};
use super::{BatchEncoder, EncodeError};
use crate::domain::activity::wire_schema;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The wire dialect of CSV.
    Csv(WireCsvOptions),
    /// One array of JSON objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Arrow's IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl ExportFormat {
    /// Every format, the one preferred first; `csv` are the choices within CSV.
    #[must_use]
    pub const fn all(csv: WireCsvOptions) -> [Self; 5] {
        [Self::Csv(csv), Self::Json, Self::Ndjson, Self::Arrow, Self::Parquet]
    }

    /// The format of this name: its file extension.
    #[must_use]
    pub fn named(name: &str, csv: WireCsvOptions) -> Option<Self> {
        Self::all(csv).into_iter().find(|format| format.extension() == name)
    }

    /// An encoder of activities.
    ///
    /// # Errors
    /// [`EncodeError`] when the format cannot write their columns, a fault of ours.
    pub fn encoder(self) -> Result<Box<dyn BatchEncoder>, EncodeError> {
        let schema = wire_schema();
        Ok(match self {
            Self::Csv(options) => Box::new(WireCsvEncoder::new(&schema, options)?),
            Self::Json => Box::new(JsonEncoder::new(&schema)?),
            Self::Ndjson => Box::new(NdjsonEncoder::new(&schema)?),
            Self::Arrow => Box::new(ArrowEncoder::new(schema)?),
            Self::Parquet => Box::new(ParquetEncoder::new(schema)?),
        })
    }

    /// Media type of an answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv(_) => wire_csv::CONTENT_TYPE,
            Self::Json => json_out::CONTENT_TYPE,
            Self::Ndjson => ndjson_out::CONTENT_TYPE,
            Self::Arrow => arrow_out::CONTENT_TYPE,
            Self::Parquet => parquet_out::CONTENT_TYPE,
        }
    }

    /// Media types that ask for the format, without parameters, in lower case.
    #[must_use]
    pub const fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Csv(_) => &["text/csv"],
            Self::Json => &[json_out::CONTENT_TYPE],
            Self::Ndjson => &[ndjson_out::CONTENT_TYPE, "application/ndjson"],
            Self::Arrow => &[arrow_out::CONTENT_TYPE],
            Self::Parquet => &[parquet_out::CONTENT_TYPE],
        }
    }

    /// Extension of a file's name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// Whether compression of the whole gains nothing because the format compresses within.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::Parquet)
    }
}

/// Compression of a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zstd.
    Zstd,
    /// gzip.
    Gzip,
}

impl Compression {
    /// Every compression, the one preferred first: at level 1 zstd takes as long as gzip and gives two thirds of
    /// its size.
    pub const ALL: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// Name of the content coding in HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportForm {
    /// How rows are written.
    pub format: ExportFormat,
    /// How the bytes are compressed, if at all.
    pub compression: Option<Compression>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_asked_for_by_the_type_it_answers_with() {
        for format in ExportFormat::all(WireCsvOptions::default()) {
            let essence = format.content_type().split(';').next().unwrap();
            assert_eq!(format.media_types()[0], essence);
            assert_eq!(format.encoder().unwrap().content_type(), format.content_type());
        }
    }
}
