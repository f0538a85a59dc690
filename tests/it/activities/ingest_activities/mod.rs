//! `POST /api/v1/activities`.

mod accepted;
mod broken_off;
mod idempotency;
mod refused;
mod repeats;
mod repeats_model;

use std::io::Write;

/// A gzip member.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
