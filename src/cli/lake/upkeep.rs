//! `anomalake lake compact`, `retain` and `vacuum`.

use std::path::Path;

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt;

use super::TenantArg;
use crate::api::control::lake::UpkeepLine;
use crate::cli::CommandError;
use crate::cli::client::{Client, transport};
use crate::cli::output::{count, print};
use crate::cli::session::{IfMissing, with_client};
use crate::domain::size_text::format_size;
use crate::services::upkeep::UpkeepStep;

/// Arguments of upkeep by hand.
#[derive(Debug, clap::Args)]
pub struct UpkeepArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command: a line for each step as it is done.
///
/// # Errors
/// [`CommandError`]; what was printed is done.
pub(super) async fn run(data_dir: &Path, what: &str, args: &UpkeepArgs) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let (tenant, dry_run) = (args.tenant.tenant, args.dry_run);
        let path = format!("/control/tenants/{tenant}/lake/{what}?dryRun={dry_run}");
        let request = Client::request(Method::POST, &path, None).body(Body::empty()).map_err(transport)?;
        let mut body = client.call(request).await?.into_body();
        let (mut text, mut steps) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            text.extend_from_slice(&frame.map_err(transport)?.into_data().unwrap_or_default());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                match serde_json::from_slice(&line).map_err(transport)? {
                    UpkeepLine::Did(step) => {
                        steps += 1;
                        print(&format!("{}\n", shown(&step, dry_run)))?;
                    }
                    UpkeepLine::End { error: None } if steps == 0 => return print("nothing to do\n"),
                    UpkeepLine::End { error: None } => return Ok(()),
                    UpkeepLine::End { error: Some(error) } => {
                        let hint = "what is printed above is done; the command can be repeated at any time";
                        return Err(CommandError::failed_text(error).with_hint(hint));
                    }
                }
            }
        }
        Err(CommandError::failed_text("the server stopped before it was done")
            .with_hint("what is printed above is done; the command can be repeated at any time"))
    })
    .await
}

fn files(n: usize, bytes: u64) -> String {
    format!("{}, {}", count(n as u64, "file", "files"), format_size(bytes))
}

fn shown(step: &UpkeepStep, dry_run: bool) -> String {
    let act = |done: &'static str, planned: &'static str| if dry_run { planned } else { done };
    match step {
        UpkeepStep::Sort { day, files_before, bytes_before, rows, files_after, bytes_after } => {
            let result = files_after.zip(*bytes_after).map(|(n, bytes)| format!(" -> {}", files(n, bytes)));
            let (verb, rows) = (act("sorted", "would sort"), count(*rows, "row", "rows"));
            format!("{day}: {verb} {rows}: {}{}", files(*files_before, *bytes_before), result.unwrap_or_default())
        }
        UpkeepStep::DropDay { day, files: n, rows, bytes } => {
            format!("{day}: {} {}: {}", act("dropped", "would drop"), count(*rows, "row", "rows"), files(*n, *bytes))
        }
        UpkeepStep::ForgetEvidence { files } => {
            format!("{} {}", act("forgot", "would forget"), count(*files, "evidence file", "evidence files"))
        }
        UpkeepStep::RemoveAnomalies { anomalies } => {
            format!("{} {}", act("removed", "would remove"), count(*anomalies, "anomaly", "anomalies"))
        }
        UpkeepStep::Delete { files: n, bytes, waiting_files, waiting_bytes } => {
            let waiting = match waiting_files {
                0 => String::new(),
                _ => format!("; {} are too young or in use", files(*waiting_files, *waiting_bytes)),
            };
            format!("{} {}{waiting}", act("deleted", "would delete"), files(*n, *bytes))
        }
    }
}
