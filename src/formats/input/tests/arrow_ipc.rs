use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{Field, Int8Type, Int32Type, Schema};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow::ipc::{CompressionType, MetadataVersion};

use super::*;
use crate::formats::arrow_out::ArrowEncoder;
use crate::formats::testing::{encoded, oracle_batches};

const END_MARK: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn stream_with(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn stream(batch: RecordBatch) -> Vec<u8> {
    stream_with(&[batch], IpcWriteOptions::default())
}

fn file(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn compressed(compression: CompressionType) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap()
}

fn decoded(bytes: &[u8]) -> Decoded {
    decode_stream(bytes, &options())
}

fn decode_stream(bytes: &[u8], options: &DecodeOptions) -> Decoded {
    collected(|mut sink| decode_arrow(bytes, options, &mut sink))
}

fn times(rows: usize) -> (&'static str, ArrayRef) {
    ("timeStamp", Arc::new(Int64Array::from_iter_values((1..).take(rows))))
}

fn is_corrupt(decoded: &Decoded) -> bool {
    matches!(decoded, Err(DecodeError::Corrupt { what: "arrow stream", .. }))
}

#[test]
fn what_we_write_comes_back_as_it_was() {
    let (batches, rows) = oracle_batches();
    let (expected_report, expected) = decode(lines(&rows)).unwrap();
    let bytes = encoded(&mut ArrowEncoder::new(batches[0].schema()).unwrap(), &batches, 10_000);
    let (report, found) = decoded(&bytes).unwrap();
    let wire = |batch: RecordBatch| batch.project(&(0..56).collect::<Vec<_>>()).unwrap();
    assert_eq!(report, expected_report);
    assert_eq!(wire(found), wire(expected));
}

#[test]
fn streams_and_files_of_all_kinds_decode_as_the_same_records_in_ndjson() {
    let records: Vec<Value> = (0..20_000)
        .map(|i| {
            json!({
                "timeStamp": 1_596_840_000_000_i64 + i * 60_000, "activityId": format!("id{i}"),
                "user": if i % 3 == 0 { json!(format!("user{}", i % 50)) } else { Value::Null },
                "asn": if i % 2 == 0 { json!(i) } else { Value::Null }, "city": format!("a city with a long name {i}"),
                "directory": i % 5 == 0, "actionName": format!("action{}", i % 7), "other": i,
            })
        })
        .collect();
    let (expected_report, expected) = decode(lines(&records)).unwrap();
    let texts = |key: &str| records.iter().map(|r| r[key].as_str()).collect::<Vec<_>>();
    let ints = |key: &str| records.iter().map(|r| r[key].as_i64()).collect::<Vec<_>>();
    let batch = batch_of(vec![
        ("directory", Arc::new(records.iter().map(|r| r["directory"].as_bool()).collect::<BooleanArray>())),
        ("user", Arc::new(texts("user").into_iter().collect::<DictionaryArray<Int8Type>>())),
        ("timeStamp", Arc::new(TimestampMillisecondArray::from(ints("timeStamp")).with_timezone("UTC"))),
        ("asn", Arc::new(records.iter().map(|r| r["asn"].as_f64()).collect::<Float64Array>())),
        ("activityId", Arc::new(LargeStringArray::from(texts("activityId")))),
        ("city", Arc::new(StringViewArray::from(texts("city")))),
        ("actionName", Arc::new(texts("actionName").into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("noOfObjects", Arc::new(NullArray::new(records.len()))),
        ("other", Arc::new(Int64Array::from(ints("other")))),
    ]);
    // One batch, larger than ours; and several, with the dictionaries sent again for each.
    let parts: Vec<_> = (0..4).map(|part| batch.slice(part * 5_000, 5_000)).collect();
    let old = IpcWriteOptions::try_new(8, true, MetadataVersion::V4).unwrap();
    let variants = [
        stream_with(std::slice::from_ref(&batch), IpcWriteOptions::default()),
        stream_with(&parts, IpcWriteOptions::default()),
        stream_with(&parts, compressed(CompressionType::ZSTD)),
        stream_with(&parts, compressed(CompressionType::LZ4_FRAME)),
        file(std::slice::from_ref(&batch), IpcWriteOptions::default()),
        file(std::slice::from_ref(&batch), compressed(CompressionType::ZSTD)),
    ];
    for (variant, bytes) in variants.iter().enumerate() {
        let (report, found) = decoded(bytes).unwrap();
        assert_eq!(report, expected_report, "variant {variant}");
        assert_eq!(found, expected, "variant {variant}");
    }
    let plain = batch.project(&[0, 2, 3, 4]).unwrap();
    let (_, found) = decoded(&stream_with(&[plain], old)).unwrap();
    assert_eq!(found.column(0), expected.column(0), "messages without a continuation mark");
}

#[test]
fn bad_rows_are_told_by_row_and_column() {
    let row = |time: Option<i64>, objects: f64| {
        batch_of(vec![
            ("timeStamp", Arc::new(Int64Array::from(vec![Some(1), time]))),
            ("noOfObjects", Arc::new(Float64Array::from(vec![1.0, objects]))),
        ])
    };
    let bytes = stream_with(&[row(None, 1.0), row(Some(2), f64::NAN)], IpcWriteOptions::default());
    let told: Vec<_> = rejection(decoded(&bytes)).errors.iter().map(ToString::to_string).collect();
    let expected =
        ["line 2, field `timeStamp`: required", "line 4, field `noOfObjects`: expected a finite number, not NaN"];
    assert_eq!(told, expected);
    let (report, _) = decode_stream(&bytes, &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected), (2, 2));
}

#[test]
fn columns_are_checked_also_without_rows() {
    let column = |columns| match decoded(&stream(batch_of(columns))) {
        Err(DecodeError::Column { column, .. }) => column,
        other => panic!("expected a column error, got {other:?}"),
    };
    let texts: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    assert_eq!(column(vec![("user", Arc::clone(&texts))]), "timeStamp");
    assert_eq!(column(vec![times(0), ("asn", texts)]), "asn");
    assert!(matches!(decoded(&stream(batch_of(vec![times(0)]))), Err(DecodeError::Empty)));
    assert!(matches!(decoded(b""), Err(DecodeError::Empty)));
}

#[test]
fn what_was_cut_off_anywhere_or_goes_on_is_corrupt() {
    let batch = batch_of(vec![times(3), ("user", Arc::new(StringArray::from(vec!["a", "b", "c"])))]);
    for whole in [stream(batch.clone()), file(&[batch], IpcWriteOptions::default())] {
        assert_eq!(decoded(&whole).unwrap().0.accepted, 3);
        for end in 1..whole.len() {
            assert!(is_corrupt(&decoded(&whole[..end])), "cut after {end} of {}", whole.len());
        }
    }
    let twice = stream(batch_of(vec![times(1)])).repeat(2);
    assert!(is_corrupt(&decoded(&twice)));
    for other in [&b"{\"timeStamp\":1}\n"[..], b"timeStamp,user\n1,a\n", b"PAR1", &END_MARK[..6]] {
        assert!(is_corrupt(&decoded(other)), "{other:?}");
    }
}

#[test]
fn stated_sizes_are_refused_before_they_are_reserved() {
    let user: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(100_000)]));
    let batch = batch_of(vec![times(1), ("user", user)]);
    let below = DecodeOptions { max_inflated_bytes: 50_000, ..options() };
    let packed = stream_with(std::slice::from_ref(&batch), compressed(CompressionType::ZSTD));
    assert!(packed.len() < 5_000);
    assert!(matches!(decode_stream(&packed, &below), Err(DecodeError::TooLarge { limit_bytes: 50_000 })));
    assert_eq!(decoded(&packed).unwrap().0.accepted, 1);

    // The size before the compressed text, the last of the buffers, becomes 2^40 bytes.
    let size = 100_000_u64.to_le_bytes();
    let at = packed.windows(8).rposition(|window| window == size).unwrap();
    let mut claiming = packed.clone();
    claiming[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert!(matches!(decoded(&claiming), Err(DecodeError::BatchTooLarge { .. })));

    let flags: ArrayRef = Arc::new(Int8Array::from(vec![1; (1 << 20) + 1]));
    let many = stream(batch_of(vec![("timeStamp", flags)]));
    assert!(matches!(decoded(&many), Err(DecodeError::BatchTooLarge { limit_rows: 1_048_576, .. })));
}

#[test]
fn records_and_batches_stay_within_their_bounds() {
    let with_user = |user: &str, rows| {
        let users = vec![user; rows].into_iter().collect::<DictionaryArray<Int32Type>>();
        stream(batch_of(vec![times(rows), ("user", Arc::new(users))]))
    };
    let ended = decode_stream(&with_user(&"a".repeat(10 << 20), 2), &skipping());
    assert!(matches!(ended, Err(DecodeError::RecordTooLarge { line: 1, .. })), "{ended:?}");

    // One dictionary entry named by each of 300 rows: 150 MiB if it were copied at once.
    let mut rows = 0;
    decode_arrow(&*with_user(&"a".repeat(1 << 19), 300), &options(), &mut |batch: RecordBatch| {
        assert!(batch.num_rows() <= 32, "{}", batch.num_rows());
        rows += batch.num_rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 300);
}

#[test]
fn flipped_bytes_never_escape_as_a_panic() {
    let texts = |name: &str| (0..200).map(|i| (i % 5 != 0).then(|| format!("{name}{}", i % 40))).collect::<Vec<_>>();
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            times(200),
            ("user", Arc::new(StringArray::from(texts("user")))),
            ("city", Arc::new(StringViewArray::from_iter(texts("a city with a long name ")))),
            ("region", Arc::new(texts("r").iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())),
            ("directory", Arc::new((0..200).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
        ]
    };
    // A fixed multiplier walks through places and values without a dependency on chance.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for whole in [stream(batch_of(columns())), stream_with(&[batch_of(columns())], compressed(CompressionType::ZSTD))] {
        for _ in 0..1_500 {
            let mut bytes = whole.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            let _ = decode_stream(&bytes, &skipping());
        }
    }
}
