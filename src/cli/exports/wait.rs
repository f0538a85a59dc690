//! Waits for an export; without a server this process makes it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::show;
use crate::api::exports::model::ExportModel;
use crate::cli::CommandError;
use crate::cli::client::Client;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;
use crate::jobs::make_all_exports;

/// How often it is asked how far the export is.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The export, once it is ready.
///
/// # Errors
/// When there is none, or it was given up.
pub(super) async fn until_ready(client: &Client, tenant: TenantId, export: i64) -> Result<ExportModel, CommandError> {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{prefix} {spinner} {elapsed} {msg}");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(format!("export {export}"));
    bar.enable_steady_tick(ASK_EVERY);
    let ready = tokio::select! {
        ready = ask(client, tenant, export, &bar) => ready,
        () = work(client) => Err(CommandError::failed_text("the exports of this process ended early")),
    };
    bar.finish_and_clear();
    ready
}

async fn ask(client: &Client, tenant: TenantId, export: i64, bar: &ProgressBar) -> Result<ExportModel, CommandError> {
    loop {
        let now = show(client, tenant, export).await?;
        match &*now.state {
            "ready" => return Ok(now),
            "failed" => {
                let reason = now.error.unwrap_or_default();
                return Err(CommandError::failed_text(format!("export {export} failed: {reason}"))
                    .with_hint("ask for another one with `anomalake exports create`"));
            }
            state => {
                let count = |n: Option<i64>| n.unwrap_or(0).unsigned_abs();
                let (rows, size) = (count(now.rows), format_size(count(now.bytes)));
                let waits = now.error.map(|error| format!(", {error}")).unwrap_or_default();
                bar.set_message(format!("{state}, {rows} rows, {size}{waits}"));
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Makes what is due, for ever, where no server does.
async fn work(client: &Client) {
    loop {
        match client {
            Client::InProcess(owner) => make_all_exports(&owner.services).await,
            Client::Socket(_) => std::future::pending().await,
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
