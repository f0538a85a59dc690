//! An input cut into blocks of whole lines, which can be read apart from each other.

use std::io::{ErrorKind, Read};

use memchr::{memchr, memchr_iter, memrchr};

use super::error::DecodeError;

/// Bytes of a block; fewer at the end of an input, more where one line is longer. Its cells and its text together stay
/// in the cache of a core.
const BLOCK_BYTES: usize = 2 << 20;

/// First size of a buffer: most inputs are small.
const FIRST_BYTES: usize = 64 << 10;

/// Longest end of a line, CR LF.
const MAX_END_BYTES: usize = 2;

/// Lines of an input, next to each other.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The text, and behind it what is left of an earlier one: buffers are used again and not cleared.
    buffer: Vec<u8>,
    len: usize,
}

impl Block {
    /// The lines, without LF and without a CR before it.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let text = &self.buffer[..self.len];
        let mut from = 0;
        // The text behind the last LF is a line, unless there is none.
        let behind = Some(text.len()).filter(|end| *end > 0 && text[end - 1] != b'\n');
        memchr_iter(b'\n', text).chain(behind).map(move |end| {
            let line = &text[std::mem::replace(&mut from, end + 1)..end];
            line.strip_suffix(b"\r").unwrap_or(line)
        })
    }

    /// Where the last whole line ends.
    fn last_end(&self) -> Option<usize> {
        memrchr(b'\n', &self.buffer[..self.len]).map(|at| at + 1)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.make_room(self.len + bytes.len());
        self.buffer[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn make_room(&mut self, len: usize) {
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
    }

    /// Takes in what one call gives; false at the end of the input.
    fn read(&mut self, input: &mut impl Read) -> std::io::Result<bool> {
        if self.len == self.buffer.len() {
            let more = if self.len < BLOCK_BYTES { (2 * self.len).min(BLOCK_BYTES) } else { 2 * self.len };
            self.make_room(more.max(FIRST_BYTES));
        }
        loop {
            match input.read(&mut self.buffer[self.len..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.len += read;
                    return Ok(read > 0);
                }
            }
        }
    }
}

/// Cuts behind a LF. A line beyond the limit ends its block, and little more of it is read than the limit.
#[derive(Debug)]
pub(super) struct LineBlocks<R> {
    input: R,
    max_line_bytes: usize,
    /// What was read behind the last cut.
    rest: Vec<u8>,
    /// The input has ended, or cannot be read on.
    ended: Option<Result<(), DecodeError>>,
}

impl<R: Read> LineBlocks<R> {
    pub(super) fn new(input: R, max_line_bytes: usize) -> Self {
        Self { input, max_line_bytes, rest: Vec::new(), ended: None }
    }

    /// Puts the next lines into a block, in place of what it holds; false at the end. Whole lines that stand before a
    /// failure are given before it.
    pub(super) fn next(&mut self, block: &mut Block) -> Result<bool, DecodeError> {
        block.len = 0;
        if block.buffer.len() > BLOCK_BYTES {
            block.buffer = Vec::new();
        }
        block.take(&self.rest);
        self.rest.clear();
        let mut whole_line = false;
        let too_long = self.max_line_bytes.saturating_add(MAX_END_BYTES);
        while self.ended.is_none() && (block.len < BLOCK_BYTES || !(whole_line || block.len > too_long)) {
            let before = block.len;
            match block.read(&mut self.input) {
                Ok(true) => whole_line = whole_line || memchr(b'\n', &block.buffer[before..block.len]).is_some(),
                Ok(false) => self.ended = Some(Ok(())),
                Err(error) => self.ended = Some(Err(error.into())),
            }
        }
        let end = match (&self.ended, block.last_end()) {
            // Of the last line there is no more than this.
            (Some(Ok(())), _) => block.len,
            (Some(Err(_)), end) => end.unwrap_or(0),
            (None, end) => end.unwrap_or(block.len),
        };
        if end > 0 {
            if self.ended.is_none() {
                self.rest.extend_from_slice(&block.buffer[end..block.len]);
            }
            block.len = end;
            return Ok(true);
        }
        match self.ended.replace(Ok(())) {
            Some(Err(error)) => Err(error),
            _ => Ok(false),
        }
    }

    /// Whether no block follows.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.ended, Some(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes some at a time, then an error if there is one.
    struct Slow<'b> {
        bytes: &'b [u8],
        step: usize,
        error: Option<io::Error>,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.bytes.is_empty() {
                return self.error.take().map_or(Ok(0), Err);
            }
            let n = self.step.min(buf.len()).min(self.bytes.len());
            buf[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    fn read_all(input: impl Read, max_line_bytes: usize) -> (Vec<Vec<u8>>, Vec<usize>, Option<DecodeError>) {
        let mut blocks = LineBlocks::new(input, max_line_bytes);
        let (mut lines, mut sizes) = (Vec::new(), Vec::new());
        let mut block = Block::default();
        loop {
            match blocks.next(&mut block) {
                Ok(true) => {
                    lines.extend(block.lines().map(<[u8]>::to_vec));
                    sizes.push(block.len);
                }
                Ok(false) => return (lines, sizes, None),
                Err(error) => return (lines, sizes, Some(error)),
            }
        }
    }

    #[test]
    fn blocks_end_with_lines_and_are_of_one_size() {
        let text = b"0123456\n".repeat(BLOCK_BYTES / 4);
        for step in [1 << 20, 100_003] {
            let (lines, sizes, error) = read_all(Slow { bytes: &text, step, error: None }, 100);
            assert!(error.is_none());
            assert_eq!(lines.len(), BLOCK_BYTES / 4);
            assert!(lines.iter().all(|line| line == b"0123456"));
            assert_eq!(sizes, [BLOCK_BYTES; 2]);
        }
    }

    #[test]
    fn a_line_may_be_longer_than_a_block_but_not_than_the_limit() {
        let long = [b"a\n".to_vec(), vec![b'b'; BLOCK_BYTES + 7], b"\nc".to_vec()].concat();
        let (lines, sizes, _) = read_all(&long[..], BLOCK_BYTES + 7);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [1, BLOCK_BYTES + 7, 1]);
        assert_eq!(sizes.iter().sum::<usize>(), long.len());
        let endless = [b"a\n".to_vec(), vec![b'b'; 8 * BLOCK_BYTES]].concat();
        let mut input = &endless[..];
        let mut blocks = LineBlocks::new(&mut input, 10);
        let mut block = Block::default();
        assert!(blocks.next(&mut block).unwrap());
        assert_eq!(block.lines().collect::<Vec<_>>(), [b"a"]);
        assert!(blocks.next(&mut block).unwrap());
        assert!(block.lines().all(|line| line.len() > 10));
        drop(blocks);
        assert!(input.len() > 5 * BLOCK_BYTES, "most of it is not read");
    }

    #[test]
    fn whole_lines_before_a_failure_are_given() {
        let error = Some(ErrorKind::ConnectionReset.into());
        let (lines, _, error) = read_all(Slow { bytes: b"a\nb\nc", step: 2, error }, 10);
        assert_eq!(lines, [b"a", b"b"]);
        assert!(matches!(error, Some(DecodeError::Read(_))), "{error:?}");
        let error = Some(ErrorKind::ConnectionReset.into());
        let (lines, _, error) = read_all(Slow { bytes: b"", step: 2, error }, 10);
        assert!(lines.is_empty() && error.is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lines_are_those_between_line_feeds(text in "[ab\r\n]{0,40}", step in 1_usize..9) {
            let (lines, _, error) = read_all(Slow { bytes: text.as_bytes(), step, error: None }, 100);
            prop_assert!(error.is_none());
            let expected: Vec<&[u8]> = text
                .split_terminator('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line).as_bytes())
                .collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
