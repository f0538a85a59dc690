//! Reading ahead: the next rows of a file are decoded on one core while these are encoded on another.
//!
//! Encoding takes longer than decoding. So the reader encodes as well, whenever the encoder is behind: neither waits.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use super::{ExportError, Part, Parts};
use crate::formats::BatchEncoder;
use crate::formats::output::ExportFormat;
use crate::lake::error::LakeError;
use crate::lake::evidence_files::READ_ROWS;
use crate::query::cpu::CpuHandle;

/// Batches decoded before they are asked for: enough that neither side waits for the other, few enough to bound memory.
const BATCHES_AHEAD: usize = 2;

/// Rows up to which a thread of its own is not worth its beginning.
pub(super) const WORTH_ROWS: u64 = 2 * READ_ROWS as u64;

/// The parts of a file of so many rows, read ahead while one of `turns` is free, else when they are asked for: once every
/// core has an export, reading ahead would only hold more memory.
///
/// A thread of its own and no task: what a task wakes may have to wait until that task pauses. It ends with the stream.
///
/// # Errors
/// When the format cannot write activities, a fault of ours.
pub(super) fn read(
    reader: ParquetRecordBatchReader,
    rows: u64,
    format: ExportFormat,
    cpu: &CpuHandle,
    turns: &Arc<Semaphore>,
) -> Result<Parts, ExportError> {
    let batches = reader.map(|batch| batch.map_err(|error| ExportError::from(LakeError::Arrow(error))));
    let turn = if rows > WORTH_ROWS { Arc::clone(turns).try_acquire_owned().ok() } else { None };
    let Some(turn) = turn else { return Ok(Box::pin(stream::iter(batches.map(|batch| batch.map(Part::Rows))))) };
    let mut encoder = if format.rows_stand_alone() { Some(format.encoder()?) } else { None };
    let (sender, mut parts) = mpsc::channel(BATCHES_AHEAD);
    cpu.spawn_blocking(move || {
        let _turn = turn;
        let mut room = 0;
        for batch in batches {
            let part = match sender.try_send(batch.map(Part::Rows)) {
                Ok(()) => continue,
                Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(Ok(Part::Rows(batch)))) => match &mut encoder {
                    Some(encoder) => encoded(encoder.as_mut(), &batch, &mut room),
                    None => Ok(Part::Rows(batch)),
                },
                Err(TrySendError::Full(part)) => part,
            };
            if sender.blocking_send(part).is_err() {
                return;
            }
        }
    });
    Ok(Box::pin(stream::poll_fn(move |context| parts.poll_recv(context))))
}

/// A batch as text. `room` is what the one before needed, and then what this one did: without it the text would be moved
/// several times while it grows.
fn encoded(encoder: &mut dyn BatchEncoder, batch: &RecordBatch, room: &mut usize) -> Result<Part, ExportError> {
    let (mut bytes, mut row) = (Vec::with_capacity(*room), 0);
    while row < batch.num_rows() {
        row = encoder.encode(batch, row, &mut bytes, usize::MAX)?;
    }
    *room = bytes.len() + bytes.len() / 8;
    Ok(Part::Text { bytes, rows: batch.num_rows() })
}
