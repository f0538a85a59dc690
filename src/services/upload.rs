//! A body on its way in, at the pace of its sender.
//!
//! Decoders are few and senders may be slow, so a body first arrives up to [`AHEAD_BYTES`] without
//! holding anybody up: most are whole by then. What is larger must keep a pace from there on.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout};

use crate::formats::input::channel_reader::ChannelWriter;

/// Bytes that arrive before a decoder is asked for; what one waiting upload may hold in memory, give
/// or take a chunk.
const AHEAD_BYTES: usize = 256 * 1024;

/// Bytes that a body must bring in each stretch of patience while a decoder waits for it. At the default
/// patience that is 17 KiB/s: no link that uploads logs is slower, and the few decoders cannot be held by
/// clients that trickle.
const PACE_BYTES: u64 = 1 << 20;

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Too little came for too long: the sender may try again over a better line.
    #[error("the upload stalled: too little arrived within {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    /// It broke off.
    #[error("the upload broke off")]
    Broken(#[source] io::Error),
}

/// A body, and what of it has arrived.
pub struct Upload {
    body: BoxStream<'static, io::Result<Bytes>>,
    ahead: VecDeque<Bytes>,
    ended: bool,
    patience: Option<Duration>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("ended", &self.ended).field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Upload {
    /// A body whose sender may be silent for as long as `patience`; none for a sender who may take any time.
    pub fn new(body: BoxStream<'static, io::Result<Bytes>>, patience: Option<Duration>) -> Self {
        Self { body, ahead: VecDeque::new(), ended: false, patience }
    }

    /// Lets the beginning arrive: all of a small body.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn read_ahead(&mut self) -> Result<(), UploadError> {
        let mut bytes = 0;
        while bytes < AHEAD_BYTES && !self.ended {
            if let Some(chunk) = self.next(Duration::ZERO).await? {
                bytes += chunk.len();
                self.ahead.push_back(chunk);
            }
        }
        Ok(())
    }

    /// Passes the body on until it ends, fails, or nobody reads it. A reader learns of every failure.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn pass_on(mut self, mut writer: ChannelWriter) -> Result<(), UploadError> {
        let (mut waited, mut gained) = (Duration::ZERO, 0);
        loop {
            let next = match self.ahead.pop_front() {
                Some(chunk) => Ok(Some(chunk)),
                None if self.ended => Ok(None),
                None => {
                    let begun = Instant::now();
                    let next = self.next(waited).await;
                    // Only time spent waiting for the sender counts, not that of a busy decoder.
                    waited += begun.elapsed();
                    next
                }
            };
            match next {
                Ok(Some(chunk)) => {
                    gained += chunk.len() as u64;
                    if gained >= PACE_BYTES {
                        (waited, gained) = (Duration::ZERO, 0);
                    }
                    if writer.send(chunk).await.is_err() {
                        // Who stopped reading has the answer already.
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let _ = writer.finish().await;
                    return Ok(());
                }
                Err(error) => {
                    let kind = match &error {
                        UploadError::Stalled(_) => io::ErrorKind::TimedOut,
                        UploadError::Broken(cause) => cause.kind(),
                    };
                    let _ = writer.fail(kind.into()).await;
                    return Err(error);
                }
            }
        }
    }

    /// The next chunk, none at the end; `waited` is time that is gone from the patience already.
    async fn next(&mut self, waited: Duration) -> Result<Option<Bytes>, UploadError> {
        let next = match self.patience {
            Some(patience) => timeout(patience.saturating_sub(waited), self.body.next())
                .await
                .map_err(|_| UploadError::Stalled(patience))?,
            None => self.body.next().await,
        };
        self.ended = next.is_none();
        next.transpose().map_err(UploadError::Broken)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use std::io::Read;

    use super::*;
    use crate::formats::input::channel_reader::channel;

    const SHORT: Duration = Duration::from_millis(50);

    fn body(chunks: Vec<Bytes>) -> BoxStream<'static, io::Result<Bytes>> {
        stream::iter(chunks.into_iter().map(Ok)).boxed()
    }

    /// Passes on what is left and returns what the reader got.
    async fn received(upload: Upload) -> (Result<(), UploadError>, io::Result<Vec<u8>>) {
        let (writer, mut reader) = channel(2);
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        let passed = upload.pass_on(writer).await;
        (passed, read.await.unwrap())
    }

    #[tokio::test]
    async fn a_body_arrives_whole_in_order_whether_it_is_ahead_or_not() {
        for chunk in [1, 1000, AHEAD_BYTES - 1, AHEAD_BYTES] {
            let chunks: Vec<Bytes> = (0..5_u8).map(|n| vec![n; chunk].into()).collect();
            let wanted = chunks.concat();
            let mut upload = Upload::new(body(chunks), Some(SHORT));
            upload.read_ahead().await.unwrap();
            let ahead: usize = upload.ahead.iter().map(Bytes::len).sum();
            assert!(ahead < AHEAD_BYTES + chunk, "{ahead}");
            let (passed, read) = received(upload).await;
            passed.unwrap();
            assert!(read.unwrap() == wanted);
        }
    }

    #[tokio::test]
    async fn silence_ends_an_upload_before_and_after_its_decoder() {
        let silent = || body(vec![Bytes::from_static(b"x")]).chain(stream::pending()).boxed();
        let ahead = Upload::new(silent(), Some(SHORT)).read_ahead().await;
        assert!(matches!(ahead, Err(UploadError::Stalled(SHORT))), "{ahead:?}");
        let (passed, read) = received(Upload::new(silent(), Some(SHORT))).await;
        assert!(matches!(passed, Err(UploadError::Stalled(SHORT))), "{passed:?}");
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_trickle_is_no_pace_though_it_is_never_silent() {
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(SHORT / 10).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let (passed, _) = received(Upload::new(trickle.take(100).boxed(), Some(SHORT))).await;
        assert!(matches!(passed, Err(UploadError::Stalled(SHORT))), "{passed:?}");
    }

    #[tokio::test]
    async fn a_slow_decoder_is_not_the_senders_fault() {
        let chunks: Vec<Bytes> = (0..8).map(|_| vec![0; 1 << 20].into()).collect();
        let (writer, mut reader) = channel(1);
        let upload = Upload::new(body(chunks), Some(SHORT));
        let passing = tokio::spawn(upload.pass_on(writer));
        tokio::time::sleep(SHORT * 2).await;
        let read = tokio::task::spawn_blocking(move || io::copy(&mut reader, &mut io::sink()));
        assert_eq!(read.await.unwrap().unwrap(), 8 << 20);
        passing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_broken_body_is_told_to_both_ends() {
        let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(io::ErrorKind::ConnectionReset.into())]).boxed();
        let (passed, read) = received(Upload::new(broken, None)).await;
        assert!(matches!(passed, Err(UploadError::Broken(_))));
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
