use std::io::{self, Read};

use super::*;

/// Endless bytes that count themselves.
struct Endless<'c>(u8, &'c mut u64);

impl Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(self.0);
        *self.1 += buf.len() as u64;
        Ok(buf.len())
    }
}

#[test]
fn a_line_without_an_end_is_refused_after_little_reading() {
    for byte in [b'a', b' ', b'\r', 0xFF] {
        let mut read = 0;
        let input = b"{\"timeStamp\":1}\n".chain(Endless(byte, &mut read));
        let ended = decode_ndjson(input, &options(), &mut |_| Ok(()));
        assert!(
            matches!(ended, Err(DecodeError::RecordTooLarge { line: 2, limit_bytes: DEFAULT_MAX_RECORD_BYTES })),
            "{ended:?}"
        );
        assert!(read < 4 * DEFAULT_MAX_RECORD_BYTES as u64, "{read}");
    }
}

#[test]
fn a_cell_of_ten_megabytes_is_refused_even_when_skipping() {
    let text = format!("{{\"timeStamp\":1}}\n{{\"timeStamp\":1,\"user\":\"{}\"}}", "a".repeat(10 << 20));
    let ended = decode_with(text, &skipping());
    assert!(matches!(ended, Err(DecodeError::RecordTooLarge { line: 2, .. })));
}

#[test]
fn the_limit_is_exact() {
    let options = DecodeOptions { max_record_bytes: 15, ..options() };
    for end in ["", "\n", "\r\n", "\r"] {
        assert_eq!(decode_with(format!("{{\"timeStamp\":1}}{end}"), &options).unwrap().0.accepted, 1);
        let over = decode_with(format!("{{\"timeStamp\":12}}{end}"), &options);
        assert!(matches!(over, Err(DecodeError::RecordTooLarge { line: 1, limit_bytes: 15 })));
    }
}

#[test]
fn batches_are_bounded_in_rows_and_bytes() {
    let mut sizes = Vec::new();
    let text = "{\"timeStamp\":1}\n".repeat(MAX_BATCH_ROWS * 2 + 1);
    let count = |batch: RecordBatch| {
        sizes.push(batch.num_rows());
        Ok(())
    };
    decode_ndjson(text.as_bytes(), &options(), &mut { count }).unwrap();
    assert_eq!(sizes, [MAX_BATCH_ROWS, MAX_BATCH_ROWS, 1]);

    let record = format!("{{\"timeStamp\":1,\"user\":\"{}\"}}\n", "a".repeat(1 << 19));
    let mut rows = 0;
    decode_ndjson(record.repeat(70).as_bytes(), &options(), &mut |batch: RecordBatch| {
        assert!(batch.num_rows() <= 33);
        rows += batch.num_rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 70);
}
