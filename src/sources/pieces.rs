//! Decoded records in pieces whose rows fit into a batch, however many rows a record becomes.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::decode::{BATCH_BYTES, BATCH_RECORDS};
use super::shape::Shape;
use crate::formats::input::json_records::Place;

/// Where a row comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) place: Place,
    /// Number of the row among those of its record, from 1; 0 for what was no record.
    pub(super) item: usize,
}

impl At {
    /// Sorts as the input does.
    pub(super) fn order(&self) -> (u64, Option<u64>, usize) {
        (self.place.line, self.place.element, self.item)
    }
}

/// Records in the declared spelling of their fields.
pub(super) struct Decoded {
    pub(super) batch: RecordBatch,
    /// Where each stands, and the bytes of its text.
    pub(super) records: Vec<(Place, usize)>,
}

/// Rows as the `SELECT` sees them.
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    pub(super) places: Vec<At>,
}

/// The rows of records, a piece at a time.
pub(super) struct Pieces<'d> {
    decoded: &'d Decoded,
    shape: &'d Shape,
    /// Rows of each record; none where each is one.
    counts: Option<Vec<usize>>,
    record: usize,
    /// Rows of that record which are taken.
    items: usize,
}

impl<'d> Pieces<'d> {
    pub(super) fn new(decoded: &'d Decoded, shape: &'d Shape) -> Self {
        let counts = shape.unnests().then(|| shape.row_counts(&decoded.batch));
        Self { decoded, shape, counts, record: 0, items: 0 }
    }

    /// The next rows, by record and number: as many as fit, and one at least. What a record has beside its
    /// list is repeated in each of its rows.
    fn fitting(&mut self, counts: &[usize]) -> Vec<(usize, usize)> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while self.record < counts.len() && rows.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            self.items += 1;
            rows.push((self.record, self.items));
            bytes += self.decoded.records[self.record].1;
            if self.items >= counts[self.record] {
                self.record += 1;
                self.items = 0;
            }
        }
        rows
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Rows, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let records = &self.decoded.records;
        if self.record >= records.len() {
            return None;
        }
        let Some(counts) = self.counts.take() else {
            self.record = records.len();
            let places = records.iter().map(|(place, _)| At { place: *place, item: 1 }).collect();
            return Some(Ok(Rows { batch: self.decoded.batch.clone(), places }));
        };
        let rows = self.fitting(&counts);
        self.counts = Some(counts);
        let places = rows.iter().map(|(record, item)| At { place: records[*record].0, item: *item }).collect();
        Some(self.shape.unnest(&self.decoded.batch, &rows).map(|batch| Rows { batch, places }))
    }
}
