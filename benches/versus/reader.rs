//! A client that reads into one buffer, as curl does, and throws away: two cores serve both sides, and what the client
//! spends is not the server's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::client::Seen;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A connection with credentials, for one request after the other.
pub struct Reader {
    stream: TcpStream,
    token: String,
    buffer: Vec<u8>,
}

impl Reader {
    pub fn connect(address: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, token: token.to_owned(), buffer: vec![0; BUFFER_BYTES] }
    }

    /// An anomaly's activities by `queryActivities`.
    pub fn query_activities(&mut self, anomaly: i64, coding: &str) -> Seen {
        let body = format!("{{\"incident_id\":{anomaly}}}");
        let head = format!("POST /shnapi/rest/external/api/v1/queryActivities HTTP/1.1\r\naccept-encoding: {coding}");
        self.ask(&format!("{head}\r\ncontent-length: {}", body.len()), &body)
    }

    pub fn get(&mut self, path: &str) -> Seen {
        self.ask(&format!("GET {path} HTTP/1.1"), "")
    }

    /// Asks and reads the answer to its end. Anything but success ends the run.
    fn ask(&mut self, head: &str, body: &str) -> Seen {
        let request = format!("{head}\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n{body}", self.token);
        let begun = Instant::now();
        self.stream.write_all(request.as_bytes()).unwrap();
        let (mut read, mut end) = (0, None);
        while end.is_none() {
            read += self.read(read);
            end = memchr::memmem::find(&self.buffer[..read], b"\r\n\r\n");
        }
        let end = end.unwrap() + 4;
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{}", String::from_utf8_lossy(&self.buffer[..read]));
        let mut body = Body::of(&head);
        let (mut first_row, mut lines) = (None, 0);
        let mut from = end;
        loop {
            let taken = body.take(&self.buffer[from..read], |data| {
                if first_row.is_none() {
                    lines += memchr::memchr_iter(b'\n', data).count();
                    if lines >= 2 {
                        first_row = Some(begun.elapsed());
                    }
                }
            });
            assert_eq!(from + taken, read, "bytes behind the answer");
            if body.is_whole() {
                break;
            }
            (from, read) = (0, self.read(0));
        }
        let whole = begun.elapsed();
        Seen { first_row: first_row.unwrap_or(whole), whole, bytes: body.bytes }
    }

    fn read(&mut self, from: usize) -> usize {
        let read = self.stream.read(&mut self.buffer[from..]).unwrap();
        assert!(read > 0, "the answer broke off");
        read
    }
}

/// The body of an answer, of a known length or in chunks.
struct Body {
    bytes: u64,
    /// Bytes up to the end of the body or chunk.
    left: usize,
    /// What has come of the line before a chunk; none for a body that is not in chunks.
    line: Option<Vec<u8>>,
    /// The last chunk has come, which is empty.
    last: bool,
    ended: bool,
}

impl Body {
    fn of(head: &str) -> Self {
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let left = value("content-length:").map(|length| length.parse().unwrap());
        assert!(left.is_some() || value("transfer-encoding:") == Some("chunked"), "{head}");
        let line = left.is_none().then(Vec::new);
        Self { bytes: 0, left: left.unwrap_or(0), line, last: false, ended: left == Some(0) }
    }

    fn is_whole(&self) -> bool {
        self.ended
    }

    /// Takes in what was read, and tells how much of it belongs to the body.
    fn take(&mut self, mut read: &[u8], mut data: impl FnMut(&[u8])) -> usize {
        let all = read.len();
        while !read.is_empty() && !self.ended {
            if self.left > 0 {
                let (part, rest) = read.split_at(self.left.min(read.len()));
                data(part);
                self.bytes += part.len() as u64;
                self.left -= part.len();
                read = rest;
                self.ended = self.left == 0 && self.line.is_none();
                continue;
            }
            let line = self.line.as_mut().unwrap();
            let end = memchr::memchr(b'\n', read).map_or(read.len(), |at| at + 1);
            line.extend_from_slice(&read[..end]);
            read = &read[end..];
            if !line.ends_with(b"\n") {
                continue;
            }
            let text = std::str::from_utf8(line).unwrap().trim();
            if text.is_empty() {
                // It ends the chunk before, or the body.
                self.ended = self.last;
            } else {
                self.left = usize::from_str_radix(text, 16).unwrap();
                self.last = self.left == 0;
            }
            line.clear();
        }
        all - read.len()
    }
}
