//! From the chunks of a body to batches, and from batches to data files.

use std::path::Path;

use arrow::array::RecordBatch;
use tokio::sync::mpsc;

use super::IngestError;
use crate::enrich::Enricher;
use crate::formats::input::channel_reader::{BodyDigest, ChannelReader, spool};
use crate::formats::input::decompress::{ContentEncoding, Decompress};
use crate::formats::input::{
    DecodeError, DecodeOptions, DecodeReport, Format, Peek, SinkClosed, decode_arrow, decode_csv, decode_ndjson,
    decode_parquet,
};
use crate::lake::data_files::DataFiles;
use crate::lake::error::LakeError;
use crate::services::own_sources::ChosenSource;
use crate::services::room::Disk;
use crate::sources::{Layout, decode_enriched};

/// Batches between the decoder and the file writer.
pub(super) const BATCHES_AHEAD: usize = 2;

/// Decoded bytes after which a long ingest looks at the disk again.
const DISK_CHECK_BYTES: usize = 64 << 20;

/// Collects batches into data files; on a failure the files written so far come with it.
pub(super) async fn collect(
    mut batches: mpsc::Receiver<RecordBatch>,
    mut files: DataFiles,
    disk: Disk,
) -> (DataFiles, Option<IngestError>) {
    let mut unchecked_bytes = 0;
    while let Some(batch) = batches.recv().await {
        unchecked_bytes += batch.get_array_memory_size();
        if unchecked_bytes >= DISK_CHECK_BYTES {
            unchecked_bytes = 0;
            if let Err(low) = disk.check() {
                return (files, Some(low.into()));
            }
        }
        if let Err(error) = files.push(batch).await {
            return (files, Some(LakeError::not_stored(error).into()));
        }
    }
    let settled = files.settle().await.map_err(|error| LakeError::not_stored(error).into());
    (files, settled.err())
}

/// Decodes the lake's own records.
pub(super) fn decode(
    mut reader: ChannelReader,
    format: Option<Format>,
    encoding: Option<ContentEncoding>,
    options: &DecodeOptions,
    tmp: &Path,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(DecodeReport, BodyDigest), DecodeError> {
    let mut sink = |batch| batches.blocking_send(batch).map_err(|_| SinkClosed);
    let mut raw = Peek::new(&mut reader)?;
    let encoding = encoding.unwrap_or_else(|| ContentEncoding::of_content(raw.head()));
    let mut input = Peek::new(Decompress::new(&mut raw, encoding, options.max_inflated_bytes)?)?;
    let format = format.unwrap_or_else(|| Format::of_content(input.head()));
    let report = match format {
        Format::Ndjson => decode_ndjson(&mut input, options, &mut sink)?,
        Format::Csv => decode_csv(&mut input, options, &mut sink)?,
        Format::Arrow => decode_arrow(&mut input, options, &mut sink)?,
        Format::Parquet => {
            let file = spool(&mut input, tmp, options.max_inflated_bytes)?;
            decode_parquet(file, options, &mut sink)?
        }
    };
    drop(input);
    Ok((report, reader.finish()?))
}

/// Decodes the records of a source: CSV, or JSON in any of the shapes it unwraps.
pub(super) fn decode_mapped(
    mut reader: ChannelReader,
    source: &ChosenSource,
    layout: Layout,
    encoding: Option<ContentEncoding>,
    mut enricher: Enricher,
    options: &DecodeOptions,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(DecodeReport, BodyDigest), IngestError> {
    let source = source.ready()?;
    let mut sink = |batch| batches.blocking_send(batch).map_err(|_| SinkClosed);
    let mut raw = Peek::new(&mut reader).map_err(DecodeError::from)?;
    let encoding = encoding.unwrap_or_else(|| ContentEncoding::of_content(raw.head()));
    let mut input = Decompress::new(&mut raw, encoding, options.max_inflated_bytes).map_err(DecodeError::from)?;
    let report = decode_enriched(&mut input, layout, &source, options, Some(&mut enricher), &mut sink)?;
    drop(input);
    Ok((report, reader.finish().map_err(DecodeError::from)?))
}
