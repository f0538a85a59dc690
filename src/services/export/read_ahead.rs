//! Reading ahead: the next rows of a file are decoded on one core while these are encoded on another.

use std::sync::Arc;

use futures::stream;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tokio::sync::{Semaphore, mpsc};

use super::{Batches, ExportError};
use crate::lake::error::LakeError;
use crate::lake::evidence_files::READ_ROWS;
use crate::query::cpu::CpuHandle;

/// Batches decoded before they are asked for: enough that neither side waits for the other, few enough to bound memory.
const BATCHES_AHEAD: usize = 2;

/// Rows up to which a thread of its own is not worth its beginning.
pub(super) const WORTH_ROWS: u64 = 2 * READ_ROWS as u64;

/// The batches of a file of so many rows, read ahead while one of `turns` is free, else when they are asked for: once every core has an
/// export, reading ahead would only hold more memory.
///
/// A thread of its own and no task: what a task wakes may have to wait until that task pauses. It ends with the stream.
pub(super) fn read(reader: ParquetRecordBatchReader, rows: u64, cpu: &CpuHandle, turns: &Arc<Semaphore>) -> Batches {
    let reader = reader.map(|batch| batch.map_err(|error| ExportError::from(LakeError::Arrow(error))));
    let turn = if rows > WORTH_ROWS { Arc::clone(turns).try_acquire_owned().ok() } else { None };
    let Some(turn) = turn else { return Box::pin(stream::iter(reader)) };
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    cpu.spawn_blocking(move || {
        let _turn = turn;
        for batch in reader {
            if sender.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    Box::pin(stream::poll_fn(move |context| batches.poll_recv(context)))
}
