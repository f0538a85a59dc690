//! Where the chunks of an export go: to the body of the answer, or by way of a thread that compresses them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::ExportError;
use super::Pipe;
use super::turn::Turn;
use crate::lake::error::LakeError;
use crate::query::cpu::CpuHandle;

/// Chunks that wait for the thread that compresses them: with one alone it waits for the encoder to wake up after each.
const CHUNKS_AHEAD: usize = 4;

/// Compressed bytes that are sent together: a chunk becomes a tenth of its size, and each that is sent wakes two threads.
const SEND_BYTES: usize = 64 * 1024;

/// Nobody reads the body any more.
pub(super) struct ReaderGone;

/// Where chunks go.
pub(in crate::services::export) enum Chunks {
    /// To the body.
    Body(mpsc::Sender<Bytes>),
    /// To a thread that compresses them and sends them on.
    Compressing(Compressing),
}

/// A thread that compresses while the next rows are encoded. It ends with its chunks.
pub(in crate::services::export) struct Compressing {
    pieces: mpsc::Sender<Piece>,
    done: JoinHandle<io::Result<()>>,
    /// The thread may wait for a reader that sleeps.
    _stop: DropGuard,
}

/// A chunk to be compressed.
enum Piece {
    More {
        plain: Bytes,
        /// It is to be readable at once.
        flush: bool,
    },
    /// The answer is whole. Without it the compressed bytes get no end.
    Last(Bytes),
}

impl Chunks {
    /// Where the chunks of this pipe go: compressed on a thread of its own while one of `turns` is free.
    pub(in crate::services::export) fn of(
        pipe: &mut Pipe,
        body: mpsc::Sender<Bytes>,
        cpu: &CpuHandle,
        turns: &Arc<Semaphore>,
    ) -> Self {
        if pipe.compressor.is_none() {
            return Self::Body(body);
        }
        let Ok(turn) = Arc::clone(turns).try_acquire_owned() else { return Self::Body(body) };
        let Some(mut compressor) = pipe.compressor.take() else { return Self::Body(body) };
        pipe.compresses_elsewhere = true;
        let (pieces, mut waiting) = mpsc::channel(CHUNKS_AHEAD);
        let (stop, runtime) = (CancellationToken::new(), cpu.tokio());
        let stopped = stop.clone();
        let done = cpu.spawn_blocking(move || {
            let _turn = turn;
            while let Some(piece) = waiting.blocking_recv() {
                let is_last = matches!(piece, Piece::Last(_));
                let at_once = is_last || matches!(piece, Piece::More { flush: true, .. });
                match piece {
                    Piece::More { plain, flush } => {
                        compressor.write(&plain)?;
                        if flush {
                            compressor.flush()?;
                        }
                    }
                    Piece::Last(plain) => {
                        compressor.write(&plain)?;
                        compressor.finish()?;
                    }
                }
                let ready = compressor.ready();
                if ready >= SEND_BYTES || (at_once && ready > 0) {
                    let compressed = compressor.take();
                    let sending = stopped.run_until_cancelled(body.send(compressed.into()));
                    #[expect(clippy::disallowed_methods, reason = "a thread that may wait, outside of every task")]
                    let sent = runtime.block_on(sending);
                    if !matches!(sent, Some(Ok(()))) {
                        break;
                    }
                }
                if is_last {
                    break;
                }
            }
            Ok(())
        });
        Self::Compressing(Compressing { pieces, done, _stop: stop.drop_guard() })
    }

    pub(super) async fn send(&self, chunk: Bytes, flush: bool, turn: &mut Turn<'_>) -> Result<(), ReaderGone> {
        match self {
            Self::Body(_) if chunk.is_empty() => {}
            Self::Body(body) => turn.unless_long(body.reserve()).await.map_err(|_| ReaderGone)?.send(chunk),
            Self::Compressing(Compressing { pieces, .. }) => {
                let place = turn.unless_long(pieces.reserve()).await.map_err(|_| ReaderGone)?;
                place.send(Piece::More { plain: chunk, flush });
            }
        }
        Ok(())
    }

    /// Sends the last chunk and waits until everything is on its way to the body.
    pub(super) async fn finish(self, chunk: Bytes) -> Result<(), ExportError> {
        match self {
            // Nobody may listen any more: nothing is left to do.
            Self::Body(body) => drop(if chunk.is_empty() { Ok(()) } else { body.send(chunk).await }),
            Self::Compressing(Compressing { pieces, done, _stop }) => {
                drop(pieces.send(Piece::Last(chunk)).await);
                done.await.map_err(LakeError::Task)?.map_err(ExportError::Compress)?;
            }
        }
        Ok(())
    }
}
