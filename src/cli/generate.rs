//! `anomalake generate`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};

use super::{CommandError, output};
use crate::generate::{Company, FileFormat, Plan, Profile, TRUTH_FILE, WriteError, write_files};

/// What to generate, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The same arguments give the same bytes. Sizes of tenants are about 50, 500 and 5,000 accounts; 5,000 make 25 million
rows a month. The planted anomalies stand with user, time, condition and number of rows in DIR/truth.json.

Examples:
  anomalake generate --users 500 --days 30 -o ./month
  anomalake ingest --tenant 5618 ./month/*.parquet
  anomalake generate --users 5000 --days 30 --rows 100000000 --seed 7 -o ./huge
  anomalake generate --users 50 --days 7 --format ndjson -o ./small"
)]
pub struct GenerateArgs {
    /// Accounts of the company; one in a hundred is a service account.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    users: u32,
    /// Days that the data covers.
    #[arg(long, value_name = "D", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3_660))]
    days: i64,
    /// Rows in all; as many as so many accounts make in so many days when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000_000))]
    rows: Option<u64>,
    /// Other seeds give other data.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// First day (UTC) after the data.
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2026-11-22")]
    until: NaiveDate,
    /// Format of the files.
    #[arg(long, value_enum, default_value = "parquet")]
    format: GeneratedFormat,
    /// Folder for the files; it is made, or it is empty.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GeneratedFormat {
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

/// Runs the command.
///
/// # Errors
/// When the folder is not empty or a file cannot be written.
pub async fn run(args: &GenerateArgs) -> Result<(), CommandError> {
    let plan = Plan {
        seed: args.seed,
        users: usize::try_from(args.users).map_err(CommandError::failed)?,
        days: args.days,
        end_ms: args.until.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis(),
        rows: args.rows,
        profile: Profile::Workload,
    };
    let format = match args.format {
        GeneratedFormat::Ndjson => FileFormat::Ndjson,
        GeneratedFormat::Parquet => FileFormat::Parquet,
    };
    let folder = args.output.clone();
    let begun = Instant::now();
    let made = tokio::task::spawn_blocking(move || {
        let company = Company::new(plan);
        let bar = bar(company.rows());
        let made = write_files(&company, &folder, format, &|rows| bar.inc(rows));
        bar.finish_and_clear();
        made
    });
    let truth = made.await.map_err(CommandError::failed)?.map_err(explain)?;
    let folder = args.output.display();
    output::print(&format!(
        "{folder}: {} in {:.1} s, {} planted\nthe truth is in {folder}/{TRUTH_FILE}\n",
        output::count(truth.rows, "row", "rows"),
        begun.elapsed().as_secs_f64(),
        output::count(truth.anomalies.len() as u64, "anomaly", "anomalies"),
    ))
}

fn explain(error: WriteError) -> CommandError {
    let is_there = matches!(error, WriteError::NotEmpty(_));
    let error = CommandError::failed(error);
    if is_there {
        error.with_hint("nothing is overwritten: name another folder with -o, or empty this one")
    } else {
        error
    }
}

/// A bar on a terminal; off a terminal it draws nothing.
fn bar(rows: u64) -> ProgressBar {
    let template = "[{bar:32}] {human_pos}/{human_len} rows {per_sec} {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(rows).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
