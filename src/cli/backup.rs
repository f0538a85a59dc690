//! `anomalake backup`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use axum::http::Method;
use indicatif::ProgressBar;

use super::CommandError;
use super::output::{self, count, printable};
use super::owner::lock;
use super::session::{IfMissing, with_client};
use super::watched::{bar, watch};
use crate::api::control::backup::CreateBackup;
use crate::domain::size_text::format_size;
use crate::domain::time_text::format_time;
use crate::lake::layout::DataDir;
use crate::lake::watch::Watch;
use crate::services::backup::{BackupReport, RestoreError, RestoreReport, restore};

/// Make backups and bring them back.
#[derive(Debug, clap::Subcommand)]
pub enum BackupCommand {
    /// Copy everything into a new folder, also while it is served.
    ///
    /// Everything that was acknowledged before the command began is in the backup. The folder is a complete backup
    /// once the file manifest.ndjson is in it.
    #[command(
        after_help = "Exit codes: 0 the backup is made, 1 it is not, 4 it is made and the lake was damaged already.

Example:
  anomalake backup create /backups/2026-11-22"
    )]
    Create {
        /// Folder for the backup: empty, or not there yet.
        dir: PathBuf,
    },
    /// Bring a backup back into the data directory, which must be empty or not exist.
    #[command(after_help = "Example:
  anomalake backup restore /backups/2026-11-22 --data-dir ./restored")]
    Restore {
        /// Folder of the backup.
        dir: PathBuf,
    },
}

/// Exit code for a backup of a damaged lake.
const DAMAGED: u8 = 4;

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &BackupCommand) -> Result<(), CommandError> {
    match command {
        BackupCommand::Create { dir } => create(data_dir, dir).await,
        BackupCommand::Restore { dir } => {
            let (backup, data_dir) = (dir.clone(), data_dir.to_owned());
            let restored = tokio::task::spawn_blocking(move || bring_back(&backup, &data_dir));
            restored.await.map_err(CommandError::failed)?
        }
    }
}

async fn create(data_dir: &Path, dir: &Path) -> Result<(), CommandError> {
    // The process that owns the data directory may work in another folder.
    let dir = std::path::absolute(dir).map_err(|error| CommandError::io(dir.display(), error))?;
    let request = CreateBackup { dir: dir.clone() };
    let made = with_client(data_dir, IfMissing::Refuse, async |client| {
        let made: BackupReport = watch(client, Method::POST, "/control/backup", Some(&request), "backing up").await?;
        Ok(made)
    });
    let made = made.await?;
    let mut text = format!(
        "{}: {}, {}, {}\n",
        dir.display(),
        count(made.tenants, "tenant", "tenants"),
        count(made.files, "file", "files"),
        format_size(made.bytes)
    );
    if made.evidence_to_remake > 0 {
        let evidence = count(made.evidence_to_remake as u64, "evidence file", "evidence files");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{evidence} replaced meanwhile; a restored server makes them anew when asked for");
    }
    if made.exports_to_remake > 0 {
        let exports = count(made.exports_to_remake, "saved export", "saved exports");
        let _ = writeln!(text, "{exports} without the files; a restored server makes them anew");
    }
    output::print(&text)?;
    if made.damage.is_empty() {
        return Ok(());
    }
    let lines = made.damage.iter().map(|damage| {
        let path = damage.finding.path.as_deref().unwrap_or_default();
        printable(&format!("tenant {}: {} {path}: {}", damage.tenant, damage.finding.kind, damage.finding.detail))
    });
    let told = "the backup is made, but the lake was damaged already";
    let hint = "`anomalake lake check --deep` tells all that is damaged; keep older backups";
    Err(CommandError::failed_text(told).with_details(lines.collect()).with_hint(hint).with_code(DAMAGED))
}

/// Shows bytes on a bar.
struct OnBar(ProgressBar);

impl Watch for OnBar {
    fn planned(&self, bytes: u64) {
        self.0.inc_length(bytes);
    }

    fn done(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

fn bring_back(backup: &Path, data_dir: &Path) -> Result<(), CommandError> {
    let progress = OnBar(bar("restoring"));
    let take = || {
        let dir = DataDir::create(data_dir)?;
        lock(&dir).map_err(std::io::Error::other)
    };
    let restored = restore(backup, data_dir, take, &progress);
    progress.0.finish_and_clear();
    let RestoreReport { created_at_ms, files, bytes } = restored.map_err(|error| {
        let hint = hint(&error);
        CommandError::failed(error).with_hint(hint)
    })?;
    let (made, files, size) = (format_time(created_at_ms), count(files, "file", "files"), format_size(bytes));
    output::print(&format!("{}: the backup of {made}, {files}, {size}\n", data_dir.display()))
}

fn hint(error: &RestoreError) -> &'static str {
    match error {
        RestoreError::NoBackup(_) => "name the folder that `anomalake backup create` was given",
        RestoreError::BadManifest { .. } | RestoreError::Damaged { .. } => "take another backup; this one is damaged",
        RestoreError::Newer { .. } => "install that version",
        RestoreError::NotEmpty(_) => "name a --data-dir that does not exist yet",
        RestoreError::NoRoom { .. } => "make room, or name a --data-dir on another disk",
        RestoreError::Io(_) => "the backup is as it was; look at the disk and try again",
    }
}
