//! How many rows of a Parquet file to decode at a time, so that a batch has about a given size.
//!
//! A file may hold one text of a megabyte once, in a dictionary, and name it in thousands of rows; decoded it is there
//! once a row. So the size of the pages says little, and what the writer notes of the values counts (Parquet's
//! `SizeStatistics.unencoded_byte_array_data_bytes`).

use parquet::arrow::ProjectionMask;
use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

/// Fewest rows of a batch: a record may have a megabyte.
const LEAST_ROWS: usize = 8;

/// Rows of the columns of `mask` that take about `batch_bytes` decoded, from 8 to `most_rows`. Judged by the row
/// group whose rows are largest on average.
pub(in crate::lake) fn batch_rows(
    footer: &ParquetMetaData,
    mask: &ProjectionMask,
    batch_bytes: u64,
    most_rows: usize,
) -> usize {
    let row_bytes = footer.row_groups().iter().map(|group| row_bytes(group, mask)).max().unwrap_or(0);
    let rows = usize::try_from(batch_bytes / row_bytes.max(1)).unwrap_or(usize::MAX);
    rows.clamp(LEAST_ROWS, most_rows)
}

/// Decoded bytes of a row of a group on average; where the group does not tell, what a row has at most.
fn row_bytes(group: &RowGroupMetaData, mask: &ProjectionMask) -> u64 {
    let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
    let chosen = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
    chosen.map(|(_, column)| value_bytes(column, rows)).fold(0, u64::saturating_add)
}

fn value_bytes(column: &ColumnChunkMetaData, rows: u64) -> u64 {
    match column.column_type() {
        Type::BOOLEAN | Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).unwrap_or(0),
        Type::BYTE_ARRAY => {
            let decoded = column.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
            // Each value has its end, too. No single value is larger than its encoded column.
            4 + decoded.map_or(u64::try_from(column.uncompressed_size()).unwrap_or(0), |bytes| bytes.div_ceil(rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::*;

    /// The footer of a file with a number and a text in each row.
    fn footer(text: &str, rows: usize, statistics: EnabledStatistics) -> Arc<ParquetMetaData> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; rows]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text; rows]));
        let batch = RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap();
        let properties = WriterProperties::builder().set_statistics_enabled(statistics).build();
        let file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Arc::clone(ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata())
    }

    #[test]
    fn a_text_counts_in_every_row_that_it_is_in() {
        let large = "x".repeat(100_000);
        let all = ProjectionMask::all();
        let footer_of = |text: &str| footer(text, 500, EnabledStatistics::Chunk);
        let found = footer_of(&large);
        assert!(found.row_group(0).total_byte_size() < 300_000, "the text is stored once");
        assert_eq!(batch_rows(&found, &all, 1_000_000, 2048), 9);
        let number = ProjectionMask::columns(found.file_metadata().schema_descr(), ["number"]);
        assert_eq!(batch_rows(&found, &number, 1_000_000, 2048), 2048);
        assert_eq!(batch_rows(&footer_of("a"), &all, 13_000, 2048), 1000);
        assert_eq!(batch_rows(&footer_of(&large), &all, 1, 2048), LEAST_ROWS);
    }

    #[test]
    fn a_file_that_does_not_tell_is_read_with_care() {
        let silent = footer(&"x".repeat(100_000), 500, EnabledStatistics::None);
        assert!(batch_rows(&silent, &ProjectionMask::all(), 1_000_000, 2048) <= 10);
    }
}
