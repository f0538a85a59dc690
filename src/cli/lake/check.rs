//! `anomalake lake check`.

use std::fmt::Write as _;
use std::path::Path;

use axum::http::Method;

use crate::cli::CommandError;
use crate::cli::output::{self, FormatArgs, ListFormat, count, printable};
use crate::cli::session::{IfMissing, with_client};
use crate::cli::watched::watch;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;
use crate::lake::check::Finding;
use crate::services::check::{CheckReport, TenantReport};

/// Exit code when the lake could not be checked; 1 means that damage was found.
const NOT_CHECKED: u8 = 3;

/// Findings of one kind that are printed for people; JSON has all.
const SHOWN: usize = 50;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Only this tenant.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Also every byte, page and row of the activities.
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// With exit code 1 when damage was found, which is printed before; with 3 when it could not be checked.
pub(super) async fn run(data_dir: &Path, args: &CheckArgs) -> Result<(), CommandError> {
    let tenant = args.tenant.map(|tenant| format!("&tenant={tenant}")).unwrap_or_default();
    let path = format!("/control/check?deep={}{tenant}", args.deep);
    let checked = with_client(data_dir, IfMissing::Refuse, async |client| {
        Ok(watch::<(), CheckReport>(client, Method::GET, &path, None, "checking").await?)
    });
    let report = checked.await.map_err(|error| error.with_code(NOT_CHECKED))?;
    match args.format.format {
        ListFormat::Json => output::json(&report)?,
        ListFormat::Table => output::print(&shown(&report))?,
    }
    match report.damage {
        0 => Ok(()),
        n => {
            let found = count(n as u64, "damage was found", "damages were found");
            let hint = "keep a copy of the directory as it is; `anomalake backup restore` brings back a backup";
            Err(CommandError::failed_text(found).with_hint(hint))
        }
    }
}

fn shown(report: &CheckReport) -> String {
    let mut text = String::new();
    for tenant in &report.tenants {
        text.push_str(&summary(tenant));
    }
    let findings = report.registry.iter().map(|finding| (None, finding));
    let of_tenants = report.tenants.iter().flat_map(|t| t.findings.iter().map(|finding| (Some(t.tenant), finding)));
    let findings: Vec<(Option<i64>, &Finding)> = findings.chain(of_tenants).collect();
    for (damage, heading) in [(true, "damage"), (false, "notes")] {
        let these: Vec<_> = findings.iter().filter(|(_, finding)| finding.is_damage() == damage).collect();
        if these.is_empty() {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{heading}:");
        for (tenant, finding) in these.iter().take(SHOWN) {
            let whose = tenant.map_or_else(|| "registry".to_owned(), |id| format!("tenant {id}"));
            let path = finding.path.as_deref().map(|path| format!(" {path}:")).unwrap_or_default();
            let _ = writeln!(text, "  {whose}: {}:{} {}", finding.kind, printable(&path), printable(&finding.detail));
        }
        if these.len() > SHOWN {
            let _ = writeln!(text, "  and {} more; --format json has all", these.len() - SHOWN);
        }
    }
    if report.damage == 0 {
        text.push_str(if report.deep { "no damage, to the last byte\n" } else { "no damage\n" });
    }
    text
}

fn summary(tenant: &TenantReport) -> String {
    let Some(version) = tenant.version else { return format!("tenant {}: no activities yet\n", tenant.tenant) };
    let waiting = match tenant.removed.files {
        0 => String::new(),
        n => format!(", {} wait for vacuum", count(n, "file", "files")),
    };
    format!(
        "tenant {}: version {version}, {}, {}, {}, {} of evidence{waiting}\n",
        tenant.tenant,
        count(tenant.rows, "row", "rows"),
        count(tenant.live.files, "file", "files"),
        format_size(tenant.live.bytes),
        count(tenant.evidence.files, "file", "files"),
    )
}
