//! The formats of an answer, as a choice.

use std::fmt;

use arrow::datatypes::SchemaRef;

use super::arrow_out::{self, ArrowEncoder};
use super::conform::portable;
use super::json_out::{self, JsonEncoder};
use super::ndjson_out::{self, NdjsonEncoder};
use super::parquet_out::{self, ParquetEncoder};
use super::plain::{Plain, PlainEncoder};
use super::rfc_csv::{self, RfcCsvEncoder};
use super::wire_csv::{self, WireCsvEncoder, WireCsvOptions};
use super::{BatchEncoder, EncodeError};
use crate::domain::activity::wire_schema;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The wire dialect of CSV.
    Csv(WireCsvOptions),
    /// CSV as RFC 4180 has it.
    RfcCsv(WireCsvOptions),
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

    /// Every format of the rows of a statement, the one preferred first; the wire dialect of CSV is asked for by name.
    #[must_use]
    pub const fn of_statements(csv: WireCsvOptions) -> [Self; 6] {
        [Self::RfcCsv(csv), Self::Json, Self::Ndjson, Self::Arrow, Self::Parquet, Self::Csv(csv)]
    }

    /// An encoder of batches of any columns. The formats of text write moments as ISO 8601, bytes as hexadecimal digits
    /// and lists as JSON; Arrow and Parquet keep the types.
    ///
    /// # Errors
    /// [`EncodeError`] when the format has no such type.
    pub fn encoder_for(self, schema: &SchemaRef) -> Result<Box<dyn BatchEncoder>, EncodeError> {
        let plain = Plain::of(schema);
        let columns = SchemaRef::clone(plain.schema());
        Ok(match self {
            Self::Csv(options) => Box::new(PlainEncoder::new(plain, WireCsvEncoder::new(&columns, options)?)),
            Self::RfcCsv(options) => {
                Box::new(PlainEncoder::new(plain, RfcCsvEncoder::new(&columns, options.escape_formulas)?))
            }
            Self::Json => Box::new(PlainEncoder::new(plain, JsonEncoder::new(&columns)?)),
            Self::Ndjson => Box::new(PlainEncoder::new(plain, NdjsonEncoder::new(&columns)?)),
            Self::Arrow => Box::new(ArrowEncoder::new(portable(schema))?),
            Self::Parquet => Box::new(ParquetEncoder::new(portable(schema))?),
        })
    }

    /// An encoder of activities.
    ///
    /// # Errors
    /// [`EncodeError`] when the format cannot write their columns, a fault of ours.
    pub fn encoder(self) -> Result<Box<dyn BatchEncoder>, EncodeError> {
        let schema = wire_schema();
        Ok(match self {
            Self::Csv(options) => Box::new(WireCsvEncoder::new(&schema, options)?),
            Self::RfcCsv(options) => Box::new(RfcCsvEncoder::new(&schema, options.escape_formulas)?),
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
            Self::RfcCsv(_) => rfc_csv::CONTENT_TYPE,
            Self::Json => json_out::CONTENT_TYPE,
            Self::Ndjson => ndjson_out::CONTENT_TYPE,
            Self::Arrow => arrow_out::CONTENT_TYPE,
            Self::Parquet => parquet_out::CONTENT_TYPE,
        }
    }

    /// Media types that ask for the format, in lower case; of parameters only `dialect`.
    #[must_use]
    pub const fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Csv(_) => &["text/csv", "text/csv;dialect=wire"],
            Self::RfcCsv(_) => &["text/csv", "text/csv;dialect=rfc4180"],
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
            Self::Csv(_) | Self::RfcCsv(_) => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// Whether the text of a row depends on nothing but the row, so that encoders may share the rows of an answer.
    #[must_use]
    pub const fn rows_stand_alone(self) -> bool {
        matches!(self, Self::Csv(_) | Self::RfcCsv(_) | Self::Ndjson)
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
        for format in ExportFormat::of_statements(WireCsvOptions::default()) {
            let essence = format.content_type().split(';').next().unwrap();
            assert_eq!(format.media_types()[0], essence);
            assert_eq!(format.encoder().unwrap().content_type(), format.content_type());
        }
    }
}
