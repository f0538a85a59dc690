//! Rewriting files of one day into fewer.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use deltalake::kernel::Add;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::live::{LiveFile, tag};
use super::merge::merge;
use crate::domain::day::Day;
use crate::lake::data_files::DayLayout;
use crate::lake::error::LakeError;
use crate::lake::feed::WrittenBy;
use crate::lake::rewrite::Rewrite;
use crate::lake::table::ActivityTable;

/// Decoded bytes after which the disk is looked at again; on disk they are less.
const LOOK_AT_ROOM_BYTES: usize = 64 << 20;

/// Whether the disk still has room for what is being written.
pub type Room<'a> = dyn Fn() -> Result<(), LakeError> + Send + Sync + 'a;

/// Batches between the reading and the writing side.
const BATCHES_AHEAD: usize = 2;

/// Files that were rewritten into others with the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Files that were read.
    pub files_before: usize,
    /// Their bytes.
    pub bytes_before: u64,
    /// Files that took their place.
    pub files_after: usize,
    /// Their bytes.
    pub bytes_after: u64,
    /// Rows in either.
    pub rows: u64,
}

/// Rewrites files of one day, in order of (userKey, timeStamp), and commits. Appends go on meanwhile. Success
/// means: committed and durable; queries that started before go on with the old files. A crash at any moment
/// leaves the table as it was or as it should be, and perhaps garbage for vacuum. Memory does not depend on the
/// size of the day. `tmp` takes temporary files when there are more files than can be merged at a time. `room` is
/// asked again and again; its failure ends the rewrite.
///
/// # Errors
/// [`LakeError::Superseded`] when one of the files was replaced meanwhile: plan anew. Else what reading,
/// writing or committing says; nothing was changed then unless it is [`LakeError::Interrupted`], and nothing stays on
/// disk.
pub async fn compact(
    table: &ActivityTable,
    tmp: &Path,
    day: Day,
    inputs: &[LiveFile],
    layout: DayLayout,
    room: &Room<'_>,
) -> Result<Compacted, LakeError> {
    let files = table.file_use();
    // In this order: what is live after the reader began, stays on disk as long as the reader does.
    let _reader = files.read();
    still_live(table, inputs)?;
    let mut added = write(table, tmp, day, inputs, layout, room).await?;
    let (run, by) = match layout {
        DayLayout::Merged => (None, WrittenBy::Merge),
        DayLayout::Sorted => (Some(Uuid::new_v4().simple().to_string()), WrittenBy::Sort),
    };
    tag(&mut added, inputs, run.as_deref());
    let files_after = added.len();
    let removed = inputs.iter().map(|file| file.path.clone()).collect();
    let replaced = table.replace_files(removed, added, Rewrite::SameRows).await?;
    table.feed().count(by, replaced.bytes_added);
    Ok(Compacted {
        files_before: inputs.len(),
        bytes_before: replaced.bytes_removed,
        files_after,
        bytes_after: replaced.bytes_added,
        rows: inputs.iter().map(|file| file.rows).sum(),
    })
}

/// Refuses files that were replaced since they were planned with.
fn still_live(table: &ActivityTable, inputs: &[LiveFile]) -> Result<(), LakeError> {
    let current = table.current();
    let live: HashSet<String> = current.snapshot()?.log_data().iter().map(|file| file.path().into_owned()).collect();
    match inputs.iter().find(|file| !live.contains(&file.path)) {
        Some(gone) => Err(LakeError::Superseded { path: gone.path.clone() }),
        None => Ok(()),
    }
}

/// Writes the new files; durable, and not yet referred to.
async fn write(
    table: &ActivityTable,
    tmp: &Path,
    day: Day,
    inputs: &[LiveFile],
    layout: DayLayout,
    room: &Room<'_>,
) -> Result<Vec<Add>, LakeError> {
    let folder = table.data_folder();
    let files: Vec<PathBuf> = inputs.iter().map(|file| table.local_folder().join(&file.path)).collect();
    let (schema, tmp) = (folder.file_schema(), tmp.to_owned());
    let (sender, mut batches) = mpsc::channel::<RecordBatch>(BATCHES_AHEAD);
    let reading = table
        .merging()
        .begin(layout, move || merge(&files, &schema, &tmp, &mut |batch| Ok(sender.blocking_send(batch).is_ok())))?;
    let _writing = folder.writing();
    let mut writer = folder.rewriter(layout, inputs.iter().map(|file| file.rows).sum());
    let mut failure = None;
    let mut decoded_bytes = 0;
    while let Some(batch) = batches.recv().await {
        decoded_bytes += batch.get_array_memory_size();
        let mut written = Ok(());
        if decoded_bytes >= LOOK_AT_ROOM_BYTES {
            decoded_bytes = 0;
            written = room();
        }
        let written = match written {
            Ok(()) => writer.write_day(batch, day).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            failure = Some(error);
            break;
        }
    }
    drop(batches);
    let read = reading.await;
    if let Some(error) = failure.or(read.err()) {
        writer.abort().await;
        return Err(error);
    }
    let added = writer.close().await?;
    folder.written(&added);
    Ok(added)
}
