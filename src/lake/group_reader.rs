//! Reading a Parquet file row group by row group.
//!
//! The library reads a file page by page, each with four calls of the system: for a row group of 62 columns they take as
//! long as decoding it. Here a row group is read at once, and its pages are slices of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

/// A file whose row groups are read one after the other. Memory: the encoded bytes of one row group.
#[derive(Debug)]
pub(super) struct GroupReader {
    file: File,
    len: u64,
    /// Where row groups are, ascending.
    groups: Vec<Range<u64>>,
    /// The row group read last: where it begins, and its bytes.
    current: Mutex<Option<(u64, Bytes)>>,
}

impl GroupReader {
    /// The file with this metadata.
    ///
    /// # Errors
    /// When the file's size cannot be read.
    pub(super) fn new(file: File, metadata: &ParquetMetaData) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut groups: Vec<_> = metadata.row_groups().iter().filter_map(place).collect();
        groups.sort_unstable_by_key(|group| group.start);
        Ok(Self { file, len, groups, current: Mutex::new(None) })
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.len {
            return Err(ParquetError::EOF(format!("{} bytes have no place {range:?}", self.len)));
        }
        let mut bytes =
            vec![0; usize::try_from(range.end - range.start).map_err(|error| ParquetError::External(error.into()))?];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }

    /// The bytes from `start` to the end of its row group, or of the file when it is in none.
    fn rest_from(&self, start: u64) -> Result<Bytes> {
        let place = self.groups.partition_point(|group| group.start <= start);
        let group = place.checked_sub(1).and_then(|place| self.groups.get(place)).filter(|group| start < group.end);
        let Some(group) = group else { return self.read(start..self.len) };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match &*current {
            Some((begin, bytes)) if *begin == group.start => bytes.clone(),
            _ => {
                // The one before is given back first.
                *current = None;
                let bytes = self.read(group.clone())?;
                *current = Some((group.start, bytes.clone()));
                bytes
            }
        };
        let skip = usize::try_from(start - group.start).map_err(|error| ParquetError::External(error.into()))?;
        Ok(bytes.slice(skip..))
    }
}

/// From the first byte of a row group to its last.
fn place(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let columns = || group.columns().iter().map(ColumnChunkMetaData::byte_range);
    let start = columns().map(|(start, _)| start).min()?;
    let end = columns().filter_map(|(start, len)| start.checked_add(len)).max()?;
    (start < end).then_some(start..end)
}

impl Length for GroupReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for GroupReader {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.rest_from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.rest_from(start)?;
        if bytes.len() >= length {
            return Ok(bytes.slice(..length));
        }
        // Across the end of a row group: no page, but nobody promises that.
        self.read(start..start.saturating_add(length as u64))
    }
}

#[cfg(test)]
mod tests {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderMetadata;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::lake::testing::rows;

    #[test]
    fn every_place_reads_as_it_is_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let given: Vec<_> = (0..50).map(|n| (n, "ann", "id")).collect();
        let batch = rows(&given);
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(20)).build();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let metadata =
            ArrowReaderMetadata::load(&file, parquet::arrow::arrow_reader::ArrowReaderOptions::default()).unwrap();
        let reader = GroupReader::new(file.try_clone().unwrap(), metadata.metadata()).unwrap();
        assert_eq!(reader.groups.len(), 3);
        let mut all = vec![0; usize::try_from(reader.len()).unwrap()];
        file.read_exact_at(&mut all, 0).unwrap();
        let ends: Vec<u64> = reader.groups.iter().flat_map(|group| [group.start, group.end]).collect();
        for start in ends.iter().flat_map(|end| [end.saturating_sub(1), *end, end + 1]).filter(|at| *at < reader.len())
        {
            let at = usize::try_from(start).unwrap();
            for length in [0, 1, 7, all.len() - at] {
                assert_eq!(reader.get_bytes(start, length).unwrap(), all[at..at + length], "{start} {length}");
            }
            let mut read = Vec::new();
            io::Read::read_to_end(&mut reader.get_read(start).unwrap(), &mut read).unwrap();
            assert!(all[at..].starts_with(&read) && !read.is_empty());
        }
        assert!(reader.get_bytes(reader.len(), 1).is_err());
        assert!(reader.get_bytes(4, all.len()).is_err());
    }
}
