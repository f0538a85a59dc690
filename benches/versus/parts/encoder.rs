use std::hint::black_box;

use anomalake::domain::activity::wire_schema;
use anomalake::formats::BatchEncoder;
use anomalake::formats::wire_csv::{WireCsvEncoder, WireCsvOptions};

use crate::Run;
use crate::measure::{rounds, timed};
use crate::report::Line;
use crate::support::{ROWS, evidence};

const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes of the rows as we write them, a chunk at a time as an answer does.
fn encode(batches: &[arrow::record_batch::RecordBatch]) -> usize {
    let mut encoder = WireCsvEncoder::new(&wire_schema(), WireCsvOptions::default()).unwrap();
    let (mut out, mut total) = (Vec::with_capacity(CHUNK_BYTES + (32 << 10)), 0);
    encoder.begin(&mut out).unwrap();
    for batch in batches {
        let mut row = 0;
        while row < batch.num_rows() {
            row = encoder.encode(batch, row, &mut out, CHUNK_BYTES).unwrap();
            if out.len() >= CHUNK_BYTES {
                total += black_box(&out).len();
                out.clear();
            }
        }
    }
    encoder.finish(&mut out).unwrap();
    total + out.len()
}

fn arrow_csv(batches: &[arrow::record_batch::RecordBatch]) -> usize {
    let mut writer = arrow::csv::Writer::new(Vec::with_capacity(64 << 20));
    for batch in batches {
        writer.write(batch).unwrap();
    }
    black_box(writer.into_inner()).len()
}

pub fn run(run: &mut Run) -> Vec<Line> {
    let batches = evidence(true);
    let bytes = encode(&batches);
    let times = rounds(
        run.pairs(),
        &mut [
            ("ours".to_owned(), Box::new(|| timed(|| encode(&batches)).0)),
            ("arrow-csv".to_owned(), Box::new(|| timed(|| arrow_csv(&batches)).0)),
        ],
    );
    let [(_, ours), (_, theirs)] = times.try_into().unwrap();
    let per_gigabyte = ours.median() / bytes as f64 * 1e9;
    vec![
        Line::times(format!("encode {ROWS} evidence rows × 56 columns, one core"), &ours, "arrow-csv", &theirs)
            .bar(1.0 / 4.0, 1.0 / 6.0),
        Line { bar: Some(1.0), ..Line::figure("the same, for a gigabyte of text", per_gigabyte, "s") },
    ]
}
