//! `anomalake export`.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{ACCEPT, TE};
use axum::http::{Method, Response};
use http_body_util::BodyExt;

use super::CommandError;
use super::args::path_segment;
use super::client::{Client, transport};
use super::output::count;
use super::part_file::PartFile;
use super::session::{IfMissing, with_client};
use crate::api::download::ROWS;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;

/// What to export, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "With -o the file appears whole or not at all.

Examples:
  anomalake export --tenant 5618 --anomaly 42 > evidence.csv
  anomalake export --tenant 5618 --anomaly ANO-42 --format ndjson \\
    -o evidence.ndjson")]
pub struct ExportArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// 42, ANO-42 or the 24 hex digits.
    #[arg(long, value_name = "ID")]
    anomaly: String,
    /// How rows are written.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// Write to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One header line, then rows.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// What was written.
struct Written {
    bytes: u64,
    /// As the server counted them.
    rows: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// When the export is refused, breaks off, or cannot be written; no output file is left then.
pub async fn run(data_dir: &Path, args: &ExportArgs) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let accept = match args.format {
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
        };
        let begun = Instant::now();
        let path = format!("/api/v1/anomalies/{}/activities", path_segment(&args.anomaly));
        let request = Client::request(Method::GET, &path, Some(args.tenant)).header(ACCEPT, accept);
        let request = request.header(TE, "trailers").body(Body::empty()).map_err(transport)?;
        let response = client.call(request).await?;
        let Some(file) = &args.output else { return to_stdout(response).await };
        let cannot_write = |error| CommandError::io(format_args!("cannot write {}", file.display()), error);
        let mut part = PartFile::create(file).map_err(cannot_write)?;
        let written = copy(response, &mut part, cannot_write).await?;
        part.publish().map_err(cannot_write)?;
        let rows = written.rows.map(|rows| format!("{}, ", count(rows, "row", "rows"))).unwrap_or_default();
        let (size, seconds) = (format_size(written.bytes), begun.elapsed().as_secs_f64());
        eprintln!("{}: {rows}{size}, {seconds:.2} s", file.display());
        Ok(())
    })
    .await
}

async fn to_stdout(response: Response<Body>) -> Result<(), CommandError> {
    let mut broken = false;
    let mut out = io::stdout();
    let copied = copy(response, &mut out, |error| {
        broken = error.kind() == ErrorKind::BrokenPipe;
        CommandError::io("cannot write to stdout", error)
    });
    match copied.await {
        // The reader has seen enough.
        Err(_) if broken => Ok(()),
        copied => copied.map(drop),
    }
}

/// Writes the body to its end; an answer that breaks off is an error.
async fn copy(
    response: Response<Body>,
    out: &mut impl Write,
    cannot_write: impl FnOnce(io::Error) -> CommandError,
) -> Result<Written, CommandError> {
    let mut written = Written { bytes: 0, rows: None };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            CommandError::from(transport(error)).with_hint("the export is incomplete; the server's log has the cause")
        })?;
        match frame.into_data() {
            Ok(chunk) => {
                // A blocked reader shall block this command and, through the socket, the export.
                if let Err(error) = out.write_all(&chunk) {
                    return Err(cannot_write(error));
                }
                written.bytes += chunk.len() as u64;
            }
            Err(frame) => {
                let rows = frame.trailers_ref().and_then(|trailers| trailers.get(ROWS));
                written.rows = rows.and_then(|rows| rows.to_str().ok()?.parse().ok());
            }
        }
    }
    match out.flush() {
        Err(error) => Err(cannot_write(error)),
        Ok(()) => Ok(written),
    }
}
