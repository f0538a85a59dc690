use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::*;
use arrow::datatypes::{Field, Int32Type, Schema};
use bytes::Bytes;

use super::*;

fn file_with(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Bytes {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    file_with(columns, WriterProperties::default())
}

fn times(rows: usize) -> (&'static str, ArrayRef) {
    ("timeStamp", Arc::new(Int64Array::from_iter_values((1..).take(rows))))
}

fn decode_file(file: Bytes, options: &DecodeOptions) -> Decoded {
    collected(|mut sink| decode_parquet(file, options, &mut sink))
}

fn column_error(columns: Vec<(&str, ArrayRef)>) -> (String, String) {
    match decode_file(file(columns), &options()) {
        Err(DecodeError::Column { column, reason }) => (column, reason),
        other => panic!("expected a column error, got {other:?}"),
    }
}

#[test]
fn a_file_decodes_as_the_same_records_in_ndjson() {
    let records: Vec<Value> = (0..20_000)
        .map(|i| {
            json!({
                "timeStamp": 1_596_840_000_000_i64 + i * 60_000, "activityId": format!("id{i}"),
                "user": if i % 3 == 0 { json!(format!(" User{}", i % 50)) } else { Value::Null },
                "asn": if i % 2 == 0 { json!(i) } else { Value::Null }, "noOfObjects": 0.5, "directory": i % 5 == 0,
                "count": if i % 7 == 0 { Value::Null } else { json!(i) }, "tenantId": i % 2,
            })
        })
        .collect();
    let (expected_report, expected) = decode(lines(&records)).unwrap();
    let texts = |key: &str| records.iter().map(|r| r[key].as_str()).collect::<Vec<_>>();
    let ints = |key: &str| records.iter().map(|r| r[key].as_i64()).collect::<Vec<_>>();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("directory", Arc::new(records.iter().map(|r| r["directory"].as_bool()).collect::<BooleanArray>())),
        ("user", Arc::new(texts("user").into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("timeStamp", Arc::new(TimestampMillisecondArray::from(ints("timeStamp")).with_timezone("UTC"))),
        (
            "asn",
            Arc::new(ints("asn").into_iter().map(|n| n.map(|n| u32::try_from(n).unwrap())).collect::<UInt32Array>()),
        ),
        ("activityId", Arc::new(LargeStringArray::from(texts("activityId")))),
        ("noOfObjects", Arc::new(Float32Array::from(vec![0.5; records.len()]))),
        (
            "count",
            Arc::new(ints("count").into_iter().map(|n| n.map(|n| i16::try_from(n).unwrap())).collect::<Int16Array>()),
        ),
        ("tenantId", Arc::new(Int64Array::from(ints("tenantId")))),
    ];
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ] {
        let properties =
            WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(7_000));
        let (report, found) = decode_file(file_with(columns.clone(), properties.build()), &options()).unwrap();
        assert_eq!(report, expected_report);
        assert_eq!(found, expected, "{compression}");
    }
    let brotli = WriterProperties::builder().set_compression(Compression::BROTLI(BrotliLevel::default()));
    let refused = decode_file(file_with(columns, brotli.build()), &options());
    assert!(matches!(refused, Err(DecodeError::Column { column, .. }) if column == "directory"));
}

#[test]
fn time_stamps_of_every_unit_are_cut_to_milliseconds() {
    let ms = |array: ArrayRef| {
        let (_, batch) = decode_file(file(vec![("timeStamp", array)]), &options()).unwrap();
        cell(&batch, "timeStamp", 0)
    };
    assert_eq!(ms(Arc::new(TimestampSecondArray::from(vec![-1]))), json!(-1000));
    assert_eq!(ms(Arc::new(TimestampMillisecondArray::from(vec![1_999]))), json!(1_999));
    assert_eq!(ms(Arc::new(TimestampMicrosecondArray::from(vec![1_999]).with_timezone("UTC"))), json!(1));
    assert_eq!(ms(Arc::new(TimestampMicrosecondArray::from(vec![-1]))), json!(-1));
    assert_eq!(ms(Arc::new(TimestampNanosecondArray::from(vec![1_999_999]).with_timezone("+02:00"))), json!(1));
    assert_eq!(ms(Arc::new(UInt8Array::from(vec![7]))), json!(7));
    assert_eq!(ms(Arc::new(Float64Array::from(vec![7.0]))), json!(7));
}

#[test]
fn bad_rows_are_told_by_row_and_column() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("timeStamp", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(5), Some(i64::MAX)]))),
        ("asn", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX, 4, 5, 6]))),
        ("noOfObjects", Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0, f64::INFINITY, 5.0, 6.0]))),
        ("fileSize", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0), None, Some(5.5), Some(6.0)]))),
        ("user", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f"]))),
        ("extra", Arc::new(StringArray::from(vec!["x"; 6]))),
    ];
    let told: Vec<String> =
        rejection(decode_file(file(columns.clone()), &options())).errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 2, field `timeStamp`: required",
            "line 3, field `asn`: expected an integer of 64 bits, not 18446744073709551615",
            "line 4, field `noOfObjects`: expected a finite number, not inf",
            "line 5, field `fileSize`: expected an integer of 64 bits, not 5.5",
            "line 6, field `timeStamp`: 9223372036854775807 ms since epoch is outside the years 0001 to 9999",
        ]
    );
    let (report, batch) = decode_file(file(columns), &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected), (1, 5));
    assert_eq!(report.unknown_keys, [("extra".to_owned(), 1)].into());
    assert_eq!(cell(&batch, "user", 0), json!("a"));
}

#[test]
fn columns_of_wrong_types_are_named() {
    let with = |name, array| column_error(vec![times(1), (name, array)]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert_eq!(with("asn", Arc::clone(&text)), ("asn".to_owned(), "expected integers, not Utf8".to_owned()));
    assert_eq!(with("noOfObjects", Arc::clone(&text)).0, "noOfObjects");
    assert_eq!(with("directory", Arc::new(Int8Array::from(vec![1]))).0, "directory");
    assert_eq!(with("user", Arc::new(Int8Array::from(vec![1]))).0, "user");
    assert_eq!(with("user", Arc::new(BinaryArray::from(vec![&b"a"[..]]))).0, "user");
    assert_eq!(with("asn", Arc::new(TimestampSecondArray::from(vec![1]))).0, "asn");
    assert_eq!(with("timeStamp", Arc::clone(&text)), ("timeStamp".to_owned(), "given twice".to_owned()));
    assert_eq!(column_error(vec![("timeStamp", Arc::clone(&text))]).0, "timeStamp");
    assert_eq!(column_error(vec![("user", text)]).1, "required, but the input has none");
}

#[test]
fn nested_unknown_columns_are_counted_and_not_read() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
    let inner: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let nested = StructArray::from(vec![(Arc::new(Field::new("user", DataType::Utf8, true)), inner)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested)),
        times(2),
        ("User", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("user", Arc::new(StringViewArray::from(vec!["p", "a user with a name of more than twelve bytes"]))),
    ];
    let (report, batch) = decode_file(file(columns), &options()).unwrap();
    let unknown: Vec<_> = report.unknown_keys.into_iter().collect();
    assert_eq!(unknown, [("User".to_owned(), 2), ("list".to_owned(), 2), ("nested".to_owned(), 2)]);
    assert_eq!(cell(&batch, "user", 1), json!("a user with a name of more than twelve bytes"));
}

#[test]
fn a_column_without_a_type_is_all_null() {
    let nulls = |rows| Arc::new(NullArray::new(rows)) as ArrayRef;
    let (report, batch) =
        decode_file(file(vec![times(2), ("user", nulls(2)), ("count", nulls(2))]), &options()).unwrap();
    assert_eq!((report.accepted, report.unknown_keys.len()), (2, 0));
    assert_eq!((cell(&batch, "user", 1), cell(&batch, "count", 1)), (Value::Null, json!(1)));
    assert_eq!(column_error(vec![("timeStamp", nulls(1))]).0, "timeStamp");
}

#[test]
fn a_file_without_rows_is_empty() {
    assert!(matches!(decode_file(file(vec![times(0)]), &options()), Err(DecodeError::Empty)));
}

#[test]
fn records_and_batches_stay_within_their_bounds() {
    let with_user = |user: &str, rows| {
        let users = vec![user; rows].into_iter().collect::<DictionaryArray<Int32Type>>();
        file(vec![times(rows), ("user", Arc::new(users))])
    };
    let ended = decode_file(with_user(&"a".repeat(10 << 20), 2), &skipping());
    assert!(matches!(ended, Err(DecodeError::RecordTooLarge { line: 1, .. })), "{ended:?}");

    // One dictionary entry named by each of 3,000 rows: 1.5 GiB if it were copied at once.
    let mut rows = 0;
    decode_parquet(with_user(&"a".repeat(1 << 19), 3_000), &options(), &mut |batch: RecordBatch| {
        assert!(batch.num_rows() <= 32, "{}", batch.num_rows());
        rows += batch.num_rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 3_000);
}

#[test]
fn pages_beyond_the_inflated_limit_are_not_inflated() {
    let users: ArrayRef = Arc::new(StringArray::from_iter_values((0..5_000).map(|i| format!("{i:0>200}"))));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN);
    let file = file_with(vec![times(5_000), ("user", users)], properties.build());
    let within = DecodeOptions { max_inflated_bytes: 2_000_000, ..options() };
    assert_eq!(decode_file(file.clone(), &within).unwrap().0.accepted, 5_000);
    let below = DecodeOptions { max_inflated_bytes: 1_000_000, ..options() };
    let ended = decode_file(file, &below);
    assert!(matches!(ended, Err(DecodeError::TooLarge { limit_bytes: 1_000_000 })), "{ended:?}");
}

fn small_file() -> Bytes {
    let users: ArrayRef =
        Arc::new((0..300).map(|i| (i % 5 != 0).then(|| format!("user{}", i % 40))).collect::<StringArray>());
    let asns: ArrayRef = Arc::new((0..300).map(|i| (i % 3 != 0).then_some(i)).collect::<Int32Array>());
    let flags: ArrayRef = Arc::new((0..300).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>());
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(100));
    file_with(vec![times(300), ("user", users), ("asn", asns), ("directory", flags)], properties.build())
}

#[test]
fn what_is_no_parquet_file_is_corrupt() {
    let whole = small_file();
    let cases =
        [Bytes::new(), Bytes::from_static(b"PAR1"), Bytes::from_static(b"PAR1PAR1PAR1"), Bytes::from_static(b"{}")];
    for bytes in cases.into_iter().chain([whole.slice(..whole.len() - 1), whole.slice(..whole.len() / 2)]) {
        let ended = decode_file(bytes, &options());
        assert!(matches!(ended, Err(DecodeError::Corrupt { what: "parquet file", .. })), "{ended:?}");
    }
}

#[test]
fn flipped_bytes_never_escape_as_a_panic() {
    let whole = small_file();
    // A fixed multiplier walks through places and values without a dependency on chance.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..1_500 {
        let mut bytes = whole.to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        let _ = decode_file(bytes.into(), &skipping());
    }
}

#[test]
fn formats_are_told_apart_by_content() {
    assert_eq!(Format::of_content(&small_file()[..4]), Format::Parquet);
    assert_eq!(Format::of_content(b"ARROW1\0\0"), Format::Arrow);
    assert_eq!(Format::of_content(&[0xFF, 0xFF, 0xFF, 0xFF, 0x08, 0, 0, 0]), Format::Arrow);
    for head in [&b""[..], b"PAR", b"ARROW", b"{\"ti", b"\xEF\xBB\xBF{", b"timeStam"] {
        assert_eq!(Format::of_content(head), Format::Ndjson);
    }
    let mut peek = Peek::new(&b"abcdefghij"[..]).unwrap();
    assert_eq!(peek.head(), b"abcdefgh");
    let mut all = String::new();
    std::io::Read::read_to_string(&mut peek, &mut all).unwrap();
    assert_eq!(all, "abcdefghij");
    assert_eq!(Peek::new(&b"ab"[..]).unwrap().head(), b"ab");
}
