//! The encoder against the oracle files, and against a plain reading of the rule.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::domain::activity::wire_schema;

const QUOTING_NDJSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.ndjson");
const QUOTING_CSV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.csv");
const SAMPLE_CSV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-sample.csv");

const TEXT_TYPES: [DataType; 3] = [DataType::Utf8View, DataType::Utf8, DataType::LargeUtf8];

/// An answer in chunks of `limit` bytes, each encoded into an empty buffer.
fn chunks(encoder: &mut WireCsvEncoder, batches: &[RecordBatch], limit: usize) -> Vec<Vec<u8>> {
    let mut chunks = vec![Vec::new()];
    encoder.begin(&mut chunks[0]).unwrap();
    for batch in batches {
        let mut row = 0;
        while row < batch.num_rows() {
            let mut chunk = Vec::new();
            let next = encoder.encode(batch, row, &mut chunk, limit).unwrap();
            assert!(next > row && (chunk.len() >= limit || next == batch.num_rows()));
            chunks.push(chunk);
            row = next;
        }
    }
    encoder.finish(chunks.last_mut().unwrap()).unwrap();
    chunks
}

fn encoded(batches: &[RecordBatch], limit: usize) -> String {
    let mut encoder = WireCsvEncoder::new(&batches[0].schema(), WireCsvOptions::default()).unwrap();
    String::from_utf8(chunks(&mut encoder, batches, limit).concat()).unwrap()
}

fn with_text_type(batch: &RecordBatch, text: &DataType) -> RecordBatch {
    let columns: Vec<(&String, ArrayRef)> = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match column.data_type() {
            DataType::Utf8 => (field.name(), cast(column, text).unwrap()),
            _ => (field.name(), Arc::clone(column)),
        })
        .collect();
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn quoting_rows(batch_rows: usize) -> Vec<RecordBatch> {
    let file = std::io::BufReader::new(std::fs::File::open(QUOTING_NDJSON).unwrap());
    let reader = arrow::json::ReaderBuilder::new(wire_schema()).with_batch_size(batch_rows).build(file).unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn the_oracle_byte_for_byte() {
    let expected = std::fs::read_to_string(QUOTING_CSV).unwrap();
    for text in &TEXT_TYPES {
        for (batch_rows, limit) in [(400, usize::MAX), (400, 10_000), (7, 1), (129, 4_096)] {
            let batches: Vec<_> = quoting_rows(batch_rows).iter().map(|b| with_text_type(b, text)).collect();
            assert!(encoded(&batches, limit) == expected, "{text} in batches of {batch_rows}, chunks of {limit}");
        }
    }
}

#[test]
fn the_sample_byte_for_byte() {
    let file = std::fs::File::open(SAMPLE_CSV).unwrap();
    let reader = arrow::csv::ReaderBuilder::new(wire_schema()).with_header(true).build(file).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(encoded(&batches, usize::MAX), std::fs::read_to_string(SAMPLE_CSV).unwrap());
}

#[test]
fn chunks_may_end_at_every_offset() {
    let batch = quoting_rows(12).swap_remove(0);
    let whole = encoded(std::slice::from_ref(&batch), usize::MAX);
    let mut encoder = WireCsvEncoder::new(batch.schema_ref(), WireCsvOptions::default()).unwrap();
    for limit in 1..=whole.len() {
        let chunks = chunks(&mut encoder, std::slice::from_ref(&batch), limit);
        assert!(chunks.concat() == whole.as_bytes(), "chunks of {limit}");
    }
}

#[test]
fn bytes_before_are_kept_and_count() {
    let batch = quoting_rows(20).swap_remove(0);
    let mut encoder = WireCsvEncoder::new(batch.schema_ref(), WireCsvOptions::default()).unwrap();
    let mut out = Vec::new();
    encoder.begin(&mut out).unwrap();
    let header = out.clone();
    assert_eq!(encoder.encode(&batch, 0, &mut out, header.len() + 1).unwrap(), 1);
    assert!(out.starts_with(&header) && out.len() > header.len());
    assert_eq!(encoder.encode(&batch, 20, &mut out, usize::MAX).unwrap(), 20);
}

#[test]
fn a_text_of_any_length_is_whole() {
    for len in (0..600).chain([4_096, 70_000, 1_000_000]) {
        for unit in ["a", "\"", "é", ","] {
            let text = unit.repeat(len);
            let batch = RecordBatch::try_from_iter([
                ("a", Arc::new(StringViewArray::from(vec![text.as_str()])) as ArrayRef),
                ("b", Arc::new(Int64Array::from(vec![i64::MIN]))),
            ])
            .unwrap();
            let expected = format!("a,b\n{},{}\n", naive_text(&text, false), i64::MIN);
            assert!(encoded(&[batch], 1) == expected, "{len} times {unit}");
        }
    }
}

/// Views of two batches may be equal to the last bit and yet mean texts in different buffers.
#[test]
fn texts_of_one_batch_never_show_in_the_next() {
    let batch = |texts: [&str; 2]| {
        RecordBatch::try_from_iter([("a", Arc::new(StringViewArray::from(texts.to_vec())) as ArrayRef)]).unwrap()
    };
    let first = batch(["text-of-tenant-one", "text-of-another-one"]);
    let second = batch(["text-of-tenant-two", "text-of-another-two"]);
    let views = |batch: &RecordBatch| batch.column(0).as_string_view().views().to_vec();
    assert_eq!(views(&first), views(&second), "the test is void otherwise");
    assert_eq!(
        encoded(&[first, second], usize::MAX),
        "a\ntext-of-tenant-one\ntext-of-another-one\ntext-of-tenant-two\ntext-of-another-two\n"
    );
}

/// More texts in one call than are kept: texts from before must not be taken for those after.
#[test]
fn texts_are_forgotten_whole() {
    let rows = 5_000;
    let few: Vec<_> = (0..rows).map(|row| ["one", "two", "three"][row % 3]).collect();
    let many: Vec<_> = (0..rows).map(|row| format!("{row}-{}", "x".repeat(190))).collect();
    let mut expected = "few,many\n".to_owned();
    for (few, many) in few.iter().zip(&many) {
        expected += &[few, ",\"", many, "\"\n"].concat();
    }
    let batch = RecordBatch::try_from_iter([
        ("few", Arc::new(StringViewArray::from(few)) as ArrayRef),
        ("many", Arc::new(many.iter().map(Some).collect::<StringViewArray>())),
    ])
    .unwrap();
    assert!(encoded(&[batch], usize::MAX) == expected);
}

#[test]
fn formulas_are_defused_on_request() {
    let texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "x=1", "", "'", "-long enough to be quoted anyway", "=\"a\""];
    let batch = RecordBatch::try_from_iter([
        ("=head", Arc::new(StringViewArray::from(texts.to_vec())) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![-1; texts.len()]))),
    ])
    .unwrap();
    let mut encoder = WireCsvEncoder::new(batch.schema_ref(), WireCsvOptions { escape_formulas: true }).unwrap();
    let text = String::from_utf8(chunks(&mut encoder, &[batch], usize::MAX).concat()).unwrap();
    assert_eq!(
        text,
        "=head,n\n\"'=1+1\",-1\n\"'+1\",-1\n\"'-1\",-1\n\"'@x\",-1\n\"'\tx\",-1\n\"'\rx\",-1\nx=1,-1\n,-1\n\"'\",-1\n\
         \"'-long enough to be quoted anyway\",-1\n\"'=\"\"a\"\"\",-1\n"
    );
}

#[test]
fn columns_are_checked_by_name() {
    let schema = |data_type| Schema::new(vec![Field::new("when", data_type, true)]);
    let error = WireCsvEncoder::new(&schema(DataType::Date32), WireCsvOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "column `when` has type Date32, which wire csv cannot write");

    let mut encoder = WireCsvEncoder::new(&schema(DataType::Int64), WireCsvOptions::default()).unwrap();
    let column = || Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    for (batch, message) in [
        (
            vec![("when", column())],
            "batch has column `when` of type Utf8 where the encoder expects column `when` of kind integer",
        ),
        (vec![("when", column()), ("b", column())], "batch has 2 columns where the encoder expects 1 columns"),
    ] {
        let batch = RecordBatch::try_from_iter(batch).unwrap();
        let error = encoder.encode(&batch, 0, &mut Vec::new(), 1).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

/// The contract's words for a cell of text, without any of the encoder's functions.
fn naive_text(text: &str, escape_formulas: bool) -> String {
    let doubled = text.replace('"', "\"\"");
    if escape_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return format!("\"'{doubled}\"");
    }
    let quoted = text.encode_utf16().count() > 24 || text.chars().any(|c| c < '-' || c == '\\');
    if quoted { format!("\"{doubled}\"") } else { doubled }
}

/// Values of one column.
#[derive(Debug, Clone)]
enum Values {
    Integer(Vec<Option<i64>>),
    Double(Vec<Option<(f64, &'static str)>>),
    Boolean(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

impl Values {
    fn array(&self, text: &DataType) -> ArrayRef {
        match self {
            Self::Integer(values) => Arc::new(Int64Array::from(values.clone())),
            Self::Double(values) => Arc::new(values.iter().map(|v| v.map(|(v, _)| v)).collect::<Float64Array>()),
            Self::Boolean(values) => Arc::new(BooleanArray::from(values.clone())),
            Self::Text(values) => match text {
                DataType::Utf8 => Arc::new(StringArray::from(values.clone())),
                DataType::LargeUtf8 => Arc::new(LargeStringArray::from(values.clone())),
                _ => Arc::new(values.iter().map(Option::as_deref).collect::<StringViewArray>()),
            },
        }
    }

    fn cell(&self, row: usize, escape_formulas: bool) -> String {
        match self {
            Self::Integer(values) => values[row].map(|v| v.to_string()),
            Self::Double(values) => values[row].map(|(_, text)| text.to_owned()),
            Self::Boolean(values) => values[row].map(|v| v.to_string()),
            Self::Text(values) => values[row].as_ref().map(|v| naive_text(v, escape_formulas)),
        }
        .unwrap_or_default()
    }
}

/// `rows` values in runs, from a pool of few, with nulls.
fn runs<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
    rows: usize,
) -> BoxedStrategy<Vec<Option<T>>> {
    let run = (any::<prop::sample::Index>(), prop_oneof![4 => Just(1_usize), 2 => 2..9_usize, 1 => 10..700_usize]);
    (prop::collection::vec(prop::option::weighted(0.8, value), 1..12), prop::collection::vec(run, 1..40))
        .prop_map(move |(pool, runs)| {
            let values =
                runs.iter().cycle().flat_map(|(index, len)| std::iter::repeat_n(index.get(&pool).clone(), *len));
            values.take(rows).collect()
        })
        .boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z.@:-]{0,14}",
        3 => "[ -~]{0,30}",
        2 => "[a-zA-Z0-9]{22,27}",
        2 => any::<String>(),
        1 => "[é語😀a]{10,26}",
        1 => "[\u{0}-\u{2F}\\\\\"]{0,20}",
        1 => "[a-z\"]{250,600}",
    ]
}

fn column(rows: usize) -> impl Strategy<Value = Values> {
    let double =
        prop::sample::select(vec![(0.0, "0.0"), (-0.0, "-0.0"), (12.5, "12.5"), (1e7, "1.0E7"), (2e-4, "2.0E-4")]);
    prop_oneof![
        4 => runs(text(), rows).prop_map(Values::Text),
        2 => runs(prop_oneof![any::<i64>(), -9..9_i64], rows).prop_map(Values::Integer),
        1 => runs(double, rows).prop_map(Values::Double),
        1 => runs(any::<bool>(), rows).prop_map(Values::Boolean),
    ]
}

/// Columns of `.0` rows.
fn tables() -> impl Strategy<Value = (usize, Vec<Values>)> {
    (0..700_usize, prop_oneof![9 => 1..9_usize, 1 => 60..70_usize])
        .prop_flat_map(|(rows, columns)| (Just(rows), prop::collection::vec(column(rows), columns)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_a_plain_reading(
        (rows, columns) in tables(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize), 0..4),
        first_text in 0..3_usize,
        limit in prop_oneof![1..2_000_usize, Just(usize::MAX)],
        escape_formulas: bool,
    ) {
        let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
        let table = |text: usize| {
            let columns = names.iter().zip(&columns).map(|(name, column)| (name, column.array(&TEXT_TYPES[text]), true));
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        };
        // Slices of whole tables: arrays with offsets, and views into buffers that start elsewhere.
        let mut cuts: Vec<_> = cuts.iter().map(|(at, text)| (at.index(rows + 1), *text)).collect();
        cuts.push((0, first_text));
        cuts.sort_unstable();
        let ends = cuts.iter().skip(1).map(|(at, _)| *at).chain([rows]);
        let batches: Vec<_> = cuts.iter().zip(ends).map(|((at, text), end)| table(*text).slice(*at, end - at)).collect();

        let mut encoder = WireCsvEncoder::new(&table(0).schema(), WireCsvOptions { escape_formulas }).unwrap();
        let found = String::from_utf8(chunks(&mut encoder, &batches, limit).concat()).unwrap();

        let mut expected = names.join(",") + "\n";
        for row in 0..rows {
            let cells: Vec<_> = columns.iter().map(|column| column.cell(row, escape_formulas)).collect();
            expected += &(cells.join(",") + "\n");
        }
        prop_assert_eq!(found, expected);
    }
}
