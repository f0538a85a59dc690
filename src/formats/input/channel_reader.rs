//! From an async body to a [`Read`] on a CPU thread, hashed on the way.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::error::DecodeError;

const COPY_BYTES: usize = 256 << 10;

/// Bytes that are passed on together: waking the reader for each piece of a network costs more than reading it.
const GROUP_BYTES: usize = 256 << 10;

enum Chunk {
    Data(Vec<Bytes>),
    End,
    Failed(io::Error),
}

/// The reader has been dropped, so nobody wants the rest of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the body has gone away")]
pub struct ReaderGone;

/// The async end. Dropping it without [`ChannelWriter::finish`] makes the reader fail: a request
/// that is cancelled must not look like a short but whole body.
#[derive(Debug)]
pub struct ChannelWriter {
    chunks: mpsc::Sender<Chunk>,
    group: Vec<Bytes>,
    group_bytes: usize,
}

impl ChannelWriter {
    /// Passes bytes on, together with others before and after them, waiting while the channel is full.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub async fn send(&mut self, data: Bytes) -> Result<(), ReaderGone> {
        self.group_bytes += data.len();
        self.group.push(data);
        if self.group_bytes >= GROUP_BYTES { self.pass_on().await } else { Ok(()) }
    }

    /// The body is whole.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub async fn finish(mut self) -> Result<(), ReaderGone> {
        self.pass_on().await?;
        self.put(Chunk::End).await
    }

    /// The body broke off; the reader fails with this error.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub async fn fail(mut self, error: io::Error) -> Result<(), ReaderGone> {
        self.pass_on().await?;
        self.put(Chunk::Failed(error)).await
    }

    async fn pass_on(&mut self) -> Result<(), ReaderGone> {
        self.group_bytes = 0;
        let group = std::mem::take(&mut self.group);
        self.put(Chunk::Data(group)).await
    }

    async fn put(&self, chunk: Chunk) -> Result<(), ReaderGone> {
        self.chunks.send(chunk).await.map_err(|_| ReaderGone)
    }
}

/// The blocking end. It must not be read inside an async task.
pub struct ChannelReader {
    chunks: mpsc::Receiver<Chunk>,
    /// What is read now.
    rest: Bytes,
    /// What comes behind it.
    group: std::vec::IntoIter<Bytes>,
    ended: bool,
    hash: Option<Sha256>,
    bytes: u64,
}

impl fmt::Debug for ChannelReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelReader").field("bytes", &self.bytes).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Identity of a body as it came, before any decompression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDigest {
    /// SHA-256; none of a body that is [not hashed](ChannelReader::without_hash).
    pub sha256: Option<[u8; 32]>,
    /// Length in bytes.
    pub bytes: u64,
}

/// A channel that holds at most `groups` groups of 256 KiB, each larger by one chunk of its writer's at most.
#[must_use]
pub fn channel(groups: usize) -> (ChannelWriter, ChannelReader) {
    let (sender, receiver) = mpsc::channel(groups.max(1));
    let reader = ChannelReader {
        chunks: receiver,
        rest: Bytes::new(),
        group: Vec::new().into_iter(),
        ended: false,
        hash: Some(Sha256::new()),
        bytes: 0,
    };
    (ChannelWriter { chunks: sender, group: Vec::new(), group_bytes: 0 }, reader)
}

impl ChannelReader {
    /// Does not hash the body, which takes a fifth of the time of decoding it. To be called before the first read.
    #[must_use]
    pub fn without_hash(mut self) -> Self {
        self.hash = None;
        self
    }

    /// Reads what is left and returns the digest of the whole body.
    ///
    /// # Errors
    /// The body's own, or [`io::ErrorKind::UnexpectedEof`] when its writer went away.
    pub fn finish(mut self) -> io::Result<BodyDigest> {
        io::copy(&mut self, &mut io::sink())?;
        let sha256 = self.hash.map(|hash| hash.finalize().into());
        Ok(BodyDigest { sha256, bytes: self.bytes })
    }
}

impl Read for ChannelReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.rest.is_empty() && !self.ended {
            if let Some(data) = self.group.next() {
                if let Some(hash) = &mut self.hash {
                    hash.update(&data);
                }
                self.bytes += data.len() as u64;
                self.rest = data;
                continue;
            }
            match self.chunks.blocking_recv() {
                Some(Chunk::Data(group)) => self.group = group.into_iter(),
                Some(Chunk::End) => self.ended = true,
                Some(Chunk::Failed(error)) => return Err(error),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body broke off")),
            }
        }
        let n = self.rest.len().min(buf.len());
        self.rest.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// Copies an input to an unnamed temporary file in `dir`, for formats that need to seek. The file
/// is rewound, and its space is freed when the last handle is dropped, also by a crash.
///
/// # Errors
/// [`DecodeError::TooLarge`] beyond `max_bytes`; those of the input; [`DecodeError::Spool`] when
/// the file cannot be written.
pub fn spool<R: Read>(mut input: R, dir: &Path, max_bytes: u64) -> Result<File, DecodeError> {
    let mut file = tempfile::tempfile_in(dir).map_err(DecodeError::Spool)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut bytes = 0_u64;
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        bytes += n as u64;
        if bytes > max_bytes {
            return Err(DecodeError::TooLarge { limit_bytes: max_bytes });
        }
        file.write_all(&buffer[..n]).map_err(DecodeError::Spool)?;
    }
    file.rewind().map_err(DecodeError::Spool)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hex::hex;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn run<T>(write: impl Future<Output = T>, read: impl FnOnce() + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let reader = std::thread::spawn(read);
        let written = runtime.block_on(write);
        reader.join().unwrap();
        written
    }

    #[test]
    fn bytes_arrive_in_order_and_are_hashed() {
        let (mut writer, mut reader) = channel(1);
        let write = async move {
            for part in ["a", "", "bc"] {
                writer.send(Bytes::from_static(part.as_bytes())).await.unwrap();
            }
            writer.finish().await.unwrap();
        };
        run(write, move || {
            let mut first = [0; 2];
            reader.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"ab");
            let digest = reader.finish().unwrap();
            assert_eq!((digest.sha256.map(|sha256| hex(&sha256)), digest.bytes), (Some(ABC.to_owned()), 3));
        });
    }

    #[test]
    fn a_body_that_breaks_off_is_no_whole_body() {
        let (mut writer, mut reader) = channel(4);
        let write = async move {
            for _ in 0..3 {
                writer.send(vec![b'a'; GROUP_BYTES / 2].into()).await.unwrap();
            }
            drop(writer);
        };
        run(write, move || {
            let mut all = Vec::new();
            assert_eq!(reader.read_to_end(&mut all).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert!(all == vec![b'a'; GROUP_BYTES]);
        });

        let (mut writer, mut reader) = channel(4);
        let write = async move {
            writer.send(Bytes::from_static(b"abc")).await.unwrap();
            writer.fail(io::ErrorKind::ConnectionReset.into()).await.unwrap();
        };
        run(write, move || {
            let mut all = Vec::new();
            assert_eq!(reader.read_to_end(&mut all).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            assert_eq!(all, b"abc");
        });
    }

    #[test]
    fn a_writer_learns_that_the_reader_left() {
        let (mut writer, reader) = channel(1);
        drop(reader);
        let write = async move { writer.send(vec![0; GROUP_BYTES].into()).await };
        assert_eq!(run(write, || {}), Err(ReaderGone));
    }

    #[test]
    fn spooled_files_are_rewound_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::new();
        spool(&b"abc"[..], dir.path(), 3).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        let over = spool(&b"abcd"[..], dir.path(), 3);
        assert!(matches!(over, Err(DecodeError::TooLarge { limit_bytes: 3 })));
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is left behind");
    }
}
