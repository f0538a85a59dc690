//! `anomalake exports`.

mod download;
mod wait;

use std::path::{Path, PathBuf};

use axum::http::Method;

use super::CommandError;
use super::client::{Client, ClientError};
use super::output::{self, FormatArgs, ListFormat};
use super::session::{IfMissing, with_client};
use super::sql::{Param, Params, param};
use crate::api::exports::create_export::{AnomalyRef, CreateExport};
use crate::api::exports::list_exports::{ExportPage, MAX_LIMIT};
use crate::api::exports::model::ExportModel;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;

/// Save results: made in the background, downloaded later, also in pieces.
#[derive(Debug, clap::Subcommand)]
pub enum ExportsCommand {
    /// Ask for an export and print its number alone.
    #[command(after_help = "It is made by the server that runs over the data directory, also after a restart;
without a server, by --wait or by `exports download`.

Examples:
  anomalake exports create --tenant 5618 --anomaly ANO-42 --format parquet
  anomalake exports create --tenant 5618 --name night.csv --wait \\
    --sql 'select * from activities where downloadBytes > 1000000'")]
    Create(CreateArgs),
    /// List exports, newest first.
    #[command(after_help = "Example:
  anomalake exports list --tenant 5618")]
    List {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Most exports to list.
        #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show an export and how far it is.
    #[command(after_help = "Example:
  anomalake exports show --tenant 5618 17")]
    Show {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the export.
        export: i64,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Download an export once it is ready.
    #[command(after_help = "A download into a file that broke off goes on where it stopped when the command is
run again; the file appears whole and checked against its checksum, or not at all.

Examples:
  anomalake exports download --tenant 5618 17 -o evidence.csv
  anomalake exports download --tenant 5618 17 > evidence.csv")]
    Download {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the export.
        export: i64,
        /// Write to this file instead of stdout.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete an export and its file; one that is being made is stopped.
    #[command(after_help = "Example:
  anomalake exports delete --tenant 5618 17")]
    Delete {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the export.
        export: i64,
    },
}

/// An export to ask for.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["sql", "anomaly"]))]
pub struct CreateArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The statement whose rows to save.
    #[arg(long, value_name = "SQL")]
    sql: Option<String>,
    /// The anomaly whose activities to save: 42, ANO-42 or the 24 hex digits.
    #[arg(long, value_name = "ID")]
    anomaly: Option<String>,
    /// A parameter of the statement: 1=VALUE for $1, NAME=VALUE for $NAME.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param, conflicts_with = "anomaly")]
    params: Vec<Param>,
    /// How rows are written: csv, json, ndjson, arrow or parquet.
    #[arg(long, default_value = "csv", value_parser = ["csv", "json", "ndjson", "arrow", "parquet"])]
    format: String,
    /// Name of the file; export-NUMBER.FORMAT by default.
    #[arg(long)]
    name: Option<String>,
    /// Escape cells that a spreadsheet would run as a formula; CSV only.
    #[arg(long)]
    escape_formulas: bool,
    /// Wait until it is ready.
    #[arg(long)]
    wait: bool,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &ExportsCommand) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| match command {
        ExportsCommand::Create(args) => create(client, args).await,
        ExportsCommand::List { tenant, limit, format } => list(client, *tenant, *limit, format.format).await,
        ExportsCommand::Show { tenant, export, format } => {
            output::details(format.format, &show(client, *tenant, *export).await?, fields)
        }
        ExportsCommand::Download { tenant, export, output } => {
            let ready = wait::until_ready(client, *tenant, *export).await?;
            match output {
                Some(file) => download::into_file(client, *tenant, &ready, file).await,
                None => download::to_stdout(client, *tenant, &ready).await,
            }
        }
        ExportsCommand::Delete { tenant, export } => {
            let request = Client::request(Method::DELETE, &path(*export), Some(*tenant));
            let request = request.body(axum::body::Body::empty()).map_err(super::client::transport)?;
            client.call(request).await?;
            Ok(())
        }
    })
    .await
}

fn path(export: i64) -> String {
    format!("/api/v1/exports/{export}")
}

async fn show(client: &Client, tenant: TenantId, export: i64) -> Result<ExportModel, ClientError> {
    client.json(Method::GET, &path(export), Some(tenant), None::<&()>).await
}

async fn create(client: &Client, args: &CreateArgs) -> Result<(), CommandError> {
    let wish = CreateExport {
        sql: args.sql.clone(),
        params: Params::of(&args.params)?.0.unwrap_or_default(),
        anomaly: args.anomaly.clone().map(AnomalyRef::Text),
        format: Some(args.format.clone()),
        name: args.name.clone(),
        escape_formulas: args.escape_formulas,
    };
    let made: ExportModel = client.json(Method::POST, "/api/v1/exports", Some(args.tenant), Some(&wish)).await?;
    output::print(&format!("{}\n", made.id))?;
    if args.wait {
        wait::until_ready(client, args.tenant, made.id).await?;
    } else if matches!(client, Client::InProcess(_)) {
        eprintln!("note: no server runs over the data directory; --wait, `exports download` or a server makes it");
    }
    Ok(())
}

async fn list(client: &Client, tenant: TenantId, limit: u32, format: ListFormat) -> Result<(), CommandError> {
    let mut exports: Vec<ExportModel> = Vec::new();
    let mut before = None;
    let more = loop {
        let page = (limit as usize).saturating_sub(exports.len()).min(MAX_LIMIT as usize);
        if page == 0 {
            break true;
        }
        let before_param = before.map(|id: i64| format!("&before={id}")).unwrap_or_default();
        let path = format!("/api/v1/exports?limit={page}{before_param}");
        let page: ExportPage = client.json(Method::GET, &path, Some(tenant), None::<&()>).await?;
        exports.extend(page.exports);
        match page.next {
            Some(next) => before = Some(next),
            None => break false,
        }
    };
    let headings = ["ID", "NAME", "STATE", "ROWS", "SIZE", "OWNER", "CREATED", "EXPIRES"];
    output::list(format, &exports, &headings, |export| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            export.id.to_string(),
            export.name.clone(),
            export.state.clone(),
            or_dash(export.rows.map(|rows| rows.to_string())),
            or_dash(export.bytes.map(|bytes| format_size(bytes.unsigned_abs()))),
            export.owner.clone(),
            export.created_at.clone(),
            or_dash(export.expires_at.clone()),
        ]
    })?;
    if more {
        eprintln!("note: there are more exports than {limit}; raise --limit to see them");
    }
    Ok(())
}

fn fields(export: &ExportModel) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("id", Some(export.id.to_string())),
        ("name", Some(export.name.clone())),
        ("owner", Some(export.owner.clone())),
        ("sql", export.sql.clone()),
        ("params", export.params.as_ref().map(ToString::to_string)),
        ("anomaly", export.anomaly.map(|id| id.to_string())),
        ("format", Some(export.format.clone())),
        ("state", Some(export.state.clone())),
        ("rows", export.rows.map(|rows| rows.to_string())),
        ("size", export.bytes.map(|bytes| format_size(bytes.unsigned_abs()))),
        ("sha256", export.sha256.clone()),
        ("attempts", Some(export.attempts.to_string())),
        ("error", export.error.clone()),
        ("created", Some(export.created_at.clone())),
        ("started", export.started_at.clone()),
        ("finished", export.finished_at.clone()),
        ("expires", export.expires_at.clone()),
    ]
}
