//! Files and stdin as streams of chunks, read on a thread of their own.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::progress::Progress;
use crate::cli::CommandError;
use crate::cli::stream::received;
use crate::domain::hex::hex;

/// Size of a chunk, in bytes.
const CHUNK_BYTES: usize = 512 * 1024;

/// Chunks between the disk and the server: enough to overlap, few enough to bound memory.
const CHUNKS_AHEAD: usize = 4;

/// Whether an argument means stdin.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// How messages name a file.
pub(super) fn display_name(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { crate::cli::output::printable(&file.display().to_string()) }
}

/// One input.
#[derive(Debug)]
pub(super) enum Source {
    /// A regular file, which can be read more than once.
    File { file: File, path: PathBuf, metadata: Metadata },
    /// A pipe, a device or stdin.
    Stream(Input),
}

#[derive(Debug)]
pub(super) enum Input {
    Stdin,
    Other(File),
}

impl Source {
    /// Opens an input.
    ///
    /// # Errors
    /// When there is no such file, it may not be read, or it is a folder.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        if is_stdin(path) {
            return Ok(Self::Stream(Input::Stdin));
        }
        let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| CommandError::io("cannot open the file", error))?;
        if metadata.is_dir() {
            let hint = "name the files in it, for example with a pattern such as FOLDER/*.ndjson";
            return Err(CommandError::failed_text("this is a folder").with_hint(hint));
        }
        if metadata.is_file() {
            Ok(Self::File { file, path: path.to_owned(), metadata })
        } else {
            Ok(Self::Stream(Input::Other(file)))
        }
    }

    /// Bytes, where they are known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::File { metadata, .. } => Some(metadata.len()),
            Self::Stream(_) => None,
        }
    }

    /// The key under which this content is stored once: its hash. A stream has none, because it can
    /// be read only once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn idempotency_key(&self, progress: &mut Progress) -> Result<Option<String>, CommandError> {
        let Self::File { file, .. } = self else { return Ok(None) };
        progress.begin("hashing");
        let (mut file, progress) = (file.try_clone().map_err(cannot_read)?, progress.clone());
        let hashed = tokio::task::spawn_blocking(move || sha256(&mut file, &progress)).await;
        let digest = hashed.map_err(CommandError::failed)?.map_err(cannot_read)?;
        Ok(Some(format!("file:{digest}")))
    }

    /// The content in chunks. A file that changes while it is read breaks off with an error, because
    /// its key would name other content.
    ///
    /// # Errors
    /// When reading cannot begin.
    pub(super) fn into_stream(
        self,
        progress: &mut Progress,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, CommandError> {
        progress.begin("");
        let progress = progress.clone();
        match self {
            Self::File { mut file, path, metadata } => {
                file.rewind().map_err(cannot_read)?;
                read_in_thread(file, progress, move |file| unchanged(file, &path, &metadata))
            }
            Self::Stream(Input::Stdin) => read_in_thread(io::stdin(), progress, |_| Ok(())),
            Self::Stream(Input::Other(file)) => read_in_thread(file, progress, |_| Ok(())),
        }
        .map(received)
        .map_err(cannot_read)
    }
}

fn cannot_read(error: io::Error) -> CommandError {
    CommandError::io("cannot read the file", error)
}

fn sha256(file: &mut File, progress: &Progress) -> io::Result<String> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&chunk[..n]);
                progress.bytes(n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hex(&hasher.finalize()))
}

fn unchanged(file: &File, path: &Path, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if now.len() == before.len() && now.modified()? == before.modified()? {
        return Ok(());
    }
    Err(io::Error::other(format!("{} changed while it was read", path.display())))
}

/// Reads on a thread that nobody waits for: a command that is refused early must not wait for the
/// end of stdin.
fn read_in_thread<R: Read + Send + 'static>(
    mut reader: R,
    progress: Progress,
    check: impl FnOnce(&R) -> io::Result<()> + Send + 'static,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let read = move || {
        let mut rows_are_lines = None;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => break,
                Ok(n) => progress.bytes(n),
                Err(error) => return drop(sender.blocking_send(Err(error))),
            }
            if *rows_are_lines.get_or_insert_with(|| is_plain_text(&chunk)) {
                progress.rows(chunk.iter().map(|byte| usize::from(*byte == b'\n')).sum());
            }
            if sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
                // The server has answered already.
                return;
            }
        }
        progress.waiting("storing");
        if let Err(error) = check(&reader) {
            drop(sender.blocking_send(Err(error)));
        }
    };
    std::thread::Builder::new().name("anomalake-read".to_owned()).spawn(read)?;
    Ok(receiver)
}

/// Whether lines can be counted: neither compressed nor Parquet.
fn is_plain_text(head: &[u8]) -> bool {
    let magic: [&[u8]; 3] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"PAR1"];
    !magic.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures::TryStreamExt;
    use indicatif::MultiProgress;

    use super::*;

    async fn read(source: Source) -> io::Result<Vec<u8>> {
        let stream = source.into_stream(&mut Progress::new("x", None, &MultiProgress::new())).unwrap();
        stream
            .try_fold(Vec::new(), async |mut all, chunk| {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
    }

    #[tokio::test]
    async fn a_file_is_hashed_and_then_read_from_its_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content = b"0123456789abcdef".repeat(CHUNK_BYTES / 8);
        std::fs::write(file.path(), &content).unwrap();
        let source = Source::open(file.path()).unwrap();
        let key = source
            .idempotency_key(&mut Progress::new("x", source.size(), &MultiProgress::new()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(key.len(), "file:".len() + 64);
        assert!(read(source).await.unwrap() == content);
        std::fs::write(file.path(), "abc").unwrap();
        let source = Source::open(file.path()).unwrap();
        let key = source.idempotency_key(&mut Progress::new("x", None, &MultiProgress::new())).await.unwrap().unwrap();
        assert_eq!(key, "file:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[tokio::test]
    async fn a_file_that_changes_meanwhile_breaks_off() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one\n").unwrap();
        let source = Source::open(file.path()).unwrap();
        file.write_all(b"two\n").unwrap();
        assert!(read(source).await.unwrap_err().to_string().contains("changed"));
    }

    #[test]
    fn folders_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::open(folder.path()).is_err());
        assert!(Source::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn lines_are_counted_in_plain_text_only() {
        assert!(is_plain_text(b"{\"a\":1}\n"));
        assert!(!is_plain_text(&[0x1f, 0x8b, 8]));
        assert!(!is_plain_text(b"PAR1"));
    }
}
