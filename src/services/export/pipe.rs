//! The stages of an export: encode, compress, send; one loop.

mod chunks;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::Semaphore;

pub(super) use self::chunks::Chunks;
use self::turn::Turn;
use super::{ExportError, Part, Parts};
use crate::formats::BatchEncoder;
use crate::formats::compress::Compressor;
use crate::formats::output::ExportForm;
use crate::lake::error::LakeError;

/// Size of a chunk of the body before compression, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Size of the first chunk, in bytes: small, so that the first row is on its way early.
const FIRST_CHUNK_BYTES: usize = 16 * 1024;

/// Encoded rows wait this long for more before they leave in a smaller chunk, which costs compression a flush.
const FLUSH_AFTER: Duration = Duration::from_millis(2);

/// From rows to the bytes of an answer: the encoder, then the compressor where there is one.
pub(in crate::services) struct Pipe {
    encoder: Box<dyn BatchEncoder>,
    compressor: Option<Compressor>,
    /// Encoded bytes that have gone no further.
    encoded: Vec<u8>,
    /// The compressor may hold bytes back.
    unflushed: bool,
    /// It works on a thread of its own.
    compresses_elsewhere: bool,
    /// Encoded bytes so far, and how many there may be.
    bytes: Arc<AtomicU64>,
    max_bytes: u64,
}

impl Pipe {
    pub(super) fn new(form: ExportForm) -> Result<Self, ExportError> {
        let compressor = form.compression.map(Compressor::new).transpose().map_err(ExportError::Compress)?;
        Ok(Self::with(form.format.encoder()?, compressor, u64::MAX))
    }

    /// A pipe for batches of other columns than those of activities, of `max_bytes` before compression at most.
    pub(in crate::services) fn of_columns(
        form: ExportForm,
        schema: &SchemaRef,
        max_bytes: u64,
    ) -> Result<Self, ExportError> {
        let compressor = form.compression.map(Compressor::new).transpose().map_err(ExportError::Compress)?;
        Ok(Self::with(form.format.encoder_for(schema)?, compressor, max_bytes))
    }

    fn with(encoder: Box<dyn BatchEncoder>, compressor: Option<Compressor>, max_bytes: u64) -> Self {
        Self {
            encoder,
            compressor,
            encoded: Vec::new(),
            unflushed: false,
            compresses_elsewhere: false,
            bytes: Arc::default(),
            max_bytes,
        }
    }

    /// Counts the bytes before compression that have left.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// Counts what is about to leave.
    fn count(&mut self) -> Result<(), ExportError> {
        let more = self.encoded.len() as u64;
        let bytes = self.bytes.fetch_add(more, Ordering::AcqRel) + more;
        if bytes > self.max_bytes { Err(ExportError::TooLarge(self.max_bytes)) } else { Ok(()) }
    }

    /// Whether rows that were encoded have not left.
    fn is_behind(&self) -> bool {
        !self.encoded.is_empty() || self.unflushed
    }

    /// What is encoded so far. Compression may hold the end of it back, unless `flush`.
    fn chunk(&mut self, flush: bool) -> Result<Bytes, ExportError> {
        self.count()?;
        let Some(compressor) = &mut self.compressor else {
            self.unflushed = self.compresses_elsewhere && !flush;
            let room = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
            return Ok(std::mem::replace(&mut self.encoded, room).into());
        };
        let written = compressor.write(&self.encoded);
        written.and_then(|()| if flush { compressor.flush() } else { Ok(()) }).map_err(ExportError::Compress)?;
        self.encoded.clear();
        self.unflushed = !flush;
        Ok(compressor.take().into())
    }

    /// The rest, with the end marks of format and compression: a reader takes what has them for whole.
    fn finish(&mut self) -> Result<Bytes, ExportError> {
        self.encoder.finish(&mut self.encoded)?;
        self.count()?;
        let Some(compressor) = &mut self.compressor else { return Ok(std::mem::take(&mut self.encoded).into()) };
        compressor.write(&self.encoded).and_then(|()| compressor.finish()).map_err(ExportError::Compress)?;
        Ok(compressor.take().into())
    }
}

/// Turns batch after batch into chunks until the end, or until nobody listens. A failure leaves out the end
/// marks of format and compression.
pub(super) async fn run(
    mut parts: Parts,
    pipe: &mut Pipe,
    chunks: Chunks,
    promised: Option<u64>,
    rows_written: &AtomicU64,
    turns: &Semaphore,
) -> Result<(), ExportError> {
    let mut turn = Turn::next_of(turns).await;
    let mut first = true;
    pipe.encoder.begin(&mut pipe.encoded)?;
    loop {
        let mut next = parts.next().now_or_never();
        if next.is_none() && pipe.is_behind() {
            next = tokio::time::timeout(FLUSH_AFTER, parts.next()).await.ok();
            // Rows that are encoded need not wait for those that are not.
            if next.is_none() && chunks.send(pipe.chunk(true)?, true, &mut turn).await.is_err() {
                return Ok(());
            }
        }
        let next = match next {
            Some(next) => next,
            None => turn.unless_long(parts.next()).await,
        };
        let batch = match next.transpose()? {
            None => break,
            Some(Part::Rows(batch)) => batch,
            Some(Part::Text { bytes, rows }) => {
                // What was encoded here comes before it.
                if !pipe.encoded.is_empty() && chunks.send(pipe.chunk(first)?, first, &mut turn).await.is_err() {
                    return Ok(());
                }
                pipe.encoded = bytes;
                if chunks.send(pipe.chunk(false)?, false, &mut turn).await.is_err() {
                    return Ok(());
                }
                first = false;
                rows_written.fetch_add(rows as u64, Ordering::AcqRel);
                continue;
            }
        };
        let mut row = 0;
        while row < batch.num_rows() {
            let limit = if first { FIRST_CHUNK_BYTES } else { CHUNK_BYTES };
            row = pipe.encoder.encode(&batch, row, &mut pipe.encoded, limit)?;
            if pipe.encoded.len() >= limit {
                if chunks.send(pipe.chunk(first)?, first, &mut turn).await.is_err() {
                    return Ok(());
                }
                first = false;
            }
        }
        rows_written.fetch_add(batch.num_rows() as u64, Ordering::AcqRel);
    }
    let written = rows_written.load(Ordering::Acquire);
    if let Some(promised) = promised.filter(|promised| *promised != written) {
        let found = format!("the evidence file holds {written} rows where {promised} are recorded");
        return Err(LakeError::Inconsistent(found).into());
    }
    drop(turn);
    chunks.finish(pipe.finish()?).await
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use arrow::array::RecordBatch;
    use futures::{Stream, stream};
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::formats::output::{Compression, ExportFormat};
    use crate::formats::wire_csv::WireCsvOptions;
    use crate::lake::testing::rows;
    use crate::query::cpu::CpuRuntime;

    const CSV: ExportFormat = ExportFormat::Csv(WireCsvOptions { escape_formulas: false });

    fn batch(n: i64) -> RecordBatch {
        let given: Vec<_> = (0..n).map(|i| (i, "ann@example.com", "id")).collect();
        rows(&given).project(&(0..56).collect::<Vec<_>>()).unwrap()
    }

    fn inflated(compression: Option<Compression>, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut plain = Vec::new();
        let read = match compression {
            None => {
                plain.extend_from_slice(bytes);
                Ok(())
            }
            Some(Compression::Gzip) => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).map(drop),
            Some(Compression::Zstd) => {
                zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut plain).map(drop)
            }
        };
        (plain, read.is_ok())
    }

    fn start(
        format: ExportFormat,
        compression: Option<Compression>,
        batches: impl Stream<Item = Result<RecordBatch, ExportError>> + Send + 'static,
    ) -> (JoinHandle<Result<(), ExportError>>, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let mut pipe = Pipe::new(ExportForm { format, compression })?;
            let parts = Box::pin(batches.map(|batch| batch.map(Part::Rows)));
            run(parts, &mut pipe, Chunks::Body(sender), None, &AtomicU64::new(0), &Semaphore::new(1)).await
        });
        (task, receiver)
    }

    /// As [`start`], compressed on a thread of its own.
    fn start_elsewhere(
        compression: Compression,
        batches: impl Stream<Item = Result<RecordBatch, ExportError>> + Send + 'static,
    ) -> (JoinHandle<Result<(), ExportError>>, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let cpu = CpuRuntime::start().unwrap();
            let mut pipe = Pipe::new(ExportForm { format: CSV, compression: Some(compression) })?;
            let turns = Arc::new(Semaphore::new(1));
            let chunks = Chunks::of(&mut pipe, sender.clone(), &cpu.handle(), &turns);
            assert!(matches!(chunks, Chunks::Compressing(_)) && turns.available_permits() == 0);
            let parts = Box::pin(batches.map(|batch| batch.map(Part::Rows)));
            let outcome = run(parts, &mut pipe, chunks, None, &AtomicU64::new(0), &Semaphore::new(1)).await;
            drop(turns.acquire().await.unwrap());
            outcome
        });
        (task, receiver)
    }

    #[tokio::test]
    async fn a_thread_that_compresses_changes_nothing_and_ends() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let all = || stream::iter([5, 3_000, 0, 1].map(|n| Ok(batch(n))));
            let (plain_task, mut plain) = start(CSV, None, all());
            let (task, mut chunks) = start_elsewhere(compression, all());
            assert_eq!(inflated(Some(compression), &rest(&mut chunks).await), (rest(&mut plain).await, true));
            assert!(task.await.unwrap().is_ok() && plain_task.await.unwrap().is_ok());

            // Rows leave though more are awaited.
            let (more, source) = futures::channel::mpsc::unbounded();
            let (task, mut chunks) = start_elsewhere(compression, source);
            more.unbounded_send(Ok(batch(5_000))).unwrap();
            let mut bytes = Vec::new();
            while inflated(Some(compression), &bytes).0.split(|byte| *byte == b'\n').count() < 5_002 {
                bytes.extend_from_slice(&chunks.recv().await.unwrap());
            }
            // A failure leaves no end.
            more.unbounded_send(Err(ExportError::TimedOut(Duration::ZERO))).unwrap();
            bytes.extend_from_slice(&rest(&mut chunks).await);
            assert!(task.await.unwrap().is_err() && !inflated(Some(compression), &bytes).1);

            // Nobody reads.
            let (task, mut chunks) = start_elsewhere(compression, stream::iter((0..100).map(|_| Ok(batch(5_000)))));
            chunks.recv().await.unwrap();
            drop(chunks);
            assert!(task.await.unwrap().is_ok());
        }
    }

    async fn rest(chunks: &mut mpsc::Receiver<Bytes>) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            assert!(!chunk.is_empty());
            all.extend_from_slice(&chunk);
        }
        all
    }

    const CODINGS: [Option<Compression>; 3] = [None, Some(Compression::Gzip), Some(Compression::Zstd)];

    #[tokio::test]
    async fn compression_changes_nothing_but_the_bytes_on_the_way() {
        for format in ExportFormat::all(WireCsvOptions::default()) {
            let mut plain = None;
            for compression in CODINGS {
                let batches = stream::iter([5, 3_000, 0, 1].map(|n| Ok(batch(n))));
                let (task, mut chunks) = start(format, compression, batches);
                let (bytes, whole) = inflated(compression, &rest(&mut chunks).await);
                assert!(task.await.unwrap().is_ok() && whole);
                assert_eq!(plain.get_or_insert_with(|| bytes.clone()), &bytes, "{format:?} {compression:?}");
            }
        }
    }

    #[tokio::test]
    async fn rows_are_not_held_back_while_more_are_awaited() {
        for compression in CODINGS {
            let (more, source) = futures::channel::mpsc::unbounded();
            let (task, mut chunks) = start(CSV, compression, source);
            let (mut bytes, mut lines) = (Vec::new(), 1);
            // The last part leaves in a chunk that nothing flushes but the wait for more.
            for n in [0, 1, 2, 5_000] {
                more.unbounded_send(Ok(batch(n))).unwrap();
                lines += usize::try_from(n).unwrap();
                loop {
                    let (plain, _) = inflated(compression, &bytes);
                    if plain.split(|byte| *byte == b'\n').count() == lines + 1 {
                        break;
                    }
                    bytes.extend_from_slice(&chunks.recv().await.unwrap());
                }
            }
            drop(more);
            bytes.append(&mut rest(&mut chunks).await);
            assert!(task.await.unwrap().is_ok());
            assert!(inflated(compression, &bytes).1);
        }
    }

    #[tokio::test]
    async fn a_reader_that_sleeps_gives_its_turn_away() {
        let turns = Arc::new(Semaphore::new(1));
        let start = |rows: i64| {
            let (sender, receiver) = mpsc::channel(1);
            let turns = Arc::clone(&turns);
            let task = tokio::spawn(async move {
                let mut pipe = Pipe::new(ExportForm { format: CSV, compression: None })?;
                let parts = Box::pin(stream::iter([Ok(Part::Rows(batch(rows)))]));
                run(parts, &mut pipe, Chunks::Body(sender), None, &AtomicU64::new(0), &turns).await
            });
            (task, receiver)
        };
        let (sleeping, mut slow) = start(20_000);
        let first = slow.recv().await.unwrap();
        let (task, mut chunks) = start(10);
        assert_eq!(rest(&mut chunks).await.split(|byte| *byte == b'\n').count(), 12);
        assert!(task.await.unwrap().is_ok() && !sleeping.is_finished());
        let bytes = [first.to_vec(), rest(&mut slow).await].concat();
        assert_eq!(bytes.split(|byte| *byte == b'\n').count(), 20_002);
        assert!(sleeping.await.unwrap().is_ok() && turns.available_permits() == 1);
    }

    #[tokio::test]
    async fn the_first_chunk_is_small_and_whole() {
        for compression in CODINGS {
            let (_task, mut chunks) = start(CSV, compression, stream::iter([Ok(batch(10_000))]));
            let first = chunks.recv().await.unwrap();
            let (plain, _) = inflated(compression, &first);
            assert!((FIRST_CHUNK_BYTES..FIRST_CHUNK_BYTES + 1_024).contains(&plain.len()), "{}", plain.len());
        }
    }

    #[tokio::test]
    async fn a_failure_leaves_no_end_that_looks_whole() {
        for compression in CODINGS {
            for format in [ExportFormat::Json, ExportFormat::Arrow, ExportFormat::Parquet] {
                let failure = ExportError::TimedOut(Duration::ZERO);
                let (task, mut chunks) = start(format, compression, stream::iter([Ok(batch(3_000)), Err(failure)]));
                let (plain, whole) = inflated(compression, &rest(&mut chunks).await);
                assert!(matches!(task.await.unwrap(), Err(ExportError::TimedOut(_))));
                assert_eq!(whole, compression.is_none());
                let end: &[u8] = match format {
                    ExportFormat::Json => b"]",
                    ExportFormat::Arrow => &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
                    _ => b"PAR1",
                };
                assert!(!plain.ends_with(end) || plain == end, "{format:?} {compression:?}");
            }
        }
    }
}
