//! The rows of an answer: to stdout or into a file, as they are or as a table.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::SqlFormat;
use super::progress::Progress;
use super::table::Table;
use crate::api::download::ROWS;
use crate::cli::CommandError;
use crate::cli::client::transport;
use crate::cli::part_file::PartFile;

/// Where rows go.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Stdout,
    File(PathBuf),
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: u64,
    /// As counted here, or by the server.
    pub(super) rows: Option<u64>,
    /// The last line has no end.
    pub(super) open_line: bool,
}

/// A writer of chunks in the format that was asked for.
enum Sink {
    /// As they come.
    Raw,
    /// Decoded, and written as a table page by page.
    Table(Box<(StreamDecoder, Table)>),
}

/// The reader of stdout has seen enough.
struct ReaderGone;

/// Writes the body to its end; an answer that breaks off is an error, and then no file is left.
pub(super) async fn write(
    response: Response<Body>,
    format: SqlFormat,
    target: &Target,
    width: Option<usize>,
    progress: &Progress,
) -> Result<Written, CommandError> {
    let sink = match format {
        SqlFormat::Table => Sink::Table(Box::new((StreamDecoder::new(), Table::new(width)))),
        _ => Sink::Raw,
    };
    match target {
        Target::Stdout => {
            let cannot_write = |error| CommandError::io("cannot write to stdout", error);
            let mut out = Quiet { out: io::stdout(), gone: false };
            copy(response, sink, &mut out, progress, cannot_write).await
        }
        Target::File(file) => {
            let cannot_write = |error| CommandError::io(format_args!("cannot write {}", file.display()), error);
            let mut part = PartFile::create(file).map_err(cannot_write)?;
            let written = copy(response, sink, &mut part, progress, cannot_write).await?;
            part.publish().map_err(cannot_write)?;
            Ok(written)
        }
    }
}

async fn copy(
    response: Response<Body>,
    mut sink: Sink,
    out: &mut impl Output,
    progress: &Progress,
    cannot_write: impl Fn(io::Error) -> CommandError,
) -> Result<Written, CommandError> {
    let mut written = Written { rows: rows_of(response.headers()), ..Written::default() };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            CommandError::from(transport(error)).with_hint("the result is incomplete; the server's log has the cause")
        })?;
        match frame.into_data() {
            Ok(chunk) => {
                written.bytes += chunk.len() as u64;
                written.open_line = matches!(sink, Sink::Raw) && !chunk.ends_with(b"\n");
                progress.bytes(chunk.len() as u64);
                let put = progress.paused(|| sink.put(chunk, out, &mut written))?;
                match put.map_err(&cannot_write)? {
                    Ok(()) => progress.rows(written.rows),
                    Err(ReaderGone) => return Ok(written),
                }
            }
            Err(frame) => written.rows = frame.trailers_ref().and_then(rows_of).or(written.rows),
        }
    }
    let finished = progress.paused(|| sink.finish(out, &mut written))?;
    finished.and_then(|ended| out.flush().map(|()| ended)).map_err(&cannot_write)?.ok();
    Ok(written)
}

fn rows_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(ROWS)?.to_str().ok()?.parse().ok()
}

type Put = io::Result<Result<(), ReaderGone>>;

impl Sink {
    /// Writes one chunk. The outer error is a fault of the answer, the middle one of the writing.
    fn put(&mut self, chunk: Bytes, out: &mut impl Output, written: &mut Written) -> Result<Put, CommandError> {
        let Self::Table(parts) = self else { return Ok(out.put(&chunk)) };
        let (decoder, table) = &mut **parts;
        let mut buffer = Buffer::from(chunk);
        while !buffer.is_empty() {
            let Some(batch) = decoder.decode(&mut buffer).map_err(CommandError::failed)? else { break };
            written.rows = Some(written.rows.unwrap_or(0) + batch.num_rows() as u64);
            for page in table.push(&batch).map_err(CommandError::failed)? {
                match out.put(page.as_bytes()) {
                    Ok(Ok(())) => {}
                    ended => return Ok(ended),
                }
            }
        }
        Ok(Ok(Ok(())))
    }

    fn finish(&mut self, out: &mut impl Output, written: &mut Written) -> Result<Put, CommandError> {
        let Self::Table(parts) = self else { return Ok(Ok(Ok(()))) };
        let (decoder, table) = &mut **parts;
        decoder.finish().map_err(CommandError::failed)?;
        written.rows.get_or_insert(0);
        let page = table.finish(decoder.schema()).map_err(CommandError::failed)?;
        Ok(out.put(page.as_bytes()))
    }
}

/// Somewhere to write to, that may have had enough.
trait Output: Write {
    /// Writes all of it. A blocked reader shall block this command and, through the connection, the query.
    fn put(&mut self, bytes: &[u8]) -> Put {
        self.write_all(bytes).map(Ok)
    }
}

impl Output for PartFile {}

/// Stdout, whose reader may go away.
struct Quiet {
    out: io::Stdout,
    gone: bool,
}

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.out.flush() {
            Err(error) if self.gone || error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

impl Output for Quiet {
    fn put(&mut self, bytes: &[u8]) -> Put {
        match self.out.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(Err(ReaderGone))
            }
            written => written.map(Ok),
        }
    }
}
