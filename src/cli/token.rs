//! `anomalake token`.

use std::path::Path;

use axum::http::Method;

use super::CommandError;
use super::args::span_ms;
use super::output::{self, FormatArgs};
use super::session::{IfMissing, with_client};
use crate::api::control::tokens::{CreateToken, CreatedTokenModel, TokenModel};
use crate::domain::principal::Scopes;
use crate::domain::tenant::TenantId;

/// Make, list and revoke API tokens of a tenant.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make an API token and print it, alone and this once.
    #[command(after_help = "Scopes: activities:read, activities:write, anomalies:read, anomalies:write, uci:read,
uci:write, alerts:read, sql:read, admin. A :write includes its :read.

Examples:
  TOKEN=$(anomalake token create --tenant 5618 \\
    --scope activities:read,anomalies:read --expires 90d)
  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8080/api/v1/anomalies")]
    Create {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// What the token allows, as a comma list.
        #[arg(long, value_name = "SCOPES")]
        scope: Scopes,
        /// Lifetime, for example 90d; without end when absent.
        #[arg(long, value_name = "DURATION", value_parser = span_ms)]
        expires: Option<i64>,
        /// Name for people.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the tenant's tokens; the tokens themselves are stored hashed and cannot be shown.
    #[command(after_help = "Example:
  anomalake token list --tenant 5618")]
    List {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Revoke a token; it is refused at once.
    #[command(after_help = "Example:
  anomalake token revoke --tenant 5618 3")]
    Revoke {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the token, as `token list` shows it.
        #[arg(value_name = "NUMBER")]
        id: i64,
    },
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &TokenCommand) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| match command {
        TokenCommand::Create { tenant, scope, expires, name } => {
            let lifetime_ms = expires.map(i64::unsigned_abs);
            let new = CreateToken { scopes: scope.to_string(), lifetime_ms, name: name.clone() };
            let path = format!("/control/tenants/{tenant}/tokens");
            let made: CreatedTokenModel = client.json(Method::POST, &path, None, Some(&new)).await?;
            output::print(&format!("{}\n", made.token))
        }
        TokenCommand::List { tenant, format } => {
            let path = format!("/control/tenants/{tenant}/tokens");
            let tokens: Vec<TokenModel> = client.json(Method::GET, &path, None, None::<&()>).await?;
            let headings = ["NUMBER", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"];
            output::list(format.format, &tokens, &headings, |token| {
                let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                vec![
                    token.id.to_string(),
                    or_dash(&token.name),
                    token.scopes.clone(),
                    token.created_at.clone(),
                    token.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
                    or_dash(&token.last_used_at),
                    or_dash(&token.revoked_at),
                ]
            })
        }
        TokenCommand::Revoke { tenant, id } => {
            client.no_content(Method::DELETE, &format!("/control/tenants/{tenant}/tokens/{id}"), None::<&()>).await?;
            output::print(&format!("revoked token {id} of tenant {tenant}\n"))
        }
    })
    .await
}
