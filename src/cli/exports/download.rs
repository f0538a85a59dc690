//! An export's file, fetched from where an earlier try stopped.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{IF_RANGE, RANGE};
use axum::http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::path;
use crate::api::exports::model::ExportModel;
use crate::cli::CommandError;
use crate::cli::client::{Client, transport};
use crate::cli::output::count;
use crate::domain::hex::hex;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;

/// Digits of the checksum in the name of a part: a part belongs to one export's file and no other.
const SUM_DIGITS: usize = 12;

/// Writes the file to stdout.
pub(super) async fn to_stdout(client: &Client, tenant: TenantId, export: &ExportModel) -> Result<(), CommandError> {
    let response = ask(client, tenant, export, 0).await?;
    let mut out = io::stdout();
    match copy(response, &mut out, |_| ()).await {
        // The reader has seen enough.
        Err(Broke::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(Broke::Write(error)) => Err(CommandError::io("cannot write to stdout", error)),
        Err(Broke::Read(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Writes the file under its name once it is whole and its checksum is right. What was fetched by a try that
/// broke off stays beside it and is gone on with.
pub(super) async fn into_file(
    client: &Client,
    tenant: TenantId,
    export: &ExportModel,
    target: &Path,
) -> Result<(), CommandError> {
    let begun = Instant::now();
    let cannot_write = |error| CommandError::io(format_args!("cannot write {}", target.display()), error);
    let sum = export.sha256.as_deref().unwrap_or_default();
    let total = export.bytes.unwrap_or(0).unsigned_abs();
    let part = part_of(target, sum);
    let mut file = File::options().append(true).create(true).open(&part).map_err(cannot_write)?;
    let mut have = file.metadata().map_err(cannot_write)?.len();
    if have > total {
        file.set_len(0).map_err(cannot_write)?;
        have = 0;
    }
    if have < total {
        let bar = bar(total, have);
        let response = ask(client, tenant, export, have).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT && have > 0 {
            file.set_len(0).map_err(cannot_write)?;
            bar.set_position(0);
        }
        let copied = copy(response, &mut file, |n| bar.inc(n)).await;
        bar.finish_and_clear();
        match copied {
            Ok(()) => {}
            Err(Broke::Write(error)) => return Err(cannot_write(error)),
            Err(Broke::Read(error)) => {
                let hint = "run the command again: it goes on where it stopped";
                return Err(error.with_hint(hint));
            }
        }
    }
    if sum_of(&part).map_err(cannot_write)? != sum {
        std::fs::remove_file(&part).map_err(cannot_write)?;
        let message = format!("what was fetched of {} is not the export's file", target.display());
        return Err(CommandError::failed_text(message).with_hint("run the command again: it begins anew"));
    }
    file.sync_all().map_err(cannot_write)?;
    std::fs::rename(&part, target).map_err(cannot_write)?;
    let rows = count(export.rows.unwrap_or(0).unsigned_abs(), "row", "rows");
    let (size, seconds) = (format_size(total), begun.elapsed().as_secs_f64());
    eprintln!("{}: {rows}, {size}, {seconds:.2} s", target.display());
    Ok(())
}

fn part_of(target: &Path, sum: &str) -> PathBuf {
    let mut part = target.as_os_str().to_owned();
    part.push(format!(".{}.part", sum.get(..SUM_DIGITS).unwrap_or(sum)));
    part.into()
}

fn bar(total: u64, have: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:24}] {bytes}/{total_bytes} {bytes_per_sec}");
    let bar = ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_position(have)
}

/// Asks for the file from a byte on; should it be another one than expected, the whole comes.
async fn ask(
    client: &Client,
    tenant: TenantId,
    export: &ExportModel,
    from: u64,
) -> Result<Response<Body>, CommandError> {
    let mut request = Client::request(Method::GET, &format!("{}/content", path(export.id)), Some(tenant));
    if from > 0 {
        let etag = format!("\"{}\"", export.sha256.as_deref().unwrap_or_default());
        request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, etag);
    }
    Ok(client.call(request.body(Body::empty()).map_err(transport)?).await?)
}

/// Which side a copy broke at.
enum Broke {
    Read(CommandError),
    Write(io::Error),
}

async fn copy(response: Response<Body>, out: &mut impl Write, progress: impl Fn(u64)) -> Result<(), Broke> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broke::Read(transport(error).into()))?;
        if let Ok(chunk) = frame.into_data() {
            out.write_all(&chunk).map_err(Broke::Write)?;
            progress(chunk.len() as u64);
        }
    }
    out.flush().map_err(Broke::Write)
}

fn sum_of(path: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}
