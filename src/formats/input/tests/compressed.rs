use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::formats::input::decompress::{ContentEncoding, Decompress, MAX_RATIO, RATIO_FREE_BYTES};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn inflate(input: &[u8], encoding: ContentEncoding, max: u64) -> Result<Vec<u8>, DecodeError> {
    let mut all = Vec::new();
    Decompress::new(input, encoding, max)?.read_to_end(&mut all)?;
    Ok(all)
}

fn decode_compressed(input: &[u8]) -> Decoded {
    let input = Decompress::new(input, ContentEncoding::Detect, DEFAULT_MAX_INFLATED_BYTES)?;
    collected(|mut sink| decode_ndjson(input, &options(), &mut sink))
}

const TEXT: &[u8] = b"{\"timeStamp\":1}\n{\"timeStamp\":2}\n";

#[test]
fn members_and_frames_are_joined() {
    let records = (0..1000).map(|i| json!({"timeStamp": i, "user": format!("user{i}")})).collect::<Vec<_>>();
    let text = lines(&records);
    for compress in [gzip, zstd, |bytes: &[u8]| bytes.to_vec()] {
        let parts: Vec<u8> = text.as_bytes().chunks(777).flat_map(compress).collect();
        let (_, batch) = decode_compressed(&parts).unwrap();
        assert_eq!(batch.num_rows(), 1000);
        assert_eq!(cell(&batch, "user", 999), json!("user999"));
    }
}

#[test]
fn cut_off_streams_are_corrupt_at_every_length() {
    for (what, whole) in [("gzip stream", gzip(TEXT)), ("zstd stream", zstd(TEXT))] {
        for len in 4..whole.len() {
            match decode_compressed(&whole[..len]) {
                Err(DecodeError::Corrupt { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{what} cut at {len}: {other:?}"),
            }
        }
        assert_eq!(decode_compressed(&whole).unwrap().0.accepted, 2);
    }
}

#[test]
fn what_follows_a_stream_is_corrupt() {
    for whole in [gzip(TEXT), zstd(TEXT)] {
        for tail in [&b"\0"[..], b"garbage!", b"\x1f", b"\x1f\x8b\x08"] {
            let decoded = decode_compressed(&[&whole, tail].concat());
            assert!(matches!(decoded, Err(DecodeError::Corrupt { .. })), "{tail:?} {decoded:?}");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    let mut whole = gzip(TEXT);
    let at = whole.len() - 6;
    whole[at] ^= 1;
    assert!(matches!(decode_compressed(&whole), Err(DecodeError::Corrupt { .. })));
}

#[test]
fn a_wrong_encoding_is_corrupt_and_an_empty_input_is_empty() {
    let named = |encoding| inflate(TEXT, encoding, u64::MAX);
    assert!(matches!(named(ContentEncoding::Gzip), Err(DecodeError::Corrupt { what: "gzip stream", .. })));
    assert!(matches!(named(ContentEncoding::Zstd), Err(DecodeError::Corrupt { what: "zstd stream", .. })));
    assert_eq!(named(ContentEncoding::Identity).unwrap(), TEXT);
    for encoding in [ContentEncoding::Gzip, ContentEncoding::Zstd, ContentEncoding::Detect] {
        assert_eq!(inflate(b"", encoding, 0).unwrap(), b"");
    }
    assert!(matches!(decode_compressed(&gzip(b"")), Err(DecodeError::Empty)));
}

#[test]
fn encodings_by_name_and_by_content() {
    assert_eq!("GZip".parse(), Ok(ContentEncoding::Gzip));
    assert_eq!("x-gzip".parse(), Ok(ContentEncoding::Gzip));
    assert_eq!(" zstd".parse(), Ok(ContentEncoding::Zstd));
    assert_eq!("identity".parse(), Ok(ContentEncoding::Identity));
    assert!("br".parse::<ContentEncoding>().is_err());
    assert_eq!(ContentEncoding::of_content(&[0x5F, 0x2A, 0x4D, 0x18]), ContentEncoding::Zstd);
    assert_eq!(ContentEncoding::of_content(b"{\"a\""), ContentEncoding::Identity);
    assert_eq!(ContentEncoding::of_content(&[0x1F]), ContentEncoding::Identity);
}

#[test]
fn the_size_limit_is_exact_for_every_encoding() {
    let limit = TEXT.len() as u64;
    for input in [TEXT.to_vec(), gzip(TEXT), zstd(TEXT)] {
        assert_eq!(inflate(&input, ContentEncoding::Detect, limit).unwrap(), TEXT);
        let over = inflate(&input, ContentEncoding::Detect, limit - 1);
        assert!(matches!(over, Err(DecodeError::TooLarge { limit_bytes }) if limit_bytes == limit - 1), "{over:?}");
    }
}

#[test]
fn bombs_are_refused_and_repetitive_logs_are_not() {
    let one_member = gzip(&vec![b'\n'; 16 << 20]);
    for bomb in [one_member.repeat(8), zstd(&vec![b'\n'; 128 << 20])] {
        let mut input = Decompress::new(&bomb[..], ContentEncoding::Detect, u64::MAX).unwrap();
        let error = DecodeError::from(io::copy(&mut input, &mut io::sink()).unwrap_err());
        assert!(matches!(error, DecodeError::Bomb { limit: MAX_RATIO }), "{error}");
        assert!(input.bytes_out() < RATIO_FREE_BYTES + (1 << 20));
    }
    let padding = "x".repeat(1000);
    let times = 1_596_840_000_000_i64..1_596_840_080_000;
    let log = lines(&times.map(|time| json!({"timeStamp": time, "user": padding})).collect::<Vec<_>>());
    assert!(log.len() as u64 > RATIO_FREE_BYTES);
    for input in [gzip(log.as_bytes()), zstd(log.as_bytes())] {
        assert_eq!(inflate(&input, ContentEncoding::Detect, u64::MAX).unwrap().len(), log.len());
    }
}

#[test]
fn a_zstd_window_beyond_eight_mebibytes_is_refused() {
    let encode = |window_log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(decode_compressed(&encode(23)).unwrap().0.accepted, 2);
    assert!(matches!(decode_compressed(&encode(24)), Err(DecodeError::Corrupt { what: "zstd stream", .. })));
}

/// Bytes, then an error.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            n => Ok(n),
        }
    }
}

#[test]
fn an_error_of_the_reader_is_not_taken_for_corruption() {
    for whole in [gzip(TEXT), zstd(TEXT), TEXT.to_vec()] {
        for len in [0, 2, 5, 14, whole.len() - 1, whole.len()] {
            let failed = Decompress::new(Failing(&whole[..len]), ContentEncoding::Detect, u64::MAX)
                .and_then(|mut input| io::copy(&mut input, &mut io::sink()));
            match DecodeError::from(failed.unwrap_err()) {
                DecodeError::Read(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
                other => panic!("at {len}: {other:?}"),
            }
        }
    }
}
