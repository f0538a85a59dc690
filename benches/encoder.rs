//! The wire encoder against arrow's CSV writer on evidence: 100,000 rows of two users, 56 columns, by time.
//!
//! `cargo bench --bench encoder`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]

mod support;

use std::hint::black_box;

use anomalake::domain::activity::wire_schema;
use anomalake::formats::BatchEncoder;
use anomalake::formats::ndjson_out::NdjsonEncoder;
use anomalake::formats::wire_csv::{WireCsvEncoder, WireCsvOptions};
use arrow::record_batch::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::{ROWS, evidence};

const CHUNK_BYTES: usize = 256 * 1024;

/// Encodes as an answer does, a chunk at a time; `next` hands out the buffer of each chunk.
fn encode(encoder: &mut dyn BatchEncoder, batches: &[RecordBatch], mut chunk: impl FnMut(Vec<u8>) -> Vec<u8>) -> usize {
    let mut out = chunk(Vec::new());
    let mut total = 0;
    encoder.begin(&mut out).unwrap();
    for batch in batches {
        let mut row = 0;
        while row < batch.num_rows() {
            row = encoder.encode(batch, row, &mut out, CHUNK_BYTES).unwrap();
            if out.len() >= CHUNK_BYTES {
                total += out.len();
                out = chunk(out);
            }
        }
    }
    encoder.finish(&mut out).unwrap();
    total + black_box(out).len()
}

/// One buffer for all chunks.
fn reused(mut chunk: Vec<u8>) -> Vec<u8> {
    black_box(&chunk);
    chunk.clear();
    chunk
}

/// A new buffer for each chunk, as when the chunks are handed to a socket.
fn fresh(chunk: Vec<u8>) -> Vec<u8> {
    drop(black_box(chunk));
    Vec::with_capacity(CHUNK_BYTES + 32 * 1024)
}

fn arrow_csv(batches: &[RecordBatch]) -> usize {
    let mut writer = arrow::csv::Writer::new(Vec::with_capacity(64 << 20));
    for batch in batches {
        writer.write(batch).unwrap();
    }
    black_box(writer.into_inner()).len()
}

fn bench(criterion: &mut Criterion) {
    let views = evidence(true);
    let strings = evidence(false);
    let schema = wire_schema();
    let csv = || WireCsvEncoder::new(&schema, WireCsvOptions::default()).unwrap();
    let json = || NdjsonEncoder::new(&schema).unwrap();
    let bytes = encode(&mut csv(), &views, reused);
    println!("{ROWS} rows, {bytes} bytes of wire csv, {} of arrow's", arrow_csv(&views));

    let mut group = criterion.benchmark_group("evidence_100k_rows");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("wire_csv/view", |b| {
        b.iter_batched_ref(csv, |encoder| encode(encoder, &views, reused), BatchSize::PerIteration);
    });
    group.bench_function("wire_csv/view/fresh_chunks", |b| {
        b.iter_batched_ref(csv, |encoder| encode(encoder, &views, fresh), BatchSize::PerIteration);
    });
    group.bench_function("wire_csv/utf8", |b| {
        b.iter_batched_ref(csv, |encoder| encode(encoder, &strings, reused), BatchSize::PerIteration);
    });
    group.bench_function("arrow_csv/view", |b| b.iter(|| arrow_csv(&views)));
    group.bench_function("arrow_csv/utf8", |b| b.iter(|| arrow_csv(&strings)));
    group.throughput(Throughput::Bytes(encode(&mut json(), &views, reused) as u64));
    group.bench_function("ndjson/view", |b| {
        b.iter_batched_ref(json, |encoder| encode(encoder, &views, reused), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
