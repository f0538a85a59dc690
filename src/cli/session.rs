//! A command's way to the services, opened before its work and closed after it, however it went.

use std::path::Path;

use super::CommandError;
use super::client::Client;
use crate::services::settings::ServerSettings;

/// What to do when the data directory does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Make it.
    Create,
    /// Refuse: a mistyped path shall not look like an empty lake.
    Refuse,
}

/// Runs a command's work with a client of the data directory.
///
/// # Errors
/// When the directory cannot be used, and those of the work.
pub async fn with_client<T>(
    data_dir: &Path,
    if_missing: IfMissing,
    work: impl AsyncFnOnce(&Client) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    with_settings(data_dir, if_missing, &ServerSettings::default(), work).await
}

/// The same, with settings for the case that no server runs and this process does the work.
///
/// # Errors
/// As [`with_client`].
pub async fn with_settings<T>(
    data_dir: &Path,
    if_missing: IfMissing,
    settings: &ServerSettings,
    work: impl AsyncFnOnce(&Client) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    if if_missing == IfMissing::Refuse && !data_dir.is_dir() {
        let message = format!("the data directory {} does not exist", data_dir.display());
        return Err(CommandError::failed_text(message)
            .with_hint("check --data-dir; `anomalake tenant create` and `anomalake serve` make a new one"));
    }
    let client = Client::connect_with(data_dir, settings).await?;
    let done = work(&client).await;
    client.close().await;
    done
}
