//! Messages of an Arrow stream, bounded before they are decoded.
//!
//! A message states the sizes of its metadata, its body and, where that is compressed, of the buffers in it. The decoder
//! reserves what they say, so a small input could claim gigabytes. Here sizes are checked against bounds, and memory
//! grows only with bytes that have come.

use std::collections::HashMap;
use std::io::{BufReader, Read};

use arrow::buffer::Buffer;
use arrow::ipc::{Message, RecordBatch, root_as_message};

use crate::formats::input::error::DecodeError;
use crate::formats::input::format::{ARROW_CONTINUATION, ARROW_FILE_MAGIC, Peek};

/// What an error is about.
pub(super) const WHAT: &str = "arrow stream";

const BUFFER_BYTES: usize = 256 << 10;

/// Largest metadata of a message, in bytes. That of 57 columns takes some 10 KiB.
const MAX_METADATA_BYTES: u64 = 16 << 20;

/// Largest body of a message, after decompression too, and of all dictionaries together, in bytes.
const MAX_MESSAGE_BYTES: u64 = 256 << 20;

/// Most rows of a record batch: a column of small integers has many in few bytes.
const MAX_BATCH_ROWS: u64 = 1 << 20;

/// An Arrow file starts with its mark and padding up to a multiple of eight bytes, 64 with some writers.
const FILE_HEAD_BYTES: usize = 8;

/// Length of the index, then the mark.
const FILE_TAIL_BYTES: usize = 4 + ARROW_FILE_MAGIC.len();

/// Reads messages up to the end mark, and checks what follows it.
pub(super) struct Frames<R> {
    reader: BufReader<Peek<R>>,
    is_file: bool,
    started: bool,
    ended: bool,
    /// Bytes of messages so far, after decompression.
    total_bytes: u64,
    max_total_bytes: u64,
    /// Bytes of each dictionary that the decoder holds.
    dictionaries: HashMap<i64, u64>,
    dictionary_bytes: u64,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(input: R, max_total_bytes: u64) -> Result<Self, DecodeError> {
        let input = Peek::new(input)?;
        if input.head().is_empty() {
            return Err(DecodeError::Empty);
        }
        let is_file = input.head().starts_with(ARROW_FILE_MAGIC);
        let mut frames = Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, input),
            is_file,
            started: false,
            ended: false,
            total_bytes: 0,
            max_total_bytes,
            dictionaries: HashMap::new(),
            dictionary_bytes: 0,
        };
        if is_file {
            frames.fill(&mut Vec::new(), FILE_HEAD_BYTES as u64)?;
        }
        Ok(frames)
    }

    /// The next message as it is in the stream, or the end mark, or none after that.
    pub(super) fn next(&mut self) -> Result<Option<Buffer>, DecodeError> {
        if self.ended {
            return Ok(None);
        }
        let mut frame = Vec::new();
        let mut length = self.length(&mut frame)?;
        while self.is_file && !self.started && length == 0 {
            frame.clear();
            length = self.length(&mut frame)?;
        }
        self.started = true;
        // Before Arrow 0.15 messages started with their length.
        if length == u32::from_le_bytes(ARROW_CONTINUATION) {
            length = self.length(&mut frame)?;
        }
        if length == 0 {
            self.ended = true;
            self.check_tail()?;
            return Ok(Some(frame.into()));
        }
        let head = frame.len();
        if u64::from(length) > MAX_METADATA_BYTES {
            return Err(corrupt("a message of another format, or far too long"));
        }
        self.fill(&mut frame, length.into())?;
        let body_at = frame.len();
        let metadata = frame[head..].to_vec();
        let message = root_as_message(&metadata).map_err(|error| corrupt(error.to_string()))?;
        let body_bytes = u64::try_from(message.bodyLength()).map_err(corrupt)?;
        if body_bytes > MAX_MESSAGE_BYTES {
            return Err(too_large());
        }
        self.fill(&mut frame, body_bytes)?;
        self.check(&message, &frame[body_at..])?;
        Ok(Some(frame.into()))
    }

    fn length(&mut self, frame: &mut Vec<u8>) -> Result<u32, DecodeError> {
        let at = frame.len();
        self.fill(frame, 4)?;
        frame[at..].try_into().map(u32::from_le_bytes).map_err(corrupt)
    }

    /// Appends the next bytes.
    fn fill(&mut self, to: &mut Vec<u8>, bytes: u64) -> Result<(), DecodeError> {
        let read = self.reader.by_ref().take(bytes).read_to_end(to)?;
        if read as u64 == bytes { Ok(()) } else { Err(corrupt("it stops before its end mark")) }
    }

    /// Counts what the decoder will hold.
    fn check(&mut self, message: &Message<'_>, body: &[u8]) -> Result<(), DecodeError> {
        let dictionary = message.header_as_dictionary_batch();
        let rows = message.header_as_record_batch().or_else(|| dictionary.and_then(|dictionary| dictionary.data()));
        let Some(rows) = rows else { return Ok(()) };
        let bytes = inflated_bytes(&rows, body)?;
        if bytes > MAX_MESSAGE_BYTES || u64::try_from(rows.length()).map_err(corrupt)? > MAX_BATCH_ROWS {
            return Err(too_large());
        }
        self.total_bytes += bytes;
        if self.total_bytes > self.max_total_bytes {
            return Err(DecodeError::TooLarge { limit_bytes: self.max_total_bytes });
        }
        if let Some(dictionary) = dictionary {
            let held = self.dictionaries.entry(dictionary.id()).or_default();
            let kept = if dictionary.isDelta() { *held } else { 0 };
            self.dictionary_bytes = self.dictionary_bytes - *held + kept + bytes;
            *held = kept + bytes;
            if self.dictionary_bytes > MAX_MESSAGE_BYTES {
                return Err(too_large());
            }
        }
        Ok(())
    }

    /// Nothing follows a stream's end; of a file there follow its index and its mark.
    fn check_tail(&mut self) -> Result<(), DecodeError> {
        let mut tail = Vec::new();
        loop {
            let read = self.reader.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut tail)?;
            if !self.is_file {
                return if read == 0 { Ok(()) } else { Err(corrupt("something follows its end mark")) };
            }
            if read == 0 {
                let whole = tail.len() >= FILE_TAIL_BYTES && tail.ends_with(ARROW_FILE_MAGIC);
                return if whole { Ok(()) } else { Err(corrupt("the file stops before its end")) };
            }
            tail.drain(..tail.len().saturating_sub(FILE_TAIL_BYTES));
        }
    }
}

fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DecodeError {
    DecodeError::Corrupt { what: WHAT, source: error.into() }
}

fn too_large() -> DecodeError {
    DecodeError::BatchTooLarge { limit_rows: MAX_BATCH_ROWS, limit_bytes: MAX_MESSAGE_BYTES }
}

/// Bytes of all buffers of a batch, decompressed. Buffers may overlap, and misaligned ones are copied, so the size
/// of the body is no bound.
fn inflated_bytes(rows: &RecordBatch<'_>, body: &[u8]) -> Result<u64, DecodeError> {
    let is_compressed = rows.compression().is_some();
    let mut sum = 0_u64;
    for buffer in rows.buffers().into_iter().flatten() {
        let stored = u64::try_from(buffer.length()).map_err(corrupt)?;
        let bytes = if is_compressed && stored > 0 { inflated_size(body, buffer.offset())? } else { None };
        sum = sum.saturating_add(bytes.unwrap_or(stored));
    }
    Ok(sum)
}

/// Size that a compressed buffer states; none where it is stored as it is.
fn inflated_size(body: &[u8], offset: i64) -> Result<Option<u64>, DecodeError> {
    const AS_IT_IS: i64 = -1;
    let prefix = usize::try_from(offset).ok().and_then(|offset| body.get(offset..)).and_then(<[u8]>::first_chunk);
    match prefix.map(|prefix| i64::from_le_bytes(*prefix)) {
        None => Err(corrupt("a buffer lies outside its message")),
        Some(AS_IT_IS) => Ok(None),
        Some(size) => u64::try_from(size).map(Some).map_err(corrupt),
    }
}
