use super::*;
use crate::formats::BatchEncoder;
use crate::formats::wire_csv::{WireCsvEncoder, WireCsvOptions};

const QUOTING_NDJSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.ndjson");
const QUOTING_CSV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.csv");
const SAMPLE_CSV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-sample.csv");

fn decode_csv_with(text: impl AsRef<[u8]>, options: &DecodeOptions) -> Decoded {
    collected(|mut sink| decode_csv(text.as_ref(), options, &mut sink))
}

fn decoded(text: impl AsRef<[u8]>) -> Decoded {
    decode_csv_with(text, &options())
}

fn told(text: &str) -> Vec<String> {
    rejection(decoded(text)).errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_wire_dialect_comes_back_as_the_records_it_was_made_of() {
    let records = std::fs::read_to_string(QUOTING_NDJSON).unwrap();
    // CSV cannot tell the empty text from null.
    let records: Vec<Value> = records
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().retain(|_, value| value != "");
            record
        })
        .collect();
    let with_ids = |batch: RecordBatch| batch.project(&(0..56).collect::<Vec<_>>()).unwrap();
    let (report, found) = decoded(std::fs::read(QUOTING_CSV).unwrap()).unwrap();
    let (expected_report, expected) = decode(lines(&records)).unwrap();
    assert_eq!(report, expected_report);
    assert_eq!(with_ids(found), with_ids(expected));
}

#[test]
fn the_published_sample_is_taken_in_and_given_back_byte_for_byte() {
    let sample = std::fs::read_to_string(SAMPLE_CSV).unwrap();
    let own = sample.lines().nth(1).unwrap().split(',').find_map(|cell| cell.parse::<i64>().ok());
    assert!(own.is_some());
    let (report, batch) = decoded(&sample).unwrap();
    assert_eq!((report.accepted, report.rejected), (11, 0));
    let wire = batch.project(&(0..56).collect::<Vec<_>>()).unwrap();
    let mut encoder = WireCsvEncoder::new(wire.schema_ref(), WireCsvOptions::default()).unwrap();
    let mut text = Vec::new();
    encoder.begin(&mut text).unwrap();
    encoder.encode(&wire, 0, &mut text, usize::MAX).unwrap();
    let tenant = |text: &str| text.replace(",5618,", ",TENANT,");
    assert_eq!(report.tenant_id_replaced, 0, "the test's tenant is the sample's");
    assert_eq!(tenant(&String::from_utf8(text).unwrap()), tenant(&sample));
}

#[test]
fn columns_go_by_name_and_empty_cells_are_null() {
    let text = "\u{FEFF}user,extra,timeStamp,count,\"noOfObjects\",directory,activityId\r\n\
        ann@example.com,x,1,,2.5,true,a1\r\n\
        \r\n\
        \"\",,2,\"7\",1.0E7,\"false\",\"\"\n\
        \"two\nlines, \"\"quoted\"\"\",,3.0,8,,,";
    let (report, batch) = decoded(text).unwrap();
    assert_eq!(report.accepted, 3);
    assert_eq!(report.unknown_keys, [("extra".to_owned(), 3)].into());
    let column = |name: &str| (0..3).map(|row| cell(&batch, name, row)).collect::<Vec<_>>();
    assert_eq!(column("user"), [json!("ann@example.com"), Value::Null, json!("two\nlines, \"quoted\"")]);
    assert_eq!(column("timeStamp"), [json!(1), json!(2), json!(3)]);
    assert_eq!(column("count"), [json!(1), json!(7), json!(8)]);
    assert_eq!(column("noOfObjects"), [json!(2.5), json!(1e7), json!(0.0)]);
    assert_eq!(column("directory"), [json!(true), json!(false), Value::Null]);
    assert_eq!(cell(&batch, "activityId", 0), json!("a1"));
    assert_eq!(cell(&batch, "activityId", 1).as_str().map(str::len), Some(36));
}

#[test]
fn bad_records_are_told_by_their_first_line_and_field() {
    let text = "timeStamp,user,asn,directory\n\
        1,\"a\nb\nc\",x,\n\
        2,,+1,\n\
        3,, 1,\n\
        4,,01,\n\
        5,,9223372036854775808,\n\
        6,,1.5,\n\
        7,,,TRUE\n\
        8,,\n\
        9,,,,\n\
        ,,,\n\
        1e3,,-0,\n\
        12,a\"b,,\n\
        13,\"a\"b,,\n\
        253402300800000,,,\n\
        NaN,,,\n";
    let expected = [
        "line 2, field `asn`: expected an integer of 64 bits, not \"x\"",
        "line 5, field `asn`: expected an integer of 64 bits, not \"+1\"",
        "line 6, field `asn`: expected an integer of 64 bits, not \" 1\"",
        "line 7, field `asn`: expected an integer of 64 bits, not \"01\"",
        "line 8, field `asn`: expected an integer of 64 bits, not \"9223372036854775808\"",
        "line 9, field `asn`: expected an integer of 64 bits, not \"1.5\"",
        "line 10, field `directory`: expected true or false, not \"TRUE\"",
        "line 11: expected 4 cells as the header has, not 3",
        "line 12: expected 4 cells as the header has, not 5",
        "line 13, field `timeStamp`: required",
        "line 15: malformed csv: a quote within a cell that is not quoted, in cell 2",
        "line 16: malformed csv: text after the closing quote, in cell 2",
        "line 17, field `timeStamp`: 253402300800000 ms since epoch is outside the years 0001 to 9999",
        "line 18, field `timeStamp`: expected an integer of 64 bits, not \"NaN\"",
    ];
    assert_eq!(told(text), expected);
    let (report, batch) = decode_csv_with(text, &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected), (1, 14));
    assert_eq!((cell(&batch, "timeStamp", 0), cell(&batch, "asn", 0)), (json!(1000), json!(0)));
}

#[test]
fn what_was_cut_off_is_no_record() {
    assert_eq!(
        told("timeStamp,user\n1,a\n2,\"b"),
        ["line 3: malformed csv: a quoted cell without its closing quote, in cell 2"]
    );
    assert_eq!(told("timeStamp,user\n1,a\n2"), ["line 3: expected 2 cells as the header has, not 1"]);
    let mut bad_text = b"timeStamp,user\n1,a\n2,".to_vec();
    bad_text.extend([0xC3, b'\n']);
    let told = rejection(decoded(bad_text));
    assert_eq!(told.errors[0].to_string(), "line 3: invalid utf-8 after byte 2");
}

#[test]
fn the_header_is_checked() {
    let column = |text: &str| match decoded(text) {
        Err(DecodeError::Column { column, reason }) => (column, reason),
        other => panic!("expected a column error, got {other:?}"),
    };
    let owned = |column: &str, reason: &str| (column.to_owned(), reason.to_owned());
    assert_eq!(column("user,asn\na,1\n"), owned("timeStamp", "required, but the input has none"));
    assert_eq!(column("1596831780000,ann@example.com\n"), owned("timeStamp", "required, but the input has none"));
    assert_eq!(column("timeStamp,user,\"user\"\n"), owned("user", "given twice"));
    for other in ["\"timeStamp,user\n1,2", "{\"timeStamp\":1}\n"] {
        assert!(matches!(decoded(other), Err(DecodeError::Corrupt { what: "csv header", .. })), "{other}");
    }
    for empty in ["", "\n\n", "timeStamp,user\n", "timeStamp,user\r\n\r\n"] {
        assert!(matches!(decoded(empty), Err(DecodeError::Empty)), "{empty:?}");
    }
}

#[test]
fn records_and_batches_stay_within_their_bounds() {
    let small = DecodeOptions { max_record_bytes: 20, ..skipping() };
    let ended = decode_csv_with(format!("timeStamp,user\n1,a\n2,\"{}\n{}\"\n", "b".repeat(9), "c".repeat(9)), &small);
    assert!(matches!(ended, Err(DecodeError::RecordTooLarge { line: 3, limit_bytes: 20 })), "{ended:?}");

    let row = format!("1,{}\n", "u".repeat(1 << 19));
    let text = "timeStamp,user\n".to_owned() + &row.repeat(100);
    let mut rows = 0;
    decode_csv(text.as_bytes(), &options(), &mut |batch: RecordBatch| {
        assert!(batch.num_rows() <= 32, "{}", batch.num_rows());
        rows += batch.num_rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 100);
}
